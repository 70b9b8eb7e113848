/*
 * The state directory: what a daemon must remember between runs.
 *
 *   lock            held while a daemon uses the directory; holds its pid
 *   identity        the key, unless the config names another file
 *   timestamp       a number greater than any handshake timestamp ever sent
 *   endpoints.json  where peers with a session were last reached: a hint, so
 *                   that a restarted daemon calls them at once
 *   daemon.log      when the daemon runs in the background
 *   undo.json       journal.h
 *
 * Invariant: one daemon a directory. A timestamp file that cannot be read stops
 * the daemon, since going back in time would lock it out of its peers; a broken
 * endpoints file is only a hint lost.
 *
 * Control thread; writes block on the disk.
 */
#ifndef VELD_CONTROL_STATE_H
#define VELD_CONTROL_STATE_H

#include "base/addr.h"
#include "base/err.h"
#include "crypto/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct veld_state;

/* base/state_dir.h, and lock it. VELD_E_EXIST names the daemon that holds it. */
VELD_MUST_USE int veld_state_open(struct veld_state **out, const char *dir,
                                  struct veld_diag *diag);
void veld_state_close(struct veld_state *s); /* NULL is allowed */
const char *veld_state_dir(const struct veld_state *s);

/* Load the identity at `path` (NULL: the directory's own), or make it. `made` tells which. */
VELD_MUST_USE int veld_state_identity(struct veld_state *s, const char *path,
                                      struct veld_identity **out, bool *made,
                                      struct veld_diag *diag);

/* 0 on a first run. */
VELD_MUST_USE int veld_state_timestamp_load(struct veld_state *s, uint64_t *floor_ns,
                                            struct veld_diag *diag);
/* Durable when it returns 0. */
VELD_MUST_USE int veld_state_timestamp_store(struct veld_state *s, uint64_t floor_ns);

struct veld_state_endpoint {
    uint8_t pub[32];
    struct veld_endpoint endpoint;
};
/* The caller frees `*out`. A missing or broken file gives none. */
VELD_MUST_USE int veld_state_endpoints_load(struct veld_state *s,
                                            struct veld_state_endpoint **out, size_t *n);
VELD_MUST_USE int veld_state_endpoints_store(struct veld_state *s,
                                             const struct veld_state_endpoint *endpoints,
                                             size_t n);

#endif

/*
 * The members that the server told last, on the disk, so that a machine knows its
 * peers while the server is away: the file `members` of the network's folder
 * (profile/folder.h).
 *
 * The file is a row of WatchEvents, each behind its length (4 bytes, big-endian), in
 * the order in which the members' claims count (members.h). What is read from it is
 * verified again like anything else: nobody has to trust the disk for it.
 *
 * Control thread. Writing happens on a thread of the cache's own, since it may be
 * megabytes; one writes at a time, and what is stored meanwhile replaces what waits.
 */
#ifndef VELD_CONTROL_MESH_CACHE_H
#define VELD_CONTROL_MESH_CACHE_H

#include "control/mesh/event.h"

#define VELD_CACHE_MAX (64u << 20) /* bytes */

/* ---- The form. Pure ---- */

/* VELD_E_RANGE beyond VELD_CACHE_MAX, VELD_E_NOMEM. `revision`: up to which it is complete. */
VELD_MUST_USE int veld_cache_encode(struct veld_blob *out,
                                    const struct veld_member *const *members, size_t n,
                                    uint64_t revision);
/* One event after the other; `at` begins at 0. False at the end, and where it is broken off. */
bool veld_cache_next(const struct veld_blob *cache, size_t *at, const uint8_t **event,
                     size_t *len);

/* ---- The file ---- */

struct veld_cache;
struct veld_cache *veld_cache_open(const char *state_dir, const char *network);
/* Empty when there is none; one that cannot be read is told in the log and counts as none. */
void veld_cache_load(struct veld_cache *c, struct veld_blob *out);
/* Takes `bytes` over, and writes them soon. */
void veld_cache_store(struct veld_cache *c, struct veld_blob *bytes);
/* Writes what waits. NULL is allowed. */
void veld_cache_close(struct veld_cache *c);

#endif

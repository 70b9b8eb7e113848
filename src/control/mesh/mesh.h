/*
 * The daemon in a network with a coord server: members become peers (peers.h),
 * their keys are pinned, their routes judged, revocations applied and handed on,
 * this machine's own record published.
 *
 * Invariants:
 *  - nothing is believed because the server says it: records, revocations and
 *    signals are verified, and what this machine pinned comes before;
 *  - the start needs no server: everything comes from files; established sessions
 *    never depend on it;
 *  - no session is made but for somebody who wants to talk, or was talked to in the
 *    last run.
 *
 * Order of calls: open (files only; completes the configuration), start (once the
 * control is up), ..., stop (while it is still up), close.
 * Control thread.
 */
#ifndef VELD_CONTROL_MESH_MESH_H
#define VELD_CONTROL_MESH_MESH_H

#include "control/api/status.h"
#include "control/config/config.h"
#include "control/control.h"
#include "crypto/identity.h"

#include <jansson.h>

struct veld_mesh;
struct veld_self;

struct veld_mesh_options {
    const char *state_dir;
    const struct veld_identity *identity; /* outlives the mesh */
    struct veld_config
        *config; /* outlives the mesh, which fills it in and keeps it up to date */
};
/* The sentence in `diag` names the file, or the command to run first. */
VELD_MUST_USE int veld_mesh_open(struct veld_mesh **out, const struct veld_mesh_options *o,
                                 struct veld_diag *diag);
/* For veld_control_options. Good as long as the mesh. */
const struct veld_control_network *veld_mesh_network(const struct veld_mesh *m);

/* "host:port" of the coord server. Good as long as the mesh. */
const char *veld_mesh_coord_address(const struct veld_mesh *m);
bool veld_mesh_is_connected(const struct veld_mesh *m);
/* Ask how long the coord server takes to answer, if it is connected. */
void veld_mesh_coord_ask_time(struct veld_mesh *m);
/* What the last answer on this connection took; 0: there is none, or no connection. */
uint64_t veld_mesh_coord_rtt_ns(const struct veld_mesh *m);

/* What the control knows of the machine. */
struct veld_mesh_host {
    struct veld_self
        *self;     /* reach/self.h; outlives the mesh, which tells it what the server sees */
    uint16_t port; /* where it listens */
};
VELD_MUST_USE int veld_mesh_start(struct veld_mesh *m, struct veld_control *control,
                                  const struct veld_mesh_host *host, struct veld_diag *diag);
/* Waits at most a second for the coord server. Nothing when it was not started. */
void veld_mesh_stop(struct veld_mesh *m);
void veld_mesh_close(struct veld_mesh *m); /* NULL is allowed */

/* Where this machine may be reached changed: its record is published anew, not too often. */
void veld_mesh_on_self_change(struct veld_mesh *m);
/* This machine's addresses changed. */
void veld_mesh_on_address_change(struct veld_mesh *m);

/* ---- The local API ---- */

/* {"pins": [{"name", "pubkey", "addresses", "since"}, ... with "blocked" for who shows another key]}. NULL: out of memory. */
json_t *veld_mesh_trust(const struct veld_mesh *m);
/* Pin the key that the blocked member of this name (or key) shows. `pubkey` receives it as text. */
VELD_MUST_USE int veld_mesh_trust_accept(struct veld_mesh *m, const char *name,
                                         char pubkey[VELD_PUBKEY_STRLEN],
                                         struct veld_diag *diag);
VELD_MUST_USE int veld_mesh_trust_forget(struct veld_mesh *m, const char *name,
                                         struct veld_diag *diag);
/* Settings and membership from the files again. VELD_E_STATE: what changed needs a restart. */
VELD_MUST_USE int veld_mesh_reload(struct veld_mesh *m, struct veld_diag *diag);

/* ---- Status ---- */

/* Filled in for a document; what it points at is good until the next call of anything here. */
void veld_mesh_status(struct veld_mesh *m, struct veld_status_mesh *out);
/* The coord server, which is connected, says that this member is not online. */
bool veld_mesh_says_offline(const struct veld_mesh *m, const uint8_t pub[32]);
/* Of one peer: whether the server says it is online, and why it is blocked (NULL: it is not). */
void veld_mesh_peer_status(const struct veld_mesh *m, const uint8_t pub[32],
                           struct veld_status_peer *out);

#endif

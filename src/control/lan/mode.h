/*
 * LAN mode: the machines of one LAN are a network without a server.
 *
 * With a network secret every device that is found is called, and whoever completes the handshake
 * has the secret and is a member. Without one, nothing is said to a device until the user
 * accepted its key; accepted keys are pinned, and are peers after a restart too.
 *
 * Invariants:
 *  - who has not proved to hold a key that is a member's has no name, no route and no place in the
 *    status, only a handshake that waits (struct veld_control_peer_spec, `unproven`);
 *  - what a member is called and which addresses it has is decided by members.h;
 *  - a pin is on the disk before `trust accept` says so; a file of pins that cannot be understood
 *    stops the start.
 *
 * Order of calls: open (files only; gives the configuration its addresses), start (once the control
 * is up), ..., stop (while it is still up), close. Control thread.
 */
#ifndef VELD_CONTROL_LAN_MODE_H
#define VELD_CONTROL_LAN_MODE_H

#include "base/err.h"
#include "control/config/config.h"
#include "control/peers.h"
#include "crypto/identity.h"

#include <jansson.h>

struct veld_lan_mode;

struct veld_lan_mode_options {
    const char *state_dir;
    const struct veld_identity *identity; /* outlives the mode */
    struct veld_config *config;           /* outlives the mode, which fills in addresses */
};
VELD_MUST_USE int veld_lan_mode_open(struct veld_lan_mode **out,
                                     const struct veld_lan_mode_options *o,
                                     struct veld_diag *diag);
void veld_lan_mode_close(struct veld_lan_mode *m); /* NULL is allowed */
/* Of handshakes: who has another secret cannot even begin one. Zeros without a secret. */
const uint8_t *veld_lan_mode_handshake_id(const struct veld_lan_mode *m);
/* Peers that it may make. */
size_t veld_lan_mode_peers_max(void);

VELD_MUST_USE int veld_lan_mode_start(struct veld_lan_mode *m, struct veld_control *control,
                                      struct veld_diag *diag);
void veld_lan_mode_stop(struct veld_lan_mode *m); /* nothing when it was not started */
/* Twice a second. */
void veld_lan_mode_tick(struct veld_lan_mode *m);
/* A device whose P is no peer's, and where it is now; n == 0: it is gone. */
void veld_lan_mode_on_stranger(struct veld_lan_mode *m, const uint8_t pub[32],
                               const struct veld_endpoint *list, size_t n);

/* The same of one whose P is a peer's. */
void veld_lan_mode_on_known(struct veld_lan_mode *m, const uint8_t pub[32], size_t n);

/* ---- The local API ---- */

/* {"pins": [... as veld_mesh_trust], "pending": [{"name", "pubkey", "fingerprint", "endpoints", "since"}]}. */
json_t *veld_lan_mode_trust(const struct veld_lan_mode *m);
VELD_MUST_USE int veld_lan_mode_trust_accept(struct veld_lan_mode *m, const char *name,
                                             char pubkey[VELD_PUBKEY_STRLEN],
                                             struct veld_diag *diag);
VELD_MUST_USE int veld_lan_mode_trust_forget(struct veld_lan_mode *m, const char *name,
                                             struct veld_diag *diag);

/* ---- Status ---- */

/* {"secret": bool, "members", "found" (with a secret: devices that may have it), "pending"}. */
json_t *veld_lan_mode_status(const struct veld_lan_mode *m);
#define VELD_LAN_HEALTH_MAX 8
/* Sentences, good until the next call of anything here; returns how many. */
size_t veld_lan_mode_health(struct veld_lan_mode *m, const char *out[VELD_LAN_HEALTH_MAX]);

#endif

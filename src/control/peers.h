/*
 * Peers that come and go while the daemon runs: what the members of a network
 * become here (control/mesh). The peers of a config file are there from the start and stay.
 *
 * Invariants:
 *  - what is added, changed or removed holds for sessions at once: a removed or
 *    blocked peer neither sends nor receives from the moment the call returns;
 *  - routes, the kernel's routes and names follow within VELD_PUBLISH_MS and
 *    once for everything that changed meanwhile, so that thousands of changes cost
 *    the control thread one publication;
 *  - an id names one peer from add to remove, and may then be another's.
 *
 * Of equal addresses or routes of two peers the smaller id's are used: whoever
 * adds peers keeps them apart.
 *
 * Control thread. Not from inside a hook, but for veld_control_peer_send and
 * what only looks.
 */
#ifndef VELD_CONTROL_PEERS_H
#define VELD_CONTROL_PEERS_H

#include "base/addr.h"
#include "base/err.h"
#include "control/config/config.h"
#include "control/engine/engine.h"
#include "control/reach/known.h"
#include "trust/trust.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_PUBLISH_MS 50

struct veld_control;
struct veld_self;

/*
 * A peer as it shall be. `about` says what a config file would: at least one
 * address; its `endpoint` is an address that somebody configured, and is called
 * back to when it changes. A member's own word on where it is goes into
 * `candidates`, the likeliest first: all are tried while there is no session, and a session
 * stays where it is when they change.
 *
 * Everything is copied: control owns its copy from add to remove.
 */
struct veld_control_peer_spec {
    const struct veld_config_peer *about;
    const struct veld_endpoint *candidates;
    size_t n_candidates; /* at most VELD_CANDIDATES_MAX */
    /* Whether it may be a peer shows in its handshake: until a change says so it is called and no more. */
    bool unproven;
};

/*
 * `id` receives its number. VELD_E_EXIST when there is a peer of this P,
 * VELD_E_KEY when P is unusable, this machine's own, or another peer's but for
 * the sign; VELD_E_INVAL (no address, too many of something, an endpoint nothing can be
 * sent to), VELD_E_FULL, VELD_E_NOMEM. A peer that this machine talked to before it was
 * restarted is called.
 */
VELD_MUST_USE int veld_control_peer_add(struct veld_control *c,
                                        const struct veld_control_peer_spec *spec,
                                        uint32_t *id);
/*
 * Another name, addresses, routes, keepalive, endpoint or candidates; P must be
 * the same. Sessions go on; an attempt under way tries new candidates at once.
 * VELD_E_NOENT, VELD_E_INVAL, VELD_E_NOMEM: nothing changed.
 */
VELD_MUST_USE int veld_control_peer_change(struct veld_control *c, uint32_t id,
                                           const struct veld_control_peer_spec *spec);
/*
 * Where a peer may be by another source than its description (reach/known.h), which sets
 * VELD_KNOWN_MEMBER; configured peers too. The engine is given all sources put together. Sessions
 * go on, and look whether a new one is better; an attempt under way tries new ones at once.
 * Of what the source has looked through, at most VELD_CANDIDATES_MAX. 1: that changed something;
 * VELD_E_NOENT, VELD_E_INVAL (an endpoint nothing can be sent to), VELD_E_NOMEM.
 */
VELD_MUST_USE int veld_control_peer_known(struct veld_control *c, uint32_t id,
                                          enum veld_known_source source,
                                          const struct veld_endpoint *list, size_t n);
/*
 * Its sessions are over, what waits for it is dropped, and whoever asked for a
 * ping or new keys is told. Nothing when there is none.
 */
void veld_control_peer_remove(struct veld_control *c, uint32_t id);

/*
 * Blocked: no session, no route in or out, no name, but listed ("blocked: key
 * changed"). VELD_E_NOENT. Nothing when it is so already.
 */
VELD_MUST_USE int veld_control_peer_block(struct veld_control *c, uint32_t id);
VELD_MUST_USE int veld_control_peer_unblock(struct veld_control *c, uint32_t id);

/*
 * The peer called: make a session, or look for the peer where there is one, so that NATs before us
 * let it in. VELD_E_NOENT, VELD_E_PERM (blocked).
 */
VELD_MUST_USE int veld_control_peer_call(struct veld_control *c, uint32_t id);
/* On the session in use. VELD_E_NOENT, VELD_E_STATE (there is none), VELD_E_FULL (try later). */
VELD_MUST_USE int veld_control_peer_send(struct veld_control *c, uint32_t id,
                                         const struct veld_message *m);

/* All ids are below this one. */
uint32_t veld_control_peers_max(const struct veld_control *c);
/* Ids of the peers that have sessions, in no order; control's, good until anything else is called. */
size_t veld_control_peers_live(const struct veld_control *c, const uint32_t **ids);
/* NULL when there is none. Control's; good until the next change of this peer. */
const struct veld_config_peer *veld_control_peer_about(const struct veld_control *c,
                                                       uint32_t id);
bool veld_control_peer_is_blocked(const struct veld_control *c, uint32_t id);
bool veld_control_peer_has_session(const struct veld_control *c, uint32_t id);
/* As the status has it: a session is in use, and is not silent. */
bool veld_control_peer_is_active(const struct veld_control *c, uint32_t id);
VELD_MUST_USE int veld_control_peer_info(const struct veld_control *c, uint32_t id,
                                         struct veld_peer_info *out);
/* By name, full name ("b.veld", "b.NETWORK.veld"), address or public key, as people type it. */
bool veld_control_peer_find(const struct veld_control *c, const char *text, uint32_t *id);
/* By P. */
bool veld_control_peer_find_pub(const struct veld_control *c, const uint8_t pub[32],
                                uint32_t *id);

/* LAN mode is told of the device of this P, which is no peer any more, as if it were found now. */
void veld_control_lan_again(struct veld_control *c, const uint8_t pub[32]);

/* Where this machine may be reached (reach/self.h); control's, for as long as it is. */
struct veld_self *veld_control_self(const struct veld_control *c);

/*
 * Members that this machine stays connected with, so that others find it there; P each. At most
 * VELD_MEMBER_RELAYS_MAX; returns how many. When they change, veld_mesh_on_self_change is called.
 */
size_t veld_control_homes(const struct veld_control *c,
                          uint8_t out[VELD_MEMBER_RELAYS_MAX][32]);
/* The relay that the circuit of this number leads through; false: there is no such circuit. */
bool veld_control_circuit_relay(const struct veld_control *c, uint32_t number, uint32_t *relay);

/* The routes that this machine's configuration offers are others now: forward to them. */
VELD_MUST_USE int veld_control_offer_routes(struct veld_control *c, struct veld_diag *diag);
/* Addresses or settings changed: is a port mapping to be had, or to be given back? */
void veld_portmap_on_change(struct veld_control *c);

/* ---- What whoever adds peers is told ---- */

struct veld_control_hooks {
    void *ctx;
    /*
     * A session with the peer is about to be used, for the first time or with
     * new keys, or a message came on one that is not in use yet: it has proved to be
     * who it says. False blocks it, before any packet is sent on the session.
     */
    bool (*may_use)(void *ctx, uint32_t id);
    /* The session is in use: messages can be sent on it. */
    void (*on_use)(void *ctx, uint32_t id);
    /* Somebody wants to talk to a peer that does not answer yet: once an attempt and at each retry. */
    void (*on_wanted)(void *ctx, uint32_t id);
    /* A control message of a type that is not the engine's: VELD_MSG_REVOKED_*. */
    void (*on_message)(void *ctx, uint32_t id, const struct veld_message *m);
};
/* Copied; `ctx` is the caller's and outlives the control, or the next call. NULL: none any more. */
void veld_control_set_hooks(struct veld_control *c, const struct veld_control_hooks *hooks);

#endif

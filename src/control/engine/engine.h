/*
 * The handshake-and-timers engine: protocol version 1's control side as a pure
 * step, (state, event, now) -> actions. It owns no socket and no clock and
 * blocks on nothing, so tests run hours of protocol time in milliseconds.
 *
 * Invariants:
 *  - nothing a datagram says changes state before it is authenticated;
 *  - a peer has at most three sessions: previous, current, next. Only `current`
 *    sends. `next` is a responder's session that its initiator has not used yet;
 *  - an endpoint changes only to an address that proved it receives: by a
 *    handshake confirmed from it, or by a pong to a ping sent there. A path in use is left for a
 *    better one (preference.h), for one that the peer sends from, or when it is dead. When both
 *    follow each other at the same time they would swap for ever: the smaller P does not follow
 *    back to what it has just left, unless its endpoint is dead. Of a peer that is sought at
 *    several addresses it takes the pong, and a session sends when it has come;
 *  - all tables are bounded by the configuration, all waits by a timer.
 *
 * Order of calls: new, peer_add*, then step for every event, and step with
 * VELD_EV_TIMER whenever veld_engine_deadline has passed, until it returns 0.
 * The caller carries out the actions in order, all of them, before the next
 * step, and wipes them (veld_actions_wipe). Times are > 0: 0 means never.
 *
 * Thread: one (control); no locks inside.
 */
#ifndef VELD_CONTROL_ENGINE_ENGINE_H
#define VELD_CONTROL_ENGINE_ENGINE_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/drop.h"
#include "base/err.h"
#include "control/engine/path_mtu.h"
#include "crypto/cookie.h"
#include "crypto/identity.h"
#include "wire/datagram.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct veld_engine;

/* Protocol times, in seconds; docs/PROTOCOL.md has them as one table. */
#define VELD_REKEY_AFTER_S     120 /* initiator starts a new handshake, if it still talks */
#define VELD_REJECT_AFTER_S    180 /* a session ends and its keys are wiped */
#define VELD_HANDSHAKE_RETRY_S 5   /* plus a random part of up to 1/3 s */
#define VELD_HANDSHAKE_SOON_MS                                                                 \
    600 /* instead, the first times where a circuit leads to the peer */
#define VELD_HANDSHAKE_SOON_RETRIES 3
#define VELD_HANDSHAKE_GIVE_UP_S    90
#define VELD_KEEPALIVE_S                                                                       \
    10                    /* heard data and said nothing for so long: say an empty something */
#define VELD_SILENCE_S 15 /* said data and heard nothing for so long: handshake anew */
#define VELD_TIMESTAMP_RESERVE_S                                                               \
    60 /* how far ahead of use the persisted timestamp floor is written */
#define VELD_CHALLENGE_TIMEOUT_S 5 /* an unanswered path challenge is forgotten */
#define VELD_SEEK_ROUNDS         5 /* of pings in a search for a better path (seek.c) */
#define VELD_SEEK_GAP_NS         (5 * VELD_NS_PER_S) /* from one search with a peer to the next */
#define VELD_SEEK_AGAIN_S        60  /* on a circuit that is in use, without being asked to */
#define VELD_SEEK_PINGS_PER_S    200 /* of all searches */
#define VELD_SWING_S             5 /* an endpoint that was left so lately is not gone back to lightly */
#define VELD_SUSPECT_S           1 /* sent data and heard nothing for so long: is the path alive? */
#define VELD_CHALLENGE_GAP_MS    100  /* at most one new challenge per peer in this time */
#define VELD_REKEY_GAP_MS        1000 /* keys younger than this are not replaced on request */

#define VELD_CANDIDATES_MAX 12 /* endpoints a peer may be at: addresses, and circuits to it */

#define VELD_INITIATIONS_PER_S 20 /* per IPv4 address or IPv6 /64, under load */
#define VELD_INITIATIONS_BURST 5

struct veld_engine_config {
    const struct veld_identity *identity; /* outlives the engine */
    uint8_t network_id[32];               /* zeros: static mode without a network */
    uint8_t psk[32];                      /* zeros: none */
    uint8_t lanes;                        /* 1..64, offered and accepted */
    uint32_t max_peers;
    uint16_t mtu;                /* the interface's; 0: paths are not probed */
    uint64_t timestamp_floor_ns; /* as last persisted; 0 on the first run */
    veld_random_fn *random;
    void *random_ctx;
};

/* NULL when out of memory. */
struct veld_engine *veld_engine_new(const struct veld_engine_config *cfg);
void veld_engine_free(struct veld_engine *e); /* wipes; NULL is allowed */

/* ---- Peers ---- */

struct veld_engine_peer_config {
    uint8_t pub[32];               /* P; proved usable when first needed */
    struct veld_endpoint endpoint; /* as configured; family 0: unknown */
    uint16_t keepalive_s;          /* persistent keepalive; 0: none */
    /*
     * Where it was last, and where it says it is, the likeliest first. While there is no session
     * that answers, each initiation goes to all of them beside the endpoint.
     */
    struct veld_endpoint last_known;
    const struct veld_endpoint *candidates; /* borrowed for the call */
    size_t n_candidates;                    /* at most VELD_CANDIDATES_MAX */
};
/*
 * `id` receives a dense number, reused only after removal. VELD_E_EXIST for a
 * P already here, VELD_E_KEY when P is not canonical or has the same X25519 key
 * as our own or another peer's, VELD_E_FULL. Takes some microseconds: that P is
 * usable is proved when the peer first takes part in a handshake.
 */
VELD_MUST_USE int veld_engine_peer_add(struct veld_engine *e,
                                       const struct veld_engine_peer_config *cfg, uint32_t *id);
/* Change what is configured of a peer without touching its sessions. New candidates are tried at once where
   an attempt is under way. */
VELD_MUST_USE int veld_engine_peer_set(struct veld_engine *e, uint32_t id,
                                       const struct veld_engine_peer_config *cfg);

/* False for an address no answer can go to. */
bool veld_endpoint_usable(const struct veld_endpoint *ep);

enum veld_peer_state {
    VELD_PEER_IDLE,       /* no session, nobody waits */
    VELD_PEER_CONNECTING, /* handshake under way */
    VELD_PEER_ACTIVE,     /* a session sends, and its other end is not silent */
    VELD_PEER_OFFLINE,    /* the last attempt was given up */
    VELD_PEER_BLOCKED,    /* it is not talked to until VELD_EV_UNBLOCK */
};

struct veld_peer_info {
    uint8_t pub[32];
    enum veld_peer_state state;
    struct veld_endpoint endpoint;
    uint64_t last_handshake_wall_ns; /* 0: never */
    uint64_t last_handshake_mono_ns;
    uint64_t rtt_ns;        /* of the last ping or handshake; 0: unknown */
    uint32_t current_index; /* local index of the sending session; 0: none */
    uint32_t attempts;      /* initiations sent in the present attempt */
    uint16_t mtu;           /* inner packets that its path carries; 0: there is none */
    bool mtu_known;         /* that is all it carries: the search for more has ended */
};
VELD_MUST_USE int veld_engine_peer_get(const struct veld_engine *e, uint32_t id,
                                       struct veld_peer_info *out);
/* By P. False when there is none. */
bool veld_engine_peer_find(const struct veld_engine *e, const uint8_t pub[32], uint32_t *id);

/* ---- Events ---- */

enum veld_event_type {
    VELD_EV_DATAGRAM,     /* 0xC1..0xC3 */
    VELD_EV_NEED_SESSION, /* somebody wants to send to `peer` */
    VELD_EV_CALLED,       /* `peer` says by other ways that it does not get through to us */
    VELD_EV_CONFIRMED,    /* first valid datagram on session `index`, whoever initiated it */
    VELD_EV_REKEY_DUE,    /* message limit */
    VELD_EV_MOVED,        /* newest lane-0 datagram of `index` came from `from` */
    VELD_EV_MESSAGE,      /* control message on session `index` */
    VELD_EV_ACTIVITY,     /* what the dataplane saw, about once a second per live peer */
    VELD_EV_PING,         /* send a ping (veld ping, RTT) to `peer` */
    VELD_EV_SEEK, /* is there a better path to `peer`? Nothing without a session in use */
    VELD_EV_NETWORK, /* this machine's ways out changed: does the path to `peer`, if in use, still lead there? */
    VELD_EV_REKEY, /* new keys with `peer` now (veld rekey); VELD_E_LIMIT when it has them */
    VELD_EV_TOO_BIG, /* our own kernel refused an inner packet or probe of `len` bytes to `peer` */
    VELD_EV_BLOCK, /* end all sessions and attempts with `peer`, answer it no more */
    VELD_EV_UNBLOCK,
    VELD_EV_REMOVE_PEER,
    VELD_EV_GOODBYE, /* we are stopping: tell `peer`, retire its sessions */
    VELD_EV_TIMER,
};

struct veld_event {
    enum veld_event_type type;
    uint32_t peer;
    uint32_t index;
    struct veld_endpoint from; /* CONFIRMED, MESSAGE: family 0 when it came on a lane above 0 */
    const uint8_t *data;       /* borrowed for the step */
    size_t len;
    bool under_load; /* DATAGRAM */
    bool no_route;   /* NETWORK: our own kernel knows no way to the endpoint */
    /* ACTIVITY: monotonic ns of the last authenticated datagram, and of the last inner packet; 0 never */
    uint64_t last_sent_ns, last_sent_data_ns, last_received_ns, last_received_data_ns;
};

/* ---- Actions ---- */

enum veld_action_type {
    VELD_ACT_PERSIST_TIMESTAMP, /* make timestamp_floor_ns durable before anything that follows */
    VELD_ACT_SEND,              /* datagram `bytes` to `to` */
    VELD_ACT_INSTALL,           /* session: receive on it */
    VELD_ACT_USE,               /* session `index`: send on it */
    VELD_ACT_RETIRE,            /* session `index`: forget it */
    VELD_ACT_SEND_MESSAGE, /* on session `index`; len 0 is a keepalive; `to` family 0: peer's endpoint */
    VELD_ACT_SET_ENDPOINT, /* peer's endpoint is `to` now; worth remembering on disk */
    /* An attempt begins or goes on, or a path is dead: tell `peer` by other ways, if there are any.
       `called`: it is for others that it is attempted. */
    VELD_ACT_WANTED,
    VELD_ACT_GAVE_UP, /* nobody answered: drop what waits for `peer` */
    VELD_ACT_BAD_KEY, /* P of `peer` is no usable key: the same, for good */
    VELD_ACT_PONG,    /* `peer` answered a ping from `to`; rtt_ns */
    VELD_ACT_PROBE, /* on session `index`, to the peer's endpoint: one message for each of `probes` */
    VELD_ACT_SET_MTU, /* of the path to the peer's endpoint: mtu, mtu_known (path_mtu.h) */
};

struct veld_action {
    enum veld_action_type type;
    uint32_t peer, index;
    struct veld_endpoint to;
    uint64_t timestamp_floor_ns;
    uint64_t rtt_ns;
    uint16_t len;
    uint8_t bytes[VELD_MESSAGE_MAX];
    struct veld_probes probes; /* PROBE */
    uint32_t probe_id;
    uint16_t mtu;
    bool mtu_known;
    bool called; /* WANTED */
    struct {
        uint32_t remote_index;
        uint8_t lanes;
        uint8_t send_key[32], recv_key[32]; /* secret */
        uint64_t reject_at_ns;
    } session; /* INSTALL */
};

#define VELD_ACTIONS_MAX 48 /* no single step makes more */

struct veld_actions {
    size_t n;
    struct veld_action a[VELD_ACTIONS_MAX];
};
void veld_actions_wipe(struct veld_actions *actions);

/*
 * One step. 0, or the reason a datagram or message was dropped as a positive
 * `1 + enum veld_drop` (also counted inside), or a negative error. `out` is
 * reset first; actions it holds are to be carried out whatever is returned.
 * VELD_EV_TIMER handles one peer's due timers and returns 1 (or an error), and
 * 0 when none is due.
 */
int veld_engine_step(struct veld_engine *e, const struct veld_event *ev,
                     const struct veld_now *now, struct veld_actions *out);

/* Monotonic ns of the earliest timer; UINT64_MAX when none runs. */
uint64_t veld_engine_deadline(const struct veld_engine *e);

/*
 * By what the macs of received handshake datagrams are checked, so that others
 * can check them before; it changes when a cookie reply is made. Belongs to the engine.
 */
const struct veld_cookie_checker *veld_engine_cookies(const struct veld_engine *e);

struct veld_engine_stats {
    uint64_t drops[VELD_DROP_COUNT];
    uint64_t initiations_sent, initiations_answered, handshakes_completed;
    uint64_t cookies_sent, cookies_received;
};
void veld_engine_get_stats(const struct veld_engine *e, struct veld_engine_stats *out);

#endif

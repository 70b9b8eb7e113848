/*
 * The boundary between the control thread and the workers: the only header of
 * the dataplane that anyone outside it includes.
 *
 * Commands go in by the functions below; events come out of
 * veld_dataplane_next_event. Workers read peers, routes and sessions through
 * RCU, so a command takes effect without stopping them.
 *
 * Order of calls: open, (peers, routes, sessions)*, start, ..., stop, close.
 * Thread: the control thread only, throughout. Nothing here blocks on a worker
 * except stop.
 *
 * Ownership: every struct passed in is copied; a `struct veld_dataplane_event`
 * is a value and holds its payload.
 */
#ifndef VELD_DATAPLANE_DATAPLANE_H
#define VELD_DATAPLANE_DATAPLANE_H

#include "base/addr.h"
#include "base/drop.h"
#include "base/err.h"
#include "crypto/cookie.h"
#include "wire/datagram.h"
#include "wire/message.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct veld_dataplane;

#define VELD_WORKERS_MAX   64
#define VELD_PEERS_MAX     (1u << 20)
#define VELD_SESSIONS_MAX  (1u << 17) /* live sessions; also the width of an index's slot */
#define VELD_MTU_MIN       1280
#define VELD_MTU_MAX       9000
#define VELD_OWN_ADDRS_MAX 16 /* of this machine inside the tunnel */

/* How packets enter and leave the process (io.h), by the names people give them. */
#define VELD_DP_ENGINES(X)                                                                     \
    X(AUTO, "auto") /* io_uring where it works, else poll */                                   \
    X(IO_URING, "io_uring")                                                                    \
    X(POLL, "poll")

enum veld_dataplane_engine {
#define X(name, text) VELD_DP_ENGINE_##name,
    VELD_DP_ENGINES(X)
#undef X
};

/* Static; never NULL. */
const char *veld_dataplane_engine_name(enum veld_dataplane_engine engine);
/* VELD_E_FORMAT when it names none. Any thread. */
VELD_MUST_USE int veld_dataplane_engine_parse(const char *text,
                                              enum veld_dataplane_engine *out);

struct veld_dataplane_config {
    const char *interface;       /* e.g. "veld0"; "veld%d" lets the kernel choose */
    struct veld_endpoint listen; /* ip any or specific; IPv6 any takes IPv4 too */
    unsigned workers;            /* 1..VELD_WORKERS_MAX */
    unsigned mtu;
    enum veld_dataplane_engine engine;
    const char *aead; /* backend name or "auto" */
    /* This machine's addresses inside the tunnel, by which a routing loop is known. */
    const struct veld_prefix *addrs;
    size_t n_addrs; /* at most VELD_OWN_ADDRS_MAX */
};

/*
 * Create the TUN interface (down, without addresses: netif's work), bind the
 * UDP sockets, choose the engine (probing io_uring), and allocate everything
 * the workers will ever use. On failure nothing is left behind and `diag` says what was missing
 * (privilege, /dev/net/tun, address in use, kernel too old) and what to do.
 */
VELD_MUST_USE int veld_dataplane_open(struct veld_dataplane **out,
                                      const struct veld_dataplane_config *cfg,
                                      struct veld_diag *diag);
VELD_MUST_USE int veld_dataplane_start(struct veld_dataplane *dp, struct veld_diag *diag);
/* Ends and joins the workers. Sessions can still send (goodbye) until close. */
void veld_dataplane_stop(struct veld_dataplane *dp);
/* Wipes and frees everything; the interface disappears. NULL is allowed. */
void veld_dataplane_close(struct veld_dataplane *dp);

/* Facts for status. Strings live as long as `dp`. */
struct veld_dataplane_info {
    char interface[IF_NAMESIZE];
    unsigned ifindex;
    uint16_t listen_port;
    unsigned workers, lanes;
    const char *aead;            /* backend in use */
    const char *engine;          /* in use: "io_uring", "poll" */
    const char *engine_features; /* what of the kernel it uses, in words */
    const char *offload;         /* what the TUN took: "tso4 tso6 uso", ... */
    bool udp_segment, udp_gro;
    bool steered; /* each lane comes to its worker's socket */
};
void veld_dataplane_get_info(const struct veld_dataplane *dp, struct veld_dataplane_info *out);

/* ---- Peers. `id` is the caller's, dense, < VELD_PEERS_MAX. ---- */

VELD_MUST_USE int veld_dataplane_peer_add(struct veld_dataplane *dp, uint32_t id);
/* Also retires its sessions, drops what waits for it and forgets its endpoint; routes go by publish. */
void veld_dataplane_peer_remove(struct veld_dataplane *dp, uint32_t id);
/* Where data to this peer goes. Family 0 forgets it. */
VELD_MUST_USE int veld_dataplane_peer_set_endpoint(struct veld_dataplane *dp, uint32_t id,
                                                   const struct veld_endpoint *ep);

/* ---- Ports of lanes (docs/PROTOCOL.md). A set of workers has bit w for worker w. ---- */

/* Workers whose datagrams to this peer leave by their own port; another endpoint makes it none. */
VELD_MUST_USE int veld_dataplane_peer_set_lane_ports(struct veld_dataplane *dp, uint32_t id,
                                                     uint64_t workers);
struct veld_lane_use {
    uint64_t busy;      /* workers that sent data on a lane above 0 since the time asked for */
    uint64_t have_port; /* workers that have a port of their own */
    uint64_t in_use;    /* as set above */
    uint64_t lane0_ns;  /* when anything was last sent on lane 0; 0: never */
};
VELD_MUST_USE int veld_dataplane_peer_lane_use(const struct veld_dataplane *dp, uint32_t id,
                                               uint64_t since_ns, struct veld_lane_use *out);

/* What a path carries, in inner bytes. */
struct veld_path_size {
    uint16_t mtu; /* passes */
    bool known;   /* and nothing larger does: senders are told so */
};
/* Of the path to the peer's endpoint; a new endpoint's begins with what any path carries. VELD_E_NOENT. */
VELD_MUST_USE int veld_dataplane_peer_set_mtu(struct veld_dataplane *dp, uint32_t id,
                                              struct veld_path_size size);

/* ---- Routes: longest prefix wins, for destinations out and sources in. ---- */

struct veld_route {
    struct veld_prefix prefix; /* masked */
    uint32_t peer;
};
/* Replace the whole table. Prefixes are unique. Peers named must have been added. */
VELD_MUST_USE int veld_dataplane_routes_publish(struct veld_dataplane *dp,
                                                const struct veld_route *routes, size_t n);

/* ---- Sessions ---- */

struct veld_session_params {
    uint32_t peer;
    uint32_t local_index; /* unique among live sessions; its low 17 bits are its slot */
    uint32_t remote_index;
    uint8_t lanes;                      /* 1..64, as agreed */
    uint8_t send_key[32], recv_key[32]; /* direction keys; lane keys are derived from them */
    uint64_t reject_at_ns; /* monotonic; from then on it neither sends nor receives */
};
/* The session receives from now on; it sends only after `use`. The caller wipes `p`. */
VELD_MUST_USE int veld_dataplane_session_install(struct veld_dataplane *dp,
                                                 const struct veld_session_params *p);
/* Send on this session from now on, beginning with the packets that waited for one. */
VELD_MUST_USE int veld_dataplane_session_use(struct veld_dataplane *dp, uint32_t local_index);
/* Neither send nor receive on it again; its keys are wiped once no worker can see it. */
void veld_dataplane_session_retire(struct veld_dataplane *dp, uint32_t local_index);
/* Nobody will come: drop the packets that wait for a session with this peer. */
void veld_dataplane_peer_drop_held(struct veld_dataplane *dp, uint32_t id);

/*
 * ---- Circuits: paths through a relay (docs/PROTOCOL.md) ----
 *
 * A circuit is an endpoint (veld_endpoint_circuit(number)) wherever one is taken or told here:
 * what is sent to it leaves for the relay's endpoint behind a header of type VELD_RELAYED, and what
 * arrives so comes from it. It ends with its relay's peer.
 */

struct veld_circuit {
    /* Ours: what arrives carries it. Unique among circuits and forwards; its low 12 bits are its slot. */
    uint32_t number;
    uint32_t relay;        /* the peer that forwards; its endpoint is an address */
    uint32_t remote_index; /* what leaves carries it */
};
#define VELD_CIRCUITS_MAX 4096 /* circuits and forwards together */

/* Add, or change the remote index. VELD_E_NOENT (no such relay), VELD_E_EXIST (another's slot), VELD_E_RANGE (0), VELD_E_NOMEM. */
VELD_MUST_USE int veld_dataplane_circuit_set(struct veld_dataplane *dp,
                                             const struct veld_circuit *c);
void veld_dataplane_circuit_remove(struct veld_dataplane *dp, uint32_t number);

/*
 * ---- Forwards: relaying for others ----
 *
 * One direction of a circuit: a relayed datagram of `number` that comes from the endpoint of
 * `from` leaves for the endpoint of `to` with `to_index`, otherwise as it came. Nothing is decrypted,
 * nothing relayed is relayed, and neither end is reached by a circuit itself.
 */
struct veld_forward {
    uint32_t number;
    uint32_t from, to; /* peers */
    uint32_t to_index;
    uint64_t bytes_per_s; /* of this direction; 0: no bound */
};
/* Add or change. As circuit_set; VELD_E_INVAL: to where it comes from. Ends with either peer. */
VELD_MUST_USE int veld_dataplane_forward_set(struct veld_dataplane *dp,
                                             const struct veld_forward *f);
void veld_dataplane_forward_remove(struct veld_dataplane *dp, uint32_t number);
struct veld_forward_use {
    uint64_t datagrams, bytes; /* outer payload, given to the kernel to send */
    uint64_t last_ns;          /* monotonic; 0: never */
};
VELD_MUST_USE int veld_dataplane_forward_use(const struct veld_dataplane *dp, uint32_t number,
                                             struct veld_forward_use *out);
/* Of all forwards together; 0: no bound. */
void veld_dataplane_set_forward_rate(struct veld_dataplane *dp, uint64_t bytes_per_s);

/* ---- Sending from the control thread, on the main socket ---- */

/*
 * A handshake or STUN datagram. VELD_E_UNSUPPORTED when the socket has not that family, or STUN is to go
 * by a circuit; VELD_E_NOENT when there is no such circuit now; VELD_E_IO, VELD_E_FULL.
 */
VELD_MUST_USE int veld_dataplane_send_datagram(struct veld_dataplane *dp,
                                               const struct veld_endpoint *to,
                                               const uint8_t *datagram, size_t len);
/*
 * A control message (len > 0) or a keepalive (len 0), sealed on lane 0 of the
 * session, to `to`, or to the peer's endpoint when `to` is NULL.
 */
VELD_MUST_USE int veld_dataplane_send_message(struct veld_dataplane *dp, uint32_t local_index,
                                              const struct veld_endpoint *to,
                                              const uint8_t *message, size_t len);
/*
 * The same to the peer's endpoint, on the session that sends to it now, on the
 * lane of worker `worker`: of worker 0, as above; of others, from their own port.
 * VELD_E_UNSUPPORTED when that worker has none, its lane is 0, or the endpoint is a circuit.
 */
VELD_MUST_USE int veld_dataplane_send_on_lane(struct veld_dataplane *dp, uint32_t peer,
                                              unsigned worker, const uint8_t *message,
                                              size_t len);

/*
 * A control message, padded with zeros to `size` (len..VELD_MTU_MAX) bytes, on
 * lane 0, to the peer's endpoint. VELD_E_LIMIT when the interface it would leave by takes
 * nothing of that size.
 */
VELD_MUST_USE int veld_dataplane_send_probe(struct veld_dataplane *dp, uint32_t local_index,
                                            const uint8_t *message, size_t len, size_t size);
/*
 * A datagram of `peer` came to the own port of `worker`, where it is lost: what
 * stands between does not keep our ports apart, or the peer answers to where a
 * ping came from. It is not authenticated, so it may cost speed and nothing
 * else. False when there is none, or there are too many for one call.
 */
VELD_MUST_USE bool veld_dataplane_next_stray(struct veld_dataplane *dp, uint32_t *peer,
                                             unsigned *worker);

/* ---- What workers saw of a peer, for the timers. Monotonic ns, 0 never; sums over workers. ---- */

struct veld_activity {
    uint64_t last_sent_ns, last_sent_data_ns; /* any authenticated datagram; inner packets */
    uint64_t last_received_ns, last_received_data_ns;
    uint64_t sent_bytes, received_bytes; /* inner bytes */
    uint64_t sent_packets, received_packets;
};
VELD_MUST_USE int veld_dataplane_peer_activity(const struct veld_dataplane *dp, uint32_t id,
                                               struct veld_activity *out);

struct veld_dataplane_stats {
    uint64_t drops[VELD_DROP_COUNT];
    uint64_t datagrams_received, datagrams_sent;
    uint64_t datagrams_forwarded, bytes_forwarded; /* relayed for others */
    uint64_t packets_from_tun,
        packets_to_tun; /* inner packets after splitting, before joining */
    uint64_t super_packets_from_tun, super_packets_to_tun;
};
/* Of one worker, < info.workers. */
struct veld_dataplane_worker {
    struct veld_dataplane_stats stats;
    uint16_t own_port; /* 0: it has none */
};
void veld_dataplane_get_worker(const struct veld_dataplane *dp, unsigned worker,
                               struct veld_dataplane_worker *out);
/* Sums over workers. */
void veld_dataplane_get_stats(const struct veld_dataplane *dp,
                              struct veld_dataplane_stats *out);

/* ---- Events ---- */

enum veld_dataplane_event_type {
    VELD_DP_HANDSHAKE, /* a datagram of type 0xC1..0xC3; from set_cookies on its macs are checked */
    VELD_DP_STUN, /* what veld_stun_is() holds for, on the main port; from anybody, about anything */
    VELD_DP_CONFIRMED, /* the first valid datagram on a session, `use`d or not */
    VELD_DP_NEED_SESSION, /* a packet waits for a session with `peer` (told once until `use` or `drop_held`) */
    VELD_DP_REKEY_DUE, /* the session's send counter passed 2^60 */
    VELD_DP_MOVED, /* highest counter so far on lane 0 came from an address that is not the peer's endpoint */
    VELD_DP_MESSAGE, /* an authenticated control message; may not be well-formed */
    VELD_DP_TOO_BIG, /* the kernel refused to send `peer` an inner packet of `len` bytes: the interface takes less */
};

struct veld_dataplane_event {
    enum veld_dataplane_event_type type;
    uint32_t peer;        /* all but HANDSHAKE, STUN */
    uint32_t local_index; /* CONFIRMED, REKEY_DUE, MOVED, MESSAGE */
    struct veld_endpoint
        from;        /* HANDSHAKE, STUN, MOVED; CONFIRMED, MESSAGE: family 0 unless on lane 0 */
    bool under_load; /* HANDSHAKE: too many come, so initiators are asked for a cookie */
    bool proved;     /* HANDSHAKE under load: by its mac2 the sender is where it says */
    uint16_t len;    /* of a MESSAGE, also of one longer than `bytes` */
    uint8_t bytes[VELD_MESSAGE_MAX]; /* HANDSHAKE, STUN, MESSAGE */
};

/* Readable while events wait; level-triggered. */
int veld_dataplane_event_fd(const struct veld_dataplane *dp);
/* Take one event; false (and the descriptor is quiet) when none waits. */
bool veld_dataplane_next_event(struct veld_dataplane *dp, struct veld_dataplane_event *out);
/* Workers check handshake datagrams by a copy of `c` from now on, so that floods end there. */
VELD_MUST_USE int veld_dataplane_set_cookies(struct veld_dataplane *dp,
                                             const struct veld_cookie_checker *c);

#endif

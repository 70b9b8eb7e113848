/*
 * Peers as the dataplane knows them: which session sends, where to, and what
 * was seen of them. A peer without a session costs about 200 bytes.
 *
 * Invariants:
 *  - a peer's fields are changed by the control thread; workers read them
 *    through RCU and write only the told-flags and their own line of activity;
 *  - a number is one peer of one generation; whoever remembers a peer across
 *    turns remembers a veld_peer_ref and looks it up again.
 */
#ifndef VELD_DATAPLANE_PEER_H
#define VELD_DATAPLANE_PEER_H

#include "dataplane/routes.h"
#include "dataplane/session.h"
#include "dataplane/stats.h"

#include <assert.h>
#include <sys/socket.h>

/* Where data goes to; immutable once published. */
struct veld_path {
    struct veld_rcu rcu;
    struct veld_endpoint endpoint;
    /* Where it was before, and until when what is relayed is still taken from there: both ends of a
       session move to another address at different moments. */
    struct veld_endpoint previous;
    uint64_t previous_until_ns;
    struct sockaddr_in6 to; /* or sockaddr_in: whichever fits the socket; unused by a circuit */
    socklen_t to_len;
    /* Bit w: worker w may leave by its own port for lanes above 0; the peer has answered it. */
    uint64_t lane_ports;
    uint8_t prefix; /* a circuit: bytes of the relay's header before each datagram; else 0 */
    uint16_t mtu;   /* inner packets that pass */
    bool mtu_known; /* and nothing larger does: senders may be told so */
};

#define VELD_PATH_PREVIOUS_NS (10 * VELD_NS_PER_S)

/* Is what comes from there the peer's, as far as addresses tell? */
static inline bool veld_path_is_from(const struct veld_path *p,
                                     const struct veld_endpoint *from, uint64_t now_ns)
{
    return veld_endpoint_equal(&p->endpoint, from) ||
           (now_ns < p->previous_until_ns && veld_endpoint_equal(&p->previous, from));
}

/* What one thread saw of a peer: one cache line, that thread its only writer. */
struct veld_activity_line {
    _Alignas(VELD_CACHE_LINE) veld_counter last_sent_ns;
    veld_counter last_sent_data_ns, last_received_ns, last_received_data_ns;
    veld_counter sent_bytes, received_bytes, sent_packets, received_packets;
};
static_assert(sizeof(struct veld_activity_line) == VELD_CACHE_LINE, "one line each");

struct veld_peer {
    struct veld_rcu rcu;
    struct veld_peer_ref ref;
    _Atomic(struct veld_session *) tx; /* sends; NULL: packets wait */
    _Atomic(struct veld_path *) path;  /* NULL: address unknown */
    /* One line a thread; made with the first session, before anyone can see that. */
    struct veld_activity_line *activity;
    struct veld_session *sessions; /* control's list */
    /* Raised by control: packets held under an older number are dropped. */
    _Atomic uint32_t drop_held;
    atomic_bool need_told;          /* a worker said NEED_SESSION and nobody came yet */
    _Atomic uint64_t moved_told_ns; /* when a worker last said MOVED */
};

struct veld_peers {
    _Atomic(struct veld_peer *) *slots; /* VELD_PEERS_MAX, lazily touched */
    uint32_t last_generation;
};

VELD_MUST_USE int veld_peers_init(struct veld_peers *p);
/* Frees the peers in it too; no worker may be running. */
void veld_peers_free(struct veld_peers *p);

/* VELD_E_RANGE, VELD_E_EXIST, VELD_E_NOMEM. */
VELD_MUST_USE int veld_peers_add(struct veld_peers *p, uint32_t id);
/* Unpublish and retire a peer that has no sessions any more. */
void veld_peers_remove(struct veld_peers *p, struct veld_peer *peer);

/* NULL when there is none of that number. Workers, through RCU, and control. */
struct veld_peer *veld_peers_get(const struct veld_peers *p, uint32_t id);
/* NULL also when the number has passed to another generation. */
struct veld_peer *veld_peers_find(const struct veld_peers *p, struct veld_peer_ref ref);

/* Publish a new path (NULL: none) and retire the old. `path` becomes the peer's. */
void veld_peer_set_path(struct veld_peer *peer, struct veld_path *path);

static inline struct veld_path *veld_peer_path(const struct veld_peer *peer)
{
    return atomic_load_explicit(&peer->path, memory_order_acquire);
}

/* The session that sends now; NULL when there is none or it is past its time. */
static inline struct veld_session *veld_peer_tx(const struct veld_peer *peer, uint64_t now_ns)
{
    struct veld_session *s = atomic_load_explicit(&peer->tx, memory_order_acquire);
    return s && !veld_session_expired(s, now_ns) ? s : NULL;
}

/* Of `threads` lines. Any thread. */
void veld_activity_sum(const struct veld_activity_line *lines, unsigned threads,
                       struct veld_activity *out);

#endif

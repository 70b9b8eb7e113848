/*
 * A world of control engines on a virtual clock: nodes, each an engine and a
 * model of the dataplane, and a network that loses, delays, reorders and
 * duplicates. It checks the invariants that must hold at every instant; the
 * first one broken stops the world (`failed`, with the reason in `why`).
 *
 *  - the two ends of a session have the same keys, and no key is used twice;
 *  - a session on which both engines know to have heard the other stays receivable as long as
 *    the other end sends on it, unless it expires or somebody stops;
 *  - an endpoint is only ever set to an address of that peer, and is set before a
 *    session sends;
 *  - actions name sessions that exist;
 *  - no path is said to take more than was ever probed through.
 *
 * Order of calls: world_init, node_start*, (world_run_until, things happening
 * to nodes)*, world_end. One thread.
 */
#ifndef VELD_TESTS_SIM_WORLD_H
#define VELD_TESTS_SIM_WORLD_H

#include "control/engine/engine.h"
#include "crypto/replay.h"
#include "../support/random.h"

#define NODES_MAX         4
#define SESSIONS_MAX      32  /* a node's live sessions */
#define KEYS_MAX          512 /* sessions ever made in a run */
#define PACKETS_MAX       4096
#define CAPTURED_MAX      16
#define WORLD_CARRIES_MIN 1220 /* where every search begins */
#define WORLD_CARRIES_MAX 1420 /* the nodes' MTU */

struct session {
    uint32_t local_index, remote_index; /* local 0: free */
    unsigned peer;
    uint8_t send_key[32], recv_key[32];
    uint64_t reject_at_ns, counter;
    bool used, heard;
    bool told; /* the engine knows it was heard */
    struct veld_replay replay;
};

struct link { /* what a node's dataplane knows of one peer */
    bool known;
    uint32_t id;      /* the engine's */
    uint32_t current; /* local index, 0 none */
    struct veld_endpoint endpoint;
    bool told; /* NEED_SESSION was */
    unsigned held;
    uint64_t last_sent_ns, last_sent_data_ns, last_received_ns, last_received_data_ns;
    unsigned data_sent, data_received;
    uint16_t mtu;      /* as the engine set it */
    unsigned moves;    /* of its endpoint */
    uint64_t moved_ns; /* the last of them */
    bool wanted;       /* its engine said so; whoever plays the signals takes it back */
};

struct node {
    const struct veld_identity *identity;
    struct veld_engine *engine; /* NULL: down */
    struct veld_endpoint home, address;
    unsigned moves;
    int64_t wall_offset_ns;
    uint64_t timestamp_floor_ns; /* as persisted */
    uint64_t next_activity_ns;
    unsigned restarts;
    bool under_load, leaving;
    bool asleep; /* suspended: it does nothing and hears nothing, and its clock goes on */
    struct link link[NODES_MAX];
    struct veld_engine_peer_config config[NODES_MAX];
    struct veld_endpoint candidates[NODES_MAX][VELD_CANDIDATES_MAX]; /* what config points to */
    struct session session[SESSIONS_MAX];
};

struct packet {
    uint64_t at_ns, order;
    uint64_t delay_ns; /* more than the network's */
    struct veld_endpoint from, to;
    bool is_data;
    uint16_t len;                    /* of a probe more than `bytes` has */
    uint8_t bytes[VELD_MESSAGE_MAX]; /* handshake datagram, or control message */
    struct {
        uint32_t index;
        uint64_t counter;
        uint8_t key[32];
        bool control;
        bool inner; /* an inner packet; neither: a keepalive */
    } data;
};

struct network {
    unsigned loss, duplicate, hijack; /* per mille */
    uint64_t delay_ns, jitter_ns;
    bool down;
};

struct world {
    struct test_random rng;
    uint64_t now_ns;
    struct network net;
    struct paths *paths; /* paths.h; NULL: everybody reaches everybody */
    /* Inner bytes that pass, now and at most so far; data always does, as a dataplane cuts it to fit. */
    unsigned carries, most_carried;
    unsigned n;
    struct node node[NODES_MAX];
    bool confirm_unused_only; /* the dataplane tells of first datagrams on `next` only */
    bool failed, verbose;
    char why[160];

    unsigned packets_n; /* heap by (at_ns, order) */
    uint64_t order;
    uint16_t heap[PACKETS_MAX], free_packets[PACKETS_MAX];
    unsigned free_n;
    struct packet packet[PACKETS_MAX];

    unsigned keys_n;
    uint8_t keys[KEYS_MAX][32]; /* every send key ever installed */
    unsigned captured_n;
    struct packet captured[CAPTURED_MAX]; /* initiations, to be replayed */
};

void world_init(struct world *w, uint64_t seed, unsigned nodes);
void world_end(struct world *w);
void world_run_until(struct world *w, uint64_t t_ns);
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bring a node up, with the peers in its config; it forgets all but what it persisted. */
void node_start(struct world *w, unsigned i);
void node_stop(struct world *w, unsigned i); /* at once, saying nothing */
void node_event(struct world *w, unsigned i, const struct veld_event *ev);
/* An inner packet for `peer`. */
void node_send(struct world *w, unsigned i, unsigned peer);
/* From now on it sends from, and receives at, another address of its own. */
void node_move(struct world *w, unsigned i);
/* Suspend, until it is woken. */
void node_sleep(struct world *w, unsigned i);
void node_wake(struct world *w, unsigned i);
void node_move_home(struct world *w, unsigned i);
/* All paths take packets of so many bytes now, at least WORLD_CARRIES_MIN. */
void world_set_carries(struct world *w, unsigned bytes);
/* A captured initiation, once more, from an address of nobody. */
void world_replay(struct world *w);
/* An address of nobody, one of many. */
struct veld_endpoint world_nowhere(struct world *w);

/* Queue of what is on its way, by `at_ns`; what does not fit is lost. */
void packet_enqueue(struct world *w, const struct packet *p);
struct packet packet_dequeue(struct world *w); /* the next to arrive; there is one */

/* The session `i` sends to `peer` on, or NULL. */
struct session *node_current(struct world *w, unsigned i, unsigned peer);

#endif

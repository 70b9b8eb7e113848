/*
 * What the engine knows of one peer, and the table of all peers.
 *
 * A peer without a session and without an attempt at one is small (about 200
 * bytes). What it takes to talk is its link, made by veld_peer_wake and given
 * back by veld_peer_rest.
 *
 * To prove a key usable and map it to X25519 costs more than a Diffie-Hellman,
 * so it is done once a peer, when the peer first takes part in a handshake.
 *
 * Invariants:
 *  - ids are dense; a removed peer's id is the first to be used again;
 *  - no two peers have the same X25519 key: that key depends on P without its
 *    sign bit alone, as long as P is canonical, and so they are compared by that;
 *  - who has a session, an attempt or a timer has a link;
 *  - a slot of a session is empty when its local_index is 0.
 *
 * Control thread. Peers belong to the table; a pointer is good until the peer
 * is removed.
 */
#ifndef VELD_CONTROL_ENGINE_PEER_H
#define VELD_CONTROL_ENGINE_PEER_H

#include "control/engine/deadline.h"
#include "control/engine/engine.h"
#include "crypto/noise.h"

#define VELD_PINGS_MAX 4 /* asked for and unanswered; the oldest makes room */
#define VELD_SLOTS     3 /* sessions with a peer */
/* Endpoints an initiation may go to: endpoint, configured, candidates. */
#define VELD_TARGETS_MAX (VELD_CANDIDATES_MAX + 2)

/* A session as the engine sees it: its keys are with the dataplane only. */
struct veld_engine_session {
    uint32_t local_index, remote_index;
    bool initiator;        /* we initiated it */
    bool yields;           /* `next` only: when confirmed it does not become current */
    uint64_t initiated_ns; /* initiator: when the initiation left */
    uint64_t born_ns;      /* when its keys came to be here */
    uint64_t heard_ns;     /* when we were last told of a datagram on it; 0: never */
    uint64_t reject_at_ns;
};

/* Our unanswered initiation. Secret: wiped before it is freed. */
struct veld_engine_handshake {
    struct veld_noise noise;
    uint32_t local_index;
    struct veld_endpoint to; /* where it went */
    bool to_others;          /* and to other addresses too */
    uint64_t sent_ns;
};

/* Pings sent to addresses that are not proved yet. Each address has a token of its own. */
struct veld_engine_challenge {
    uint8_t secret[32];      /* what tokens are made of */
    struct veld_endpoint to; /* family 0: none outstanding */
    bool to_all;             /* others were asked too */
    uint64_t made_ns, sent_ns;
};

/* A search for a better path, or whether the one in use is alive (seek.c). */
struct veld_engine_seek {
    uint8_t secret[32];   /* what tokens are made of */
    uint64_t began_ns;    /* the last one; 0: there was none */
    uint64_t at_ns;       /* the next round, or the next search; VELD_NEVER: none */
    uint8_t round;        /* made of it */
    bool suspect;         /* the endpoint is to answer too */
    bool answered;        /* and has, or there is another by now */
    bool ended;           /* the endpoint is a circuit that is gone: search for another */
    uint64_t answered_ns; /* when the endpoint last did; 0: never */
};

/* A ping somebody asked for. */
struct veld_engine_ping {
    uint8_t token[VELD_PING_TOKEN_SIZE];
    uint64_t sent_ns; /* 0: none */
};

/* What is kept of a peer while there is something to keep. Secret. */
struct veld_engine_link {
    struct veld_cookie_jar jar;
    bool has_shared;
    uint8_t shared[32]; /* X25519 of both static keys, when `has_shared` */

    union { /* both names for the same three sessions */
        struct {
            struct veld_engine_session previous, current, next;
        };
        struct veld_engine_session slots[VELD_SLOTS];
    };
    struct veld_endpoint answered_to; /* where the response that made `next` went */
    bool seeking; /* where `current` leads is asked: which address receives */
    bool waiting; /* and until that is known it is not used */

    /* Our attempt to make a session */
    struct veld_engine_handshake *handshake; /* NULL: no initiation is unanswered */
    bool attempting, cookie_retried, hurried;
    bool called;     /* it began by CALLED, and nobody here waits for it */
    uint8_t hurries; /* for new candidates, in this attempt */
    uint32_t attempts;
    uint64_t attempt_started_ns;
    uint64_t send_due_ns; /* since when the next initiation could have left */

    /* Paths */
    struct veld_engine_challenge challenge;
    struct veld_engine_seek seek;
    struct veld_endpoint left; /* the endpoint before this one; family 0: none */
    uint64_t left_ns;
    struct veld_engine_ping pings[VELD_PINGS_MAX];
    uint64_t ping_wanted_until_ns; /* a ping waits for a session */

    struct veld_path_mtu mtu; /* started while there is a current session */

    /* Traffic, as told by ACTIVITY and by events */
    uint64_t sent_ns, sent_data_ns, heard_ns;
    uint64_t said_since_ns;  /* data went out and nothing came back since; 0: not so */
    uint64_t said_done_ns;   /* data up to here has led to a handshake already */
    bool silent;             /* that lasted too long, and nothing has come back to this day */
    uint64_t heard_since_ns; /* data came in and nothing went out since; 0: not so */

    /* Timers */
    uint64_t handshake_at_ns; /* send an initiation, or end the attempt */
    uint64_t confirm_at_ns;   /* ping on a session we initiated and have heard nothing on */
};

enum veld_key_state {
    VELD_KEY_UNPROVED,
    VELD_KEY_USABLE,   /* x_pub is its X25519 key */
    VELD_KEY_UNUSABLE, /* it is no key at all: nothing can be said to this peer */
};

struct veld_engine_peer {
    uint32_t id;
    uint32_t next_by_pub, next_by_x; /* in their buckets */
    uint8_t pub[32], x_pub[32];
    enum veld_key_state key;
    bool we_lead; /* our P is the smaller: of crossing handshakes ours survives */
    bool offline; /* the last attempt was given up */
    bool blocked; /* no session, no attempt */
    uint16_t keepalive_s;
    struct veld_endpoint configured, endpoint;
    struct veld_endpoint *candidates; /* owned; NULL: none */
    uint8_t n_candidates;
    uint64_t endpoint_proved_ns; /* when it last showed that it receives from us; 0: never */
    uint64_t last_handshake_wall_ns, last_handshake_mono_ns;
    uint64_t rtt_ns;
    uint64_t last_timestamp_ns;    /* of their newest initiation */
    uint64_t last_accepted_ns;     /* when we answered it */
    struct veld_engine_link *link; /* NULL: at rest */
};

/* Give it a link, if it has none. VELD_E_NOMEM. */
VELD_MUST_USE int veld_peer_wake(struct veld_engine_peer *p);
/* Wipe and free the link when there is nothing it is needed for. */
void veld_peer_rest(struct veld_engine_peer *p);

struct veld_peer_table;

/* NULL when out of memory. `seed` keys the hash of the table. */
struct veld_peer_table *veld_peer_table_new(uint32_t max_peers, const uint8_t seed[16]);
void veld_peer_table_free(
    struct veld_peer_table *t); /* wipes and frees all peers; NULL is allowed */

/*
 * A zeroed peer with id and P set, at rest, its key unproved. VELD_E_EXIST,
 * VELD_E_KEY (not canonical, or another peer's but for the sign), VELD_E_FULL,
 * VELD_E_NOMEM.
 */
VELD_MUST_USE int veld_peer_table_add(struct veld_peer_table *t, const uint8_t pub[32],
                                      struct veld_engine_peer **out);
/* Wipes and frees it. */
void veld_peer_table_remove(struct veld_peer_table *t, struct veld_engine_peer *p);
/* Prove the key and set x_pub, unless that is done already. VELD_E_KEY when it is unusable. */
VELD_MUST_USE int veld_peer_table_prove(struct veld_peer_table *t, struct veld_engine_peer *p);

/* NULL when there is none. By x_pub only those whose key is proved are found. */
struct veld_engine_peer *veld_peer_table_get(const struct veld_peer_table *t, uint32_t id);
struct veld_engine_peer *veld_peer_table_find(const struct veld_peer_table *t,
                                              const uint8_t pub[32]);
struct veld_engine_peer *veld_peer_table_find_by_x(const struct veld_peer_table *t,
                                                   const uint8_t x_pub[32]);

/* Drop the unanswered initiation's secrets; its index is the caller's to release. */
void veld_engine_handshake_free(struct veld_engine_handshake *h); /* NULL is allowed */

#endif

/*
 * What the engine knows of one peer, and the table of all peers.
 *
 * Invariants:
 *  - ids are dense; a removed peer's id is the first to be used again;
 *  - no two peers have the same X25519 key, so that key alone finds a peer, and
 *    P is then compared in full (two P share one X25519 key);
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
    struct veld_endpoint to;
    uint64_t sent_ns;
};

/* A ping sent to an address that is not proved yet. */
struct veld_engine_challenge {
    uint8_t token[VELD_PING_TOKEN_SIZE];
    struct veld_endpoint to; /* family 0: none outstanding */
    uint64_t made_ns, sent_ns;
};

/* A ping somebody asked for. */
struct veld_engine_ping {
    uint8_t token[VELD_PING_TOKEN_SIZE];
    uint64_t sent_ns; /* 0: none */
};

struct veld_engine_peer {
    uint32_t id, next_in_bucket;
    uint8_t pub[32], x_pub[32];
    bool we_lead; /* our P is the smaller: of crossing handshakes ours survives */
    uint16_t keepalive_s;
    struct veld_endpoint configured, endpoint;
    uint64_t endpoint_proved_ns; /* when it last showed that it receives from us; 0: never */
    struct veld_cookie_jar jar;

    /* Sessions */
    struct veld_engine_session previous, current, next;
    struct veld_endpoint answered_to; /* where the response that made `next` went */
    uint64_t last_handshake_wall_ns, last_handshake_mono_ns;
    uint64_t rtt_ns;

    /* Our attempt to make a session */
    struct veld_engine_handshake *handshake; /* NULL: no initiation is unanswered */
    bool attempting, offline, cookie_retried, hurried;
    uint32_t attempts;
    uint64_t attempt_started_ns;
    uint64_t send_due_ns; /* since when the next initiation could have left */

    /* Their attempts */
    uint64_t last_timestamp_ns; /* of their newest initiation */
    uint64_t last_accepted_ns;  /* when we answered it */

    /* Paths */
    struct veld_engine_challenge challenge;
    struct veld_engine_ping pings[VELD_PINGS_MAX];
    uint64_t ping_wanted_until_ns; /* a ping waits for a session */

    /* Traffic, as told by ACTIVITY and by events */
    uint64_t sent_ns, heard_ns;
    uint64_t said_since_ns;  /* data went out and nothing came back since; 0: not so */
    uint64_t said_done_ns;   /* data up to here has led to a handshake already */
    uint64_t heard_since_ns; /* data came in and nothing went out since; 0: not so */

    /* Timers */
    uint64_t handshake_at_ns; /* send an initiation, or end the attempt */
    uint64_t confirm_at_ns;   /* ping on a session we initiated and have heard nothing on */
};

struct veld_peer_table;

/* NULL when out of memory. `seed` keys the hash of the table. */
struct veld_peer_table *veld_peer_table_new(uint32_t max_peers, const uint8_t seed[16]);
void veld_peer_table_free(
    struct veld_peer_table *t); /* wipes and frees all peers; NULL is allowed */

/* A zeroed peer with id and keys set. VELD_E_EXIST, VELD_E_KEY, VELD_E_FULL, VELD_E_NOMEM. */
VELD_MUST_USE int veld_peer_table_add(struct veld_peer_table *t, const uint8_t pub[32],
                                      struct veld_engine_peer **out);
/* Wipes and frees it. */
void veld_peer_table_remove(struct veld_peer_table *t, struct veld_engine_peer *p);

/* NULL when there is none. */
struct veld_engine_peer *veld_peer_table_get(const struct veld_peer_table *t, uint32_t id);
struct veld_engine_peer *veld_peer_table_find(const struct veld_peer_table *t,
                                              const uint8_t x_pub[32]);

/* Drop the unanswered initiation's secrets; its index is the caller's to release. */
void veld_engine_handshake_free(struct veld_engine_handshake *h); /* NULL is allowed */

#endif

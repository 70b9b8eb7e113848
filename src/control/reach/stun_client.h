/*
 * The asking side of STUN's Binding method (RFC 8489): one round of questions to some servers,
 * and what their answers say together of the NAT between.
 *
 * Invariants:
 *  - an answer counts once, from the very endpoint that was asked, with the random id of the
 *    question, and when it tells an address of the family that was asked by, which can be a
 *    host's; a new round makes all earlier ids void;
 *  - a question is sent at most VELD_STUN_SENDS times, at the intervals of section 6.2.1, and then
 *    has failed. The question again has the same id, so that a late answer counts.
 *
 * Order of calls: init, then begin for each round; next until it gives nothing, whenever
 * deadline has passed; answer for what comes. Pure: times are passed in, > 0. Control thread.
 */
#ifndef VELD_CONTROL_REACH_STUN_CLIENT_H
#define VELD_CONTROL_REACH_STUN_CLIENT_H

#include "base/clock.h"
#include "crypto/cookie.h"
#include "stun/stun.h"

#include <stdbool.h>

#define VELD_STUN_SERVERS_MAX   8
#define VELD_STUN_RTO_NS        (500 * VELD_NS_PER_MS)
#define VELD_STUN_SENDS         5 /* at 0, 0.5, 1.5, 3.5, 7.5 s; failed at 15.5 s */
#define VELD_STUN_SILENT_ROUNDS 2

enum veld_stun_state { VELD_STUN_WAITS, VELD_STUN_ANSWERED, VELD_STUN_FAILED };

struct veld_stun_query {
    struct veld_endpoint server;
    uint8_t id[VELD_STUN_ID_SIZE];
    enum veld_stun_state state;
    unsigned sent;
    uint64_t sent_ns, next_ns;   /* last sent; to be sent again, or given up */
    struct veld_endpoint mapped; /* ANSWERED */
    uint64_t rtt_ns;             /* 0: not known, since it was asked more than once */
};

struct veld_stun_client {
    veld_random_fn *random;
    void *random_ctx;
    struct veld_stun_query query[VELD_STUN_SERVERS_MAX];
    size_t n;
    unsigned silent4, silent6; /* whole rounds without an answer, before this one, in a row */
};

/* RFC 4787, 4.1, as far as the servers that answered tell. */
enum veld_stun_mapping {
    VELD_STUN_MAPPING_UNKNOWN, /* fewer than two answers */
    VELD_STUN_MAPPING_SAME,    /* endpoint-independent */
    VELD_STUN_MAPPING_VARIES,  /* depends on the destination: a symmetric NAT */
};

struct veld_stun_view {
    size_t asked, answered;
    struct veld_endpoint mapped; /* as the first server that answered has it; family 0: none */
    enum veld_stun_mapping mapping;
};

void veld_stun_client_init(struct veld_stun_client *c, veld_random_fn *random, void *ctx);
/* Each server once; of more than VELD_STUN_SERVERS_MAX the first. */
void veld_stun_client_begin(struct veld_stun_client *c, const struct veld_endpoint *servers,
                            size_t n, uint64_t now_ns);
/* A question that is to be sent now; false: none. */
bool veld_stun_client_next(struct veld_stun_client *c, uint64_t now_ns,
                           struct veld_endpoint *to, uint8_t id[VELD_STUN_ID_SIZE]);
/* The server cannot be sent to: its question has failed. */
void veld_stun_client_unsendable(struct veld_stun_client *c, const struct veld_endpoint *to);
/* When next has something to do; UINT64_MAX: the round is over. */
uint64_t veld_stun_client_deadline(const struct veld_stun_client *c);
/* VELD_E_NOENT: it answers nothing that is asked there; VELD_E_INVAL: by what cannot be. */
VELD_MUST_USE int veld_stun_client_answer(struct veld_stun_client *c,
                                          const struct veld_endpoint *from,
                                          const struct veld_stun *answer, uint64_t now_ns);
/* What is known of this family (4, 6). */
struct veld_stun_view veld_stun_client_view(const struct veld_stun_client *c, uint8_t family);
/*
 * Is what was learnt earlier of this family void? When the last VELD_STUN_SILENT_ROUNDS rounds
 * that asked, and came to their end, had no answer: one may have been lost.
 */
bool veld_stun_client_lost(const struct veld_stun_client *c, uint8_t family);

#endif

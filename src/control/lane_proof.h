/*
 * Which of our workers' own ports one peer takes datagrams from: found out by
 * pings, in rounds.
 *
 * A round asks for every worker that sends to the peer, repeats what is not
 * answered, and ends when all is answered or given up. Another one begins when
 * a worker begins to send, and every VELD_LANE_ROUND_NS while any does.
 *
 * Invariants:
 *  - a port is proved only by the pong to a ping of the present round that left
 *    from it, and stays so only while later rounds find it in use and answered;
 *  - whoever makes this anew, as is done when the endpoint changes, has proved
 *    nothing, and no pong to an earlier ping counts.
 *
 * A set of workers has bit w for worker w. Order of calls: zeroed; then step
 * about twice a second, and pong at any time. Control thread; no I/O.
 */
#ifndef VELD_CONTROL_LANE_PROOF_H
#define VELD_CONTROL_LANE_PROOF_H

#include "base/clock.h"
#include "wire/message.h"

#include <stdbool.h>

#define VELD_LANE_TRIES      3
#define VELD_LANE_ASK_NS     (900 * VELD_NS_PER_MS) /* between two tries: each second tick */
#define VELD_LANE_ROUND_NS   (3 * VELD_NS_PER_S)
#define VELD_LANE_REFUSED_NS (60 * VELD_NS_PER_S) /* what was given up is left alone so long */

struct veld_lane_proof {
    uint64_t proved;  /* may be used */
    uint64_t asked;   /* not answered yet, in this round */
    uint64_t refused; /* given up */
    uint64_t barred;  /* not to be asked for again */
    uint64_t began_ns, asked_ns, refused_ns;
    unsigned tries;
    uint8_t token[VELD_PING_TOKEN_SIZE]; /* the round's; byte 0 is the worker's number */
};

/* `busy`: who sends to the peer. The workers to send a ping for, now. */
uint64_t veld_lane_proof_step(struct veld_lane_proof *p, uint64_t busy, uint64_t now_ns);
/* The ping of this round for one worker. */
struct veld_message veld_lane_proof_ping(const struct veld_lane_proof *p, unsigned worker);
/* A pong from the peer. True when it proved a port. */
bool veld_lane_proof_pong(struct veld_lane_proof *p, const struct veld_message *pong);
/* The peer's datagrams come to this port, where they are lost: never use it. */
void veld_lane_proof_bar(struct veld_lane_proof *p, unsigned worker);
/* Nothing is known or asked: it may be thrown away. */
bool veld_lane_proof_idle(const struct veld_lane_proof *p);

#endif

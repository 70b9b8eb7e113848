/*
 * What a handshake datagram must pass in the worker before the control thread
 * hears of it: floods are to end here, at the price of one hash.
 *
 *   - mac1, which shows no more than that the sender knows our key;
 *   - an answer (response, cookie reply): that its index is one we wait for;
 *   - an initiation: while few come, nothing more. More than
 *     VELD_GATE_CALM_PER_S, or a queue to control that fills, is load, for
 *     VELD_GATE_LOAD_S after it was last so. Under load an initiation whose mac2
 *     proves its sender's address passes; of the others, to be sent a cookie,
 *     VELD_GATE_PER_ADDRESS in VELD_GATE_EPOCH_S from an address (IPv6: a /64; a circuit is one), each
 *     from other ports, and at most VELD_GATE_COOKIES_PER_S in all. So whoever is
 *     new is answered at once, as long as those bounds times the addresses of a
 *     flood stay below what may be sent.
 *
 * STUN, which anybody may send and nothing proves, has a bound of its own.
 *
 * Which addresses were let through is a set of bits by a hash whose key lives as
 * long as the set: a stranger cannot aim at somebody's bit, and two addresses that
 * share one do so until the next epoch only.
 *
 * Invariant: memory and work a datagram are bounded, whatever comes.
 *
 * Order of calls: init, admit*. One worker's; no locks. What control shares with
 * it (the cookie secret, awaited indices) is in the tables.
 */
#ifndef VELD_DATAPLANE_GATE_H
#define VELD_DATAPLANE_GATE_H

#include "base/drop.h"
#include "dataplane/context.h"

#define VELD_GATE_CALM_PER_S    500u /* initiations answered without a cookie */
#define VELD_GATE_CALM_BURST    100u
#define VELD_GATE_COOKIES_PER_S 10000u /* some 5 us of control each */
#define VELD_GATE_COOKIES_BURST 1000u
#define VELD_GATE_ANSWERS_PER_S 20000u /* to what we sent; forging one takes its index */
#define VELD_GATE_ANSWERS_BURST 1000u
#define VELD_GATE_STUN_PER_S    200u
#define VELD_GATE_STUN_BURST    50u
#define VELD_GATE_LOAD_S        1
#define VELD_GATE_EPOCH_S       4 /* less than an initiator waits before it tries again */
#define VELD_GATE_PER_ADDRESS   4 /* many may be behind one address */
#define VELD_GATE_BITS          (1u << 18)

/* A bucket of tokens, `per_s` a second. */
struct veld_gate_bucket {
    uint64_t filled_at_ns, tokens_ns; /* a token is 1 s / per_s */
};

struct veld_gate {
    struct veld_gate_bucket calm, cookies, answers, stun;
    uint64_t loaded_until_ns;
    uint64_t epoch_ends_ns;
    uint8_t seed[16];
    uint64_t seen[VELD_GATE_BITS / 64]; /* addresses let through unproved in this epoch */
};

void veld_gate_init(struct veld_gate *g);

/*
 * Whether `ev`, a handshake datagram with sender and bytes, may be queued; then
 * its `under_load` and `proved` are set. Else `reason` says why not.
 */
VELD_MUST_USE bool veld_gate_admit(struct veld_gate *g, const struct veld_context *ctx,
                                   struct veld_dataplane_event *ev, enum veld_drop *reason);
/* Whether one more STUN message may be queued now. */
VELD_MUST_USE bool veld_gate_admit_stun(struct veld_gate *g, const struct veld_context *ctx);

#endif

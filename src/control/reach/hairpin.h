/*
 * Whether the NAT hairpins (RFC 4787, 6): turns back inside what is sent to our own mapped address.
 * Tried by STUN requests of ours to there, which nobody answers: one that comes is the answer.
 *
 * Invariant: a request counts for its 96-bit random id, which nobody else knows before one was sent,
 * and only then.
 *
 * Order of calls: zeroed; begin, once the mapped address is known; then any.
 * Pure; control thread.
 */
#ifndef VELD_CONTROL_REACH_HAIRPIN_H
#define VELD_CONTROL_REACH_HAIRPIN_H

#include "base/addr.h"
#include "base/clock.h"
#include "stun/stun.h"

#define VELD_HAIRPIN_SENDS  4
#define VELD_HAIRPIN_GAP_NS (250 * VELD_NS_PER_MS)

enum veld_hairpin_verdict { VELD_HAIRPIN_UNKNOWN, VELD_HAIRPIN_NO, VELD_HAIRPIN_YES };

struct veld_hairpin {
    struct veld_endpoint to; /* family 0: not begun */
    uint8_t id[VELD_STUN_ID_SIZE];
    unsigned sent;
    uint64_t next_ns;
    bool came;
};

/* Only the first time. */
void veld_hairpin_begin(struct veld_hairpin *h, const struct veld_endpoint *mapped,
                        const uint8_t id[VELD_STUN_ID_SIZE]);
/* True: a request with the id goes to `to` now. */
bool veld_hairpin_is_due(struct veld_hairpin *h, uint64_t now_ns);
/* A request came, with this id: is it ours? */
bool veld_hairpin_take(struct veld_hairpin *h, const uint8_t id[VELD_STUN_ID_SIZE]);
/* Nothing is waited for: it came, the time is over, or it has not begun. */
bool veld_hairpin_is_over(const struct veld_hairpin *h);
enum veld_hairpin_verdict veld_hairpin_verdict(const struct veld_hairpin *h);

#endif

/*
 * What one member may have of this machine as a relay, and what it may make it do to others.
 *
 * Invariants:
 *  - a member has at most VELD_ALLOWANCE_CIRCUITS circuits that it asked for;
 *  - it is answered VELD_ALLOWANCE_BURST requests at once, and VELD_ALLOWANCE_PER_S a second in the
 *    long run; as many offers reach it, whoever they are for;
 *  - of those, one in VELD_ALLOWANCE_OFFER_GAP_NS is for one and the same other member, however often
 *    that one asks, closes, and asks again.
 *
 * Pure: times are passed in, > 0. Control thread.
 */
#ifndef VELD_CONTROL_REACH_ALLOWANCES_H
#define VELD_CONTROL_REACH_ALLOWANCES_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_ALLOWANCE_CIRCUITS     64
#define VELD_ALLOWANCE_BURST        64
#define VELD_ALLOWANCE_PER_S        10
#define VELD_ALLOWANCE_OFFER_GAP_NS (5 * VELD_NS_PER_S)
#define VELD_ALLOWANCE_OFFERS_MAX   4096 /* of all members, in that time */

struct veld_allowances;
struct veld_allowances *veld_allowances_new(void);
void veld_allowances_free(struct veld_allowances *a); /* NULL is allowed */

/* It asks: may it be answered? */
VELD_MUST_USE bool veld_allowances_ask(struct veld_allowances *a, uint32_t member,
                                       uint64_t now_ns);
/* One circuit more, if it may have that; each is given back. */
VELD_MUST_USE bool veld_allowances_take(struct veld_allowances *a, uint32_t member);
void veld_allowances_give(struct veld_allowances *a, uint32_t member);
/* May `to` be offered a circuit to `from` now? Then `offered` follows when that has left. */
VELD_MUST_USE bool veld_allowances_may_offer(struct veld_allowances *a, uint32_t from,
                                             uint32_t to, uint64_t now_ns);
void veld_allowances_offered(struct veld_allowances *a, uint32_t from, uint32_t to,
                             uint64_t now_ns);
/* Now and then: forget offers that are old. */
void veld_allowances_expire(struct veld_allowances *a, uint64_t now_ns);
/* The member is gone, and has no circuits; its number may be another's next. */
void veld_allowances_forget(struct veld_allowances *a, uint32_t member);

#endif

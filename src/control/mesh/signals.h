/*
 * Which signals between members are made and believed: a bound on how many, and
 * what came before.
 *
 * Invariants:
 *  - no signal of a sender is accepted whose sequence is not greater than the last;
 *  - a member that is called is called at most once in VELD_SIGNAL_GAP_S, and all of
 *    them together at most VELD_SIGNALS_PER_S times a second;
 *  - signals that come are looked into at most as often, so that whoever sends many
 *    costs no more than that; and those of one sender VELD_SIGNALS_OF_ONE_PER_S times a
 *    second, so that he keeps no other from being heard;
 *  - of each member in `to` and `from` a little is remembered for a while, and of nobody
 *    else: the caller passes members alone, of which there is a bound.
 *
 * Pure: times are passed in. Control thread.
 */
#ifndef VELD_CONTROL_MESH_SIGNALS_H
#define VELD_CONTROL_MESH_SIGNALS_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>

#define VELD_SIGNAL_GAP_S         4
#define VELD_SIGNALS_PER_S        50
#define VELD_SIGNALS_BURST        200
#define VELD_SIGNAL_WINDOW_S      120 /* older, or that far in the future: not believed */
#define VELD_SIGNALS_OF_ONE_PER_S 4
#define VELD_SIGNALS_OF_ONE_BURST 16

struct veld_signals;
struct veld_signals *veld_signals_new(void);
void veld_signals_free(struct veld_signals *s); /* NULL is allowed */

/*
 * May this member be called now? Then `sequence` is the call's, greater than any
 * before. VELD_E_LIMIT.
 */
VELD_MUST_USE int veld_signals_call(struct veld_signals *s, const uint8_t to[32],
                                    const struct veld_now *now, uint64_t *sequence);

/*
 * May one more that came, as it says from this member, be looked into? VELD_E_LIMIT.
 */
VELD_MUST_USE int veld_signals_look(struct veld_signals *s, const uint8_t from[32],
                                    const struct veld_now *now);
/*
 * One that its seal proved to be from this member: VELD_E_REPLAY when it is not
 * newer than the last of that sender, VELD_E_RANGE when it is too old or from the future.
 */
VELD_MUST_USE int veld_signals_accept(struct veld_signals *s, const uint8_t from[32],
                                      uint64_t sequence, const struct veld_now *now);
/* Give back what is remembered of members and cannot matter any more; once a minute or so. */
void veld_signals_prune(struct veld_signals *s, const struct veld_now *now);

#endif

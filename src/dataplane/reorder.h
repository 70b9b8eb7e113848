/*
 * The order in which a batch is delivered: what the network overtook within it
 * is put back, so that segments of one super-packet stand beside each other and
 * are joined, and a flow inside sees no reordering that one turn can mend.
 *
 * Invariants:
 *  - items of one lane leave by ascending counter, unless one would have to pass
 *    more than VELD_REORDER_WALK_MAX others: then it leaves behind those, which
 *    bounds what reordering on purpose can cost;
 *  - lanes leave one after the other, by the arrival of their first items;
 *  - every item added leaves once.
 *
 * An item is a number below VELD_REORDER_MAX; a lane is told from others by its
 * address alone. In order, an item costs a comparison and two stores.
 *
 * Order of calls: begin, add*, link, then next. Before the first begin
 * it is zeroed. The worker that owns it.
 */
#ifndef VELD_DATAPLANE_REORDER_H
#define VELD_DATAPLANE_REORDER_H

#include "crypto/aead.h"

#include <stdint.h>

#define VELD_REORDER_MAX      VELD_AEAD_BATCH_MAX
#define VELD_REORDER_WALK_MAX 64 /* what one receive can hold */
#define VELD_REORDER_END      UINT16_MAX
#define VELD_REORDER_SLOTS    (2 * VELD_REORDER_MAX) /* a power of two */

struct veld_reorder {
    uint64_t counter[VELD_REORDER_MAX]; /* by item */
    uint16_t next[VELD_REORDER_MAX], prev[VELD_REORDER_MAX];
    /* The lanes seen in this batch, in order of their first items. */
    unsigned n_lanes;
    struct {
        const void *lane;
        uint16_t first, last, slot;
    } lanes[VELD_REORDER_MAX];
    uint16_t current;                   /* the lane of the last item */
    uint16_t slots[VELD_REORDER_SLOTS]; /* 1 + lane's place in `lanes`, by hash; 0: free */
};

void veld_reorder_begin(struct veld_reorder *r);
/* Each item once; counters of one lane are distinct. */
void veld_reorder_add(struct veld_reorder *r, uint16_t item, const void *lane,
                      uint64_t counter);
/* The first item to leave, VELD_REORDER_END when there is none. Nothing is added after it. */
uint16_t veld_reorder_link(struct veld_reorder *r);

static inline uint16_t veld_reorder_next(const struct veld_reorder *r, uint16_t item)
{
    return r->next[item];
}

#endif

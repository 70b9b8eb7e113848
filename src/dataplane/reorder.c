#include "dataplane/reorder.h"

#include <assert.h>

void veld_reorder_begin(struct veld_reorder *r)
{
    for (unsigned i = 0; i < r->n_lanes; i++)
        r->slots[r->lanes[i].slot] = 0;
    r->n_lanes = 0;
}

/* Fibonacci hashing: lanes are at least a cache line apart, so low bits say nothing. */
static unsigned slot_of(const void *lane)
{
    return (unsigned)(((uint64_t)(uintptr_t)lane * 0x9e3779b97f4a7c15u) >> 32) %
           VELD_REORDER_SLOTS;
}

/* The place of `lane`; a new one has no items. At most half of the slots are ever taken. */
static uint16_t find_lane(struct veld_reorder *r, const void *lane)
{
    unsigned slot = slot_of(lane);
    for (; r->slots[slot]; slot = (slot + 1) % VELD_REORDER_SLOTS)
        if (r->lanes[r->slots[slot] - 1].lane == lane)
            return (uint16_t)(r->slots[slot] - 1);
    uint16_t place = (uint16_t)r->n_lanes++;
    r->slots[slot] = (uint16_t)(place + 1);
    r->lanes[place].lane = lane;
    r->lanes[place].first = r->lanes[place].last = VELD_REORDER_END;
    r->lanes[place].slot = (uint16_t)slot;
    return place;
}

void veld_reorder_add(struct veld_reorder *r, uint16_t item, const void *lane, uint64_t counter)
{
    assert(item < VELD_REORDER_MAX);
    if (r->n_lanes == 0 || r->lanes[r->current].lane != lane)
        r->current = find_lane(r, lane);
    uint16_t before = r->lanes[r->current].last, after = VELD_REORDER_END;
    for (unsigned i = 0; i < VELD_REORDER_WALK_MAX && before != VELD_REORDER_END &&
                         r->counter[before] > counter;
         i++) {
        after = before;
        before = r->prev[before];
    }
    r->counter[item] = counter;
    r->prev[item] = before;
    r->next[item] = after;
    if (before == VELD_REORDER_END)
        r->lanes[r->current].first = item;
    else
        r->next[before] = item;
    if (after == VELD_REORDER_END)
        r->lanes[r->current].last = item;
    else
        r->prev[after] = item;
}

uint16_t veld_reorder_link(struct veld_reorder *r)
{
    if (r->n_lanes == 0)
        return VELD_REORDER_END;
    for (unsigned i = 1; i < r->n_lanes; i++)
        r->next[r->lanes[i - 1].last] = r->lanes[i].first;
    return r->lanes[0].first;
}

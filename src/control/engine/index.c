#include "control/engine/index.h"

#include <assert.h>
#include <stdlib.h>

#define SLOT_MASK ((1u << VELD_INDEX_SLOT_BITS) - 1)
#define NO_SLOT   UINT32_MAX

struct slot {
    uint32_t index; /* 0: free */
    uint32_t peer;  /* in use; when free: the slot freed after this one, or NO_SLOT */
};

struct veld_index_table {
    uint32_t slots;
    uint32_t fresh;                 /* slots from here on have never been used */
    uint32_t free_first, free_last; /* queue of the freed; NO_SLOT when empty */
    struct slot slot[];
};

struct veld_index_table *veld_index_table_new(uint32_t slots)
{
    if (slots > SLOT_MASK + 1)
        slots = SLOT_MASK + 1;
    struct veld_index_table *t = calloc(1, sizeof *t + slots * sizeof t->slot[0]);
    if (!t)
        return NULL;
    t->slots = slots;
    t->free_first = t->free_last = NO_SLOT;
    return t;
}

void veld_index_table_free(struct veld_index_table *t)
{
    free(t);
}

int veld_index_table_alloc(struct veld_index_table *t, uint32_t peer, uint32_t random,
                           uint32_t *index)
{
    uint32_t slot;
    if (t->fresh < t->slots) {
        slot = t->fresh++;
    } else if (t->free_first != NO_SLOT) {
        slot = t->free_first;
        t->free_first = t->slot[slot].peer;
        if (t->free_first == NO_SLOT)
            t->free_last = NO_SLOT;
    } else {
        return VELD_E_FULL;
    }
    uint32_t upper = random & ~SLOT_MASK;
    if (upper == 0)
        upper = SLOT_MASK + 1; /* so that no index is 0 */
    t->slot[slot] = (struct slot){.index = upper | slot, .peer = peer};
    *index = upper | slot;
    return 0;
}

void veld_index_table_release(struct veld_index_table *t, uint32_t index)
{
    uint32_t slot = index & SLOT_MASK;
    assert(slot < t->fresh && t->slot[slot].index == index);
    t->slot[slot] = (struct slot){.index = 0, .peer = NO_SLOT};
    if (t->free_last == NO_SLOT)
        t->free_first = slot;
    else
        t->slot[t->free_last].peer = slot;
    t->free_last = slot;
}

bool veld_index_table_find(const struct veld_index_table *t, uint32_t index, uint32_t *peer)
{
    uint32_t slot = index & SLOT_MASK;
    if (index == 0 || slot >= t->fresh || t->slot[slot].index != index)
        return false;
    *peer = t->slot[slot].peer;
    return true;
}

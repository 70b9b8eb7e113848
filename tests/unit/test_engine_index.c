#include "control/engine/index.h"

#include <criterion/criterion.h>

#define SLOTS 8
#define MASK  ((1u << VELD_INDEX_SLOT_BITS) - 1)

static uint32_t alloc(struct veld_index_table *t, uint32_t peer, uint32_t random)
{
    uint32_t index = 0;
    cr_assert_eq(veld_index_table_alloc(t, peer, random, &index), 0);
    return index;
}

Test(index, is_found_only_whole_and_only_while_in_use)
{
    struct veld_index_table *t = veld_index_table_new(SLOTS);
    uint32_t a = alloc(t, 7, 0x12345678), peer = 0;
    cr_assert(veld_index_table_find(t, a, &peer));
    cr_assert_eq(peer, 7);
    cr_assert_not(veld_index_table_find(t, a ^ 1u << 31, &peer), "same slot, other upper bits");
    cr_assert_not(veld_index_table_find(t, a + 1, &peer));
    cr_assert_not(veld_index_table_find(t, 0, &peer));
    cr_assert_not(veld_index_table_find(t, UINT32_MAX, &peer));
    veld_index_table_release(t, a);
    cr_assert_not(veld_index_table_find(t, a, &peer));
    veld_index_table_free(t);
}

Test(index, is_never_zero_and_its_table_is_bounded)
{
    struct veld_index_table *t = veld_index_table_new(SLOTS);
    uint32_t index;
    for (unsigned i = 0; i < SLOTS; i++)
        cr_assert_neq(alloc(t, i, 0), 0);
    cr_assert_eq(veld_index_table_alloc(t, 9, 0, &index), VELD_E_FULL);
    veld_index_table_free(t);
}

Test(index, slots_come_back_first_in_first_out)
{
    struct veld_index_table *t = veld_index_table_new(SLOTS);
    uint32_t index[SLOTS];
    for (unsigned i = 0; i < SLOTS; i++)
        index[i] = alloc(t, i, i << 20);
    static const unsigned order[SLOTS] = {3, 1, 7, 0, 2, 6, 5, 4};
    for (unsigned i = 0; i < SLOTS; i++)
        veld_index_table_release(t, index[order[i]]);
    for (unsigned i = 0; i < SLOTS; i++)
        cr_assert_eq(alloc(t, 0, 0xfff00000) & MASK, index[order[i]] & MASK);
    veld_index_table_free(t);
}

Test(index, a_freed_slot_waits_while_others_were_never_used)
{
    struct veld_index_table *t = veld_index_table_new(SLOTS);
    uint32_t a = alloc(t, 0, 0);
    veld_index_table_release(t, a);
    cr_assert_neq(alloc(t, 0, 0) & MASK, a & MASK);
    veld_index_table_free(t);
}

#include "dataplane/reorder.h"

#include <criterion/criterion.h>
#include <stdbool.h>

static struct veld_reorder r;
static _Alignas(64) uint8_t memory[64 * 1024]; /* lanes are addresses */

static const void *lane(unsigned i)
{
    return memory + i * 64 % sizeof memory + i * 64 / sizeof memory;
}

struct item {
    unsigned lane;
    uint64_t counter;
};

static uint32_t rnd(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* Add all, and take them out into `order`. */
static void run(const struct item *items, unsigned n, unsigned order[])
{
    bool seen[VELD_REORDER_MAX] = {0};
    unsigned taken = 0;
    veld_reorder_begin(&r);
    for (unsigned i = 0; i < n; i++)
        veld_reorder_add(&r, (uint16_t)i, lane(items[i].lane), items[i].counter);
    for (uint16_t i = veld_reorder_link(&r); i != VELD_REORDER_END;
         i = veld_reorder_next(&r, i)) {
        cr_assert(taken < n && i < n && !seen[i], "item %u leaves once", i);
        seen[i] = true;
        order[taken++] = i;
    }
    cr_assert_eq(taken, n, "%u of %u left", taken, n);
}

Test(reorder, nothing_gives_nothing)
{
    veld_reorder_begin(&r);
    cr_assert_eq(veld_reorder_link(&r), VELD_REORDER_END);
    run(&(struct item){3, 9}, 1, (unsigned[1]){0});
    veld_reorder_begin(&r);
    cr_assert_eq(veld_reorder_link(&r), VELD_REORDER_END);
}

Test(reorder, what_is_in_order_stays)
{
    struct item items[VELD_REORDER_MAX];
    unsigned order[VELD_REORDER_MAX];
    for (unsigned i = 0; i < VELD_REORDER_MAX; i++)
        items[i] = (struct item){0, UINT64_MAX - 2000 + 3 * i};
    run(items, VELD_REORDER_MAX, order);
    for (unsigned i = 0; i < VELD_REORDER_MAX; i++)
        cr_assert_eq(order[i], i);
}

Test(reorder, lanes_leave_by_their_first_items_each_by_counter)
{
    static const struct item items[] = {{5, 10}, {2, 7},  {5, 9}, {2, 8},
                                        {9, 1},  {5, 11}, {2, 6}};
    static const unsigned want[] = {2, 0, 5, 6, 1, 3, 4};
    unsigned order[7];
    run(items, 7, order);
    for (unsigned i = 0; i < 7; i++)
        cr_assert_eq(order[i], want[i], "place %u: %u", i, order[i]);
}

/* Any number of lanes, items displaced by less than the walk: always the order of a plain sort. */
Test(reorder, random_batches_are_sorted)
{
    for (unsigned round = 0; round < 20000; round++) {
        struct item items[VELD_REORDER_MAX];
        unsigned order[VELD_REORDER_MAX], first[VELD_REORDER_MAX];
        unsigned n = 1 + rnd() % VELD_REORDER_MAX, lanes = 1 + rnd() % (round % 2 ? 4 : n);
        unsigned distance = 1 + rnd() % (VELD_REORDER_WALK_MAX / 2);
        for (unsigned i = 0; i < n; i++)
            items[i] = (struct item){rnd() % lanes, 1000 + i};
        for (unsigned i = 0; i + distance < n; i++) {
            unsigned k = i + rnd() % distance;
            struct item swap = items[i];
            items[i] = items[k];
            items[k] = swap;
            i += k - i; /* so that none goes farther */
        }
        for (unsigned i = n; i-- > 0;)
            first[items[i].lane] = i;
        run(items, n, order);
        for (unsigned i = 1; i < n; i++) {
            const struct item *a = &items[order[i - 1]], *b = &items[order[i]];
            cr_assert(first[a->lane] < first[b->lane] ||
                          (a->lane == b->lane && a->counter < b->counter),
                      "round %u, place %u", round, i);
        }
    }
}

Test(reorder, as_many_lanes_as_items)
{
    struct item items[VELD_REORDER_MAX];
    unsigned order[VELD_REORDER_MAX];
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < VELD_REORDER_MAX; i++)
            items[i] = (struct item){i + round * VELD_REORDER_MAX, rnd()};
        run(items, VELD_REORDER_MAX, order);
        for (unsigned i = 0; i < VELD_REORDER_MAX; i++)
            cr_assert_eq(order[i], i);
    }
}

/* Reversed, each passes WALK_MAX others at most: all leave, near order, in bounded work. */
Test(reorder, the_walk_is_bounded)
{
    struct item items[VELD_REORDER_MAX];
    unsigned order[VELD_REORDER_MAX];
    for (unsigned i = 0; i < VELD_REORDER_MAX; i++)
        items[i] = (struct item){0, VELD_REORDER_MAX - i};
    run(items, VELD_REORDER_WALK_MAX + 1, order);
    for (unsigned i = 0; i <= VELD_REORDER_WALK_MAX; i++)
        cr_assert_eq(order[i], VELD_REORDER_WALK_MAX - i, "as far as the walk goes: sorted");
    run(items, VELD_REORDER_MAX, order);
    unsigned last = order[VELD_REORDER_MAX - 1];
    cr_assert_eq(last, 0, "the first is passed by the next %d alone", VELD_REORDER_WALK_MAX);
    cr_assert_eq(order[0], VELD_REORDER_WALK_MAX);
}

#include "../support/random.h"

#include "coord/registry/changes.h"

#include <criterion/criterion.h>

static int what[4096]; /* things, by their address */

static uint64_t first_after(const struct veld_changes *c, uint64_t revision)
{
    for (size_t i = veld_changes_after(c, revision); i < c->n; i++)
        if (c->at[i].what)
            return c->at[i].revision;
    return 0;
}

Test(coord_changes, in_order_and_found)
{
    struct veld_changes c = {0};
    cr_assert_eq(veld_changes_after(&c, 0), 0);
    for (uint64_t r = 10; r <= 1000; r += 10)
        veld_changes_append(&c, r, &what[r]);
    cr_assert_eq(veld_changes_count(&c), 100);
    cr_assert_eq(first_after(&c, 0), 10);
    cr_assert_eq(first_after(&c, 10), 20);
    cr_assert_eq(first_after(&c, 11), 20);
    cr_assert_eq(first_after(&c, 999), 1000);
    cr_assert_eq(first_after(&c, 1000), 0);
    cr_assert_eq(first_after(&c, UINT64_MAX), 0);
    veld_changes_clear(&c);
}

Test(coord_changes, taken_out_and_put_back)
{
    struct veld_changes c = {0};
    for (uint64_t r = 1; r <= 5; r++)
        veld_changes_append(&c, r, &what[r]);
    veld_changes_take_out(&c, 2);
    veld_changes_append(&c, 6, &what[2]);
    cr_assert_eq(first_after(&c, 1), 3);
    cr_assert_eq(first_after(&c, 5), 6);
    cr_assert_eq(veld_changes_count(&c), 5);
    veld_changes_pop(&c);
    veld_changes_put_back(&c, 2, &what[2]);
    cr_assert_eq(first_after(&c, 1), 2);
    cr_assert_eq(first_after(&c, 5), 0);
    cr_assert_eq(veld_changes_count(&c), 5);
    veld_changes_clear(&c);
}

/* Things that change over and over: the list stays as long as there are things, in order. */
Test(coord_changes, holes_are_taken_out)
{
    struct test_random random = {.state = 1};
    struct veld_changes c = {0};
    uint64_t at[500], next = 0;
    for (size_t i = 0; i < 500; i++)
        veld_changes_append(&c, at[i] = ++next, &what[i]);
    for (unsigned step = 0; step < 20000; step++) {
        size_t i = test_random_below(&random, 500);
        veld_changes_take_out(&c, at[i]);
        veld_changes_append(&c, at[i] = next += 1 + test_random_below(&random, 3), &what[i]);
        veld_changes_tidy(&c);
        cr_assert_leq(c.n, 2 * 500 + 64, "%d places", (int)c.n);
    }
    cr_assert_eq(veld_changes_count(&c), 500);
    uint64_t before = 0;
    for (size_t i = 0; i < c.n; i++) {
        if (!c.at[i].what)
            continue;
        cr_assert_gt(c.at[i].revision, before);
        before = c.at[i].revision;
        cr_assert_eq(at[(int *)c.at[i].what - what], before);
    }
    veld_changes_clear(&c);
}

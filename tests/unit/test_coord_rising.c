#include "coord/rising.h"

#include <criterion/criterion.h>

static struct veld_rising *rising;

static void setup(void)
{
    rising = veld_rising_new();
}

static void cleanup(void)
{
    veld_rising_free(rising);
}

TestSuite(coord_rising, .init = setup, .fini = cleanup);

static void add(uint64_t from, uint64_t n, uint64_t now_ns)
{
    for (uint64_t i = 0; i < n; i++)
        veld_rising_add(rising, from + i, now_ns);
}

Test(coord_rising, so_many_at_once)
{
    add(1, VELD_RISING_MAX - 1, 5);
    cr_assert_not(veld_rising_is_full(rising, 5));
    add(1000, 1, 5);
    cr_assert(veld_rising_is_full(rising, 5));
    veld_rising_end(rising, 7); /* up, or closed */
    cr_assert_not(veld_rising_is_full(rising, 5));
    veld_rising_end(rising, 7);
    veld_rising_end(rising, 4711);
    add(2000, 1, 5);
    cr_assert(veld_rising_is_full(rising, 5));
}

Test(coord_rising, a_socket_counts_once)
{
    for (int i = 0; i < 2 * VELD_RISING_MAX; i++)
        veld_rising_add(rising, 1, 5);
    cr_assert_not(veld_rising_is_full(rising, 5));
}

Test(coord_rising, who_says_nothing_is_waited_for_so_long)
{
    add(1, VELD_RISING_MAX / 2, 0);
    add(1000, VELD_RISING_MAX / 2, 10);
    cr_assert(veld_rising_is_full(rising, VELD_RISING_NS - 1));
    cr_assert_not(veld_rising_is_full(rising, VELD_RISING_NS));
    add(2000, VELD_RISING_MAX / 2, VELD_RISING_NS);
    cr_assert(veld_rising_is_full(rising, VELD_RISING_NS + 9));
    cr_assert_not(veld_rising_is_full(rising, VELD_RISING_NS + 10));
}

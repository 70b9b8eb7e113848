#include "base/clock.h"
#include "coord/addresses.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define T0 (1000 * VELD_NS_PER_S)

static struct veld_ip ip(const char *text)
{
    struct veld_ip out;
    cr_assert_eq(veld_ip_parse(text, &out), 0);
    return out;
}

static struct veld_addresses *make(size_t max, uint32_t per_address)
{
    struct veld_addresses *a;
    cr_assert_eq(veld_addresses_new(&a, max, per_address), 0);
    return a;
}

Test(addresses, each_address_has_so_many_open)
{
    struct veld_addresses *a = make(100, 2);
    struct veld_ip one = ip("192.0.2.1"), other = ip("192.0.2.2");
    cr_assert_eq(veld_addresses_take(a, &one, T0), 0);
    cr_assert_eq(veld_addresses_take(a, &one, T0), 0);
    cr_assert_eq(veld_addresses_take(a, &one, T0), VELD_E_FULL);
    cr_assert_eq(veld_addresses_take(a, &other, T0), 0);
    veld_addresses_give(a, &one);
    cr_assert_eq(veld_addresses_take(a, &one, T0 + 60 * VELD_NS_PER_S), 0);
    veld_addresses_free(a);
}

Test(addresses, an_ipv6_network_counts_as_one)
{
    struct veld_addresses *a = make(100, 1);
    struct veld_ip one = ip("2001:db8:0:1::1"), same = ip("2001:db8:0:1:ffff::2"),
                   other = ip("2001:db8:0:2::1");
    cr_assert_eq(veld_addresses_take(a, &one, T0), 0);
    cr_assert_eq(veld_addresses_take(a, &same, T0), VELD_E_FULL);
    cr_assert_eq(veld_addresses_take(a, &other, T0), 0);
    veld_addresses_free(a);
}

Test(addresses, opening_and_closing_is_bounded_too)
{
    struct veld_addresses *a = make(100, 10);
    struct veld_ip one = ip("192.0.2.1");
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(veld_addresses_take(a, &one, T0), 0);
        veld_addresses_give(a, &one);
    }
    cr_assert_eq(veld_addresses_take(a, &one, T0), VELD_E_LIMIT);
    cr_assert_eq(veld_addresses_take(a, &one, T0 + 2 * VELD_NS_PER_S), 0);
    cr_assert_eq(veld_addresses_take(a, &one, T0 + 2 * VELD_NS_PER_S), 0);
    cr_assert_eq(veld_addresses_take(a, &one, T0 + 2 * VELD_NS_PER_S), VELD_E_LIMIT);
    veld_addresses_free(a);
}

Test(addresses, the_table_is_bounded_and_forgets_the_idle_alone)
{
    struct veld_addresses *a = make(4, 10);
    char text[VELD_IP_STRLEN];
    struct veld_ip busy = ip("192.0.2.200");
    cr_assert_eq(veld_addresses_take(a, &busy, T0), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "198.51.100.%d", i);
        struct veld_ip passing = ip(text);
        cr_assert_eq(veld_addresses_take(a, &passing, T0), 0);
        veld_addresses_give(a, &passing);
        cr_assert_leq(veld_addresses_count(a), 4);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "203.0.113.%d", i);
        struct veld_ip staying = ip(text);
        cr_assert_eq(veld_addresses_take(a, &staying, T0), 0);
    }
    struct veld_ip late = ip("192.0.2.201");
    cr_assert_eq(veld_addresses_take(a, &late, T0), VELD_E_LIMIT, "a place was made up");
    for (int i = 0; i < 9; i++)
        cr_assert_eq(veld_addresses_take(a, &busy, T0), 0, "the busy one was forgotten");
    cr_assert_eq(veld_addresses_take(a, &busy, T0), VELD_E_FULL);
    veld_addresses_free(a);
}

Test(addresses, who_is_gone_for_a_while_is_forgotten)
{
    struct veld_addresses *a = make(100, 10);
    struct veld_ip one = ip("192.0.2.1"), two = ip("192.0.2.2");
    cr_assert_eq(veld_addresses_take(a, &one, T0), 0);
    cr_assert_eq(veld_addresses_take(a, &two, T0), 0);
    veld_addresses_give(a, &two);
    veld_addresses_sweep(a, T0 + VELD_NS_PER_MS);
    cr_assert_eq(veld_addresses_count(a), 2, "its allowance is not whole yet");
    veld_addresses_sweep(a, T0 + 20 * VELD_NS_PER_S);
    cr_assert_eq(veld_addresses_count(a), 1);
    veld_addresses_free(a);
}

Test(addresses, who_is_blamed_opens_fewer_and_is_forgiven)
{
    struct veld_addresses *a = make(100, 16);
    struct veld_ip bad = ip("192.0.2.1"), stranger = ip("192.0.2.9");
    veld_addresses_blame(a, &stranger, T0); /* nobody who is here */
    cr_assert_eq(veld_addresses_count(a), 0);
    cr_assert_eq(veld_addresses_take(a, &bad, T0), 0);
    for (int i = 0; i < 100; i++)
        veld_addresses_blame(a, &bad, T0);
    cr_assert_eq(veld_addresses_take(a, &bad, T0), VELD_E_LIMIT);
    cr_assert_eq(veld_addresses_take(a, &bad, T0 + VELD_NS_PER_S), 0, "soon again");
    cr_assert_eq(veld_addresses_take(a, &bad, T0 + VELD_NS_PER_S), VELD_E_LIMIT);
    for (int i = 0; i < 14; i++)
        cr_assert_eq(veld_addresses_take(a, &bad, T0 + 20 * VELD_NS_PER_S), 0);
    veld_addresses_free(a);
}

#include "base/clock.h"
#include "coord/service/rates.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint8_t seed[16] = {1, 2, 3};

static unsigned taken(struct veld_rates *r, const void *key, size_t len, unsigned tries,
                      uint64_t now)
{
    unsigned n = 0;
    while (tries-- > 0)
        n += veld_rates_take(r, key, len, now);
    return n;
}

Test(coord_rates, no_burst_is_no_bound)
{
    struct veld_rates *r = veld_rates_new((struct veld_rate){.per_hour = 5}, seed);
    cr_assert_null(r);
    cr_assert_eq(taken(r, "a", 1, 100000, 0), 100000);
    veld_rates_free(r);
}

Test(coord_rates, a_burst_then_a_rate)
{
    struct veld_rates *r =
        veld_rates_new((struct veld_rate){.burst = 10, .per_hour = 3600 * 4}, seed);
    uint64_t now = 50 * VELD_NS_PER_S;
    cr_assert_eq(taken(r, "a", 1, 100, now), 10);
    cr_assert_eq(taken(r, "b", 1, 100, now), 10, "another has its own");
    unsigned n = 0;
    for (unsigned i = 1; i <= 1000; i++) /* 10 s in steps of 10 ms */
        n += taken(r, "a", 1, 1, now + i * 10 * VELD_NS_PER_MS);
    cr_assert_eq(n, 40);
    cr_assert_eq(taken(r, "a", 1, 100, now + 3600 * VELD_NS_PER_S), 10, "no more than a burst");
    veld_rates_free(r);
}

/* A flood of keys: the table stays as it is, and who has used its burst is not forgotten over it. */
Test(coord_rates, a_flood_of_keys_frees_nobody)
{
    struct veld_rates *r = veld_rates_new((struct veld_rate){.burst = 2, .per_hour = 1}, seed);
    uint64_t now = 50 * VELD_NS_PER_S;
    unsigned allowed = 0;
    cr_assert_eq(taken(r, "me", 2, 5, now), 2);
    for (uint32_t key = 0; key < 4 * VELD_RATES_SETS * VELD_RATES_WAYS; key++)
        allowed += taken(r, &key, sizeof key, 1, now);
    cr_assert_leq(allowed, VELD_RATES_SETS * VELD_RATES_WAYS, "%u", allowed);
    cr_assert_geq(allowed, VELD_RATES_SETS * VELD_RATES_WAYS * 9 / 10, "%u", allowed);
    cr_assert_eq(taken(r, "me", 2, 5, now), 0);
    /* Those are quiet again, and leave their places. */
    now += 3 * 3600 * VELD_NS_PER_S;
    cr_assert_eq(taken(r, "new", 3, 5, now), 2);
    veld_rates_free(r);
}

static void key_of(const char *text, uint8_t out[VELD_ADDRESS_KEY])
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0);
    veld_address_key(&ip, out);
}

static bool same(const char *a, const char *b)
{
    uint8_t x[VELD_ADDRESS_KEY], y[VELD_ADDRESS_KEY];
    key_of(a, x);
    key_of(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

Test(coord_rates, of_an_ipv6_address_the_64_counts)
{
    cr_assert(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
    cr_assert_not(same("2001:db8::1", "2001:db8:0:1::1"));
    cr_assert_not(same("192.0.2.1", "192.0.2.2"));
    cr_assert(same("192.0.2.1", "::ffff:192.0.2.1"));
    cr_assert_not(same("192.0.2.1", "c000:201::"), "a family of its own");
}

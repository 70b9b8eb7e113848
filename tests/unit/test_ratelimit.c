#include "control/engine/ratelimit.h"

#include "base/clock.h"
#include "control/engine/engine.h"

#include <criterion/criterion.h>

static struct veld_ip ip(const char *text)
{
    struct veld_ip a;
    cr_assert_eq(veld_ip_parse(text, &a), 0);
    return a;
}

static struct veld_ratelimit *make(void)
{
    static const uint8_t seed[16] = {1, 2, 3};
    return veld_ratelimit_new(seed);
}

static unsigned allowed(struct veld_ratelimit *r, const char *from, unsigned tries,
                        uint64_t now)
{
    struct veld_endpoint a = {.ip = ip(from)};
    unsigned n = 0;
    while (tries-- > 0)
        n += veld_ratelimit_allow(r, &a, now);
    return n;
}

Test(ratelimit, allows_a_burst_then_a_rate)
{
    struct veld_ratelimit *r = make();
    uint64_t now = 1000 * VELD_NS_PER_S;
    cr_assert_eq(allowed(r, "192.0.2.1", 100, now), VELD_INITIATIONS_BURST);
    unsigned n = 0;
    for (unsigned k = 1; k <= 1000; k++) /* 10 s, a try every 10 ms */
        n += allowed(r, "192.0.2.1", 1, now + k * 10 * VELD_NS_PER_MS);
    cr_assert_eq(n, 10 * VELD_INITIATIONS_PER_S);
    cr_assert_eq(allowed(r, "192.0.2.1", 100, now + 3600 * VELD_NS_PER_S),
                 VELD_INITIATIONS_BURST, "a long rest saves up no more than the burst");
    veld_ratelimit_free(r);
}

Test(ratelimit, counts_an_ipv4_address_or_an_ipv6_64)
{
    struct veld_ratelimit *r = make();
    cr_assert_eq(allowed(r, "192.0.2.1", 9, 1), VELD_INITIATIONS_BURST);
    cr_assert_eq(allowed(r, "192.0.2.2", 9, 1), VELD_INITIATIONS_BURST);
    cr_assert_eq(allowed(r, "2001:db8:0:1::1", 9, 1), VELD_INITIATIONS_BURST);
    cr_assert_eq(allowed(r, "2001:db8:0:1:ffff::2", 9, 1), 0,
                 "another address of the same /64");
    cr_assert_eq(allowed(r, "2001:db8:0:2::1", 9, 1), VELD_INITIATIONS_BURST);
    cr_assert_eq(allowed(r, "c000:201::", 9, 1), VELD_INITIATIONS_BURST,
                 "the bytes of 192.0.2.1, but IPv6");
    veld_ratelimit_free(r);
}

Test(ratelimit, counts_a_circuit)
{
    struct veld_ratelimit *r = make();
    for (uint32_t number = 1; number < 4; number++) {
        struct veld_endpoint circuit = veld_endpoint_circuit(number);
        unsigned n = 0;
        for (unsigned i = 0; i < 9; i++)
            n += veld_ratelimit_allow(r, &circuit, 1);
        cr_assert_eq(n, VELD_INITIATIONS_BURST);
    }
    veld_ratelimit_free(r);
}

Test(ratelimit, an_earlier_time_gives_nothing)
{
    struct veld_ratelimit *r = make();
    cr_assert_eq(allowed(r, "192.0.2.1", 9, VELD_NS_PER_S), VELD_INITIATIONS_BURST);
    cr_assert_eq(allowed(r, "192.0.2.1", 9, VELD_NS_PER_S - 1), 0);
    veld_ratelimit_free(r);
}

/* How many of many addresses find a place at once. */
static unsigned first_refused(const uint8_t seed[16])
{
    struct veld_ratelimit *r = veld_ratelimit_new(seed);
    struct veld_endpoint a = {.ip = {.family = 4, .b = {10}}};
    unsigned k = 0;
    do {
        k++;
        a.ip.b[2] = (uint8_t)(k >> 8);
        a.ip.b[3] = (uint8_t)k;
    } while (k < UINT16_MAX && veld_ratelimit_allow(r, &a, VELD_NS_PER_S));
    veld_ratelimit_free(r);
    return k;
}

Test(ratelimit, nobody_can_tell_who_shares_a_place_with_whom)
{
    static const uint8_t seed[2][16] = {{1}, {2}};
    cr_assert_neq(first_refused(seed[0]), first_refused(seed[1]));
}

Test(ratelimit, is_bounded_refuses_when_full_and_reclaims_the_quiet)
{
    struct veld_ratelimit *r = make();
    const unsigned places = VELD_RATELIMIT_SETS * VELD_RATELIMIT_WAYS;
    unsigned in = 0;
    for (unsigned k = 0; k < 4 * places; k++) {
        struct veld_endpoint a = {
            .ip = {.family = 4, .b = {10, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k}}};
        in += veld_ratelimit_allow(r, &a, VELD_NS_PER_S);
    }
    cr_assert_leq(in, places);
    cr_assert_gt(in, places * 9 / 10);
    unsigned later = 0;
    for (unsigned k = 0; k < places / 4; k++) {
        struct veld_endpoint a = {
            .ip = {.family = 4, .b = {11, 0, (uint8_t)(k >> 8), (uint8_t)k}}};
        later += veld_ratelimit_allow(r, &a, 2 * VELD_NS_PER_S);
    }
    cr_assert_gt(later, places / 4 * 9 / 10, "old entries did not make room: %u", later);
    veld_ratelimit_free(r);
}

Test(ratelimit, a_full_table_does_not_forget_who_is_being_limited)
{
    struct veld_ratelimit *r = make();
    cr_assert_eq(allowed(r, "192.0.2.1", 9, VELD_NS_PER_S), VELD_INITIATIONS_BURST);
    for (unsigned k = 0; k < 100000; k++) {
        struct veld_endpoint a = {
            .ip = {.family = 4, .b = {10, (uint8_t)(k >> 16), (uint8_t)(k >> 8), (uint8_t)k}}};
        veld_ratelimit_allow(r, &a, VELD_NS_PER_S);
    }
    cr_assert_eq(allowed(r, "192.0.2.1", 9, VELD_NS_PER_S), 0);
    veld_ratelimit_free(r);
}

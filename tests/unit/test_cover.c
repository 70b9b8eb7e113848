#include "base/bytes.h"
#include "control/mesh/cover.h"

#include "../support/random.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(cover, .timeout = 60);

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix p;
    cr_assert_eq(veld_prefix_parse(text, &p), 0, "%s", text);
    return p;
}

static bool has(const struct veld_prefix *cover, size_t n, const char *text)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0, "%s", text);
    return veld_cover_has(cover, n, &ip);
}

Test(cover, nothing_covers_nothing)
{
    cr_assert_eq(veld_cover_make(NULL, 0), 0);
    cr_assert_not(has(NULL, 0, "10.0.0.1"));
}

Test(cover, what_is_inside_another_is_left_out)
{
    struct veld_prefix p[] = {
        prefix("10.1.2.0/24"), prefix("fd00::/8"),     prefix("10.1.0.0/16"),
        prefix("10.1.0.0/17"), prefix("fd00:1::/32"),  prefix("10.1.0.0/16"),
        prefix("10.2.0.0/16"), prefix("192.0.2.1/32"), prefix("10.1.255.0/24")};
    size_t n = veld_cover_make(p, VELD_ARRAY_LEN(p));
    static const char *const inside[] = {"10.1.0.0",  "10.1.255.255", "10.2.0.1",
                                         "192.0.2.1", "fd00::1",      "fdff::1"};
    static const char *const outside[] = {"10.0.255.255", "10.3.0.0", "192.0.2.0", "192.0.2.2",
                                          "0.0.0.0",      "fe00::",   "::"};
    cr_assert_eq(n, 4);
    for (size_t i = 0; i < VELD_ARRAY_LEN(inside); i++)
        cr_expect(has(p, n, inside[i]), "%s", inside[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(outside); i++)
        cr_expect_not(has(p, n, outside[i]), "%s", outside[i]);
}

Test(cover, agrees_with_a_scan)
{
    struct test_random r = {.state = 7};
    for (unsigned round = 0; round < 200; round++) {
        struct veld_prefix all[64], cover[64];
        size_t n = test_random_below(&r, VELD_ARRAY_LEN(all) + 1);
        for (size_t i = 0; i < n; i++) {
            all[i] = (struct veld_prefix){.ip = {.family = 4, .b = {10}},
                                          .len = (uint8_t)(8 + test_random_below(&r, 25))};
            all[i].ip.b[1] = (uint8_t)test_random_below(&r, 4);
            test_random_fill(&r, all[i].ip.b + 2, 2);
            veld_prefix_mask(&all[i]);
            cover[i] = all[i];
        }
        size_t kept = veld_cover_make(cover, n);
        for (unsigned probe = 0; probe < 200; probe++) {
            struct veld_ip ip = {.family = 4, .b = {10}};
            bool inside = false;
            ip.b[1] = (uint8_t)test_random_below(&r, 4);
            test_random_fill(&r, ip.b + 2, 2);
            for (size_t i = 0; i < n; i++)
                inside |= veld_prefix_contains(&all[i], &ip);
            cr_assert_eq(veld_cover_has(cover, kept, &ip), inside, "round %u", round);
        }
    }
}

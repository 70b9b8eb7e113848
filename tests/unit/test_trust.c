#include "trust/trust.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>

TestSuite(trust, .timeout = 60);

Test(trust, a_blob_owns_its_bytes)
{
    struct veld_blob b = {0};
    uint8_t bytes[] = {1, 2, 3};
    cr_assert_eq(veld_blob_set(&b, bytes, 3), 0);
    bytes[0] = 9;
    cr_assert(b.len == 3 && b.p != bytes && b.p[0] == 1);
    cr_assert_eq(veld_blob_set(&b, b.p + 1, 2), 0);
    cr_assert(b.len == 2 && b.p[0] == 2 && b.p[1] == 3);
    cr_assert_eq(veld_blob_set(&b, NULL, 0), 0);
    cr_assert_eq(b.len, 0);
    veld_blob_clear(&b);
    veld_blob_clear(&b);
    cr_assert(b.p == NULL && b.len == 0);
}

Test(trust, a_label_is_a_dns_label_in_lower_case)
{
    char longest[VELD_LABEL_MAX + 2];
    const char *good[] = {"a", "0", "a-b", "a--b", "server1", "1a", longest};
    const char *bad[] = {"",          "-",   "-a",  "a-",  "A",     "a_b",  "a.b", "a b",
                         "b\xc3\xbc", "a\n", "xn.", "a/b", "a\x01", "\x7f", "."};
    memset(longest, 'a', sizeof longest);
    longest[VELD_LABEL_MAX] = '\0';
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++)
        cr_assert(veld_label_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_assert_not(veld_label_is_valid(bad[i]), "%s", bad[i]);
    longest[VELD_LABEL_MAX] = 'a';
    longest[VELD_LABEL_MAX + 1] = '\0';
    cr_assert_not(veld_label_is_valid(longest));
}

Test(trust, a_route_is_a_network_of_hosts)
{
    const char *good[] = {"10.0.0.0/8",    "192.168.1.0/24", "192.0.2.1/32",
                          "100.64.0.0/10", "fd00::/8",       "2001:db8::/32",
                          "fe80::/10",     "169.254.0.0/16", "2001:db8::1/128"};
    const char *bad[] = {
        "0.0.0.0/0",    "::/0",           "0.0.0.0/1",    "128.0.0.0/1",        "128.0.0.0/7",
        "2000::/3",     "fc00::/7",       "0.0.0.0/8",    "0.0.0.0/32",         "127.0.0.0/8",
        "127.0.0.1/32", "224.0.0.0/8",    "240.0.0.0/8",  "255.255.255.255/32", "::/8",
        "::/96",        "::1/128",        "ff00::/8",     "ff02::1/128",        "10.0.0.1/8",
        "10.0.0.1/31",  "2001:db8::1/64", "::8000:0:0/81"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++) {
        struct veld_prefix p = test_prefix(good[i]);
        cr_expect(veld_route_is_valid(&p), "%s", good[i]);
    }
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        struct veld_prefix p = test_prefix(bad[i]);
        cr_expect_not(veld_route_is_valid(&p), "%s", bad[i]);
    }
    /* What text cannot say: IPv4-mapped, as IPv6, and around it; no family; too long. */
    struct veld_prefix mapped = {.ip = {.family = 6, .b = {[10] = 0xff, [11] = 0xff}}};
    for (unsigned len = 96; len <= 128; len++) {
        mapped.len = (uint8_t)len;
        mapped.ip.b[12] = len >= 97 ? 0x80 : 0;
        cr_expect_not(veld_route_is_valid(&mapped), "mapped/%u", len);
    }
    struct veld_prefix around = {.ip = {.family = 6, .b = {[10] = 0xff}}, .len = 88};
    cr_expect_not(veld_route_is_valid(&around));
    struct veld_prefix none = {.len = 16}, too_long = test_prefix("10.0.0.0/8");
    too_long.len = 33;
    cr_expect_not(veld_route_is_valid(&none));
    cr_expect_not(veld_route_is_valid(&too_long));
}

Test(trust, routes_are_within_what_contains_them)
{
    struct {
        const char *route, *allowed[2];
        bool within;
    } c[] = {
        {"10.1.0.0/16", {"10.1.0.0/16"}, true},
        {"10.1.0.0/16", {"10.0.0.0/8"}, true},
        {"10.1.0.0/16", {"192.168.0.0/16", "10.0.0.0/8"}, true},
        {"10.0.0.0/8", {"10.1.0.0/16"}, false},
        {"10.0.0.0/8", {"10.0.0.0/9", "10.128.0.0/9"}, false}, /* no one contains it */
        {"10.1.0.0/16", {"10.2.0.0/16"}, false},
        {"10.1.0.0/16", {"a00::/8"}, false},
        {"a00::/8", {"10.0.0.0/8"}, false},
        {"10.1.0.0/16", {NULL}, false},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        struct veld_prefix routes[2] = {test_prefix("192.168.0.0/16"), test_prefix(c[i].route)};
        struct veld_prefix allowed[2];
        size_t n = 0;
        while (n < 2 && c[i].allowed[n]) {
            allowed[n] = test_prefix(c[i].allowed[n]);
            n++;
        }
        cr_expect_eq(veld_routes_are_within(&routes[1], 1, allowed, n), c[i].within, "%s %zu",
                     c[i].route, i);
        /* One that is not allowed spoils them all. */
        cr_expect_eq(veld_routes_are_within(routes, 2, allowed, n),
                     c[i].within && n == 2 && strcmp(c[i].allowed[0], "192.168.0.0/16") == 0,
                     "two, %zu", i);
        cr_expect(veld_routes_are_within(routes, 0, allowed, n));
    }
}

#include "base/addr.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(addr, endpoint_text_round_trip)
{
    static const char *const good[] = {"1.2.3.4:51820", "[2001:db8::1]:1",
                                       "255.255.255.255:65535"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct veld_endpoint e;
        char text[VELD_ENDPOINT_STRLEN];
        cr_assert_eq(veld_endpoint_parse(good[i], &e), 0, "%s", good[i]);
        cr_assert_str_eq(veld_endpoint_format(&e, text), good[i]);
    }
}

Test(addr, endpoint_refuses)
{
    static const char *const bad[] = {"",
                                      "1.2.3.4",
                                      "1.2.3.4:",
                                      "1.2.3.4:0",
                                      ":51820",
                                      "::1:51820",
                                      "[::1]",
                                      "[::1:5",
                                      "[1.2.3.4]:5",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:+5",
                                      "1.2.3.4: 5",
                                      "host:5",
                                      "[fe80::1%nosuchif0]:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct veld_endpoint e;
        cr_assert_eq(veld_endpoint_parse(bad[i], &e), VELD_E_FORMAT, "%s", bad[i]);
    }
}

Test(addr, mapped_v4_is_canonical_v4)
{
    struct veld_ip a, b;
    cr_assert_eq(veld_ip_parse("::ffff:10.0.0.1", &a), 0);
    cr_assert_eq(veld_ip_parse("10.0.0.1", &b), 0);
    cr_assert(veld_ip_equal(&a, &b));
}

Test(addr, prefix_parse_and_mask)
{
    struct veld_prefix p;
    char text[VELD_PREFIX_STRLEN];
    cr_assert_eq(veld_prefix_parse("10.1.2.3/20", &p), 0);
    cr_assert_str_eq(veld_prefix_format(&p, text), "10.1.2.3/20");
    veld_prefix_mask(&p);
    cr_assert_str_eq(veld_prefix_format(&p, text), "10.1.0.0/20");
    cr_assert_eq(veld_prefix_parse("fd00::1", &p), 0);
    cr_assert_eq(p.len, 128);
    cr_assert_eq(veld_prefix_parse("10.0.0.0/33", &p), VELD_E_FORMAT);
    cr_assert_eq(veld_prefix_parse("10.0.0.0/", &p), VELD_E_FORMAT);
    cr_assert_eq(veld_prefix_parse("10.0.0/8", &p), VELD_E_FORMAT);
}

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix p;
    cr_assert_eq(veld_prefix_parse(text, &p), 0, "%s", text);
    return p;
}

Test(addr, contains_and_overlaps)
{
    struct veld_prefix p = prefix("10.1.0.0/20"), all = prefix("0.0.0.0/0"),
                       v6 = prefix("::/0");
    struct veld_ip in = prefix("10.1.15.255").ip, out = prefix("10.1.16.0").ip;
    cr_assert(veld_prefix_contains(&p, &in));
    cr_assert_not(veld_prefix_contains(&p, &out));
    cr_assert(veld_prefix_contains(&all, &out));
    cr_assert_not(veld_prefix_contains(&v6, &out));
    cr_assert(veld_prefix_overlaps(&all, &p));
    cr_assert(veld_prefix_overlaps(&p, &all));
    struct veld_prefix other = prefix("10.2.0.0/16");
    cr_assert_not(veld_prefix_overlaps(&p, &other));
}

Test(addr, unicast_only)
{
    static const char *const bad[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255",
                                      "::",      "::1",       "ff02::1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct veld_ip ip = prefix(bad[i]).ip;
        cr_assert_not(veld_ip_is_unicast(&ip), "%s", bad[i]);
    }
    struct veld_ip v4 = prefix("10.0.0.1").ip, v6 = prefix("fe80::1").ip;
    cr_assert(veld_ip_is_unicast(&v4));
    cr_assert(veld_ip_is_unicast(&v6));
}

Test(addr, sockaddr_round_trip_on_both_families)
{
    struct veld_endpoint v4, v6, back;
    struct sockaddr_storage ss;
    socklen_t len;
    cr_assert_eq(veld_endpoint_parse("1.2.3.4:5", &v4), 0);
    cr_assert_eq(veld_endpoint_parse("[2001:db8::1]:5", &v6), 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&v4, AF_INET, &ss, &len), 0);
    cr_assert_eq(veld_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &back), 0);
    cr_assert(veld_endpoint_equal(&v4, &back));
    cr_assert_eq(veld_endpoint_to_sockaddr(&v4, AF_INET6, &ss, &len), 0);
    cr_assert_eq(veld_endpoint_from_sockaddr((struct sockaddr *)&ss, len, &back), 0);
    cr_assert(veld_endpoint_equal(&v4, &back));
    cr_assert_eq(veld_endpoint_to_sockaddr(&v6, AF_INET, &ss, &len), VELD_E_UNSUPPORTED);
    cr_assert_eq(veld_endpoint_from_sockaddr((struct sockaddr *)&ss, 3, &back), VELD_E_FORMAT);
}

Test(addr, listen)
{
    static const char *const good[][2] = {{":51820", "[::]:51820"},
                                          {"[::]:1", "[::]:1"},
                                          {"0.0.0.0:51820", "0.0.0.0:51820"},
                                          {"127.0.0.1:5", "127.0.0.1:5"}};
    static const char *const bad[] = {"",      ":",           ":0",          "::1",
                                      "51820", "224.0.0.1:5", "[ff02::1]:5", "host:5"};
    struct veld_endpoint e;
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++) {
        char text[VELD_ENDPOINT_STRLEN];
        cr_expect_eq(veld_endpoint_parse_listen(good[i][0], &e), 0, "%s", good[i][0]);
        cr_expect_str_eq(veld_endpoint_format(&e, text), good[i][1]);
    }
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_eq(veld_endpoint_parse_listen(bad[i], &e), VELD_E_FORMAT, "%s", bad[i]);
}

Test(addr, a_circuit_is_an_endpoint_without_an_address)
{
    char text[VELD_ENDPOINT_STRLEN];
    struct veld_endpoint c = veld_endpoint_circuit(0x1a2b3c4d), d = veld_endpoint_circuit(7),
                         v4;
    struct sockaddr_storage ss;
    socklen_t len;
    cr_assert_eq(veld_endpoint_parse("0.0.0.1:1", &v4), 0);
    cr_assert(veld_endpoint_is_circuit(&c) && !veld_endpoint_is_circuit(&v4));
    cr_assert(veld_endpoint_equal(&c, &c) && !veld_endpoint_equal(&c, &d));
    cr_assert(!veld_ip_is_unicast(&c.ip));
    cr_assert_str_eq(veld_endpoint_format(&c, text), "circuit 1a2b3c4d");
    cr_assert_eq(veld_endpoint_to_sockaddr(&c, AF_INET, &ss, &len), VELD_E_UNSUPPORTED);
    cr_assert_eq(veld_endpoint_to_sockaddr(&c, AF_INET6, &ss, &len), VELD_E_UNSUPPORTED);
}

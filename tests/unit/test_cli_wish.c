#include "base/bytes.h"
#include "cli/coord/wish.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(cli_wish, spans)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"90s", 90},
                {"30m", 1800},
                {"24h", 86400},
                {"7d", 7 * 86400},
                {"2w", 14 * 86400},
                {"never", 0},
                {"3660d", 3660ull * 86400}};
    static const char *const bad[] = {"",      "0s",    "24",   "h",          "-1h",
                                      "1.5h",  "24 h",  "24hh", "+1h",        "0x1h",
                                      "3661d", "Never", "1y",   "9999999999s"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++) {
        uint64_t seconds = 7;
        cr_expect_eq(veld_span_parse(good[i].text, &seconds), 0, "%s", good[i].text);
        cr_expect_eq(seconds, good[i].seconds, "%s", good[i].text);
    }
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        uint64_t seconds = 7;
        cr_expect_eq(veld_span_parse(bad[i], &seconds), VELD_E_FORMAT, "%s", bad[i]);
        cr_expect_eq(seconds, 7);
    }
}

Test(cli_wish, counts)
{
    static const char *const bad[] = {"",   "0",         "-1",          "11",
                                      "1x", "unlimited", "99999999999", " 1"};
    uint32_t n = 7;
    cr_assert_eq(veld_count_parse("1", 10, NULL, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(veld_count_parse("10", 10, NULL, &n), 0);
    cr_assert_eq(veld_count_parse("4294967295", UINT32_MAX, NULL, &n), 0);
    cr_assert_eq(n, UINT32_MAX);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_eq(veld_count_parse(bad[i], 10, NULL, &n), VELD_E_FORMAT, "%s", bad[i]);
    cr_assert_eq(veld_count_parse("unlimited", 10, "unlimited", &n), 0);
    cr_assert_eq(n, 0);
}

Test(cli_wish, a_wish_is_granted_whole_or_not_at_all)
{
    struct veld_settings s, before;
    struct veld_diag diag;
    struct veld_wish w = {.routes = "10.0.0.0/8",
                          .accept_routes = "no",
                          .listen = ":5",
                          .interface = "v7",
                          .mtu = "1300",
                          .relay = "yes",
                          .relay_rate = "20",
                          .mdns = "yes",

                          .port_mapping = "no"};
    veld_settings_default(&s);
    cr_assert(veld_wish_is_empty(&(struct veld_wish){0}));
    cr_assert_not(veld_wish_is_empty(&w));
    cr_assert_eq(veld_wish_apply(&w, &s, &diag), 0);
    cr_assert_eq(s.n_routes, 1);
    cr_assert_not(s.accept_routes);
    cr_assert_eq(s.listen.port, 5);
    cr_assert_str_eq(s.interface, "v7");
    cr_assert_eq(s.mtu, 1300);
    cr_assert(s.relay && s.relay_rate_mbit == 20);
    cr_assert_not(veld_wish_is_empty(&(struct veld_wish){.relay = "no"}));
    cr_assert_not(veld_wish_is_empty(&(struct veld_wish){.relay_rate = "1"}));
    cr_assert(s.mdns);
    cr_assert_not(veld_wish_is_empty(&(struct veld_wish){.mdns = "no"}));
    cr_assert_not(s.port_mapping);
    before = s;
    static const struct {
        struct veld_wish wish;
        const char *option;
    } bad[] = {
        {{.accept_routes = "yes", .mtu = "1"}, "--mtu: "},
        {{.accept_routes = "yes", .mtu = "x"}, "--mtu: "},
        {{.accept_routes = "yes", .port_mapping = "off"}, "--port-mapping: "},
        {{.accept_routes = "maybe"}, "--accept-routes: "},
        {{.accept_routes = "yes", .relay = "on"}, "--relay: "},
        {{.accept_routes = "yes", .relay_rate = "0"}, "--relay-rate: "},
        {{.accept_routes = "yes", .relay_rate = "100M"}, "--relay-rate: "},
        {{.accept_routes = "yes", .relay_rate = "1000001"}, "--relay-rate: "},
        {{.accept_routes = "yes", .routes = "0.0.0.0/0"}, "--routes: "},
        {{.accept_routes = "yes", .listen = "x"}, "--listen: "},
        {{.accept_routes = "yes", .mdns = "on"}, "--mdns: "},
        {{.accept_routes = "yes", .interface = "a/b"}, "--interface: "},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        cr_expect_eq(veld_wish_apply(&bad[i].wish, &s, &diag), VELD_E_FORMAT);
        cr_expect_eq(strncmp(diag.text, bad[i].option, strlen(bad[i].option)), 0, "%s",
                     diag.text);
        cr_expect_arr_eq(&s, &before, sizeof s);
    }
}

Test(cli_wish, is_checked_before_anything_is_done)
{
    static const char *const bad[] = {"",
                                      "SHA256:x",
                                      "1a2b",
                                      "1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2g",
                                      "1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-",
                                      "1a2b:1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b"};
    struct veld_diag diag;
    cr_assert_eq(veld_fingerprint_check("1A2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b-1a2b", &diag), 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_eq(veld_fingerprint_check(bad[i], &diag), VELD_E_FORMAT, "%s", bad[i]);
    cr_assert_eq(veld_wish_check(&(struct veld_wish){0}, &diag), 0);
    cr_assert_eq(veld_wish_check(&(struct veld_wish){.interface = "nosuch7"}, &diag), 0);
    cr_assert_eq(veld_wish_check(&(struct veld_wish){.mtu = "5"}, &diag), VELD_E_FORMAT);
    cr_assert_eq(veld_wish_check(&(struct veld_wish){.routes = "10.1.2.0"}, &diag),
                 VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "10.1.2.0/24"), "%s", diag.text);
    cr_assert_eq(veld_wish_check(&(struct veld_wish){.routes = "fd01::"}, &diag),
                 VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "fd01::/128"), "%s", diag.text);
}

Test(cli_wish, routes_as_text)
{
    struct veld_prefix routes[2];
    cr_assert_eq(veld_prefix_parse("10.0.0.0/8", &routes[0]), 0);
    cr_assert_eq(veld_prefix_parse("fd01::/64", &routes[1]), 0);
    char *text = veld_routes_format(routes, 2, ", ");
    cr_assert_str_eq(text, "10.0.0.0/8, fd01::/64");
    free(text);
    text = veld_routes_format(routes, 0, ", ");
    cr_assert_str_eq(text, "none");
    free(text);
}

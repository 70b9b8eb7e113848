#include "rpc/address.h"

#include <criterion/criterion.h>
#include <string.h>

Test(rpc_address, takes_names_and_addresses_apart)
{
    static const struct {
        const char *text, *host, *port;
        bool is_literal;
    } good[] = {
        {"coord.example.org:50051", "coord.example.org", "50051", false},
        {"my_host-1:1", "my_host-1", "1", false},
        {"192.0.2.1:65535", "192.0.2.1", "65535", true},
        {"[2001:db8::1]:50051", "2001:db8::1", "50051", true},
        {"[::1]:00080", "::1", "80", true},
    };
    struct veld_rpc_address a;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert_eq(veld_rpc_address_parse(good[i].text, &a, NULL), 0, "%s", good[i].text);
        cr_expect_str_eq(a.host, good[i].host);
        cr_expect_str_eq(a.port, good[i].port);
        cr_expect_eq(a.is_literal, good[i].is_literal, "%s", good[i].text);
    }
}

Test(rpc_address, refuses_the_rest)
{
    static const char *const bad[] = {
        "",
        "host",
        ":50051",
        "host:",
        "host:0",
        "host:65536",
        "host:-1",
        "host:1x",
        "host: 1",
        "a b:1",
        "::1:50051",
        "2001:db8::1:1",
        "[::1]",
        "[]:1",
        "[host]:1",
        "[1.2.3.4]:1",
        "http://a:1",
        "a/b:1",
        "a%2f:1",
        "a@b:1",
        "a?b:1",
        "a#b:1",
        "a\n:1",
        "\xc3\xa4:1",
        "host:000001",
    };
    char longest[VELD_COORD_TEXT_MAX + 1];
    struct veld_rpc_address a;
    struct veld_diag diag;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(veld_rpc_address_parse(bad[i], &a, &diag), VELD_E_FORMAT, "%s", bad[i]);
        cr_expect(strstr(diag.text, "HOST:PORT"), "%s", diag.text);
    }
    memset(longest, 'a', sizeof longest);
    strcpy(longest + VELD_COORD_TEXT_MAX - 3, ":1");
    cr_expect_eq(veld_rpc_address_parse(longest, &a, &diag), 0);
    strcpy(longest + VELD_COORD_TEXT_MAX - 3, "a:1");
    cr_expect_eq(veld_rpc_address_parse(longest, &a, &diag), VELD_E_FORMAT);
}

#include "base/bytes.h"
#include "base/host_port.h"

#include <criterion/criterion.h>

static const char *parse(const char *text, uint16_t port)
{
    static char out[VELD_HOST_PORT_STRLEN];
    return veld_host_port_parse(text, port, out) == 0 ? out : "-";
}

Test(host_port, made_one_form)
{
    static const char *const cases[][2] = {
        {"server", "server:50051"},
        {"Coord.Example.ORG:443", "coord.example.org:443"},
        {"192.0.2.1", "192.0.2.1:50051"},
        {"192.0.2.1:1", "192.0.2.1:1"},
        {"::1", "[::1]:50051"},
        {"[::1]", "[::1]:50051"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
        {"my_server.local.", "my_server.local.:50051"},
        {"a-b", "a-b:50051"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++)
        cr_expect_str_eq(parse(cases[i][0], 50051), cases[i][1], "%s", cases[i][0]);
}

Test(host_port, refused)
{
    static const char *const bad[] = {
        "",          ":1",       "server:",    "server:0",  "server:65536", "server:1x",
        "server:01", "ser ver",  "server:1:2", "[::1]x",    "[::1",         "[server]:1",
        "-a",        "a-",       "a-.b",       "a..b",      ".a",           "1.2.3",
        "1.2.3.256", "http://a", "a/b:1",      "a\n",       "\xc3\xa4",     "[::1]:",
        "[]:1",      "user@a",   "::1%lo",     "server:-1", "server:+1",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_str_eq(parse(bad[i], 50051), "-", "%s", bad[i]);
    cr_expect_str_eq(parse("server", 0), "-", "no port, and none by default");
    cr_expect_str_eq(parse("[::1]", 0), "-");
}

Test(host_port, is_bounded)
{
    char host[300];
    memset(host, 'a', sizeof host);
    for (size_t n = 230; n < sizeof host - 1; n++) {
        char out[VELD_HOST_PORT_STRLEN];
        host[n] = '\0';
        int rc = veld_host_port_parse(host, 65535, out);
        cr_expect_eq(rc, n <= 240 ? 0 : VELD_E_FORMAT, "%zu", n);
        cr_expect_eq(strlen(out), rc == 0 ? n + 6 : 0);
        host[n] = 'a';
    }
}

/* What was made of a text is made of itself again. */
Test(host_port, is_stable)
{
    char once[VELD_HOST_PORT_STRLEN];
    strcpy(once, parse("[2001:DB8::1]:7", 0));
    cr_assert_str_eq(parse(once, 0), once);
}

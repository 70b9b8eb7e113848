#include "portmap/answer.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

#define URL     "http://192.168.1.1:5000/ctl/IPConn"
#define SERVICE "urn:schemas-upnp-org:service:WANIPConnection:1"

TestSuite(portmap_answer, .timeout = 20);

static struct veld_portmap_answer a;

static int parse(const char *text, size_t len)
{
    const struct veld_ip gateway = {.family = 4, .b = {192, 168, 1, 1}};
    memset(&a, 7, sizeof a);
    return veld_portmap_answer_parse(text, len, &gateway, &a);
}

static void round_trip(const char *line)
{
    char out[VELD_PORTMAP_LINE_MAX + 1];
    cr_assert_eq(parse(line, strlen(line)), 0, "%s", line);
    cr_assert_eq(veld_portmap_answer_format(&a, out), strlen(line));
    cr_assert_str_eq(out, line);
}

Test(portmap_answer, there_and_back)
{
    round_trip("silent\n");
    cr_assert_eq(a.result, VELD_PORTMAP_SILENT);
    round_trip("refused\n");
    cr_assert_eq(a.result, VELD_PORTMAP_REFUSED);
    round_trip("no-address\n");
    cr_assert_eq(a.result, VELD_PORTMAP_NO_ADDRESS);
    cr_assert_eq(a.mapped.ip.family, 0);
    round_trip("mapped natpmp 203.0.113.7:51820 7200\n");
    cr_assert(a.result == VELD_PORTMAP_MAPPED && a.method == VELD_PORTMAP_NATPMP);
    cr_assert(a.lease_s == 7200 && a.mapped.port == 51820 && !a.url[0]);
    round_trip("mapped upnp 203.0.113.7:51820 0 " URL " " SERVICE "\n");
    cr_assert(a.method == VELD_PORTMAP_UPNP && a.lease_s == 0);
    cr_assert_str_eq(a.url, URL);
    cr_assert_str_eq(a.service, SERVICE);
}

Test(portmap_answer, the_longest_fits)
{
    a = (struct veld_portmap_answer){.result = VELD_PORTMAP_MAPPED,
                                     .method = VELD_PORTMAP_UPNP,
                                     .mapped = {{4, {255, 255, 255, 254}}, 65535, 0},
                                     .lease_s = 999999999,
                                     .url = "http://192.168.1.1/",
                                     .service = SERVICE};
    memset(a.url + strlen(a.url), 'u', VELD_PORTMAP_URL_MAX - strlen(a.url));
    memset(a.service + strlen(a.service), '1', VELD_PORTMAP_SERVICE_MAX - strlen(a.service));
    struct veld_portmap_answer was = a;
    char out[VELD_PORTMAP_LINE_MAX + 1];
    size_t len = veld_portmap_answer_format(&was, out);
    cr_assert_eq(len, strlen(out));
    cr_assert_eq(parse(out, len), 0);
    cr_assert_str_eq(a.url, was.url);
    cr_assert_str_eq(a.service, was.service);
}

Test(portmap_answer, what_is_none)
{
    static const char *const bad[] = {
        "",
        "\n",
        "silent",
        "silent \n",
        " silent\n",
        "silent x\n",
        "Silent\n",
        "mapped\n",
        "mapped natpmp\n",
        "mapped natpmp 203.0.113.7:51820\n",
        "mapped natpmp 203.0.113.7:51820 0\n",
        "mapped natpmp 203.0.113.7:51820 7200 " URL " " SERVICE "\n",
        "mapped natpmp 203.0.113.7:0 7200\n",
        "mapped natpmp 203.0.113.7 7200\n",
        "mapped natpmp [2001:db8::1]:51820 7200\n",
        "mapped natpmp 203.0.113.7:51820 -1\n",
        "mapped natpmp 203.0.113.7:51820 7200s\n",
        "mapped natpmp 203.0.113.7:51820 4294967296\n",
        "mapped natpmp  203.0.113.7:51820 7200\n",
        "mapped pcp 203.0.113.7:51820 7200\n",
        "mapped upnp 203.0.113.7:51820 7200\n",
        "mapped upnp 203.0.113.7:51820 7200 " URL "\n",
        "mapped upnp 203.0.113.7:51820 7200 " URL " urn:x\n",
        "mapped upnp 203.0.113.7:51820 7200 http://192.168.1.2/ " SERVICE "\n",
        "mapped upnp 203.0.113.7:51820 7200 " URL " " SERVICE " x\n",
        "silent\nsilent\n",
    };
    static const struct veld_portmap_answer none;
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        cr_expect_eq(parse(bad[i], strlen(bad[i])), VELD_E_FORMAT, "%s", bad[i]);
        cr_expect_eq(memcmp(&a, &none, sizeof a), 0);
    }
    cr_assert_eq(parse("silent\0\n", 8), VELD_E_FORMAT);
    char huge[VELD_PORTMAP_LINE_MAX + 2];
    memset(huge, 'a', sizeof huge);
    huge[sizeof huge - 1] = '\n';
    cr_assert_eq(parse(huge, sizeof huge), VELD_E_FORMAT);
}

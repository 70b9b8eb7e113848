#include "portmap/url.h"

#include "base/bytes.h"
#include "portmap/answer.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(portmap_url, .timeout = 20);

static struct veld_ip ip(const char *text)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0);
    return ip;
}

Test(portmap_url, the_gateways_own)
{
    static const char *const good[] = {"http://192.168.1.1/", "http://192.168.1.1/a/b?c#d",
                                       "http://192.168.1.1:1/x", "http://192.168.1.1:65535/x",
                                       "http://192.168.1.1/http://8.8.8.8:80/"};
    const struct veld_ip gateway = ip("192.168.1.1");
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++)
        cr_expect(veld_portmap_url_is_at(good[i], &gateway), "%s", good[i]);
}

Test(portmap_url, of_nobody_else)
{
    static const char *const bad[] = {
        "",
        "http://192.168.1.2/",
        "http://192.168.1.11/",
        "http://192.168.1.1",
        "http://192.168.1.1.evil.test/",
        "http://192.168.1.1@8.8.8.8/",
        "http://192.168.1.1:80@8.8.8.8/",
        "http://192.168.1.1:/",
        "http://192.168.1.1:0/",
        "http://192.168.1.1:65536/",
        "http://192.168.1.1:000080/",
        "http://192.168.1.1?/",
        "http://192.168.1.1#/",
        "http://192.168.1.1\\/",
        "http://192.168.1.1 /",
        "http://192.168.1.1/a b",
        "http://192.168.1.1/\r\nHost: x",
        "http://192.168.1.1/\x80",
        "http://192.168.001.1/",
        "http://0xc0a80101/",
        "http://router.test/",
        "http://[::ffff:192.168.1.1]/",
        "https://192.168.1.1/",
        "HTTP://192.168.1.1/",
        " http://192.168.1.1/",
        "ftp://192.168.1.1/",
        "/root.xml",
        "http:///192.168.1.1/",
        "http://http://192.168.1.1/",
    };
    const struct veld_ip gateway = ip("192.168.1.1"), six = ip("2001:db8::1");
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_not(veld_portmap_url_is_at(bad[i], &gateway), "%s", bad[i]);
    cr_assert_not(veld_portmap_url_is_at("http://2001:db8::1/", &six));
    cr_assert_not(veld_portmap_url_is_at("http://-/", &(struct veld_ip){0}));
}

Test(portmap_url, is_not_too_long)
{
    const struct veld_ip gateway = ip("192.168.1.1");
    char url[VELD_PORTMAP_URL_MAX + 2] = "http://192.168.1.1/";
    size_t len = strlen(url);
    memset(url + len, 'a', VELD_PORTMAP_URL_MAX - len);
    cr_assert(veld_portmap_url_is_at(url, &gateway));
    url[VELD_PORTMAP_URL_MAX] = 'a';
    cr_assert_not(veld_portmap_url_is_at(url, &gateway));
}

Test(portmap_url, services_that_map_ports)
{
    char longest[VELD_PORTMAP_SERVICE_MAX + 2] =
        "urn:schemas-upnp-org:service:WANIPConnection:";
    cr_assert(veld_portmap_service_is_wan("urn:schemas-upnp-org:service:WANIPConnection:1"));
    cr_assert(veld_portmap_service_is_wan("urn:schemas-upnp-org:service:WANIPConnection:2"));
    cr_assert(veld_portmap_service_is_wan("urn:schemas-upnp-org:service:WANPPPConnection:1"));
    cr_assert_not(veld_portmap_service_is_wan(""));
    cr_assert_not(
        veld_portmap_service_is_wan("urn:schemas-upnp-org:service:Layer3Forwarding:1"));
    cr_assert_not(
        veld_portmap_service_is_wan("urn:schemas-upnp-org:service:WANIPConnection:1 x"));
    memset(longest + strlen(longest), '1', VELD_PORTMAP_SERVICE_MAX - strlen(longest));
    cr_assert(veld_portmap_service_is_wan(longest));
    longest[VELD_PORTMAP_SERVICE_MAX] = '1';
    cr_assert_not(veld_portmap_service_is_wan(longest));
}

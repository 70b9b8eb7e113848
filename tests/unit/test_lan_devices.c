#include "base/bytes.h"
#include "base/clock.h"
#include "control/lan/devices.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS VELD_NS_PER_MS
#define S  VELD_NS_PER_S

static const uint8_t own[32] = {1, 1};
static const struct veld_lan_link eth4 = {7, 4}, eth6 = {7, 6}, wifi4 = {8, 4};

static struct veld_lan_devices *d;
static uint64_t now = 5 * S;

static void begin(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    d = veld_lan_devices_new(own);
    cr_assert_not_null(d);
}

static void end(void)
{
    veld_lan_devices_free(d);
}

TestSuite(lan_devices, .init = begin, .fini = end);

static int see(struct veld_lan_link link, const char *name)
{
    return veld_lan_devices_see(d, link, name, now);
}

static int describe_by(int sighting, uint16_t port, const char *const *txt)
{
    struct veld_bytes list[32];
    size_t n = 0;
    for (; txt[n]; n++)
        list[n] = (struct veld_bytes){txt[n], strlen(txt[n])};
    return veld_lan_devices_describe(d, sighting, port, list, n);
}

/* As a device with the P of this number says. */
static int describe(int sighting, uint32_t number, uint16_t port)
{
    uint8_t pub[32] = {0};
    char p[64] = "p=";
    memcpy(pub, &number, sizeof number);
    cr_assert_eq(veld_base64_encode(p + 2, sizeof p - 2, pub, sizeof pub), 0);
    return describe_by(sighting, port, (const char *const[]){"v=1", p, NULL});
}

static struct veld_ip ip_of(const char *text)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0);
    return ip;
}

static void add(int sighting, const char *text)
{
    struct veld_ip ip = ip_of(text);
    veld_lan_devices_add(d, sighting, &ip);
}

/* Everything that is told now: "NUMBER: endpoint endpoint; " */
static const char *told(void)
{
    static char text[2048];
    struct veld_lan_report r;
    char one[VELD_ENDPOINT_STRLEN];
    text[0] = '\0';
    while (veld_lan_devices_next(d, now, &r)) {
        size_t used = strlen(text);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u:", used ? "; " : "",
                                 veld_load_le32(r.pub));
        for (size_t i = 0; i < r.n; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, " %s",
                                     veld_endpoint_format(&r.at[i], one));
    }
    return text;
}

Test(lan_devices, what_all_links_say_is_told_once_ipv4_first)
{
    int a = see(eth6, "veld-1"), b = see(wifi4, "veld-1");
    cr_assert(a >= 0 && b >= 0 && a != b);
    cr_assert_eq(see(eth6, "veld-1"), VELD_E_EXIST);
    cr_assert_eq(describe(a, 9, 51820), 0);
    cr_assert_str_eq(told(), "", "it has no address yet");
    add(a, "2001:db8::1");
    add(a, "fe80::1");
    add(a, "192.0.2.1");
    cr_assert_eq(describe(b, 9, 51820), 0);
    add(b, "198.51.100.1");
    add(b, "192.0.2.1"); /* on both */
    cr_assert_str_eq(told(), "9: 192.0.2.1:51820 198.51.100.1:51820 [2001:db8::1]:51820 "
                             "[fe80::1%7]:51820");
    cr_assert_str_eq(told(), "");
    add(b, "192.0.2.1");
    cr_assert_str_eq(told(), "", "no news");
    cr_assert_not(veld_lan_devices_wait(d));
}

Test(lan_devices, another_address_or_port_is_news)
{
    int a = see(eth4, "veld-1");
    struct veld_ip old = ip_of("192.0.2.1");
    cr_assert_eq(describe(a, 9, 51820), 0);
    add(a, "192.0.2.1");
    cr_assert_str_eq(told(), "9: 192.0.2.1:51820");
    add(a, "192.0.2.2");
    veld_lan_devices_remove(d, a, &old);
    veld_lan_devices_remove(d, a, &old);
    cr_assert_str_eq(told(), "9: 192.0.2.2:51820");
    cr_assert_eq(describe(a, 9, 40000), 0);
    add(a, "192.0.2.2");
    cr_assert_str_eq(told(), "9: 192.0.2.2:40000");
    cr_assert_eq(describe(a, 10, 40000), 0, "another P by the same name");
    add(a, "192.0.2.2");
    cr_assert_str_eq(told(), "10: 192.0.2.2:40000");
    now += VELD_LAN_GONE_MS * MS;
    cr_assert_str_eq(told(), "9:");
}

Test(lan_devices, who_is_away_for_a_moment_is_not_gone)
{
    int a = see(eth4, "veld-1");
    cr_assert_eq(describe(a, 9, 51820), 0);
    add(a, "192.0.2.1");
    told();
    veld_lan_devices_forget(d, a);
    cr_assert_eq(veld_lan_devices_find(d, eth4, "veld-1"), VELD_E_NOENT);
    cr_assert_str_eq(told(), "");
    cr_assert(veld_lan_devices_wait(d));
    now += VELD_LAN_GONE_MS * MS - 1;
    cr_assert_str_eq(told(), "");
    a = see(eth4, "veld-2"); /* by another name */
    cr_assert_eq(describe(a, 9, 51820), 0);
    add(a, "192.0.2.1");
    cr_assert_str_eq(told(), "");
    now += S;
    cr_assert_str_eq(told(), "");
    veld_lan_devices_forget(d, a);
    cr_assert_str_eq(told(), "", "the time begins anew");
    now += VELD_LAN_GONE_MS * MS;
    cr_assert_str_eq(told(), "9:");
    cr_assert_str_eq(told(), "");
    cr_assert_not(veld_lan_devices_wait(d));
}

Test(lan_devices, only_a_device_of_this_version_is_one)
{
    static const char good[] = "p=CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    /* y = 2^255 - 18, which is another way to write 1; 31 bytes; bits after the last byte */
    static const char twice[] = "p=7v///////////////////////////////////////38=";
    static const char shorter[] = "p=CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
    static const char sloppy[] = "p=CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=";
    static const char ours[] = "p=AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    static const char *const bad[][4] = {
        {NULL},
        {"v=1", NULL},
        {good, NULL},
        {"v=2", good, NULL},
        {"v=11", good, NULL},
        {"v=", good, NULL},
        {"v", good, NULL},
        {"v=2", "v=1", good, NULL}, /* of two the first counts */
        {"v=1", "p=", good, NULL},
        {"v=1", twice, NULL},
        {"v=1", shorter, NULL},
        {"v=1", sloppy, NULL},
        {"v=1", "p=not base64, but of the length that is needed", NULL},
        {"v=1", ours, NULL},
    };
    int a = see(eth4, "veld-1");
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_assert_eq(describe_by(a, 51820, bad[i]), VELD_E_FORMAT, "%zu", i);
    cr_assert_eq(describe_by(a, 0, (const char *const[]){"v=1", good, NULL}), VELD_E_FORMAT);
    const char *many[VELD_LAN_TXT_MAX + 3] = {"v=1"};
    for (size_t i = 1; i <= VELD_LAN_TXT_MAX; i++)
        many[i] = "x=y";
    many[VELD_LAN_TXT_MAX] = good;
    cr_assert_eq(describe_by(a, 51820, many), VELD_E_FORMAT, "beyond what is looked at");
    many[VELD_LAN_TXT_MAX - 1] = good;
    cr_assert_eq(describe_by(a, 51820, many), 0, "unknown keys are nobody's business");
    cr_assert_eq(describe_by(a, 51820, (const char *const[]){"V=1", good, NULL}), 0);
}

Test(lan_devices, names_are_dns_labels)
{
    char name[VELD_LAN_NAME_MAX + 2] = "";
    cr_assert_eq(see(eth4, ""), VELD_E_FORMAT);
    memset(name, 'a', VELD_LAN_NAME_MAX + 1);
    cr_assert_eq(see(eth4, name), VELD_E_FORMAT);
    name[VELD_LAN_NAME_MAX] = '\0';
    cr_assert_geq(see(eth4, name), 0);
}

Test(lan_devices, addresses_are_bounded_and_a_forged_sighting_gets_a_share)
{
    int forged = see(eth4, "forged"), real = see(eth4, "real");
    char text[32];
    cr_assert_eq(describe(forged, 9, 1), 0);
    add(forged, "127.0.0.1");
    add(forged, "0.0.0.0");
    add(forged, "224.0.0.251");
    add(forged, "255.255.255.255");
    add(forged, "::1");
    add(forged, "ff02::fb");
    cr_assert_str_eq(told(), "");
    for (int i = 1; i <= 50; i++) {
        snprintf(text, sizeof text, "198.51.100.%d", i);
        add(forged, text);
    }
    cr_assert_eq(describe(real, 9, 2), 0);
    add(real, "192.0.2.1");
    cr_assert_str_eq(told(), "9: 198.51.100.1:1 192.0.2.1:2 198.51.100.2:1 198.51.100.3:1 "
                             "198.51.100.4:1 198.51.100.5:1 198.51.100.6:1 198.51.100.7:1");
}

Test(lan_devices, new_names_are_looked_at_by_a_rate)
{
    char name[32];
    int seen = 0, left_out = 0;
    for (int i = 0; i < 5000; i++) { /* a thousand a second */
        snprintf(name, sizeof name, "n%d", i);
        int at = see(eth4, name);
        seen += at >= 0;
        left_out += at == VELD_E_LIMIT;
        if (at >= 0)
            veld_lan_devices_forget(d, at);
        now += MS;
    }
    cr_assert_eq(seen + left_out, 5000);
    cr_assert(seen >= VELD_LAN_LOOKS_BURST + 4 * VELD_LAN_LOOKS_PER_S &&
                  seen <= VELD_LAN_LOOKS_BURST + 5 * VELD_LAN_LOOKS_PER_S + 1,
              "%d", seen);
    now += 60 * S;
    for (seen = 0; seen < 5000; seen++) {
        snprintf(name, sizeof name, "m%d", seen);
        int at = see(eth4, name);
        if (at < 0)
            break;
        veld_lan_devices_forget(d, at);
    }
    cr_assert_eq(seen, VELD_LAN_LOOKS_BURST, "no more after a long rest: %d", seen);
}

Test(lan_devices, names_that_say_no_more_are_bounded_and_given_up)
{
    char name[32];
    int at = 0;
    for (int i = 0; i < VELD_LAN_UNDESCRIBED_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        cr_assert_geq(see(eth4, name), 0);
    }
    cr_assert_eq(see(eth4, "more"), VELD_E_FULL);
    cr_assert_eq(veld_lan_devices_late(d, now), VELD_E_NOENT);
    cr_assert_eq(describe(veld_lan_devices_find(d, eth4, "n3"), 9, 1), 0);
    cr_assert_geq(see(eth4, "more"), 0, "one is described");
    now += VELD_LAN_DESCRIBE_MS * MS;
    int n = 0;
    for (; (at = veld_lan_devices_late(d, now)) >= 0; n++)
        veld_lan_devices_forget(d, at);
    cr_assert_eq(n, VELD_LAN_UNDESCRIBED_MAX);
    cr_assert_geq(veld_lan_devices_find(d, eth4, "n3"), 0);
}

Test(lan_devices, devices_and_sightings_are_bounded)
{
    char name[32];
    uint32_t full = 0;
    int at = 0;
    for (uint32_t i = 0; i <= VELD_LAN_DEVICES_MAX; i++, now += S) {
        snprintf(name, sizeof name, "n%u", i);
        cr_assert_geq(at = see(eth4, name), 0);
        full += describe(at, i + 1000, 1) == VELD_E_FULL;
        add(at, "192.0.2.1");
    }
    cr_assert_eq(full, 1);
    struct veld_lan_report r;
    size_t n = 0;
    while (veld_lan_devices_next(d, now, &r))
        n++;
    cr_assert_eq(n, VELD_LAN_DEVICES_MAX);
    veld_lan_devices_forget(d, at); /* the one beyond */
    for (uint32_t i = VELD_LAN_DEVICES_MAX; i < VELD_LAN_SIGHTINGS_MAX; i++, now += S) {
        snprintf(name, sizeof name, "n%u", i);
        cr_assert_geq(at = see(wifi4, name), 0);
        cr_assert_eq(describe(at, 1000, 1), 0);
    }
    cr_assert_eq(see(wifi4, "more"), VELD_E_FULL);
    veld_lan_devices_forget(d, veld_lan_devices_find(d, eth4, "n5"));
    now += VELD_LAN_GONE_MS * MS;
    told();
    now += VELD_LAN_GONE_MS * MS;
    cr_assert_str_eq(told(), "1005:");
    cr_assert_geq(at = see(wifi4, "more"), 0);
    cr_assert_eq(describe(at, 77, 1), 0, "who is gone makes room");
}

Test(lan_devices, a_report_is_believed_only_when_it_is_sound)
{
    struct veld_lan_report r = {.n = 1, .at = {{.ip.family = 4, .port = 1}}};
    cr_assert(veld_lan_report_is_sound(&r, sizeof r));
    cr_assert_not(veld_lan_report_is_sound(&r, sizeof r - 1));
    r.at[0].ip.family = VELD_FAMILY_CIRCUIT;
    cr_assert_not(veld_lan_report_is_sound(&r, sizeof r));
    r.n = 0;
    cr_assert(veld_lan_report_is_sound(&r, sizeof r));
    r.n = VELD_LAN_ADDRESSES_MAX + 1;
    cr_assert_not(veld_lan_report_is_sound(&r, sizeof r));
}

#include "dataplane/routes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct veld_route_entry entries[2000];
static size_t n;

static void add(const char *text, uint32_t peer)
{
    cr_assert_eq(veld_prefix_parse(text, &entries[n].prefix), 0, "%s", text);
    veld_prefix_mask(&entries[n].prefix);
    entries[n++].peer = (struct veld_peer_ref){.id = peer, .generation = 1000 + peer};
}

static int find(const struct veld_routes *r, const char *text)
{
    struct veld_ip ip;
    cr_assert_eq(veld_ip_parse(text, &ip), 0, "%s", text);
    struct veld_peer_ref ref = veld_routes_find(r, &ip);
    cr_assert(!ref.generation || ref.generation == 1000 + ref.id);
    return ref.generation ? (int)ref.id : -1;
}

Test(routes, empty_table_finds_nobody)
{
    struct veld_routes *r = veld_routes_build(NULL, 0);
    cr_assert_eq(find(r, "10.0.0.1"), -1);
    cr_assert_eq(find(r, "::1"), -1);
    cr_assert_eq(find(r, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), -1);
    cr_assert_eq(find(r, "255.255.255.255"), -1);
    struct veld_ip none = {0};
    cr_assert_eq(veld_routes_find(r, &none).generation, 0);
    veld_routes_free(r);
}

Test(routes, longest_prefix_wins)
{
    add("10.0.0.0/8", 1);
    add("10.1.0.0/16", 2);
    add("10.1.2.3/32", 3);
    add("10.1.2.0/24", 4);
    struct veld_routes *r = veld_routes_build(entries, n);
    cr_assert_eq(find(r, "10.1.2.3"), 3);
    cr_assert_eq(find(r, "10.1.2.2"), 4);
    cr_assert_eq(find(r, "10.1.2.4"), 4);
    cr_assert_eq(find(r, "10.1.3.0"), 2);
    cr_assert_eq(find(r, "10.1.1.255"), 2);
    cr_assert_eq(find(r, "10.0.255.255"), 1);
    cr_assert_eq(find(r, "10.255.255.255"), 1);
    cr_assert_eq(find(r, "11.0.0.0"), -1);
    cr_assert_eq(find(r, "9.255.255.255"), -1);
    cr_assert_eq(find(r, "::a00:1"), -1, "families do not mix");
    veld_routes_free(r);
}

Test(routes, whole_ranges_and_their_ends)
{
    add("0.0.0.0/0", 1);
    add("255.255.255.255/32", 2);
    add("0.0.0.0/32", 3);
    add("::/0", 4);
    add("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 5);
    add("fd00::/64", 6);
    add("fd00:0:0:0:ffff:ffff:ffff:ffff/128", 7);
    struct veld_routes *r = veld_routes_build(entries, n);
    cr_assert_eq(find(r, "0.0.0.0"), 3);
    cr_assert_eq(find(r, "0.0.0.1"), 1);
    cr_assert_eq(find(r, "255.255.255.254"), 1);
    cr_assert_eq(find(r, "255.255.255.255"), 2);
    cr_assert_eq(find(r, "::"), 4);
    cr_assert_eq(find(r, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), 4);
    cr_assert_eq(find(r, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 5);
    cr_assert_eq(find(r, "fd00::ffff:ffff:ffff:fffe"), 6);
    cr_assert_eq(find(r, "fd00::ffff:ffff:ffff:ffff"), 7);
    cr_assert_eq(find(r, "fd00:0:0:1::"), 4, "the carry into the high half");
    veld_routes_free(r);
}

Test(routes, neighbours_and_duplicates)
{
    add("10.0.0.0/25", 1);
    add("10.0.0.128/25", 2);
    add("10.0.0.128/25", 2);
    add("10.0.0.0/24", 3);
    struct veld_routes *r = veld_routes_build(entries, n);
    cr_assert_eq(find(r, "10.0.0.127"), 1);
    cr_assert_eq(find(r, "10.0.0.128"), 2);
    cr_assert_eq(find(r, "10.0.0.255"), 2);
    cr_assert_eq(find(r, "10.0.1.0"), -1);
    veld_routes_free(r);
}

/* The model: look at every prefix, keep the longest that contains. */
static int scan(const struct veld_ip *ip)
{
    int best = -1, best_len = -1;
    for (size_t i = 0; i < n; i++) {
        if (veld_prefix_contains(&entries[i].prefix, ip) && entries[i].prefix.len > best_len) {
            best = (int)entries[i].peer.id;
            best_len = entries[i].prefix.len;
        }
    }
    return best;
}

static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % below;
}

/* Few distinct bytes, so that prefixes nest and touch. */
static struct veld_ip random_ip(uint8_t family)
{
    static const uint8_t bytes[] = {0, 1, 2, 127, 128, 254, 255};
    struct veld_ip ip = {.family = family};
    for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++)
        ip.b[i] = bytes[rnd(sizeof bytes)];
    return ip;
}

static bool known(const struct veld_prefix *p)
{
    for (size_t i = 0; i < n; i++)
        if (entries[i].prefix.len == p->len && veld_ip_equal(&entries[i].prefix.ip, &p->ip))
            return true;
    return false;
}

static void random_table(size_t size)
{
    n = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t family = rnd(2) ? 4 : 6;
        struct veld_prefix p = {.ip = random_ip(family)};
        p.len = (uint8_t)rnd(veld_ip_bits(&p.ip) + 1);
        veld_prefix_mask(&p);
        if (known(&p)) /* unique, as the interface asks */
            continue;
        entries[n].prefix = p;
        entries[n].peer = (struct veld_peer_ref){.id = (uint32_t)n, .generation = 1};
        n++;
    }
}

static void check_against_model(const struct veld_routes *r, const struct veld_ip *ip)
{
    struct veld_peer_ref ref = veld_routes_find(r, ip);
    char text[VELD_IP_STRLEN];
    cr_assert_eq(ref.generation ? (int)ref.id : -1, scan(ip), "%s, %zu prefixes",
                 veld_ip_format(ip, text), n);
}

Test(routes, agrees_with_a_scan, .timeout = 60)
{
    seed = 7;
    for (unsigned round = 0; round < 60; round++) {
        random_table(1 + rnd(300));
        struct veld_routes *r = veld_routes_build(entries, n);
        cr_assert_not_null(r);
        cr_assert_leq(r->n_v4 + r->n_v6, 2 * n + 2);
        for (unsigned i = 0; i < 1500; i++) {
            struct veld_ip ip = random_ip(i % 2 ? 4 : 6);
            check_against_model(r, &ip);
        }
        for (size_t i = 0; i < n; i++)
            check_against_model(r, &entries[i].prefix.ip);
        veld_routes_free(r);
    }
}

#include "base/bytes.h"
#include "control/mesh/policy.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix p;
    cr_assert_eq(veld_prefix_parse(text, &p), 0, "%s", text);
    veld_prefix_mask(&p);
    return p;
}

/* One member that offers one route and is reached at one endpoint. */
struct offer {
    const char *route, *endpoint;
    uint8_t key;
    uint64_t pinned_since;
};

struct world {
    struct veld_policy policy;
    struct veld_prefix networks[2], lan, own;
    struct veld_ip coord;
};

static void make_world(struct world *w)
{
    *w = (struct world){.networks = {prefix("10.100.0.0/16"), prefix("fd12:3456:789a::/48")},
                        .lan = prefix("192.168.7.0/24"),
                        .own = prefix("172.20.0.0/16")};
    cr_assert_eq(veld_ip_parse("203.0.113.5", &w->coord), 0);
    w->policy = (struct veld_policy){.accept_routes = true,
                                     .networks = w->networks,
                                     .n_networks = 2,
                                     .lans = &w->lan,
                                     .n_lans = 1,
                                     .offered = &w->own,
                                     .n_offered = 1,
                                     .coord = &w->coord,
                                     .n_coord = 1};
}

#define OFFERS_MAX 8

/* The verdict of each offer, in order. */
static void judge(const struct world *w, const struct offer *offers, size_t n,
                  struct veld_policy_route *out)
{
    struct veld_policy_member members[OFFERS_MAX];
    struct veld_prefix routes[OFFERS_MAX];
    struct veld_endpoint endpoints[OFFERS_MAX];
    uint8_t keys[OFFERS_MAX][32];
    struct veld_policy_route *judged;
    size_t n_judged;
    for (size_t i = 0; i < n; i++) {
        routes[i] = prefix(offers[i].route);
        memset(keys[i], offers[i].key, 32);
        members[i] = (struct veld_policy_member){.pub = keys[i],
                                                 .pinned_since = offers[i].pinned_since,
                                                 .routes = &routes[i],
                                                 .n_routes = 1};
        if (offers[i].endpoint) {
            cr_assert_eq(veld_endpoint_parse(offers[i].endpoint, &endpoints[i]), 0);
            members[i].endpoints = &endpoints[i];
            members[i].n_endpoints = 1;
        }
    }
    cr_assert_eq(veld_policy_judge(&w->policy, members, n, &judged, &n_judged), 0);
    cr_assert_eq(n_judged, n);
    memcpy(out, judged, n * sizeof *out);
    free(judged);
}

static enum veld_route_verdict judge_one(const struct world *w, const char *route,
                                         const char *endpoint)
{
    struct offer offer = {.route = route, .endpoint = endpoint, .key = 1};
    struct veld_policy_route out;
    judge(w, &offer, 1, &out);
    return out.verdict;
}

Test(policy, each_kind_of_route)
{
    static const struct {
        const char *route;
        enum veld_route_verdict verdict;
    } cases[] = {
        {"192.168.8.0/24", VELD_ROUTE_USED},
        {"10.0.0.0/10", VELD_ROUTE_USED},
        {"198.51.100.0/24", VELD_ROUTE_USED},
        {"2001:db8:1::/48", VELD_ROUTE_USED},
        {"192.168.8.9/32", VELD_ROUTE_USED},
        {"0.0.0.0/0", VELD_ROUTE_DEFAULT},
        {"0.0.0.0/1", VELD_ROUTE_DEFAULT},
        {"128.0.0.0/1", VELD_ROUTE_DEFAULT},
        {"64.0.0.0/2", VELD_ROUTE_DEFAULT},
        {"192.0.0.0/7", VELD_ROUTE_DEFAULT},
        {"::/0", VELD_ROUTE_DEFAULT},
        {"8000::/1", VELD_ROUTE_DEFAULT},
        {"2000::/3", VELD_ROUTE_DEFAULT},
        {"127.0.0.0/8", VELD_ROUTE_RESERVED},
        {"127.0.0.53/32", VELD_ROUTE_RESERVED},
        {"169.254.169.254/32", VELD_ROUTE_RESERVED},
        {"224.0.0.0/8", VELD_ROUTE_RESERVED},
        {"255.255.255.255/32", VELD_ROUTE_RESERVED},
        {"::1/128", VELD_ROUTE_RESERVED},
        {"fe80::/64", VELD_ROUTE_RESERVED},
        {"fe00::/8", VELD_ROUTE_RESERVED},
        {"10.100.0.0/16", VELD_ROUTE_NETWORK},
        {"10.100.3.0/24", VELD_ROUTE_NETWORK},
        {"10.0.0.0/8", VELD_ROUTE_NETWORK},
        {"fd12:3456:789a:1::/64", VELD_ROUTE_NETWORK},
        {"192.168.7.0/24", VELD_ROUTE_OWN_LAN},
        {"192.168.7.128/25", VELD_ROUTE_OWN_LAN},
        {"192.168.0.0/16", VELD_ROUTE_OWN_LAN},
        {"172.20.4.0/24", VELD_ROUTE_OWN_ROUTE},
        {"172.16.0.0/12", VELD_ROUTE_OWN_ROUTE},
        {"203.0.113.0/24", VELD_ROUTE_COORD},
        {"203.0.113.5/32", VELD_ROUTE_COORD},
    };
    struct world w;
    make_world(&w);
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        enum veld_route_verdict got = judge_one(&w, cases[i].route, NULL);
        cr_expect_eq(got, cases[i].verdict, "%s: %s", cases[i].route,
                     veld_route_verdict_name(got));
    }
}

Test(policy, nothing_is_used_that_is_not_accepted)
{
    struct world w;
    make_world(&w);
    w.policy.accept_routes = false;
    cr_assert_eq(judge_one(&w, "192.168.8.0/24", NULL), VELD_ROUTE_NOT_ACCEPTED);
}

/* A gateway lives in the network that it offers, and says so; but it must be reached from outside. */
Test(policy, a_route_leads_to_no_endpoint_that_is_needed)
{
    struct world w;
    make_world(&w);
    cr_expect_eq(judge_one(&w, "192.168.8.0/24", "192.168.8.1:51820"), VELD_ROUTE_ENDPOINT);
    cr_expect_eq(judge_one(&w, "192.168.8.0/24", "192.168.9.1:51820"), VELD_ROUTE_USED);
    cr_expect_eq(judge_one(&w, "198.51.100.0/24", "198.51.100.1:51820"), VELD_ROUTE_ENDPOINT);

    /* The endpoint of another: private, it is a machine behind the gateway; global, it is the way there. */
    struct offer offers[] = {
        {.route = "192.168.8.0/24", .endpoint = "198.51.100.1:51820", .key = 1},
        {.route = "192.168.50.0/24", .endpoint = "192.168.8.7:51820", .key = 2},
        {.route = "198.51.96.0/20", .endpoint = "203.0.113.77:51820", .key = 3},
        {.route = "203.0.113.64/26", .endpoint = NULL, .key = 4},
        {.route = "203.0.113.128/26", .endpoint = NULL, .key = 5},
    };
    struct veld_policy_route out[VELD_ARRAY_LEN(offers)];
    judge(&w, offers, VELD_ARRAY_LEN(offers), out);
    cr_expect_eq(out[0].verdict, VELD_ROUTE_USED);
    cr_expect_eq(out[1].verdict, VELD_ROUTE_USED);
    cr_expect_eq(out[2].verdict, VELD_ROUTE_ENDPOINT);
    cr_expect_eq(out[3].verdict, VELD_ROUTE_ENDPOINT);
    cr_expect_eq(out[4].verdict, VELD_ROUTE_USED);
}

Test(policy, longest_prefix_is_no_conflict)
{
    struct world w;
    make_world(&w);
    struct offer offers[] = {{.route = "10.0.0.0/10", .key = 1},
                             {.route = "10.5.0.0/16", .key = 2}};
    struct veld_policy_route out[2];
    judge(&w, offers, 2, out);
    cr_assert_eq(out[0].verdict, VELD_ROUTE_USED);
    cr_assert_eq(out[1].verdict, VELD_ROUTE_USED);
}

/* Who has a route does not depend on the order in which it was offered. */
Test(policy, of_the_same_offers_one_is_used)
{
    static const struct {
        struct offer offers[3];
        uint8_t winner; /* its key */
    } cases[] = {
        {{{.key = 3}, {.key = 1}, {.key = 2}}, 1},
        {{{.key = 3, .pinned_since = 900}, {.key = 1}, {.key = 2}}, 3},
        {{{.key = 3, .pinned_since = 900}, {.key = 1}, {.key = 2, .pinned_since = 800}}, 2},
        {{{.key = 3, .pinned_since = 800}, {.key = 1}, {.key = 2, .pinned_since = 800}}, 2},
    };
    static const uint8_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct world w;
    make_world(&w);
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        for (size_t o = 0; o < VELD_ARRAY_LEN(orders); o++) {
            struct offer offers[3];
            struct veld_policy_route out[3];
            for (size_t k = 0; k < 3; k++) {
                offers[k] = cases[i].offers[orders[o][k]];
                offers[k].route = "192.168.8.0/24";
            }
            judge(&w, offers, 3, out);
            for (size_t k = 0; k < 3; k++) {
                bool wins = offers[k].key == cases[i].winner;
                cr_expect_eq(out[k].verdict, wins ? VELD_ROUTE_USED : VELD_ROUTE_TAKEN,
                             "case %zu, order %zu, key %u", i, o, offers[k].key);
                if (!wins)
                    cr_expect_eq(offers[out[k].taken_by].key, cases[i].winner);
            }
        }
    }
}

/* One that was refused for another reason keeps nobody else from it. */
Test(policy, a_refused_offer_takes_nothing)
{
    struct world w;
    make_world(&w);
    struct offer offers[] = {
        {.route = "192.168.8.0/24", .endpoint = "192.168.8.1:51820", .key = 1},
        {.route = "192.168.8.0/24", .endpoint = "192.168.9.1:51820", .key = 2}};
    struct veld_policy_route out[2];
    judge(&w, offers, 2, out);
    cr_assert_eq(out[0].verdict, VELD_ROUTE_ENDPOINT);
    cr_assert_eq(out[1].verdict, VELD_ROUTE_USED);
}

Test(policy, what_is_global)
{
    static const struct {
        const char *ip;
        bool global;
    } cases[] = {{"8.8.8.8", true},     {"10.1.1.1", false},   {"100.64.0.1", false},
                 {"172.31.0.1", false}, {"172.32.0.1", true},  {"192.168.0.1", false},
                 {"127.0.0.1", false},  {"2001:db8::1", true}, {"fd00::1", false},
                 {"fe80::1", false},    {"::1", false}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        struct veld_ip ip;
        cr_assert_eq(veld_ip_parse(cases[i].ip, &ip), 0);
        cr_expect_eq(veld_ip_is_global(&ip), cases[i].global, "%s", cases[i].ip);
    }
    cr_expect_not(veld_ip_is_global(&(struct veld_ip){0}));
}

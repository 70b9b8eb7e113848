#include "control/mesh/policy.h"

#include "base/bytes.h"
#include "control/mesh/hash.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text;
} verdicts[] = {
#define X(id, name, text) {name, text},
    VELD_ROUTE_VERDICTS(X)
#undef X
};

const char *veld_route_verdict_name(enum veld_route_verdict v)
{
    return verdicts[v].name;
}

const char *veld_route_verdict_text(enum veld_route_verdict v)
{
    return verdicts[v].text;
}

/* ---- Kinds of addresses ---- */

#define V4(a, b, len)                                                                          \
    {                                                                                          \
        {4, {a, b}}, len                                                                       \
    }
#define V6(a, b, len)                                                                          \
    {                                                                                          \
        {6, {a, b}}, len                                                                       \
    }

/* Of the IANA's registries of special addresses (RFC 6890) those that no route may lead to. */
static const struct veld_prefix reserved[] = {
    V4(0, 0, 8),   V4(127, 0, 8), V4(169, 254, 16),   V4(224, 0, 4),
    V4(240, 0, 4), V6(0, 0, 16),  V6(0xfe, 0x80, 10), V6(0xff, 0, 8),
};

/* Those of private networks: RFC 1918, RFC 6598, RFC 4193. */
static const struct veld_prefix private[] = {
    V4(10, 0, 8), V4(172, 16, 12), V4(192, 168, 16), V4(100, 64, 10), V6(0xfc, 0, 7),
};

static bool overlaps_any(const struct veld_prefix *list, size_t n, const struct veld_prefix *p)
{
    for (size_t i = 0; i < n; i++) {
        if (veld_prefix_overlaps(&list[i], p))
            return true;
    }
    return false;
}

bool veld_ip_is_global(const struct veld_ip *ip)
{
    struct veld_prefix host = veld_prefix_host(ip);
    return ip->family && !overlaps_any(reserved, VELD_ARRAY_LEN(reserved), &host) &&
           !overlaps_any(private, VELD_ARRAY_LEN(private), &host);
}

/* ---- Addresses that no route may hold, sorted ---- */

struct addresses {
    struct veld_ip *ip;
    size_t n;
};

static int compare_ip(const void *pa, const void *pb)
{
    const struct veld_ip *a = pa, *b = pb;
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->b, b->b, sizeof a->b);
}

/* A masked prefix is its own lowest address. */
static bool holds_any(const struct veld_prefix *route, const struct addresses *list)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_ip(&list->ip[middle], &route->ip) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->n && veld_prefix_contains(route, &list->ip[low]);
}

static int gather_endpoints(const struct veld_policy_member *members, size_t n,
                            struct addresses *out)
{
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += members[i].n_endpoints;
    out->n = 0;
    out->ip = calloc(room + 1, sizeof *out->ip);
    if (!out->ip)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; e < members[i].n_endpoints; e++) {
            if (veld_ip_is_global(&members[i].endpoints[e].ip))
                out->ip[out->n++] = members[i].endpoints[e].ip;
        }
    }
    qsort(out->ip, out->n, sizeof *out->ip, compare_ip);
    return 0;
}

/* ---- One offer by itself ---- */

static bool holds_all_endpoints(const struct veld_policy_member *m,
                                const struct veld_prefix *route)
{
    for (size_t i = 0; i < m->n_endpoints; i++) {
        if (!veld_prefix_contains(route, &m->endpoints[i].ip))
            return false;
    }
    return m->n_endpoints > 0;
}

static enum veld_route_verdict judge_alone(const struct veld_policy *p,
                                           const struct veld_policy_member *m,
                                           const struct addresses *endpoints,
                                           const struct veld_prefix *route)
{
    if (!p->accept_routes)
        return VELD_ROUTE_NOT_ACCEPTED;
    if (route->len < VELD_ROUTE_LENGTH_MIN)
        return VELD_ROUTE_DEFAULT;
    if (overlaps_any(reserved, VELD_ARRAY_LEN(reserved), route))
        return VELD_ROUTE_RESERVED;
    if (overlaps_any(p->networks, p->n_networks, route))
        return VELD_ROUTE_NETWORK;
    if (overlaps_any(p->lans, p->n_lans, route))
        return VELD_ROUTE_OWN_LAN;
    if (overlaps_any(p->offered, p->n_offered, route))
        return VELD_ROUTE_OWN_ROUTE;
    for (size_t i = 0; i < p->n_coord; i++) {
        if (veld_prefix_contains(route, &p->coord[i]))
            return VELD_ROUTE_COORD;
    }
    if (holds_any(route, endpoints) || holds_all_endpoints(m, route))
        return VELD_ROUTE_ENDPOINT;
    return VELD_ROUTE_USED;
}

/* ---- Offers of the same ---- */

/* Does `a` come before `b`, whatever came first? Of one member's two equal offers neither does. */
static bool comes_before(const struct veld_policy_member *a, const struct veld_policy_member *b)
{
    uint64_t a_since = a->pinned_since ? a->pinned_since : UINT64_MAX;
    uint64_t b_since = b->pinned_since ? b->pinned_since : UINT64_MAX;
    if (a_since != b_since)
        return a_since < b_since;
    return memcmp(a->pub, b->pub, 32) < 0;
}

static void settle(const struct veld_policy_member *members, struct veld_policy_route *routes,
                   size_t n)
{
    GHashTable *best = g_hash_table_new(veld_hash_prefix, veld_same_prefix);
    for (size_t i = 0; i < n; i++) {
        if (routes[i].verdict != VELD_ROUTE_USED)
            continue;
        const struct veld_policy_route *has = g_hash_table_lookup(best, &routes[i].prefix);
        if (!has || comes_before(&members[routes[i].member], &members[has->member]))
            g_hash_table_replace(best, &routes[i].prefix, &routes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (routes[i].verdict != VELD_ROUTE_USED)
            continue;
        const struct veld_policy_route *has = g_hash_table_lookup(best, &routes[i].prefix);
        if (has == &routes[i])
            continue;
        routes[i].verdict = VELD_ROUTE_TAKEN;
        routes[i].taken_by = has->member;
    }
    g_hash_table_destroy(best);
}

int veld_policy_judge(const struct veld_policy *p, const struct veld_policy_member *members,
                      size_t n, struct veld_policy_route **out, size_t *n_out)
{
    struct addresses endpoints;
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        total += members[i].n_routes;
    struct veld_policy_route *routes = calloc(total + 1, sizeof *routes);
    if (!routes || gather_endpoints(members, n, &endpoints) < 0) {
        free(routes);
        return VELD_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t r = 0; r < members[i].n_routes; r++, at++) {
            routes[at].prefix = members[i].routes[r];
            routes[at].member = (uint32_t)i;
            routes[at].verdict = judge_alone(p, &members[i], &endpoints, &routes[at].prefix);
        }
    }
    settle(members, routes, total);
    free(endpoints.ip);
    *out = routes;
    *n_out = total;
    return 0;
}

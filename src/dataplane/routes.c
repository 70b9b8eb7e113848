#include "dataplane/routes.h"

#include "base/bytes.h"

#include <stdlib.h>

/* An address of either family as a number; IPv4 in the low 32 bits. */
typedef struct veld_address_number number;

static number ip_number(const struct veld_ip *ip)
{
    if (ip->family == 4)
        return (number){0, veld_load_be32(ip->b)};
    return (number){veld_load_be64(ip->b), veld_load_be64(ip->b + 8)};
}

static bool less(number a, number b)
{
    return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo);
}

static bool equal(number a, number b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static number next(number a)
{
    a.lo++;
    a.hi += a.lo == 0;
    return a;
}

/* 2^bits - 1, for bits up to 64. */
static uint64_t ones(unsigned bits)
{
    return bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
}

static number prefix_last(const struct veld_prefix *p)
{
    unsigned host_bits = veld_ip_bits(&p->ip) - p->len;
    number n = ip_number(&p->ip);
    n.lo |= ones(VELD_MIN(host_bits, 64u));
    n.hi |= ones(host_bits > 64 ? host_bits - 64 : 0);
    return n;
}

/* Order: IPv4 first, then by address, then shorter before longer: a parent before its children. */
static int compare(const void *a, const void *b)
{
    const struct veld_prefix *x = &((const struct veld_route_entry *)a)->prefix;
    const struct veld_prefix *y = &((const struct veld_route_entry *)b)->prefix;
    if (x->ip.family != y->ip.family)
        return x->ip.family < y->ip.family ? -1 : 1;
    int order = memcmp(x->ip.b, y->ip.b, sizeof x->ip.b);
    return order ? order : (int)x->len - (int)y->len;
}

/* Ranges of one family while they are laid down, in rising order. */
struct layer {
    struct veld_routes *r;
    bool v6;
    number max;
    /* Prefixes that contain the present position, outermost first; nested, so at most one a length. */
    struct {
        number last;
        struct veld_peer_ref peer;
    } open[130];
    unsigned depth;
};

/* A range that starts where the last one did replaces it: that one was empty. */
static void put_range(struct layer *l, number start, struct veld_peer_ref peer)
{
    struct veld_routes *r = l->r;
    if (l->v6) {
        if (r->n_v6 && equal(r->v6_start[r->n_v6 - 1], start))
            r->n_v6--;
        r->v6_start[r->n_v6] = start;
        r->v6_peer[r->n_v6++] = peer;
    } else {
        if (r->n_v4 && r->v4_start[r->n_v4 - 1] == start.lo)
            r->n_v4--;
        r->v4_start[r->n_v4] = (uint32_t)start.lo;
        r->v4_peer[r->n_v4++] = peer;
    }
}

/* Close the innermost prefix: behind it, the one around it goes on. */
static void close_one(struct layer *l)
{
    number last = l->open[--l->depth].last;
    if (!equal(last, l->max))
        put_range(l, next(last), l->open[l->depth - 1].peer);
}

static void flatten(struct veld_routes *r, const struct veld_route_entry *e, size_t n, bool v6)
{
    struct layer l = {.r = r, .v6 = v6, .depth = 1};
    l.max = v6 ? (number){UINT64_MAX, UINT64_MAX} : (number){0, UINT32_MAX};
    l.open[0].last = l.max; /* everything, belonging to nobody */
    put_range(&l, (number){0, 0}, l.open[0].peer);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && compare(&e[i - 1], &e[i]) == 0)
            continue; /* the same prefix again */
        number first = ip_number(&e[i].prefix.ip);
        while (l.depth > 1 && less(l.open[l.depth - 1].last, first))
            close_one(&l);
        l.open[l.depth].last = prefix_last(&e[i].prefix);
        l.open[l.depth++].peer = e[i].peer;
        put_range(&l, first, e[i].peer);
    }
    while (l.depth > 1)
        close_one(&l);
}

static bool allocate(struct veld_routes *r, size_t n_v4, size_t n_v6)
{
    r->v4_start = calloc(2 * n_v4 + 1, sizeof *r->v4_start);
    r->v4_peer = calloc(2 * n_v4 + 1, sizeof *r->v4_peer);
    r->v6_start = calloc(2 * n_v6 + 1, sizeof *r->v6_start);
    r->v6_peer = calloc(2 * n_v6 + 1, sizeof *r->v6_peer);
    return r->v4_start && r->v4_peer && r->v6_start && r->v6_peer;
}

struct veld_routes *veld_routes_build(const struct veld_route_entry *entries, size_t n)
{
    struct veld_routes *r = calloc(1, sizeof *r);
    struct veld_route_entry *sorted = calloc(n ? n : 1, sizeof *sorted);
    size_t n_v4 = 0;
    for (size_t i = 0; i < n; i++)
        n_v4 += entries[i].prefix.ip.family == 4;
    if (!r || !sorted || !allocate(r, n_v4, n - n_v4)) {
        free(sorted);
        veld_routes_free(r);
        return NULL;
    }
    if (n) {
        memcpy(sorted, entries, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare);
    }
    flatten(r, sorted, n_v4, false);
    flatten(r, sorted + n_v4, n - n_v4, true);
    free(sorted);
    return r;
}

void veld_routes_free(struct veld_routes *r)
{
    if (!r)
        return;
    free(r->v4_start);
    free(r->v4_peer);
    free(r->v6_start);
    free(r->v6_peer);
    free(r);
}

static void reclaim(struct veld_rcu *rcu)
{
    veld_routes_free(VELD_CONTAINER_OF(rcu, struct veld_routes, rcu));
}

void veld_routes_retire(struct veld_routes *r)
{
    veld_rcu_retire(&r->rcu, reclaim);
}

/* Both searches: range 0 starts at address 0, so one always starts at or before the address. */
static struct veld_peer_ref find_v4(const struct veld_routes *r, uint32_t ip)
{
    size_t base = 0, n = r->n_v4;
    while (n > 1) {
        size_t half = n / 2;
        base = r->v4_start[base + half] <= ip ? base + half : base;
        n -= half;
    }
    return r->v4_peer[base];
}

static struct veld_peer_ref find_v6(const struct veld_routes *r, number ip)
{
    size_t base = 0, n = r->n_v6;
    while (n > 1) {
        size_t half = n / 2;
        base = less(ip, r->v6_start[base + half]) ? base : base + half;
        n -= half;
    }
    return r->v6_peer[base];
}

struct veld_peer_ref veld_routes_find(const struct veld_routes *r, const struct veld_ip *ip)
{
    if (ip->family == 4)
        return find_v4(r, veld_load_be32(ip->b));
    if (ip->family == 6)
        return find_v6(r, ip_number(ip));
    return (struct veld_peer_ref){0};
}

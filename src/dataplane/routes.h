/*
 * Routes: an immutable longest-prefix table from inner addresses to peers.
 *
 * The prefixes of each family are flattened into disjoint ranges, sorted by
 * their first address; a lookup is one binary search for the last range that
 * starts at or before the address: about log2(2n + 1) steps over an array of
 * 4 bytes (IPv4) or 16 bytes (IPv6) a range, and one load of its owner. A build
 * is one sort. Memory is at most 2n + 1 ranges a family.
 *
 * Invariant: a built table never changes. The control thread builds, publishes
 * and retires; workers look up.
 */
#ifndef VELD_DATAPLANE_ROUTES_H
#define VELD_DATAPLANE_ROUTES_H

#include "base/addr.h"
#include "dataplane/rcu.h"

#include <stddef.h>

/*
 * A peer as others remember it across turns: a number and the generation that
 * had it, so that a removed peer is never taken for the next one of its number.
 */
struct veld_peer_ref {
    uint32_t id;
    uint32_t generation; /* 0: no peer */
};

static inline bool veld_peer_ref_equal(struct veld_peer_ref a, struct veld_peer_ref b)
{
    return a.id == b.id && a.generation == b.generation;
}

struct veld_route_entry {
    struct veld_prefix prefix; /* masked */
    struct veld_peer_ref peer;
};

/* An address as a number, host order. */
struct veld_address_number {
    uint64_t hi, lo;
};

struct veld_routes {
    struct veld_rcu rcu;
    size_t n_v4, n_v6;
    uint32_t *v4_start; /* host order, sorted */
    struct veld_peer_ref *v4_peer;
    struct veld_address_number *v6_start;
    struct veld_peer_ref *v6_peer;
};

/*
 * NULL when out of memory. Prefixes are masked; of equal ones any wins. Free
 * with veld_routes_free, or veld_routes_retire when workers may hold it.
 */
struct veld_routes *veld_routes_build(const struct veld_route_entry *entries, size_t n);
void veld_routes_free(struct veld_routes *r); /* NULL is allowed */
void veld_routes_retire(struct veld_routes *r);

/* The peer of the longest prefix that contains `ip`; generation 0 when none does. */
struct veld_peer_ref veld_routes_find(const struct veld_routes *r, const struct veld_ip *ip);

#endif

/*
 * Which of the routes that members offer this machine uses. What a membership
 * allows was checked before (trust/record.h); this is what the machine itself
 * lets happen to its own traffic.
 *
 * Invariants:
 *  - a route is used by at most one member, and by the same one whatever the
 *    order in which the offers came;
 *  - no route takes traffic that was not meant for it by surprise: the rest of
 *    the Internet, this host's own networks, the network's own addresses, the
 *    way to the coord server or to another member's endpoint;
 *  - each refusal has one reason, the first of the list below that holds.
 *
 * Routes inside one another are no conflict: the longest prefix wins, as in any
 * router, and what a member may offer the owner has said in its membership.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_MESH_POLICY_H
#define VELD_CONTROL_MESH_POLICY_H

#include "base/addr.h"
#include "base/err.h"
#include "trust/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_ROUTE_VERDICTS(X)                                                                 \
    X(USED, "used", "in use")                                                                  \
    X(NOT_ACCEPTED, "not_accepted", "this machine accepts no routes (accept_routes)")          \
    X(DEFAULT, "default_route", "it is a default route or a large part of one")                \
    X(RESERVED, "reserved", "it holds addresses that mean this host, a link or a group")       \
    X(NETWORK, "network", "it overlaps the addresses of the network's members")                \
    X(OWN_LAN, "own_lan", "it overlaps a network that this machine is attached to")            \
    X(OWN_ROUTE, "own_route", "it overlaps a route that this machine offers itself")           \
    X(COORD, "coord_server", "it holds the coord server's address")                            \
    X(ENDPOINT, "endpoint", "it holds an address by which a member is reached")                \
    X(TAKEN, "taken", "another member offers the same")

enum veld_route_verdict {
#define X(name, id, text) VELD_ROUTE_##name,
    VELD_ROUTE_VERDICTS(X)
#undef X
};
/* For scripts ("own_lan"), and a clause for people. Static; never NULL. */
const char *veld_route_verdict_name(enum veld_route_verdict v);
const char *veld_route_verdict_text(enum veld_route_verdict v);

/* What is this machine's. All borrowed for the call; prefixes masked. */
struct veld_policy {
    bool accept_routes;
    const struct veld_prefix *networks; /* of the mesh: its IPv4 range and its IPv6 prefix */
    size_t n_networks;
    const struct veld_prefix *lans; /* of this host's interfaces, the tunnel aside */
    size_t n_lans;
    const struct veld_prefix *offered; /* by this machine */
    size_t n_offered;
    const struct veld_ip *coord; /* the server's addresses */
    size_t n_coord;
};

/* One member that offers routes, or has endpoints. */
struct veld_policy_member {
    const uint8_t *pub;    /* 32 bytes; borrowed */
    uint64_t pinned_since; /* seconds; 0: not pinned */
    const struct veld_prefix *routes;
    size_t n_routes;
    const struct veld_endpoint *endpoints; /* where it says it is reached */
    size_t n_endpoints;
};

/* One offer as it was judged. */
struct veld_policy_route {
    struct veld_prefix prefix;
    uint32_t member;   /* index into the array given */
    uint32_t taken_by; /* TAKEN: the member that has it */
    enum veld_route_verdict verdict;
};

/*
 * Judge all offers: `*out` receives one for each, in the order of the members and
 * of their routes; the caller frees it. Of two members that offer the same, the
 * one pinned longer has it, then the pinned one, then the one with the smaller key.
 *
 * A route may not hold a member's endpoint of global scope, nor the only
 * endpoints of the member that offers it. A private endpoint of another member
 * is no obstacle: it is what a machine says that lives behind the gateway.
 */
VELD_MUST_USE int veld_policy_judge(const struct veld_policy *p,
                                    const struct veld_policy_member *members, size_t n,
                                    struct veld_policy_route **out, size_t *n_out);

/* Is it an address that the Internet knows, and not one of a private network? */
bool veld_ip_is_global(const struct veld_ip *ip);

#endif

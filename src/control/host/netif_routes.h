/*
 * The kernel's routes against those wanted: one walk through the main table
 * tells what is there already, what nobody wants any more, and what belongs to
 * another interface.
 *
 * Order of calls: look or survey, change*, clear. Control thread.
 */
#ifndef VELD_CONTROL_HOST_NETIF_ROUTES_H
#define VELD_CONTROL_HOST_NETIF_ROUTES_H

#include "base/addr.h"
#include "base/err.h"

#include <glib.h>
#include <netlink/netlink.h>

/* A prefix and what the kernel has of it. */
struct veld_route_wanted {
    struct veld_prefix prefix;
    bool present;      /* on our interface already */
    int other_ifindex; /* another interface that has it; 0: none */
};

/* A route through our interface that nobody wants. */
struct veld_route_stale {
    struct veld_prefix prefix;
    uint32_t metric;
};

/* What a walk through the kernel's routes found. */
struct veld_routes {
    int ifindex;
    struct veld_route_wanted *wanted; /* sorted, each once */
    size_t n_wanted;
    GArray *stale; /* of struct veld_route_stale */
};

/* Read the kernel's routes against `prefixes` (masked here). Give `s` to veld_routes_clear in any case. */
VELD_MUST_USE int veld_routes_look(struct nl_sock *sock, int ifindex, struct veld_routes *s,
                                   const struct veld_prefix *prefixes, size_t count,
                                   struct veld_diag *diag);
/* The same, and VELD_E_EXIST, with both names in `diag`, when one of them is another interface's. */
VELD_MUST_USE int veld_routes_survey(struct nl_sock *sock, int ifindex, struct veld_routes *s,
                                     const struct veld_prefix *prefixes, size_t count,
                                     struct veld_diag *diag);
void veld_routes_clear(struct veld_routes *s);

/* RTM_NEWROUTE or RTM_DELROUTE, through the interface. `metric` 0 is the kernel's choice. */
VELD_MUST_USE int veld_routes_change(struct nl_sock *sock, int ifindex, int type,
                                     const struct veld_prefix *p, uint32_t metric,
                                     struct veld_diag *diag);

#endif

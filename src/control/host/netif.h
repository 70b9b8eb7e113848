/*
 * The interface as the kernel sees it: addresses, MTU, queue length, routes,
 * by rtnetlink (libnl-route-3). The interface itself is made by the dataplane;
 * its addresses and routes go with it.
 *
 * Control thread; each call is a few synchronous netlink exchanges.
 */
#ifndef VELD_CONTROL_HOST_NETIF_H
#define VELD_CONTROL_HOST_NETIF_H

#include "base/addr.h"
#include "base/err.h"
#include "control/host/journal.h"

#include <stdbool.h>
#include <stddef.h>

/* The alias of each interface that is Veld's, by which other daemons on the host know it. */
#define VELD_NETIF_ALIAS "veld"

struct veld_netif;

struct veld_netif_config {
    unsigned ifindex;
    const char *name;
    unsigned mtu;
    unsigned tx_queue_len;           /* packets */
    unsigned gso_max_size;           /* bytes; 0: leave */
    const struct veld_prefix *addrs; /* host bits kept */
    size_t n_addrs;
};

/*
 * Set everything and bring the interface up, no IPv6 link-local address. On
 * failure the interface stays, and `diag` names the address or setting and the remedy (an address
 * already in use on another interface, missing CAP_NET_ADMIN, IPv6 disabled).
 */
VELD_MUST_USE int veld_netif_open(struct veld_netif **out, const struct veld_netif_config *cfg,
                                  struct veld_diag *diag);
/* A host that our addresses' own networks lead to already: peers are many. */
bool veld_netif_leads_to(const struct veld_netif *n, const struct veld_prefix *p);
/*
 * Make the routes through the interface exactly `routes` (beside those its
 * addresses brought), adding and removing the difference. A route that equals
 * one of another interface is an error naming it. A single host inside the
 * network of one of our addresses needs no route, and gets none.
 */
VELD_MUST_USE int veld_netif_set_routes(struct veld_netif *n, const struct veld_prefix *routes,
                                        size_t count, struct veld_diag *diag);
/*
 * The same for a daemon that runs and shall go on: some changes at a time, and a
 * route that cannot be had, or that another interface has, is left out (also one of
 * ours that another interface has got meanwhile).
 *
 * Order of calls: begin, some until it returns false, end. Belongs to the caller.
 */
struct veld_netif_fit;
VELD_MUST_USE int veld_netif_fit_begin(struct veld_netif *n, const struct veld_prefix *routes,
                                       size_t count, struct veld_netif_fit **out,
                                       struct veld_diag *diag);
/* At most `max` changes. True while there is more to do. */
bool veld_netif_fit_some(struct veld_netif_fit *f, size_t max);
/* How many routes were left out so far; `first` receives the sentence about the first of them. */
size_t veld_netif_fit_left_out(const struct veld_netif_fit *f, struct veld_diag *first);
void veld_netif_fit_end(struct veld_netif_fit *f); /* NULL is allowed */

/*
 * Removes the interface too. Without that it would go with the last io_uring
 * request that holds its file, which the kernel ends some time after the process.
 * NULL is allowed.
 */
void veld_netif_close(struct veld_netif *n);

/*
 * Turn IP forwarding on for the families among `routes`, through the journal,
 * and log what was done. Nothing when it is on already.
 */
VELD_MUST_USE int veld_netif_enable_forwarding(struct veld_journal *j,
                                               const struct veld_prefix *routes, size_t count,
                                               struct veld_diag *diag);

#endif

/*
 * The router that this host's way to the Internet begins at.
 *
 * Control thread; one exchange with the kernel.
 */
#ifndef VELD_CONTROL_HOST_NETIF_GATEWAY_H
#define VELD_CONTROL_HOST_NETIF_GATEWAY_H

#include "base/addr.h"

struct veld_gateway {
    struct veld_ip ip;  /* family 0: there is none, or it has no IPv4 address */
    struct veld_ip own; /* with which it is spoken to */
    int ifindex;
};

/* By IPv4, as the kernel routes now. */
struct veld_gateway veld_netif_gateway(void);
bool veld_gateway_equal(const struct veld_gateway *a, const struct veld_gateway *b);

#endif

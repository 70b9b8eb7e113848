/*
 * The addresses of this host's interfaces: where it may be reached, and which
 * networks it is attached to. Those of Veld's interfaces (netif.h marks them), which
 * other daemons here may have, are apart: a tunnel must not lead through another.
 *
 * Control thread; a few exchanges with the kernel.
 */
#ifndef VELD_CONTROL_HOST_ADDRESSES_H
#define VELD_CONTROL_HOST_ADDRESSES_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>

#define VELD_HOST_ADDRS_MAX 256

enum veld_host_side {
    VELD_HOST_OUTSIDE, /* of all interfaces but Veld's; loopback ones too */
    VELD_HOST_TUNNELS, /* of Veld's alone */
};

/*
 * Of the interfaces of that side that are up, but `without` (a name; NULL: none).
 * Host bits are kept; in the kernel's order; at most VELD_HOST_ADDRS_MAX.
 * Returns how many; 0 too when the kernel does not tell.
 */
size_t veld_host_addresses(const char *without, enum veld_host_side side,
                           struct veld_prefix out[VELD_HOST_ADDRS_MAX]);

/* Does the kernel know a way to this address? True when it does not tell. */
bool veld_host_has_route(const struct veld_endpoint *to);

/* May an interface have IPv6 addresses here? */
bool veld_host_has_ipv6(void);

#endif

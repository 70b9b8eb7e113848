/*
 * This machine's addresses on the links where it announces itself: all interfaces that are up and
 * carry multicast, but the loopback, point-to-point ones and the tunnel.
 *
 * Any thread.
 */
#ifndef VELD_CONTROL_LAN_LINKS_H
#define VELD_CONTROL_LAN_LINKS_H

#include "base/addr.h"

#define VELD_LAN_LINK_ADDRESSES_MAX 64

struct veld_lan_address {
    uint32_t interface;
    struct veld_ip ip;
};

/*
 * Those that `listen` stands for (all of both families, all of IPv4, one), of a link at most
 * VELD_LAN_ADDRESSES_MAX, link-local ones of IPv6 only where there is no other. Returns how many.
 */
size_t veld_lan_links_read(const char *without, const struct veld_ip *listen,
                           struct veld_lan_address out[VELD_LAN_LINK_ADDRESSES_MAX]);
/* A descriptor that is readable when they may have changed (VELD_E_IO); read it empty. */
VELD_MUST_USE int veld_lan_links_watch(void);

#endif

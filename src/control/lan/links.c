#include "control/lan/links.h"

#include "control/lan/report.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

struct list {
    const struct veld_ip *listen;
    struct veld_lan_address *out;
    size_t n;
};

/* How many the link has: all, or those of IPv6. */
static size_t count(const struct list *l, uint32_t interface, uint8_t family)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->out[i].interface == interface && (!family || l->out[i].ip.family == family);
    return n;
}

static bool is_announced_on(const struct ifaddrs *a, const char *without)
{
    unsigned needs = IFF_UP | IFF_MULTICAST;
    return a->ifa_addr && (a->ifa_flags & needs) == needs &&
           !(a->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) &&
           strcmp(a->ifa_name, without) != 0;
}

/* Is what comes to this address heard? */
static bool is_listened_on(const struct veld_ip *listen, const struct veld_ip *ip)
{
    static const uint8_t any[16];
    if (memcmp(listen->b, any, sizeof any) != 0)
        return veld_ip_equal(listen, ip);
    return listen->family == 6 || ip->family == 4;
}

static void add(struct list *l, const struct ifaddrs *a, bool link_local)
{
    struct veld_endpoint e;
    uint32_t interface = if_nametoindex(a->ifa_name);
    socklen_t len = a->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                       : sizeof(struct sockaddr_in);
    if (!interface || l->n == VELD_LAN_LINK_ADDRESSES_MAX ||
        count(l, interface, 0) == VELD_LAN_ADDRESSES_MAX ||
        (link_local && count(l, interface, 6) > 0) ||
        veld_endpoint_from_sockaddr(a->ifa_addr, len, &e) < 0 || !veld_ip_is_unicast(&e.ip) ||
        !is_listened_on(l->listen, &e.ip))
        return;
    l->out[l->n++] = (struct veld_lan_address){.interface = interface, .ip = e.ip};
}

static void add_all(struct list *l, const struct ifaddrs *all, const char *without,
                    bool link_local)
{
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!is_announced_on(a, without) ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        const struct sockaddr_in6 *six = (const void *)a->ifa_addr;
        bool local = six->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
        if (local == link_local)
            add(l, a, local);
    }
}

size_t veld_lan_links_read(const char *without, const struct veld_ip *listen,
                           struct veld_lan_address out[VELD_LAN_LINK_ADDRESSES_MAX])
{
    struct list l = {.listen = listen, .out = out};
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return 0;
    add_all(&l, all, without, false);
    add_all(&l, all, without, true);
    freeifaddrs(all);
    return l.n;
}

int veld_lan_links_watch(void)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK,
                             .nl_groups =
                                 RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return VELD_E_IO;
    if (bind(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return VELD_E_IO;
}

#include "control/host/addresses.h"

#include "base/file.h"
#include "control/host/netif_marked.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t mask_length(const struct sockaddr *mask, const struct veld_ip *ip)
{
    const uint8_t *b =
        ip->family == 4
            ? (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr
            : ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr.s6_addr;
    unsigned len = 0, bits = veld_ip_bits(ip);
    while (len < bits && b[len / 8] >> (7 - len % 8) & 1)
        len++;
    return (uint8_t)len;
}

static bool read_one(const struct ifaddrs *a, const char *without, struct veld_prefix *out)
{
    struct veld_endpoint e;
    if (!a->ifa_addr || !a->ifa_netmask || !(a->ifa_flags & IFF_UP) ||
        (without && strcmp(a->ifa_name, without) == 0))
        return false;
    int family = a->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6)
        return false;
    socklen_t len =
        family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (veld_endpoint_from_sockaddr(a->ifa_addr, len, &e) < 0)
        return false;
    *out = (struct veld_prefix){.ip = e.ip, .len = mask_length(a->ifa_netmask, &e.ip)};
    return true;
}

size_t veld_host_addresses(const char *without, enum veld_host_side side,
                           struct veld_prefix out[VELD_HOST_ADDRS_MAX])
{
    struct ifaddrs *all;
    struct veld_netif_marked tunnels;
    size_t n = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    veld_netif_marked_read(&tunnels);
    for (const struct ifaddrs *a = all; a && n < VELD_HOST_ADDRS_MAX; a = a->ifa_next) {
        if (veld_netif_marked_has(&tunnels, a->ifa_name) == (side == VELD_HOST_TUNNELS))
            n += read_one(a, without, &out[n]);
    }
    freeifaddrs(all);
    return n;
}

bool veld_host_has_route(const struct veld_endpoint *to)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int family = to->ip.family == 4 ? AF_INET : AF_INET6;
    if (veld_endpoint_to_sockaddr(to, family, &sa, &len) < 0)
        return true;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    int rc = connect(fd, (const struct sockaddr *)&sa, len); /* sends nothing */
    bool none = rc < 0 && (errno == ENETUNREACH || errno == EHOSTUNREACH);
    close(fd);
    return !none;
}

bool veld_host_has_ipv6(void)
{
    char text[8];
    size_t len;
    if (access("/proc/net/if_inet6", F_OK) < 0)
        return false;
    return veld_file_read("/proc/sys/net/ipv6/conf/default/disable_ipv6", text, sizeof text,
                          &len) < 0 ||
           text[0] != '1';
}

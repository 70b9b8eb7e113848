#include "dataplane/own.h"

#include "base/bytes.h"

#include <netinet/in.h>

#define UDP_HEADER         8
#define IPV4_OFFSET_MASK   0x1fff
#define IPV6_FRAGMENT      8 /* its header's length */
#define IPV6_OFFSET_MASK   0xfff8
#define IPV6_NEXT_FRAGMENT 44

/* The UDP header, also of a first fragment; NULL when there is none. */
static const uint8_t *udp_header(const uint8_t *packet, size_t len,
                                 const struct veld_inner *inner)
{
    size_t at = inner->l4_offset;
    uint8_t proto = inner->proto;
    if (inner->src.family == 4) {
        if (veld_load_be16(packet + 6) & IPV4_OFFSET_MASK)
            return NULL;
    } else if (proto == IPV6_NEXT_FRAGMENT) {
        if (at + IPV6_FRAGMENT > len || veld_load_be16(packet + at + 2) & IPV6_OFFSET_MASK)
            return NULL;
        proto = packet[at];
        at += IPV6_FRAGMENT;
    }
    return proto == IPPROTO_UDP && at + UDP_HEADER <= len ? packet + at : NULL;
}

static bool is_ours(const struct veld_own *own, const struct veld_ip *ip)
{
    for (unsigned i = 0; i < own->n; i++) {
        if (veld_ip_equal(&own->addrs[i], ip))
            return true;
    }
    return false;
}

static bool is_our_port(const struct veld_own *own, uint16_t port)
{
    bool lane = false;
    for (unsigned i = 0; i < own->n_lane_ports; i++)
        lane |= own->lane_ports[i] == port; /* without a branch: few, and rarely it */
    return lane || port == own->port;
}

bool veld_own_datagram(const struct veld_own *own, const uint8_t *packet, size_t len,
                       const struct veld_inner *inner, const struct veld_endpoint *endpoint)
{
    const uint8_t *udp = udp_header(packet, len, inner);
    if (!udp || own->port == 0 || !is_our_port(own, veld_load_be16(udp)))
        return false;
    bool to_endpoint = endpoint && veld_load_be16(udp + 2) == endpoint->port &&
                       veld_ip_equal(&inner->dst, &endpoint->ip);
    return to_endpoint || is_ours(own, &inner->src);
}

#include "control/mesh/endpoints.h"

#include "base/bytes.h"
#include "control/mesh/cover.h"

#include <string.h>

#define GLOBAL_V6_MAX 3 /* a host makes itself new ones all day long */

static bool is_inside(const struct veld_prefix *list, size_t n, const struct veld_ip *ip)
{
    for (size_t i = 0; i < n; i++) {
        if (veld_prefix_contains(&list[i], ip))
            return true;
    }
    return false;
}

static bool is_link_local(const struct veld_ip *ip)
{
    if (ip->family == 4)
        return ip->b[0] == 169 && ip->b[1] == 254;
    return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/*
 * All of an own network (RFC 919), whose every host would be sent what is meant for a peer.
 * A network of two (RFC 3021) or of one address has no such addresses.
 */
static bool is_broadcast(const struct veld_prefix *of, const struct veld_ip *ip)
{
    if (of->len > 30 || of->ip.family != 4 || !veld_prefix_contains(of, ip))
        return false;
    uint32_t host = (uint32_t)ip->b[0] << 24 | (uint32_t)ip->b[1] << 16 |
                    (uint32_t)ip->b[2] << 8 | ip->b[3];
    uint32_t bits = UINT32_MAX >> of->len;
    return (host & bits) == 0 || (host & bits) == bits;
}

static bool is_broadcast_here(const struct veld_endpoints_from *self, const struct veld_ip *ip)
{
    for (size_t i = 0; i < self->n_addrs; i++) {
        if (is_broadcast(&self->addrs[i], ip))
            return true;
    }
    return false;
}

static bool has(const struct veld_endpoint *list, size_t n, const struct veld_endpoint *e)
{
    for (size_t i = 0; i < n; i++) {
        if (veld_endpoint_equal(&list[i], e))
            return true;
    }
    return false;
}

static bool is_in_tunnel(const struct veld_endpoints_from *self, const struct veld_ip *ip)
{
    return is_inside(self->networks, self->n_networks, ip) ||
           is_inside(self->tunnels, self->n_tunnels, ip);
}

struct choice {
    const struct veld_endpoints_from *from;
    struct veld_endpoint *out;
    size_t n, global_v6;
};

static void add(struct choice *c, const struct veld_ip *ip, uint16_t port)
{
    const struct veld_endpoints_from *from = c->from;
    struct veld_endpoint e = {.ip = *ip, .port = port};
    bool global_v6 = ip->family == 6 && veld_ip_is_global(ip);
    if (c->n == VELD_MEMBER_ENDPOINTS_MAX || !ip->family || !veld_ip_is_unicast(ip) ||
        is_link_local(ip) || (from->family && from->family != ip->family) ||
        is_in_tunnel(from, ip) || has(c->out, c->n, &e) ||
        (global_v6 && c->global_v6 == GLOBAL_V6_MAX))
        return;
    c->global_v6 += global_v6;
    c->out[c->n++] = e;
}

static void add_mapped(struct choice *c)
{
    const struct veld_endpoints_from *from = c->from;
    bool seen_is_mapped = false;
    for (size_t i = 0; i < from->n_mapped; i++) {
        add(c, &from->mapped[i].ip, from->mapped[i].port);
        seen_is_mapped |= from->mapped[i].ip.family == from->seen.family;
    }
    if (!seen_is_mapped)
        add(c, &from->seen, from->port);
}

size_t veld_endpoints_choose(const struct veld_endpoints_from *from,
                             struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX])
{
    struct choice c = {.from = from, .out = out};
    for (size_t i = 0; i < from->n_addrs; i++) {
        if (veld_ip_is_global(&from->addrs[i].ip))
            add(&c, &from->addrs[i].ip, from->port);
    }
    add_mapped(&c);
    for (size_t i = 0; i < from->n_addrs; i++)
        add(&c, &from->addrs[i].ip, from->port);
    return c.n;
}

static bool is_own(const struct veld_endpoints_from *self, const struct veld_endpoint *e)
{
    for (size_t i = 0; i < self->n_addrs; i++) {
        if (e->port == self->port && veld_ip_equal(&self->addrs[i].ip, &e->ip))
            return true;
    }
    return false;
}

/* Of a link-local address only who found it on a link knows which link that is. */
static bool is_elsewhere(const struct veld_endpoint *e)
{
    return is_link_local(&e->ip) && !e->scope;
}

static bool is_usable(const struct veld_endpoints_from *self, const struct veld_endpoint *e)
{
    return e->port && (!self->family || self->family == e->ip.family) &&
           veld_ip_is_unicast(&e->ip) && !is_elsewhere(e) && !is_in_tunnel(self, &e->ip) &&
           !is_inside(self->routes, self->n_routes, &e->ip) &&
           !is_broadcast_here(self, &e->ip) && !is_own(self, e);
}

size_t veld_endpoints_usable(const struct veld_endpoints_from *self,
                             const struct veld_prefix *cover, size_t n_cover,
                             const struct veld_endpoint *says, size_t n,
                             struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX])
{
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < VELD_MEMBER_ENDPOINTS_MAX; i++) {
        if (is_usable(self, &says[i]) && !veld_cover_has(cover, n_cover, &says[i].ip))
            out[kept++] = says[i];
    }
    return kept;
}

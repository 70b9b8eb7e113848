#include "control/reach/self.h"

#include "base/bytes.h"
#include "control/mesh/endpoints.h"

#include <glib.h>
#include <string.h>

_Static_assert(VELD_SELF_CANDIDATES_MAX == VELD_MEMBER_ENDPOINTS_MAX, "a record has them all");

struct veld_self {
    struct veld_self_config cfg;
    char interface[IF_NAMESIZE];
    struct veld_prefix networks[VELD_SELF_NETWORKS_MAX];
    struct veld_prefix addrs[VELD_HOST_ADDRS_MAX];
    size_t n_addrs;
    struct veld_prefix tunnels[VELD_HOST_ADDRS_MAX]; /* other daemons' */
    size_t n_tunnels;
    struct veld_ip seen;
    struct veld_endpoint mapped[VELD_SELF_SOURCES];
    struct veld_endpoint list[VELD_SELF_CANDIDATES_MAX];
    size_t n;
};

/* ---- The list ---- */

/* Only one address is listened on: nowhere else is this machine reached. */
static bool listens_on_one(const struct veld_self *s)
{
    static const uint8_t any[16];
    return memcmp(s->cfg.listen.ip.b, any, sizeof any) != 0;
}

static size_t choose(const struct veld_self *s,
                     struct veld_endpoint out[VELD_SELF_CANDIDATES_MAX])
{
    struct veld_endpoint mapped[VELD_SELF_SOURCES];
    struct veld_prefix one = veld_prefix_host(&s->cfg.listen.ip);
    struct veld_endpoints_from from = {
        .addrs = s->addrs,
        .n_addrs = s->n_addrs,
        .mapped = mapped,
        .seen = s->seen,
        .networks = s->networks,
        .n_networks = s->cfg.n_networks,
        .tunnels = s->tunnels,
        .n_tunnels = s->n_tunnels,
        .port = s->cfg.port,
        .family = s->cfg.listen.ip.family == 4 ? 4 : 0,
    };
    for (unsigned i = 0; i < VELD_SELF_SOURCES; i++) {
        if (s->mapped[i].ip.family)
            mapped[from.n_mapped++] = s->mapped[i];
    }
    if (listens_on_one(s)) {
        from.addrs = &one;
        from.n_addrs = 1;
    }
    return veld_endpoints_choose(&from, out);
}

static void update(struct veld_self *s)
{
    struct veld_endpoint list[VELD_SELF_CANDIDATES_MAX];
    size_t n = choose(s, list);
    bool same = n == s->n;
    for (size_t i = 0; same && i < n; i++)
        same = veld_endpoint_equal(&list[i], &s->list[i]);
    if (same)
        return;
    for (size_t i = 0; i < n; i++)
        s->list[i] = list[i];
    s->n = n;
    if (s->cfg.on_change)
        s->cfg.on_change(s->cfg.ctx);
}

size_t veld_self_candidates(const struct veld_self *s,
                            struct veld_endpoint out[VELD_SELF_CANDIDATES_MAX])
{
    for (size_t i = 0; i < s->n; i++)
        out[i] = s->list[i];
    return s->n;
}

/* ---- What it comes from ---- */

static void read_addresses(struct veld_self *s)
{
    s->n_addrs = s->cfg.addresses(s->interface, VELD_HOST_OUTSIDE, s->addrs);
    s->n_tunnels = s->cfg.addresses(s->interface, VELD_HOST_TUNNELS, s->tunnels);
}

void veld_self_on_address_change(struct veld_self *s)
{
    read_addresses(s);
    update(s);
}

void veld_self_set_seen(struct veld_self *s, const struct veld_ip *seen)
{
    s->seen = *seen;
    update(s);
}

void veld_self_add_mapped(struct veld_self *s, enum veld_self_source source,
                          const struct veld_endpoint *mapped)
{
    bool usable = mapped->ip.family && mapped->port && !veld_endpoint_is_circuit(mapped) &&
                  veld_ip_is_unicast(&mapped->ip);
    s->mapped[source] = usable ? *mapped : (struct veld_endpoint){0};
    update(s);
}

struct veld_endpoint veld_self_mapped(const struct veld_self *s, enum veld_self_source source)
{
    return s->mapped[source];
}

/* ---- To look at ---- */

size_t veld_self_addresses(const struct veld_self *s, const struct veld_prefix **out)
{
    *out = s->addrs;
    return s->n_addrs;
}

size_t veld_self_tunnels(const struct veld_self *s, const struct veld_prefix **out)
{
    *out = s->tunnels;
    return s->n_tunnels;
}

bool veld_self_has(const struct veld_self *s, const struct veld_ip *ip)
{
    for (size_t i = 0; i < s->n_addrs; i++) {
        if (veld_ip_equal(&s->addrs[i].ip, ip))
            return true;
    }
    return false;
}

bool veld_self_is_behind_nat(const struct veld_self *s, uint8_t family)
{
    for (unsigned i = 0; i < VELD_SELF_SOURCES; i++) {
        const struct veld_ip *ip = &s->mapped[i].ip;
        if (ip->family == family && !veld_self_has(s, ip))
            return true;
    }
    return false;
}

struct veld_endpoint veld_self_public(const struct veld_self *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (veld_ip_is_global(&s->list[i].ip) && veld_self_has(s, &s->list[i].ip))
            return s->list[i];
    }
    return (struct veld_endpoint){0};
}

/* ---- Begin and end ---- */

struct veld_self *veld_self_new(const struct veld_self_config *cfg)
{
    struct veld_self *s = g_new0(struct veld_self, 1);
    s->cfg = *cfg;
    g_strlcpy(s->interface, cfg->interface, sizeof s->interface);
    s->cfg.interface = s->interface;
    s->cfg.n_networks = VELD_MIN(cfg->n_networks, VELD_SELF_NETWORKS_MAX);
    for (size_t i = 0; i < s->cfg.n_networks; i++)
        s->networks[i] = cfg->networks[i];
    s->cfg.networks = s->networks;
    if (!s->cfg.addresses)
        s->cfg.addresses = veld_host_addresses;
    read_addresses(s);
    s->n = choose(s, s->list);
    return s;
}

void veld_self_free(struct veld_self *s)
{
    g_free(s);
}

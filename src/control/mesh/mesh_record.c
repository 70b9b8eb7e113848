/*
 * What this machine says of itself: its lease, the routes it offers and may offer,
 * and where it is reached.
 */
#include "control/mesh/mesh_impl.h"

#include "base/bytes.h"
#include "base/log.h"

#include <string.h>

/* What changes together (an address, and what STUN says of it) is published once. */
#define PUBLISH_SETTLE_MS 300u
#define PUBLISH_GAP_NS    (3 * VELD_NS_PER_S)

struct veld_endpoints_from veld_mesh_endpoints_from(const struct veld_mesh *m)
{
    struct veld_endpoints_from from = {
        .addrs = m->addrs,
        .n_addrs = m->n_addrs,
        .networks = m->networks,
        .n_networks = 2,
        .port = m->port,
        .family = m->config->listen.ip.family == 4 ? 4 : 0,
    };
    from.n_tunnels = veld_self_tunnels(m->self, &from.tunnels);
    return from;
}

static size_t allowed_routes(const struct veld_mesh *m,
                             struct veld_prefix out[VELD_MEMBER_ROUTES_MAX])
{
    const struct veld_membership *may = &m->profile.membership;
    size_t n = 0;
    for (size_t i = 0; i < m->config->n_routes && n < VELD_MEMBER_ROUTES_MAX; i++) {
        if (veld_routes_are_within(&m->config->routes[i], 1, may->routes, may->n_routes))
            out[n++] = m->config->routes[i];
    }
    return n;
}

static void make_record(const struct veld_mesh *m, struct veld_record *out)
{
    *out = (struct veld_record){.membership = m->profile.membership,
                                .ipv4 = m->config->addrs[0].ip}; /* as the interface has it */
    out->n_routes = allowed_routes(m, out->routes);
    out->n_endpoints = veld_self_candidates(m->self, out->endpoints);
    out->relay = m->config->relay && (out->membership.flags & VELD_MEMBER_RELAY);
    if (m->control)
        out->n_relays = veld_control_homes(m->control, out->relays);
    out->sequence = m->record.sequence;
    out->features = m->config->n_addrs < 2 ? VELD_RECORD_NO_IPV6 : 0;
}

static bool says_the_same(const struct veld_record *a, const struct veld_record *b)
{
    bool same = veld_ip_equal(&a->ipv4, &b->ipv4) && a->features == b->features &&
                a->n_routes == b->n_routes && a->n_endpoints == b->n_endpoints &&
                a->relay == b->relay && a->n_relays == b->n_relays &&
                memcmp(a->relays, b->relays, a->n_relays * sizeof a->relays[0]) == 0 &&
                memcmp(a->membership.chain_digest, b->membership.chain_digest, 32) == 0;
    for (size_t i = 0; same && i < a->n_routes; i++)
        same = a->routes[i].len == b->routes[i].len &&
               veld_ip_equal(&a->routes[i].ip, &b->routes[i].ip);
    for (size_t i = 0; same && i < a->n_endpoints; i++)
        same = veld_endpoint_equal(&a->endpoints[i], &b->endpoints[i]);
    return same;
}

void veld_mesh_read_addresses(struct veld_mesh *m)
{
    const struct veld_prefix *addrs;
    m->n_addrs = veld_self_addresses(m->self, &addrs);
    for (size_t i = 0; i < m->n_addrs; i++)
        m->addrs[i] = addrs[i];
}

bool veld_mesh_refresh_record(struct veld_mesh *m)
{
    struct veld_record next;
    veld_mesh_read_addresses(m);
    make_record(m, &next);
    bool same = says_the_same(&m->record, &next);
    m->record = next;
    return !same;
}

/* ---- Published again, not too often ---- */

static gboolean on_publish(gpointer data)
{
    struct veld_mesh *m = data;
    m->publish = 0;
    m->published_ns = veld_clock_mono_ns();
    if (veld_mesh_refresh_record(m))
        veld_link_on_record_changed(m->link);
    return G_SOURCE_REMOVE;
}

void veld_mesh_on_self_change(struct veld_mesh *m)
{
    uint64_t now = veld_clock_mono_ns(), next = m->published_ns + PUBLISH_GAP_NS;
    if (!m->control || m->publish)
        return;
    uint64_t wait_ns = m->published_ns && next > now ? next - now : 0;
    m->publish = g_timeout_add(VELD_MAX(PUBLISH_SETTLE_MS, (guint)(wait_ns / VELD_NS_PER_MS)),
                               on_publish, m);
}

/* The number grows with the wall clock's milliseconds, so that it does over restarts too. */
int veld_mesh_sign_record(void *ctx, struct veld_blob *out, struct veld_ip *want)
{
    struct veld_mesh *m = ctx;
    m->record.sequence =
        VELD_MAX(m->record.sequence + 1, veld_clock_now().wall_ns / VELD_NS_PER_MS);
    *want = m->lease;
    return veld_record_sign(out, m->identity->seed, &m->record);
}

/*
 * Whose it is, as far as this machine knows; NULL: nobody's. Borrowed until the next
 * change of pins or members.
 */
static const char *holder_of(const struct veld_mesh *m, const struct veld_ip *ipv4)
{
    struct veld_pin shown = {.addrs = {*ipv4}, .n_addrs = 1};
    const struct veld_pin *pinned;
    memcpy(shown.name, m->profile.membership.name, sizeof shown.name);
    memcpy(shown.pub, m->identity->pub, sizeof shown.pub);
    if (veld_pins_check(m->pins, &shown, &pinned) == VELD_PIN_MISMATCH)
        return pinned->name;
    const struct veld_member *member = veld_members_of_ipv4(m->members, ipv4);
    return member && member->listed ? member->name : NULL;
}

static bool may_be_ours(const struct veld_mesh *m, const struct veld_ip *ipv4)
{
    char ip[VELD_IP_STRLEN];
    const char *holder = holder_of(m, ipv4);
    if (!veld_network_may_lease(&m->profile.network, ipv4))
        veld_warn("the coord server leases %s, which is none of the network's addresses; this "
                  "machine keeps its own",
                  veld_ip_format(ipv4, ip));
    else if (holder)
        veld_warn("the coord server leases %s, which is %s's; this machine keeps its own. If "
                  "%s is gone: veld trust forget %s",
                  veld_ip_format(ipv4, ip), holder, holder, holder);
    else
        return true;
    return false;
}

/*
 * Another address than the interface has is for the next start: sessions go on as
 * they are, whatever the server leases.
 */
static void take_lease(struct veld_mesh *m, const struct veld_ip *ipv4)
{
    struct veld_diag diag;
    char ip[VELD_IP_STRLEN];
    if (veld_ip_equal(ipv4, &m->lease))
        return;
    if (!may_be_ours(m, ipv4)) {
        veld_mesh_refuse_server(m, VELD_REFUSAL_LEASE, 1);
        return;
    }
    m->lease = *ipv4;
    veld_warn("the coord server leases another address now: %s, from the next start on",
              veld_ip_format(ipv4, ip));
    if (veld_profile_lease_save(m->state_dir, m->config->network, ipv4, &diag) < 0)
        veld_warn("%s", diag.text);
}

bool veld_mesh_on_registered(void *ctx, const struct veld_registered *r)
{
    struct veld_mesh *m = ctx;
    take_lease(m, &r->ipv4);
    veld_self_set_seen(m->self, &r->seen);
    return veld_mesh_refresh_record(m);
}

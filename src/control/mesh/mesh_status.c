/*
 * What the mesh says about itself, and what is wrong with the command that mends it.
 */
#include "control/mesh/mesh_impl.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void veld_mesh_peer_status(const struct veld_mesh *m, const uint8_t pub[32],
                           struct veld_status_peer *out)
{
    const struct veld_member *member = m->members ? veld_members_find(m->members, pub) : NULL;
    if (!member)
        return;
    out->is_member = true;
    out->online = member->online && veld_link_is_connected(m->link);
    out->offline = !member->online && veld_link_is_connected(m->link);
    out->last_seen_s = member->last_seen_s;
    if (m->self_revoked)
        out->blocked = "this machine was revoked";
    else if (member->standing != VELD_MEMBER_GOOD)
        out->blocked = veld_member_standing_text(member->standing);
}

bool veld_mesh_says_offline(const struct veld_mesh *m, const uint8_t pub[32])
{
    const struct veld_member *member = m->members ? veld_members_find(m->members, pub) : NULL;
    return member && !member->online && veld_link_is_connected(m->link);
}

/* ---- Health ---- */

struct health {
    struct veld_mesh *m;
    size_t n;
};

static void say(struct health *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct health *h, const char *fmt, ...)
{
    if (h->n == VELD_MESH_HEALTH_MAX)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(h->m->health[h->n].text, sizeof h->m->health[h->n].text, fmt, args);
    va_end(args);
    h->n++;
}

static void say_of_self(struct health *h)
{
    const struct veld_mesh *m = h->m;
    const char *network = m->network.name;
    char ip[VELD_IP_STRLEN], route[VELD_PREFIX_STRLEN];
    uint64_t ends_s = m->profile.membership.ends_s;
    if (m->self_revoked)
        say(h,
            "REVOKED: this machine was revoked from %s by its owner; it is no member any more, "
            "and talks to nobody. To join again it needs another key, and a token or an "
            "approval",
            network);
    else if (ends_s && ends_s < veld_mesh_now_s())
        say(h,
            "this machine's membership in %s has ended; join again with: veld up --network %s",
            network, network);
    if (!veld_ip_equal(&m->lease, &m->config->addrs[0].ip))
        say(h,
            "the coord server leases this machine another IPv4 address, %s, which takes effect "
            "with: veld down && veld up --network %s",
            veld_ip_format(&m->lease, ip), network);
    bool asks_route = m->asks && m->asked_route.ip.family;
    bool asks_relay = m->asks && m->asked_relay;
    if (asks_route)
        say(h,
            "%s is not offered yet: its approval is waited for; on the owner's machine or an "
            "admin's: %s",
            veld_prefix_format(&m->asked_route, route), m->asked_approval);
    else if (m->record.n_routes < m->config->n_routes)
        say(h,
            "%zu of %zu routes are not offered, since this machine's membership does not allow "
            "them; ask for them with: veld set --routes",
            m->config->n_routes - m->record.n_routes, m->config->n_routes);
    if (asks_relay)
        say(h,
            "this machine does not relay yet: its approval is waited for; on the owner's "
            "machine or an admin's: %s",
            m->asked_approval);
    else if (m->config->relay && !(m->profile.membership.flags & VELD_MEMBER_RELAY))
        say(h,
            "this machine is to relay for others, which its membership does not allow; ask for "
            "it with: veld set --relay yes");
    if (m->pins_problem.text[0])
        say(h, "%s", m->pins_problem.text);
}

static void say_of_coord(struct health *h)
{
    const struct veld_mesh *m = h->m;
    struct veld_link_info info;
    veld_link_get_info(m->link, &info);
    int64_t skew_s = info.skew_ns / (int64_t)VELD_NS_PER_S;
    if (skew_s)
        say(h,
            "this machine's clock is %lld s %s the coord server's, which therefore refuses its "
            "signatures; set it right (timedatectl)",
            (long long)(skew_s < 0 ? -skew_s : skew_s), skew_s < 0 ? "ahead of" : "behind");
    else if (info.error[0] && info.err == VELD_E_EXIST)
        say(h, "the coord server does not list this machine: %s", info.error);
    else if (info.error[0] && strstr(info.error, info.address)) /* once is enough */
        say(h, "%s. Peers that are known are reached all the same; it is tried again",
            info.error);
    else if (info.error[0])
        say(h,
            "the coord server at %s %s: %s. Peers that are known are reached all the same; it "
            "is tried again",
            info.address,
            veld_link_is_connected(m->link) ? "refuses something" : "is not reached",
            info.error);
    if (m->lies)
        say(h,
            "the coord server at %s has sent what nobody signed who may, and it is not "
            "believed: so far %llu times, the last %s. Ask whoever runs it; veld status --json "
            "counts what is refused",
            info.address, (unsigned long long)m->lies, veld_refusal_text(m->last_lie));
}

static void say_of_members(struct health *h)
{
    struct veld_mesh *m = h->m;
    const struct veld_member **list = veld_members_list(m->members);
    size_t n = veld_members_count(m->members), taken = 0, first = 0;
    for (size_t i = 0; list && i < n; i++) {
        const struct veld_member *member = list[i];
        if (member->standing == VELD_MEMBER_KEY_CHANGED)
            say(h,
                "%s shows another key than this machine trusts, and is blocked; compare what "
                "veld pubkey prints there with veld trust list, then: veld trust accept %s",
                member->name, member->name);
        else if (member->standing != VELD_MEMBER_GOOD && taken++ == 0)
            first = i;
    }
    if (taken)
        say(h,
            "%s is blocked: %s%s; give one of them another name: veld leave and veld up --name",
            list[first]->name, veld_member_standing_text(list[first]->standing),
            taken > 1 ? ", and there are more" : "");
    free(list);
}

static size_t find_health(struct veld_mesh *m, const char *out[VELD_MESH_HEALTH_MAX])
{
    struct health h = {.m = m};
    say_of_self(&h);
    if (!m->self_revoked) { /* whom the others do not answer any more */
        say_of_coord(&h);
        say_of_members(&h);
    }
    for (size_t i = 0; i < h.n; i++)
        out[i] = m->health[i].text;
    return h.n;
}

/* ---- The document ---- */

static void show_routes(struct veld_mesh *m, struct veld_status_mesh *out)
{
    size_t n = m->refused_routes->len;
    free(m->shown_routes);
    m->shown_routes = calloc(n + 1, sizeof *m->shown_routes);
    for (size_t i = 0; m->shown_routes && i < n; i++) {
        const struct veld_mesh_route *r =
            &g_array_index(m->refused_routes, struct veld_mesh_route, i);
        m->shown_routes[i] =
            (struct veld_status_route){.prefix = r->prefix,
                                       .peer = r->member,
                                       .reason = veld_route_verdict_name(r->verdict),
                                       .text = veld_route_verdict_text(r->verdict),
                                       .taken_by = r->taken_by[0] ? r->taken_by : NULL};
    }
    out->routes = m->shown_routes;
    out->n_routes = m->shown_routes ? n : 0;
    out->n_routes_refused = m->n_routes_refused;
}

/* The server says so while it can be asked; who answers us is there whatever it says. */
static bool is_online(const struct veld_mesh *m, const struct veld_member *member)
{
    const struct veld_mesh_peer *p = veld_mesh_peer_of(m, member->pub);
    return (member->online && veld_link_is_connected(m->link)) ||
           (p && veld_control_peer_is_active(m->control, p->id));
}

static void count_members(const struct veld_mesh *m, struct veld_status_mesh *out)
{
    const struct veld_member **list = veld_members_list(m->members);
    out->members = out->online = 1; /* this machine */
    for (size_t i = 0; list && i < veld_members_count(m->members); i++) {
        out->members += list[i]->listed;
        out->online += list[i]->listed && is_online(m, list[i]);
    }
    free(list);
}

static uint64_t wall_of(uint64_t mono_ns)
{
    struct veld_now now = veld_clock_now();
    return mono_ns ? now.wall_ns - (now.mono_ns - mono_ns) : 0;
}

void veld_mesh_status(struct veld_mesh *m, struct veld_status_mesh *out)
{
    struct veld_link_info link;
    veld_link_get_info(m->link, &link);
    veld_network_text(m->profile.network.id, m->id_text);
    veld_ip_format(&m->lease, m->lease_text);
    *out = (struct veld_status_mesh){
        .network = m->network.name,
        .id = m->id_text,
        .ipv4 = m->lease_text,
        .revocation_epoch = veld_revocations_epoch(m->revoked),
        .n_revoked = m->revoked ? veld_revocations_count(m->revoked) : 0,
        .coord = link.address,
        .coord_state = veld_link_phase_name(link.phase),
        .coord_since_wall_ns = wall_of(link.since_mono_ns),
        .coord_error = link.error,
        .skew_ns = link.skew_ns,
        .revision = m->revision,
        .connections = link.connections,
        .n_refused = VELD_REFUSAL_COUNT,
    };
    _Static_assert(VELD_REFUSAL_COUNT <= VELD_ARRAY_LEN(out->refused), "reasons");
    _Static_assert(VELD_MESH_HEALTH_MAX <= VELD_ARRAY_LEN(out->health), "sentences");
    for (unsigned i = 0; i < VELD_REFUSAL_COUNT; i++) {
        out->refused[i].name = veld_refusal_name((enum veld_refusal)i);
        out->refused[i].count = m->refused[i];
    }
    count_members(m, out);
    show_routes(m, out);
    out->n_health = find_health(m, out->health);
}

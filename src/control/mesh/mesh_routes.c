/*
 * Which of the members' routes are used: judged all together (policy.h), a while
 * after the first of many changes.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "control/mesh/cover.h"

#include <stdlib.h>
#include <string.h>

#define JUDGE_AFTER_MS 250

/* ---- The coord server's addresses, which no route may hold ---- */

static void add_coord(struct veld_mesh *m, const struct veld_ip *ip)
{
    if (m->n_coord < VELD_MESH_COORD_ADDRS_MAX)
        m->coord[m->n_coord++] = *ip;
}

static bool to_ip(GInetAddress *address, struct veld_ip *out)
{
    char *text = g_inet_address_to_string(address);
    int rc = veld_ip_parse(text, out);
    g_free(text);
    return rc == 0;
}

static void on_resolved(GObject *source, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    GList *list = g_resolver_lookup_by_name_finish(G_RESOLVER(source), result, &error);
    if (error) { /* cancelled: `data` may be gone. Else what was known before holds */
        g_error_free(error);
        return;
    }
    struct veld_mesh *m = data;
    m->n_coord = 0;
    for (const GList *i = list; i; i = i->next) {
        struct veld_ip ip;
        if (to_ip(i->data, &ip))
            add_coord(m, &ip);
    }
    g_resolver_free_addresses(list);
    veld_mesh_judge_soon(m);
}

void veld_mesh_resolve_coord(struct veld_mesh *m)
{
    GSocketConnectable *at = g_network_address_parse(m->profile.coord.address, 0, NULL);
    struct veld_ip ip;
    if (!at)
        return;
    const char *host = g_network_address_get_hostname(G_NETWORK_ADDRESS(at));
    if (veld_ip_parse(host, &ip) == 0) {
        m->n_coord = 0;
        add_coord(m, &ip);
    } else {
        GResolver *resolver = g_resolver_get_default();
        g_resolver_lookup_by_name_async(resolver, host, m->resolving, on_resolved, m);
        g_object_unref(resolver);
    }
    g_object_unref(at);
}

/* ---- Judging ---- */

static uint64_t pinned_since(const struct veld_mesh *m, const struct veld_member *member)
{
    const struct veld_pin *pin = veld_pins_of(m->pins, member->name);
    return pin && memcmp(pin->pub, member->pub, sizeof pin->pub) == 0 ? pin->since_s : 0;
}

static size_t attached(const struct veld_mesh *m, struct veld_prefix out[VELD_HOST_ADDRS_MAX])
{
    for (size_t i = 0; i < m->n_addrs; i++) {
        out[i] = m->addrs[i];
        veld_prefix_mask(&out[i]);
    }
    return m->n_addrs;
}

static bool same_routes(const struct veld_mesh_peer *p, const struct veld_prefix *routes,
                        size_t n)
{
    if (p->n_routes != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p->routes[i].len != routes[i].len ||
            !veld_ip_equal(&p->routes[i].ip, &routes[i].ip))
            return false;
    }
    return true;
}

static void use_routes(struct veld_mesh *m, const struct veld_member *member,
                       const struct veld_prefix *routes, size_t n)
{
    struct veld_mesh_peer *p = veld_mesh_peer_of(m, member->pub);
    if (!p || same_routes(p, routes, n))
        return;
    memcpy(p->routes, routes, n * sizeof *routes);
    p->n_routes = n;
    veld_mesh_reconcile(m, member->pub); /* known and listed, or it has a session: it stays */
}

static void show_refused(struct veld_mesh *m, const struct veld_policy_route *r,
                         const struct veld_member *const *members)
{
    struct veld_mesh_route shown = {.prefix = r->prefix, .verdict = r->verdict};
    m->n_routes_refused++;
    if (m->refused_routes->len >= VELD_MESH_ROUTES_SHOWN_MAX)
        return;
    strcpy(shown.member, members[r->member]->name);
    if (r->verdict == VELD_ROUTE_TAKEN)
        strcpy(shown.taken_by, members[r->taken_by]->name);
    g_array_append_val(m->refused_routes, shown);
}

/* A peer that is reached inside a route in use is reached through itself, or not at all. */
static void set_used(struct veld_mesh *m, GArray *used)
{
    bool same = used->len == m->used_routes->len &&
                (used->len == 0 || memcmp(used->data, m->used_routes->data,
                                          used->len * sizeof(struct veld_prefix)) == 0);
    g_array_unref(m->used_routes);
    m->used_routes = used;
    if (!same)
        veld_mesh_reconcile_all(m);
}

/* Routes in the order of their members: each one's used ones stand together. */
static void apply(struct veld_mesh *m, const struct veld_member *const *members, size_t n,
                  const struct veld_policy_route *routes, size_t n_routes)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(struct veld_prefix));
    size_t at = 0;
    m->n_routes_refused = 0;
    g_array_set_size(m->refused_routes, 0);
    for (size_t i = 0; i < n; i++) {
        struct veld_prefix used[VELD_MEMBER_ROUTES_MAX];
        guint n_used = 0;
        for (; at < n_routes && routes[at].member == i; at++) {
            if (routes[at].verdict == VELD_ROUTE_USED)
                used[n_used++] = routes[at].prefix;
            else
                show_refused(m, &routes[at], members);
        }
        use_routes(m, members[i], used, n_used);
        g_array_append_vals(all, used, n_used);
    }
    g_array_set_size(all,
                     (guint)veld_cover_make((struct veld_prefix *)(void *)all->data, all->len));
    set_used(m, all);
}

void veld_mesh_judge(struct veld_mesh *m)
{
    const struct veld_member **members = veld_members_list(m->members);
    size_t n = veld_members_count(m->members), kept = 0, n_routes;
    struct veld_policy_member *offers = calloc(n + 1, sizeof *offers);
    struct veld_prefix lans[VELD_HOST_ADDRS_MAX];
    struct veld_policy policy = {
        .accept_routes = m->config->accept_routes,
        .networks = m->networks,
        .n_networks = 2,
        .lans = lans,
        .n_lans = attached(m, lans),
        .offered = m->config->routes,
        .n_offered = m->config->n_routes,
        .coord = m->coord,
        .n_coord = m->n_coord,
    };
    struct veld_policy_route *routes = NULL;
    for (size_t i = 0; members && offers && i < n; i++) {
        const struct veld_member *member = members[i];
        if (member->standing != VELD_MEMBER_GOOD)
            continue;
        members[kept] = member;
        offers[kept++] = (struct veld_policy_member){.pub = member->pub,
                                                     .pinned_since = pinned_since(m, member),
                                                     .routes = member->routes,
                                                     .n_routes = member->n_routes,
                                                     .endpoints = member->endpoints,
                                                     .n_endpoints = member->n_endpoints};
    }
    if (members && offers && veld_policy_judge(&policy, offers, kept, &routes, &n_routes) == 0)
        apply(m, members, kept, routes, n_routes);
    free(routes);
    free(offers);
    free(members);
}

static gboolean on_judge(gpointer data)
{
    struct veld_mesh *m = data;
    veld_mesh_judge(m);
    m->judge = 0; /* what judging itself changed needs no other judgement */
    return G_SOURCE_REMOVE;
}

void veld_mesh_judge_soon(struct veld_mesh *m)
{
    if (!m->judge && m->control)
        m->judge = g_timeout_add(JUDGE_AFTER_MS, on_judge, m);
}

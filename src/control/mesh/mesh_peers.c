/*
 * Members become peers: each change of the table is one look at a member, which
 * adds, changes, blocks or removes its peer.
 */
#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "control/mesh/hash.h"

#include <stdlib.h>
#include <string.h>

struct veld_mesh_peer *veld_mesh_peer_of(const struct veld_mesh *m, const uint8_t pub[32])
{
    return g_hash_table_lookup(m->peers, pub);
}

const struct veld_member *veld_mesh_member_of_id(const struct veld_mesh *m, uint32_t id)
{
    const struct veld_mesh_peer *p = g_hash_table_lookup(m->by_id, GUINT_TO_POINTER(id));
    return p ? veld_members_find(m->members, p->pub) : NULL;
}

/* ---- What a peer is to be ---- */

struct wanted {
    struct veld_config_peer about;
    struct veld_ip addrs[2];
    struct veld_endpoint candidates[2 * VELD_MEMBER_ENDPOINTS_MAX];
    struct veld_control_peer_spec spec;
};

static bool has(const struct veld_endpoint *list, size_t n, const struct veld_endpoint *e)
{
    for (size_t i = 0; i < n; i++) {
        if (veld_endpoint_equal(&list[i], e))
            return true;
    }
    return false;
}

/* Where it called from last, then where its record says it is. */
static void choose_candidates(const struct veld_mesh *m, const struct veld_member *member,
                              const struct veld_mesh_peer *p, struct wanted *w)
{
    const struct veld_endpoint *lists[] = {p ? p->called_from : NULL, member->endpoints};
    const size_t counts[] = {p ? p->n_called_from : 0, member->n_endpoints};
    struct veld_endpoints_from self = veld_mesh_endpoints_from(m);
    size_t n = 0;
    for (size_t l = 0; l < 2; l++) {
        struct veld_endpoint usable[VELD_MEMBER_ENDPOINTS_MAX];
        size_t got = veld_endpoints_usable(
            &self, (const struct veld_prefix *)(const void *)m->used_routes->data,
            m->used_routes->len, lists[l], counts[l], usable);
        for (size_t i = 0; i < got && n < VELD_CANDIDATES_MAX; i++) {
            if (!has(w->candidates, n, &usable[i]))
                w->candidates[n++] = usable[i];
        }
    }
    w->spec.candidates = w->candidates;
    w->spec.n_candidates = n;
}

static void describe(const struct veld_mesh *m, const struct veld_member *member,
                     const struct veld_mesh_peer *p, struct wanted *w)
{
    *w = (struct wanted){.about = {.addrs = w->addrs}, .spec = {.about = &w->about}};
    memcpy(w->about.name, member->name, sizeof w->about.name);
    memcpy(w->about.pub, member->pub, sizeof w->about.pub);
    if (member->ipv4.family)
        w->addrs[w->about.n_addrs++] = member->ipv4;
    /* Where both speak IPv6; or it has nothing else, which leads nowhere but is an address. */
    bool both = m->config->n_addrs > 1 && !(member->features & VELD_RECORD_NO_IPV6);
    if (both || w->about.n_addrs == 0)
        w->addrs[w->about.n_addrs++] = member->ipv6;
    w->about.relay = member->relay;
    w->about.relays = member->relays;
    w->about.n_relays = member->n_relays;
    if (p && p->n_called_through > 0 && p->called_sequence == member->sequence) {
        w->about.relays = (const uint8_t(*)[32])p->called_through;
        w->about.n_relays = p->n_called_through;
    }
    if (p) {
        w->about.routes = (struct veld_prefix *)(uintptr_t)p->routes; /* only read */
        w->about.n_routes = p->n_routes;
    }
    choose_candidates(m, member, p, w);
}

/* ---- One member ---- */

static void leave(struct veld_mesh *m, struct veld_mesh_peer *p)
{
    veld_control_peer_remove(m->control, p->id);
    veld_spread_gone(m->spread, p->id);
    g_hash_table_remove(m->by_id, GUINT_TO_POINTER(p->id));
    g_hash_table_remove(m->peers, p->pub);
    veld_mesh_judge_soon(m);
}

static struct veld_mesh_peer *enter(struct veld_mesh *m, const struct veld_member *member)
{
    struct wanted w;
    uint32_t id;
    describe(m, member, NULL, &w);
    int rc = veld_control_peer_add(m->control, &w.spec, &id);
    if (rc < 0) {
        veld_mesh_refuse(m, veld_refusal_of(rc));
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "%s cannot be a peer: %s",
                         member->name, veld_strerror(rc));
        return NULL;
    }
    struct veld_mesh_peer *p = g_new0(struct veld_mesh_peer, 1);
    memcpy(p->pub, member->pub, sizeof p->pub);
    p->id = id;
    g_hash_table_insert(m->peers, p->pub, p);
    g_hash_table_insert(m->by_id, GUINT_TO_POINTER(id), p);
    veld_debug("%s is a member", member->name);
    return p;
}

static void change(struct veld_mesh *m, const struct veld_member *member,
                   struct veld_mesh_peer *p)
{
    struct wanted w;
    describe(m, member, p, &w);
    int rc = veld_control_peer_change(m->control, p->id, &w.spec);
    if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "%s stays as it was known: %s",
                         member->name, veld_strerror(rc));
}

static void block_or_not(struct veld_mesh *m, const struct veld_member *member,
                         struct veld_mesh_peer *p)
{
    bool blocked = member->standing != VELD_MEMBER_GOOD || m->self_revoked;
    if (blocked == p->blocked)
        return;
    p->blocked = blocked;
    if (blocked)
        veld_spread_gone(m->spread, p->id);
    int rc = blocked ? veld_control_peer_block(m->control, p->id)
                     : veld_control_peer_unblock(m->control, p->id);
    if (rc < 0)
        veld_warn("%s: %s", member->name, veld_strerror(rc));
    if (member->standing == VELD_MEMBER_KEY_CHANGED)
        veld_error("%s shows another key than the one that this machine trusts, and is "
                   "blocked: compare fingerprints, then: veld trust accept %s",
                   member->name, member->name);
    else if (member->standing != VELD_MEMBER_GOOD)
        veld_warn("%s is blocked: %s", member->name,
                  veld_member_standing_text(member->standing));
    veld_mesh_judge_soon(m);
}

void veld_mesh_reconcile(struct veld_mesh *m, const uint8_t pub[32])
{
    struct veld_mesh_peer *p = veld_mesh_peer_of(m, pub);
    const struct veld_member *member = veld_members_find(m->members, pub);
    if (member && !member->listed && !(p && veld_control_peer_has_session(m->control, p->id))) {
        veld_members_drop(m->members, pub);
        member = NULL;
    }
    if (!member) {
        if (p)
            leave(m, p);
        return;
    }
    if (p)
        change(m, member, p);
    else
        p = enter(m, member);
    if (!p)
        return;
    block_or_not(m, member, p);
    if (member->n_routes > 0 || p->n_routes > 0)
        veld_mesh_judge_soon(m);
}

/* ---- Many ---- */

void veld_mesh_drain(struct veld_mesh *m)
{
    uint8_t pub[32];
    while (veld_members_next_change(m->members, pub)) {
        veld_mesh_reconcile(m, pub);
        m->cache_dirty = true;
    }
}

static gboolean on_drain(gpointer data)
{
    struct veld_mesh *m = data;
    m->drain = 0;
    veld_mesh_drain(m);
    return G_SOURCE_REMOVE;
}

void veld_mesh_drain_soon(struct veld_mesh *m)
{
    if (!m->drain)
        m->drain = g_idle_add(on_drain, m);
}

/* Those of the peers whom `which` names; a look may remove them. */
static void reconcile_some(struct veld_mesh *m, bool (*which)(const struct veld_member *))
{
    GArray *pubs = g_array_new(FALSE, FALSE, 32);
    GHashTableIter it;
    gpointer value;
    g_hash_table_iter_init(&it, m->peers);
    while (g_hash_table_iter_next(&it, NULL, &value)) {
        const struct veld_mesh_peer *p = value;
        const struct veld_member *member = veld_members_find(m->members, p->pub);
        if (!member || which(member))
            g_array_append_vals(pubs, p->pub, 1);
    }
    for (guint i = 0; i < pubs->len; i++)
        veld_mesh_reconcile(m, (const uint8_t *)pubs->data + 32 * i);
    g_array_unref(pubs);
}

static bool is_any(const struct veld_member *member)
{
    return true;
}

static bool is_unlisted(const struct veld_member *member)
{
    return !member->listed;
}

void veld_mesh_reconcile_all(struct veld_mesh *m)
{
    reconcile_some(m, is_any);
}

void veld_mesh_forget_idle(struct veld_mesh *m)
{
    reconcile_some(m, is_unlisted);
    veld_mesh_drain(m);
}

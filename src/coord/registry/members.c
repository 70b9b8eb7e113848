#include "coord/registry/registry.h"

#include "base/bytes.h"
#include "coord/registry/internal.h"
#include "coord/registry/persist.h"

#include <string.h>

/* ---- facts ---- */

struct veld_facts *veld_facts_build(const struct veld_facts *like,
                                    const struct veld_prefix *routes,
                                    const struct veld_blob *chain, const struct veld_blob *peer)
{
    size_t routes_len = like->n_routes * sizeof *routes;
    struct veld_facts *f = g_malloc(sizeof *f + routes_len + chain->len + peer->len);
    *f = *like;
    f->routes = (struct veld_prefix *)f->bytes;
    f->chain = f->bytes + routes_len;
    f->peer = f->chain + chain->len;
    f->chain_len = (uint32_t)chain->len;
    f->peer_len = (uint32_t)peer->len;
    if (routes_len)
        memcpy(f->routes, routes, routes_len);
    if (chain->len)
        memcpy(f->bytes + routes_len, chain->p, chain->len);
    if (peer->len)
        memcpy(f->bytes + routes_len + chain->len, peer->p, peer->len);
    return f;
}

struct veld_facts *veld_facts_new(const struct veld_membership *m, uint32_t ipv4,
                                  uint64_t sequence, const struct veld_blob *chain,
                                  const struct veld_blob *peer)
{
    struct veld_facts like = {
        .sequence = sequence,
        .ipv4 = ipv4,
        .flags = m->flags,
        .token_uses = m->token_uses,
        .by_token = m->by_token,
        .not_before_s = m->not_before_s,
        .not_after_s = m->not_after_s,
        .begins_s = m->begins_s,
        .ends_s = m->ends_s,
        .serial = m->serial,
        .token_expires_s = m->token_expires_s,
        .n_routes = (uint32_t)m->n_routes,
    };
    strcpy(like.name, m->name);
    memcpy(like.signer, m->signer, sizeof like.signer);
    memcpy(like.admin, m->admin, sizeof like.admin);
    memcpy(like.chain_digest, m->chain_digest, sizeof like.chain_digest);
    return veld_facts_build(&like, m->routes, chain, peer);
}

void veld_member_membership(const struct veld_member *m, struct veld_membership *out)
{
    const struct veld_facts *f = m->facts;
    *out = (struct veld_membership){
        .n_routes = f->n_routes,
        .flags = f->flags,
        .not_before_s = f->not_before_s,
        .not_after_s = f->not_after_s,
        .serial = f->serial,
        .by_token = f->by_token,
        .token_expires_s = f->token_expires_s,
        .token_uses = f->token_uses,
        .begins_s = f->begins_s,
        .ends_s = f->ends_s,
    };
    memcpy(out->network_id, m->net->id, sizeof out->network_id);
    memcpy(out->member, m->p, sizeof out->member);
    strcpy(out->name, f->name);
    if (f->n_routes)
        memcpy(out->routes, f->routes, f->n_routes * sizeof *f->routes);
    memcpy(out->signer, f->signer, sizeof out->signer);
    memcpy(out->admin, f->admin, sizeof out->admin);
    memcpy(out->chain_digest, f->chain_digest, sizeof out->chain_digest);
}

bool veld_member_has_ended(const struct veld_member *m, uint64_t now_s)
{
    return m->facts->ends_s != 0 && now_s > m->facts->ends_s;
}

/* ---- tables ---- */

struct veld_member *veld_member_new(struct veld_net *net, const uint8_t p[32])
{
    struct veld_member *m = g_new0(struct veld_member, 1);
    memcpy(m->p, p, sizeof m->p);
    m->net = net;
    m->lease.data = m;
    return m;
}

/* Into the tables by what it has now. */
static void put_in_tables(struct veld_member *m)
{
    struct veld_net *net = m->net;
    g_hash_table_replace(net->members, m->p, m);
    g_hash_table_replace(net->by_name, m->facts->name, m);
    g_hash_table_replace(net->by_ipv4, &m->facts->ipv4, m);
    net->registry->members++;
    net->registry->online += m->online;
}

void veld_member_unlink(struct veld_member *m)
{
    struct veld_net *net = m->net;
    g_hash_table_remove(net->members, m->p);
    g_hash_table_remove(net->by_name, m->facts->name);
    g_hash_table_remove(net->by_ipv4, &m->facts->ipv4);
    net->registry->members--;
    net->registry->online -= m->online;
}

void veld_member_link(struct veld_member *m)
{
    put_in_tables(m);
    veld_changes_append(&m->net->changed, m->revision, m);
}

struct veld_member *veld_member_by_key(const struct veld_net *net, const uint8_t p[32])
{
    return g_hash_table_lookup(net->members, p);
}

struct veld_member *veld_member_by_name(const struct veld_net *net, const char *name)
{
    return g_hash_table_lookup(net->by_name, name);
}

struct veld_member *veld_member_by_ipv4(const struct veld_net *net, uint32_t ipv4)
{
    return g_hash_table_lookup(net->by_ipv4, &ipv4);
}

struct veld_removal *veld_removal_link(struct veld_net *net, struct veld_removal *r)
{
    veld_changes_append(&net->removed, r->revision, r);
    return veld_table_put(&net->resting, veld_table_by_ipv4, &r->ipv4, r);
}

void veld_removals_drop(struct veld_net *net, size_t n)
{
    for (size_t i = 0; n > 0; i++) {
        struct veld_removal *r = net->removed.at[i].what;
        if (!r)
            continue;
        if (veld_table_find(net->resting, &r->ipv4) == r)
            g_hash_table_remove(net->resting, &r->ipv4);
        veld_changes_take_out(&net->removed, r->revision);
        g_free(r);
        n--;
    }
}

/* ---- changes ---- */

/* What a change made of a member, and of its network, so that it can be taken back. */
struct change {
    struct veld_member *m;
    struct veld_facts *before, *after; /* NULL: no member */
    bool was_online;
    uint64_t last_seen_s, revision, facts_revision, net_revision;
    struct veld_removal *removal, *rested;
};

static void keep(void *what)
{
    struct change *c = what;
    if (c->before != c->after)
        g_free(c->before);
    if (!c->after)
        g_free(c->m);
    g_free(c);
}

static void take_back_removal(struct veld_net *net, struct change *c)
{
    veld_changes_pop(&net->removed);
    g_hash_table_remove(net->resting, &c->removal->ipv4);
    if (c->rested)
        veld_table_put(&net->resting, veld_table_by_ipv4, &c->rested->ipv4, c->rested);
    g_free(c->removal);
}

static void undo(void *what)
{
    struct change *c = what;
    struct veld_member *m = c->m;
    struct veld_net *net = m->net;
    if (c->after) {
        veld_member_unlink(m);
        veld_changes_pop(&net->changed);
    } else {
        take_back_removal(net, c);
    }
    if (c->before != c->after)
        g_free(c->after);
    veld_net_take_back_revision(net, c->net_revision);
    m->facts = c->before;
    m->online = c->was_online;
    m->last_seen_s = c->last_seen_s;
    m->revision = c->revision;
    m->facts_revision = c->facts_revision;
    if (c->before) {
        put_in_tables(m);
        veld_changes_put_back(&net->changed, m->revision, m);
    } else {
        g_free(m);
    }
    g_free(c);
}

static void remember_removal(struct veld_batch *b, struct change *c)
{
    struct veld_member *m = c->m;
    c->removal = g_new(struct veld_removal, 1);
    *c->removal = (struct veld_removal){.revision = m->revision, .ipv4 = c->before->ipv4};
    memcpy(c->removal->p, m->p, sizeof c->removal->p);
    c->rested = veld_removal_link(m->net, c->removal);
    veld_persist_removal(b, m->net, c->removal);
}

/* The one way in which a member changes. `facts` NULL: it is removed. */
static void change(struct veld_registry *r, struct veld_member *m, struct veld_facts *facts,
                   bool online, uint64_t seen_s, const struct veld_now *now)
{
    struct change *c = g_new0(struct change, 1);
    *c = (struct change){.m = m,
                         .before = m->facts,
                         .after = facts,
                         .was_online = m->online,
                         .last_seen_s = m->last_seen_s,
                         .revision = m->revision,
                         .facts_revision = m->facts_revision,
                         .net_revision = m->net->revision};
    if (m->facts) {
        veld_member_unlink(m);
        veld_changes_take_out(&m->net->changed, m->revision);
    }
    m->facts = facts;
    m->online = online;
    m->last_seen_s = seen_s;
    m->revision = veld_net_next_revision(m->net, c->before ? c->revision : UINT64_MAX, now);
    if (facts != c->before)
        m->facts_revision = m->net->news = m->revision;
    if (facts) {
        veld_member_link(m);
        if (facts != c->before)
            veld_persist_facts(r->batch, m);
        veld_persist_state(r->batch, m);
    } else {
        veld_persist_member_gone(r->batch, m);
        remember_removal(r->batch, c);
    }
    veld_batch_note(r->batch, c, keep, undo);
}

struct veld_member *veld_member_register(struct veld_registry *r, struct veld_net *net,
                                         const uint8_t p[32], struct veld_facts *facts,
                                         const struct veld_now *now)
{
    struct veld_member *m = veld_member_by_key(net, p);
    if (!m)
        m = veld_member_new(net, p);
    change(r, m, facts, m->online, now->wall_ns / VELD_NS_PER_S, now);
    return m;
}

void veld_member_set_online(struct veld_registry *r, struct veld_member *m, uint64_t seen_s,
                            const struct veld_now *now)
{
    if (!m->online)
        change(r, m, m->facts, true, seen_s, now);
}

void veld_member_set_offline(struct veld_registry *r, struct veld_member *m, uint64_t seen_s,
                             const struct veld_now *now)
{
    if (m->online)
        change(r, m, m->facts, false, seen_s, now);
}

void veld_member_remove(struct veld_registry *r, struct veld_member *m,
                        const struct veld_now *now)
{
    change(r, m, NULL, false, 0, now);
}

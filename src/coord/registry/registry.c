#include "coord/registry/registry.h"

#include "base/bytes.h"
#include "coord/registry/internal.h"
#include "coord/registry/persist.h"

#include <string.h>

/* ---- tables that are there only when something is in them ---- */

void *veld_table_find(GHashTable *table, const void *key)
{
    return table ? g_hash_table_lookup(table, key) : NULL;
}

void *veld_table_put(GHashTable **table, GHashTable *(*make)(void), void *key, void *value)
{
    if (!*table)
        *table = make();
    void *before = g_hash_table_lookup(*table, key);
    g_hash_table_replace(*table, key, value);
    return before;
}

void *veld_table_take(GHashTable *table, const void *key)
{
    void *value = veld_table_find(table, key);
    if (value)
        g_hash_table_remove(table, key);
    return value;
}

/* ---- one network ---- */

struct veld_net *veld_net_new(struct veld_registry *r, const struct veld_network *network,
                              const void *p, size_t len)
{
    struct veld_net *net = g_new0(struct veld_net, 1);
    net->registry = r;
    net->descriptor = *network;
    net->moved_from = UINT64_MAX;
    memcpy(net->id, network->id, sizeof net->id);
    if (veld_blob_set(&net->signed_descriptor, p, len) < 0) {
        g_free(net);
        return NULL;
    }
    net->members = veld_table_by_key();
    net->by_name = veld_table_by_name();
    net->by_ipv4 = veld_table_by_ipv4();
    return net;
}

static void free_values(GHashTable *table)
{
    GHashTableIter i;
    gpointer value;
    if (!table)
        return;
    g_hash_table_iter_init(&i, table);
    while (g_hash_table_iter_next(&i, NULL, &value))
        g_free(value);
    g_hash_table_destroy(table);
}

void veld_net_free(struct veld_net *net)
{
    GHashTableIter i;
    gpointer value;
    g_hash_table_iter_init(&i, net->members);
    while (g_hash_table_iter_next(&i, NULL, &value))
        g_free(((struct veld_member *)value)->facts);
    for (size_t k = 0; k < net->removed.n; k++)
        g_free(net->removed.at[k].what);
    veld_changes_clear(&net->removed);
    veld_changes_clear(&net->changed);
    g_hash_table_destroy(net->by_name);
    g_hash_table_destroy(net->by_ipv4);
    free_values(net->members);
    if (net->resting)
        g_hash_table_destroy(net->resting);
    veld_tokens_free(net);
    free_values(net->joins);
    veld_revocations_free(net->revocations);
    veld_blob_clear(&net->signed_descriptor);
    g_free(net);
}

void veld_net_link(struct veld_net *net)
{
    g_hash_table_replace(net->registry->nets, net->id, net);
    g_hash_table_replace(net->registry->nets_by_name, net->descriptor.name, net);
}

void veld_net_unlink(struct veld_net *net)
{
    g_hash_table_remove(net->registry->nets, net->id);
    g_hash_table_remove(net->registry->nets_by_name, net->descriptor.name);
}

static void mark_changed(struct veld_net *net)
{
    if (net->is_changed)
        return;
    net->is_changed = true;
    g_ptr_array_add(net->registry->changed, net);
}

uint64_t veld_net_next_revision(struct veld_net *net, uint64_t moved_from,
                                const struct veld_now *now)
{
    uint64_t before = net->revision;
    net->revision = VELD_MAX(before + 1, now->wall_ns / VELD_NS_PER_US);
    if (net->is_quiet)
        net->gaps[net->n_gaps++] = (struct veld_gap){.after = before, .before = net->revision};
    net->is_quiet = false;
    net->moved_from = VELD_MIN(net->moved_from, moved_from);
    mark_changed(net);
    return net->revision;
}

void veld_net_take_back_revision(struct veld_net *net, uint64_t revision)
{
    net->revision = revision;
    if (net->n_gaps == 0 || net->gaps[net->n_gaps - 1].after != revision)
        return;
    net->n_gaps--; /* the first change of this run */
    net->is_quiet = true;
}

bool veld_net_has_told(const struct veld_net *net, uint64_t revision)
{
    for (size_t i = 0; i < net->n_gaps; i++)
        if (revision > net->gaps[i].after && revision < net->gaps[i].before)
            return false;
    return revision >= net->horizon && revision <= net->revision;
}

struct veld_net *veld_net_by_id(const struct veld_registry *r, const uint8_t id[32])
{
    return g_hash_table_lookup(r->nets, id);
}

struct veld_net *veld_net_by_name(const struct veld_registry *r, const char *name)
{
    return g_hash_table_lookup(r->nets_by_name, name);
}

/* ---- changes of networks ---- */

static void take_back_net(void *what)
{
    veld_net_unlink(what);
    veld_net_free(what);
}

struct veld_net *veld_net_add(struct veld_registry *r, const struct veld_network *network,
                              const void *p, size_t len, const struct veld_now *now)
{
    struct veld_net *net = veld_net_new(r, network, p, len);
    if (!net)
        return NULL;
    net->put_s = now->wall_ns / VELD_NS_PER_S;
    veld_net_link(net);
    veld_batch_note(r->batch, net, NULL, take_back_net);
    net->horizon = veld_net_next_revision(net, UINT64_MAX, now);
    veld_persist_network(r->batch, net);
    return net;
}

static void forget_net(void *what)
{
    veld_net_free(what);
}

static void put_back_net(void *what)
{
    veld_net_link(what);
}

void veld_net_remove(struct veld_registry *r, struct veld_net *net)
{
    while (net->joins && g_hash_table_size(net->joins) > 0) {
        GHashTableIter i;
        gpointer key;
        g_hash_table_iter_init(&i, net->joins);
        g_hash_table_iter_next(&i, &key, NULL);
        veld_join_remove(r, net, key);
    }
    veld_tokens_tidy(r, net, UINT64_MAX);
    for (size_t i = 0; i < net->removed.n; i++)
        if (net->removed.at[i].what)
            veld_persist_removal_gone(r->batch, net, net->removed.at[i].what);
    veld_persist_network_gone(r->batch, net);
    veld_net_unlink(net);
    veld_batch_note(r->batch, net, forget_net, put_back_net);
}

struct revoking {
    struct veld_net *net;
    struct veld_revocations *before;
};

static void keep_list(void *what)
{
    struct revoking *g = what;
    veld_revocations_free(g->before);
    g_free(g);
}

static void undo_list(void *what)
{
    struct revoking *g = what;
    veld_revocations_free(g->net->revocations);
    g->net->revocations = g->before;
    g_free(g);
}

void veld_net_revoke(struct veld_registry *r, struct veld_net *net,
                     struct veld_revocations *list)
{
    struct revoking *g = g_new(struct revoking, 1);
    *g = (struct revoking){.net = net, .before = net->revocations};
    net->revocations = list;
    mark_changed(net);
    veld_persist_revocations(r->batch, net);
    veld_batch_note(r->batch, g, keep_list, undo_list);
}

/* ---- the whole ---- */

int veld_registry_open(struct veld_registry **out, struct veld_store *store,
                       struct veld_diag *diag)
{
    struct veld_registry *r = g_new0(struct veld_registry, 1);
    r->batch = veld_batch_new(store);
    r->nets = veld_table_by_key();
    r->nets_by_name = veld_table_by_name();
    r->changed = g_ptr_array_new();
    int rc = veld_persist_load(r, store, diag);
    if (rc == 0)
        rc = veld_registry_commit(r, NULL, NULL, diag);
    if (rc < 0)
        veld_registry_close(r);
    else
        *out = r;
    return rc;
}

void veld_registry_close(struct veld_registry *r)
{
    GHashTableIter i;
    gpointer net;
    if (!r)
        return;
    veld_batch_free(r->batch);
    g_hash_table_iter_init(&i, r->nets);
    while (g_hash_table_iter_next(&i, NULL, &net))
        veld_net_free(net);
    g_hash_table_destroy(r->nets);
    g_hash_table_destroy(r->nets_by_name);
    g_ptr_array_free(r->changed, TRUE);
    g_free(r);
}

/* Removals beyond what is remembered, oldest first: gone from the store with this batch. */
struct trimming {
    struct veld_net *net;
    size_t n;
    uint64_t horizon_before;
};

static void keep_trimmed(void *what)
{
    struct trimming *t = what;
    veld_removals_drop(t->net, t->n);
    g_free(t);
}

static void undo_trimmed(void *what)
{
    struct trimming *t = what;
    t->net->horizon = t->horizon_before;
    g_free(t);
}

static void trim(struct veld_registry *r, struct veld_net *net)
{
    size_t count = veld_changes_count(&net->removed);
    if (count <= VELD_REMOVALS_MAX)
        return;
    struct trimming *t = g_new(struct trimming, 1);
    *t = (struct trimming){.net = net, .horizon_before = net->horizon};
    for (size_t i = 0; t->n < count - VELD_REMOVALS_MAX; i++) {
        const struct veld_removal *old = net->removed.at[i].what;
        if (!old)
            continue;
        net->horizon = old->revision;
        veld_persist_removal_gone(r->batch, net, old);
        t->n++;
    }
    veld_batch_note(r->batch, t, keep_trimmed, undo_trimmed);
}

int veld_registry_commit(struct veld_registry *r,
                         void (*changed)(void *ctx, struct veld_net *net), void *ctx,
                         struct veld_diag *diag)
{
    for (guint i = 0; i < r->changed->len; i++) {
        trim(r, r->changed->pdata[i]);
        veld_persist_head(r->batch, r->changed->pdata[i]);
    }
    /* Its way back frees networks that were new: those are not to be looked at after a failure. */
    for (guint i = 0; i < r->changed->len; i++)
        ((struct veld_net *)r->changed->pdata[i])->is_changed = false;
    int rc = veld_batch_commit(r->batch, diag);
    for (guint i = 0; i < r->changed->len && rc == 0; i++) {
        struct veld_net *net = r->changed->pdata[i];
        veld_changes_tidy(&net->changed);
        veld_changes_tidy(&net->removed);
        if (changed)
            changed(ctx, net);
        net->moved_from = UINT64_MAX;
    }
    g_ptr_array_set_size(r->changed, 0);
    return rc;
}

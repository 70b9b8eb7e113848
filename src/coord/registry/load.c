#include "coord/registry/persist.h"

#include "base/bytes.h"
#include "coord/registry/internal.h"

#include <string.h>
#include <veld/coord/v1/inside.pb-c.h>

/*
 * The store's pairs are our own, written after everything in them was proved; that
 * is not done again, but for what is few: descriptors and lists of revocations.
 * Whatever has not the shape it was written in is damage.
 */

static const char magic[] = "veld-coord database ";

struct loading {
    struct veld_registry *r;
    struct veld_store *store;
    struct veld_diag *diag;
    struct veld_net *net;
    bool has_version;
};

static int damaged(const struct loading *l, const char *what)
{
    return veld_fail(
        l->diag, VELD_E_FORMAT,
        "the database is damaged (%s): restore a backup, or move it away and start "
        "anew (members come back by themselves)",
        what);
}

static bool take(const ProtobufCBinaryData *b, uint8_t *out, size_t len)
{
    if (b->len != len)
        return false;
    memcpy(out, b->data, len);
    return true;
}

/* ---- the version ---- */

static int load_version(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t value_len)
{
    struct loading *l = ctx;
    if (key_len != 1)
        return 0;
    if (value_len != sizeof magic + 4 || memcmp(value, magic, sizeof magic) != 0)
        return damaged(l, "what it is");
    uint32_t version = veld_load_le32(value + sizeof magic);
    if (version > VELD_DATABASE_VERSION)
        return veld_fail(l->diag, VELD_E_UNSUPPORTED,
                         "the database was written by a newer veld-coord (format %u; this one, "
                         "%s, knows %u): run that version, or restore a backup of this one's",
                         version, VELD_VERSION, VELD_DATABASE_VERSION);
    l->has_version = true;
    return 0;
}

static int write_version(struct loading *l)
{
    uint8_t value[sizeof magic + 4];
    memcpy(value, magic, sizeof magic);
    veld_store_le32(value + sizeof magic, VELD_DATABASE_VERSION);
    veld_batch_put(l->r->batch, "v", 1, value, sizeof value);
    return 0;
}

static int not_empty(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                     size_t value_len)
{
    return damaged(ctx, "what it is");
}

/* ---- what belongs to a network ---- */

/* One of the oldest gaps gives way to the one that this run will make. */
static bool take_gaps(struct veld_net *net, const Veld__Coord__Inside__StoredHead *v)
{
    if (v->n_gaps > VELD_GAPS_MAX + 1)
        return false;
    size_t from = v->n_gaps > VELD_GAPS_MAX ? v->n_gaps - VELD_GAPS_MAX : 0;
    if (from > 0)
        net->horizon = VELD_MAX(net->horizon, v->gaps[from - 1]->before);
    for (size_t i = from; i < v->n_gaps; i++)
        net->gaps[net->n_gaps++] =
            (struct veld_gap){.after = v->gaps[i]->after, .before = v->gaps[i]->before};
    return true;
}

static int load_head(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                     size_t value_len)
{
    struct loading *l = ctx;
    struct veld_net *net = l->net;
    Veld__Coord__Inside__StoredHead *v =
        veld__coord__inside__stored_head__unpack(NULL, value_len, value);
    bool ok = v && key_len == 1 + 32;
    if (ok) {
        net->revision = net->told = v->revision;
        net->horizon = v->horizon;
        net->is_quiet = true;
        ok = take_gaps(net, v);
    }
    veld__coord__inside__stored_head__free_unpacked(v, NULL);
    return ok ? 0 : damaged(l, "a network's head");
}

static int load_revocations(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                            size_t value_len)
{
    struct loading *l = ctx;
    if (key_len != 1 + 32 ||
        veld_revocations_read(value, value_len, l->net->id, NULL, &l->net->revocations) < 0)
        return damaged(l, "a list of revocations");
    return 0;
}

static bool take_routes(const Veld__Coord__Inside__StoredMember *v,
                        struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX])
{
    if (v->n_routes > VELD_MEMBER_ROUTES_MAX)
        return false;
    for (size_t i = 0; i < v->n_routes; i++) {
        size_t len = v->routes[i]->address.len;
        routes[i] = (struct veld_prefix){.len = (uint8_t)v->routes[i]->length};
        if (len != 4 && len != 16)
            return false;
        routes[i].ip.family = len == 4 ? 4 : 6;
        memcpy(routes[i].ip.b, v->routes[i]->address.data, len);
    }
    return true;
}

static struct veld_facts *facts_of(const Veld__Coord__Inside__StoredMember *v)
{
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    struct veld_facts like = {
        .sequence = v->sequence,
        .ipv4 = v->ipv4,
        .flags = v->flags,
        .token_uses = v->token_uses,
        .by_token = v->by_token,
        .not_before_s = v->not_before,
        .not_after_s = v->not_after,
        .begins_s = v->begins,
        .ends_s = v->ends,
        .serial = v->serial,
        .token_expires_s = v->token_expires,
        .n_routes = (uint32_t)v->n_routes,
    };
    if (!veld_label_is_valid(v->name) || !take(&v->signer, like.signer, 32) ||
        !take(&v->chain_digest, like.chain_digest, 32) ||
        (v->admin.len != 0 && !take(&v->admin, like.admin, 32)) || !take_routes(v, routes) ||
        (v->peer.len == 0) == (v->chain.len == 0))
        return NULL;
    strcpy(like.name, v->name);
    return veld_facts_build(&like, routes,
                            &(struct veld_blob){.p = v->chain.data, .len = v->chain.len},
                            &(struct veld_blob){.p = v->peer.data, .len = v->peer.len});
}

/* Members come in the order of their keys, and are put into the list of changes by revision later. */
static int load_facts(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t value_len)
{
    struct loading *l = ctx;
    if (key_len != 1 + 32 + 32)
        return damaged(l, "a member's key");
    Veld__Coord__Inside__StoredMember *v =
        veld__coord__inside__stored_member__unpack(NULL, value_len, value);
    struct veld_facts *facts = v ? facts_of(v) : NULL;
    veld__coord__inside__stored_member__free_unpacked(v, NULL);
    if (!facts)
        return damaged(l, "a member");
    if (veld_member_by_name(l->net, facts->name) || veld_member_by_ipv4(l->net, facts->ipv4)) {
        g_free(facts);
        return damaged(l, "two members of one name or address");
    }
    struct veld_member *m = veld_member_new(l->net, key + 1 + 32);
    m->facts = facts;
    g_hash_table_replace(l->net->members, m->p, m);
    g_hash_table_replace(l->net->by_name, facts->name, m);
    g_hash_table_replace(l->net->by_ipv4, &facts->ipv4, m);
    return 0;
}

static int load_state(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                      size_t value_len)
{
    struct loading *l = ctx;
    struct veld_member *m =
        key_len == 1 + 32 + 32 ? veld_member_by_key(l->net, key + 1 + 32) : NULL;
    Veld__Coord__Inside__StoredState *v =
        veld__coord__inside__stored_state__unpack(NULL, value_len, value);
    bool ok = m && v && v->revision != 0 && v->revision <= l->net->revision;
    if (ok) {
        m->revision = v->revision;
        m->online = v->online;
        m->last_seen_s = v->last_seen;
        m->facts_revision = v->told ? v->told : v->revision;
    }
    veld__coord__inside__stored_state__free_unpacked(v, NULL);
    return ok ? 0 : damaged(l, "a member's state");
}

static int load_removal(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t value_len)
{
    struct loading *l = ctx;
    struct veld_removal r = {0};
    Veld__Coord__Inside__StoredRemoval *v =
        veld__coord__inside__stored_removal__unpack(NULL, value_len, value);
    bool ok = v && key_len == 1 + 32 + 8 && take(&v->member, r.p, 32);
    if (ok) {
        r.revision = veld_load_be64(key + 1 + 32);
        r.ipv4 = v->ipv4;
        ok = r.revision <= l->net->revision;
    }
    veld__coord__inside__stored_removal__free_unpacked(v, NULL);
    if (!ok)
        return damaged(l, "a removal");
    veld_removal_link(l->net, g_memdup2(&r, sizeof r));
    return 0;
}

static int load_token_use(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                          size_t value_len)
{
    struct loading *l = ctx;
    struct veld_token_use u;
    Veld__Coord__Inside__StoredTokenUse *v =
        veld__coord__inside__stored_token_use__unpack(NULL, value_len, value);
    if (!v || key_len != 1 + 32 + sizeof u.pair) {
        veld__coord__inside__stored_token_use__free_unpacked(v, NULL);
        return damaged(l, "a use of a token");
    }
    memcpy(u.pair, key + 1 + 32, sizeof u.pair);
    u.expires_s = v->expires;
    veld__coord__inside__stored_token_use__free_unpacked(v, NULL);
    veld_token_use_link(l->net, g_memdup2(&u, sizeof u));
    return 0;
}

static int load_join(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                     size_t value_len)
{
    struct loading *l = ctx;
    struct veld_join like = {0}, *j = NULL;
    Veld__Coord__Inside__StoredJoin *v =
        veld__coord__inside__stored_join__unpack(NULL, value_len, value);
    if (v && key_len == 1 + 32 + 32 && v->request.len > 0 && v->state >= VELD_JOIN_IS_WAITING &&
        v->state <= VELD_JOIN_IS_REFUSED && take(&v->from, like.from, sizeof like.from)) {
        memcpy(like.p, key + 1 + 32, sizeof like.p);
        like.state = v->state;
        like.filed_s = v->filed;
        j = veld_join_build(&like,
                            &(struct veld_blob){.p = v->request.data, .len = v->request.len},
                            &(struct veld_blob){.p = v->chain.data, .len = v->chain.len});
    }
    veld__coord__inside__stored_join__free_unpacked(v, NULL);
    if (!j)
        return damaged(l, "a join request");
    veld_join_link(l->net, j);
    return 0;
}

/* ---- a network ---- */

static int by_revision(gconstpointer a, gconstpointer b)
{
    const struct veld_member *x = *(struct veld_member *const *)a,
                             *y = *(struct veld_member *const *)b;
    return x->revision < y->revision ? -1 : x->revision > y->revision;
}

/* The list of changes, now that each member's revision is known. */
static int order_members(struct loading *l)
{
    GHashTableIter i;
    gpointer m;
    int rc = 0;
    GPtrArray *all = g_ptr_array_sized_new(g_hash_table_size(l->net->members));
    g_hash_table_iter_init(&i, l->net->members);
    while (g_hash_table_iter_next(&i, NULL, &m))
        g_ptr_array_add(all, m);
    g_ptr_array_sort(all, by_revision);
    uint64_t before = 0;
    for (guint k = 0; k < all->len && rc == 0; k++) {
        struct veld_member *next = all->pdata[k];
        if (next->revision <= before) {
            rc = damaged(l, "a member without a state, or two of one revision");
            break;
        }
        before = next->revision;
        veld_changes_append(&l->net->changed, next->revision, next);
        l->r->members++;
        l->r->online += next->online;
    }
    g_ptr_array_free(all, TRUE);
    return rc;
}

static const struct {
    char kind;
    int (*load)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                size_t value_len);
} parts[] = {
    {'h', load_head},    {'r', load_revocations}, {'m', load_facts}, {'s', load_state},
    {'t', load_removal}, {'u', load_token_use},   {'j', load_join},
};

static int load_parts(struct loading *l)
{
    uint8_t prefix[1 + 32];
    memcpy(prefix + 1, l->net->id, 32);
    for (size_t i = 0; i < VELD_ARRAY_LEN(parts); i++) {
        prefix[0] = (uint8_t)parts[i].kind;
        int rc = l->store->ops->scan(l->store, prefix, sizeof prefix, parts[i].load, l);
        if (rc)
            return rc;
    }
    if (l->net->revision == 0)
        return damaged(l, "a network without a head");
    return order_members(l);
}

static int load_network(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t value_len)
{
    struct loading *l = ctx;
    struct veld_network n;
    Veld__Coord__Inside__StoredNetwork *v =
        veld__coord__inside__stored_network__unpack(NULL, value_len, value);
    struct veld_net *net = NULL;
    if (v && key_len == 1 + 32 && veld_network_read(v->network.data, v->network.len, &n) == 0 &&
        memcmp(n.id, key + 1, 32) == 0 && !veld_net_by_name(l->r, n.name))
        net = veld_net_new(l->r, &n, v->network.data, v->network.len);
    if (net)
        net->put_s = v->put;
    veld__coord__inside__stored_network__free_unpacked(v, NULL);
    if (!net)
        return damaged(l, "a network");
    veld_net_link(net);
    return 0;
}

int veld_persist_load(struct veld_registry *r, struct veld_store *store, struct veld_diag *diag)
{
    struct loading l = {.r = r, .store = store, .diag = diag};
    GHashTableIter i;
    gpointer net;
    if (diag)
        diag->text[0] = '\0';
    int rc = store->ops->scan(store, "v", 1, load_version, &l);
    if (rc == 0 && !l.has_version)
        rc = store->ops->scan(store, "", 0, not_empty, &l);
    if (rc == 0 && !l.has_version)
        return write_version(&l);
    if (rc == 0)
        rc = store->ops->scan(store, "n", 1, load_network, &l);
    g_hash_table_iter_init(&i, r->nets);
    while (rc == 0 && g_hash_table_iter_next(&i, NULL, &net)) {
        l.net = net;
        rc = load_parts(&l);
    }
    if (rc < 0 && diag && diag->text[0] == '\0')
        veld_fail(diag, rc, "the database cannot be read: %s", veld_strerror(rc));
    return rc;
}

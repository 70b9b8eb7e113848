#include "coord/registry/registry.h"

#include "coord/registry/internal.h"
#include "coord/registry/persist.h"

#include <string.h>

struct token_count {
    uint8_t key[32]; /* first */
    uint32_t uses;
};

void veld_token_use_link(struct veld_net *net, struct veld_token_use *u)
{
    struct token_count *c = veld_table_find(net->token_counts, u->pair);
    if (!c) {
        c = g_new0(struct token_count, 1);
        memcpy(c->key, u->pair, sizeof c->key);
        veld_table_put(&net->token_counts, veld_table_by_key, c->key, c);
    }
    c->uses++;
    veld_table_put(&net->uses, veld_table_by_pair, u->pair, u);
}

void veld_token_use_unlink(struct veld_net *net, struct veld_token_use *u)
{
    struct token_count *c = veld_table_find(net->token_counts, u->pair);
    veld_table_take(net->uses, u->pair);
    if (--c->uses == 0) {
        veld_table_take(net->token_counts, c->key);
        g_free(c);
    }
}

static gboolean free_value(gpointer key, gpointer value, gpointer ctx)
{
    g_free(value);
    return TRUE;
}

void veld_tokens_free(struct veld_net *net)
{
    GHashTable *tables[] = {net->uses, net->token_counts};
    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        if (!tables[i])
            continue;
        g_hash_table_foreach_steal(tables[i], free_value, NULL);
        g_hash_table_destroy(tables[i]);
    }
}

static void pair_of(uint8_t pair[64], const uint8_t token[32], const uint8_t p[32])
{
    memcpy(pair, token, 32);
    memcpy(pair + 32, p, 32);
}

bool veld_token_is_used_by(const struct veld_net *net, const uint8_t token[32],
                           const uint8_t p[32])
{
    uint8_t pair[64];
    pair_of(pair, token, p);
    return veld_table_find(net->uses, pair) != NULL;
}

uint32_t veld_token_uses(const struct veld_net *net, const uint8_t token[32])
{
    const struct token_count *c = veld_table_find(net->token_counts, token);
    return c ? c->uses : 0;
}

/* ---- changes ---- */

struct change {
    struct veld_net *net;
    struct veld_token_use *use;
};

static void keep_use(void *what)
{
    g_free(what);
}

static void undo_use(void *what)
{
    struct change *c = what;
    veld_token_use_unlink(c->net, c->use);
    g_free(c->use);
    g_free(c);
}

void veld_token_use(struct veld_registry *r, struct veld_net *net, const uint8_t token[32],
                    const uint8_t p[32], uint64_t expires_s)
{
    struct veld_token_use *u = g_new(struct veld_token_use, 1);
    struct change *c = g_new(struct change, 1);
    pair_of(u->pair, token, p);
    u->expires_s = expires_s;
    *c = (struct change){.net = net, .use = u};
    veld_token_use_link(net, u);
    veld_persist_token_use(r->batch, net, u);
    veld_batch_note(r->batch, c, keep_use, undo_use);
}

static void keep_forgotten(void *what)
{
    struct change *c = what;
    g_free(c->use);
    g_free(c);
}

static void undo_forgotten(void *what)
{
    struct change *c = what;
    veld_token_use_link(c->net, c->use);
    g_free(c);
}

void veld_tokens_tidy(struct veld_registry *r, struct veld_net *net, uint64_t now_s)
{
    GHashTableIter i;
    gpointer value;
    if (!net->uses)
        return;
    GPtrArray *old = g_ptr_array_new();
    g_hash_table_iter_init(&i, net->uses);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        const struct veld_token_use *u = value;
        if (now_s == UINT64_MAX || (u->expires_s != 0 && u->expires_s < now_s))
            g_ptr_array_add(old, value);
    }
    for (guint k = 0; k < old->len; k++) {
        struct change *c = g_new(struct change, 1);
        *c = (struct change){.net = net, .use = old->pdata[k]};
        veld_token_use_unlink(net, c->use);
        veld_persist_token_use_gone(r->batch, net, c->use);
        veld_batch_note(r->batch, c, keep_forgotten, undo_forgotten);
    }
    g_ptr_array_free(old, TRUE);
}

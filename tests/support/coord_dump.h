/*
 * All that a coord server's registry knows, as text, so that two can be compared: the
 * one that went through changes and failures, and one just read from the store.
 */
#ifndef VELD_TESTS_COORD_DUMP_H
#define VELD_TESTS_COORD_DUMP_H

#include "coord/registry/registry.h"
#include "coord/service/impl.h"
#include "coord_rig.h"

#include <inttypes.h>

static inline void coord_dump_hex(GString *out, const void *p, size_t len)
{
    uint8_t hash[32];
    if (len > 32) { /* by what it hashes to */
        veld_sha256(hash, &(struct veld_bytes){p, len}, 1);
        p = hash;
        len = 8;
    }
    for (size_t i = 0; i < len && i < 8; i++)
        g_string_append_printf(out, "%02x", ((const uint8_t *)p)[i]);
}

static inline void coord_dump_member(GString *out, const struct veld_member *m)
{
    const struct veld_facts *f = m->facts;
    g_string_append_printf(out, " member ");
    coord_dump_hex(out, m->p, 32);
    g_string_append_printf(out,
                           " rev=%" PRIu64 " online=%d seen=%" PRIu64 " name=%s ip=%08x"
                           " seq=%" PRIu64 " serial=%" PRIu64 " flags=%u ends=%" PRIu64
                           " begins=%" PRIu64 " token=%d,%u,%" PRIu64 " routes=%u",
                           m->revision, m->online, m->last_seen_s, f->name, f->ipv4,
                           f->sequence, f->serial, f->flags, f->ends_s, f->begins_s,
                           f->by_token, f->token_uses, f->token_expires_s, f->n_routes);
    for (uint32_t i = 0; i < f->n_routes; i++) {
        char text[VELD_PREFIX_STRLEN];
        g_string_append_printf(out, ",%s", veld_prefix_format(&f->routes[i], text));
    }
    coord_dump_hex(out, f->signer, 32);
    coord_dump_hex(out, f->admin, 32);
    coord_dump_hex(out, f->chain_digest, 32);
    g_string_append_printf(out, " chain=%u ", f->chain_len);
    coord_dump_hex(out, f->chain, f->chain_len);
    g_string_append_printf(out, " peer=%u ", f->peer_len);
    coord_dump_hex(out, f->peer, f->peer_len);
    /* Every table leads to it. */
    g_string_append_printf(out, " tables=%d%d%d\n", veld_member_by_key(m->net, m->p) == m,
                           veld_member_by_name(m->net, f->name) == m,
                           veld_member_by_ipv4(m->net, f->ipv4) == m);
}

static inline gint coord_dump_order(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One line each, in an order of their own. */
static inline void coord_dump_table(GString *out, GHashTable *t,
                                    void (*line)(GString *out, gpointer value))
{
    GHashTableIter i;
    gpointer value;
    if (!t)
        return;
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_iter_init(&i, t);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        GString *one = g_string_new(NULL);
        line(one, value);
        g_ptr_array_add(lines, g_string_free(one, FALSE));
    }
    g_ptr_array_sort(lines, coord_dump_order);
    for (guint k = 0; k < lines->len; k++)
        g_string_append(out, lines->pdata[k]);
    g_ptr_array_free(lines, TRUE);
}

static inline void coord_dump_removal(GString *out, gpointer value)
{
    const struct veld_removal *x = value;
    g_string_append_printf(out, " removed rev=%" PRIu64 " ip=%08x ", x->revision, x->ipv4);
    coord_dump_hex(out, x->p, 32);
    g_string_append(out, "\n");
}

static inline void coord_dump_use(GString *out, gpointer value)
{
    const struct veld_token_use *u = value;
    g_string_append(out, " use ");
    coord_dump_hex(out, u->pair, 64);
    g_string_append_printf(out, " %" PRIu64 "\n", u->expires_s);
}

static inline void coord_dump_join(GString *out, gpointer value)
{
    const struct veld_join *j = value;
    g_string_append(out, " join ");
    coord_dump_hex(out, j->p, 32);
    g_string_append_printf(out, " state=%d filed=%" PRIu64 " ", j->state, j->filed_s);
    coord_dump_hex(out, j->from, 8);
    coord_dump_hex(out, j->request, j->request_len);
    coord_dump_hex(out, j->chain, j->chain_len);
    g_string_append(out, "\n");
}

static inline void coord_dump_net(GString *out, gpointer value)
{
    const struct veld_net *n = value;
    struct veld_blob list = veld_revocations_bytes(n->revocations);
    /* As whoever starts next sees it: its own gap will take the oldest one's place. */
    size_t gaps_from = n->n_gaps > VELD_GAPS_MAX ? n->n_gaps - VELD_GAPS_MAX : 0;
    uint64_t horizon =
        gaps_from ? VELD_MAX(n->horizon, n->gaps[gaps_from - 1].before) : n->horizon;
    g_string_append_printf(
        out, "network %s rev=%" PRIu64 " horizon=%" PRIu64 " put=%" PRIu64 " members=%u,%u,%u ",
        n->descriptor.name, n->revision, horizon, n->put_s, g_hash_table_size(n->members),
        g_hash_table_size(n->by_name), g_hash_table_size(n->by_ipv4));
    coord_dump_hex(out, n->signed_descriptor.p, n->signed_descriptor.len);
    coord_dump_hex(out, list.p, list.len);
    for (size_t i = gaps_from; i < n->n_gaps; i++)
        g_string_append_printf(out, " gap=%" PRIu64 "-%" PRIu64, n->gaps[i].after,
                               n->gaps[i].before);
    g_string_append(out, "\n");
    for (size_t i = 0; i < n->changed.n; i++)
        if (n->changed.at[i].what)
            coord_dump_member(out, n->changed.at[i].what);
    for (size_t i = 0; i < n->removed.n; i++)
        if (n->removed.at[i].what)
            coord_dump_removal(out, n->removed.at[i].what);
    g_string_append(out, " resting:\n");
    coord_dump_table(out, n->resting, coord_dump_removal);
    coord_dump_table(out, n->uses, coord_dump_use);
    coord_dump_table(out, n->joins, coord_dump_join);
}

/* To be freed with g_free. */
static inline char *coord_dump(const struct veld_service *s)
{
    GString *out = g_string_new(NULL);
    const struct veld_registry *g = s->registry;
    g_string_append_printf(out, "members=%" PRIu64 " online=%" PRIu64 " joins=%" PRIu64 "\n",
                           g->members, g->online, g->joins);
    coord_dump_table(out, g->nets, coord_dump_net);
    return g_string_free(out, FALSE);
}

/* What a server that starts now would know. */
static inline char *coord_dump_stored(struct coord_rig *r)
{
    struct veld_service *fresh;
    struct veld_diag diag;
    if (veld_service_open(&fresh, &r->cfg, &r->now, &diag) < 0) {
        fprintf(stderr, "coord rig: %s\n", diag.text);
        abort();
    }
    char *text = coord_dump(fresh);
    veld_service_close(fresh);
    return text;
}

/* Is what is in memory what is in the store? Prints both when not. */
static inline bool coord_is_as_stored(struct coord_rig *r)
{
    char *memory = coord_dump(r->service), *stored = coord_dump_stored(r);
    bool same = strcmp(memory, stored) == 0;
    if (!same)
        fprintf(stderr, "---- in memory:\n%s---- in the store:\n%s", memory, stored);
    g_free(memory);
    g_free(stored);
    return same;
}

#endif

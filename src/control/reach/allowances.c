#include "control/reach/allowances.h"

#include "base/bytes.h"

#include <glib.h>

/* Tokens are kept as the time they took to grow. */
#define TOKEN_NS  (VELD_NS_PER_S / VELD_ALLOWANCE_PER_S)
#define BUCKET_NS (TOKEN_NS * VELD_ALLOWANCE_BURST)

struct bucket {
    uint64_t tokens_ns, filled_at_ns;
};

struct member {
    unsigned circuits;
    struct bucket asks, offers;
};

struct offer {
    guint64 way; /* who is offered whom */
    uint64_t at_ns;
};

struct veld_allowances {
    GHashTable *members; /* id -> struct member, owned */
    GHashTable *offers;  /* struct offer, owned, by its way */
};

struct veld_allowances *veld_allowances_new(void)
{
    struct veld_allowances *a = g_new0(struct veld_allowances, 1);
    a->members = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    a->offers = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return a;
}

void veld_allowances_free(struct veld_allowances *a)
{
    if (!a)
        return;
    g_hash_table_unref(a->members);
    g_hash_table_unref(a->offers);
    g_free(a);
}

static struct member *need(struct veld_allowances *a, uint32_t id)
{
    struct member *m = g_hash_table_lookup(a->members, GUINT_TO_POINTER(id));
    if (m)
        return m;
    m = g_new0(struct member, 1);
    m->asks.tokens_ns = m->offers.tokens_ns = BUCKET_NS;
    g_hash_table_insert(a->members, GUINT_TO_POINTER(id), m);
    return m;
}

static bool has_token(struct bucket *b, uint64_t now_ns)
{
    b->tokens_ns =
        VELD_MIN(b->tokens_ns + VELD_MIN(now_ns - b->filled_at_ns, BUCKET_NS), BUCKET_NS);
    b->filled_at_ns = now_ns;
    return b->tokens_ns >= TOKEN_NS;
}

bool veld_allowances_ask(struct veld_allowances *a, uint32_t member, uint64_t now_ns)
{
    struct bucket *b = &need(a, member)->asks;
    if (!has_token(b, now_ns))
        return false;
    b->tokens_ns -= TOKEN_NS;
    return true;
}

bool veld_allowances_take(struct veld_allowances *a, uint32_t member)
{
    struct member *m = need(a, member);
    if (m->circuits == VELD_ALLOWANCE_CIRCUITS)
        return false;
    m->circuits++;
    return true;
}

void veld_allowances_give(struct veld_allowances *a, uint32_t member)
{
    struct member *m = need(a, member);
    g_assert(m->circuits > 0);
    m->circuits--;
}

/* ---- Offers ---- */

static guint64 way(uint32_t from, uint32_t to)
{
    return (guint64)from << 32 | to;
}

bool veld_allowances_may_offer(struct veld_allowances *a, uint32_t from, uint32_t to,
                               uint64_t now_ns)
{
    guint64 key = way(from, to);
    const struct offer *last = g_hash_table_lookup(a->offers, &key);
    if (last ? now_ns - last->at_ns < VELD_ALLOWANCE_OFFER_GAP_NS
             : g_hash_table_size(a->offers) >= VELD_ALLOWANCE_OFFERS_MAX)
        return false;
    return has_token(&need(a, to)->offers, now_ns);
}

void veld_allowances_offered(struct veld_allowances *a, uint32_t from, uint32_t to,
                             uint64_t now_ns)
{
    struct offer *o = g_new0(struct offer, 1);
    *o = (struct offer){.way = way(from, to), .at_ns = now_ns};
    g_hash_table_replace(a->offers, &o->way, o);
    need(a, to)->offers.tokens_ns -= TOKEN_NS;
}

static gboolean is_old(gpointer key, gpointer value, gpointer now_ns)
{
    const struct offer *o = value;
    return *(const uint64_t *)now_ns - o->at_ns >= VELD_ALLOWANCE_OFFER_GAP_NS;
}

void veld_allowances_expire(struct veld_allowances *a, uint64_t now_ns)
{
    g_hash_table_foreach_remove(a->offers, is_old, &now_ns);
}

void veld_allowances_forget(struct veld_allowances *a, uint32_t member)
{
    g_hash_table_remove(a->members, GUINT_TO_POINTER(member));
}

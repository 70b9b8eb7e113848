#include "coord/addresses.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/primitives.h"

#include <glib.h>
#include <stdlib.h>

/* An allowance used up is whole again after so long. */
#define REFILL_S    10
#define BLAME_SHARE 16.0 /* of a whole allowance */

struct address {
    uint8_t key[9]; /* family, and 4 or 8 bytes */
    uint32_t open;
    double allowance; /* connections it may open at once */
    uint64_t as_of_ns;
};

struct veld_addresses {
    GHashTable *by_key; /* of struct address, which it owns */
    size_t max;
    uint32_t per_address;
};

/* Strangers choose their addresses: the hash must be one they cannot foresee. */
static uint8_t hash_key[16];

static guint hash(gconstpointer p)
{
    return (guint)veld_siphash(hash_key, ((const struct address *)p)->key,
                               sizeof((const struct address *)p)->key);
}

static gboolean equal(gconstpointer a, gconstpointer b)
{
    return memcmp(((const struct address *)a)->key, ((const struct address *)b)->key,
                  sizeof((const struct address *)a)->key) == 0;
}

int veld_addresses_new(struct veld_addresses **out, size_t max, uint32_t per_address)
{
    struct veld_addresses *a = calloc(1, sizeof *a);
    if (!a)
        return VELD_E_NOMEM;
    if (veld_is_zero(hash_key, sizeof hash_key))
        veld_random(hash_key, sizeof hash_key);
    *a = (struct veld_addresses){.by_key = g_hash_table_new_full(hash, equal, NULL, free),
                                 .max = max,
                                 .per_address = per_address};
    *out = a;
    return 0;
}

void veld_addresses_free(struct veld_addresses *a)
{
    if (!a)
        return;
    g_hash_table_destroy(a->by_key);
    free(a);
}

static void set_key(struct address *a, const struct veld_ip *ip)
{
    memset(a->key, 0, sizeof a->key);
    a->key[0] = ip->family;
    memcpy(a->key + 1, ip->b, ip->family == 4 ? 4 : 8);
}

static struct address *find(struct veld_addresses *a, const struct veld_ip *ip)
{
    struct address wanted;
    set_key(&wanted, ip);
    return g_hash_table_lookup(a->by_key, &wanted);
}

static void refill(const struct veld_addresses *t, struct address *a, uint64_t now_ns)
{
    double s = (double)(now_ns - a->as_of_ns) / VELD_NS_PER_S;
    a->allowance += s * t->per_address / REFILL_S;
    if (a->allowance > t->per_address)
        a->allowance = t->per_address;
    a->as_of_ns = now_ns;
}

/* Has nothing open: the first that is met makes room. */
static gboolean is_idle(gpointer key, gpointer value, gpointer ctx)
{
    return ((struct address *)key)->open == 0;
}

static struct address *add(struct veld_addresses *t, const struct veld_ip *ip, uint64_t now_ns)
{
    if (g_hash_table_size(t->by_key) >= t->max) {
        struct address *idle = g_hash_table_find(t->by_key, is_idle, NULL);
        if (!idle)
            return NULL;
        g_hash_table_remove(t->by_key, idle);
    }
    struct address *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    set_key(a, ip);
    a->allowance = t->per_address;
    a->as_of_ns = now_ns;
    g_hash_table_add(t->by_key, a);
    return a;
}

int veld_addresses_take(struct veld_addresses *t, const struct veld_ip *ip, uint64_t now_ns)
{
    struct address *a = find(t, ip);
    if (!a && !(a = add(t, ip, now_ns)))
        return VELD_E_LIMIT;
    refill(t, a, now_ns);
    if (a->open >= t->per_address)
        return VELD_E_FULL;
    if (a->allowance < 1)
        return VELD_E_LIMIT;
    a->allowance -= 1;
    a->open++;
    return 0;
}

void veld_addresses_give(struct veld_addresses *t, const struct veld_ip *ip)
{
    struct address *a = find(t, ip);
    if (a && a->open > 0)
        a->open--;
}

void veld_addresses_blame(struct veld_addresses *t, const struct veld_ip *ip, uint64_t now_ns)
{
    struct address *a = find(t, ip);
    if (!a)
        return;
    refill(t, a, now_ns);
    a->allowance -= t->per_address / BLAME_SHARE;
    if (a->allowance < 0)
        a->allowance = 0;
}

struct sweep {
    const struct veld_addresses *table;
    uint64_t now_ns;
};

static gboolean may_go(gpointer key, gpointer value, gpointer ctx)
{
    struct address *a = key;
    const struct sweep *s = ctx;
    refill(s->table, a, s->now_ns);
    return a->open == 0 && a->allowance >= s->table->per_address;
}

void veld_addresses_sweep(struct veld_addresses *t, uint64_t now_ns)
{
    struct sweep s = {t, now_ns};
    g_hash_table_foreach_remove(t->by_key, may_go, &s);
}

size_t veld_addresses_count(const struct veld_addresses *t)
{
    return g_hash_table_size(t->by_key);
}

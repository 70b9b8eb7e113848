#include "control/reach/known.h"

#include "base/bytes.h"

#include <glib.h>
#include <string.h>

/* As long as need be: of thousands of peers most have one source and few addresses. */
struct says {
    struct veld_endpoint *list; /* owned */
    size_t n;
};

struct entry {
    struct says by[VELD_KNOWN_SOURCES];
};

struct veld_known {
    GHashTable *entries; /* peer -> struct entry, owned */
};

static void entry_free(gpointer data)
{
    struct entry *e = data;
    for (unsigned i = 0; i < VELD_KNOWN_SOURCES; i++)
        g_free(e->by[i].list);
    g_free(e);
}

struct veld_known *veld_known_new(void)
{
    struct veld_known *k = g_new0(struct veld_known, 1);
    k->entries = g_hash_table_new_full(NULL, NULL, NULL, entry_free);
    return k;
}

void veld_known_free(struct veld_known *k)
{
    if (!k)
        return;
    g_hash_table_unref(k->entries);
    g_free(k);
}

static struct entry *find(const struct veld_known *k, uint32_t peer)
{
    return g_hash_table_lookup(k->entries, GUINT_TO_POINTER(peer));
}

static bool says_the_same(const struct says *s, const struct veld_endpoint *list, size_t n)
{
    bool same = s->n == n;
    for (size_t i = 0; same && i < n; i++)
        same = veld_endpoint_equal(&s->list[i], &list[i]);
    return same;
}

bool veld_known_set(struct veld_known *k, uint32_t peer, enum veld_known_source source,
                    const struct veld_endpoint *list, size_t n)
{
    struct entry *e = find(k, peer);
    n = VELD_MIN(n, VELD_CANDIDATES_MAX);
    if (!e && n == 0)
        return false;
    if (!e) {
        e = g_new0(struct entry, 1);
        g_hash_table_insert(k->entries, GUINT_TO_POINTER(peer), e);
    }
    struct says *s = &e->by[source];
    if (says_the_same(s, list, n))
        return false;
    struct veld_endpoint *copy = n ? g_new(struct veld_endpoint, n) : NULL;
    for (size_t i = 0; i < n; i++)
        copy[i] = list[i];
    g_free(s->list);
    *s = (struct says){copy, n};
    return true;
}

static size_t add_new(struct veld_endpoint *out, size_t n, size_t max, const struct says *s)
{
    for (size_t i = 0; i < s->n && n < max; i++) {
        bool twice = false;
        for (size_t k = 0; k < n; k++)
            twice |= veld_endpoint_equal(&out[k], &s->list[i]);
        if (!twice)
            out[n++] = s->list[i];
    }
    return n;
}

size_t veld_known_compose(const struct veld_known *k, uint32_t peer,
                          struct veld_endpoint out[VELD_CANDIDATES_MAX])
{
    const struct entry *e = find(k, peer);
    size_t n = 0;
    if (!e)
        return 0;
    const struct says *circuits = &e->by[VELD_KNOWN_CIRCUITS];
    size_t addresses_max = VELD_CANDIDATES_MAX - VELD_MIN(circuits->n, VELD_KNOWN_CIRCUITS_MAX);
    for (unsigned i = 0; i < VELD_KNOWN_CIRCUITS; i++)
        n = add_new(out, n, addresses_max, &e->by[i]);
    return add_new(out, n, VELD_CANDIDATES_MAX, circuits);
}

void veld_known_forget(struct veld_known *k, uint32_t peer)
{
    g_hash_table_remove(k->entries, GUINT_TO_POINTER(peer));
}

#include "coord/rising.h"

#include <glib.h>

struct one {
    uint64_t cookie; /* first: the key */
    uint64_t since_ns;
    GList link;
};

struct veld_rising {
    GHashTable *by_cookie; /* struct one; owned */
    GQueue by_age;         /* the oldest first */
};

struct veld_rising *veld_rising_new(void)
{
    struct veld_rising *r = g_new0(struct veld_rising, 1);
    r->by_cookie = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return r;
}

void veld_rising_free(struct veld_rising *r)
{
    if (!r)
        return;
    g_hash_table_destroy(r->by_cookie);
    g_free(r);
}

static void drop(struct veld_rising *r, struct one *o)
{
    g_queue_unlink(&r->by_age, &o->link);
    g_hash_table_remove(r->by_cookie, &o->cookie);
}

void veld_rising_end(struct veld_rising *r, uint64_t cookie)
{
    struct one *o = g_hash_table_lookup(r->by_cookie, &cookie);
    if (o)
        drop(r, o);
}

void veld_rising_add(struct veld_rising *r, uint64_t cookie, uint64_t now_ns)
{
    struct one *o = g_new0(struct one, 1);
    veld_rising_end(r, cookie);
    *o = (struct one){.cookie = cookie, .since_ns = now_ns, .link.data = o};
    g_hash_table_replace(r->by_cookie, &o->cookie, o);
    g_queue_push_tail_link(&r->by_age, &o->link);
}

bool veld_rising_is_full(struct veld_rising *r, uint64_t now_ns)
{
    for (struct one *o; r->by_age.head; drop(r, o)) {
        o = r->by_age.head->data;
        if (now_ns - o->since_ns < VELD_RISING_NS)
            break;
    }
    return r->by_age.length >= VELD_RISING_MAX;
}

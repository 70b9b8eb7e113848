#include "control/mesh/departed.h"

#include "base/bytes.h"
#include "control/mesh/hash.h"

#include <string.h>

struct departed {
    uint8_t pub[32];
    uint64_t sequence, serial;
};

struct veld_departed {
    GHashTable *by_pub; /* of struct departed, owned */
    GQueue order;       /* of the same, borrowed; who left first is the head */
};

struct veld_departed *veld_departed_new(void)
{
    struct veld_departed *d = g_new0(struct veld_departed, 1);
    d->by_pub = g_hash_table_new_full(veld_hash_key, veld_same_key, g_free, NULL);
    g_queue_init(&d->order);
    return d;
}

void veld_departed_free(struct veld_departed *d)
{
    if (!d)
        return;
    g_queue_clear(&d->order);
    g_hash_table_destroy(d->by_pub);
    g_free(d);
}

static struct departed *add(struct veld_departed *d, const uint8_t pub[32])
{
    if (d->order.length == VELD_DEPARTED_MAX)
        g_hash_table_remove(d->by_pub, g_queue_pop_head(&d->order));
    struct departed *e = g_new0(struct departed, 1);
    memcpy(e->pub, pub, sizeof e->pub);
    g_hash_table_add(d->by_pub, e);
    g_queue_push_tail(&d->order, e);
    return e;
}

void veld_departed_note(struct veld_departed *d, const uint8_t pub[32], uint64_t sequence,
                        uint64_t serial)
{
    struct departed *e = g_hash_table_lookup(d->by_pub, pub);
    if (!e)
        e = add(d, pub);
    e->sequence = VELD_MAX(e->sequence, sequence);
    e->serial = VELD_MAX(e->serial, serial);
}

bool veld_departed_is_older(const struct veld_departed *d, const uint8_t pub[32],
                            uint64_t sequence, uint64_t serial)
{
    const struct departed *e = g_hash_table_lookup(d->by_pub, pub);
    return e && (sequence < e->sequence || serial < e->serial);
}

size_t veld_departed_count(const struct veld_departed *d)
{
    return d->order.length;
}

#include "control/mesh/hash.h"

#include "base/addr.h"
#include "crypto/primitives.h"

#include <string.h>

static guint hash(const void *p, size_t len)
{
    static gsize ready;
    static uint8_t key[16];
    if (g_once_init_enter(&ready)) {
        veld_random(key, sizeof key);
        g_once_init_leave(&ready, 1);
    }
    return (guint)veld_siphash(key, p, len);
}

guint veld_hash_name(gconstpointer name)
{
    return hash(name, strlen(name));
}

guint veld_hash_ip(gconstpointer p)
{
    const struct veld_ip *ip = p;
    return hash(ip->b, sizeof ip->b) + ip->family;
}

gboolean veld_same_ip(gconstpointer a, gconstpointer b)
{
    return veld_ip_equal(a, b);
}

guint veld_hash_prefix(gconstpointer p)
{
    const struct veld_prefix *prefix = p;
    return veld_hash_ip(&prefix->ip) + prefix->len * 256u;
}

gboolean veld_same_prefix(gconstpointer pa, gconstpointer pb)
{
    const struct veld_prefix *a = pa, *b = pb;
    return a->len == b->len && veld_ip_equal(&a->ip, &b->ip);
}

guint veld_hash_key(gconstpointer key)
{
    return hash(key, 32);
}

gboolean veld_same_key(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 32) == 0;
}

#include "coord/registry/table.h"

#include "crypto/primitives.h"

#include <string.h>

static uint8_t seed[16]; /* written once, before the first table is there */

static guint hash(const void *key, size_t len)
{
    return (guint)veld_siphash(seed, key, len);
}

static guint hash_key(gconstpointer key)
{
    return hash(key, 32);
}

static gboolean keys_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 32) == 0;
}

static guint hash_pair(gconstpointer key)
{
    return hash(key, 64);
}

static gboolean pairs_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 64) == 0;
}

static guint hash_name(gconstpointer key)
{
    return hash(key, strlen(key));
}

static guint hash_ipv4(gconstpointer key)
{
    return hash(key, sizeof(uint32_t));
}

static gboolean ipv4_equal(gconstpointer a, gconstpointer b)
{
    return *(const uint32_t *)a == *(const uint32_t *)b;
}

static GHashTable *table(GHashFunc hash_of, GEqualFunc equal)
{
    if (veld_is_zero(seed, sizeof seed))
        veld_random(seed, sizeof seed);
    return g_hash_table_new(hash_of, equal);
}

GHashTable *veld_table_by_key(void)
{
    return table(hash_key, keys_equal);
}

GHashTable *veld_table_by_pair(void)
{
    return table(hash_pair, pairs_equal);
}

GHashTable *veld_table_by_name(void)
{
    return table(hash_name, g_str_equal);
}

GHashTable *veld_table_by_ipv4(void)
{
    return table(hash_ipv4, ipv4_equal);
}

#include "coord/service/rates.h"

#include "base/bytes.h"
#include "crypto/primitives.h"

#include <glib.h>

struct bucket {
    uint64_t tag; /* hash of the key; 0: never used */
    uint64_t tokens_ns, filled_at_ns;
};

struct veld_rates {
    uint8_t seed[16];
    uint64_t token_ns, bucket_ns; /* tokens are kept as the time they took to grow */
    struct bucket bucket[VELD_RATES_SETS][VELD_RATES_WAYS];
};

struct veld_rates *veld_rates_new(struct veld_rate rate, const uint8_t seed[16])
{
    if (rate.burst == 0)
        return NULL;
    struct veld_rates *r = g_new0(struct veld_rates, 1);
    memcpy(r->seed, seed, sizeof r->seed);
    r->token_ns = 3600 * VELD_NS_PER_S / VELD_MAX(rate.per_hour, 1u);
    r->bucket_ns = r->token_ns * rate.burst;
    return r;
}

void veld_rates_free(struct veld_rates *r)
{
    g_free(r);
}

static uint64_t tokens_now(const struct veld_rates *r, const struct bucket *b, uint64_t now_ns)
{
    uint64_t grown = now_ns > b->filled_at_ns ? now_ns - b->filled_at_ns : 0;
    return VELD_MIN(b->tokens_ns + VELD_MIN(grown, r->bucket_ns), r->bucket_ns);
}

/* The bucket of `tag`, or a place for it with a full one, or NULL. */
static struct bucket *find(struct veld_rates *r, uint64_t tag, uint64_t now_ns)
{
    struct bucket *set = r->bucket[tag % VELD_RATES_SETS], *place = NULL;
    for (size_t i = 0; i < VELD_RATES_WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].tag == 0 || tokens_now(r, &set[i], now_ns) == r->bucket_ns)
            place = &set[i];
    }
    if (place)
        *place = (struct bucket){.tag = tag, .tokens_ns = r->bucket_ns, .filled_at_ns = now_ns};
    return place;
}

bool veld_rates_take(struct veld_rates *r, const void *key, size_t len, uint64_t now_ns)
{
    if (!r)
        return true;
    uint64_t tag = veld_siphash(r->seed, key, len) | 1ull << 63; /* never 0 */
    struct bucket *b = find(r, tag, now_ns);
    if (!b)
        return false;
    b->tokens_ns = tokens_now(r, b, now_ns);
    b->filled_at_ns = now_ns;
    if (b->tokens_ns < r->token_ns)
        return false;
    b->tokens_ns -= r->token_ns;
    return true;
}

void veld_address_key(const struct veld_ip *ip, uint8_t out[VELD_ADDRESS_KEY])
{
    memset(out, 0, VELD_ADDRESS_KEY);
    out[0] = ip->family;
    memcpy(out + 1, ip->b, ip->family == 4 ? 4 : 8);
}

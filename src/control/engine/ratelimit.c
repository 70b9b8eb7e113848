#include "control/engine/ratelimit.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "control/engine/engine.h"
#include "crypto/primitives.h"

#include <stdlib.h>

/* Tokens are kept as the time they took to grow. */
#define TOKEN_NS  (VELD_NS_PER_S / VELD_INITIATIONS_PER_S)
#define BUCKET_NS (TOKEN_NS * VELD_INITIATIONS_BURST)

struct bucket {
    uint8_t key[9]; /* family, then what of the address counts; family 0: never used */
    uint64_t tokens_ns, filled_at_ns;
};

struct veld_ratelimit {
    uint8_t seed[16];
    struct bucket bucket[VELD_RATELIMIT_SETS][VELD_RATELIMIT_WAYS];
};

struct veld_ratelimit *veld_ratelimit_new(const uint8_t seed[16])
{
    struct veld_ratelimit *r = calloc(1, sizeof *r);
    if (r)
        memcpy(r->seed, seed, sizeof r->seed);
    return r;
}

void veld_ratelimit_free(struct veld_ratelimit *r)
{
    free(r);
}

static uint64_t tokens_now(const struct bucket *b, uint64_t now_ns)
{
    uint64_t grown = now_ns > b->filled_at_ns ? now_ns - b->filled_at_ns : 0;
    return VELD_MIN(b->tokens_ns + grown, BUCKET_NS);
}

/* The bucket of `key`, or a place for it with a full one, or NULL. */
static struct bucket *find(struct bucket set[VELD_RATELIMIT_WAYS], const uint8_t key[9],
                           uint64_t now_ns)
{
    struct bucket *place = NULL;
    for (size_t i = 0; i < VELD_RATELIMIT_WAYS; i++) {
        if (memcmp(set[i].key, key, sizeof set[i].key) == 0)
            return &set[i];
        if (set[i].key[0] == 0 || tokens_now(&set[i], now_ns) == BUCKET_NS)
            place = &set[i];
    }
    if (place) {
        memcpy(place->key, key, sizeof place->key);
        place->tokens_ns = BUCKET_NS;
        place->filled_at_ns = now_ns;
    }
    return place;
}

bool veld_ratelimit_allow(struct veld_ratelimit *r, const struct veld_endpoint *from,
                          uint64_t now_ns)
{
    uint8_t key[9] = {from->ip.family};
    if (veld_endpoint_is_circuit(from))
        veld_store_be32(key + 1, from->scope);
    else
        memcpy(key + 1, from->ip.b, from->ip.family == 4 ? 4 : 8);
    uint64_t hash = veld_siphash(r->seed, key, sizeof key);
    struct bucket *b = find(r->bucket[hash % VELD_RATELIMIT_SETS], key, now_ns);
    if (!b)
        return false;
    b->tokens_ns = tokens_now(b, now_ns);
    b->filled_at_ns = now_ns;
    if (b->tokens_ns < TOKEN_NS)
        return false;
    b->tokens_ns -= TOKEN_NS;
    return true;
}

#include "control/engine/peer.h"

#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

struct veld_peer_table {
    uint8_t seed[16];
    uint32_t max, used; /* ids from `used` on have never been given */
    uint32_t free_n;    /* ids given back */
    uint32_t bucket_mask;
    uint32_t *free_ids;             /* a stack */
    uint32_t *bucket;               /* by hash of the X25519 key: first id, or NOBODY */
    struct veld_engine_peer **peer; /* by id */
};

static uint32_t bucket_count(uint32_t max)
{
    uint32_t n = 16;
    while (n < max && n < 1u << 30)
        n *= 2;
    return n;
}

struct veld_peer_table *veld_peer_table_new(uint32_t max_peers, const uint8_t seed[16])
{
    struct veld_peer_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    uint32_t buckets = bucket_count(max_peers);
    t->max = max_peers;
    t->bucket_mask = buckets - 1;
    memcpy(t->seed, seed, sizeof t->seed);
    t->free_ids = calloc(max_peers, sizeof *t->free_ids);
    t->bucket = calloc(buckets, sizeof *t->bucket);
    t->peer = calloc(max_peers, sizeof *t->peer);
    if (!t->free_ids || !t->bucket || !t->peer) {
        veld_peer_table_free(t);
        return NULL;
    }
    memset(t->bucket, 0xff, buckets * sizeof *t->bucket);
    return t;
}

void veld_engine_handshake_free(struct veld_engine_handshake *h)
{
    if (!h)
        return;
    veld_wipe(h, sizeof *h);
    free(h);
}

static void peer_free(struct veld_engine_peer *p)
{
    veld_engine_handshake_free(p->handshake);
    veld_wipe(p, sizeof *p);
    free(p);
}

void veld_peer_table_free(struct veld_peer_table *t)
{
    if (!t)
        return;
    for (uint32_t id = 0; t->peer && id < t->used; id++) {
        if (t->peer[id])
            peer_free(t->peer[id]);
    }
    free(t->free_ids);
    free(t->bucket);
    free(t->peer);
    free(t);
}

static uint32_t *bucket_of(const struct veld_peer_table *t, const uint8_t x_pub[32])
{
    return &t->bucket[veld_siphash(t->seed, x_pub, 32) & t->bucket_mask];
}

struct veld_engine_peer *veld_peer_table_find(const struct veld_peer_table *t,
                                              const uint8_t x_pub[32])
{
    uint32_t id = *bucket_of(t, x_pub);
    while (id != NOBODY && memcmp(t->peer[id]->x_pub, x_pub, 32) != 0)
        id = t->peer[id]->next_in_bucket;
    return id == NOBODY ? NULL : t->peer[id];
}

struct veld_engine_peer *veld_peer_table_get(const struct veld_peer_table *t, uint32_t id)
{
    return id < t->used ? t->peer[id] : NULL;
}

int veld_peer_table_add(struct veld_peer_table *t, const uint8_t pub[32],
                        struct veld_engine_peer **out)
{
    uint8_t x_pub[32];
    int rc = veld_ed25519_public_to_x25519(x_pub, pub);
    if (rc < 0)
        return rc;
    const struct veld_engine_peer *twin = veld_peer_table_find(t, x_pub);
    if (twin)
        return memcmp(twin->pub, pub, 32) == 0 ? VELD_E_EXIST : VELD_E_KEY;
    if (t->free_n == 0 && t->used == t->max)
        return VELD_E_FULL;

    struct veld_engine_peer *p = calloc(1, sizeof *p);
    if (!p)
        return VELD_E_NOMEM;
    p->id = t->free_n ? t->free_ids[--t->free_n] : t->used++;
    memcpy(p->pub, pub, 32);
    memcpy(p->x_pub, x_pub, 32);
    t->peer[p->id] = p;
    uint32_t *bucket = bucket_of(t, x_pub);
    p->next_in_bucket = *bucket;
    *bucket = p->id;
    *out = p;
    return 0;
}

void veld_peer_table_remove(struct veld_peer_table *t, struct veld_engine_peer *p)
{
    uint32_t *link = bucket_of(t, p->x_pub);
    while (*link != p->id)
        link = &t->peer[*link]->next_in_bucket;
    *link = p->next_in_bucket;
    t->peer[p->id] = NULL;
    t->free_ids[t->free_n++] = p->id;
    peer_free(p);
}

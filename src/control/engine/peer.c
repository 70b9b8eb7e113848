#include "control/engine/peer.h"

#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

#define NOBODY 0 /* ends a chain: what is chained are ids + 1 */

struct veld_peer_table {
    uint8_t seed[16];
    uint32_t max, used; /* ids from `used` on have never been given */
    uint32_t free_n;    /* ids given back */
    uint32_t bucket_mask;
    uint32_t *free_ids;             /* a stack */
    uint32_t *by_pub;               /* by hash of P without its sign: first id + 1, or NOBODY */
    uint32_t *by_x;                 /* the same of x_pub; those proved */
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
    t->by_pub = calloc(buckets, sizeof *t->by_pub);
    t->by_x = calloc(buckets, sizeof *t->by_x);
    t->peer = calloc(max_peers, sizeof *t->peer);
    if (!t->free_ids || !t->by_pub || !t->by_x || !t->peer) {
        veld_peer_table_free(t);
        return NULL;
    }
    return t;
}

/* ---- The link ---- */

void veld_engine_handshake_free(struct veld_engine_handshake *h)
{
    if (!h)
        return;
    veld_wipe(h, sizeof *h);
    free(h);
}

static void link_free(struct veld_engine_link *l)
{
    if (!l)
        return;
    veld_engine_handshake_free(l->handshake);
    veld_wipe(l, sizeof *l);
    free(l);
}

int veld_peer_wake(struct veld_engine_peer *p)
{
    if (p->link)
        return 0;
    p->link = calloc(1, sizeof *p->link);
    if (!p->link)
        return VELD_E_NOMEM;
    veld_cookie_jar_init(&p->link->jar, p->pub);
    p->link->handshake_at_ns = p->link->confirm_at_ns = VELD_NEVER;
    p->link->seek.at_ns = VELD_NEVER;
    return 0;
}

void veld_peer_rest(struct veld_engine_peer *p)
{
    const struct veld_engine_link *l = p->link;
    if (!l || l->attempting || l->handshake || l->handshake_at_ns != VELD_NEVER ||
        l->current.local_index || l->previous.local_index || l->next.local_index)
        return;
    link_free(p->link);
    p->link = NULL;
}

/* ---- The table ---- */

static void peer_free(struct veld_engine_peer *p)
{
    link_free(p->link);
    free(p->candidates);
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
    free(t->by_pub);
    free(t->by_x);
    free(t->peer);
    free(t);
}

static uint32_t *bucket_of(const struct veld_peer_table *t, uint32_t *buckets,
                           const uint8_t key[32])
{
    return &buckets[veld_siphash(t->seed, key, 32) & t->bucket_mask];
}

static uint32_t *bucket_of_pub(const struct veld_peer_table *t, const uint8_t pub[32])
{
    uint8_t y[32];
    memcpy(y, pub, sizeof y);
    y[31] &= 0x7f; /* the sign */
    return bucket_of(t, t->by_pub, y);
}

static struct veld_engine_peer *find_twin(const struct veld_peer_table *t,
                                          const uint8_t pub[32])
{
    uint32_t link = *bucket_of_pub(t, pub);
    while (link != NOBODY && !veld_ed25519_same_but_for_sign(t->peer[link - 1]->pub, pub))
        link = t->peer[link - 1]->next_by_pub;
    return link == NOBODY ? NULL : t->peer[link - 1];
}

struct veld_engine_peer *veld_peer_table_find(const struct veld_peer_table *t,
                                              const uint8_t pub[32])
{
    struct veld_engine_peer *p = find_twin(t, pub);
    return p && memcmp(p->pub, pub, 32) == 0 ? p : NULL;
}

struct veld_engine_peer *veld_peer_table_find_by_x(const struct veld_peer_table *t,
                                                   const uint8_t x_pub[32])
{
    uint32_t link = *bucket_of(t, t->by_x, x_pub);
    while (link != NOBODY && memcmp(t->peer[link - 1]->x_pub, x_pub, 32) != 0)
        link = t->peer[link - 1]->next_by_x;
    return link == NOBODY ? NULL : t->peer[link - 1];
}

struct veld_engine_peer *veld_peer_table_get(const struct veld_peer_table *t, uint32_t id)
{
    return id < t->used ? t->peer[id] : NULL;
}

int veld_peer_table_add(struct veld_peer_table *t, const uint8_t pub[32],
                        struct veld_engine_peer **out)
{
    if (!veld_ed25519_is_canonical(pub))
        return VELD_E_KEY;
    const struct veld_engine_peer *twin = find_twin(t, pub);
    if (twin)
        return memcmp(twin->pub, pub, 32) == 0 ? VELD_E_EXIST : VELD_E_KEY;
    if (t->free_n == 0 && t->used == t->max)
        return VELD_E_FULL;

    struct veld_engine_peer *p = calloc(1, sizeof *p);
    if (!p)
        return VELD_E_NOMEM;
    p->id = t->free_n ? t->free_ids[--t->free_n] : t->used++;
    memcpy(p->pub, pub, 32);
    t->peer[p->id] = p;
    uint32_t *bucket = bucket_of_pub(t, pub);
    p->next_by_pub = *bucket;
    *bucket = p->id + 1;
    *out = p;
    return 0;
}

int veld_peer_table_prove(struct veld_peer_table *t, struct veld_engine_peer *p)
{
    if (p->key == VELD_KEY_UNPROVED) {
        bool usable = veld_ed25519_public_to_x25519(p->x_pub, p->pub) == 0;
        p->key = usable ? VELD_KEY_USABLE : VELD_KEY_UNUSABLE;
        if (usable) {
            uint32_t *bucket = bucket_of(t, t->by_x, p->x_pub);
            p->next_by_x = *bucket;
            *bucket = p->id + 1;
        }
    }
    return p->key == VELD_KEY_USABLE ? 0 : VELD_E_KEY;
}

void veld_peer_table_remove(struct veld_peer_table *t, struct veld_engine_peer *p)
{
    uint32_t *link = bucket_of_pub(t, p->pub);
    while (*link != p->id + 1)
        link = &t->peer[*link - 1]->next_by_pub;
    *link = p->next_by_pub;
    if (p->key == VELD_KEY_USABLE) {
        link = bucket_of(t, t->by_x, p->x_pub);
        while (*link != p->id + 1)
            link = &t->peer[*link - 1]->next_by_x;
        *link = p->next_by_x;
    }
    t->peer[p->id] = NULL;
    t->free_ids[t->free_n++] = p->id;
    peer_free(p);
}

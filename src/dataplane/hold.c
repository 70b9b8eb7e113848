#include "dataplane/hold.h"

#include <stdlib.h>

#define ANCHOR VELD_HOLD_PACKETS

int veld_hold_init(struct veld_hold *h, size_t packet_max)
{
    *h = (struct veld_hold){.packet_max = packet_max};
    h->memory = malloc(VELD_HOLD_PACKETS * packet_max);
    if (!h->memory)
        return VELD_E_NOMEM;
    for (unsigned i = 0; i < VELD_HOLD_PACKETS; i++) {
        h->slots[i].packet = h->memory + i * packet_max;
        h->free_slots[i] = (uint8_t)(VELD_HOLD_PACKETS - 1 - i); /* low ones first */
    }
    h->slots[ANCHOR].older = h->slots[ANCHOR].newer = ANCHOR;
    return 0;
}

void veld_hold_free(struct veld_hold *h)
{
    free(h->memory);
    h->memory = NULL;
}

static uint16_t *bucket(struct veld_hold *h, struct veld_peer_ref peer)
{
    return &h->of_bucket[peer.id % 256];
}

static void release(struct veld_hold *h, uint16_t i)
{
    struct veld_held *s = &h->slots[i];
    h->slots[s->older].newer = s->newer;
    h->slots[s->newer].older = s->older;
    --*bucket(h, s->peer);
    h->count--;
    h->free_slots[VELD_HOLD_PACKETS - 1 - h->count] = (uint8_t)i;
}

/* The peer's oldest packet, when it has its full share; else ANCHOR. */
static uint16_t oldest_of_full_share(const struct veld_hold *h, struct veld_peer_ref peer)
{
    if (h->of_bucket[peer.id % 256] < VELD_HOLD_PER_PEER)
        return ANCHOR;
    unsigned n = 0;
    uint16_t oldest = ANCHOR;
    for (uint16_t i = h->slots[ANCHOR].older; i != ANCHOR; i = h->slots[i].older) {
        if (!veld_peer_ref_equal(h->slots[i].peer, peer))
            continue;
        oldest = i;
        n++;
    }
    return n >= VELD_HOLD_PER_PEER ? oldest : ANCHOR;
}

struct veld_held *veld_hold_add(struct veld_hold *h, struct veld_peer_ref peer,
                                uint32_t drop_mark, size_t len, uint64_t now_ns,
                                unsigned *pushed_out)
{
    *pushed_out = 0;
    if (len > h->packet_max)
        return NULL;
    uint16_t leaves = oldest_of_full_share(h, peer);
    if (leaves == ANCHOR && h->count == VELD_HOLD_PACKETS)
        leaves = h->slots[ANCHOR].newer; /* the oldest of all */
    if (leaves != ANCHOR) {
        release(h, leaves);
        *pushed_out = 1;
    }
    uint16_t i = h->free_slots[VELD_HOLD_PACKETS - 1 - h->count];
    uint16_t newest = h->slots[ANCHOR].older;
    struct veld_held *s = &h->slots[i];
    *s = (struct veld_held){.peer = peer,
                            .drop_mark = drop_mark,
                            .len = (uint16_t)len,
                            .since_ns = now_ns,
                            .packet = s->packet,
                            .older = newest,
                            .newer = ANCHOR};
    h->slots[newest].newer = i;
    h->slots[ANCHOR].older = i;
    ++*bucket(h, peer);
    h->count++;
    return s;
}

bool veld_hold_may_have(const struct veld_hold *h, struct veld_peer_ref peer)
{
    return h->count && h->of_bucket[peer.id % 256];
}

unsigned veld_hold_expire(struct veld_hold *h, uint64_t now_ns)
{
    unsigned n = 0;
    while (h->count) {
        uint16_t oldest = h->slots[ANCHOR].newer;
        if (now_ns < h->slots[oldest].since_ns + VELD_HOLD_TIMEOUT_NS)
            break;
        release(h, oldest);
        n++;
    }
    return n;
}

void veld_hold_walk(struct veld_hold *h,
                    enum veld_hold_verdict (*fn)(void *ctx, const struct veld_held *),
                    void *ctx)
{
    uint16_t i = h->slots[ANCHOR].newer;
    while (i != ANCHOR) {
        uint16_t newer = h->slots[i].newer;
        if (fn(ctx, &h->slots[i]) == VELD_HOLD_RELEASE)
            release(h, i);
        i = newer;
    }
}

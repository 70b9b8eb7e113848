#include "dataplane/peer.h"

#include <assert.h>
#include <stdlib.h>

int veld_peers_init(struct veld_peers *p)
{
    p->slots = calloc(VELD_PEERS_MAX, sizeof *p->slots);
    p->last_generation = 0;
    return p->slots ? 0 : VELD_E_NOMEM;
}

static void peer_free(struct veld_peer *peer)
{
    free(atomic_load_explicit(&peer->path, memory_order_relaxed));
    free(peer->activity);
    free(peer);
}

void veld_peers_free(struct veld_peers *p)
{
    for (uint32_t id = 0; p->slots && id < VELD_PEERS_MAX; id++) {
        struct veld_peer *peer = veld_peers_get(p, id);
        if (peer)
            peer_free(peer);
    }
    free(p->slots);
    p->slots = NULL;
}

int veld_peers_add(struct veld_peers *p, uint32_t id)
{
    if (id >= VELD_PEERS_MAX)
        return VELD_E_RANGE;
    if (veld_peers_get(p, id))
        return VELD_E_EXIST;
    struct veld_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return VELD_E_NOMEM;
    if (++p->last_generation == 0)
        p->last_generation = 1;
    peer->ref = (struct veld_peer_ref){.id = id, .generation = p->last_generation};
    /* Release pairs with the acquire in get: the peer is whole. */
    atomic_store_explicit(&p->slots[id], peer, memory_order_release);
    return 0;
}

static void reclaim(struct veld_rcu *rcu)
{
    peer_free(VELD_CONTAINER_OF(rcu, struct veld_peer, rcu));
}

void veld_peers_remove(struct veld_peers *p, struct veld_peer *peer)
{
    assert(!peer->sessions);
    atomic_store_explicit(&p->slots[peer->ref.id], NULL, memory_order_release);
    veld_rcu_retire(&peer->rcu, reclaim);
}

struct veld_peer *veld_peers_get(const struct veld_peers *p, uint32_t id)
{
    if (id >= VELD_PEERS_MAX)
        return NULL;
    return atomic_load_explicit(&p->slots[id], memory_order_acquire);
}

struct veld_peer *veld_peers_find(const struct veld_peers *p, struct veld_peer_ref ref)
{
    struct veld_peer *peer = ref.generation ? veld_peers_get(p, ref.id) : NULL;
    return peer && peer->ref.generation == ref.generation ? peer : NULL;
}

static void reclaim_path(struct veld_rcu *rcu)
{
    free(VELD_CONTAINER_OF(rcu, struct veld_path, rcu));
}

void veld_peer_set_path(struct veld_peer *peer, struct veld_path *path)
{
    struct veld_path *old = atomic_load_explicit(&peer->path, memory_order_relaxed);
    atomic_store_explicit(&peer->path, path, memory_order_release);
    if (old)
        veld_rcu_retire(&old->rcu, reclaim_path);
}

static uint64_t later(uint64_t a, const veld_counter *b)
{
    return VELD_MAX(a, veld_counter_get(b));
}

void veld_activity_sum(const struct veld_activity_line *lines, unsigned threads,
                       struct veld_activity *out)
{
    *out = (struct veld_activity){0};
    for (const struct veld_activity_line *l = lines; l && l < lines + threads; l++) {
        out->last_sent_ns = later(out->last_sent_ns, &l->last_sent_ns);
        out->last_sent_data_ns = later(out->last_sent_data_ns, &l->last_sent_data_ns);
        out->last_received_ns = later(out->last_received_ns, &l->last_received_ns);
        out->last_received_data_ns =
            later(out->last_received_data_ns, &l->last_received_data_ns);
        out->sent_bytes += veld_counter_get(&l->sent_bytes);
        out->received_bytes += veld_counter_get(&l->received_bytes);
        out->sent_packets += veld_counter_get(&l->sent_packets);
        out->received_packets += veld_counter_get(&l->received_packets);
    }
}

#include "dataplane/session.h"

#include "crypto/primitives.h"

#include <assert.h>
#include <stdlib.h>

static int derive(uint8_t key[32], const uint8_t direction_key[32], uint8_t lane)
{
    uint8_t info[] = "veld lane?";
    info[sizeof info - 2] = lane;
    return veld_hkdf_expand(key, 32, direction_key, info, sizeof info - 1);
}

struct veld_session *veld_session_new(const struct veld_session_params *p,
                                      struct veld_peer *peer)
{
    size_t size = sizeof(struct veld_session) + p->lanes * sizeof(struct veld_lane);
    struct veld_session *s = aligned_alloc(VELD_CACHE_LINE, size);
    if (!s)
        return NULL;
    memset(s, 0, size);
    s->peer = peer;
    s->local_index = p->local_index;
    s->remote_index = p->remote_index;
    s->reject_at_ns = p->reject_at_ns;
    for (s->n_lanes = 0; s->n_lanes < p->lanes; s->n_lanes++) {
        struct veld_lane *lane = &s->lanes[s->n_lanes];
        if (derive(lane->send_key, p->send_key, s->n_lanes) < 0 ||
            derive(lane->recv_key, p->recv_key, s->n_lanes) < 0 ||
            pthread_spin_init(&lane->lock, PTHREAD_PROCESS_PRIVATE) != 0) {
            veld_wipe(lane, sizeof *lane);
            veld_session_free(s);
            return NULL;
        }
    }
    return s;
}

void veld_session_free(struct veld_session *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->n_lanes; i++)
        pthread_spin_destroy(&s->lanes[i].lock);
    veld_wipe(s, sizeof *s + s->n_lanes * sizeof s->lanes[0]);
    free(s);
}

static void reclaim(struct veld_rcu *rcu)
{
    veld_session_free(VELD_CONTAINER_OF(rcu, struct veld_session, rcu));
}

void veld_session_retire(struct veld_session *s)
{
    veld_rcu_retire(&s->rcu, reclaim);
}

bool veld_session_reserve(struct veld_lane *lane, unsigned n, uint64_t *first)
{
    assert(n >= 1 && n <= VELD_RESERVE_MAX);
    /*
     * Relaxed: the counter guards no other data. Threads that pass this check
     * together overshoot the limit by less than the 2^16 left above it, so the
     * counter cannot come round to used values.
     */
    if (atomic_load_explicit(&lane->next, memory_order_relaxed) > VELD_COUNTER_LIMIT - n)
        return false;
    *first = atomic_fetch_add_explicit(&lane->next, n, memory_order_relaxed);
    return *first <= VELD_COUNTER_LIMIT - n;
}

#include "dataplane/circuit.h"

#include <stdlib.h>

static void entry_free(struct veld_circuit_entry *e)
{
    if (!e)
        return;
    free(e->lines);
    free(e);
}

static void reclaim(struct veld_rcu *rcu)
{
    entry_free(VELD_CONTAINER_OF(rcu, struct veld_circuit_entry, rcu));
}

int veld_circuits_init(struct veld_circuits *c)
{
    c->n = 0;
    c->slots = calloc(VELD_CIRCUITS_MAX, sizeof *c->slots);
    c->rate = aligned_alloc(VELD_CACHE_LINE, sizeof *c->rate);
    if (c->rate)
        memset(c->rate, 0, sizeof *c->rate);
    return c->slots && c->rate ? 0 : VELD_E_NOMEM;
}

void veld_circuits_free(struct veld_circuits *c)
{
    for (uint32_t i = 0; c->slots && i < VELD_CIRCUITS_MAX; i++)
        entry_free(atomic_load_explicit(&c->slots[i], memory_order_relaxed));
    free(c->slots);
    free(c->rate);
    c->slots = NULL;
    c->rate = NULL;
}

static struct veld_circuit_entry *entry_new(const struct veld_circuit_spec *s)
{
    struct veld_circuit_entry *e = aligned_alloc(VELD_CACHE_LINE, sizeof *e);
    if (!e)
        return NULL;
    memset(e, 0, sizeof *e);
    size_t size = s->n_lines * sizeof *e->lines;
    if (size) {
        e->lines = aligned_alloc(VELD_CACHE_LINE, size);
        if (!e->lines) {
            free(e);
            return NULL;
        }
        memset(e->lines, 0, size);
    }
    e->number = s->number;
    e->kind = s->kind;
    e->from = s->from;
    e->to = s->to;
    e->n_lines = s->n_lines;
    return e;
}

static void change(struct veld_circuit_entry *e, const struct veld_circuit_spec *s)
{
    atomic_store_explicit(&e->remote_index, s->remote_index, memory_order_relaxed);
    veld_rate_set(&e->rate, s->bytes_per_s);
}

static bool is_same(const struct veld_circuit_entry *e, const struct veld_circuit_spec *s)
{
    return e->kind == s->kind && veld_peer_ref_equal(e->from, s->from) &&
           veld_peer_ref_equal(e->to, s->to);
}

int veld_circuits_set(struct veld_circuits *c, const struct veld_circuit_spec *s)
{
    if (s->number == 0)
        return VELD_E_RANGE;
    _Atomic(struct veld_circuit_entry *) *slot = &c->slots[s->number % VELD_CIRCUITS_MAX];
    struct veld_circuit_entry *old = atomic_load_explicit(slot, memory_order_relaxed);
    if (old && old->number != s->number)
        return VELD_E_EXIST;
    if (old && is_same(old, s)) {
        change(old, s);
        return 0;
    }
    struct veld_circuit_entry *e = entry_new(s);
    if (!e)
        return VELD_E_NOMEM;
    change(e, s);
    atomic_store_explicit(slot, e, memory_order_release);
    if (old)
        veld_rcu_retire(&old->rcu, reclaim);
    else
        c->n++;
    return 0;
}

static void remove_entry(struct veld_circuits *c, struct veld_circuit_entry *e)
{
    atomic_store_explicit(&c->slots[e->number % VELD_CIRCUITS_MAX], NULL, memory_order_release);
    veld_rcu_retire(&e->rcu, reclaim);
    c->n--;
}

void veld_circuits_remove(struct veld_circuits *c, enum veld_circuit_kind kind, uint32_t number)
{
    struct veld_circuit_entry *e = veld_circuits_find(c, number);
    if (e && e->kind == kind)
        remove_entry(c, e);
}

void veld_circuits_forget_peer(struct veld_circuits *c, struct veld_peer_ref peer)
{
    for (uint32_t i = 0; c->n > 0 && i < VELD_CIRCUITS_MAX; i++) {
        struct veld_circuit_entry *e = atomic_load_explicit(&c->slots[i], memory_order_relaxed);
        if (e && (veld_peer_ref_equal(e->from, peer) || veld_peer_ref_equal(e->to, peer)))
            remove_entry(c, e);
    }
}

bool veld_circuit_resolve(const struct veld_circuits *c, const struct veld_peers *peers,
                          uint32_t number, struct veld_circuit_way *out)
{
    const struct veld_circuit_entry *e = veld_circuits_find(c, number);
    const struct veld_peer *relay =
        e && e->kind == VELD_CIRCUIT ? veld_peers_find(peers, e->to) : NULL;
    const struct veld_path *path = relay ? veld_peer_path(relay) : NULL;
    if (!path || veld_endpoint_is_circuit(&path->endpoint))
        return false;
    out->relay = path;
    out->remote_index = atomic_load_explicit(&e->remote_index, memory_order_relaxed);
    return true;
}

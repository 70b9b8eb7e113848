/*
 * Counters of one thread: a worker's, or the control thread's own.
 *
 * Invariant: every counter has a single writer, the thread the struct belongs
 * to; anyone may read. So counting is a load and a store, no locked
 * instruction, and a reader sees each counter whole but not all of one instant.
 */
#ifndef VELD_DATAPLANE_STATS_H
#define VELD_DATAPLANE_STATS_H

#include "base/bytes.h"
#include "dataplane/dataplane.h"

#include <assert.h>
#include <stdatomic.h>

typedef _Atomic uint64_t veld_counter;

struct veld_counters {
    _Alignas(VELD_CACHE_LINE) veld_counter drops[VELD_DROP_COUNT];
    veld_counter datagrams_received, datagrams_sent;
    veld_counter datagrams_forwarded, bytes_forwarded; /* relayed for others */
    veld_counter packets_from_tun, packets_to_tun;
    veld_counter super_packets_from_tun, super_packets_to_tun;
};
static_assert(sizeof(struct veld_counters) % VELD_CACHE_LINE == 0, "nothing else on its lines");

/* The writer's two ways to change a counter; relaxed, since nothing else is read by it. */
static inline void veld_counter_add(veld_counter *c, uint64_t n)
{
    uint64_t now = atomic_load_explicit(c, memory_order_relaxed);
    atomic_store_explicit(c, now + n, memory_order_relaxed);
}

static inline void veld_counter_set(veld_counter *c, uint64_t value)
{
    atomic_store_explicit(c, value, memory_order_relaxed);
}

static inline uint64_t veld_counter_get(const veld_counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void veld_drop_count(struct veld_counters *c, enum veld_drop reason, uint64_t n)
{
    veld_counter_add(&c->drops[reason], n);
}

/* Add what `c` holds to `sum`. Any thread. */
void veld_counters_sum(const struct veld_counters *c, struct veld_dataplane_stats *sum);

#endif

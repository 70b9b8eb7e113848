/*
 * A rate in bytes a second that all workers draw on: a token bucket kept as the
 * time up to which it is paid for, in one atomic that is changed once a run.
 *
 * Invariant: over any time t, at most rate * (t + burst) bytes are taken; the
 * burst is VELD_RATE_BURST_NS, and two whole runs where that is less.
 *
 * The burst is longer than the least time in which TCP sends again what no later segment shows to be
 * lost (200 ms): on short paths its window is a few segments, and what is not sent meanwhile would be
 * lost to it. With 50 ms TCP came to a quarter of the rate.
 *
 * Order of calls: set (control thread), take (any thread).
 */
#ifndef VELD_DATAPLANE_RATE_H
#define VELD_DATAPLANE_RATE_H

#include "base/bytes.h"
#include "base/clock.h"

#include <stdatomic.h>

#define VELD_RATE_BURST_NS (250 * VELD_NS_PER_MS)

/* Zeroed: no bound. On a line of its own: workers write it. */
struct veld_rate {
    _Alignas(VELD_CACHE_LINE) _Atomic uint64_t paid_until_ns;
    _Atomic uint64_t bytes_per_s; /* 0: no bound */
};

static inline void veld_rate_set(struct veld_rate *r, uint64_t bytes_per_s)
{
    atomic_store_explicit(&r->bytes_per_s, bytes_per_s, memory_order_relaxed);
}

/* Of `n` datagrams of `each` bytes (1..65535), how many may pass now; they are paid for. */
unsigned veld_rate_take(struct veld_rate *r, unsigned n, uint32_t each, uint64_t now_ns);

#endif

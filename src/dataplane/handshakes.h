/*
 * What control tells the workers, so that they can judge handshake datagrams
 * (gate.h): by what macs are checked, and the answers that are waited for.
 *
 * Answers are known by the index of the initiation they answer, kept by its low
 * 17 bits as sessions are (index.h). It stays when the wait is over, until the
 * next one of its slot: whoever guesses an old one reaches control, which knows
 * better.
 *
 * Invariant: control is the only writer; workers read through RCU.
 */
#ifndef VELD_DATAPLANE_HANDSHAKES_H
#define VELD_DATAPLANE_HANDSHAKES_H

#include "crypto/cookie.h"
#include "dataplane/dataplane.h"
#include "dataplane/rcu.h"

#include <stdatomic.h>

/* Immutable once published. Secret: wiped when no worker can see it any more. */
struct veld_cookies {
    struct veld_rcu rcu;
    struct veld_cookie_checker checker;
};

struct veld_handshakes {
    _Atomic(struct veld_cookies *) cookies; /* NULL: control has not said; nothing is checked */
    _Atomic uint32_t *awaited;              /* VELD_SESSIONS_MAX, lazily touched */
};

VELD_MUST_USE int veld_handshakes_init(struct veld_handshakes *h);
void veld_handshakes_free(struct veld_handshakes *h); /* no worker runs */

/* Check by a copy of `c` from now on. VELD_E_NOMEM. */
VELD_MUST_USE int veld_handshakes_set_cookies(struct veld_handshakes *h,
                                              const struct veld_cookie_checker *c);

/* Relaxed: the answer comes by way of the network, after this. */
static inline void veld_handshakes_await(struct veld_handshakes *h, uint32_t index)
{
    atomic_store_explicit(&h->awaited[index % VELD_SESSIONS_MAX], index, memory_order_relaxed);
}

/* 0 is nobody's index (engine/index.h), and what an unused slot holds. */
static inline bool veld_handshakes_awaits(const struct veld_handshakes *h, uint32_t index)
{
    return index != 0 && atomic_load_explicit(&h->awaited[index % VELD_SESSIONS_MAX],
                                              memory_order_relaxed) == index;
}

static inline const struct veld_cookies *
veld_handshakes_cookies(const struct veld_handshakes *h)
{
    /* Acquire pairs with the release in set_cookies: the checker is whole. */
    return atomic_load_explicit(&h->cookies, memory_order_acquire);
}

#endif

/*
 * A session: keys, counters and replay windows of up to 64 lanes each way.
 *
 * Invariants:
 *  - a (key, counter) pair seals at most one datagram: counters come only from
 *    veld_session_reserve, whatever the number of threads, and end for good at
 *    VELD_COUNTER_LIMIT;
 *  - a lane's replay window moves only for datagrams whose tag was right
 *    (replay.h), under the lane's lock;
 *  - what a sender writes and what a receiver writes lie on cache lines of
 *    their own, lane by lane, so workers on different lanes share none.
 *
 * Life: made, published, unpublished and retired by the control thread; workers
 * use it through RCU. Its keys are wiped when it is freed.
 */
#ifndef VELD_DATAPLANE_SESSION_H
#define VELD_DATAPLANE_SESSION_H

#include "base/bytes.h"
#include "crypto/replay.h"
#include "dataplane/dataplane.h"
#include "dataplane/rcu.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

/* From this send counter on the control thread is told that a rekey is due. */
#define VELD_REKEY_AFTER_DATAGRAMS (1ull << 60)
/* Most counters one call may reserve: 64 workers past the check still stay below 2^64. */
#define VELD_RESERVE_MAX 512

struct veld_lane {
    /* Senders. `next` is reserved from by any thread, mostly the lane's own worker. */
    _Alignas(VELD_CACHE_LINE) _Atomic uint64_t next;
    uint8_t send_key[32];
    /* Receivers: window under `lock`. */
    _Alignas(VELD_CACHE_LINE) pthread_spinlock_t lock;
    uint8_t recv_key[32];
    struct veld_replay window;
};

struct veld_peer;

struct veld_session {
    struct veld_rcu rcu;
    struct veld_peer *peer; /* outlives the session: both wait for the same readers */
    struct veld_session *next_of_peer; /* control's list */
    uint32_t local_index, remote_index;
    uint64_t reject_at_ns;
    /* Told once: whoever tells sets it. */
    atomic_bool confirmed, rekey_told;
    uint8_t n_lanes;
    struct veld_lane lanes[];
};

/* The header is read by all workers and written once; each half of a lane has lines of its own. */
static_assert(offsetof(struct veld_session, lanes) % VELD_CACHE_LINE == 0 &&
                  offsetof(struct veld_lane, lock) % VELD_CACHE_LINE == 0 &&
                  offsetof(struct veld_lane, lock) > offsetof(struct veld_lane, send_key) &&
                  sizeof(struct veld_lane) % VELD_CACHE_LINE == 0,
              "workers on different lanes share no line");

/*
 * Derives the lane keys: HKDF-SHA256-Expand(direction key, "veld lane" | lane
 * number). NULL when out of memory. Free with veld_session_free before it was
 * published, with veld_session_retire after it was unpublished.
 */
struct veld_session *veld_session_new(const struct veld_session_params *p,
                                      struct veld_peer *peer);
void veld_session_free(struct veld_session *s); /* wipes; NULL is allowed */
void veld_session_retire(struct veld_session *s);

static inline bool veld_session_expired(const struct veld_session *s, uint64_t now_ns)
{
    return now_ns >= s->reject_at_ns;
}

/*
 * Take `n` (1..VELD_RESERVE_MAX) consecutive send counters. False, for good,
 * when the lane has none left. Any thread.
 */
VELD_MUST_USE bool veld_session_reserve(struct veld_lane *lane, unsigned n, uint64_t *first);

#endif

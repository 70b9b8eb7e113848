/*
 * Packets that wait until a session with their peer exists: a fixed pool of one
 * worker, in order of age.
 *
 * Invariants: at most VELD_HOLD_PER_PEER of one peer, at most the pool's size of
 * all, none older than VELD_HOLD_TIMEOUT_NS after expire; the oldest leave
 * first, of the peer when it has its share, else of all.
 *
 * A packet is whole, at most `packet_max` bytes. It remembers its peer by
 * veld_peer_ref, since it outlives the turn.
 *
 * The worker that owns it.
 */
#ifndef VELD_DATAPLANE_HOLD_H
#define VELD_DATAPLANE_HOLD_H

#include "base/clock.h"
#include "base/err.h"
#include "dataplane/routes.h"

#include <stddef.h>

#define VELD_HOLD_PER_PEER   64
#define VELD_HOLD_PACKETS    256
#define VELD_HOLD_TIMEOUT_NS (15 * VELD_NS_PER_S)

struct veld_held {
    struct veld_peer_ref peer;
    uint32_t drop_mark; /* peer's `drop_held` when it came */
    uint8_t flags;      /* VELD_FLAG_* */
    uint16_t len;
    uint64_t since_ns;
    uint8_t *packet;
    uint16_t older, newer; /* the pool's own */
};

struct veld_hold {
    uint8_t *memory;
    size_t packet_max;
    unsigned count;
    uint8_t free_slots[VELD_HOLD_PACKETS]; /* a stack */
    uint16_t of_bucket[256]; /* waiting packets by the low byte of the peer's id */
    struct veld_held slots[VELD_HOLD_PACKETS + 1]; /* the last one is the ring's anchor */
};

VELD_MUST_USE int veld_hold_init(struct veld_hold *h, size_t packet_max);
void veld_hold_free(struct veld_hold *h);

/*
 * Room for a packet of `len` bytes: the caller writes them to `packet` and sets
 * `flags`. `pushed_out` receives how many older packets had to leave. NULL when
 * it is longer than packet_max.
 */
VELD_MUST_USE struct veld_held *veld_hold_add(struct veld_hold *h, struct veld_peer_ref peer,
                                              uint32_t drop_mark, size_t len, uint64_t now_ns,
                                              unsigned *pushed_out);
/* False when surely nothing waits for `peer`. Constant time. */
bool veld_hold_may_have(const struct veld_hold *h, struct veld_peer_ref peer);
/* Drop what waited too long; returns how many. */
unsigned veld_hold_expire(struct veld_hold *h, uint64_t now_ns);

enum veld_hold_verdict { VELD_HOLD_KEEP, VELD_HOLD_RELEASE };
/* Show every packet to `fn`, oldest first; what it releases is gone when it returns. */
void veld_hold_walk(struct veld_hold *h,
                    enum veld_hold_verdict (*fn)(void *ctx, const struct veld_held *),
                    void *ctx);

#endif

/*
 * Members hand the signed list of revoked keys on to each other, in their
 * sessions and without a server: each tells the epoch of its list when a session is
 * used, and whoever has an older one asks for the bytes, a part at a time
 * (docs/PROTOCOL.md, Revoked keys). What came is handed over as bytes: nothing here
 * believes them.
 *
 * Invariants:
 *  - at most one list is fetched at a time, of one peer, with one question
 *    outstanding; it is no longer than VELD_REVOCATIONS_MAX, and memory is taken as
 *    it comes, not as it is promised;
 *  - each message that comes is answered by at most one, and each peer is given at most
 *    VELD_SPREAD_PARTS_PER_S a second;
 *  - a peer that is slow, silent or lying keeps the list of no other away: each has
 *    a slice of time, doubled each time it was not enough, and of those that offer a
 *    list the next has its turn when the slice is over. Who gave a bad list is not asked
 *    again for VELD_SPREAD_BARRED_S.
 *
 * Order of calls: new, set, then on_use, on_message, gone and tick as things
 * happen; after `got` either set or refuse. Times are monotonic and > 0.
 * Pure. Control thread.
 */
#ifndef VELD_CONTROL_MESH_SPREAD_H
#define VELD_CONTROL_MESH_SPREAD_H

#include "base/err.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_SPREAD_SOURCES_MAX 16   /* peers that offer a newer list, remembered */
#define VELD_SPREAD_WAIT_MS     1000 /* for an answer; then the question is asked again */
#define VELD_SPREAD_TRIES       5
#define VELD_SPREAD_SLICE_S     2 /* the first of a peer */
#define VELD_SPREAD_SLICE_MAX_S 256
#define VELD_SPREAD_PARTS_PER_S 50
#define VELD_SPREAD_BURST       20
#define VELD_SPREAD_BARRED_S    600

struct veld_spread;

/* What to do after a call. Both may be wanted. */
struct veld_spread_act {
    bool send; /* `message` to `to`; should that fail, it counts as lost on the way */
    uint32_t to;
    struct veld_message message; /* its part is of the list that was set */
    /* A whole list, offered as `epoch` by `from`: verify it, then set or refuse. */
    bool got;
    uint32_t from;
    uint64_t epoch;
    const uint8_t *list; /* borrowed until the next call */
    size_t len;
};

/* For peers of ids below `max_peers`; room is touched as it is used. NULL when out of memory. */
struct veld_spread *veld_spread_new(uint32_t max_peers);
void veld_spread_free(struct veld_spread *s); /* NULL is allowed */

/*
 * The list this machine has, as it is handed on; borrowed until the next set.
 * Epoch 0: none. Then tell it to whoever has a session (veld_spread_told).
 */
void veld_spread_set(struct veld_spread *s, uint64_t epoch, const uint8_t *list, size_t len);
/* What to tell of it. False when there is none. */
bool veld_spread_told(const struct veld_spread *s, struct veld_message *m);

/* A session with `peer` is in use. */
void veld_spread_on_use(struct veld_spread *s, uint32_t peer, struct veld_spread_act *act);
/* A VELD_MSG_REVOKED_* of `peer`. */
void veld_spread_on_message(struct veld_spread *s, uint32_t peer, const struct veld_message *m,
                            uint64_t now_ns, struct veld_spread_act *act);
/* What `peer` gave was no list, or not newer. */
void veld_spread_refuse(struct veld_spread *s, uint32_t peer, uint64_t now_ns);
/* It is removed or blocked: its id may be another's. */
void veld_spread_gone(struct veld_spread *s, uint32_t peer);

/* When tick is wanted; UINT64_MAX: not at present. */
uint64_t veld_spread_deadline(const struct veld_spread *s);
void veld_spread_tick(struct veld_spread *s, uint64_t now_ns, struct veld_spread_act *act);

#endif

/*
 * The way in for all that comes from the server, from peers and from the cache:
 * bytes go in on any thread, are verified one after the other on a thread of the
 * intake's own, and come out on the control thread in the order they went in, but
 * for lists of revocations, which go before all else.
 *
 * Invariants:
 *  - what comes out was verified against all revocations that went in before it;
 *  - at most VELD_INTAKE_BYTES wait to be verified and VELD_INTAKE_EVENTS to be
 *    taken; whoever brings more waits, which is how a server that has much to say
 *    is slowed down to what this machine verifies;
 *  - VELD_INTAKE_LISTS lists of revocations have room beside that: a server that
 *    fills what there is neither stops nor delays those that members hand on;
 *  - signatures are checked nowhere on the control thread.
 *
 * Order of calls: open, push*, stop (no push waits any more, and nothing comes out),
 * close (no push may follow). Control thread, but for push.
 */
#ifndef VELD_CONTROL_MESH_INTAKE_H
#define VELD_CONTROL_MESH_INTAKE_H

#include "control/mesh/event.h"

#define VELD_INTAKE_BYTES  (4u << 20)
#define VELD_INTAKE_EVENTS 2
#define VELD_INTAKE_LISTS  4

enum veld_intake_kind {
    VELD_INTAKE_CACHED,      /* bytes: a WatchEvent of the cache */
    VELD_INTAKE_EVENT,       /* bytes: a WatchEvent */
    VELD_INTAKE_REVOCATIONS, /* bytes: a RevocationList */
    VELD_INTAKE_PLAIN,       /* bytes that are not looked at: they only keep their place */
};

struct veld_intake_item {
    enum veld_intake_kind kind;
    uint64_t tag;         /* the caller's */
    int err;              /* PLAIN: comes out as it went in */
    const uint8_t *bytes; /* borrowed for the call */
    size_t len;
};

/* What comes out. */
struct veld_intake_result {
    enum veld_intake_kind kind;
    uint64_t tag;
    int err; /* VELD_E_FORMAT when it was no event, or as of veld_revocations_read */
    struct veld_watch_event event; /* of REVOCATIONS only the list */
    struct veld_blob plain; /* PLAIN; never NULL, with a NUL behind that does not count */
};
/* On the control thread. What `result` holds is taken out of it, or freed after the call. */
typedef void veld_intake_fn(void *ctx, struct veld_intake_result *result);

struct veld_intake;
struct veld_intake_config {
    const struct veld_network *network; /* outlives the intake */
    struct veld_blob revocations;       /* the list known already; empty: none. Copied */
    uint64_t (*now_s)(void);            /* by which memberships are judged; any thread */
    veld_intake_fn *done;
    void *ctx;
};
VELD_MUST_USE int veld_intake_open(struct veld_intake **out,
                                   const struct veld_intake_config *cfg);
/* Waits for room. Any thread but the control thread. VELD_E_STATE once it is stopped, VELD_E_NOMEM. */
VELD_MUST_USE int veld_intake_push(struct veld_intake *in, const struct veld_intake_item *item);
/* The same without waiting: VELD_E_FULL. Any thread. */
VELD_MUST_USE int veld_intake_try(struct veld_intake *in, const struct veld_intake_item *item);
void veld_intake_stop(struct veld_intake *in);
void veld_intake_close(struct veld_intake *in); /* NULL is allowed */

#endif

/*
 * What the two directions of one worker share, and the tables all workers read.
 *
 * Each worker has a context of its own; the control thread has none.
 */
#ifndef VELD_DATAPLANE_CONTEXT_H
#define VELD_DATAPLANE_CONTEXT_H

#include "crypto/aead.h"
#include "dataplane/circuit.h"
#include "dataplane/event_queue.h"
#include "dataplane/handshakes.h"
#include "dataplane/index.h"
#include "dataplane/io.h"
#include "dataplane/own.h"
#include "dataplane/peer.h"
#include "dataplane/routes.h"

/* Written by the control thread, read by workers through RCU. */
struct veld_tables {
    struct veld_peers peers;
    struct veld_index index;
    struct veld_circuits circuits;
    _Atomic(struct veld_routes *) routes; /* never NULL */
    struct veld_own own;
    struct veld_handshakes handshakes;
};

static inline const struct veld_routes *veld_tables_routes(const struct veld_tables *t)
{
    return atomic_load_explicit(&t->routes, memory_order_acquire);
}

/* All borrowed; they outlive the worker. */
struct veld_context {
    const struct veld_tables *tables;
    struct veld_counters *stats;
    struct veld_event_queue *events;     /* what authenticated peers caused */
    struct veld_event_queue *handshakes; /* what anybody may send: a queue of its own */
    struct veld_io *io;
    const struct veld_aead_backend *aead;
    struct veld_aead_ctx *aead_ctx;
    unsigned thread; /* the worker's number: its line of activity, and its lane modulo lanes */
    uint64_t now_ns; /* read once a turn */
};

#endif

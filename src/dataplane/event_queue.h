/*
 * Events of one worker on their way to the control thread: a bounded ring of
 * values, one writer, one reader, no locks. A worker has two, so that handshake
 * datagrams, which strangers can send, never take the room or the turn of what
 * only authenticated peers cause.
 *
 * Invariants:
 *  - no message, of which one peer can send any number, enters the last quarter;
 *  - initiations whose senders proved no address, and STUN, occupy at most half;
 *  - the descriptor is signalled at least once between the moment the ring
 *    stops being empty and the moment its reader could sleep on it. Several
 *    queues may share one descriptor.
 *
 * Threads: push by the worker; pop and the rest by the control thread.
 */
#ifndef VELD_DATAPLANE_EVENT_QUEUE_H
#define VELD_DATAPLANE_EVENT_QUEUE_H

#include "base/bytes.h"
#include "dataplane/dataplane.h"

#include <stdatomic.h>

#define VELD_EVENT_QUEUE_SIZE     1024 /* events; a power of two */
#define VELD_HANDSHAKE_QUEUE_SIZE 512

struct veld_event_queue {
    struct veld_dataplane_event *ring;
    uint32_t size; /* a power of two */
    int fd;        /* borrowed eventfd */
    /* Written by the worker, read by control to find what was pushed. */
    _Alignas(VELD_CACHE_LINE) _Atomic uint32_t tail;
    /* Written by control, read by the worker to find room. */
    _Alignas(VELD_CACHE_LINE) _Atomic uint32_t head;
};

VELD_MUST_USE int veld_event_queue_init(struct veld_event_queue *q, uint32_t size, int fd);
void veld_event_queue_free(struct veld_event_queue *q);

/* Copies `ev`. False when there is no room for its type: nothing was pushed. */
VELD_MUST_USE bool veld_event_queue_push(struct veld_event_queue *q,
                                         const struct veld_dataplane_event *ev);
bool veld_event_queue_pop(struct veld_event_queue *q, struct veld_dataplane_event *out);
/* More than 1/8 of it is in use. Either side. */
bool veld_event_queue_loaded(const struct veld_event_queue *q);

#endif

#include "dataplane/event_queue.h"

#include <stdlib.h>
#include <sys/eventfd.h>

int veld_event_queue_init(struct veld_event_queue *q, uint32_t size, int fd)
{
    q->ring = calloc(size, sizeof *q->ring);
    q->size = size;
    q->fd = fd;
    atomic_init(&q->tail, 0);
    atomic_init(&q->head, 0);
    return q->ring ? 0 : VELD_E_NOMEM;
}

void veld_event_queue_free(struct veld_event_queue *q)
{
    free(q->ring);
    q->ring = NULL;
}

/* Copy what is used of an event: most carry no payload, and some tell of more than they hold. */
static void copy(struct veld_dataplane_event *to, const struct veld_dataplane_event *from)
{
    size_t payload = VELD_MIN(from->len, sizeof from->bytes);
    memcpy(to, from, offsetof(struct veld_dataplane_event, bytes) + payload);
}

static uint32_t room_for(const struct veld_event_queue *q,
                         const struct veld_dataplane_event *ev)
{
    if (ev->type == VELD_DP_MESSAGE)
        return q->size / 4 * 3;
    bool initiation = ev->type == VELD_DP_HANDSHAKE && ev->bytes[0] == VELD_INITIATION;
    bool unproved = ev->type == VELD_DP_STUN || (initiation && !ev->proved);
    return unproved ? q->size / 2 : q->size;
}

bool veld_event_queue_push(struct veld_event_queue *q, const struct veld_dataplane_event *ev)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed); /* our own */
    /* Acquire pairs with the release in pop: the slot's old content has been read. */
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
    if (tail - head >= room_for(q, ev))
        return false;
    copy(&q->ring[tail & (q->size - 1)], ev);
    /*
     * Store tail, then look at head, both sequentially consistent; pop stores
     * head, then looks at tail. So either the reader sees this event before it
     * finds the ring empty, or we see that it had found it empty and wake it.
     */
    atomic_store_explicit(&q->tail, tail + 1, memory_order_seq_cst);
    if (atomic_load_explicit(&q->head, memory_order_seq_cst) == tail)
        eventfd_write(q->fd, 1);
    return true;
}

bool veld_event_queue_pop(struct veld_event_queue *q, struct veld_dataplane_event *out)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed); /* our own */
    /* Pairs with the store in push: the slot's content, and the wake-up order. */
    if (atomic_load_explicit(&q->tail, memory_order_seq_cst) == head)
        return false;
    copy(out, &q->ring[head & (q->size - 1)]);
    atomic_store_explicit(&q->head, head + 1, memory_order_seq_cst);
    return true;
}

bool veld_event_queue_loaded(const struct veld_event_queue *q)
{
    return atomic_load_explicit(&q->tail, memory_order_relaxed) -
               atomic_load_explicit(&q->head, memory_order_relaxed) >
           q->size / 8;
}

/* A worker and the control thread on one event queue, sleeping and waking as they do. */
#include "dataplane/event_queue.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>

#define EVENTS 100000

static struct veld_event_queue q;

static void *produce(void *unused)
{
    for (uint32_t i = 0; i < EVENTS;) {
        struct veld_dataplane_event ev = {.type = i % 3 ? VELD_DP_MESSAGE : VELD_DP_HANDSHAKE,
                                          .local_index = i,
                                          .len = sizeof i};
        memcpy(ev.bytes, &i, sizeof i);
        i += veld_event_queue_push(&q, &ev);
    }
    return NULL;
}

/* Sleep as the control thread does: quiet the descriptor, look once more, wait. */
static bool next(struct veld_dataplane_event *ev)
{
    eventfd_t unused;
    while (!veld_event_queue_pop(&q, ev)) {
        (void)eventfd_read(q.fd, &unused);
        if (veld_event_queue_pop(&q, ev))
            return true;
        if (poll(&(struct pollfd){.fd = q.fd, .events = POLLIN}, 1, 20000) != 1)
            return false; /* the wake-up was lost */
    }
    return true;
}

int main(void)
{
    pthread_t producer;
    if (veld_event_queue_init(&q, VELD_EVENT_QUEUE_SIZE, eventfd(0, EFD_NONBLOCK)) < 0 ||
        pthread_create(&producer, NULL, produce, NULL))
        return 1;
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct veld_dataplane_event ev;
        uint32_t payload;
        if (!next(&ev)) {
            fprintf(stderr, "no wake-up for event %u\n", i);
            return 1;
        }
        memcpy(&payload, ev.bytes, sizeof payload);
        if (ev.local_index != i || payload != i) {
            fprintf(stderr, "event %u came as %u, %u\n", i, ev.local_index, payload);
            return 1;
        }
    }
    pthread_join(producer, NULL);
    veld_event_queue_free(&q);
    return 0;
}

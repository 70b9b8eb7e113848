/* Packets on their way: a heap by the time they arrive. */
#include "world.h"

static bool earlier(const struct world *w, unsigned a, unsigned b)
{
    const struct packet *pa = &w->packet[a], *pb = &w->packet[b];
    return pa->at_ns != pb->at_ns ? pa->at_ns < pb->at_ns : pa->order < pb->order;
}

void packet_enqueue(struct world *w, const struct packet *p)
{
    if (w->free_n == 0)
        return; /* the network is full: lost */
    uint16_t id = w->free_packets[--w->free_n];
    w->packet[id] = *p;
    w->packet[id].order = w->order++;
    unsigned i = w->packets_n++;
    for (; i > 0 && earlier(w, id, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = id;
}

struct packet packet_dequeue(struct world *w)
{
    uint16_t first = w->heap[0], last = w->heap[--w->packets_n];
    unsigned i = 0;
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child + 1 < w->packets_n && earlier(w, w->heap[child + 1], w->heap[child]))
            child++;
        if (child >= w->packets_n || !earlier(w, w->heap[child], last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    w->free_packets[w->free_n++] = first;
    return w->packet[first];
}

#include "control/engine/deadline.h"

#include <stdlib.h>

struct entry {
    uint64_t at_ns;
    uint32_t id;
};

struct veld_deadlines {
    uint32_t n;
    struct entry *heap; /* heap[0] is the earliest */
    uint32_t *place_of; /* by id: place in the heap + 1, 0 when not in it */
};

struct veld_deadlines *veld_deadlines_new(uint32_t max_peers)
{
    struct veld_deadlines *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->heap = calloc(max_peers, sizeof *d->heap);
    d->place_of = calloc(max_peers, sizeof *d->place_of);
    if (!d->heap || !d->place_of) {
        veld_deadlines_free(d);
        return NULL;
    }
    return d;
}

void veld_deadlines_free(struct veld_deadlines *d)
{
    if (!d)
        return;
    free(d->heap);
    free(d->place_of);
    free(d);
}

static void put(struct veld_deadlines *d, uint32_t place, struct entry e)
{
    d->heap[place] = e;
    d->place_of[e.id] = place + 1;
}

/* Find the place of `e`, first upwards then downwards from the gap at `place`. */
static void settle(struct veld_deadlines *d, uint32_t place, struct entry e)
{
    while (place > 0 && d->heap[(place - 1) / 2].at_ns > e.at_ns) {
        put(d, place, d->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < d->n && d->heap[child + 1].at_ns < d->heap[child].at_ns)
            child++;
        if (child >= d->n || d->heap[child].at_ns >= e.at_ns)
            break;
        put(d, place, d->heap[child]);
        place = child;
    }
    put(d, place, e);
}

void veld_deadlines_set(struct veld_deadlines *d, uint32_t id, uint64_t at_ns)
{
    uint32_t place = d->place_of[id];
    if (at_ns != VELD_NEVER) {
        uint32_t gap = place ? place - 1 : d->n++;
        settle(d, gap, (struct entry){at_ns, id});
    } else if (place) {
        d->place_of[id] = 0;
        struct entry last = d->heap[--d->n];
        if (last.id != id)
            settle(d, place - 1, last);
    }
}

uint64_t veld_deadlines_first(const struct veld_deadlines *d, uint32_t *id)
{
    if (d->n == 0)
        return VELD_NEVER;
    *id = d->heap[0].id;
    return d->heap[0].at_ns;
}

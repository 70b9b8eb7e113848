#include "control/reach/relay_choice.h"

#include "base/bytes.h"

#include <stdlib.h>

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static unsigned rank(const struct veld_relay_candidate *c)
{
    if (c->standing == VELD_RELAY_FAILING)
        return 4;
    return (c->named ? 0 : 2) + (c->standing == VELD_RELAY_CONNECTED ? 0 : 1);
}

static int by_promise(const void *va, const void *vb)
{
    const struct veld_relay_candidate *a = va, *b = vb;
    int by = compare(rank(a), rank(b));
    if (by == 0) /* 0 becomes the greatest */
        by = compare(a->rtt_ns - 1, b->rtt_ns - 1);
    if (by == 0)
        by = compare(a->lot, b->lot);
    return by ? by : compare(a->id, b->id);
}

size_t veld_relay_choose(struct veld_relay_candidate *list, size_t n, size_t max)
{
    if (n > 0)
        qsort(list, n, sizeof *list, by_promise);
    return VELD_MIN(n, max);
}

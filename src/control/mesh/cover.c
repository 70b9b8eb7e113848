#include "control/mesh/cover.h"

#include <stdlib.h>
#include <string.h>

static int compare_ip(const struct veld_ip *a, const struct veld_ip *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->b, b->b, sizeof a->b);
}

/* Whoever holds another comes before it. */
static int compare(const void *pa, const void *pb)
{
    const struct veld_prefix *a = pa, *b = pb;
    int order = compare_ip(&a->ip, &b->ip);
    return order ? order : (int)a->len - (int)b->len;
}

size_t veld_cover_make(struct veld_prefix *prefixes, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(prefixes, n, sizeof *prefixes, compare);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !veld_prefix_contains(&prefixes[kept - 1], &prefixes[i].ip))
            prefixes[kept++] = prefixes[i];
    }
    return kept;
}

bool veld_cover_has(const struct veld_prefix *cover, size_t n, const struct veld_ip *ip)
{
    size_t low = 0, high = n; /* the first that begins behind `ip` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_ip(&cover[middle].ip, ip) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && veld_prefix_contains(&cover[low - 1], ip);
}

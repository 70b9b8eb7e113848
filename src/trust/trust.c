#include "trust/trust.h"

#include "crypto/primitives.h"

#include <stdlib.h>
#include <string.h>

void veld_blob_clear(struct veld_blob *b)
{
    if (b->p)
        veld_wipe(b->p, b->len);
    free(b->p);
    *b = (struct veld_blob){0};
}

int veld_blob_set(struct veld_blob *out, const void *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    if (copy && len)
        memcpy(copy, p, len);
    veld_blob_clear(out); /* not before: `p` may be what it holds */
    if (!copy)
        return VELD_E_NOMEM;
    *out = (struct veld_blob){copy, len};
    return 0;
}

bool veld_label_is_valid(const char *name)
{
    size_t len = strnlen(name, VELD_LABEL_MAX + 1);
    return len > 0 && len <= VELD_LABEL_MAX && name[0] != '-' && name[len - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool veld_route_is_valid(const struct veld_prefix *p)
{
    static const struct veld_prefix mapped = {
        .ip = {.family = 6, .b = {[10] = 0xff, [11] = 0xff}}, .len = 96};
    struct veld_prefix masked = *p;
    if (p->len < VELD_ROUTE_LENGTH_MIN || p->len > veld_ip_bits(&p->ip))
        return false;
    veld_prefix_mask(&masked);
    return veld_ip_equal(&masked.ip, &p->ip) && veld_ip_is_unicast(&p->ip) &&
           !veld_prefix_overlaps(p, &mapped);
}

bool veld_routes_are_within(const struct veld_prefix *routes, size_t n,
                            const struct veld_prefix *allowed, size_t n_allowed)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n_allowed && !(allowed[k].len <= routes[i].len &&
                                  veld_prefix_contains(&allowed[k], &routes[i].ip)))
            k++;
        if (k == n_allowed)
            return false;
    }
    return true;
}

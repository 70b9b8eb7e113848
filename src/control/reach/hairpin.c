#include "control/reach/hairpin.h"

#include <string.h>

void veld_hairpin_begin(struct veld_hairpin *h, const struct veld_endpoint *mapped,
                        const uint8_t id[VELD_STUN_ID_SIZE])
{
    if (h->to.ip.family)
        return;
    h->to = *mapped;
    memcpy(h->id, id, sizeof h->id);
}

bool veld_hairpin_is_due(struct veld_hairpin *h, uint64_t now_ns)
{
    if (veld_hairpin_is_over(h) || now_ns < h->next_ns)
        return false;
    h->next_ns = now_ns + VELD_HAIRPIN_GAP_NS;
    return h->sent++ < VELD_HAIRPIN_SENDS; /* else the last one's time is over */
}

bool veld_hairpin_take(struct veld_hairpin *h, const uint8_t id[VELD_STUN_ID_SIZE])
{
    if (!h->sent || memcmp(h->id, id, sizeof h->id) != 0)
        return false;
    h->came = true;
    return true;
}

bool veld_hairpin_is_over(const struct veld_hairpin *h)
{
    return !h->to.ip.family || h->came || h->sent > VELD_HAIRPIN_SENDS;
}

enum veld_hairpin_verdict veld_hairpin_verdict(const struct veld_hairpin *h)
{
    return h->came                        ? VELD_HAIRPIN_YES
           : h->sent > VELD_HAIRPIN_SENDS ? VELD_HAIRPIN_NO
                                          : VELD_HAIRPIN_UNKNOWN;
}

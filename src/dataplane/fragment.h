/*
 * Cutting an inner packet into IP fragments, for a path that is smaller than
 * what its sender may count on.
 *
 *  - IPv4 without DF: what RFC 791 lets any router do.
 *  - IPv6 of at most 1280 bytes, where the path takes less than that: a link
 *    that cannot carry 1280 bytes must cut and join below IPv6 (RFC 8200, 5),
 *    and a sender told of less than 1280 need not heed it. The fragments are
 *    ordinary ones, so the receiving host does the joining; the identification
 *    is ours, of the counter the caller keeps.
 *
 * A fragment may be cut again. Fragments cannot carry a partial checksum: the
 * packet's must be complete.
 *
 * Order of calls: plan, then len and write for each of `n`. Pure; any thread.
 */
#ifndef VELD_DATAPLANE_FRAGMENT_H
#define VELD_DATAPLANE_FRAGMENT_H

#include "base/err.h"
#include "wire/inner.h"

#define VELD_IPV6_MIN_MTU 1280

struct veld_fragments {
    const uint8_t *packet; /* borrowed */
    uint32_t n;
    /* the rest is its own */
    uint32_t id;                 /* IPv6 */
    uint16_t payload_at;         /* where what is cut begins */
    uint16_t head;               /* bytes repeated before each piece */
    uint16_t next_at;            /* IPv6: the byte that names a fragment header */
    uint16_t payload_len, piece; /* all of it; in each but the last, a multiple of 8 */
    uint16_t offset;             /* of the packet, when it is a fragment itself */
    uint8_t next;                /* IPv6: what follows the fragment header */
    bool more;                   /* the packet is a fragment and not the last */
};

/* Whether cutting this packet, longer than its path takes, is allowed at all. */
bool veld_fragment_allowed(const uint8_t *packet, size_t len);
/*
 * Into fragments of at most `mtu` bytes. VELD_E_RANGE when headers leave no room,
 * or the packet's own fragment offset is impossible.
 */
VELD_MUST_USE int veld_fragments_plan(struct veld_fragments *f, const uint8_t *packet,
                                      size_t len, size_t mtu, uint32_t id);
size_t veld_fragment_len(const struct veld_fragments *f, uint32_t i);
/* veld_fragment_len bytes. */
void veld_fragment_write(const struct veld_fragments *f, uint32_t i, uint8_t *out);

#endif

#include "dataplane/fragment.h"

#include "base/bytes.h"
#include "dataplane/super_headers.h"

#include <netinet/in.h>

#define IPV4_HEADER    20
#define IPV6_HEADER    40
#define FRAGMENT       8 /* IPv6 fragment header */
#define HEADERS_MAX    8 /* IPv6 extension headers looked at */
#define DONT_FRAGMENT  0x4000
#define MORE_FRAGMENTS 0x2000 /* IPv4 */
#define OFFSET_MASK    0x1fff /* IPv4, units of 8 bytes */

enum { IPV4_TOTAL = 2, IPV4_FRAG = 6, IPV4_CSUM = 10, IPV6_PAYLOAD = 4, IPV6_NEXT = 6 };
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_COPIED = 0x80 };

bool veld_fragment_allowed(const uint8_t *packet, size_t len)
{
    if (packet[0] >> 4 == 6)
        return len <= VELD_IPV6_MIN_MTU;
    return !(veld_load_be16(packet + IPV4_FRAG) & DONT_FRAGMENT);
}

static void plan_v4(struct veld_fragments *f)
{
    const uint8_t *p = f->packet;
    uint16_t frag = veld_load_be16(p + IPV4_FRAG);
    f->head = f->payload_at = (uint16_t)((p[0] & 15) * 4);
    f->offset = (uint16_t)((frag & OFFSET_MASK) * 8);
    f->more = frag & MORE_FRAGMENTS;
}

/*
 * "Per-fragment headers" (RFC 8200, 4.5): up to and including a routing header,
 * else a hop-by-hop one. Destination options before a routing header go along.
 */
static int plan_v6(struct veld_fragments *f, size_t len)
{
    const uint8_t *p = f->packet;
    size_t at = IPV6_HEADER, next_at = IPV6_NEXT;
    f->payload_at = IPV6_HEADER;
    f->next_at = IPV6_NEXT;
    for (unsigned i = 0; i < HEADERS_MAX; i++) {
        uint8_t type = p[next_at];
        if (type != IPPROTO_HOPOPTS && type != IPPROTO_ROUTING && type != IPPROTO_DSTOPTS)
            break;
        if (at + 8 > len)
            return VELD_E_RANGE;
        next_at = at;
        at += ((size_t)p[at + 1] + 1) * 8;
        if (at > len)
            return VELD_E_RANGE;
        if (type != IPPROTO_DSTOPTS) {
            f->payload_at = (uint16_t)at;
            f->next_at = (uint16_t)next_at;
        }
    }
    f->head = (uint16_t)(f->payload_at + FRAGMENT);
    f->next = p[f->next_at];
    if (f->next != IPPROTO_FRAGMENT)
        return 0;
    if (f->payload_at + (size_t)FRAGMENT > len)
        return VELD_E_RANGE;
    const uint8_t *own = p + f->payload_at;
    f->next = own[0];
    f->offset = veld_load_be16(own + 2) & 0xfff8;
    f->more = own[3] & 1;
    f->id = veld_load_be32(own + 4);
    f->payload_at += FRAGMENT;
    return 0;
}

int veld_fragments_plan(struct veld_fragments *f, const uint8_t *packet, size_t len, size_t mtu,
                        uint32_t id)
{
    *f = (struct veld_fragments){.packet = packet, .id = id};
    if (len > UINT16_MAX)
        return VELD_E_RANGE;
    if (packet[0] >> 4 == 4)
        plan_v4(f);
    else if (plan_v6(f, len) < 0)
        return VELD_E_RANGE;
    f->payload_len = (uint16_t)(len - f->payload_at);
    if (mtu < f->head + 8u || f->payload_len == 0 ||
        (uint32_t)f->offset + f->payload_len > UINT16_MAX)
        return VELD_E_RANGE;
    f->piece = (uint16_t)((VELD_MIN(mtu, UINT16_MAX) - f->head) & ~(size_t)7);
    f->n = (f->payload_len + f->piece - 1u) / f->piece;
    return 0;
}

static uint16_t piece_len(const struct veld_fragments *f, uint32_t i)
{
    return (uint16_t)VELD_MIN(f->piece, f->payload_len - i * f->piece);
}

size_t veld_fragment_len(const struct veld_fragments *f, uint32_t i)
{
    return f->head + (size_t)piece_len(f, i);
}

/* All but the first fragment have only the options meant to be copied (RFC 791, 3.1). */
static void blank_options(uint8_t *header, size_t header_len)
{
    size_t at = IPV4_HEADER;
    while (at < header_len && header[at] != OPTION_END) {
        size_t len = 1;
        if (header[at] != OPTION_NOP)
            len = at + 1 < header_len ? VELD_MAX(header[at + 1], 2) : 1;
        len = VELD_MIN(len, header_len - at);
        if (!(header[at] & OPTION_COPIED))
            memset(header + at, OPTION_NOP, len);
        at += len;
    }
}

static void head_v4(const struct veld_fragments *f, uint32_t i, uint8_t *out)
{
    uint16_t offset = (uint16_t)((f->offset + i * f->piece) / 8);
    bool more = i + 1 < f->n || f->more;
    memcpy(out, f->packet, f->head);
    if (i > 0)
        blank_options(out, f->head);
    veld_store_be16(out + IPV4_TOTAL, (uint16_t)veld_fragment_len(f, i));
    veld_store_be16(out + IPV4_FRAG, offset | (more ? MORE_FRAGMENTS : 0));
    veld_store_be16(out + IPV4_CSUM, 0);
    veld_store_be16(out + IPV4_CSUM, ~veld_csum_fold(veld_csum_add(out, f->head)));
}

static void head_v6(const struct veld_fragments *f, uint32_t i, uint8_t *out)
{
    uint8_t *own = out + f->head - FRAGMENT;
    uint16_t offset = (uint16_t)(f->offset + i * f->piece);
    bool more = i + 1 < f->n || f->more;
    memcpy(out, f->packet, (size_t)f->head - FRAGMENT);
    out[f->next_at] = IPPROTO_FRAGMENT;
    veld_store_be16(out + IPV6_PAYLOAD, (uint16_t)(veld_fragment_len(f, i) - IPV6_HEADER));
    own[0] = f->next;
    own[1] = 0;
    veld_store_be16(own + 2, offset | more);
    veld_store_be32(own + 4, f->id);
}

void veld_fragment_write(const struct veld_fragments *f, uint32_t i, uint8_t *out)
{
    if (f->packet[0] >> 4 == 4)
        head_v4(f, i, out);
    else
        head_v6(f, i, out);
    memcpy(out + f->head, f->packet + f->payload_at + i * f->piece, piece_len(f, i));
}

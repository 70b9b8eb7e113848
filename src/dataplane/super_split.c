#include "dataplane/super_headers.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#include <assert.h>

/* Which kind of packet a GSO type announces, and whether the type is at peace with the IP version. */
static int announced_kind(uint8_t gso_type, uint8_t family, enum veld_super_kind *kind)
{
    bool ecn = gso_type & VIRTIO_NET_HDR_GSO_ECN;

    switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
        *kind = VELD_SUPER_TCP;
        return family == 4 ? 0 : VELD_E_FORMAT;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        *kind = VELD_SUPER_TCP;
        return family == 6 ? 0 : VELD_E_FORMAT;
    case VIRTIO_NET_HDR_GSO_UDP_L4: *kind = VELD_SUPER_UDP; return ecn ? VELD_E_FORMAT : 0;
    default: return VELD_E_UNSUPPORTED;
    }
}

static int parse_gso(struct veld_super *s, const struct virtio_net_hdr *vh,
                     enum veld_super_kind located, uint16_t l4_offset)
{
    enum veld_super_kind kind;
    int err = announced_kind(vh->gso_type, s->inner.src.family, &kind);
    if (err)
        return err;
    if (vh->gso_size == 0 || !(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || kind != located ||
        vh->csum_start != l4_offset || vh->csum_offset != veld_l4_csum_offset(kind))
        return VELD_E_FORMAT;
    s->partial_csum = true;

    uint16_t header_len = veld_headers_read(&s->headers, s->packet, s->len, kind, l4_offset);
    if (header_len == 0)
        return VELD_E_FORMAT;
    if (s->len - header_len > vh->gso_size) { /* else "not really GSO", as Linux says of it */
        s->kind = kind;
        s->header_len = header_len;
        s->gso_size = vh->gso_size;
    }
    return 0;
}

static int parse_plain(struct veld_super *s, const struct virtio_net_hdr *vh,
                       enum veld_super_kind located, uint16_t l4_offset)
{
    if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        return 0;
    if (vh->csum_start < s->inner.l4_offset ||
        (uint32_t)vh->csum_start + vh->csum_offset + sizeof(uint16_t) > s->len)
        return VELD_E_FORMAT;
    if (located != VELD_SUPER_PLAIN && vh->csum_start == l4_offset &&
        vh->csum_offset == veld_l4_csum_offset(located)) {
        s->partial_csum = true;
    } else {
        s->complete_start = vh->csum_start;
        s->complete_offset = vh->csum_offset;
    }
    return 0;
}

int veld_super_parse(const struct virtio_net_hdr *vh, const uint8_t *packet, size_t len,
                     struct veld_super *out)
{
    uint16_t l4_offset = 0;

    *out = (struct veld_super){.packet = packet, .len = (uint32_t)len};
    int err = veld_inner_parse(packet, len, &out->inner);
    if (!err) {
        enum veld_super_kind located = veld_l4_locate(packet, len, &out->inner, &l4_offset);
        err = vh->gso_type == VIRTIO_NET_HDR_GSO_NONE ? parse_plain(out, vh, located, l4_offset)
                                                      : parse_gso(out, vh, located, l4_offset);
    }
    if (err)
        *out = (struct veld_super){0};
    return err;
}

size_t veld_super_segments(const struct veld_super *s)
{
    if (s->kind == VELD_SUPER_PLAIN)
        return 1;
    return (s->len - s->header_len + s->gso_size - 1) / s->gso_size;
}

size_t veld_super_segment_len(const struct veld_super *s, size_t i)
{
    if (s->kind == VELD_SUPER_PLAIN)
        return s->len;
    return s->header_len + VELD_MIN(s->gso_size, s->len - s->header_len - i * s->gso_size);
}

static uint8_t plain_write(const struct veld_super *s, uint8_t *out)
{
    memcpy(out, s->packet, s->len);
    if (s->complete_start) {
        const uint8_t *start = out + s->complete_start;
        uint16_t csum = ~veld_csum_fold(veld_csum_add(start, s->len - s->complete_start));
        /* 0 means "no checksum" in UDP, and equals 0xffff elsewhere. */
        veld_store_be16(out + s->complete_start + s->complete_offset, csum ? csum : 0xffff);
    }
    return s->partial_csum ? VELD_FLAG_PARTIAL_CSUM : 0;
}

uint8_t veld_super_segment_write(const struct veld_super *s, size_t i, uint8_t *out)
{
    if (s->kind == VELD_SUPER_PLAIN)
        return plain_write(s, out);

    size_t total = s->len - s->header_len;
    size_t offset = i * s->gso_size;
    assert(offset < total);
    size_t payload = VELD_MIN(s->gso_size, total - offset);
    bool last = offset + payload == total;
    uint8_t cleared = (i > 0 ? VELD_TCP_CWR : 0) | (last ? 0 : VELD_TCP_FIN | VELD_TCP_PSH);

    memcpy(out, s->packet, s->header_len);
    memcpy(out + s->header_len, s->packet + s->header_len + offset, payload);
    veld_headers_patch(&s->headers, out, (uint32_t)i, (uint32_t)offset,
                       (uint32_t)(s->header_len + payload), s->headers.tcp_flags & ~cleared);
    return VELD_FLAG_PARTIAL_CSUM | VELD_FLAG_SEGMENT | (i > 0 ? VELD_FLAG_CONTINUES : 0);
}

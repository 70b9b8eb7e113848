#include "dataplane/super_headers.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#include <assert.h>

/* Of a segment made smaller: a packet must not become thousands. */
#define PAYLOAD_MIN 256

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

static int parse_gso(struct veld_super *s, const struct virtio_net_hdr *vh)
{
    enum veld_super_kind kind;
    int err = announced_kind(vh->gso_type, s->inner.src.family, &kind);
    if (err)
        return err;
    if (vh->gso_size == 0 || !(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || kind != s->l4 ||
        vh->csum_start != s->l4_offset || vh->csum_offset != veld_l4_csum_offset(kind))
        return VELD_E_FORMAT;
    s->partial_csum = true;

    uint16_t header_len = veld_headers_read(&s->headers, s->packet, s->len, kind, s->l4_offset);
    if (header_len == 0)
        return VELD_E_FORMAT;
    if (s->len - header_len > vh->gso_size) { /* else "not really GSO", as Linux says of it */
        s->kind = kind;
        s->header_len = header_len;
        s->gso_size = vh->gso_size;
    }
    return 0;
}

static int parse_plain(struct veld_super *s, const struct virtio_net_hdr *vh)
{
    if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        return 0;
    if (vh->csum_start < s->inner.l4_offset ||
        (uint32_t)vh->csum_start + vh->csum_offset + sizeof(uint16_t) > s->len)
        return VELD_E_FORMAT;
    if (s->l4 != VELD_SUPER_PLAIN && vh->csum_start == s->l4_offset &&
        vh->csum_offset == veld_l4_csum_offset(s->l4)) {
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
    *out = (struct veld_super){.packet = packet, .len = (uint32_t)len};
    int err = veld_inner_parse(packet, len, &out->inner);
    if (!err) {
        out->l4 = veld_l4_locate(packet, len, &out->inner, &out->l4_offset);
        err =
            vh->gso_type == VIRTIO_NET_HDR_GSO_NONE ? parse_plain(out, vh) : parse_gso(out, vh);
    }
    if (err)
        *out = (struct veld_super){0};
    return err;
}

int veld_super_reparse(const uint8_t *packet, size_t len, uint8_t flags, struct veld_super *out)
{
    int err = veld_super_parse(&(struct virtio_net_hdr){0}, packet, len, out);
    if (!err)
        out->partial_csum = flags & VELD_FLAG_PARTIAL_CSUM;
    return err;
}

bool veld_super_lower(struct veld_super *s, size_t mtu)
{
    struct veld_super_headers headers = s->headers;
    uint16_t header_len = s->header_len;
    if (s->l4 != VELD_SUPER_TCP || !s->partial_csum)
        return false;
    if (s->kind == VELD_SUPER_PLAIN)
        header_len =
            veld_headers_read(&headers, s->packet, s->len, VELD_SUPER_TCP, s->l4_offset);
    if (header_len == 0 || (headers.tcp_flags & (VELD_TCP_SYN | VELD_TCP_RST | VELD_TCP_URG)) ||
        header_len + (size_t)PAYLOAD_MIN > mtu)
        return false;
    s->kind = VELD_SUPER_TCP;
    s->headers = headers;
    s->header_len = header_len;
    s->gso_size = (uint16_t)(VELD_MIN(mtu, UINT16_MAX) - header_len);
    return true;
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
    if (s->complete_start)
        veld_csum_complete(out, s->len, s->complete_start, s->complete_offset);
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

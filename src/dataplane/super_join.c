#include "dataplane/super_headers.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#define IPV4_PACKET_MAX  65535u
#define IPV6_PACKET_MAX  (40u + 65535u)
#define FLAGS_OF_SEGMENT (VELD_FLAG_PARTIAL_CSUM | VELD_FLAG_SEGMENT)

/* Ends of a run, as for Linux's GRO: nothing follows a segment that has one of these. */
#define TCP_LAST_FLAGS (VELD_TCP_FIN | VELD_TCP_PSH)
#define TCP_ENDS       (TCP_LAST_FLAGS | VELD_TCP_SYN | VELD_TCP_RST | VELD_TCP_URG)

/* Is `packet` (its first `header_len` bytes) what splitting makes of `first` at this place? */
static bool headers_match(const struct veld_join *j, const uint8_t *packet, uint32_t index,
                          uint32_t payload, uint8_t tcp_flags)
{
    uint8_t expected[VELD_JOIN_HEADER_MAX];

    memcpy(expected, j->iov[1].iov_base, j->header_len);
    veld_headers_patch(&j->headers, expected, index, index * j->segment_payload,
                       j->header_len + payload, tcp_flags);
    return memcmp(expected, packet, j->header_len) == 0;
}

/* Let segments follow the first packet, if it is one that segments can follow. */
static void open_to_more(struct veld_join *j, const uint8_t *packet, size_t len,
                         enum veld_super_kind kind, uint16_t l4_offset)
{
    unsigned segments_max =
        kind == VELD_SUPER_UDP ? j->udp_segments_max : VELD_JOIN_SEGMENTS_MAX;

    j->header_len = veld_headers_read(&j->headers, packet, len, kind, l4_offset);
    if (j->header_len == 0 || j->header_len > VELD_JOIN_HEADER_MAX ||
        (j->headers.tcp_flags & TCP_ENDS))
        return;
    j->segment_payload = (uint16_t)(len - j->header_len); /* 0: no longer one follows */
    /* Lengths and the IPv4 checksum it came with must be right: mending would hide that they were not. */
    if (!headers_match(j, packet, 0, j->segment_payload, j->headers.tcp_flags))
        return;
    j->len = (uint32_t)len;
    j->len_max = j->headers.family == 4 ? IPV4_PACKET_MAX : IPV6_PACKET_MAX;
    j->n_iov_max = 1 + VELD_MIN(segments_max, VELD_JOIN_SEGMENTS_MAX);
}

int veld_join_begin(struct veld_join *j, uint8_t *packet, size_t len,
                    const struct veld_inner *inner, uint8_t flags)
{
    uint16_t l4_offset;
    enum veld_super_kind kind;

    j->hdr = (struct virtio_net_hdr){0};
    j->iov[0] = (struct iovec){.iov_base = &j->hdr, .iov_len = sizeof j->hdr};
    j->iov[1] = (struct iovec){.iov_base = packet, .iov_len = len};
    j->n_iov = 2;
    j->n_iov_max = 2;
    if (!(flags & VELD_FLAG_PARTIAL_CSUM))
        return 0;

    kind = veld_l4_locate(packet, len, inner, &l4_offset);
    if (kind == VELD_SUPER_PLAIN) {
        j->n_iov = 0;
        return VELD_E_FORMAT;
    }
    j->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    j->hdr.csum_start = l4_offset;
    j->hdr.csum_offset = veld_l4_csum_offset(kind);
    if (flags & VELD_FLAG_SEGMENT)
        open_to_more(j, packet, len, kind, l4_offset);
    return 0;
}

bool veld_join_append(struct veld_join *j, uint8_t *packet, size_t len, uint8_t flags)
{
    if (j->n_iov >= j->n_iov_max || flags != (FLAGS_OF_SEGMENT | VELD_FLAG_CONTINUES) ||
        len <= j->header_len || len - j->header_len > j->segment_payload)
        return false;

    uint32_t payload = (uint32_t)len - j->header_len;
    if (j->len + payload > j->len_max)
        return false;

    /* CWR is the first segment's alone; PSH and FIN may come, with the last. */
    uint8_t last = 0;
    if (j->headers.kind == VELD_SUPER_TCP)
        last = packet[j->headers.l4_offset + VELD_TCP_FLAGS_OFFSET] & TCP_LAST_FLAGS;
    if (!headers_match(j, packet, j->n_iov - 1, payload,
                       (j->headers.tcp_flags & ~VELD_TCP_CWR) | last))
        return false;
    j->last_flags = last;
    j->iov[j->n_iov++] = (struct iovec){.iov_base = packet + j->header_len, .iov_len = payload};
    j->len += payload;
    if (payload < j->segment_payload || last)
        j->n_iov_max = j->n_iov;
    return true;
}

void veld_join_finish(struct veld_join *j)
{
    static const uint8_t gso_type_tcp[] = {VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6};
    const struct veld_super_headers *h = &j->headers;

    if (j->n_iov <= 2) /* one packet, written as it came */
        return;
    veld_headers_patch(h, j->iov[1].iov_base, 0, 0, j->len, h->tcp_flags | j->last_flags);
    j->hdr.hdr_len = j->header_len;
    j->hdr.gso_size = j->segment_payload;
    if (h->kind == VELD_SUPER_UDP)
        j->hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
    else
        j->hdr.gso_type = gso_type_tcp[h->family == 6] |
                          (h->tcp_flags & VELD_TCP_CWR ? VIRTIO_NET_HDR_GSO_ECN : 0);
}

/*
 * The headers of a super-packet's segments, as a function of the first one's:
 * the one place that knows what cutting changes. Splitting writes with it,
 * joining compares and mends with it, so the two cannot disagree.
 *
 * What changes (Linux tcp_gso_segment, __udp_gso_segment, inet_gso_segment):
 * IPv4 total length, id (+1 a segment, with DF too) and header checksum; IPv6
 * payload length; TCP sequence number and flags; UDP length; and the partial
 * L4 checksum, which the length is part of. The checksum is moved by the
 * difference of lengths and never made anew, since the pseudo-header cannot
 * always be read off the packet (IPv6 routing headers hide the destination).
 *
 * Pure.
 */
#ifndef VELD_DATAPLANE_SUPER_HEADERS_H
#define VELD_DATAPLANE_SUPER_HEADERS_H

#include "dataplane/super.h"

enum { VELD_TCP_FLAGS_OFFSET = 13, VELD_TCP_CSUM_OFFSET = 16, VELD_UDP_CSUM_OFFSET = 6 };

enum veld_tcp_flag {
    VELD_TCP_FIN = 0x01,
    VELD_TCP_SYN = 0x02,
    VELD_TCP_RST = 0x04,
    VELD_TCP_PSH = 0x08,
    VELD_TCP_URG = 0x20,
    VELD_TCP_CWR = 0x80,
};

static inline uint16_t veld_l4_csum_offset(enum veld_super_kind kind)
{
    return kind == VELD_SUPER_TCP ? VELD_TCP_CSUM_OFFSET : VELD_UDP_CSUM_OFFSET;
}

/*
 * Where TCP or UDP begins: at least 20 or 8 bytes of it are in the packet.
 * PLAIN when it is neither, a fragment, or behind IPv6 headers other than
 * hop-by-hop, routing and destination options. Sender and receiver both ask
 * this, so a partial checksum travels only where the receiver finds it.
 */
enum veld_super_kind veld_l4_locate(const uint8_t *packet, size_t len,
                                    const struct veld_inner *inner, uint16_t *offset);

/*
 * Learn from a located packet. Returns the length of its IP and L4 headers, or
 * 0 when its TCP data offset is impossible; `out` is then not to be used.
 */
uint16_t veld_headers_read(struct veld_super_headers *out, const uint8_t *packet, size_t len,
                           enum veld_super_kind kind, uint16_t l4_offset);

/*
 * Make a copy of the first headers at `headers` those of the segment with this
 * number, payload offset, whole length and TCP flags (UDP: ignored).
 */
void veld_headers_patch(const struct veld_super_headers *h, uint8_t *headers, uint32_t index,
                        uint32_t payload_offset, uint32_t len, uint8_t tcp_flags);

/* The internet checksum's sum of 16-bit words, an odd last byte padded; and its folding (RFC 1071). */
uint64_t veld_csum_add(const uint8_t *p, size_t len);
uint16_t veld_csum_fold(uint64_t sum);
/*
 * Complete the checksum at `start` + `offset` of a packet of `len` bytes, which
 * holds the pseudo-header's sum and covers all from `start` on.
 */
void veld_csum_complete(uint8_t *packet, size_t len, size_t start, size_t offset);
/* A header's checksum after one of its 16-bit words has changed (RFC 1624, equation 3). */
uint16_t veld_csum_update(uint16_t csum, uint16_t before, uint16_t after);

#endif

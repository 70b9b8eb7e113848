#include "dataplane/super_headers.h"

#include "base/bytes.h"

#include <netinet/in.h>

#define IPV6_HEADER         40
#define IPV6_EXTENSIONS_MAX 8 /* of at most 2048 bytes: an L4 offset fits 16 bits */
#define TCP_HEADER_MIN      20
#define UDP_HEADER          8

/* Offsets in the IPv4, IPv6, TCP and UDP headers. */
enum { IPV4_TOTAL = 2, IPV4_ID = 4, IPV4_CSUM = 10, IPV6_PAYLOAD = 4 };
enum { TCP_SEQ = 4, TCP_DATA_OFFSET = 12, UDP_LENGTH = 4 };

uint64_t veld_csum_add(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    for (; len >= 2; p += 2, len -= 2)
        sum += veld_load_be16(p);
    return len ? sum + ((uint64_t)*p << 8) : sum;
}

uint16_t veld_csum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

void veld_csum_complete(uint8_t *packet, size_t len, size_t start, size_t offset)
{
    uint16_t csum = ~veld_csum_fold(veld_csum_add(packet + start, len - start));
    /* 0 means "no checksum" in UDP, and equals 0xffff elsewhere. */
    veld_store_be16(packet + start + offset, csum ? csum : 0xffff);
}

uint16_t veld_csum_update(uint16_t csum, uint16_t before, uint16_t after)
{
    return ~veld_csum_fold((uint64_t)(uint16_t)~csum + (uint16_t)~before + after);
}

static bool is_extension(uint8_t proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS;
}

enum veld_super_kind veld_l4_locate(const uint8_t *packet, size_t len,
                                    const struct veld_inner *inner, uint16_t *offset)
{
    size_t at = inner->l4_offset;
    uint8_t proto = inner->proto;

    if (inner->fragment)
        return VELD_SUPER_PLAIN;
    if (inner->src.family == 6) {
        for (unsigned n = 0; is_extension(proto); n++) {
            if (n == IPV6_EXTENSIONS_MAX || at + 8 > len)
                return VELD_SUPER_PLAIN;
            proto = packet[at];
            at += ((size_t)packet[at + 1] + 1) * 8;
        }
    }
    *offset = (uint16_t)at;
    if (proto == IPPROTO_TCP && at + TCP_HEADER_MIN <= len)
        return VELD_SUPER_TCP;
    if (proto == IPPROTO_UDP && at + UDP_HEADER <= len)
        return VELD_SUPER_UDP;
    return VELD_SUPER_PLAIN;
}

/* a - b in ones' complement: of 16-bit words, so that no sum of a few overflows. */
static uint32_t csum_sub(uint32_t a, uint16_t b)
{
    return a + (uint16_t)~b;
}

uint16_t veld_headers_read(struct veld_super_headers *out, const uint8_t *packet, size_t len,
                           enum veld_super_kind kind, uint16_t l4_offset)
{
    const uint8_t *l4 = packet + l4_offset;
    uint16_t csum = veld_load_be16(l4 + veld_l4_csum_offset(kind));
    size_t l4_header = UDP_HEADER;

    *out = (struct veld_super_headers){
        .l4_offset = l4_offset,
        .kind = (uint8_t)kind,
        .family = packet[0] >> 4,
    };
    if (out->family == 4) {
        out->id = veld_load_be16(packet + IPV4_ID);
        out->ip_sum = (uint32_t)veld_csum_add(packet, l4_offset) -
                      veld_load_be16(packet + IPV4_TOTAL) - out->id -
                      veld_load_be16(packet + IPV4_CSUM);
    }
    if (kind == VELD_SUPER_TCP) {
        l4_header = (size_t)(l4[TCP_DATA_OFFSET] >> 4) * 4;
        if (l4_header < TCP_HEADER_MIN || l4_offset + l4_header > len)
            return 0;
        out->seq = veld_load_be32(l4 + TCP_SEQ);
        out->tcp_flags = l4[VELD_TCP_FLAGS_OFFSET];
        out->l4_sum = csum_sub(csum, (uint16_t)(len - l4_offset));
    } else {
        /* As Linux does: the length that the checksum was made with is the one written there. */
        out->l4_sum = csum_sub(csum, veld_load_be16(l4 + UDP_LENGTH));
    }
    return (uint16_t)(l4_offset + l4_header);
}

void veld_headers_patch(const struct veld_super_headers *h, uint8_t *headers, uint32_t index,
                        uint32_t payload_offset, uint32_t len, uint8_t tcp_flags)
{
    uint8_t *l4 = headers + h->l4_offset;
    uint16_t l4_len = (uint16_t)(len - h->l4_offset);
    uint16_t csum = veld_csum_fold(h->l4_sum + l4_len);

    if (h->family == 4) {
        uint16_t id = (uint16_t)(h->id + index);
        veld_store_be16(headers + IPV4_TOTAL, (uint16_t)len);
        veld_store_be16(headers + IPV4_ID, id);
        veld_store_be16(headers + IPV4_CSUM, ~veld_csum_fold((uint64_t)h->ip_sum + len + id));
    } else {
        veld_store_be16(headers + IPV6_PAYLOAD, (uint16_t)(len - IPV6_HEADER));
    }
    if (h->kind == VELD_SUPER_TCP) {
        veld_store_be32(l4 + TCP_SEQ, h->seq + payload_offset);
        l4[VELD_TCP_FLAGS_OFFSET] = tcp_flags;
        veld_store_be16(l4 + VELD_TCP_CSUM_OFFSET, csum);
    } else {
        veld_store_be16(l4 + UDP_LENGTH, l4_len);
        veld_store_be16(l4 + VELD_UDP_CSUM_OFFSET, csum);
    }
}

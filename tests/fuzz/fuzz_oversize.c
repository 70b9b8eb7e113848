/*
 * Arbitrary packets through everything that is done to one larger than its
 * path takes, or that looks into its headers; and arbitrary control messages.
 *
 * Input: MTU 2, kind 1, then a packet or message. Kind, bit 0: a message; else
 * bit 1: the checksum is partial; bits 4-5: outer ECN.
 */
#include "base/bytes.h"
#include "dataplane/ecn.h"
#include "dataplane/fragment.h"
#include "dataplane/mss.h"
#include "dataplane/too_big.h"
#include "wire/datagram.h"
#include "wire/message.h"

#include <stdlib.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

/* In an allocation of its own length, so that AddressSanitizer sees a step outside. */
static uint8_t *exactly(const void *from, size_t len)
{
    uint8_t *b = malloc(len ? len : 1);
    memcpy(b, from, len);
    return b;
}

/* A message reads at most its first VELD_MESSAGE_MAX bytes, and what is written is what was read. */
static void message(const uint8_t *data, size_t size)
{
    uint8_t out[VELD_MESSAGE_MAX], *in = exactly(data, VELD_MIN(size, VELD_MESSAGE_MAX));
    struct veld_message m, again;
    if (veld_message_parse(in, size, &m) == 0) {
        size_t len = veld_message_write(out, &m);
        size_t whole = m.type == VELD_MSG_PROBE ? m.size : len;
        REQUIRE(whole == size && memcmp(in, out, len) == 0);
        REQUIRE(veld_message_parse(out, whole, &again) == 0);
        REQUIRE(again.id == m.id && again.size == m.size);
    }
    free(in);
}

static void fragments(const uint8_t *packet, size_t len, size_t mtu)
{
    struct veld_fragments f;
    if (veld_fragments_plan(&f, packet, len, mtu, 7) < 0)
        return;
    size_t payload = 0;
    for (uint32_t i = 0; i < f.n; i++) {
        struct veld_inner inner;
        size_t n = veld_fragment_len(&f, i);
        uint8_t *out = malloc(n);
        veld_fragment_write(&f, i, out);
        REQUIRE(n <= mtu && veld_inner_parse(out, n, &inner) == 0);
        payload += n - f.head;
        free(out);
    }
    REQUIRE(payload == f.payload_len);
}

static void too_big(const struct veld_super *s, uint16_t mtu)
{
    uint8_t *out = malloc(VELD_TOO_BIG_MAX);
    struct veld_inner inner;
    size_t n = veld_too_big_build(out, s, mtu);
    REQUIRE(n <= VELD_TOO_BIG_MAX);
    if (n) {
        REQUIRE(veld_inner_parse(out, n, &inner) == 0);
        REQUIRE(veld_ip_equal(&inner.dst, &s->inner.src));
        REQUIRE(n <= (inner.dst.family == 4 ? 28 : 48) + veld_super_segment_len(s, 0));
    }
    free(out);
}

static void lower(struct veld_super *s, size_t mtu)
{
    size_t total = 0;
    if (!veld_super_lower(s, mtu))
        return;
    for (size_t i = 0; i < veld_super_segments(s); i++) {
        size_t n = veld_super_segment_len(s, i);
        REQUIRE(n <= mtu && n > s->header_len);
        uint8_t *out = malloc(n);
        veld_super_segment_write(s, i, out);
        total += n - s->header_len;
        free(out);
    }
    REQUIRE(total == s->len - s->header_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    uint16_t mtu = veld_load_be16(data);
    uint8_t kind = data[2];
    data += 3;
    size -= 3;
    if (kind & 1) {
        message(data, size);
        return 0;
    }
    uint8_t *packet = exactly(data, size);
    struct veld_super s;
    uint8_t flags = kind & 2 ? VELD_FLAG_PARTIAL_CSUM : 0;
    if (veld_super_reparse(packet, size, flags, &s) == 0) {
        too_big(&s, mtu);
        fragments(packet, size, mtu);
        if (s.l4 == VELD_SUPER_TCP) {
            lower(&s, mtu);
            enum veld_tcp_csum csum = kind & 2 ? VELD_TCP_CSUM_PARTIAL : VELD_TCP_CSUM_COMPLETE;
            uint8_t *tcp = packet + s.l4_offset;
            (void)veld_mss_clamp(tcp, size - s.l4_offset, s.inner.src.family, mtu, csum);
            REQUIRE(!veld_mss_clamp(tcp, size - s.l4_offset, s.inner.src.family, mtu, csum));
        }
        enum veld_ecn outer = (enum veld_ecn)(kind >> 4 & 3);
        if (veld_ecn_decapsulate(packet, outer)) {
            uint8_t *before = exactly(packet, size);
            REQUIRE(outer == VELD_ECN_CE || veld_ecn_decapsulate(packet, outer));
            REQUIRE(memcmp(before, packet, size) == 0);
            free(before);
        }
    }
    free(packet);
    return 0;
}

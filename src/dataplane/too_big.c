#include "dataplane/too_big.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "dataplane/super_headers.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define ICMP_HEADER 8
#define MESSAGE_V4  576 /* RFC 1812, 4.3.2.3: as much of the packet as fits that */
#define HEADERS_MAX 8
#define HOP_LIMIT   64
#define V4_OFFSET   0x1fff
#define V6_OFFSET   0xfff8
#define INTERVAL_NS (VELD_NS_PER_S / VELD_TOO_BIG_PER_S)

/* ---- Whether one may be sent ---- */

static bool is_error_v4(uint8_t type)
{
    switch (type) {
    case ICMP_ECHOREPLY:
    case ICMP_ECHO:
    case ICMP_TIMESTAMP:
    case ICMP_TIMESTAMPREPLY:
    case ICMP_INFO_REQUEST:
    case ICMP_INFO_REPLY:
    case ICMP_ADDRESS:
    case ICMP_ADDRESSREPLY: return false;
    default: return true; /* also what is unknown */
    }
}

static bool may_tell_v4(const struct veld_super *s)
{
    const uint8_t *p = s->packet;
    if (veld_load_be16(p + 6) & V4_OFFSET)
        return false;
    if (s->inner.proto != IPPROTO_ICMP)
        return true;
    return s->inner.l4_offset < s->len && !is_error_v4(p[s->inner.l4_offset]);
}

/* What cannot be looked through, to see that it is no error, is not told of. */
static bool may_tell_v6(const struct veld_super *s)
{
    const uint8_t *p = s->packet;
    size_t at = IPV6_HEADER;
    uint8_t type = s->inner.proto;
    for (unsigned i = 0; i < HEADERS_MAX; i++) {
        if (type == IPPROTO_ICMPV6)
            return at < s->len && p[at] & ICMP6_INFOMSG_MASK;
        bool fragment = type == IPPROTO_FRAGMENT;
        if (!fragment && type != IPPROTO_HOPOPTS && type != IPPROTO_ROUTING &&
            type != IPPROTO_DSTOPTS)
            return true;
        if (at + 8 > s->len || (fragment && veld_load_be16(p + at + 2) & V6_OFFSET))
            return false;
        type = p[at];
        at += fragment ? 8 : ((size_t)p[at + 1] + 1) * 8;
    }
    return false;
}

static bool may_tell(const struct veld_super *s)
{
    if (!veld_ip_is_unicast(&s->inner.src) || !veld_ip_is_unicast(&s->inner.dst))
        return false;
    return s->inner.src.family == 4 ? may_tell_v4(s) : may_tell_v6(s);
}

/* ---- What it says ---- */

/* The beginning of the packet as it would have left: of a super-packet, its first segment. */
static size_t quote(uint8_t *out, size_t room, const struct veld_super *s)
{
    size_t len = veld_super_segment_len(s, 0);
    size_t n = VELD_MIN(len, room);
    memcpy(out, s->packet, n);
    if (s->kind != VELD_SUPER_PLAIN && s->header_len <= n)
        veld_headers_patch(&s->headers, out, 0, 0, (uint32_t)len, s->headers.tcp_flags);
    return n;
}

static size_t build_v4(uint8_t *out, const struct veld_super *s, uint16_t mtu)
{
    uint8_t *icmp = out + IPV4_HEADER;
    size_t len =
        ICMP_HEADER + quote(icmp + ICMP_HEADER, MESSAGE_V4 - IPV4_HEADER - ICMP_HEADER, s);
    memset(out, 0, IPV4_HEADER + ICMP_HEADER);
    icmp[0] = ICMP_DEST_UNREACH;
    icmp[1] = ICMP_FRAG_NEEDED;
    veld_store_be16(icmp + 6, mtu);
    veld_store_be16(icmp + 2, ~veld_csum_fold(veld_csum_add(icmp, len)));
    out[0] = 0x45;
    veld_store_be16(out + 2, (uint16_t)(IPV4_HEADER + len));
    out[8] = HOP_LIMIT;
    out[9] = IPPROTO_ICMP;
    memcpy(out + 12, s->inner.dst.b, 4);
    memcpy(out + 16, s->inner.src.b, 4);
    veld_store_be16(out + 10, ~veld_csum_fold(veld_csum_add(out, IPV4_HEADER)));
    return IPV4_HEADER + len;
}

static size_t build_v6(uint8_t *out, const struct veld_super *s, uint16_t mtu)
{
    uint8_t *icmp = out + IPV6_HEADER;
    size_t len = ICMP_HEADER +
                 quote(icmp + ICMP_HEADER, VELD_TOO_BIG_MAX - IPV6_HEADER - ICMP_HEADER, s);
    memset(out, 0, IPV6_HEADER + ICMP_HEADER);
    out[0] = 0x60;
    veld_store_be16(out + 4, (uint16_t)len);
    out[6] = IPPROTO_ICMPV6;
    out[7] = HOP_LIMIT;
    memcpy(out + 8, s->inner.dst.b, 16);
    memcpy(out + 24, s->inner.src.b, 16);
    icmp[0] = ICMP6_PACKET_TOO_BIG;
    veld_store_be32(icmp + 4, mtu);
    uint64_t pseudo = veld_csum_add(out + 8, 32) + len + IPPROTO_ICMPV6;
    veld_store_be16(icmp + 2, ~veld_csum_fold(pseudo + veld_csum_add(icmp, len)));
    return IPV6_HEADER + len;
}

size_t veld_too_big_build(uint8_t out[VELD_TOO_BIG_MAX], const struct veld_super *s,
                          uint16_t mtu)
{
    if (!may_tell(s))
        return 0;
    return s->inner.src.family == 4 ? build_v4(out, s, mtu) : build_v6(out, s, mtu);
}

/* ---- On its way ---- */

static bool rate_allows(struct veld_too_big *t, uint64_t now_ns)
{
    uint64_t paid_ns = VELD_MAX(t->paid_until_ns, now_ns) + INTERVAL_NS;
    if (paid_ns - now_ns > VELD_TOO_BIG_BURST * INTERVAL_NS)
        return false;
    t->paid_until_ns = paid_ns;
    return true;
}

void veld_too_big_tell(struct veld_too_big *t, const struct veld_context *ctx,
                       const struct veld_super *s, uint16_t mtu)
{
    unsigned slot = 0;
    while (slot < VELD_TOO_BIG_SLOTS && t->busy & 1u << slot)
        slot++;
    if (slot == VELD_TOO_BIG_SLOTS || !may_tell(s) || !rate_allows(t, ctx->now_ns))
        return;
    uint8_t *bytes = t->slots[slot].bytes; /* the virtio header stays zero: a plain packet */
    size_t len = veld_too_big_build(bytes + sizeof(struct virtio_net_hdr), s, mtu);
    t->slots[slot].iov =
        (struct iovec){.iov_base = bytes, .iov_len = sizeof(struct virtio_net_hdr) + len};
    t->busy |= 1u << slot;
    ctx->io->ops->write(ctx->io, &t->slots[slot].iov, 1, VELD_TOO_BIG_TOKEN | slot);
}

void veld_too_big_written(struct veld_too_big *t, const struct veld_context *ctx,
                          uint32_t token, int result)
{
    t->busy &= ~(1u << (token & (VELD_TOO_BIG_SLOTS - 1)));
    if (result < 0)
        veld_drop_count(ctx->stats, VELD_DROP_TUN_ERROR, 1);
}

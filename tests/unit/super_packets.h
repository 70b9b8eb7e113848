/*
 * Super-packets for tests: a generator, and a reference that checks segments
 * with nothing but RFC 1071 and the headers' own definitions. It shares no code
 * with what it tests.
 */
#ifndef VELD_TEST_SUPER_PACKETS_H
#define VELD_TEST_SUPER_PACKETS_H

#include "dataplane/super.h"
#include "wire/datagram.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

/* Costs nothing while it holds: these run millions of times. */
#define REQUIRE(cond, ...)                                                                     \
    do {                                                                                       \
        if (!(cond))                                                                           \
            cr_assert(0, "" __VA_ARGS__);                                                      \
    } while (0)

#define PACKET_MAX (40 + 65535)

static uint64_t random_state = 1;

static inline uint32_t rnd(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

/* low..high, both included */
static inline uint32_t rnd_in(uint32_t low, uint32_t high)
{
    return low + rnd() % (high - low + 1);
}

static inline void rnd_fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)rnd();
}

/* RFC 1071: the folded sum, not inverted. */
static inline uint16_t ref_sum(const uint8_t *p, size_t len, uint32_t start)
{
    uint64_t sum = start;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum > 0xffff)
        sum = sum % 0x10000 + sum / 0x10000;
    return (uint16_t)sum;
}

struct shape {
    int family; /* 4 or 6 */
    int proto;  /* IPPROTO_TCP or IPPROTO_UDP */
    size_t
        ip_extra; /* bytes of IPv4 options (times 4, to 40) or IPv6 extension headers (times 8) */
    size_t tcp_options; /* times 4, to 40 */
    uint8_t tcp_flags;
    size_t payload, gso_size;
};

struct packet {
    struct shape shape;
    struct virtio_net_hdr vh;
    size_t l4, header, len;
    uint8_t b[PACKET_MAX];
};

static inline uint16_t ref_pseudo(const struct packet *p, size_t l4_len)
{
    size_t addresses = p->shape.family == 4 ? 8 : 32;
    const uint8_t *from = p->b + (p->shape.family == 4 ? 12 : 8);
    return ref_sum(from, addresses, (uint32_t)p->shape.proto + (uint32_t)l4_len);
}

static inline void put_ip4(struct packet *p)
{
    struct iphdr ip = {.version = 4, .ihl = (unsigned)(p->l4 / 4) & 15};
    ip.tos =
        (uint8_t)(rnd() & 0xfd); /* CE would be a congestion mark: leave it to forwarders */
    ip.tot_len = htons((uint16_t)p->len);
    ip.id = htons((uint16_t)(rnd() % 4 ? rnd() : 0xfff0u)); /* some wrap */
    ip.frag_off = htons(rnd() % 2 ? IP_DF : 0);
    ip.ttl = (uint8_t)rnd_in(2, 255);
    ip.protocol = (uint8_t)p->shape.proto;
    ip.saddr = htonl(0x0a090100 + rnd_in(2, 254));
    ip.daddr = htonl(0x0a090200 + rnd_in(2, 254));
    memcpy(p->b, &ip, sizeof ip);
    memset(p->b + sizeof ip, 1, p->l4 - sizeof ip); /* NOP options */
    ip.check = htons((uint16_t)~ref_sum(p->b, p->l4, 0));
    memcpy(p->b, &ip, sizeof ip);
}

static inline void put_ip6(struct packet *p)
{
    static const uint8_t chain[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING};
    struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28 | (rnd() & 0x0fcfffff))};
    size_t n = p->shape.ip_extra / 8, at = sizeof ip;
    REQUIRE(n <= sizeof chain);
    ip.ip6_plen = htons((uint16_t)(p->len - sizeof ip));
    ip.ip6_hlim = (uint8_t)rnd_in(2, 255);
    ip.ip6_nxt = n ? chain[0] : (uint8_t)p->shape.proto;
    inet_pton(AF_INET6, "fd00:1::2", &ip.ip6_src);
    inet_pton(AF_INET6, "fd00:2::2", &ip.ip6_dst);
    ip.ip6_src.s6_addr[15] = (uint8_t)rnd_in(2, 254);
    ip.ip6_dst.s6_addr[15] = (uint8_t)rnd_in(2, 254);
    memcpy(p->b, &ip, sizeof ip);
    for (size_t i = 0; i < n; i++, at += 8) {
        uint8_t next = i + 1 < n ? chain[i + 1] : (uint8_t)p->shape.proto;
        uint8_t padded[8] = {next, 0, 1, 4}; /* PadN over the rest */
        if (chain[i] == IPPROTO_ROUTING)
            memcpy(padded + 2, (uint8_t[6]){4}, 6); /* type 4, no segments left */
        memcpy(p->b + at, padded, 8);
    }
}

/* What a kernel with TSO or USO on hands to a TUN reader. */
static inline void make_packet(struct packet *p, const struct shape *s)
{
    bool tcp = s->proto == IPPROTO_TCP;
    p->shape = *s;
    p->l4 = (s->family == 4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr)) + s->ip_extra;
    p->header = p->l4 + (tcp ? sizeof(struct tcphdr) + s->tcp_options : sizeof(struct udphdr));
    p->len = p->header + s->payload;
    REQUIRE(p->len <= (s->family == 4 ? 65535 : PACKET_MAX));
    if (s->family == 4)
        put_ip4(p);
    else
        put_ip6(p);

    uint16_t partial = htons(ref_pseudo(p, p->len - p->l4));
    if (tcp) {
        struct tcphdr th = {.source = htons(4001), .dest = htons((uint16_t)rnd())};
        th.seq = htonl(rnd() % 4 ? rnd() : 0xfffffff0u); /* some wrap */
        th.ack_seq = htonl(rnd());
        th.doff = (unsigned)((sizeof th + s->tcp_options) / 4) & 15;
        th.window = htons((uint16_t)rnd());
        th.check = partial;
        memcpy(p->b + p->l4, &th, sizeof th);
        p->b[p->l4 + 13] = s->tcp_flags;
        rnd_fill(p->b + p->l4 + sizeof th, s->tcp_options);
    } else {
        struct udphdr uh = {.source = htons(4001), .dest = htons((uint16_t)rnd())};
        uh.len = htons((uint16_t)(p->len - p->l4));
        uh.check = partial;
        memcpy(p->b + p->l4, &uh, sizeof uh);
    }
    rnd_fill(p->b + p->header, s->payload);

    p->vh = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .csum_start = (uint16_t)p->l4,
        .csum_offset = tcp ? 16 : 6,
    };
    if (s->payload > s->gso_size) {
        p->vh.gso_size = (uint16_t)s->gso_size;
        p->vh.hdr_len = (uint16_t)p->header;
        p->vh.gso_type = !tcp             ? VIRTIO_NET_HDR_GSO_UDP_L4
                         : s->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                          : VIRTIO_NET_HDR_GSO_TCPV6;
        if (tcp && s->tcp_flags & 0x80)
            p->vh.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    }
}

/* Random, but never more than `segments_max` segments. Only flags that a stream's middle may have. */
static inline struct shape random_shape(size_t segments_max)
{
    struct shape s = {
        .family = rnd() % 2 ? 4 : 6,
        .proto = rnd() % 3 ? IPPROTO_TCP : IPPROTO_UDP,
        .tcp_options = rnd_in(0, 10) * 4,
        .tcp_flags = (uint8_t)(0x10 | (rnd() & 0xc9)), /* ACK; CWR, ECE, PSH, FIN */
    };
    s.ip_extra = rnd() % 2 ? 0 : s.family == 4 ? rnd_in(0, 10) * 4 : rnd_in(0, 3) * 8;
    static const uint16_t common[] = {1, 2, 48, 536, 1180, 1208, 1360, 1380, 8948, 9000};
    s.gso_size = rnd() % 2 ? common[rnd() % 10] : rnd_in(1, 9000);
    size_t most = 65535 - 60 - 60;
    if (segments_max * s.gso_size < most)
        most = segments_max * s.gso_size;
    s.payload = rnd() % 4 ? rnd_in(1, (uint32_t)most) : most - most % s.gso_size;
    return s;
}

/*
 * Check segment `i` of `n` against the packet it was cut from, completing its
 * checksum in place as the receiver's device would.
 */
static inline void check_segment(const struct packet *p, size_t i, size_t n, uint8_t *seg,
                                 size_t len)
{
    size_t offset = i * p->shape.gso_size;
    size_t payload = i + 1 < n ? p->shape.gso_size : p->shape.payload - offset;
    size_t l4_len = len - p->l4;
    uint8_t want[256];

    REQUIRE(len == p->header + payload, "segment %zu of %zu is %zu long", i, n, len);
    REQUIRE(memcmp(seg + p->header, p->b + p->header + offset, payload) == 0, "payload");

    REQUIRE(p->header <= sizeof want);

    /* Everything but these is as in the packet. */
    memcpy(want, p->b, p->header);
    if (p->shape.family == 4) {
        struct iphdr ip;
        memcpy(&ip, want, sizeof ip);
        ip.tot_len = htons((uint16_t)len);
        ip.id = htons((uint16_t)(ntohs(ip.id) + i));
        ip.check = 0;
        memcpy(want, &ip, sizeof ip);
        REQUIRE(ref_sum(seg, p->l4, 0) == 0xffff, "IPv4 checksum");
        memcpy(want + 10, seg + 10, 2);
    } else {
        struct ip6_hdr ip;
        memcpy(&ip, want, sizeof ip);
        ip.ip6_plen = htons((uint16_t)(len - sizeof ip));
        memcpy(want, &ip, sizeof ip);
    }
    uint8_t *csum = seg + p->l4 + p->vh.csum_offset;
    uint16_t partial = htons(ref_pseudo(p, l4_len));
    if (p->shape.proto == IPPROTO_TCP) {
        struct tcphdr th;
        memcpy(&th, want + p->l4, sizeof th);
        th.seq = htonl(ntohl(th.seq) + (uint32_t)offset);
        th.check = partial;
        th.fin &= i + 1 == n;
        th.psh &= i + 1 == n;
        memcpy(want + p->l4, &th, sizeof th);
        if (i > 0)
            want[p->l4 + 13] &= 0x7f; /* CWR */
    } else {
        struct udphdr uh;
        memcpy(&uh, want + p->l4, sizeof uh);
        uh.len = htons((uint16_t)l4_len);
        uh.check = partial;
        memcpy(want + p->l4, &uh, sizeof uh);
    }
    for (size_t k = 0; k < p->header; k++)
        REQUIRE(want[k] == seg[k], "header byte %zu of segment %zu: %02x, not %02x", k, i,
                seg[k], want[k]);

    uint16_t complete = htons((uint16_t)~ref_sum(seg + p->l4, l4_len, 0));
    memcpy(csum, &complete, 2);
    REQUIRE(ref_sum(seg + p->l4, l4_len, ref_pseudo(p, l4_len)) == 0xffff, "L4 checksum");
}

#endif

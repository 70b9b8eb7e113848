#include "dataplane/too_big.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "super_packets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

static struct packet p;
static uint8_t out[VELD_TOO_BIG_MAX];

static struct veld_super parsed(void)
{
    struct veld_super s;
    cr_assert_eq(veld_super_parse(&p.vh, p.b, p.len, &s), 0);
    return s;
}

static size_t build(uint16_t mtu)
{
    struct veld_super s = parsed();
    memset(out, 0xee, sizeof out);
    return veld_too_big_build(out, &s, mtu);
}

/* The quoted packet must be the first one that would have left. */
static void check_quote(const uint8_t *quoted, size_t n)
{
    struct veld_super s = parsed();
    static uint8_t first[PACKET_MAX];
    veld_super_segment_write(&s, 0, first);
    /* PSH, FIN and the like are the splitter's to clear; nobody looks for them in a quote. */
    if (s.kind == VELD_SUPER_TCP && p.l4 + 14 <= n)
        first[p.l4 + 13] = quoted[p.l4 + 13];
    cr_assert_arr_eq(quoted, first, n);
}

Test(too_big, ipv4_message)
{
    static const size_t payloads[] = {1380, 520, 100, 9, 20000};
    for (size_t i = 0; i < VELD_ARRAY_LEN(payloads); i++) {
        for (int proto = IPPROTO_TCP; proto <= IPPROTO_UDP;
             proto += IPPROTO_UDP - IPPROTO_TCP) {
            make_packet(&p, &(struct shape){.family = 4,
                                            .proto = proto,
                                            .tcp_flags = 0x18,
                                            .payload = payloads[i],
                                            .gso_size = 1380});
            size_t len = build(1340);
            struct iphdr ip;
            struct icmphdr icmp;
            memcpy(&ip, out, sizeof ip);
            memcpy(&icmp, out + 20, sizeof icmp);
            size_t quoted = VELD_MIN(p.header + VELD_MIN(payloads[i], 1380), 548);
            cr_assert_eq(len, 28 + quoted);
            cr_assert_eq(ip.version, 4);
            cr_assert_eq(ntohs(ip.tot_len), len);
            cr_assert_eq(ip.protocol, IPPROTO_ICMP);
            cr_assert_arr_eq(&ip.daddr, p.b + 12, 4);
            cr_assert_arr_eq(&ip.saddr, p.b + 16, 4);
            cr_assert_eq(ref_sum(out, 20, 0), 0xffff);
            cr_assert_eq(icmp.type, ICMP_DEST_UNREACH);
            cr_assert_eq(icmp.code, ICMP_FRAG_NEEDED);
            cr_assert_eq(ntohs(icmp.un.frag.mtu), 1340);
            cr_assert_eq(icmp.un.frag.__glibc_reserved, 0);
            cr_assert_eq(ref_sum(out + 20, len - 20, 0), 0xffff);
            check_quote(out + 28, quoted);
        }
    }
}

Test(too_big, ipv6_message)
{
    static const size_t payloads[] = {1360, 1300, 100, 20000};
    for (size_t i = 0; i < VELD_ARRAY_LEN(payloads); i++) {
        make_packet(&p, &(struct shape){.family = 6,
                                        .proto = IPPROTO_UDP,
                                        .ip_extra = 8,
                                        .payload = payloads[i],
                                        .gso_size = 1360});
        size_t len = build(1340);
        struct ip6_hdr ip;
        struct icmp6_hdr icmp;
        memcpy(&ip, out, sizeof ip);
        memcpy(&icmp, out + 40, sizeof icmp);
        size_t quoted = VELD_MIN(p.header + VELD_MIN(payloads[i], 1360), 1280 - 48);
        cr_assert_eq(len, 48 + quoted);
        cr_assert_eq(ntohs(ip.ip6_plen), len - 40);
        cr_assert_eq(ip.ip6_nxt, IPPROTO_ICMPV6);
        cr_assert_arr_eq(&ip.ip6_dst, p.b + 8, 16);
        cr_assert_arr_eq(&ip.ip6_src, p.b + 24, 16);
        cr_assert_eq(icmp.icmp6_type, ICMP6_PACKET_TOO_BIG);
        cr_assert_eq(icmp.icmp6_code, 0);
        cr_assert_eq(ntohl(icmp.icmp6_mtu), 1340);
        uint32_t pseudo = ref_sum(out + 8, 32, (uint32_t)(len - 40) + IPPROTO_ICMPV6);
        cr_assert_eq(ref_sum(out + 40, len - 40, pseudo), 0xffff);
        check_quote(out + 48, quoted);
    }
}

static void make_udp(int family)
{
    make_packet(&p,
                &(struct shape){
                    .family = family, .proto = IPPROTO_UDP, .payload = 1380, .gso_size = 9000});
    p.vh = (struct virtio_net_hdr){0};
}

Test(too_big, never_about_icmp_errors)
{
    const uint8_t told4[] = {0, 8, 13, 14, 15, 16, 17, 18};
    for (unsigned type = 0; type < 256; type++) {
        make_udp(4);
        p.b[9] = IPPROTO_ICMP;
        p.b[20] = (uint8_t)type;
        cr_assert_eq(build(1300) > 0, memchr(told4, (int)type, sizeof told4) != NULL, "%u",
                     type);
        make_udp(6);
        p.b[6] = IPPROTO_ICMPV6;
        p.b[40] = (uint8_t)type;
        cr_assert_eq(build(1300) > 0, type >= 128, "%u", type);
        /* and behind a header */
        p.b[6] = IPPROTO_DSTOPTS;
        memcpy(p.b + 40, (uint8_t[8]){IPPROTO_ICMPV6, 0, 1, 4}, 8);
        p.b[48] = (uint8_t)type;
        cr_assert_eq(build(1300) > 0, type >= 128);
    }
}

Test(too_big, never_about_later_fragments)
{
    make_udp(4);
    p.b[6] = 0x20;
    p.b[7] = 0;
    cr_assert_gt(build(1300), 0, "the first");
    p.b[7] = 1;
    cr_assert_eq(build(1300), 0);
    make_udp(6);
    p.b[6] = IPPROTO_FRAGMENT;
    memcpy(p.b + 40, (uint8_t[8]){IPPROTO_UDP, 0, 0, 1}, 8);
    cr_assert_gt(build(1300), 0);
    p.b[43] = 9;
    cr_assert_eq(build(1300), 0);
}

Test(too_big, never_to_or_from_what_is_not_one_host)
{
    static const char *const no4[] = {"0.0.0.0", "224.0.0.1", "239.255.255.250",
                                      "255.255.255.255", "127.0.0.1"};
    static const char *const no6[] = {"::", "ff02::1", "::1"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(no4) + VELD_ARRAY_LEN(no6); i++) {
        bool v4 = i < VELD_ARRAY_LEN(no4);
        const char *text = v4 ? no4[i] : no6[i - VELD_ARRAY_LEN(no4)];
        for (unsigned end = 0; end < 2; end++) {
            make_udp(v4 ? 4 : 6);
            cr_assert_gt(build(1300), 0);
            inet_pton(v4 ? AF_INET : AF_INET6, text, p.b + (v4 ? 12 + 4 * end : 8 + 16 * end));
            cr_assert_eq(build(1300), 0, "%s", text);
        }
    }
}

/* ---- Its way to the interface ---- */

struct fake {
    struct veld_io io;
    unsigned n;
    uint32_t tokens[64];
};

static void fake_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct fake *f = (struct fake *)io;
    cr_assert_lt(f->n, 64);
    f->tokens[f->n++] = token;
    static const uint8_t plain[sizeof(struct virtio_net_hdr)];
    cr_assert_eq(n, 1);
    cr_assert_arr_eq(iov->iov_base, plain, sizeof plain);
    cr_assert_eq(iov->iov_len, sizeof plain + 576);
}

static const struct veld_io_ops fake_ops = {.write = fake_write};

Test(too_big, slots_and_rate_are_bounded)
{
    static struct veld_too_big t;
    static struct veld_counters stats;
    struct fake fake = {.io.ops = &fake_ops};
    struct veld_context ctx = {.io = &fake.io, .stats = &stats, .now_ns = VELD_NS_PER_S};
    make_udp(4);
    struct veld_super s = parsed();
    for (unsigned i = 0; i < 50; i++)
        veld_too_big_tell(&t, &ctx, &s, 1300);
    cr_assert_eq(fake.n, VELD_TOO_BIG_SLOTS, "nothing was told yet");
    unsigned seen = 0;
    for (unsigned i = 0; i < fake.n; i++) {
        cr_assert(fake.tokens[i] & VELD_TOO_BIG_TOKEN);
        seen |= 1u << (fake.tokens[i] & 31);
        veld_too_big_written(&t, &ctx, fake.tokens[i], i == 0 ? -EIO : 604);
    }
    cr_assert_eq(seen, (1u << VELD_TOO_BIG_SLOTS) - 1);
    cr_assert_eq(veld_counter_get(&stats.drops[VELD_DROP_TUN_ERROR]), 1);
    for (unsigned i = 0; i < 50; i++) {
        unsigned before = fake.n;
        veld_too_big_tell(&t, &ctx, &s, 1300);
        if (fake.n > before)
            veld_too_big_written(&t, &ctx, fake.tokens[before], 604);
    }
    cr_assert_eq(fake.n, VELD_TOO_BIG_BURST);
    ctx.now_ns += 3 * VELD_NS_PER_S / VELD_TOO_BIG_PER_S;
    for (unsigned i = 0; i < 50; i++)
        veld_too_big_tell(&t, &ctx, &s, 1300);
    cr_assert_eq(fake.n, VELD_TOO_BIG_BURST + 3);
    /* What must not be told of uses nothing up. */
    ctx.now_ns += VELD_NS_PER_S;
    p.b[12] = 224;
    s = parsed();
    for (unsigned i = 0; i < 50; i++)
        veld_too_big_tell(&t, &ctx, &s, 1300);
    cr_assert_eq(fake.n, VELD_TOO_BIG_BURST + 3);
}

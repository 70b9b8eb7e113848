#include "unit/super_packets.h"

#include <stdlib.h>

#define SEGMENTS_MAX 512

struct segment {
    uint8_t *b;
    size_t len;
    uint8_t flags;
};

struct cut {
    size_t n;
    struct segment s[SEGMENTS_MAX];
    uint8_t room[PACKET_MAX + SEGMENTS_MAX * 256];
};

static struct packet pkt;
static struct cut cut;
static struct veld_join join = {.udp_segments_max = VELD_JOIN_SEGMENTS_MAX};
static uint8_t joined[PACKET_MAX];

static void seeded(void)
{
    const char *seed = getenv("VELD_TEST_SEED");
    random_state = seed ? strtoull(seed, NULL, 0) | 1 : 0x2545f4914f6cdd1dull;
}
TestSuite(super, .init = seeded);

static void split(const struct virtio_net_hdr *vh, const uint8_t *packet, size_t len,
                  struct cut *out)
{
    struct veld_super s;
    uint8_t *at = out->room;
    int err = veld_super_parse(vh, packet, len, &s);
    REQUIRE(err == 0, "parse: %d", err);
    out->n = veld_super_segments(&s);
    REQUIRE(out->n >= 1 && out->n <= SEGMENTS_MAX, "%zu segments", out->n);
    for (size_t i = 0; i < out->n; i++) {
        struct segment *seg = &out->s[i];
        seg->b = at;
        seg->len = veld_super_segment_len(&s, i);
        at += seg->len;
        REQUIRE(at < out->room + sizeof out->room);
        seg->flags = veld_super_segment_write(&s, i, seg->b);
    }
}

static void split_packet(const struct shape *shape)
{
    make_packet(&pkt, shape);
    split(&pkt.vh, pkt.b, pkt.len, &cut);
}

static int begin(struct veld_join *j, struct segment *s)
{
    struct veld_inner inner;
    REQUIRE(veld_inner_parse(s->b, s->len, &inner) == 0);
    return veld_join_begin(j, s->b, s->len, &inner, s->flags);
}

static bool append(struct veld_join *j, struct segment *s)
{
    return veld_join_append(j, s->b, s->len, s->flags);
}

static size_t finish(struct veld_join *j)
{
    size_t len = 0;
    veld_join_finish(j);
    REQUIRE(j->iov[0].iov_base == &j->hdr && j->iov[0].iov_len == sizeof j->hdr);
    for (unsigned i = 1; i < j->n_iov; i++) {
        REQUIRE(len + j->iov[i].iov_len <= sizeof joined);
        memcpy(joined + len, j->iov[i].iov_base, j->iov[i].iov_len);
        len += j->iov[i].iov_len;
    }
    return len;
}

/*
 * Finish `j`, which joined segments [from, to) of `c`, and require the write to
 * be sound whatever they were: it splits into just those segments again.
 */
static void finish_and_invert(struct veld_join *j, const struct cut *c, size_t from, size_t to)
{
    static struct cut before, again;
    before = *c;
    size_t len = finish(j);
    REQUIRE(j->n_iov == 1 + to - from);
    split(&j->hdr, joined, len, &again);
    REQUIRE(again.n == to - from, "%zu segments became %zu", to - from, again.n);
    for (size_t i = 0; i < again.n; i++) {
        const struct segment *was = &c->s[from + i], *is = &again.s[i];
        REQUIRE(is->len == was->len);
        REQUIRE(memcmp(is->b, before.room + (was->b - c->room), is->len) == 0,
                "segment %zu of the join is not what was joined", i);
    }
}

/* Join all of `c` as the receiver does; the number of writes. */
static size_t join_all(struct cut *c)
{
    size_t writes = 0;
    for (size_t from = 0, to; from < c->n; from = to, writes++) {
        REQUIRE(begin(&join, &c->s[from]) == 0);
        for (to = from + 1; to < c->n && append(&join, &c->s[to]);)
            to++;
        finish_and_invert(&join, c, from, to);
    }
    return writes;
}

static void require_same_as_packet(size_t len)
{
    REQUIRE(len == pkt.len, "%zu bytes joined, %zu split", len, pkt.len);
    REQUIRE(memcmp(joined, pkt.b, len) == 0, "joined packet differs");
    REQUIRE(memcmp(&join.hdr, &pkt.vh, sizeof pkt.vh) == 0, "virtio header differs");
}

Test(super, split_and_join_give_back_the_packet)
{
    static struct cut checked;
    for (int round = 0; round < 4000; round++) {
        struct shape shape = random_shape(VELD_JOIN_SEGMENTS_MAX);
        split_packet(&shape);
        checked = cut;
        for (size_t i = 0; i < cut.n; i++) {
            uint8_t want = VELD_FLAG_PARTIAL_CSUM;
            if (cut.n > 1)
                want |= VELD_FLAG_SEGMENT | (i ? VELD_FLAG_CONTINUES : 0);
            REQUIRE(cut.s[i].flags == want);
            check_segment(&pkt, i, cut.n, checked.room + (cut.s[i].b - cut.room), cut.s[i].len);
        }
        REQUIRE(begin(&join, &cut.s[0]) == 0);
        for (size_t i = 1; i < cut.n; i++)
            REQUIRE(append(&join, &cut.s[i]), "round %d: segment %zu of %zu", round, i, cut.n);
        require_same_as_packet(finish(&join));
    }
}

Test(super, more_segments_than_one_join_takes_go_on_in_the_next)
{
    for (int round = 0; round < 50; round++) {
        struct shape shape = random_shape(SEGMENTS_MAX);
        shape.tcp_flags &= ~0x09;
        split_packet(&shape);
        size_t n = cut.n;
        REQUIRE(join_all(&cut) == (n + VELD_JOIN_SEGMENTS_MAX - 1) / VELD_JOIN_SEGMENTS_MAX);
    }
}

Test(super, one_byte_segments_of_the_largest_packet)
{
    struct veld_super s;
    uint8_t seg[128];
    struct shape shape = {4, IPPROTO_TCP, 0, 12, 0x18, 65535 - 52, 1};
    make_packet(&pkt, &shape);
    REQUIRE(veld_super_parse(&pkt.vh, pkt.b, pkt.len, &s) == 0);
    REQUIRE(veld_super_segments(&s) == shape.payload);
    for (size_t i = 0; i < shape.payload; i++) {
        size_t len = veld_super_segment_len(&s, i);
        REQUIRE(len == 53);
        veld_super_segment_write(&s, i, seg);
        check_segment(&pkt, i, shape.payload, seg, len);
    }
}

Test(super, a_gso_read_that_fits_one_segment_is_plain)
{
    struct shape shape = {4, IPPROTO_TCP, 0, 12, 0x18, 1000, 999};
    make_packet(&pkt, &shape);
    pkt.vh.gso_size = 1000;
    split(&pkt.vh, pkt.b, pkt.len, &cut);
    REQUIRE(cut.n == 1 && cut.s[0].flags == VELD_FLAG_PARTIAL_CSUM);
    REQUIRE(memcmp(cut.s[0].b, pkt.b, pkt.len) == 0);
}

Test(super, plain_reads_pass_unchanged)
{
    for (int round = 0; round < 500; round++) {
        struct shape shape = random_shape(1);
        bool partial = rnd() % 2;
        make_packet(&pkt, &shape);
        if (!partial)
            pkt.vh = (struct virtio_net_hdr){0};
        split(&pkt.vh, pkt.b, pkt.len, &cut);
        REQUIRE(cut.n == 1 && cut.s[0].flags == (partial ? VELD_FLAG_PARTIAL_CSUM : 0));
        REQUIRE(begin(&join, &cut.s[0]) == 0);
        require_same_as_packet(finish(&join));
    }
}

/* Linux asks for this when TCP runs inside a tunnel whose own checksum is done. */
Test(super, a_checksum_the_receiver_would_not_find_is_completed)
{
    struct shape shape = {4, IPPROTO_UDP, 0, 0, 0, 601, 9000};
    make_packet(&pkt, &shape);
    pkt.vh.csum_start = 80;
    pkt.vh.csum_offset = 16;
    split(&pkt.vh, pkt.b, pkt.len, &cut);
    REQUIRE(cut.n == 1 && cut.s[0].flags == 0);
    uint16_t want = (uint16_t)~ref_sum(pkt.b + 80, pkt.len - 80, 0);
    pkt.b[96] = (uint8_t)(want >> 8);
    pkt.b[97] = (uint8_t)want;
    REQUIRE(memcmp(cut.s[0].b, pkt.b, pkt.len) == 0);

    /* TCP and UDP, but not the checksum of theirs. */
    for (int other = 0; other < 2; other++) {
        make_packet(&pkt, &shape);
        pkt.vh.csum_start += other ? 2 : 0;
        pkt.vh.csum_offset += other ? 0 : 2;
        split(&pkt.vh, pkt.b, pkt.len, &cut);
        cr_assert_eq(cut.s[0].flags, 0);
    }

    /* A protocol of which the receiver knows nothing, at its own offset. */
    make_packet(&pkt, &shape);
    pkt.b[9] = IPPROTO_GRE;
    split(&pkt.vh, pkt.b, pkt.len, &cut);
    REQUIRE(cut.s[0].flags == 0);
    REQUIRE(ref_sum(cut.s[0].b + 20, pkt.len - 20, 0) != 0);
    want = htons((uint16_t)~ref_sum(pkt.b + 20, pkt.len - 20, 0));
    REQUIRE(memcmp(cut.s[0].b + 26, &want, 2) == 0);

    /* A sum that completes to zero is written as its equal. */
    memset(pkt.b + 20, 0, pkt.len - 20);
    pkt.b[20] = pkt.b[21] = 0xff;
    split(&pkt.vh, pkt.b, pkt.len, &cut);
    REQUIRE(cut.s[0].b[26] == 0xff && cut.s[0].b[27] == 0xff);
}

static int parse_made(void)
{
    struct veld_super s;
    int err = veld_super_parse(&pkt.vh, pkt.b, pkt.len, &s);
    REQUIRE(err == 0 || s.packet == NULL, "outputs are zeroed on failure");
    return err;
}

static void make(int family, int proto)
{
    struct shape shape = {family, proto, 0, proto == IPPROTO_TCP ? 12 : 0, 0x10, 5000, 1400};
    make_packet(&pkt, &shape);
}

/* Parse a good super-packet with one change to it, `p`. */
#define PARSE(family, proto, change)                                                           \
    ({                                                                                         \
        struct packet *p = &pkt;                                                               \
        make(family, proto);                                                                   \
        change;                                                                                \
        parse_made();                                                                          \
    })
#define REFUSED(family, proto, change)                                                         \
    cr_assert_eq(PARSE(family, proto, change), VELD_E_FORMAT, "%s", #change)

Test(super, a_virtio_header_that_contradicts_the_packet_is_refused)
{
    cr_assert_eq(PARSE(4, IPPROTO_TCP, (void)p), 0);
    cr_assert_eq(PARSE(4, IPPROTO_TCP, p->vh.hdr_len = 65535), 0);
    REFUSED(4, IPPROTO_TCP, p->vh.gso_size = 0);
    REFUSED(4, IPPROTO_TCP, p->vh.flags = 0);
    REFUSED(4, IPPROTO_TCP, p->vh.csum_start++);
    REFUSED(4, IPPROTO_TCP, p->vh.csum_start = 65535);
    REFUSED(4, IPPROTO_TCP, p->vh.csum_offset = 6);
    REFUSED(4, IPPROTO_TCP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV6);
    REFUSED(6, IPPROTO_TCP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
    REFUSED(4, IPPROTO_TCP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4);
    REFUSED(4, IPPROTO_UDP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
    REFUSED(6, IPPROTO_UDP, p->vh.gso_type |= VIRTIO_NET_HDR_GSO_ECN);
    REFUSED(4, IPPROTO_TCP, p->b[32] = 0x40); /* data offset below 5 words */
    REFUSED(4, IPPROTO_TCP, p->b[6] |= 0x20); /* a fragment */
    REFUSED(4, IPPROTO_TCP, p->b[9] = IPPROTO_SCTP);
    REFUSED(4, IPPROTO_TCP, p->len--);
    REFUSED(4, IPPROTO_TCP, p->len = 0);
    REFUSED(6, IPPROTO_TCP, p->b[6] = IPPROTO_FRAGMENT);
    REFUSED(6, IPPROTO_TCP, p->b[6] = IPPROTO_AH);
    cr_assert_eq(PARSE(4, IPPROTO_UDP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_UDP),
                 VELD_E_UNSUPPORTED);
    cr_assert_eq(PARSE(4, IPPROTO_TCP, p->vh.gso_type = VIRTIO_NET_HDR_GSO_ECN),
                 VELD_E_UNSUPPORTED);

    /* Plain, with a checksum to do outside of the packet, or inside of its IP header. */
    REFUSED(4, IPPROTO_TCP, p->vh.gso_type = 0; p->vh.csum_start = 19);
    REFUSED(6, IPPROTO_UDP, p->vh.gso_type = 0; p->vh.csum_start = 39);
    REFUSED(4, IPPROTO_TCP, p->vh.gso_type = 0; p->vh.csum_offset = (uint16_t)(p->len - 21));
    REFUSED(4, IPPROTO_TCP, p->vh.gso_type = 0; p->vh.csum_start = 65535;
            p->vh.csum_offset = 65535);
    cr_assert_eq(
        PARSE(4, IPPROTO_TCP, p->vh.gso_type = 0; p->vh.csum_offset = (uint16_t)(p->len - 22)),
        0);
}

/* The packet ends within its TCP header, its UDP header, its extension headers. */
Test(super, truncated_headers_are_refused)
{
    for (int round = 0; round < 300; round++) {
        struct shape shape = random_shape(64);
        struct veld_super s;
        make_packet(&pkt, &shape);
        for (size_t len = 0; len < pkt.header; len++) {
            uint8_t *exact =
                malloc(len ? len : 1); /* so that sanitizers see every step outside */
            memcpy(exact, pkt.b, len);
            if (shape.family == 4 && len >= 4)
                exact[2] = 0, exact[3] = (uint8_t)len;
            if (shape.family == 6 && len >= 40)
                exact[4] = 0, exact[5] = (uint8_t)(len - 40);
            struct virtio_net_hdr vh = pkt.vh;
            vh.gso_size = 1;
            vh.gso_type = shape.proto == IPPROTO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
                          : shape.family == 4        ? VIRTIO_NET_HDR_GSO_TCPV4
                                                     : VIRTIO_NET_HDR_GSO_TCPV6;
            REQUIRE(veld_super_parse(&vh, exact, len, &s) == VELD_E_FORMAT, "at %zu", len);
            free(exact);
        }
    }
}

static const struct shape stream = {4, IPPROTO_TCP, 4, 12, 0x98, 6000, 1400};

Test(super, lost_reordered_and_repeated_neighbours_do_not_join)
{
    for (int round = 0; round < 300; round++) {
        struct shape shape = random_shape(32);
        if (shape.payload < 3 * shape.gso_size)
            continue;
        for (size_t a = 0; a < 5; a++)
            for (size_t b = 0; b < 5; b++) {
                split_packet(&shape);
                if (a >= cut.n || b >= cut.n ||
                    (shape.family == 6 && shape.proto == IPPROTO_UDP))
                    continue;
                cut.s[b].flags |= VELD_FLAG_CONTINUES;
                REQUIRE(begin(&join, &cut.s[a]) == 0);
                /* The last segment may be short, and what follows it is never joined. */
                REQUIRE(append(&join, &cut.s[b]) == (b == a + 1), "%zu after %zu", b, a);
            }
    }
}

Test(super, a_run_goes_on_after_a_lost_segment)
{
    split_packet(&stream);
    cr_assert_eq(cut.n, 5);
    memmove(&cut.s[1], &cut.s[2], 3 * sizeof cut.s[0]);
    cut.n = 4;
    cr_assert_eq(join_all(&cut), 2);
}

Test(super, a_short_segment_and_a_push_end_the_join)
{
    static struct cut next;
    split_packet(&stream);
    next = cut;
    cr_assert_eq(begin(&join, &cut.s[3]), 0);
    cr_assert(append(&join, &cut.s[4])); /* 400 bytes */
    next.s[4].b = next.room + (cut.s[4].b - cut.room);
    cr_assert_not(append(&join, &next.s[4]));

    struct shape full = {6, IPPROTO_UDP, 0,   0,
                         0, 4000,        1000}; /* nothing in UDP tells them apart */
    split_packet(&full);
    cr_assert_eq(begin(&join, &cut.s[0]), 0);
    cr_assert(append(&join, &cut.s[1]));
    full.payload = 1999;
    split_packet(&full);
    cr_assert_eq(begin(&join, &cut.s[1]), 0); /* begun by a short one, no longer one follows */
    cut.s[0].flags |= VELD_FLAG_CONTINUES;
    cr_assert_not(append(&join, &cut.s[0]));

    full.payload = 2500;
    split_packet(&full);
    cr_assert_eq(begin(&join, &cut.s[0]), 0);
    cr_assert(append(&join, &cut.s[2])); /* 500 bytes, and another 500 */
    next = cut;
    next.s[2].b = next.room + (cut.s[2].b - cut.room);
    cr_assert_not(append(&join, &next.s[2]));

    for (uint8_t bit = 1; bit; bit <<= 1) {
        struct shape flagged = {4, IPPROTO_TCP, 0, 0, 0x10, 4000, 1000};
        flagged.tcp_flags |= bit;
        split_packet(&flagged);
        bool ends = bit & 0x26; /* SYN, RST, URG: in every segment, and none is joined */
        cr_assert_eq(join_all(&cut), ends ? 4 : 1, "flag %02x", bit);
        split_packet(&flagged);
        cut.s[0].b[33] |= bit;
        cr_assert_eq(begin(&join, &cut.s[0]), 0);
        ends = bit & 0x2f; /* a first segment with PSH or FIN is also the last */
        cr_assert_eq(append(&join, &cut.s[1]), !ends, "flag %02x", bit);
    }
}

Test(super, a_refused_segment_leaves_no_trace)
{
    static struct cut other;
    split_packet(&stream);
    other = cut;
    uint8_t *last = other.room + (cut.s[4].b - cut.room);
    other.s[4].b = last; /* PSH, and not the next */
    cr_assert_eq(begin(&join, &cut.s[0]), 0);
    cr_assert(append(&join, &cut.s[1]));
    cr_assert_not(append(&join, &other.s[4]));
    finish_and_invert(&join, &cut, 0, 2);
}

/* No super-packet has one, so a peer that flags one makes it up. */
Test(super, a_segment_without_payload_is_not_joined)
{
    split_packet(&stream);
    struct segment empty = {malloc(cut.s[1].len), pkt.header, cut.s[1].flags};
    memcpy(empty.b, cut.s[1].b, pkt.header);
    uint16_t partial = htons(ref_pseudo(&pkt, pkt.header - pkt.l4));
    memcpy(empty.b + pkt.l4 + 16, &partial, 2);
    empty.b[2] = 0, empty.b[3] = (uint8_t)pkt.header;
    empty.b[10] = empty.b[11] = 0;
    uint16_t check = htons((uint16_t)~ref_sum(empty.b, pkt.l4, 0));
    memcpy(empty.b + 10, &check, 2);

    cr_assert_eq(begin(&join, &cut.s[0]), 0);
    cr_assert_not(append(&join, &empty));
    cr_assert_eq(begin(&join, &empty), 0);
    cr_assert_not(append(&join, &cut.s[1]));
    cr_assert_eq(finish(&join), pkt.header);
    free(empty.b);
}

/* Every bit of the headers counts, in the first segment and in the next. */
Test(super, segments_with_any_other_header_do_not_join)
{
    for (int round = 0; round < 40; round++) {
        struct shape shape = random_shape(16);
        if (shape.payload < 3 * shape.gso_size)
            continue;
        make_packet(&pkt, &shape);
        for (size_t bit = 0; bit < pkt.header * 8; bit++)
            for (size_t which = 0; which < 2; which++) {
                split(&pkt.vh, pkt.b, pkt.len, &cut);
                struct veld_inner inner;
                cut.s[which].b[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (veld_inner_parse(cut.s[which].b, cut.s[which].len, &inner) != 0 ||
                    begin(&join, &cut.s[0]) != 0)
                    continue;
                /* But CWR, which only a first segment has, and PSH and FIN, only a last. */
                uint8_t free_flags = which == 0 ? 0x80 : 0x09;
                bool free = shape.proto == IPPROTO_TCP && bit / 8 == pkt.l4 + 13 &&
                            (free_flags & 1 << bit % 8);
                REQUIRE(append(&join, &cut.s[1]) == free, "bit %zu of segment %zu", bit, which);
            }
    }
}

Test(super, lengths_never_pass_what_ip_can_say)
{
    enum {
        PAYLOAD = 655
    }; /* one more makes 65535 or less for IPv6's payload, not for IPv4's packet */
    static uint8_t room[110][PAYLOAD + 60];
    for (int family = 4; family <= 6; family += 2) {
        struct shape shape = {family, IPPROTO_TCP, 0, 0, 0x10, 2 * PAYLOAD, PAYLOAD};
        split_packet(&shape);
        size_t l4 = pkt.l4, joined_len = cut.s[0].len, n = 1;
        cr_assert_eq(begin(&join, &cut.s[0]), 0);
        for (; n < 110; n++) {
            /* What a peer could send on after the first: the next numbers, without end. */
            struct segment s = {room[n], cut.s[1].len, cut.s[1].flags};
            memcpy(s.b, cut.s[1].b, s.len);
            uint32_t seq;
            memcpy(&seq, pkt.b + l4 + 4, 4);
            seq = htonl(ntohl(seq) + (uint32_t)(n * PAYLOAD));
            memcpy(s.b + l4 + 4, &seq, 4);
            if (family == 4) {
                uint16_t id = htons((uint16_t)(ntohs(*(uint16_t *)(void *)(pkt.b + 4)) + n));
                memcpy(s.b + 4, &id, 2);
                memset(s.b + 10, 0, 2);
                uint16_t check = htons((uint16_t)~ref_sum(s.b, l4, 0));
                memcpy(s.b + 10, &check, 2);
            }
            if (!append(&join, &s))
                break;
            joined_len += PAYLOAD;
        }
        size_t most = family == 4 ? 65535 : PACKET_MAX;
        cr_assert(joined_len <= most && joined_len + PAYLOAD > most, "IPv%d: %zu", family,
                  joined_len);
        cr_assert_eq(finish(&join), joined_len);
        struct veld_inner inner;
        cr_assert_eq(veld_inner_parse(joined, joined_len, &inner), 0);
    }
}

Test(super, udp_joins_as_far_as_the_kernel_takes_it)
{
    struct shape shape = {6, IPPROTO_UDP, 0, 0, 0, 12800, 100};
    for (unsigned max = 0; max <= 64; max += 32) {
        join.udp_segments_max = max;
        split_packet(&shape);
        cr_assert_eq(join_all(&cut), max ? 128 / max : 128);
    }
    join.udp_segments_max = 100000;
    shape.payload = 20000;
    split_packet(&shape);
    cr_assert_eq(join_all(&cut), 2);
    join.udp_segments_max = 0;
    shape.proto = IPPROTO_TCP;
    shape.tcp_flags = 0x10;
    split_packet(&shape);
    cr_assert_eq(join_all(&cut), 2);
}

Test(super, flags_that_contradict_the_packet_are_refused_or_mean_nothing)
{
    for (int flags = 0; flags < 256; flags++) {
        bool joinable = (flags & 3) == 3;
        split_packet(&stream);
        cut.s[0].flags = (uint8_t)flags;
        cr_assert_eq(begin(&join, &cut.s[0]), 0);
        cr_assert_eq(append(&join, &cut.s[1]), joinable, "begun with %02x", flags);

        split_packet(&stream);
        cut.s[1].flags = (uint8_t)flags;
        cr_assert_eq(begin(&join, &cut.s[0]), 0);
        cr_assert_eq(append(&join, &cut.s[1]), flags == 7, "gone on with %02x", flags);

        int partial = flags & VELD_FLAG_PARTIAL_CSUM ? VELD_E_FORMAT : 0;
        for (int what = 0; what < 4; what++) {
            uint8_t b[60] = {0x45, [3] = 60, [9] = IPPROTO_TCP};
            struct segment s = {b, sizeof b, (uint8_t)flags};
            switch (what) {
            case 0: b[9] = IPPROTO_ICMP; break;
            case 1: b[6] = 0x20; break;       /* a fragment */
            case 2: s.len = b[3] = 39; break; /* no room for a TCP header */
            case 3:                           /* extension headers to the end and beyond */
                b[0] = 0x60, b[3] = 0, b[5] = 20, b[6] = IPPROTO_HOPOPTS, b[41] = 255;
                break;
            }
            cr_assert_eq(begin(&join, &s), partial, "case %d, flags %02x", what, flags);
            if (partial)
                cr_assert_eq(join.n_iov, 0);
            else
                cr_assert_eq(finish(&join), s.len);
        }
    }
}

/* A chain of extension headers is followed, but not for ever, and alike at both ends. */
Test(super, extension_headers_are_walked_within_bounds)
{
    for (size_t n = 0; n < 30; n++) {
        uint8_t b[400] = {0x60, [6] = n ? IPPROTO_DSTOPTS : IPPROTO_UDP};
        size_t len = 40 + 8 * n + 8;
        b[5] = (uint8_t)(len - 40);
        for (size_t i = 0; i + 1 < n; i++)
            b[40 + 8 * i] = IPPROTO_DSTOPTS;
        if (n)
            b[40 + 8 * (n - 1)] = IPPROTO_UDP;
        struct virtio_net_hdr vh = {
            .flags = 1, .csum_start = (uint16_t)(len - 8), .csum_offset = 6};
        split(&vh, b, len, &cut);
        cr_assert_eq(cut.s[0].flags, n <= 8 ? VELD_FLAG_PARTIAL_CSUM : 0);
        cut.s[0].flags = VELD_FLAG_PARTIAL_CSUM;
        cr_assert_eq(begin(&join, &cut.s[0]), n <= 8 ? 0 : VELD_E_FORMAT);
        if (n <= 8)
            cr_assert_eq(join.hdr.csum_start, len - 8);
    }
}

Test(super, headers_too_long_to_compare_stay_single)
{
    static uint8_t b[3000] = {0x60, [6] = IPPROTO_DSTOPTS, [40] = IPPROTO_UDP};
    for (unsigned eights = 25; eights <= 27; eights++) {
        size_t l4 = 40 + eights * 8, header = l4 + 8, len = header + 1000;
        b[41] = (uint8_t)(eights - 1);
        b[4] = (uint8_t)((len - 40) >> 8), b[5] = (uint8_t)(len - 40);
        memset(b + l4, 0, 8);
        b[l4 + 4] = 1008 >> 8, b[l4 + 5] = 1008 & 255, b[l4 + 7] = 1;
        struct virtio_net_hdr vh = {1, VIRTIO_NET_HDR_GSO_UDP_L4, 0, 500, (uint16_t)l4, 6};
        split(&vh, b, len, &cut);
        cr_assert_eq(cut.n, 2);
        cr_assert_eq(join_all(&cut), header <= VELD_JOIN_HEADER_MAX ? 1 : 2);
    }
}

/* Segments as a hostile peer might send them: each write must still be sound. */
Test(super, whatever_comes_is_joined_soundly_or_not_at_all)
{
    size_t more = 0;
    for (int round = 0; round < 20000; round++) {
        struct shape shape = random_shape(24);
        if (shape.gso_size > 600) { /* what matters are headers: keep it quick */
            shape.gso_size %= 600;
            shape.gso_size++;
            shape.payload %= 24 * shape.gso_size;
            shape.payload++;
        }
        split_packet(&shape);
        for (size_t i = 0; i < cut.n; i++) {
            if (rnd() % 8 == 0)
                cut.s[i].b[rnd() % pkt.header] ^= (uint8_t)(1 << rnd() % 8);
            if (rnd() % 16 == 0)
                cut.s[i].flags = (uint8_t)rnd();
        }
        for (size_t from = 0, to; from < cut.n; from = to) {
            struct veld_inner inner;
            to = from + 1;
            if (veld_inner_parse(cut.s[from].b, cut.s[from].len, &inner) != 0 ||
                begin(&join, &cut.s[from]) != 0)
                continue;
            while (to < cut.n && veld_inner_parse(cut.s[to].b, cut.s[to].len, &inner) == 0 &&
                   append(&join, &cut.s[to]))
                to++;
            if (to - from > 1) {
                finish_and_invert(&join, &cut, from, to);
                more += to - from - 1;
            }
        }
    }
    cr_assert_gt(more, 10000); /* the test still reaches what it is about */
}

/* Packets larger than their path takes, on their way out and, of SYNs, in. */
#include "super_packets.h"
#include "support/packet_path.h"

#include <criterion/criterion.h>

#define PATH 1240

static struct pair p;
static struct packet packet;

static void set_mtu(struct site *s, uint16_t mtu, bool known)
{
    struct veld_path *path = veld_peer_path(site_peer(s));
    path->mtu = mtu;
    path->mtu_known = known;
}

static void setup(void)
{
    pair_make(&p, 1);
    veld_outbound_begin(p.a->out);
    set_mtu(p.a, PATH, true);
    set_mtu(p.b, PATH, true);
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(outbound_size, .init = setup, .fini = teardown);

static void give(const struct shape *shape)
{
    make_packet(&packet, shape);
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
}

/* A packet whose checksum is complete, as a forwarded one's, or the sender's own. */
static void give_complete(const struct shape *shape, bool df)
{
    make_packet(&packet, shape);
    if (shape->family == 4) {
        packet.b[6] = df ? 0x40 : 0;
        memset(packet.b + 10, 0, 2);
        veld_store_be16(packet.b + 10, (uint16_t)~ref_sum(packet.b, packet.l4, 0));
    }
    veld_store_be16(packet.b + packet.l4 + packet.vh.csum_offset,
                    (uint16_t)~ref_sum(packet.b + packet.l4, packet.len - packet.l4, 0));
    packet.vh = (struct virtio_net_hdr){0};
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
}

static const struct shape tcp = {
    .family = 4, .proto = IPPROTO_TCP, .tcp_flags = 0x10, .payload = 1380, .gso_size = 1380};
static const struct shape udp4 = {
    .family = 4, .proto = IPPROTO_UDP, .payload = 1392, .gso_size = 9000};
static const struct shape udp6 = {
    .family = 6, .proto = IPPROTO_UDP, .payload = 1372, .gso_size = 9000};

static void check_sizes(unsigned mtu)
{
    for (unsigned i = 0; i < p.a->n_sent; i++)
        cr_assert_leq(p.a->sent[i].segment, mtu + VELD_DATA_OVERHEAD);
}

/* Both at once: what arrives is what left, cut to the path's size in between. */
Test(outbound_size, tcp_is_cut_smaller)
{
    for (unsigned run = 0; run < 200; run++) {
        struct shape shape = random_shape(40);
        if (shape.proto != IPPROTO_TCP)
            continue;
        shape.tcp_flags &= 0x7f; /* of which some segments lose CWR */
        veld_outbound_begin(p.a->out);
        give(&shape);
        check_sizes(PATH);
        carry(p.a, p.b, A_ENDPOINT);
        static uint8_t stream[65536];
        uint32_t seq = 0;
        size_t got = 0;
        for (unsigned i = 0; i < p.b->n_written; i++) {
            const uint8_t *b = p.b->written[i].bytes + sizeof(struct virtio_net_hdr);
            size_t len = p.b->written[i].len - sizeof(struct virtio_net_hdr);
            uint32_t at = veld_load_be32(b + packet.l4 + 4);
            seq = i == 0 ? at : seq;
            memcpy(stream + (at - seq), b + packet.header, len - packet.header);
            got += len - packet.header;
        }
        cr_assert_eq(seq, veld_load_be32(packet.b + packet.l4 + 4));
        cr_assert_eq(got, shape.payload);
        cr_assert_arr_eq(stream, packet.b + packet.header, got);
        complete_sends(p.a);
        complete_writes(p.b, 0);
        forget(p.a);
        forget(p.b);
    }
    cr_assert_eq(dropped_in_all(p.a), 0);
    cr_assert_eq(dropped_in_all(p.b), 0);
}

Test(outbound_size, segments_of_a_send_follow_the_path)
{
    give(&(struct shape){.family = 4,
                         .proto = IPPROTO_TCP,
                         .tcp_flags = 0x10,
                         .payload = 40 * 1380,
                         .gso_size = 1380});
    cr_assert_eq(p.a->n_sent, 1);
    cr_assert_eq(p.a->sent[0].segment, PATH + VELD_DATA_OVERHEAD);
    cr_assert_eq(veld_counter_get(&p.a->counters.packets_from_tun), 46);
}

Test(outbound_size, what_fits_is_left_alone)
{
    give_complete(
        &(struct shape){
            .family = 4, .proto = IPPROTO_UDP, .payload = PATH - 28, .gso_size = 9000},
        true);
    cr_assert_eq(p.a->n_sent, 1);
    cr_assert_eq(p.a->sent[0].len, PATH + VELD_DATA_OVERHEAD);
    cr_assert_eq(p.a->n_written, 0);
}

/* A single one of our own, not made by segmentation: cut too. */
Test(outbound_size, a_plain_tcp_packet_is_cut)
{
    give(&tcp);
    cr_assert_eq(p.a->n_sent, 1);
    cr_assert_eq(p.a->sent[0].segment, PATH + VELD_DATA_OVERHEAD);
    cr_assert_eq(dropped_in_all(p.a), 0);
}

/* A SYN with data is one packet; what is urgent has a place; a reset is the last word. */
Test(outbound_size, what_is_no_mere_stream_is_not_cut)
{
    const uint8_t flags[] = {0x02, 0x14, 0x30};
    for (unsigned i = 0; i < sizeof flags; i++) {
        give(&(struct shape){.family = 6,
                             .proto = IPPROTO_TCP,
                             .tcp_flags = flags[i],
                             .payload = 1300,
                             .gso_size = 1380});
        cr_assert_eq(p.a->n_sent, 0);
        cr_assert_eq(dropped(p.a, VELD_DROP_TOO_BIG), i + 1);
    }
}

static void check_told(unsigned mtu, int family)
{
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(p.a->n_written, 1);
    const uint8_t *b = p.a->written[0].bytes + sizeof(struct virtio_net_hdr);
    if (family == 4)
        cr_assert_eq(veld_load_be16(b + 26), mtu);
    else
        cr_assert_eq(veld_load_be32(b + 44), mtu);
    complete_writes(p.a, 0);
    forget(p.a);
}

Test(outbound_size, senders_are_told)
{
    give_complete(&udp4, true);
    check_told(PATH, 4);
    give_complete(&tcp, true);
    check_told(PATH, 4);
    give_complete(&udp6, true);
    check_told(1280, 6);
    set_mtu(p.a, 1340, true);
    give_complete(&udp6, true);
    check_told(1340, 6);
    cr_assert_eq(dropped(p.a, VELD_DROP_TOO_BIG), 4);
    cr_assert_eq(dropped_in_all(p.a), 4);
}

Test(outbound_size, a_udp_super_packet_is_told_of_once)
{
    make_packet(&packet,
                &(struct shape){
                    .family = 6, .proto = IPPROTO_UDP, .payload = 20 * 1372, .gso_size = 1372});
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    check_told(1280, 6);
    cr_assert_eq(dropped(p.a, VELD_DROP_TOO_BIG), 20);
}

/* What is told is remembered for minutes: nothing is told, and no MSS lowered, by a mere guess. */
Test(outbound_size, an_unknown_path_is_tried)
{
    set_mtu(p.a, PATH, false);
    give_complete(&udp4, true);
    give_complete(&udp6, true);
    cr_assert_eq(p.a->n_sent, 2);
    cr_assert_eq(p.a->sent[0].len, 1420 + VELD_DATA_OVERHEAD);
    cr_assert_eq(p.a->n_written, 0);
    give(&tcp);
    cr_assert_eq(p.a->sent[2].segment, PATH + VELD_DATA_OVERHEAD, "what can be cut is");
    cr_assert_eq(dropped_in_all(p.a), 0);
}

/* Sent as fragments, which come together again at the receiving host. */
static void check_fragments(size_t head, size_t cut_at)
{
    uint8_t payload[65536];
    size_t got = 0;
    check_sizes(PATH);
    veld_inbound_begin(p.b->in);
    for (unsigned i = 0; i < p.a->n_sent; i++)
        give_udp(p.b, p.a->sent[i].bytes, p.a->sent[i].len, p.a->sent[i].segment, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    for (unsigned i = 0; i < p.b->n_written; i++) {
        const uint8_t *b = p.b->written[i].bytes + sizeof(struct virtio_net_hdr);
        struct virtio_net_hdr vh;
        memcpy(&vh, p.b->written[i].bytes, sizeof vh);
        cr_assert_eq(vh.flags, 0, "the checksum is complete");
        size_t offset = b[0] >> 4 == 4 ? (veld_load_be16(b + 6) & 0x1fffu) * 8
                                       : veld_load_be16(b + 42) & 0xfff8u;
        size_t len = p.b->written[i].len - sizeof vh - head;
        memcpy(payload + offset, b + head, len);
        got += len;
    }
    cr_assert_eq(got, packet.len - cut_at);
    uint32_t pseudo = ref_pseudo(&packet, packet.len - packet.l4);
    cr_assert_eq(ref_sum(payload, got, pseudo), 0xffff, "checksum of the whole");
    cr_assert_arr_eq(payload + 8, packet.b + cut_at + 8, got - 8);
    cr_assert_eq(dropped_in_all(p.a) + dropped_in_all(p.b), 0);
}

Test(outbound_size, ipv4_without_df_is_fragmented)
{
    give_complete(&udp4, false);
    check_fragments(20, 20);
    cr_assert_eq(p.b->n_written, 2);
}

/* The sender's kernel left the checksum to be made: fragments cannot carry that. */
Test(outbound_size, a_fragmented_packets_checksum_is_completed)
{
    make_packet(&packet, &udp4);
    packet.b[6] = 0;
    veld_store_be16(packet.b + 10, 0);
    veld_store_be16(packet.b + 10, (uint16_t)~ref_sum(packet.b, packet.l4, 0));
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
    check_fragments(20, 20);
}

/* RFC 8200 promises every sender 1280 bytes. */
Test(outbound_size, ipv6_of_1280_bytes_passes_where_the_path_is_smaller)
{
    set_mtu(p.a, 1200, true);
    struct shape shape = udp6;
    shape.payload = 1280 - 48;
    give(&shape);
    check_fragments(48, 40);
    cr_assert_eq(p.b->n_written, 2);
}

/* ---- Waiting packets ---- */

Test(outbound_size, packets_that_waited_are_seen_to_as_well)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    give_complete(&udp4, true);
    give(&tcp);
    cr_assert_eq(p.a->n_sent, 0);
    site_use(p.a, p.a_session);
    veld_outbound_look(p.a->out);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_written, 1, "told");
    cr_assert_eq(dropped(p.a, VELD_DROP_TOO_BIG), 1);
    cr_assert_eq(p.a->n_sent, 1, "cut");
    check_sizes(PATH);
    cr_assert_eq(p.a->sent[0].bytes[1] & VELD_FLAG_PARTIAL_CSUM, VELD_FLAG_PARTIAL_CSUM);
}

/* ---- MSS ---- */

static void give_syn(int family, uint8_t flags, bool partial)
{
    struct shape shape = {.family = family,
                          .proto = IPPROTO_TCP,
                          .tcp_options = 4,
                          .tcp_flags = flags,
                          .gso_size = 9000};
    make_packet(&packet, &shape);
    memcpy(packet.b + packet.l4 + 20, (uint8_t[]){2, 4, 1380 >> 8, 1380 & 0xff}, 4);
    if (!partial) {
        veld_store_be16(packet.b + packet.l4 + 16,
                        (uint16_t)~ref_sum(packet.b + packet.l4, packet.len - packet.l4, 0));
        packet.vh = (struct virtio_net_hdr){0};
    }
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
}

static void check_arrived(unsigned mss, bool partial)
{
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(p.b->n_written, 1);
    uint8_t *b = p.b->written[0].bytes + sizeof(struct virtio_net_hdr);
    cr_assert_eq(veld_load_be16(b + packet.l4 + 22), mss);
    uint16_t sum = ref_sum(b + packet.l4, 24, ref_pseudo(&packet, 24));
    cr_assert_eq(partial || sum == 0xffff, true);
    if (partial)
        cr_assert_arr_eq(b + packet.l4 + 16, packet.b + packet.l4 + 16, 2);
    complete_sends(p.a);
    complete_writes(p.b, 0);
    forget(p.a);
    forget(p.b);
    veld_outbound_begin(p.a->out);
}

Test(outbound_size, mss_is_lowered_on_both_sides)
{
    for (unsigned i = 0; i < 16; i++) {
        int family = i & 1 ? 4 : 6;
        bool partial = i & 2;
        uint8_t flags = i & 4 ? 0x12 : 0x02;
        bool out = i & 8;
        unsigned mss = PATH - (family == 4 ? 40 : 60);
        set_mtu(p.a, PATH, out);
        set_mtu(p.b, PATH, !out);
        give_syn(family, flags, partial);
        check_arrived(mss, partial);
    }
    set_mtu(p.a, PATH, false);
    set_mtu(p.b, PATH, false);
    give_syn(4, 0x02, true);
    check_arrived(1380, true);
    set_mtu(p.a, PATH, true);
    set_mtu(p.b, PATH, true);
    give_syn(4, 0x10, false); /* no SYN: whatever its options say */
    check_arrived(1380, false);
}

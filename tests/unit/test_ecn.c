#include "dataplane/ecn.h"
#include "base/bytes.h"
#include "super_packets.h"
#include "support/packet_path.h"

#include <criterion/criterion.h>

enum { N = VELD_ECN_NOT_ECT, E1 = VELD_ECN_ECT1, E0 = VELD_ECN_ECT0, CE = VELD_ECN_CE, X = 9 };

/* RFC 6040, figure 4, as it stands there: rows by inner, columns by outer header. */
static const uint8_t order[4] = {N, E0, E1, CE};
static const uint8_t figure_4[4][4] = {
    {N, N, N, X},
    {E0, E0, E1, CE},
    {E1, E1, E1, CE},
    {CE, CE, CE, CE},
};

static void make(uint8_t *p, int family, uint8_t dscp, uint8_t ecn)
{
    memset(p, 0x77, 64);
    uint8_t tos = (uint8_t)(dscp << 2 | ecn);
    if (family == 6) {
        p[0] = (uint8_t)(0x60 | tos >> 4);
        p[1] = (uint8_t)(tos << 4 | 0x5);
        return;
    }
    p[0] = 0x45;
    p[1] = tos;
    memset(p + 10, 0, 2);
    veld_store_be16(p + 10, (uint16_t)~ref_sum(p, 20, 0));
}

Test(ecn, decapsulation_is_figure_4)
{
    for (int family = 4; family <= 6; family += 2)
        for (unsigned i = 0; i < 4; i++)
            for (unsigned o = 0; o < 4; o++)
                for (uint8_t dscp = 0; dscp < 64; dscp++) {
                    uint8_t p[64], expected[64];
                    make(p, family, dscp, order[i]);
                    uint8_t ecn = figure_4[i][o];
                    make(expected, family, dscp, ecn == X ? order[i] : ecn);
                    cr_assert_eq(veld_ecn_of(p), order[i]);
                    cr_assert_eq(veld_ecn_decapsulate(p, order[o]), ecn != X);
                    cr_assert_arr_eq(p, expected, 64, "IPv%d, inner %u, outer %u", family,
                                     order[i], order[o]);
                }
}

/* ---- On the way ---- */

static struct pair p;

static void setup(void)
{
    pair_make(&p, 1);
    veld_outbound_begin(p.a->out);
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(ecn_path, .init = setup, .fini = teardown);

static void send_marked(uint8_t tos)
{
    uint8_t packet[100];
    plain_packet(packet, sizeof packet, 2);
    packet[1] = tos;
    give_tun(p.a, &(struct virtio_net_hdr){0}, packet, sizeof packet);
}

Test(ecn_path, a_run_has_one_field_and_no_dscp)
{
    const uint8_t tos[] = {0, 0xb8, 0xb8 | E0, E0, CE, 0};
    for (unsigned i = 0; i < sizeof tos; i++)
        send_marked(tos[i]);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 4);
    const uint8_t ecn[] = {0, E0, CE, 0}, segments[] = {2, 2, 1, 1};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(p.a->sent[i].ecn, ecn[i]);
        cr_assert_eq(p.a->sent[i].len, segments[i] * 132u);
        cr_assert_eq(p.a->sent[i].segment, 132);
    }
}

Test(ecn_path, the_field_stays_when_a_run_is_sent_singly)
{
    for (unsigned i = 0; i < 3; i++)
        send_marked(E1);
    veld_outbound_flush(p.a->out);
    p.a->send_result = -EIO;
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 4);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(p.a->sent[i].ecn, E1);
    cr_assert_eq(p.a->sent[3].segment, 132, "without UDP_SEGMENT");
}

static void arrive_marked(uint8_t inner, uint8_t outer)
{
    send_marked(inner);
    veld_outbound_flush(p.a->out);
    const struct sent *s = &p.a->sent[p.a->n_sent - 1];
    veld_inbound_begin(p.b->in);
    give_udp_ecn(p.b, s->bytes, s->len, s->len, A_ENDPOINT, outer);
    veld_inbound_flush(p.b->in);
}

Test(ecn_path, a_mark_reaches_the_interface)
{
    arrive_marked(E0, CE);
    cr_assert_eq(p.b->n_written, 1);
    cr_assert_eq(p.b->written[0].bytes[sizeof(struct virtio_net_hdr) + 1] & 3, CE);
}

Test(ecn_path, a_mark_on_a_packet_without_ecn_drops_it)
{
    arrive_marked(N, CE);
    cr_assert_eq(p.b->n_written, 0);
    cr_assert_eq(dropped(p.b, VELD_DROP_CONGESTION), 1);
    cr_assert_eq(dropped_in_all(p.b), 1);
}

/* Segments of one super-packet of which some were marked: the marked ones are not joined to the others. */
Test(ecn_path, joins_part_where_the_mark_begins)
{
    static struct packet packet;
    make_packet(&packet, &(struct shape){.family = 6,
                                         .proto = IPPROTO_TCP,
                                         .tcp_flags = 0x10,
                                         .payload = 6 * 1000,
                                         .gso_size = 1000});
    packet.b[1] = (uint8_t)((packet.b[1] & 0xcf) | E0 << 4);
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 1);
    const struct sent *s = &p.a->sent[0];
    cr_assert_eq(s->ecn, E0);
    veld_inbound_begin(p.b->in);
    give_udp_ecn(p.b, s->bytes, 4 * s->segment, s->segment, A_ENDPOINT, E0);
    give_udp_ecn(p.b, s->bytes + 4 * s->segment, s->len - 4 * s->segment, s->segment,
                 A_ENDPOINT, CE);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(p.b->n_written, 2);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *inner = p.b->written[i].bytes + sizeof(struct virtio_net_hdr);
        cr_assert_eq(veld_ecn_of(inner), i == 0 ? E0 : CE);
        cr_assert_eq(p.b->written[i].len,
                     sizeof(struct virtio_net_hdr) + 60 + (i == 0 ? 4000 : 2000));
    }
}

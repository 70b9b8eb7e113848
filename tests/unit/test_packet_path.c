/*
 * The whole way, tunnel to tunnel: random super-packets out of a's workers, over
 * a network that loses, repeats and reorders neighbours and gathers datagrams as
 * UDP_GRO does, into b. What b's kernel is given must be, cut up again, exactly
 * the segments whose datagrams arrived: each once, by lane and counter within a
 * batch, every byte as it was (super_packets.h checks that without our code).
 */
#include "super_packets.h"
#include "support/packet_path.h"

#define LANES     2
#define PACKETS   12
#define SEGMENTS  16  /* of a packet, so that a round fits a batch */
#define DATAGRAMS 192 /* a batch: what finds room in one turn */
#define LATE_MAX                                                                               \
    60 /* places a datagram comes late at most: fewer than are mended (reorder.h) */

static struct pair p;

static void setup(void)
{
    pair_make(&p, LANES);
    random_state = 20261122;
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(packet_path, .init = setup, .fini = teardown, .timeout = 120);

/* ---- What a sends, and where each datagram's segment comes from ---- */

struct origin {
    unsigned packet, index, n; /* segment `index` of `n` */
};

struct datagram {
    const uint8_t *bytes;
    uint32_t len;
    uint8_t lane;
    uint64_t counter;
};

static struct packet packets[PACKETS];
static unsigned n_packets;
static struct origin origins[LANES][DATAGRAMS];
static uint64_t first_counter[LANES];
static struct datagram wire[2 * DATAGRAMS];
static unsigned n_wire;

/* Whole and without a partial checksum: goes as it is. */
static void make_plain(struct packet *packet)
{
    *packet = (struct packet){.len = rnd_in(20, 1400)};
    plain_packet(packet->b, packet->len, (uint8_t)rnd_in(2, 254));
    rnd_fill(packet->b + 20, packet->len - 20);
}

static unsigned send_packets(unsigned lane, unsigned budget)
{
    unsigned used = 0;
    p.a->ctx.thread = lane;
    veld_outbound_begin(p.a->out);
    while (n_packets < PACKETS && budget - used >= SEGMENTS && rnd() % 5 &&
           veld_outbound_has_room(p.a->out)) {
        struct packet *packet = &packets[n_packets];
        struct shape shape = random_shape(SEGMENTS);
        if (rnd() % 6 == 0)
            make_plain(packet);
        else
            make_packet(packet, &shape);
        unsigned n = packet->vh.gso_size
                         ? (unsigned)((shape.payload + shape.gso_size - 1) / shape.gso_size)
                         : 1;
        for (unsigned i = 0; i < n; i++)
            origins[lane][used++] = (struct origin){n_packets, i, n};
        give_tun(p.a, &packet->vh, packet->b, packet->len);
        n_packets++;
    }
    veld_outbound_flush(p.a->out);
    complete_sends(p.a);
    return used;
}

/* Its datagrams in order of sending; those of both lanes take turns at random. */
static void onto_the_wire(void)
{
    struct datagram of_lane[LANES][DATAGRAMS];
    unsigned n[LANES] = {0}, taken[LANES] = {0};
    n_wire = 0;
    for (unsigned i = 0; i < p.a->n_sent; i++) {
        const struct sent *s = &p.a->sent[i];
        for (uint32_t at = 0; at < s->len; at += s->segment) {
            struct veld_header h;
            enum veld_drop reason;
            uint32_t len = VELD_MIN(s->segment, s->len - at);
            cr_assert(veld_header_parse(s->bytes + at, len, &h, &reason));
            of_lane[h.lane][n[h.lane]++] =
                (struct datagram){s->bytes + at, len, h.lane, h.counter};
        }
    }
    for (unsigned lane = 0; lane < LANES; lane++)
        first_counter[lane] = n[lane] ? of_lane[lane][0].counter : 0;
    while (taken[0] < n[0] || taken[1] < n[1]) {
        unsigned lane = taken[0] == n[0] || (taken[1] < n[1] && rnd() % 2);
        for (unsigned burst = rnd_in(1, 20); burst > 0 && taken[lane] < n[lane]; burst--)
            wire[n_wire++] = of_lane[lane][taken[lane]++];
    }
}

/* ---- The network ---- */

struct weather {
    unsigned loss, repeat, overtake; /* percent */
};

static void blow(const struct weather *w)
{
    struct datagram out[2 * DATAGRAMS];
    unsigned due[2 * DATAGRAMS], n = 0;
    for (unsigned i = 0; i < n_wire; i++) {
        unsigned copies = rnd() % 100 >= w->loss;
        copies += copies && rnd() % 100 < w->repeat;
        while (copies-- > 0) {
            /* Behind all that is due no later than it. */
            unsigned at = n++, when = i + (rnd() % 100 < w->overtake ? rnd_in(1, LATE_MAX) : 0);
            for (; at > 0 && due[at - 1] > when; at--) {
                out[at] = out[at - 1];
                due[at] = due[at - 1];
            }
            out[at] = wire[i];
            due[at] = when;
        }
    }
    memcpy(wire, out, n * sizeof *out);
    n_wire = n;
}

/* How many datagrams from `i` on UDP_GRO would gather: equal ones, and a shorter one at the end. */
static unsigned gather_datagrams(unsigned i, uint8_t *buffer, uint32_t *len)
{
    unsigned n = 0, most = rnd_in(1, 64);
    *len = 0;
    while (n < most && i + n < n_wire && wire[i + n].len <= wire[i].len &&
           *len + wire[i + n].len <= 65000) {
        memcpy(buffer + *len, wire[i + n].bytes, wire[i + n].len);
        *len += wire[i + n].len;
        if (wire[i + n++].len < wire[i].len)
            break;
    }
    return n;
}

/* ---- What must come of it ---- */

static bool arrived[LANES][DATAGRAMS];
static struct origin expected[DATAGRAMS];
static unsigned n_expected;

/* By lane, lanes by their first datagram, each once: what a batch of wire[from, to) delivers. */
static void expect_batch(unsigned from, unsigned to)
{
    unsigned order[LANES], lanes = 0;
    for (unsigned i = from; i < to && lanes < LANES; i++)
        if (!arrived[wire[i].lane][wire[i].counter - first_counter[wire[i].lane]] &&
            (lanes == 0 || order[0] != wire[i].lane))
            order[lanes++] = wire[i].lane;
    n_expected = 0;
    for (unsigned k = 0; k < lanes; k++) {
        bool in_batch[DATAGRAMS] = {0};
        for (unsigned i = from; i < to; i++)
            if (wire[i].lane == order[k])
                in_batch[wire[i].counter - first_counter[order[k]]] = true;
        for (unsigned c = 0; c < DATAGRAMS; c++) {
            if (in_batch[c] && !arrived[order[k]][c])
                expected[n_expected++] = origins[order[k]][c];
            arrived[order[k]][c] |= in_batch[c];
        }
    }
}

static void check_delivered(void)
{
    static uint8_t segment[PACKET_MAX];
    unsigned seen = 0;
    for (unsigned i = 0; i < p.b->n_written; i++) {
        const struct written *w = &p.b->written[i];
        struct virtio_net_hdr vh;
        struct veld_super s;
        memcpy(&vh, w->bytes, sizeof vh);
        cr_assert_eq(veld_super_parse(&vh, w->bytes + sizeof vh, w->len - sizeof vh, &s), 0);
        for (size_t k = 0; k < veld_super_segments(&s); k++, seen++) {
            size_t len = veld_super_segment_len(&s, k);
            veld_super_segment_write(&s, k, segment);
            cr_assert_lt(seen, n_expected, "more was delivered than had arrived");
            const struct origin *o = &expected[seen];
            const struct packet *packet = &packets[o->packet];
            if (packet->vh.flags) {
                check_segment(packet, o->index, o->n, segment, len);
            } else {
                cr_assert_eq(len, packet->len);
                cr_assert_arr_eq(segment, packet->b, len);
            }
        }
    }
    cr_assert_eq(seen, n_expected, "%u segments of %u were delivered", seen, n_expected);
}

/* All of the wire through b, in as many turns as it takes; how many writes came of it. */
static unsigned arrive(void)
{
    static uint8_t buffer[65536];
    unsigned writes = 0;
    memset(arrived, 0, sizeof arrived);
    for (unsigned i = 0; i < n_wire;) {
        unsigned from = i;
        veld_inbound_begin(p.b->in);
        while (i < n_wire && veld_inbound_has_room(p.b->in)) {
            uint32_t len, segment = wire[i].len;
            i += gather_datagrams(i, buffer, &len);
            give_udp(p.b, buffer, len, segment, A_ENDPOINT);
        }
        veld_inbound_flush(p.b->in);
        expect_batch(from, i);
        check_delivered();
        complete_writes(p.b, 0);
        writes += p.b->n_written;
        forget(p.b);
    }
    return writes;
}

/* One round; how many more writes than packets there were. */
static unsigned carry_round(const struct weather *w)
{
    n_packets = 0;
    unsigned used = send_packets(0, DATAGRAMS / 2);
    used += send_packets(1, DATAGRAMS / 2);
    onto_the_wire();
    cr_assert_eq(n_wire, used);
    blow(w);
    unsigned writes = arrive();
    forget(p.a);
    return writes - VELD_MIN(writes, n_packets);
}

Test(packet_path, calm)
{
    for (unsigned i = 0; i < 600; i++)
        carry_round(&(struct weather){0});
    cr_assert_eq(dropped_in_all(p.a), 0);
    cr_assert_eq(dropped_in_all(p.b), 0);
}

Test(packet_path, loss)
{
    for (unsigned i = 0; i < 600; i++)
        carry_round(&(struct weather){.loss = rnd_in(1, 40)});
    cr_assert_eq(dropped_in_all(p.b), 0);
}

Test(packet_path, repetition)
{
    for (unsigned i = 0; i < 600; i++)
        carry_round(&(struct weather){.repeat = rnd_in(1, 40), .overtake = rnd() % 2 * 20});
    cr_assert_gt(dropped(p.b, VELD_DROP_REPLAY), 1000);
    cr_assert_eq(dropped_in_all(p.b), dropped(p.b, VELD_DROP_REPLAY));
}

Test(packet_path, reordering)
{
    for (unsigned i = 0; i < 600; i++)
        carry_round(&(struct weather){.overtake = rnd_in(1, 40)});
    cr_assert_eq(dropped_in_all(p.b), 0);
}

Test(packet_path, all_of_it)
{
    for (unsigned i = 0; i < 1500; i++)
        carry_round(&(struct weather){rnd_in(0, 20), rnd_in(0, 20), rnd_in(0, 20)});
    cr_assert_eq(dropped_in_all(p.b), dropped(p.b, VELD_DROP_REPLAY));
}

/* In one batch, what was overtaken is joined as if it had not been. */
Test(packet_path, reordering_within_a_batch_costs_no_joins)
{
    static struct packet packet;
    static uint8_t buffer[65536];
    unsigned checked = 0;
    struct shape shape = {.family = 6,
                          .proto = IPPROTO_TCP,
                          .tcp_flags = 0x10,
                          .payload = 60000,
                          .gso_size = 1000};
    for (unsigned round = 0; round < 200; round++) {
        struct shape any = round % 2 ? random_shape(60) : shape;
        n_packets = 0;
        for (unsigned lane = 0; lane < LANES; lane++) {
            p.a->ctx.thread = lane;
            make_packet(&packet, &any);
            veld_outbound_begin(p.a->out);
            give_tun(p.a, &packet.vh, packet.b, packet.len);
            veld_outbound_flush(p.a->out);
            complete_sends(p.a);
        }
        onto_the_wire();
        blow(&(struct weather){.overtake = 50});
        veld_inbound_begin(p.b->in);
        unsigned i = 0;
        while (i < n_wire && p.b->in->n_sources < VELD_IO_BUFFERS) {
            uint32_t len, segment = wire[i].len;
            i += gather_datagrams(i, buffer, &len);
            give_udp(p.b, buffer, len, segment, A_ENDPOINT);
        }
        veld_inbound_flush(p.b->in);
        if (i == n_wire) { /* all of it was one batch */
            checked++;
            cr_assert_eq(p.b->n_written, LANES, "round %u: %u writes", round, p.b->n_written);
        }
        complete_writes(p.b, 0);
        forget(p.a);
        forget(p.b);
    }
    cr_assert_gt(checked, 50);
}

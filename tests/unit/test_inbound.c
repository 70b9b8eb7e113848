#include "super_packets.h"
#include "support/packet_path.h"
#include "wire/stun.h"

#include <criterion/criterion.h>

static struct pair p;

static void setup(void)
{
    pair_make(&p, 1);
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(inbound, .init = setup, .fini = teardown);

/* ---- What goes in at a comes out at b ---- */

static struct packet packet;

static void send_super(const struct shape *shape)
{
    make_packet(&packet, shape);
    veld_outbound_begin(p.a->out);
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
    complete_sends(p.a);
}

/* One write that equals the packet given, its virtio header included but for hdr_len. */
static void check_written_whole(void)
{
    cr_assert_eq(p.b->n_written, 1);
    const struct written *w = &p.b->written[0];
    struct virtio_net_hdr vh, want = packet.vh;
    cr_assert_eq(w->len, sizeof vh + packet.len);
    memcpy(&vh, w->bytes, sizeof vh);
    vh.hdr_len = want.hdr_len = 0;
    cr_assert_arr_eq(&vh, &want, sizeof vh);
    cr_assert_arr_eq(w->bytes + sizeof vh, packet.b, packet.len);
}

Test(inbound, super_packets_arrive_as_they_left, .timeout = 120)
{
    for (unsigned i = 0; i < 1500; i++) {
        struct shape s = random_shape(64);
        send_super(&s);
        carry(p.a, p.b, A_ENDPOINT);
        complete_writes(p.b, 0);
        check_written_whole();
        forget(p.a);
        forget(p.b);
    }
    cr_assert_eq(dropped_in_all(p.a), 0);
    cr_assert_eq(dropped_in_all(p.b), 0);
    cr_assert_eq(veld_counter_get(&p.a->counters.packets_from_tun),
                 veld_counter_get(&p.b->counters.packets_to_tun));
}

static struct shape stream_shape(size_t segments)
{
    return (struct shape){.family = 4,
                          .proto = IPPROTO_TCP,
                          .tcp_flags = 0x10,
                          .payload = segments * 1000,
                          .gso_size = 1000};
}

/* The packets in the writes, re-cut, in order: what b's kernel will see. */
static unsigned packets_written(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p.b->n_written; i++) {
        struct virtio_net_hdr vh;
        struct veld_super s;
        memcpy(&vh, p.b->written[i].bytes, sizeof vh);
        cr_assert_eq(veld_super_parse(&vh, p.b->written[i].bytes + sizeof vh,
                                      p.b->written[i].len - sizeof vh, &s),
                     0);
        n += (unsigned)veld_super_segments(&s);
    }
    return n;
}

Test(inbound, a_lost_segment_costs_only_itself)
{
    struct shape s = stream_shape(10);
    send_super(&s);
    const struct sent *sent = &p.a->sent[0];
    cr_assert_eq(p.a->n_sent, 1);
    veld_inbound_begin(p.b->in);
    give_udp(p.b, sent->bytes, 4 * sent->segment, sent->segment, A_ENDPOINT);
    give_udp(p.b, sent->bytes + 5 * sent->segment, sent->len - 5 * sent->segment, sent->segment,
             A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(p.b->n_written, 2);
    cr_assert_eq(packets_written(), 9);
}

/* Segments of UDP over IPv6 have equal headers: only the counter tells that one is missing. */
Test(inbound, a_gap_in_the_counters_ends_a_join)
{
    struct shape s = stream_shape(10);
    s.family = 6;
    s.proto = IPPROTO_UDP;
    send_super(&s);
    const struct sent *sent = &p.a->sent[0];
    veld_inbound_begin(p.b->in);
    give_udp(p.b, sent->bytes, 4 * sent->segment, sent->segment, A_ENDPOINT);
    give_udp(p.b, sent->bytes + 5 * sent->segment, sent->len - 5 * sent->segment, sent->segment,
             A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(p.b->n_written, 2);
    cr_assert_eq(packets_written(), 9);
}

Test(inbound, one_datagram_a_receive_joins_as_well)
{
    struct shape s = stream_shape(10);
    send_super(&s);
    veld_inbound_begin(p.b->in);
    for (unsigned i = 0; i < 10; i++)
        give_udp(p.b, p.a->sent[0].bytes + i * p.a->sent[0].segment, p.a->sent[0].segment,
                 p.a->sent[0].segment, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    check_written_whole();
}

Test(inbound, reordered_and_duplicated_datagrams_arrive_once)
{
    struct shape s = stream_shape(20);
    send_super(&s);
    uint32_t segment = p.a->sent[0].segment;
    veld_inbound_begin(p.b->in);
    for (unsigned i = 0; i < 20; i++)
        give_udp(p.b, p.a->sent[0].bytes + (i * 7 % 20) * segment, segment, segment,
                 A_ENDPOINT);
    for (unsigned i = 0; i < 5; i++)
        give_udp(p.b, p.a->sent[0].bytes + i * segment, segment, segment, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(packets_written(), 20);
    cr_assert_eq(dropped(p.b, VELD_DROP_REPLAY), 5, "in the same batch: at the commit");
    complete_writes(p.b, 0);
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(packets_written(), 20);
    cr_assert_eq(dropped(p.b, VELD_DROP_REPLAY), 25, "in a later one: at the check");
}

Test(inbound, without_uso_udp_stays_single)
{
    p.b->in->udp_segments_max = 0;
    struct shape s = stream_shape(10);
    s.proto = IPPROTO_UDP;
    send_super(&s);
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(p.b->n_written, 10);
    cr_assert_eq(dropped_in_all(p.b), 0);
}

/* ---- What must not get through ---- */

static uint8_t datagram[2000];
static uint32_t datagram_len;

/* One datagram of a's, as sent. */
static void make_datagram(size_t inner_len)
{
    forget(p.a);
    veld_outbound_begin(p.a->out);
    send_plain(p.a, inner_len, 2);
    veld_outbound_flush(p.a->out);
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 1);
    datagram_len = p.a->sent[0].len;
    memcpy(datagram, p.a->sent[0].bytes, datagram_len);
}

static void give_datagram(void)
{
    veld_inbound_begin(p.b->in);
    give_udp(p.b, datagram, datagram_len, datagram_len ? datagram_len : 1, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    complete_writes(p.b, 0);
}

/* Nothing written, one drop more and of that reason, no event. */
static void check_dropped(enum veld_drop reason, uint64_t n)
{
    struct veld_dataplane_event ev;
    cr_assert_eq(p.b->n_written, 0, "%s was written", veld_drop_name(reason));
    cr_assert_eq(dropped(p.b, reason), n, "%s: %lu", veld_drop_name(reason),
                 (unsigned long)dropped(p.b, reason));
    cr_assert_not(veld_event_queue_pop(&p.b->events, &ev));
    cr_assert_eq(veld_counter_get(&p.b->counters.datagrams_received), dropped_in_all(p.b),
                 "each is counted once");
}

/* Seal anything as a would: `flags` and `inner` are the test's. */
static void seal(uint32_t index, uint8_t lane, uint8_t flags, uint64_t counter,
                 const uint8_t *inner, size_t len)
{
    struct veld_header h = {
        .type = VELD_DATA, .flags = flags, .lane = lane, .index = index, .counter = counter};
    struct veld_aead_job job = {.key = p.a_session->lanes[0].send_key,
                                .ad = datagram,
                                .ad_len = VELD_HEADER_SIZE,
                                .data = datagram + VELD_HEADER_SIZE,
                                .len = (uint32_t)len};
    veld_header_write(datagram, &h);
    if (len)
        memcpy(datagram + VELD_HEADER_SIZE, inner, len);
    veld_aead_nonce(job.nonce, counter);
    p.a->ctx.aead->seal(p.a->ctx.aead_ctx, &job, 1);
    datagram_len = (uint32_t)(len + VELD_DATA_OVERHEAD);
}

Test(inbound, a_flipped_bit_anywhere_is_refused)
{
    make_datagram(60);
    unsigned tags = 0;
    for (uint32_t bit = 0; bit < datagram_len * 8; bit++) {
        datagram[bit / 8] ^= (uint8_t)(1u << bit % 8);
        give_datagram();
        datagram[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(p.b->n_written, 0, "bit %u", bit);
        tags += bit >= 128;
    }
    cr_assert_geq(dropped(p.b, VELD_DROP_TAG), tags);
    cr_assert_eq(veld_counter_get(&p.b->counters.datagrams_received), dropped_in_all(p.b));
    cr_assert_eq(p.b_session->lanes[0].window.next, 0, "the window has not moved");
    give_datagram();
    cr_assert_eq(p.b->n_written, 1, "and the true one still arrives");
}

Test(inbound, a_forged_high_counter_moves_nothing)
{
    make_datagram(60);
    uint8_t forged[200];
    memcpy(forged, datagram, datagram_len);
    veld_store_be64(datagram + 8, 1000000);
    give_datagram();
    check_dropped(VELD_DROP_TAG, 1);
    memcpy(datagram, forged, datagram_len);
    give_datagram();
    cr_assert_eq(p.b->n_written, 1);
}

Test(inbound, header_faults)
{
    make_datagram(60);
    datagram_len = 0;
    give_datagram();
    check_dropped(VELD_DROP_RUNT, 1);
    datagram_len = 31;
    give_datagram();
    check_dropped(VELD_DROP_RUNT, 2);
    make_datagram(60);
    datagram[0] = VELD_RELAYED + 1;
    give_datagram();
    check_dropped(VELD_DROP_TYPE, 1);
    make_datagram(60);
    datagram[3] = 2;
    give_datagram();
    check_dropped(VELD_DROP_VERSION, 1);
    make_datagram(60);
    datagram[1] = 0x80;
    give_datagram();
    check_dropped(VELD_DROP_HEADER, 1);
}

Test(inbound, unknown_index_lane_and_time)
{
    uint8_t inner[60];
    plain_packet(inner, 60, 2);
    seal(B_INDEX + VELD_SESSIONS_MAX, 0, 0, 0, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_INDEX, 1);
    seal(B_INDEX, 1, 0, 0, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_LANE, 1);
    seal(B_INDEX, 0, 0, VELD_COUNTER_LIMIT, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_REPLAY, 1);
    seal(B_INDEX, 0, 0, 0, inner, 60);
    p.b->ctx.now_ns = 2 * NOW;
    give_datagram();
    check_dropped(VELD_DROP_EXPIRED, 1);
}

Test(inbound, a_retired_session_receives_nothing)
{
    make_datagram(60);
    veld_index_remove(&p.b->tables.index, p.b_session);
    give_datagram();
    check_dropped(VELD_DROP_INDEX, 1);
    veld_session_free(p.b_session);
}

Test(inbound, an_inner_source_must_be_the_peers)
{
    uint8_t inner[60];
    plain_packet(inner, 60, 2);
    memcpy(inner + 12, (uint8_t[]){10, 9, 3, 2}, 4); /* nobody's */
    seal(B_INDEX, 0, 0, 0, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_SOURCE, 1);
    memcpy(inner + 12, (uint8_t[]){10, 9, 2, 2}, 4); /* our own side */
    seal(B_INDEX, 0, 0, 1, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_SOURCE, 2);
    uint8_t v6[48] = {0x60, 0, 0, 0, 0, 8, 59, 64, 0xfd, 0, 0, 3};
    seal(B_INDEX, 0, 0, 2, v6, 48);
    give_datagram();
    check_dropped(VELD_DROP_SOURCE, 3);
}

/* Each fragment bears the source, and each is asked for it. */
Test(inbound, an_inner_source_must_be_the_peers_in_fragments_too)
{
    static const uint16_t fragments[] = {0x2000, 0x2007, 0x0007}; /* first, middle, last */
    uint8_t inner[60];
    uint64_t counter = 0;
    for (size_t i = 0; i < VELD_ARRAY_LEN(fragments); i++) {
        plain_packet(inner, 60, 2);
        memcpy(inner + 12, (uint8_t[]){10, 9, 3, 2}, 4);
        veld_store_be16(inner + 6, fragments[i]);
        seal(B_INDEX, 0, 0, counter++, inner, 60);
        give_datagram();
        check_dropped(VELD_DROP_SOURCE, counter);
    }
    uint8_t v6[48] = {0x60, 0, 0, 0, 0, 8, 44, 64, 0xfd, 0, 0, 3}; /* a fragment header */
    seal(B_INDEX, 0, 0, counter++, v6, 48);
    give_datagram();
    check_dropped(VELD_DROP_SOURCE, counter);
}

/* A right source must not vouch for the next peer's, nor for the next packet's. */
Test(inbound, every_packet_of_a_batch_is_checked)
{
    uint8_t inner[60], all[300];
    for (uint8_t i = 0; i < 3; i++) {
        plain_packet(inner, 60, 2);
        if (i == 1)
            inner[14] = 3;
        seal(B_INDEX, 0, 0, i, inner, 60);
        memcpy(all + i * 92, datagram, 92);
    }
    veld_inbound_begin(p.b->in);
    give_udp(p.b, all, 3 * 92, 92, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(p.b->n_written, 2);
    cr_assert_eq(dropped(p.b, VELD_DROP_SOURCE), 1);
}

Test(inbound, inner_garbage_is_dropped)
{
    uint8_t inner[60];
    plain_packet(inner, 60, 2);
    inner[3] = 59; /* not the length it has */
    seal(B_INDEX, 0, 0, 0, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_INNER, 1);
    plain_packet(inner, 60, 2); /* protocol 253 has no partial checksum */
    seal(B_INDEX, 0, VELD_FLAG_PARTIAL_CSUM, 1, inner, 60);
    give_datagram();
    check_dropped(VELD_DROP_INNER, 2);
}

Test(inbound, truncated_receives_are_dropped)
{
    make_datagram(60);
    veld_inbound_begin(p.b->in);
    p.b->buffer_uses[0] = 1;
    struct veld_udp_receive r = {.data = receive_memory[0], .truncated = true};
    veld_inbound_receive(p.b->in, &r);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(dropped(p.b, VELD_DROP_OVERSIZED), 1);
    cr_assert_eq(p.b->buffer_uses[0], 0);
}

/* ---- What control is told ---- */

static bool event(struct veld_dataplane_event *ev)
{
    return veld_event_queue_pop(&p.b->events, ev);
}

static bool handshake_event(struct veld_dataplane_event *ev)
{
    return veld_event_queue_pop(&p.b->handshakes, ev);
}

/* What they say is control's business; gate.h says which of them come so far. */
Test(inbound, handshakes_are_handed_over_unread)
{
    struct veld_dataplane_event ev;
    memset(datagram, 0x11, sizeof datagram);
    veld_header_write(datagram, &(struct veld_header){.type = VELD_INITIATION, .index = 5});
    datagram_len = VELD_INITIATION_SIZE;
    give_datagram();
    cr_assert(handshake_event(&ev));
    cr_assert_eq(ev.type, VELD_DP_HANDSHAKE);
    cr_assert_eq(ev.len, VELD_INITIATION_SIZE);
    cr_assert_arr_eq(ev.bytes, datagram, datagram_len);
    cr_assert_eq(ev.from.port, 1000);
    for (unsigned i = 0; i < VELD_HANDSHAKE_QUEUE_SIZE / 2 + 10; i++)
        give_datagram();
    cr_assert_eq(dropped(p.b, VELD_DROP_CONTROL_QUEUE), 10);
    cr_assert_not(event(&ev), "the queue of sessions is not theirs");
}

Test(inbound, handshakes_pass_the_gate)
{
    struct veld_dataplane_event ev;
    static const uint8_t own[32] = {7};
    struct veld_cookie_checker checker;
    veld_cookie_checker_init(&checker, own);
    cr_assert_eq(veld_handshakes_set_cookies(&p.b->tables.handshakes, &checker), 0);
    memset(datagram, 0x11, sizeof datagram);
    veld_header_write(datagram, &(struct veld_header){.type = VELD_INITIATION, .index = 5});
    datagram_len = VELD_INITIATION_SIZE;
    give_datagram();
    check_dropped(VELD_DROP_MAC1, 1);
    cr_assert_not(handshake_event(&ev));
}

Test(inbound, a_session_is_confirmed_once)
{
    struct veld_dataplane_event ev;
    atomic_store(&p.b_session->confirmed, false);
    make_datagram(60);
    datagram[40] ^= 1;
    give_datagram();
    cr_assert_not(event(&ev), "not by a forgery");
    datagram[40] ^= 1;
    give_datagram();
    cr_assert(event(&ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED);
    cr_assert_eq(ev.peer, PEER);
    cr_assert_eq(ev.local_index, B_INDEX);
    cr_assert_eq(ev.from.port, 1000);
    make_datagram(60);
    give_datagram();
    cr_assert_not(event(&ev));
    cr_assert_eq(p.b->n_written, 2, "its data arrives at once");
}

Test(inbound, a_keepalive_is_noticed_and_goes_no_further)
{
    seal(B_INDEX, 0, 0, 0, NULL, 0);
    give_datagram();
    cr_assert_eq(p.b->n_written, 0);
    cr_assert_eq(dropped_in_all(p.b), 0);
    struct veld_activity a;
    veld_activity_sum(site_peer(p.b)->activity, 4, &a);
    cr_assert_eq(a.last_received_ns, NOW);
    cr_assert_eq(a.last_received_data_ns, 0);
}

/* It would confirm a session, keep one alive, and move its peer. */
Test(inbound, a_forged_keepalive_is_nothing)
{
    struct veld_activity a;
    struct veld_dataplane_event ev;
    atomic_store(&p.b_session->confirmed, false);
    seal(B_INDEX, 0, 0, 0, NULL, 0);
    datagram[datagram_len - 1] ^= 1;
    give_datagram();
    check_dropped(VELD_DROP_TAG, 1);
    veld_activity_sum(site_peer(p.b)->activity, 4, &a);
    cr_assert_eq(a.last_received_ns, 0);
    cr_assert_eq(p.b_session->lanes[0].window.next, 0);
    datagram[datagram_len - 1] ^= 1;
    give_datagram();
    cr_assert(event(&ev) && ev.type == VELD_DP_CONFIRMED, "the true one counts");
}

Test(inbound, control_messages_go_to_control_alone)
{
    struct veld_dataplane_event ev;
    uint8_t message[VELD_MESSAGE_MAX + 1];
    memset(message, 0x45, sizeof message); /* would pass for the start of an IPv4 packet */
    seal(B_INDEX, 0, VELD_FLAG_CONTROL, 0, message, VELD_MESSAGE_MAX);
    give_datagram();
    cr_assert_eq(p.b->n_written, 0);
    cr_assert(event(&ev));
    cr_assert_eq(ev.type, VELD_DP_MESSAGE);
    cr_assert_eq(ev.len, VELD_MESSAGE_MAX);
    cr_assert_arr_eq(ev.bytes, message, VELD_MESSAGE_MAX);
    cr_assert_eq(ev.local_index, B_INDEX);
    seal(B_INDEX, 0, VELD_FLAG_CONTROL, 1, message, VELD_MESSAGE_MAX + 1);
    give_datagram();
    seal(B_INDEX, 0, VELD_FLAG_CONTROL, 2, message, 0);
    give_datagram();
    seal(B_INDEX, 0, VELD_FLAG_CONTROL | VELD_FLAG_SEGMENT, 3, message, 20);
    give_datagram();
    cr_assert_eq(dropped(p.b, VELD_DROP_MESSAGE), 3);
    cr_assert_not(event(&ev));
    /* Only a probe may be longer than an event; of it, an event's worth is told. */
    message[0] = VELD_MSG_PROBE;
    seal(B_INDEX, 0, VELD_FLAG_CONTROL, 4, message, VELD_MESSAGE_MAX + 1);
    give_datagram();
    cr_assert(event(&ev));
    cr_assert_eq(ev.len, VELD_MESSAGE_MAX + 1);
    cr_assert_arr_eq(ev.bytes, message, VELD_MESSAGE_MAX);
    cr_assert_eq(p.b->n_written, 0);
}

static void give_from(uint64_t counter, const char *from)
{
    seal(B_INDEX, 0, 0, counter, NULL, 0);
    veld_inbound_begin(p.b->in);
    give_udp(p.b, datagram, datagram_len, datagram_len, from);
    veld_inbound_flush(p.b->in);
}

Test(inbound, a_move_is_told_for_the_newest_datagram_only)
{
    struct veld_dataplane_event ev;
    give_from(5, A_ENDPOINT);
    cr_assert_not(event(&ev), "from where it was");
    give_from(4, "198.51.100.1:7");
    cr_assert_not(event(&ev), "an old datagram moves nothing");
    give_from(6, "198.51.100.1:7");
    cr_assert(event(&ev));
    cr_assert_eq(ev.type, VELD_DP_MOVED);
    cr_assert_eq(ev.from.port, 7);
    cr_assert_eq(ev.local_index, B_INDEX);
    give_from(7, "198.51.100.1:7");
    cr_assert_not(event(&ev), "not told again at once");
    p.b->ctx.now_ns += 100000000;
    give_from(8, "198.51.100.1:7");
    cr_assert(event(&ev), "but while it lasts");
    site_set_path(p.b, "198.51.100.1:7");
    p.b->ctx.now_ns += 100000000;
    give_from(9, "198.51.100.1:7");
    cr_assert_not(event(&ev));
}

/* Elsewhere the address is a lane's own port, where nobody listens; its use must not end in pings. */
Test(inbound, only_lane_0_tells_where_a_peer_is)
{
    struct pair lanes;
    struct veld_dataplane_event ev;
    pair_make(&lanes, 2);
    lanes.a->ctx.thread = 1;
    veld_outbound_begin(lanes.a->out);
    send_plain(lanes.a, 60, 2);
    veld_outbound_flush(lanes.a->out);
    carry(lanes.a, lanes.b, "198.51.100.1:7");
    cr_assert_eq(lanes.b->n_written, 1);
    cr_assert_not(veld_event_queue_pop(&lanes.b->events, &ev));

    /* What it confirms or says is told, without the address. */
    atomic_store(&lanes.b_session->confirmed, false);
    forget(lanes.a);
    veld_outbound_begin(lanes.a->out);
    send_plain(lanes.a, 60, 2);
    veld_outbound_flush(lanes.a->out);
    carry(lanes.a, lanes.b, "198.51.100.1:7");
    cr_assert(veld_event_queue_pop(&lanes.b->events, &ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED);
    cr_assert_eq(ev.from.ip.family, 0);
    cr_assert_not(veld_event_queue_pop(&lanes.b->events, &ev));
    pair_free(&lanes);
}

/* ---- Buffers and failing writes ---- */

static unsigned buffers_out(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        n += p.b->buffer_uses[i];
    return n;
}

Test(inbound, buffers_come_back_when_their_writes_are_done)
{
    make_datagram(60);
    veld_inbound_begin(p.b->in);
    give_udp(p.b, datagram, datagram_len, datagram_len, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(buffers_out(), 1, "the write is under way");
    veld_inbound_begin(p.b->in);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(buffers_out(), 1);
    complete_writes(p.b, 0);
    veld_inbound_begin(p.b->in);
    cr_assert_eq(buffers_out(), 0);
    give_datagram(); /* a replay: nothing to write */
    cr_assert_eq(buffers_out(), 0);
}

Test(inbound, a_failing_tun_is_counted_and_survived)
{
    struct shape s = stream_shape(3);
    send_super(&s);
    carry(p.a, p.b, A_ENDPOINT);
    complete_writes(p.b, -EIO);
    cr_assert_eq(dropped(p.b, VELD_DROP_TUN_ERROR), 3);
    forget(p.a);
    send_super(&s);
    carry(p.a, p.b, A_ENDPOINT);
    complete_writes(p.b, -EAGAIN);
    cr_assert_eq(dropped(p.b, VELD_DROP_TUN_FULL), 3);
    cr_assert_eq(veld_counter_get(&p.b->counters.packets_to_tun), 0);
    veld_inbound_begin(p.b->in);
    cr_assert_eq(buffers_out(), 0);
}

/* More datagrams in a receive than a batch holds: it goes on in the next batch. */
Test(inbound, a_receive_of_more_than_a_batch)
{
    static uint8_t all[400 * 68];
    uint8_t inner[36];
    for (unsigned i = 0; i < 400; i++) {
        plain_packet(inner, 36, 2);
        seal(B_INDEX, 0, 0, i, inner, 36);
        memcpy(all + i * 68, datagram, 68);
    }
    veld_inbound_begin(p.b->in);
    give_udp(p.b, all, sizeof all, 68, A_ENDPOINT);
    veld_inbound_flush(p.b->in);
    cr_assert_eq(p.b->n_written, VELD_JOINS_MAX);
    cr_assert_eq(dropped(p.b, VELD_DROP_TUN_FULL), 400 - VELD_JOINS_MAX);
    complete_writes(p.b, 0);
    veld_inbound_begin(p.b->in);
    cr_assert_eq(buffers_out(), 0);
}

/* ---- STUN shares the port ---- */

Test(inbound, stun_is_handed_over_unread)
{
    uint8_t m[VELD_STUN_HEADER_SIZE + 8] = {0x01, 0x01, 0, 8, 0x21, 0x12, 0xa4, 0x42};
    struct veld_dataplane_event ev;
    veld_inbound_begin(p.b->in);
    for (unsigned i = 0; i < VELD_GATE_STUN_BURST + 3; i++) {
        give_udp(p.b, m, sizeof m, sizeof m, A_ENDPOINT);
        veld_inbound_flush(p.b->in);
    }
    cr_assert(veld_event_queue_pop(&p.b->handshakes, &ev));
    cr_assert_eq(ev.type, VELD_DP_STUN);
    cr_assert_eq(ev.len, sizeof m);
    cr_assert_arr_eq(ev.bytes, m, sizeof m);
    struct veld_endpoint from;
    cr_assert_eq(veld_endpoint_parse(A_ENDPOINT, &from), 0);
    cr_assert(veld_endpoint_equal(&ev.from, &from));
    cr_assert_eq(dropped(p.b, VELD_DROP_STUN_RATE), 3);

    m[4] = 0; /* another cookie: something else */
    give_udp(p.b, m, sizeof m, sizeof m, A_ENDPOINT);
    cr_assert_eq(dropped(p.b, VELD_DROP_TYPE), 1);
}

#include "super_packets.h"
#include "support/packet_path.h"

#include <criterion/criterion.h>

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

TestSuite(outbound, .init = setup, .fini = teardown);

static void give_super(struct site *s, const struct shape *shape)
{
    static struct packet packet;
    make_packet(&packet, shape);
    give_tun(s, &packet.vh, packet.b, packet.len);
}

Test(outbound, a_super_packet_leaves_in_one_send)
{
    give_super(p.a, &(struct shape){.family = 4,
                                    .proto = IPPROTO_TCP,
                                    .tcp_flags = 0x10,
                                    .payload = 40 * 1380 + 7,
                                    .gso_size = 1380});
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 1);
    cr_assert_eq(p.a->sent[0].segment, 1380 + 40 + VELD_DATA_OVERHEAD);
    cr_assert_eq(p.a->sent[0].len, 40 * (1420 + 32) + 40 + 7 + 32);
    cr_assert_eq(p.a->sent[0].to.sin_port, htons(2000));
    complete_sends(p.a);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 41);
    cr_assert_eq(veld_counter_get(&p.a->counters.packets_from_tun), 41);
    cr_assert_eq(veld_counter_get(&p.a->counters.super_packets_from_tun), 1);
    cr_assert_eq(dropped_in_all(p.a), 0);
}

/* One that does not fit a send goes on in a second, with counters that follow. */
Test(outbound, what_exceeds_a_send_goes_on_in_the_next)
{
    give_super(p.a, &(struct shape){.family = 4,
                                    .proto = IPPROTO_TCP,
                                    .tcp_flags = 0x10,
                                    .payload = 65400,
                                    .gso_size = 1380});
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 2);
    uint64_t counter = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct sent *s = &p.a->sent[i];
        for (uint32_t at = 0; at < s->len; at += s->segment) {
            struct veld_header h;
            enum veld_drop reason;
            uint32_t len = VELD_MIN(s->segment, s->len - at);
            cr_assert(veld_header_parse(s->bytes + at, len, &h, &reason));
            cr_assert_eq(h.counter, counter);
            cr_assert_eq(h.index, B_INDEX);
            cr_assert_eq(!!(h.flags & VELD_FLAG_CONTINUES), counter > 0);
            counter++;
        }
    }
    cr_assert_eq(counter, (65400 + 1379) / 1380);
}

Test(outbound, small_equal_packets_share_a_send)
{
    for (unsigned i = 0; i < 100; i++)
        send_plain(p.a, 60, 2);
    send_plain(p.a, 50, 2); /* shorter: ends the run */
    send_plain(p.a, 50, 2);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 3);
    cr_assert_eq(p.a->sent[0].len, 64 * 92);
    cr_assert_eq(p.a->sent[1].len, 36 * 92 + 82);
    cr_assert_eq(p.a->sent[2].len, 82);
    complete_sends(p.a);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 102);
}

/* Between two batches another worker may take the counter before ours. */
Test(outbound, a_batch_never_begins_with_a_continuation)
{
    give_super(p.a, &(struct shape){.family = 4,
                                    .proto = IPPROTO_TCP,
                                    .tcp_flags = 0x10,
                                    .payload = 400 * 100,
                                    .gso_size = 100});
    veld_outbound_flush(p.a->out);
    for (unsigned i = 0; i < p.a->n_sent; i++) {
        const uint8_t *first = p.a->sent[i].bytes;
        bool begins = veld_load_be64(first + 8) % VELD_AEAD_BATCH_MAX == 0;
        cr_assert_eq(!(first[1] & VELD_FLAG_CONTINUES), begins);
    }
    cr_assert_eq(p.a->n_sent, 4 + 3);
}

/* A lane both of two workers use: its counters never repeat. */
Test(outbound, workers_on_one_lane_share_no_counter)
{
    struct site *second = site_new(1);
    struct veld_tables own = second->tables;
    second->ctx.tables = &p.a->tables;
    veld_outbound_begin(second->out);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 1 + round % 5; i++) {
            send_plain(p.a, 60, 2);
            send_plain(second, 70, 2);
        }
        veld_outbound_flush(p.a->out);
        veld_outbound_flush(second->out);
    }
    static unsigned seen[200];
    struct site *sites[] = {p.a, second};
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < sites[k]->n_sent; i++)
            for (uint32_t at = 0; at < sites[k]->sent[i].len; at += sites[k]->sent[i].segment)
                seen[veld_load_be64(sites[k]->sent[i].bytes + at + 8)]++;
    for (unsigned i = 0; i < 120; i++)
        cr_assert_eq(seen[i], 1, "counter %u", i);
    second->ctx.tables = &second->tables;
    second->tables = own;
    site_free(second);
}

Test(outbound, lanes_follow_the_worker)
{
    struct pair lanes;
    pair_make(&lanes, 2);
    lanes.a->ctx.thread = 3;
    veld_outbound_begin(lanes.a->out);
    send_plain(lanes.a, 60, 2);
    veld_outbound_flush(lanes.a->out);
    cr_assert_eq(lanes.a->sent[0].bytes[2], 1);
    cr_assert_eq(atomic_load(&lanes.a_session->lanes[0].next), 0);
    cr_assert_eq(atomic_load(&lanes.a_session->lanes[1].next), 1);
    carry(lanes.a, lanes.b, A_ENDPOINT);
    cr_assert_eq(lanes.b->n_written, 1);
    pair_free(&lanes);
}

static enum veld_io_socket socket_used(struct site *s, unsigned thread)
{
    s->ctx.thread = thread;
    forget(s);
    veld_outbound_begin(s->out);
    send_plain(s, 60, 2);
    send_plain(s, 60, 3);
    veld_outbound_flush(s->out);
    complete_sends(s);
    for (unsigned i = 1; i < s->n_sent; i++)
        cr_assert_eq(s->sent[i].from, s->sent[0].from);
    return s->sent[0].from;
}

Test(outbound, a_lane_leaves_by_its_workers_port_where_that_was_proved)
{
    struct pair lanes;
    pair_make(&lanes, 2);
    struct site *s = lanes.a;
    struct veld_path *path = veld_peer_path(site_peer(s));
    cr_assert_eq(socket_used(s, 1), VELD_IO_MAIN);
    path->lane_ports = 1u << 1 | 1u << 2;
    cr_assert_eq(socket_used(s, 1), VELD_IO_LANE);
    cr_assert_eq(socket_used(s, 3), VELD_IO_MAIN, "another worker's port is not its own");
    cr_assert_eq(socket_used(s, 2), VELD_IO_MAIN, "lane 0 shows where we are");

    /* Also what is sent singly, after UDP_SEGMENT was refused. */
    s->send_result = -EIO;
    cr_assert_eq(socket_used(s, 1), VELD_IO_LANE);
    cr_assert_eq(s->n_sent, 3);
    pair_free(&lanes);
}

Test(outbound, drops_are_counted_by_their_reason)
{
    uint8_t packet[60];
    give_tun(p.a, &(struct virtio_net_hdr){0}, packet, 0);
    veld_outbound_packet(p.a->out, packet, 5);
    cr_assert_eq(dropped(p.a, VELD_DROP_TUN_PACKET), 2);
    plain_packet(packet, 60, 2);
    packet[18] = 3; /* 10.9.3.1 */
    give_tun(p.a, &(struct virtio_net_hdr){0}, packet, 60);
    cr_assert_eq(dropped(p.a, VELD_DROP_NO_ROUTE), 1);
    veld_peer_set_path(site_peer(p.a), NULL);
    send_plain(p.a, 60, 2);
    cr_assert_eq(dropped(p.a, VELD_DROP_NO_ENDPOINT), 1);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(dropped_in_all(p.a), 4);
}

/* Sealed again, it would come back for ever. */
Test(outbound, our_own_datagram_is_a_loop)
{
    struct packet packet;
    const struct shape to_b = {
        .family = 4, .proto = IPPROTO_UDP, .payload = 100, .gso_size = 1000};
    make_packet(&packet, &to_b);
    const uint8_t *udp = packet.b + 20;
    p.a->tables.own = (struct veld_own){.port = veld_load_be16(udp), .n = 1};
    p.a->tables.own.addrs[0].family = 4;
    memcpy(p.a->tables.own.addrs[0].b, packet.b + 12, 4);
    give_tun(p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(dropped(p.a, VELD_DROP_LOOP), 1);
    cr_assert_eq(dropped_in_all(p.a), 1);
}

Test(outbound, a_packet_too_long_for_a_datagram_is_dropped)
{
    static uint8_t packet[65535];
    plain_packet(packet, 65500, 2);
    give_tun(p.a, &(struct virtio_net_hdr){0}, packet, 65500);
    cr_assert_eq(dropped(p.a, VELD_DROP_OVERSIZED), 1);
}

/* ---- Sessions that end ---- */

static unsigned events_of(struct site *s, enum veld_dataplane_event_type type)
{
    struct veld_dataplane_event ev;
    unsigned n = 0;
    while (veld_event_queue_pop(&s->events, &ev)) {
        cr_assert_eq(ev.peer, PEER);
        n += ev.type == type;
    }
    return n;
}

Test(outbound, waits_for_a_session_and_asks_once)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    for (uint8_t i = 0; i < 10; i++)
        send_plain(p.a, 100 + i, 2);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(events_of(p.a, VELD_DP_NEED_SESSION), 1);
    veld_outbound_look(p.a->out);
    cr_assert_eq(p.a->out->hold.count, 10);

    site_use(p.a, p.a_session);
    veld_outbound_look(p.a->out);
    veld_outbound_flush(p.a->out);
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(p.b->n_written, 10);
    for (uint8_t i = 0; i < 10; i++)
        cr_assert_eq(p.b->written[i].len, sizeof(struct virtio_net_hdr) + 100 + i);
    cr_assert_eq(p.a->out->hold.count, 0);

    atomic_store(&site_peer(p.a)->tx, NULL);
    send_plain(p.a, 100, 2);
    cr_assert_eq(events_of(p.a, VELD_DP_NEED_SESSION), 1, "a new need is told again");
}

/* The worker may see the session before it is told to look. */
Test(outbound, what_waited_leaves_before_what_comes)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    send_plain(p.a, 101, 2);
    send_plain(p.a, 102, 2);
    site_use(p.a, p.a_session);
    send_plain(p.a, 103, 2);
    veld_outbound_flush(p.a->out);
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(p.b->n_written, 3);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(p.b->written[i].len, sizeof(struct virtio_net_hdr) + 101 + i);
}

Test(outbound, held_segments_are_whole_packets)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    give_super(p.a, &(struct shape){.family = 4,
                                    .proto = IPPROTO_TCP,
                                    .tcp_flags = 0x10,
                                    .payload = 5 * 1300,
                                    .gso_size = 1300});
    cr_assert_eq(p.a->out->hold.count, 5);
    site_use(p.a, p.a_session);
    veld_outbound_look(p.a->out);
    veld_outbound_flush(p.a->out);
    carry(p.a, p.b, A_ENDPOINT);
    cr_assert_eq(p.b->n_written, 5, "held ones are not joined");
    cr_assert_eq(dropped_in_all(p.b), 0);
}

Test(outbound, nobody_comes)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    for (unsigned i = 0; i < VELD_HOLD_PER_PEER + 3; i++)
        send_plain(p.a, 100, 2);
    cr_assert_eq(dropped(p.a, VELD_DROP_HOLD_FULL), 3);
    atomic_fetch_add(&site_peer(p.a)->drop_held, 1);
    veld_outbound_look(p.a->out);
    cr_assert_eq(dropped(p.a, VELD_DROP_HOLD_TIMEOUT), VELD_HOLD_PER_PEER);
    cr_assert_eq(p.a->out->hold.count, 0);
}

Test(outbound, a_removed_peer_takes_what_waits_along)
{
    atomic_store(&site_peer(p.a)->tx, NULL);
    send_plain(p.a, 100, 2);
    veld_peers_remove(&p.a->tables.peers, site_peer(p.a));
    cr_assert_eq(veld_peers_add(&p.a->tables.peers, PEER), 0);
    veld_outbound_look(p.a->out);
    cr_assert_eq(dropped(p.a, VELD_DROP_HOLD_TIMEOUT), 1, "the new peer gets nothing of it");
    send_plain(p.a, 100, 2);
    cr_assert_eq(dropped(p.a, VELD_DROP_NO_ROUTE), 1, "old routes do not lead to it");
}

Test(outbound, an_expired_session_sends_nothing)
{
    p.a->ctx.now_ns = 2 * NOW;
    send_plain(p.a, 100, 2);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(p.a->out->hold.count, 1);
    cr_assert_eq(events_of(p.a, VELD_DP_NEED_SESSION), 1);
}

Test(outbound, counters_at_their_end_send_nothing)
{
    atomic_store(&p.a_session->lanes[0].next, VELD_COUNTER_LIMIT - 2);
    atomic_store(&p.a_session->rekey_told, true);
    for (unsigned i = 0; i < 3; i++)
        send_plain(p.a, 100, 2);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(p.a->n_sent, 0);
    cr_assert_eq(dropped(p.a, VELD_DROP_EXPIRED), 3);
    cr_assert_eq(events_of(p.a, VELD_DP_NEED_SESSION), 1);
}

Test(outbound, a_rekey_is_due_once)
{
    atomic_store(&p.a_session->lanes[0].next, VELD_REKEY_AFTER_DATAGRAMS - 2);
    for (unsigned i = 0; i < 6; i++) {
        send_plain(p.a, 100, 2);
        veld_outbound_flush(p.a->out);
        cr_assert_eq(events_of(p.a, VELD_DP_REKEY_DUE), i == 2);
    }
}

/* ---- Sends that fail ---- */

static void send_run_of_three(void)
{
    for (unsigned i = 0; i < 3; i++)
        send_plain(p.a, 100, 2);
    veld_outbound_flush(p.a->out);
}

Test(outbound, eio_stops_segmentation_and_sends_again)
{
    send_run_of_three();
    p.a->send_result = -EIO;
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 4);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(p.a->sent[1 + i].now);
        cr_assert_eq(p.a->sent[1 + i].len, 132);
        cr_assert_arr_eq(p.a->sent[1 + i].bytes, p.a->sent[0].bytes + i * 132, 132);
    }
    cr_assert_eq(dropped_in_all(p.a), 0);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 3);
    cr_assert_not(p.a->out->segment_offload[VELD_IO_MAIN]);
    veld_outbound_begin(p.a->out);
    send_run_of_three();
    cr_assert_eq(p.a->n_sent, 7, "one by one from now on");
}

/* Each socket by itself: the other one's device may well segment. */
Test(outbound, eio_on_one_socket_leaves_the_other_alone)
{
    struct veld_session *lanes = site_add_session(p.a, A_INDEX + 1, B_INDEX + 1, 2, 1, 2);
    struct veld_path *path = calloc(1, sizeof *path);
    *path = *veld_peer_path(site_peer(p.a));
    path->lane_ports = 2;
    veld_peer_set_path(site_peer(p.a), path);
    site_use(p.a, lanes);
    p.a->ctx.thread = 1;
    send_run_of_three();
    cr_assert_eq(p.a->sent[0].from, VELD_IO_LANE);
    p.a->send_result = -EIO;
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 4);
    for (unsigned i = 1; i < 4; i++)
        cr_assert_eq(p.a->sent[i].from, VELD_IO_LANE, "again by the socket it left by");
    p.a->send_result = 0;
    veld_outbound_begin(p.a->out);
    send_run_of_three();
    cr_assert_eq(p.a->n_sent, 7);
    complete_sends(p.a);
    p.a->ctx.thread = 0;
    veld_outbound_begin(p.a->out);
    send_run_of_three();
    cr_assert_eq(p.a->n_sent, 8, "the main socket sends runs as before");
    cr_assert_eq(p.a->sent[7].from, VELD_IO_MAIN);
}

Test(outbound, a_path_mtu_splits_only_this_run)
{
    send_run_of_three();
    p.a->send_result = -EINVAL;
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 4);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 3);
    cr_assert(p.a->out->segment_offload[VELD_IO_MAIN]);
}

/* The interface takes less: what fits leaves, the rest is counted, and control is told what was too much. */
Test(outbound, what_the_interface_refuses_is_told)
{
    struct veld_dataplane_event ev;
    send_run_of_three();
    p.a->send_result = -EMSGSIZE;
    p.a->send_now_result = -EMSGSIZE;
    complete_sends(p.a);
    cr_assert_eq(p.a->n_sent, 4);
    cr_assert_eq(dropped(p.a, VELD_DROP_TOO_BIG), 3);
    cr_assert_eq(dropped_in_all(p.a), 3);
    cr_assert(veld_event_queue_pop(&p.a->events, &ev));
    cr_assert_eq(ev.type, VELD_DP_TOO_BIG);
    cr_assert_eq(ev.peer, PEER);
    cr_assert_eq(ev.len, 100);
    cr_assert_not(veld_event_queue_pop(&p.a->events, &ev), "once in a while");
    cr_assert(p.a->out->segment_offload);
}

Test(outbound, full_and_refused_are_counted)
{
    send_run_of_three();
    p.a->send_result = -EAGAIN;
    complete_sends(p.a);
    cr_assert_eq(dropped(p.a, VELD_DROP_UDP_FULL), 3);
    cr_assert_eq(p.a->n_sent, 1);
    veld_outbound_begin(p.a->out);
    send_run_of_three();
    p.a->send_result = -ECONNREFUSED;
    complete_sends(p.a);
    cr_assert_eq(dropped(p.a, VELD_DROP_UDP_ERROR), 3);
    veld_outbound_begin(p.a->out);
    send_run_of_three();
    p.a->send_result = -EINVAL;
    p.a->send_now_result = -EPERM;
    complete_sends(p.a);
    cr_assert_eq(dropped(p.a, VELD_DROP_UDP_ERROR), 6, "each of the repeated ones");
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 0);
}

/* ---- Room ---- */

Test(outbound, the_arena_waits_for_its_sends)
{
    struct shape big = {.family = 6,
                        .proto = IPPROTO_TCP,
                        .tcp_flags = 0x10,
                        .payload = 60000,
                        .gso_size = 1200};
    unsigned n = 0;
    while (veld_outbound_has_room(p.a->out)) {
        give_super(p.a, &big);
        n++;
    }
    cr_assert_geq(n, 4);
    veld_outbound_flush(p.a->out);
    cr_assert_eq(dropped_in_all(p.a), 0);
    veld_outbound_begin(p.a->out);
    cr_assert_not(veld_outbound_has_room(p.a->out), "nothing has been told yet");
    complete_sends(p.a);
    veld_outbound_begin(p.a->out);
    cr_assert(veld_outbound_has_room(p.a->out));
}

Test(outbound, tiny_segments_without_end_are_bounded)
{
    for (unsigned i = 0; i < 20; i++)
        give_super(p.a, &(struct shape){.family = 4,
                                        .proto = IPPROTO_TCP,
                                        .tcp_flags = 0x10,
                                        .payload = 60000,
                                        .gso_size = 8});
    veld_outbound_flush(p.a->out);
    complete_sends(p.a);
    uint64_t sent = veld_counter_get(&p.a->counters.datagrams_sent);
    cr_assert_gt(sent, 1000);
    cr_assert_eq(sent + dropped(p.a, VELD_DROP_NO_BUFFER), 20 * 7500);
}

Test(outbound, activity_tells_what_left)
{
    send_run_of_three();
    struct veld_activity a;
    veld_activity_sum(site_peer(p.a)->activity, 4, &a);
    cr_assert_eq(a.sent_packets, 3);
    cr_assert_eq(a.sent_bytes, 300);
    cr_assert_eq(a.last_sent_ns, NOW);
    cr_assert_eq(a.last_sent_data_ns, NOW);
    cr_assert_eq(a.last_received_ns, 0);
}

/*
 * One direction of a worker is stuck, in every way that its engine can tell:
 * the other one goes on, what is lost is counted, and it recovers.
 */
#include "super_packets.h"
#include "support/packet_path.h"

#define TURNS 100

static struct pair p;

static void setup(void)
{
    pair_make(&p, 1);
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(pressure, .init = setup, .fini = teardown);

/* One turn of a worker's way out, with `n` packets waiting in its TUN queue; how many it took. */
static unsigned turn_out(struct site *s, unsigned n, uint8_t host)
{
    unsigned taken = 0;
    veld_outbound_begin(s->out);
    for (; taken < n && veld_outbound_has_room(s->out); taken++)
        send_plain(s, 1400, host);
    veld_outbound_flush(s->out);
    return taken;
}

/* b to a: sources and destinations the other way round. */
static void send_back(size_t n)
{
    uint8_t packet[1000];
    veld_outbound_begin(p.b->out);
    for (size_t i = 0; i < n; i++) {
        plain_packet(packet, sizeof packet, 1);
        memcpy(packet + 12, (uint8_t[]){10, 9, 2, 1, 10, 9, 1, 2}, 8);
        give_tun(p.b, &(struct virtio_net_hdr){0}, packet, sizeof packet);
    }
    veld_outbound_flush(p.b->out);
    complete_sends(p.b);
}

/* A turn of b's way out and a's way in; a's writes are told `result`. */
static unsigned turn_back(size_t n, int result)
{
    unsigned before = p.a->n_written;
    send_back(n);
    carry(p.b, p.a, B_ENDPOINT);
    complete_writes(p.a, result);
    unsigned written = p.a->n_written - before;
    forget(p.b);
    return written;
}

Test(pressure, sends_that_are_not_told_stop_reading_and_nothing_else)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        taken += turn_out(p.a, 20, 2);
        cr_assert_eq(turn_back(10, 0), 10, "turn %u: what comes in is delivered", i);
    }
    cr_assert_lt(taken, 20 * TURNS, "the rest waits in the TUN's queue, where it belongs");
    cr_assert_eq(dropped_in_all(p.a), 0);
    complete_sends(p.a);
    cr_assert_eq(turn_out(p.a, 20, 2), 20, "and goes on when the sends are told");
    complete_sends(p.a);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), taken + 20);
}

Test(pressure, a_full_socket_drops_and_counts_and_nothing_else)
{
    static const int full[] = {EAGAIN, ENOBUFS, ENOMEM};
    unsigned taken = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        p.a->send_result = -full[i % VELD_ARRAY_LEN(full)];
        taken += turn_out(p.a, 20, 2);
        complete_sends(p.a);
        forget(p.a);
        cr_assert_eq(turn_back(10, 0), 10, "turn %u", i);
    }
    cr_assert_eq(taken, 20 * TURNS, "reading goes on");
    cr_assert_eq(dropped(p.a, VELD_DROP_UDP_FULL), taken);
    cr_assert_eq(dropped_in_all(p.a), taken);
    p.a->send_result = 0;
    turn_out(p.a, 20, 2);
    complete_sends(p.a);
    cr_assert_eq(dropped_in_all(p.a), taken);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 20);
}

Test(pressure, writes_that_are_not_told_stop_receiving_and_nothing_else)
{
    unsigned received = 0;
    for (unsigned i = 0; i < TURNS; i++) {
        cr_assert_eq(turn_out(p.a, 20, 2), 20, "turn %u: what goes out leaves", i);
        complete_sends(p.a);
        veld_inbound_begin(p.a->in);
        if (veld_inbound_has_room(p.a->in)) {
            send_back(1);
            give_udp(p.a, p.b->sent[0].bytes, p.b->sent[0].len, p.b->sent[0].segment,
                     B_ENDPOINT);
            received++;
            forget(p.b);
        }
        veld_inbound_flush(p.a->in);
    }
    cr_assert_eq(received, VELD_IO_BUFFERS, "until every buffer waits for its write");
    cr_assert_eq(p.a->n_written, received);
    complete_writes(p.a, 0);
    cr_assert_eq(turn_back(10, 0), 10, "and goes on when the writes are told");
    cr_assert_eq(dropped_in_all(p.a), 0);
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        veld_inbound_begin(p.a->in);
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        cr_assert_eq(p.a->buffer_uses[i], 0, "buffer %u came back", i);
}

Test(pressure, a_full_interface_drops_and_counts_and_nothing_else)
{
    static const int errors[] = {-EAGAIN, -ENOBUFS, -EIO};
    for (unsigned i = 0; i < TURNS; i++) {
        cr_assert_eq(turn_out(p.a, 20, 2), 20, "turn %u", i);
        complete_sends(p.a);
        turn_back(10, errors[i % VELD_ARRAY_LEN(errors)]);
        forget(p.a);
    }
    cr_assert_eq(dropped(p.a, VELD_DROP_TUN_FULL) + dropped(p.a, VELD_DROP_TUN_ERROR),
                 10 * TURNS);
    cr_assert_eq(dropped(p.a, VELD_DROP_TUN_ERROR), 10 * (TURNS / 3));
    cr_assert_eq(dropped_in_all(p.a), 10 * TURNS);
    cr_assert_eq(veld_counter_get(&p.a->counters.datagrams_sent), 20 * TURNS);
    cr_assert_eq(turn_back(10, 0), 10);
    cr_assert_eq(dropped_in_all(p.a), 10 * TURNS);
}

/* A control message of b's through a turn of a. */
static void message_back(void)
{
    uint8_t datagram[VELD_DATA_OVERHEAD + 1];
    struct veld_header h = {.type = VELD_DATA, .flags = VELD_FLAG_CONTROL, .index = A_INDEX};
    struct veld_lane *lane = &p.b_session->lanes[0];
    struct veld_aead_job job = {.key = lane->send_key,
                                .ad = datagram,
                                .ad_len = VELD_HEADER_SIZE,
                                .data = datagram + VELD_HEADER_SIZE,
                                .len = 1};
    cr_assert(veld_session_reserve(lane, 1, &h.counter));
    veld_header_write(datagram, &h);
    veld_aead_nonce(job.nonce, h.counter);
    p.b->ctx.aead->seal(p.b->ctx.aead_ctx, &job, 1);
    veld_inbound_begin(p.a->in);
    give_udp(p.a, datagram, sizeof datagram, sizeof datagram, B_ENDPOINT);
    veld_inbound_flush(p.a->in);
}

Test(pressure, a_control_thread_that_takes_nothing_stalls_no_data)
{
    struct veld_dataplane_event ev;
    unsigned taken = 0;
    for (unsigned i = 0; i < VELD_EVENT_QUEUE_SIZE; i++) {
        message_back();
        if (i % 100 == 0) {
            cr_assert_eq(turn_back(10, 0), 10, "after %u", i);
            cr_assert_eq(turn_out(p.a, 20, 2), 20, "after %u", i);
            complete_sends(p.a);
        }
    }
    while (veld_event_queue_pop(&p.a->events, &ev))
        taken += ev.type == VELD_DP_MESSAGE;
    cr_assert_gt(taken, VELD_EVENT_QUEUE_SIZE / 2);
    cr_assert_eq(dropped(p.a, VELD_DROP_CONTROL_QUEUE), VELD_EVENT_QUEUE_SIZE - taken);
    cr_assert_eq(dropped_in_all(p.a), VELD_EVENT_QUEUE_SIZE - taken);
    message_back();
    cr_assert(veld_event_queue_pop(&p.a->events, &ev), "and then there is room again");
}

/* Relaying for others. */
#include "dataplane/forward.h"

#include "support/relayed_path.h"

#include <criterion/criterion.h>

#define SEGMENT 1400u

static struct relayed x;
static struct site *r;
static uint8_t bytes[64 * SEGMENT];

static void setup(void)
{
    relayed_make(&x, 1);
    r = x.r;
}

static void teardown(void)
{
    relayed_free(&x);
}

TestSuite(forward, .init = setup, .fini = teardown, .timeout = 60);

/* `n` relayed datagrams of `number`, in the place of datagram `at` on. */
static void put(unsigned at, unsigned n, uint32_t number)
{
    for (unsigned i = at; i < at + n; i++) {
        uint8_t *d = bytes + i * SEGMENT;
        memset(d, (int)i, SEGMENT);
        veld_relayed_write(d, &(struct veld_relayed){0, number});
        veld_header_write(d + 16, &(struct veld_header){.type = VELD_DATA, .index = 1});
    }
}

static void give(uint32_t len, const char *from)
{
    veld_inbound_begin(r->in);
    cr_assert(veld_inbound_has_room(r->in));
    give_udp(r, bytes, len, SEGMENT, from);
    veld_inbound_flush(r->in);
}

static uint64_t forwarded(void)
{
    return veld_counter_get(&r->counters.datagrams_forwarded);
}

Test(forward, what_came_together_leaves_together)
{
    static uint8_t before[sizeof bytes];
    uint32_t len = 40 * SEGMENT - 300; /* the last is shorter */
    put(0, 40, A_FORWARD);
    memcpy(before, bytes, sizeof bytes);
    give(len, A_ENDPOINT);
    cr_assert_eq(r->n_sent, 1);
    const struct sent *s = &r->sent[0];
    cr_assert_eq(s->len, len);
    cr_assert_eq(s->segment, SEGMENT);
    cr_assert_eq(ntohs(s->to.sin_port), 2000);
    for (unsigned i = 0; i < 40; i++)
        veld_store_be32(before + i * SEGMENT + 4, B_CIRCUIT);
    cr_assert_arr_eq(s->bytes, before, len, "nothing else is changed");
    struct veld_circuit_entry *e = veld_circuits_find(&r->tables.circuits, A_FORWARD);
    cr_assert_eq(veld_counter_get(&e->lines[0].datagrams), 40);
    cr_assert_eq(veld_counter_get(&e->lines[0].bytes), len);
    cr_assert_eq(veld_counter_get(&e->lines[0].last_ns), NOW);
    cr_assert_eq(veld_counter_get(&r->counters.datagrams_received), 40);
    complete_sends(r);
    cr_assert_eq(veld_counter_get(&r->counters.datagrams_sent), 40);
    cr_assert_eq(dropped_in_all(r), 0);
}

Test(forward, the_buffer_comes_back_when_the_send_is_told)
{
    put(0, 4, A_FORWARD);
    give(4 * SEGMENT, A_ENDPOINT);
    veld_inbound_begin(r->in);
    unsigned used = 0;
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        used += r->buffer_uses[i];
    cr_assert_eq(used, 1);
    complete_sends(r);
    veld_inbound_begin(r->in);
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        cr_assert_eq(r->buffer_uses[i], 0);
}

Test(forward, forwards_of_one_sender_are_told_apart)
{
    struct veld_circuit_entry *e;
    relayed_add_peer(r, 3, "192.0.2.3:4000");
    relayed_set_forward(r, 0x777, FROM_A, 3, 0x888, 0);
    put(0, 10, A_FORWARD);
    put(3, 2, 0x777);
    put(8, 1, 0x999);
    give(10 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(r->n_sent, 4);
    static const unsigned n[] = {3, 2, 3, 1}, port[] = {2000, 4000, 2000, 2000};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(r->sent[i].len, n[i] * SEGMENT);
        cr_assert_eq(ntohs(r->sent[i].to.sin_port), port[i]);
    }
    e = veld_circuits_find(&r->tables.circuits, 0x777);
    cr_assert_eq(veld_counter_get(&e->lines[0].datagrams), 2);
    cr_assert_eq(dropped(r, VELD_DROP_CIRCUIT), 1);
    cr_assert_eq(dropped_in_all(r), 1);
}

/* ---- Who may ---- */

Test(forward, only_the_member_of_a_forward_uses_it)
{
    struct veld_endpoint circuit = veld_endpoint_circuit(A_CIRCUIT);
    put(0, 5, A_FORWARD);
    give(5 * SEGMENT, B_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_SOURCE), 5, "another member");
    put(0, 5, A_FORWARD);
    give(5 * SEGMENT, "192.0.2.1:1001");
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_SOURCE), 10, "another port");
    relayed_set_path(r, FROM_A, NULL);
    give(5 * SEGMENT, A_ENDPOINT);
    relayed_set_path(r, FROM_A, &circuit);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_SOURCE), 20, "a member that is not reached");
    cr_assert_eq(r->n_sent, 0);
}

/* It may not know yet that we see it elsewhere. */
Test(forward, a_member_that_has_just_moved_is_taken_from_both_addresses)
{
    struct veld_endpoint now_at, before;
    cr_assert_eq(veld_endpoint_parse("192.0.2.9:9", &now_at), 0);
    cr_assert_eq(veld_endpoint_parse(A_ENDPOINT, &before), 0);
    relayed_set_path(r, FROM_A, &now_at);
    struct veld_path *path =
        (struct veld_path *)(uintptr_t)veld_peer_path(veld_peers_get(&r->tables.peers, FROM_A));
    path->previous = before;
    path->previous_until_ns = r->ctx.now_ns + 1;
    put(0, 5, A_FORWARD);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_SOURCE), 0);
    cr_assert_gt(r->n_sent, 0);
    path->previous_until_ns = r->ctx.now_ns;
    put(0, 5, A_FORWARD);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_SOURCE), 5, "not for ever");
}

Test(forward, only_to_where_the_other_end_is)
{
    struct veld_endpoint circuit = veld_endpoint_circuit(A_CIRCUIT);
    put(0, 5, A_FORWARD);
    relayed_set_path(r, FROM_B, NULL);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_NOWHERE), 5);
    relayed_set_path(r, FROM_B, &circuit);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_NOWHERE), 10, "not by a circuit again");
    cr_assert_eq(r->n_sent, 0);
}

Test(forward, the_next_peer_of_a_number_gets_nothing)
{
    put(0, 5, A_FORWARD);
    veld_peer_set_path(veld_peers_get(&r->tables.peers, FROM_B), NULL);
    veld_peers_remove(&r->tables.peers, veld_peers_get(&r->tables.peers, FROM_B));
    relayed_add_peer(r, FROM_B, B_ENDPOINT);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_NOWHERE), 5);
    cr_assert_eq(r->n_sent, 0);
}

/* ---- What may leave ---- */

Test(forward, nothing_relayed_is_relayed)
{
    put(0, 5, A_FORWARD);
    bytes[0 * SEGMENT + 16] = VELD_RELAYED;
    bytes[3 * SEGMENT + 16] = 0x00; /* STUN and all else */
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_NESTED), 2);
    cr_assert_eq(r->n_sent, 2);
    cr_assert_eq(r->sent[0].len, 2 * SEGMENT);
    cr_assert_eq(r->sent[1].len, SEGMENT);
}

Test(forward, each_header_is_checked)
{
    put(0, 6, A_FORWARD);
    bytes[1 * SEGMENT + 1] = 1;
    bytes[2 * SEGMENT + 15] = 1;
    bytes[3 * SEGMENT + 3] = 2;
    bytes[4 * SEGMENT + 2] = VELD_LANES_MAX;
    give(5 * SEGMENT + VELD_RELAYED_MIN - 1, A_ENDPOINT);
    cr_assert_eq(dropped(r, VELD_DROP_HEADER), 2);
    cr_assert_eq(dropped(r, VELD_DROP_VERSION), 1);
    cr_assert_eq(dropped(r, VELD_DROP_LANE), 1);
    cr_assert_eq(dropped(r, VELD_DROP_RUNT), 1);
    cr_assert_eq(forwarded(), 1);
}

Test(forward, each_lane_keeps_its_own)
{
    put(0, 4, A_FORWARD);
    for (unsigned i = 0; i < 4; i++)
        bytes[i * SEGMENT + 2] = (uint8_t)i;
    give(4 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(r->n_sent, 1);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(r->sent[0].bytes[i * SEGMENT + 2], i);
}

/* ---- Rates ---- */

/* As much as is offered, for two seconds of turns; datagrams that left. */
static uint64_t flood(void)
{
    uint64_t before = forwarded();
    for (unsigned i = 0; i < 200; i++) {
        put(0, 64, A_FORWARD);
        give(46 * SEGMENT, A_ENDPOINT);
        complete_sends(r);
        forget(r);
        r->ctx.now_ns += 10 * VELD_NS_PER_MS;
    }
    return forwarded() - before;
}

#define RATE  1400000u /* 1000 datagrams a second */
#define BURST (RATE * VELD_RATE_BURST_NS / VELD_NS_PER_S / SEGMENT)

Test(forward, a_direction_keeps_its_rate)
{
    relayed_set_forward(r, A_FORWARD, FROM_A, FROM_B, B_CIRCUIT, RATE);
    uint64_t n = flood();
    cr_assert_geq(n, 1990);
    cr_assert_leq(n, 2000 + BURST + 1, "the rate, and one burst");
    cr_assert_eq(dropped(r, VELD_DROP_RELAY_RATE), 200 * 46 - n);
    cr_assert_eq(dropped_in_all(r), 200 * 46 - n);
    relayed_set_forward(r, A_FORWARD, FROM_A, FROM_B, B_CIRCUIT, 0);
    cr_assert_eq(flood(), 200 * 46, "no bound");
}

Test(forward, all_forwards_together_keep_theirs)
{
    veld_rate_set(r->tables.circuits.rate, RATE);
    uint64_t n = flood();
    cr_assert_geq(n, 1990);
    cr_assert_leq(n, 2000 + BURST + 1);
}

Test(forward, a_slow_rate_still_passes_a_whole_run)
{
    struct veld_rate rate = {0};
    veld_rate_set(&rate, 1);
    cr_assert_eq(veld_rate_take(&rate, 64, 1400, NOW), 64);
    cr_assert_eq(veld_rate_take(&rate, 64, 1400, NOW), 2 * 65536 / 1400 - 64);
    cr_assert_eq(veld_rate_take(&rate, 1, 1400, NOW), 0);
}

/* ---- What becomes of sends ---- */

Test(forward, a_run_too_large_for_the_interface_is_sent_singly)
{
    put(0, 5, A_FORWARD);
    r->send_result = -EINVAL;
    give(5 * SEGMENT - 100, A_ENDPOINT);
    complete_sends(r);
    cr_assert_eq(r->n_sent, 6);
    for (unsigned i = 1; i < 6; i++) {
        cr_assert(r->sent[i].now);
        cr_assert_eq(r->sent[i].len, i < 5 ? SEGMENT : SEGMENT - 100);
        cr_assert_eq(veld_load_be32(r->sent[i].bytes + 4), B_CIRCUIT);
    }
    cr_assert_eq(veld_counter_get(&r->counters.datagrams_sent), 5);
}

Test(forward, without_segmentation_offload_it_goes_on)
{
    put(0, 5, A_FORWARD);
    r->send_result = -EIO;
    give(5 * SEGMENT, A_ENDPOINT);
    complete_sends(r);
    cr_assert_eq(r->n_sent, 6);
    put(0, 5, A_FORWARD);
    give(5 * SEGMENT, A_ENDPOINT);
    cr_assert_eq(r->n_sent, 11);
    cr_assert(r->sent[10].now);
    cr_assert_eq(veld_counter_get(&r->counters.datagrams_sent), 10);
}

Test(forward, a_full_socket_is_counted)
{
    put(0, 5, A_FORWARD);
    r->send_result = -EAGAIN;
    give(5 * SEGMENT, A_ENDPOINT);
    complete_sends(r);
    cr_assert_eq(dropped(r, VELD_DROP_UDP_FULL), 5);
    cr_assert_eq(r->n_sent, 1);
}

/* The worst mixture: each datagram of another forward than the one before. */
Test(forward, there_is_room_for_any_receive)
{
    relayed_set_forward(r, 0x777, FROM_A, FROM_B, 0x888, 0);
    unsigned receives = 0;
    veld_inbound_begin(r->in);
    for (; veld_inbound_has_room(r->in); receives++) {
        for (unsigned i = 0; i < 46; i++)
            put(i, 1, i % 2 ? A_FORWARD : 0x777);
        give_udp(r, bytes, 46 * SEGMENT, SEGMENT, A_ENDPOINT);
    }
    veld_inbound_flush(r->in);
    cr_assert_geq(receives, 2);
    cr_assert_eq(r->n_sent, receives * 46);
    cr_assert_eq(dropped_in_all(r), 0);
    complete_sends(r);
    veld_inbound_begin(r->in);
    cr_assert(veld_inbound_has_room(r->in));
}

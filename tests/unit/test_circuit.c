/* Circuits as the member uses them; between two members, the relay's side is test_forward.c's. */
#include "dataplane/circuit.h"

#include "dataplane/ecn.h"
#include "super_packets.h"
#include "support/relayed_path.h"

#include <criterion/criterion.h>

static struct relayed x;

static void setup(void)
{
    relayed_make(&x, 2);
    random_state = 20261126;
}

static void teardown(void)
{
    relayed_free(&x);
}

TestSuite(circuit, .init = setup, .fini = teardown, .timeout = 120);

/* ---- The table ---- */

static struct veld_circuit_spec spec(uint32_t number, enum veld_circuit_kind kind)
{
    return (struct veld_circuit_spec){.number = number,
                                      .remote_index = 5,
                                      .kind = kind,
                                      .from = {.id = 1, .generation = 1},
                                      .to = {.id = 2, .generation = 2}};
}

Test(circuit, a_number_is_found_whole_and_its_slot_is_its_own)
{
    struct veld_circuits c;
    struct veld_circuit_spec s = spec(0x12345678, VELD_FORWARD), other = s;
    cr_assert_eq(veld_circuits_init(&c), 0);
    cr_assert_eq(veld_circuits_set(&c, &s), 0);
    cr_assert_not_null(veld_circuits_find(&c, s.number));
    cr_assert_null(veld_circuits_find(&c, s.number + VELD_CIRCUITS_MAX));
    cr_assert_null(veld_circuits_find(&c, s.number + 1));
    cr_assert_null(veld_circuits_find(&c, 0));
    other.number += VELD_CIRCUITS_MAX;
    cr_assert_eq(veld_circuits_set(&c, &other), VELD_E_EXIST);
    other.number = 0;
    cr_assert_eq(veld_circuits_set(&c, &other), VELD_E_RANGE);
    veld_circuits_remove(&c, VELD_CIRCUIT, s.number);
    cr_assert_not_null(veld_circuits_find(&c, s.number), "of the other kind");
    veld_circuits_remove(&c, VELD_FORWARD, s.number);
    cr_assert_null(veld_circuits_find(&c, s.number));
    veld_circuits_free(&c);
}

Test(circuit, a_change_keeps_what_was_counted_unless_the_peers_change)
{
    struct veld_circuits c;
    struct veld_circuit_spec s = spec(7, VELD_FORWARD);
    s.n_lines = 2;
    cr_assert_eq(veld_circuits_init(&c), 0);
    cr_assert_eq(veld_circuits_set(&c, &s), 0);
    struct veld_circuit_entry *e = veld_circuits_find(&c, 7);
    s.remote_index = 9;
    s.bytes_per_s = 11;
    cr_assert_eq(veld_circuits_set(&c, &s), 0);
    cr_assert_eq(veld_circuits_find(&c, 7), e);
    cr_assert_eq(atomic_load(&e->remote_index), 9);
    cr_assert_eq(atomic_load(&e->rate.bytes_per_s), 11);
    s.to.generation++;
    cr_assert_eq(veld_circuits_set(&c, &s), 0);
    cr_assert_neq(veld_circuits_find(&c, 7), e);
    veld_rcu_barrier();
    veld_circuits_free(&c);
}

Test(circuit, what_leads_to_or_from_a_peer_ends_with_it)
{
    struct veld_circuits c;
    struct veld_circuit_spec to = spec(1, VELD_CIRCUIT), from = spec(2, VELD_FORWARD),
                             other = spec(3, VELD_FORWARD);
    from.from = to.to;
    from.to = to.from;
    other.from = other.to = (struct veld_peer_ref){.id = 2, .generation = 1};
    cr_assert_eq(veld_circuits_init(&c), 0);
    cr_assert_eq(veld_circuits_set(&c, &to), 0);
    cr_assert_eq(veld_circuits_set(&c, &from), 0);
    cr_assert_eq(veld_circuits_set(&c, &other), 0);
    veld_circuits_forget_peer(&c, to.to);
    cr_assert_null(veld_circuits_find(&c, 1));
    cr_assert_null(veld_circuits_find(&c, 2));
    cr_assert_not_null(veld_circuits_find(&c, 3), "another generation of that number");
    veld_rcu_barrier();
    veld_circuits_free(&c);
}

/* ---- Out and in ---- */

static struct packet packet;

static void send_super(const struct shape *shape)
{
    make_packet(&packet, shape);
    veld_outbound_begin(x.p.a->out);
    give_tun(x.p.a, &packet.vh, packet.b, packet.len);
    veld_outbound_flush(x.p.a->out);
}

static void check_written_whole(void)
{
    const struct written *w = &x.p.b->written[0];
    struct virtio_net_hdr vh, want = packet.vh;
    cr_assert_eq(x.p.b->n_written, 1);
    cr_assert_eq(w->len, sizeof vh + packet.len);
    memcpy(&vh, w->bytes, sizeof vh);
    vh.hdr_len = want.hdr_len = 0;
    cr_assert_arr_eq(&vh, &want, sizeof vh);
    cr_assert_arr_eq(w->bytes + sizeof vh, packet.b, packet.len);
}

Test(circuit, super_packets_arrive_as_they_left)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct shape s = random_shape(64);
        send_super(&s);
        relayed_carry(&x);
        check_written_whole();
        relayed_forget(&x);
    }
    cr_assert_eq(dropped_in_all(x.p.a) + dropped_in_all(x.r) + dropped_in_all(x.p.b), 0);
    cr_assert_eq(veld_counter_get(&x.r->counters.datagrams_forwarded),
                 veld_counter_get(&x.p.a->counters.datagrams_sent));
}

static const struct shape stream = {
    .family = 4, .proto = IPPROTO_TCP, .tcp_flags = 0x10, .payload = 10000, .gso_size = 1000};

Test(circuit, a_run_goes_to_the_relay_behind_its_header)
{
    send_super(&stream);
    const struct sent *s = &x.p.a->sent[0];
    cr_assert_eq(x.p.a->n_sent, 1, "one send for all");
    cr_assert_eq(ntohs(s->to.sin_port), 3000);
    cr_assert_eq(s->segment, 40 + 1000 + VELD_DATA_OVERHEAD + VELD_RELAYED_OVERHEAD);
    cr_assert_eq(s->from, VELD_IO_MAIN);
    for (unsigned i = 0; i < 10; i++) {
        struct veld_relayed h;
        struct veld_header inside;
        enum veld_drop drop;
        const uint8_t *d = s->bytes + i * s->segment;
        cr_assert(veld_relayed_parse(d, s->segment, &h, &drop));
        cr_assert_eq(h.index, A_FORWARD);
        cr_assert(veld_header_parse(d + 16, s->segment - 16, &inside, &drop));
        cr_assert_eq(inside.index, B_INDEX);
        cr_assert_eq(h.lane, inside.lane);
    }
    struct veld_activity_line *line = &site_peer(x.p.a)->activity[0];
    cr_assert_eq(veld_counter_get(&line->sent_bytes), 10 * 1040, "inner bytes");
}

Test(circuit, a_relay_that_moved_is_followed)
{
    struct veld_endpoint elsewhere = relayed_endpoint("192.0.2.10:3001");
    relayed_set_path(x.p.a, RELAY, &elsewhere);
    send_super(&stream);
    cr_assert_eq(ntohs(x.p.a->sent[0].to.sin_port), 3001);
}

static void check_goes_nowhere(const char *why)
{
    uint64_t before = dropped(x.p.a, VELD_DROP_NO_ENDPOINT);
    send_super(&stream);
    cr_assert_eq(x.p.a->n_sent, 0, "%s", why);
    cr_assert_eq(dropped(x.p.a, VELD_DROP_NO_ENDPOINT), before + 10, "%s", why);
}

Test(circuit, without_a_relay_nothing_leaves)
{
    struct veld_endpoint circuit = veld_endpoint_circuit(A_CIRCUIT);
    relayed_set_path(x.p.a, RELAY, NULL);
    check_goes_nowhere("the relay's address is unknown");
    relayed_set_path(x.p.a, RELAY, &circuit);
    check_goes_nowhere("the relay is reached by a circuit itself");
    veld_circuits_remove(&x.p.a->tables.circuits, VELD_CIRCUIT, A_CIRCUIT);
    check_goes_nowhere("there is no such circuit");
}

Test(circuit, what_the_interface_refuses_is_told_in_inner_bytes)
{
    struct veld_dataplane_event ev;
    x.p.a->send_result = -EMSGSIZE;
    veld_outbound_begin(x.p.a->out);
    send_plain(x.p.a, 1300, 2);
    veld_outbound_flush(x.p.a->out);
    complete_sends(x.p.a);
    cr_assert(veld_event_queue_pop(&x.p.a->events, &ev));
    cr_assert_eq(ev.type, VELD_DP_TOO_BIG);
    cr_assert_eq(ev.len, 1300);
}

Test(circuit, ecn_is_carried)
{
    uint8_t p[100];
    plain_packet(p, sizeof p, 2);
    p[1] = VELD_ECN_ECT0;
    give_tun(x.p.a, &(struct virtio_net_hdr){0}, p, sizeof p);
    veld_outbound_flush(x.p.a->out);
    const struct sent *s = &x.p.a->sent[0];
    cr_assert_eq(s->ecn, VELD_ECN_ECT0);
    veld_inbound_begin(x.r->in);
    give_udp_ecn(x.r, s->bytes, s->len, s->segment, A_ENDPOINT, VELD_ECN_CE);
    cr_assert_eq(x.r->sent[0].ecn, VELD_ECN_CE, "as it came to the relay");
}

/* ---- What comes by a circuit ---- */

static uint8_t datagram[2000];
static size_t datagram_len;

/* As r would hand b a plain packet of a's. */
static void make_relayed(size_t inner)
{
    forget(x.p.a);
    veld_outbound_begin(x.p.a->out);
    send_plain(x.p.a, inner, 2);
    veld_outbound_flush(x.p.a->out);
    complete_sends(x.p.a);
    datagram_len = x.p.a->sent[0].len;
    memcpy(datagram, x.p.a->sent[0].bytes, datagram_len);
    veld_store_be32(datagram + 4, B_CIRCUIT);
}

static void give_relayed(void)
{
    veld_inbound_begin(x.p.b->in);
    give_udp(x.p.b, datagram, (uint32_t)datagram_len, (uint32_t)datagram_len, R_ENDPOINT);
    veld_inbound_flush(x.p.b->in);
}

Test(circuit, who_sent_through_it_is_told_by_its_number)
{
    struct veld_dataplane_event ev;
    struct veld_endpoint circuit = veld_endpoint_circuit(B_CIRCUIT);
    make_relayed(60);
    give_relayed();
    cr_assert_not(veld_event_queue_pop(&x.p.b->events, &ev), "it is where it was");
    site_set_path(x.p.b, A_ENDPOINT);
    make_relayed(60);
    give_relayed();
    cr_assert(veld_event_queue_pop(&x.p.b->events, &ev));
    cr_assert_eq(ev.type, VELD_DP_MOVED);
    cr_assert(veld_endpoint_equal(&ev.from, &circuit));
    cr_assert_eq(x.p.b->n_written, 2, "it is delivered all the same");
}

Test(circuit, a_handshake_through_it_passes_the_gate)
{
    struct veld_dataplane_event ev;
    static const uint8_t own[32] = {7};
    struct veld_endpoint circuit = veld_endpoint_circuit(B_CIRCUIT);
    struct veld_cookie_checker checker;
    struct veld_cookie_jar jar;
    veld_relayed_write(datagram, &(struct veld_relayed){0, B_CIRCUIT});
    veld_header_write(datagram + 16,
                      &(struct veld_header){.type = VELD_INITIATION, .index = 5});
    datagram_len = VELD_RELAYED_OVERHEAD + VELD_INITIATION_SIZE;
    veld_cookie_checker_init(&checker, own);
    cr_assert_eq(veld_handshakes_set_cookies(&x.p.b->tables.handshakes, &checker), 0);
    give_relayed();
    cr_assert_eq(dropped(x.p.b, VELD_DROP_MAC1), 1);
    veld_cookie_jar_init(&jar, own);
    veld_cookie_sign(&jar, datagram + 16, VELD_INITIATION_SIZE, NOW);
    give_relayed();
    cr_assert(veld_event_queue_pop(&x.p.b->handshakes, &ev));
    cr_assert_eq(ev.type, VELD_DP_HANDSHAKE);
    cr_assert_eq(ev.len, VELD_INITIATION_SIZE);
    cr_assert(veld_endpoint_equal(&ev.from, &circuit));
}

static void check_refused(enum veld_drop reason)
{
    struct veld_dataplane_event ev;
    uint64_t before = dropped(x.p.b, reason), all = dropped_in_all(x.p.b);
    give_relayed();
    cr_assert_eq(dropped(x.p.b, reason), before + 1, "%s", veld_drop_name(reason));
    cr_assert_eq(dropped_in_all(x.p.b), all + 1);
    cr_assert_eq(x.p.b->n_written, 0);
    cr_assert_not(veld_event_queue_pop(&x.p.b->events, &ev));
    cr_assert_not(veld_event_queue_pop(&x.p.b->handshakes, &ev));
}

Test(circuit, what_is_wrong_is_refused)
{
    make_relayed(60);
    veld_store_be32(datagram + 4, B_CIRCUIT + VELD_CIRCUITS_MAX);
    check_refused(VELD_DROP_CIRCUIT);
    make_relayed(60);
    datagram[1] = 1;
    check_refused(VELD_DROP_HEADER);
    make_relayed(60);
    datagram_len = VELD_RELAYED_MIN - 1;
    check_refused(VELD_DROP_RUNT);
    make_relayed(60);
    datagram[40] ^= 1;
    check_refused(VELD_DROP_TAG);
    make_relayed(60);
    datagram[16 + 3] = 2;
    check_refused(VELD_DROP_VERSION);
    make_relayed(60);
    datagram[16] = VELD_INITIATION;
    check_refused(VELD_DROP_RUNT);
}

Test(circuit, nothing_relayed_is_inside)
{
    make_relayed(60);
    memmove(datagram + 16, datagram, datagram_len);
    datagram_len += 16;
    check_refused(VELD_DROP_NESTED);
    make_relayed(60);
    static const uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    memcpy(datagram + 16, stun, sizeof stun);
    datagram_len = VELD_RELAYED_MIN;
    check_refused(VELD_DROP_NESTED);
}

#include "control/reach/own_circuits.h"

#include "control/reach/known.h"

#include <criterion/criterion.h>
#include <string.h>

#define S     VELD_NS_PER_S
#define PEERS 2000 /* ids below it; peer i has the key {i, i >> 8, ...} */

static struct veld_own_circuits *circuits;
static struct veld_circuit_numbers *numbers;
static uint64_t now_ns;

/* The world. */
static enum veld_reached reached_now[PEERS];
static bool is_direct_now[PEERS], may_not_relay[PEERS];
static unsigned called[PEERS], sets, removes;
static int send_rc, set_rc;
static struct {
    uint32_t relay;
    struct veld_message m;
} sent[8192];
static size_t n_sent;
static struct veld_circuit set_last;
static struct veld_endpoint ready[VELD_KNOWN_CIRCUITS_MAX];
static size_t n_ready;
static unsigned told;

static enum veld_reached reached(void *ctx, uint32_t peer)
{
    return reached_now[peer];
}

static bool is_relay(void *ctx, uint32_t relay)
{
    return !may_not_relay[relay];
}

static bool is_direct(void *ctx, uint32_t relay)
{
    return is_direct_now[relay];
}

static int send_message(void *ctx, uint32_t relay, const struct veld_message *m)
{
    if (send_rc == 0) {
        sent[n_sent].relay = relay;
        sent[n_sent++].m = *m;
    }
    return send_rc;
}

static void call(void *ctx, uint32_t relay)
{
    called[relay]++;
}

static int circuit_set(void *ctx, const struct veld_circuit *c)
{
    sets++;
    set_last = *c;
    return set_rc;
}

static void circuit_remove(void *ctx, uint32_t number)
{
    removes++;
}

static void on_ready(void *ctx, uint32_t peer, const struct veld_endpoint *list, size_t n)
{
    told++;
    n_ready = n;
    memcpy(ready, list, n * sizeof *list);
}

static void setup(void)
{
    numbers = veld_circuit_numbers_new();
    circuits = veld_own_circuits_new(numbers, &(struct veld_own_circuits_ops){
                                                  .reached = reached,
                                                  .is_relay = is_relay,
                                                  .is_direct = is_direct,
                                                  .send = send_message,
                                                  .call = call,
                                                  .circuit_set = circuit_set,
                                                  .circuit_remove = circuit_remove,
                                                  .on_ready = on_ready,
                                              });
    now_ns = 1000 * S;
    for (unsigned i = 0; i < PEERS; i++) {
        reached_now[i] = VELD_REACHED_NOT_YET;
        is_direct_now[i] = true;
    }
}

static void cleanup(void)
{
    cr_assert_leq(veld_circuit_numbers_taken(numbers), veld_own_circuits_total(circuits));
    veld_own_circuits_free(circuits);
    veld_circuit_numbers_free(numbers);
}

TestSuite(own_circuits, .init = setup, .fini = cleanup, .timeout = 20);

static const uint8_t *key(uint32_t peer)
{
    static uint8_t pub[32];
    memset(pub, 7, sizeof pub);
    pub[0] = (uint8_t)peer;
    pub[1] = (uint8_t)(peer >> 8);
    return pub;
}

static int want(uint32_t peer, uint32_t relay)
{
    return veld_own_circuits_want(circuits, peer, key(peer), relay, now_ns, now_ns);
}

static void run_for(uint64_t ns)
{
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns; now_ns += S / 4)
        veld_own_circuits_run(circuits, now_ns);
}

static void say(uint8_t type, uint32_t peer, uint32_t relay, uint32_t index, uint8_t state)
{
    struct veld_message m = {.type = type, .index = index, .state = state};
    memcpy(m.pub, key(peer), sizeof m.pub);
    veld_own_circuits_on_message(circuits, relay, &m, now_ns);
    veld_own_circuits_run(circuits, now_ns);
}

static unsigned n_sent_of(uint8_t type)
{
    unsigned n = 0;
    for (size_t i = 0; i < n_sent; i++)
        n += sent[i].m.type == type;
    return n;
}

/* Peer 1 by relay 100 is ready. */
static void make_ready(void)
{
    cr_assert_eq(want(1, 100), 0);
    veld_own_circuits_run(circuits, now_ns);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    cr_assert_eq(n_ready, 1);
}

Test(own_circuits, a_circuit_is_asked_for_and_ready_when_both_have_asked)
{
    cr_assert_eq(want(1, 100), 0);
    cr_assert_eq(n_sent, 0, "run sends");
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_sent, 1);
    cr_assert_eq(sent[0].relay, 100);
    cr_assert_eq(sent[0].m.type, VELD_MSG_CIRCUIT_OPEN);
    cr_assert_arr_eq(sent[0].m.pub, key(1), 32);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 0);
    cr_assert_eq(sets, 0, "the other end has not asked");
    cr_assert_eq(told, 0);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    cr_assert_eq(set_last.number, sent[0].m.index);
    cr_assert_eq(set_last.relay, 100);
    cr_assert_eq(set_last.remote_index, 77);
    struct veld_endpoint circuit = veld_endpoint_circuit(sent[0].m.index);
    cr_assert_eq(n_ready, 1);
    cr_assert(veld_endpoint_equal(&ready[0], &circuit));
    uint32_t relay = 0;
    cr_assert(veld_own_circuits_relay(circuits, circuit.scope, &relay) && relay == 100);
    cr_assert_not(veld_own_circuits_relay(circuits, circuit.scope + 1, &relay));
    cr_assert_not(veld_own_circuits_relay(circuits, 0, &relay));
}

Test(own_circuits, what_was_not_asked_for_is_not_believed)
{
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    cr_assert_eq(want(1, 100), 0);
    say(VELD_MSG_CIRCUIT_OPENED, 2, 100, 77, 1); /* another peer */
    say(VELD_MSG_CIRCUIT_OPENED, 1, 101, 77, 1); /* another relay */
    say(VELD_MSG_CIRCUIT_CLOSE, 1, 101, 0, 0);
    say(VELD_MSG_CIRCUIT_REFUSED, 1, 101, 0, 0);
    cr_assert_eq(sets, 0);
    cr_assert_eq(veld_own_circuits_count(circuits, 1).asked, 1);
}

Test(own_circuits, nothing_that_comes_before_the_question_is_its_answer)
{
    cr_assert_eq(want(1, 100), 0);
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPENED, .index = 1, .state = 1};
    memcpy(m.pub, key(1), sizeof m.pub);
    veld_own_circuits_on_message(circuits, 100, &m, now_ns);
    cr_assert_eq(sets, 0);
}

Test(own_circuits, who_was_reached_directly_meanwhile_needs_none)
{
    cr_assert_eq(veld_own_circuits_want(circuits, 1, key(1), 100, now_ns + S / 5, now_ns), 0);
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_sent, 0, "not yet");
    cr_assert_eq(veld_own_circuits_deadline(circuits), now_ns + S / 5);
    reached_now[1] = VELD_REACHED_DIRECT;
    run_for(S);
    cr_assert_eq(n_sent, 0);
    cr_assert_eq(veld_own_circuits_total(circuits), 0);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
}

Test(own_circuits, who_was_reached_directly_and_is_no_more_needs_one_at_once)
{
    reached_now[1] = VELD_REACHED_DIRECT; /* the path is dead, as it seems */
    cr_assert_eq(want(1, 100), 0);
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_sent_of(VELD_MSG_CIRCUIT_OPEN), 1);
}

Test(own_circuits, a_lost_open_is_repeated_less_and_less_and_not_for_ever)
{
    cr_assert_eq(want(1, 100), 0);
    run_for(S / 2);
    cr_assert_eq(n_sent, 2);
    run_for(S);
    cr_assert_eq(n_sent, 3);
    run_for(VELD_OWN_CIRCUITS_PENDING_NS - 3 * S);
    cr_assert_eq(n_sent, 8, "%zu",
                 n_sent); /* after 0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 23.75 s */
    run_for(3 * S);
    cr_assert_eq(n_sent_of(VELD_MSG_CIRCUIT_CLOSE), 1);
    cr_assert_eq(veld_own_circuits_total(circuits), 0);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
    cr_assert_eq(veld_own_circuits_deadline(circuits), UINT64_MAX);
}

Test(own_circuits, a_relay_without_a_session_is_called_first)
{
    is_direct_now[100] = false;
    cr_assert_eq(want(1, 100), 0);
    run_for(S / 4);
    cr_assert_eq(called[100], 1);
    cr_assert_eq(n_sent, 0);
    is_direct_now[100] = true;
    veld_own_circuits_on_session(circuits, 100, now_ns);
    cr_assert_eq(veld_own_circuits_deadline(circuits), now_ns);
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_sent, 1);
}

Test(own_circuits, a_session_of_another_relay_changes_nothing)
{
    cr_assert_eq(veld_own_circuits_want(circuits, 1, key(1), 100, now_ns + S, now_ns), 0);
    veld_own_circuits_on_session(circuits, 100, now_ns);
    cr_assert_eq(veld_own_circuits_deadline(circuits), now_ns + S, "it is not its time yet");
    run_for(S + S / 2);
    uint64_t before_ns = veld_own_circuits_deadline(circuits);
    veld_own_circuits_on_session(circuits, 101, now_ns);
    cr_assert_eq(veld_own_circuits_deadline(circuits), before_ns);
}

Test(own_circuits, one_in_use_is_asked_for_again_now_and_then)
{
    make_ready();
    reached_now[1] = VELD_REACHED_RELAYED;
    for (unsigned i = 1; i < 6; i++) {
        run_for(VELD_OWN_CIRCUITS_REFRESH_NS + S / 4);
        cr_assert_eq(n_sent, 1 + i);
        say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77 + i, 1);
        cr_assert_eq(set_last.remote_index, 77 + i, "the relay was restarted");
    }
    cr_assert_eq(told, 1, "it was ready all the time");
    cr_assert_eq(removes, 0);
}

Test(own_circuits, a_relay_that_does_not_answer_is_no_path)
{
    make_ready();
    reached_now[1] = VELD_REACHED_RELAYED;
    cr_assert_eq(want(1, 100), 0); /* it is dead, says the engine */
    run_for(VELD_OWN_CIRCUITS_MUTE_NS - S);
    cr_assert_eq(n_ready, 1, "a datagram may be lost");
    run_for(2 * S);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(removes, 1);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 78, 1);
    cr_assert_eq(n_ready, 1, "and is one again when it answers");
}

Test(own_circuits, an_answer_to_a_repeated_question_keeps_it)
{
    make_ready();
    reached_now[1] = VELD_REACHED_RELAYED;
    cr_assert_eq(want(1, 100), 0);
    run_for(VELD_OWN_CIRCUITS_MUTE_NS - S);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    run_for(10 * S);
    cr_assert_eq(n_ready, 1);
    cr_assert_eq(removes, 0);
}

Test(own_circuits, a_relay_that_forgot_the_other_end_is_no_path_until_it_asks)
{
    make_ready();
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 90, 0);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(removes, 1);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 90, 1);
    cr_assert_eq(n_ready, 1);
}

Test(own_circuits, no_circuit_leads_through_a_relay_behind_a_circuit)
{
    make_ready();
    is_direct_now[100] = false;
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(called[100], 1);
}

Test(own_circuits, none_leads_through_a_member_that_may_relay_no_more)
{
    make_ready();
    may_not_relay[100] = true;
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(n_sent_of(VELD_MSG_CIRCUIT_CLOSE), 1);
    cr_assert_eq(veld_own_circuits_total(circuits), 0);
}

Test(own_circuits, it_ends_when_the_peer_is_reached_directly_for_a_while)
{
    make_ready();
    reached_now[1] = VELD_REACHED_DIRECT;
    run_for(VELD_OWN_CIRCUITS_SPARE_NS - S);
    cr_assert_eq(n_ready, 1, "a spare while the direct path is young");
    reached_now[1] = VELD_REACHED_RELAYED;
    run_for(2 * S);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    reached_now[1] = VELD_REACHED_DIRECT;
    run_for(VELD_OWN_CIRCUITS_SPARE_NS - S);
    cr_assert_eq(n_ready, 1, "counted anew");
    run_for(2 * S);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(n_sent_of(VELD_MSG_CIRCUIT_CLOSE), 1);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
}

Test(own_circuits, one_that_is_wanted_again_is_no_spare)
{
    make_ready();
    reached_now[1] = VELD_REACHED_DIRECT;
    for (unsigned i = 0; i < 3; i++) {
        run_for(VELD_OWN_CIRCUITS_SPARE_NS - 2 * S);
        cr_assert_eq(want(1, 100), 0, "the direct path is dead, as it seems");
        veld_own_circuits_run(circuits, now_ns);
        say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    }
    cr_assert_eq(removes, 0);
}

Test(own_circuits, it_ends_when_nobody_talks_to_the_peer)
{
    make_ready();
    reached_now[1] = VELD_REACHED_UNUSED;
    run_for(VELD_OWN_CIRCUITS_SPARE_NS + S);
    cr_assert_eq(veld_own_circuits_total(circuits), 0);
    cr_assert_eq(removes, 1);
}

Test(own_circuits, who_refused_is_not_asked_for_a_minute)
{
    cr_assert_eq(want(1, 100), 0);
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_not(veld_own_circuits_is_refused(circuits, 1, 100));
    say(VELD_MSG_CIRCUIT_REFUSED, 1, 100, 0, VELD_CIRCUIT_FULL);
    cr_assert(veld_own_circuits_is_refused(circuits, 1, 100));
    cr_assert_not(veld_own_circuits_is_refused(circuits, 2, 100) ||
                  veld_own_circuits_is_refused(circuits, 1, 101));
    struct veld_own_circuits_counts n = veld_own_circuits_count(circuits, 1);
    cr_assert(n.refused == 1 && n.refusal == VELD_CIRCUIT_FULL && n.asked == 0);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
    run_for(VELD_OWN_CIRCUITS_REFUSED_NS - S);
    cr_assert_eq(want(1, 100), VELD_E_STATE);
    cr_assert_eq(n_sent, 1);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    cr_assert_eq(sets, 0, "it has said no");
    run_for(2 * S);
    cr_assert_eq(want(1, 100), 0);
}

Test(own_circuits, a_ready_one_may_be_refused_and_closed)
{
    make_ready();
    say(VELD_MSG_CIRCUIT_REFUSED, 1, 100, 0, VELD_CIRCUIT_NO);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(removes, 1);
    n_ready = 9;
    cr_assert_eq(want(1, 101), 0);
    veld_own_circuits_run(circuits, now_ns);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 101, 5, 1);
    cr_assert_eq(n_ready, 1);
    say(VELD_MSG_CIRCUIT_CLOSE, 1, 101, 0, 0);
    cr_assert_eq(n_ready, 0);
    cr_assert_eq(n_sent_of(VELD_MSG_CIRCUIT_CLOSE), 0, "no close is answered by one");
}

Test(own_circuits, what_the_dataplane_does_not_take_is_not_ready)
{
    set_rc = VELD_E_NOMEM;
    cr_assert_eq(want(1, 100), 0);
    veld_own_circuits_run(circuits, now_ns);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    cr_assert_eq(told, 0);
    cr_assert_eq(veld_own_circuits_count(circuits, 1).ready, 0);
}

Test(own_circuits, what_cannot_be_sent_is_sent_later)
{
    send_rc = VELD_E_FULL;
    cr_assert_eq(want(1, 100), 0);
    veld_own_circuits_run(circuits, now_ns);
    send_rc = 0;
    run_for(3 * S);
    cr_assert_geq(n_sent, 1);
}

Test(own_circuits, a_peer_has_four_and_what_does_not_become_ready_makes_room)
{
    for (uint32_t i = 0; i < VELD_KNOWN_CIRCUITS_MAX; i++)
        cr_assert_eq(want(1, 100 + i), 0);
    cr_assert_eq(want(1, 110), VELD_E_FULL);
    veld_own_circuits_run(circuits, now_ns);
    say(VELD_MSG_CIRCUIT_OPENED, 1, 100, 77, 1);
    run_for(VELD_OWN_CIRCUITS_MUTE_NS);
    cr_assert_eq(want(1, 110), 0);
    cr_assert_eq(veld_own_circuits_total(circuits), VELD_KNOWN_CIRCUITS_MAX);
    cr_assert_eq(veld_own_circuits_count(circuits, 1).ready, 1, "not the one that is ready");
}

Test(own_circuits, one_relay_has_a_bounded_part)
{
    for (uint32_t i = 0; i < VELD_OWN_CIRCUITS_PER_RELAY_MAX; i++)
        cr_assert_eq(want(i, 1000), 0);
    cr_assert_eq(want(500, 1000), VELD_E_FULL);
    cr_assert_eq(want(500, 1001), 0);
}

Test(own_circuits, all_are_bounded)
{
    for (uint32_t i = 0; i < VELD_OWN_CIRCUITS_MAX; i++)
        cr_assert_eq(want(i, 1100 + i / 200), 0);
    cr_assert_eq(want(1050, 1999), VELD_E_FULL);
    for (uint32_t i = 0; i < VELD_OWN_CIRCUITS_MAX; i++)
        veld_own_circuits_peer_gone(circuits, i);
    cr_assert_eq(veld_own_circuits_total(circuits), 0);
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
}

Test(own_circuits, circuits_end_with_their_peer_and_with_their_relay)
{
    make_ready();
    cr_assert_eq(want(2, 100), 0);
    cr_assert_eq(want(1, 101), 0);
    veld_own_circuits_peer_gone(circuits, 100);
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(veld_own_circuits_total(circuits), 1);
    cr_assert_eq(n_ready, 0, "and the peer of a ready one is told");
    told = 0;
    say(VELD_MSG_CIRCUIT_OPENED, 1, 101, 5, 1);
    veld_own_circuits_peer_gone(circuits, 1);
    told = 0;
    veld_own_circuits_run(circuits, now_ns);
    cr_assert_eq(told, 0, "nobody is there to be told");
    cr_assert_eq(veld_circuit_numbers_taken(numbers), 0);
}

#include "../support/volunteer_rig.h"

#include <criterion/criterion.h>

#define S VELD_NS_PER_S
enum { A, B, C };

static void cleanup(void)
{
    rig_check();
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0);
    cr_assert_eq(rig.n_forwards, 0);
    rig_close();
}

TestSuite(volunteer, .init = rig_open, .fini = cleanup, .timeout = 20);

/* Taken from what was sent: the first, which is this and names `about`. */
static struct veld_message sent(uint32_t to, enum veld_message_type type, uint32_t about)
{
    uint8_t pub[32];
    struct veld_message m = rig.sent[0].m;
    rig_pub(about, pub);
    cr_assert_gt(rig.n_sent, 0, "nothing was sent");
    cr_assert_eq(rig.sent[0].to, to, "to %u", rig.sent[0].to);
    cr_assert_eq(m.type, type, "type %u", m.type);
    cr_assert_eq(memcmp(m.pub, pub, sizeof pub), 0, "about %u", m.pub[0]);
    memmove(rig.sent, rig.sent + 1, --rig.n_sent * sizeof rig.sent[0]);
    return m;
}

static void nothing_more(void)
{
    cr_assert_eq(rig.n_sent, 0, "type %u to %u", rig.sent[0].m.type, rig.sent[0].to);
}

static void refused(uint32_t to, uint32_t about, enum veld_circuit_refusal why)
{
    struct veld_message m = sent(to, VELD_MSG_CIRCUIT_REFUSED, about);
    cr_assert_eq(m.state, why, "reason %u", m.state);
    nothing_more();
}

/* A and B have a circuit; what was said on the way is forgotten. `n` receives their numbers. */
static void join(uint32_t a, uint32_t b, uint32_t n[2])
{
    uint32_t unused[2];
    n = n ? n : unused;
    rig_open_circuit(a, b, 100 + a);
    n[0] = sent(a, VELD_MSG_CIRCUIT_OPENED, b).index;
    rig_open_circuit(b, a, 100 + b);
    while (rig.sent[0].m.type == VELD_MSG_CIRCUIT_OFFER)
        sent(b, VELD_MSG_CIRCUIT_OFFER, a);
    n[1] = sent(b, VELD_MSG_CIRCUIT_OPENED, a).index;
    sent(a, VELD_MSG_CIRCUIT_OPENED, b);
    nothing_more();
}

static struct veld_forward *forward(uint32_t number)
{
    cr_assert_eq(rig.forwards[number % VELD_CIRCUITS_MAX].f.number, number, "no such forward");
    return &rig.forwards[number % VELD_CIRCUITS_MAX].f;
}

static struct veld_forward_use *use(uint32_t number)
{
    return &rig.forwards[number % VELD_CIRCUITS_MAX].use;
}

static struct veld_volunteer_counts count(void)
{
    return veld_volunteer_count(rig.v);
}

/* ---- Opening ---- */

Test(volunteer, both_ask_and_it_forwards)
{
    rig_open_circuit(A, B, 7);
    struct veld_message to_a = sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    cr_assert_eq(to_a.state, 0);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    cr_assert_eq(rig.n_forwards, 0);
    rig_check();

    rig_open_circuit(B, A, 8);
    struct veld_message to_b = sent(B, VELD_MSG_CIRCUIT_OPENED, A);
    cr_assert_eq(to_b.state, 1);
    struct veld_message again = sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    cr_assert_eq(again.state, 1);
    cr_assert_eq(again.index, to_a.index);
    nothing_more();
    cr_assert_neq(to_a.index, to_b.index);

    const struct veld_forward *f = forward(to_a.index), *g = forward(to_b.index);
    cr_assert(f->from == A && f->to == B && f->to_index == 8);
    cr_assert(g->from == B && g->to == A && g->to_index == 7);
    cr_assert_eq(count().opened, 1);
}

/* Else what A sends at once would find no circuit at B, and A would wait for seconds. */
Test(volunteer, who_asked_first_is_told_when_the_other_knows)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_OPEN, .index = 8};
    rig_pub(A, m.pub);
    rig_open_circuit(A, B, 7);
    rig.n_sent = 0;
    veld_volunteer_on_message(rig.v, B, &m, rig.now_ns);
    cr_assert_eq(sent(B, VELD_MSG_CIRCUIT_OPENED, A).state, 1);
    nothing_more();
    cr_assert(rig.soon);
    veld_volunteer_tick(rig.v, rig.now_ns);
    cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, B).state, 1);
    nothing_more();
}

Test(volunteer, asking_again_changes_nothing)
{
    uint32_t n[2];
    join(A, B, n);
    rig_open_circuit(A, B, 100 + A);
    struct veld_message m = sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    nothing_more();
    cr_assert_eq(m.state, 1);
    cr_assert_eq(m.index, n[0]);
    cr_assert_eq(forward(n[0])->to_index, 100 + B);
    cr_assert_eq(count().opened, 1);
}

/* A was restarted, and perhaps B too: what A sends must not go to a number that B has forgotten. */
Test(volunteer, asking_again_by_another_index_asks_the_other_end_anew)
{
    uint32_t n[2];
    join(A, B, n);
    rig_wait(10 * S); /* so that an offer may be made */
    rig.n_sent = 0;
    rig_open_circuit(A, B, 55);
    cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, B).state, 0);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    cr_assert_eq(rig.n_forwards, 0);
    rig_open_circuit(B, A, 66);
    uint32_t to_b = sent(B, VELD_MSG_CIRCUIT_OPENED, A).index;
    uint32_t to_a = sent(A, VELD_MSG_CIRCUIT_OPENED, B).index;
    cr_assert_eq(forward(to_a)->to_index, 66);
    cr_assert_eq(forward(to_b)->to_index, 55);
    cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 2);
}

Test(volunteer, what_is_asked_anew_counts_once)
{
    for (uint32_t i = 0; i < 2 * VELD_ALLOWANCE_CIRCUITS; i++) {
        rig_open_circuit(A, B, 1000 + i);
        rig_open_circuit(B, A, 1000 + i);
        rig_wait(S);
        rig.n_sent = 0;
    }
    cr_assert_eq(count().ready, 1);
    rig_open_circuit(B, C, 7); /* one of its many that it may still have */
    cr_assert_eq(sent(B, VELD_MSG_CIRCUIT_OPENED, C).state, 0);
}

/* B was restarted: it is told of the circuit that A still has. */
Test(volunteer, who_has_a_new_session_is_offered_what_it_may_have_forgotten)
{
    join(A, B, NULL);
    rig_wait(10 * S);
    rig.n_sent = 0;
    veld_volunteer_on_use(rig.v, B, rig.now_ns);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    veld_volunteer_on_use(rig.v, B, rig.now_ns);
    nothing_more();
}

Test(volunteer, asking_again_before_the_other_has_is_answered_again)
{
    rig_open_circuit(A, B, 7);
    uint32_t number = sent(A, VELD_MSG_CIRCUIT_OPENED, B).index;
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    rig_open_circuit(A, B, 9);
    cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, B).index, number);
    nothing_more();
    rig_open_circuit(B, A, 8);
    cr_assert_eq(forward(sent(B, VELD_MSG_CIRCUIT_OPENED, A).index)->to_index, 9);
}

Test(volunteer, who_has_no_session_is_called_and_offered_then)
{
    rig.peers[B].no_session = true;
    rig_open_circuit(A, B, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    nothing_more();
    cr_assert_eq(rig.peers[B].calls, 1);
    rig.peers[B].no_session = false;
    veld_volunteer_on_use(rig.v, C, rig.now_ns);
    veld_volunteer_on_use(rig.v, A, rig.now_ns);
    nothing_more();
    veld_volunteer_on_use(rig.v, B, rig.now_ns);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    veld_volunteer_on_use(rig.v, B, rig.now_ns);
    nothing_more();
}

Test(volunteer, an_offer_that_is_not_answered_is_made_again_slowly)
{
    unsigned offers = 0;
    rig_open_circuit(A, B, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    rig_wait(VELD_VOLUNTEER_HALF_OPEN_NS - S);
    for (; rig.n_sent > 0; offers++)
        sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    cr_assert_eq(offers, 6, "%u", offers);
}

Test(volunteer, closing_and_asking_again_does_not_make_more_offers)
{
    unsigned offers = 0;
    for (int i = 0; i < 200; i++) {
        rig_open_circuit(A, B, 7);
        rig_close_circuit(A, B);
        rig_wait(S / 10);
    }
    for (size_t i = 0; i < rig.n_sent; i++) {
        offers += rig.sent[i].to == B;
        cr_assert(rig.sent[i].to == A || rig.sent[i].m.type == VELD_MSG_CIRCUIT_OFFER);
    }
    cr_assert_eq(offers, 4, "%u in 20 s", offers);
    cr_assert_eq(rig.n_sent - offers, 200, "one answer for each");
}

Test(volunteer, an_end_that_sends_nothing_is_told_again)
{
    uint32_t n[2];
    join(A, B, n);
    *use(n[1]) = (struct veld_forward_use){1, 100, rig.now_ns};
    rig_wait(10 * S);
    for (int i = 1; i < VELD_VOLUNTEER_SAYS; i++)
        cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, B).state, 1);
    nothing_more();
}

Test(volunteer, an_answer_that_cannot_be_sent_is_given_soon)
{
    rig.peers[A].full = true;
    rig_open_circuit(A, B, 7);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    rig.peers[A].full = false;
    rig_wait(S / 2);
    cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, B).state, 0);
    nothing_more();
    rig.peers[A].full = rig.peers[B].full = true;
    rig_open_circuit(B, A, 7);
    rig.peers[A].full = rig.peers[B].full = false;
    rig_wait(S / 2);
    cr_assert_eq(rig.n_sent, 2);
    cr_assert(rig.sent[0].m.state == 1 && rig.sent[1].m.state == 1);
}

/* Its first words come while the path to it is sought. */
Test(volunteer, who_asks_before_it_can_be_answered_is_answered_then)
{
    rig.peers[A].no_session = true;
    rig_open_circuit(A, B, 7);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    rig.peers[A].no_session = false;
    veld_volunteer_on_use(rig.v, C, rig.now_ns);
    nothing_more();
    veld_volunteer_on_use(rig.v, A, rig.now_ns);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    veld_volunteer_on_use(rig.v, A, rig.now_ns);
    nothing_more();
}

/* It was restarted, and what it was told then was lost. */
Test(volunteer, an_end_that_says_nothing_to_what_it_is_sent_is_offered_the_circuit_again)
{
    uint32_t n[2];
    join(A, B, n);
    for (unsigned i = 0; i < 2 * VELD_VOLUNTEER_SILENCE_NS / S - 1; i++) {
        *use(n[0]) = (struct veld_forward_use){1 + i, 100 * i, rig.now_ns};
        if (i < VELD_VOLUNTEER_SILENCE_NS / S)
            *use(n[1]) = (struct veld_forward_use){1 + i, 100 * i, rig.now_ns};
        rig.n_sent = 0;
        rig_wait(S);
    }
    nothing_more();
    *use(n[0]) = (struct veld_forward_use){100, 10000, rig.now_ns};
    rig_wait(S);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
    rig_wait(60 * S);
    for (unsigned i = 0; i < 2; i++)
        sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more(); /* when the other end sends no more, either */
}

Test(volunteer, an_offer_that_cannot_be_sent_is_made_soon)
{
    rig.peers[B].full = true;
    rig_open_circuit(A, B, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    nothing_more();
    cr_assert_eq(rig.peers[B].calls, 0, "there is a session");
    rig.peers[B].full = false;
    rig_wait(S / 2);
    sent(B, VELD_MSG_CIRCUIT_OFFER, A);
    nothing_more();
}

/* ---- Whom it does not relay for ---- */

Test(volunteer, relays_only_when_it_shall)
{
    join(A, B, NULL);
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = false});
    sent(rig.sent[0].to, VELD_MSG_CIRCUIT_CLOSE, rig.sent[0].to == A ? B : A);
    sent(rig.sent[0].to, VELD_MSG_CIRCUIT_CLOSE, rig.sent[0].to == A ? B : A);
    nothing_more();
    cr_assert_eq(rig.n_forwards, 0);
    rig_open_circuit(A, B, 7);
    refused(A, B, VELD_CIRCUIT_NO);
    cr_assert_eq(count().half_open, 0);
}

Test(volunteer, not_to_who_is_not_known_or_in_bad_standing_or_the_same)
{
    rig.peers[C].bad = true;
    rig_open_circuit(A, C, 7);
    refused(A, C, VELD_CIRCUIT_UNKNOWN);
    rig_open_circuit(A, RIG_PEERS + 1, 7);
    refused(A, RIG_PEERS + 1, VELD_CIRCUIT_UNKNOWN);
    rig_open_circuit(A, A, 7);
    refused(A, A, VELD_CIRCUIT_UNKNOWN);
    cr_assert_eq(count().half_open, 0);
    cr_assert_eq(count().refused, 3);
}

Test(volunteer, not_where_either_end_is_reached_by_a_circuit)
{
    rig.peers[B].indirect = true;
    rig_open_circuit(A, B, 7);
    refused(A, B, VELD_CIRCUIT_INDIRECT);
    rig_open_circuit(B, A, 7);
    refused(B, A, VELD_CIRCUIT_INDIRECT);
    cr_assert_eq(count().half_open, 0);
}

Test(volunteer, ends_when_an_end_is_reached_by_a_circuit_from_then_on)
{
    join(A, B, NULL);
    join(A, C, NULL);
    veld_volunteer_peer_moved(rig.v, B);
    nothing_more();
    rig.peers[B].indirect = true;
    veld_volunteer_peer_moved(rig.v, B);
    sent(A, VELD_MSG_CIRCUIT_CLOSE, B);
    sent(B, VELD_MSG_CIRCUIT_CLOSE, A);
    nothing_more();
    cr_assert_eq(count().ready, 1);
}

/* ---- Bounds ---- */

Test(volunteer, a_member_has_so_many_that_it_asked_for)
{
    for (uint32_t to = 1; to <= VELD_ALLOWANCE_CIRCUITS; to++)
        rig_open_circuit(A, to, 7);
    rig.n_sent = 0;
    rig_wait(S);
    rig.n_sent = 0;
    rig_open_circuit(A, 100, 7);
    refused(A, 100, VELD_CIRCUIT_FULL);
    rig_open_circuit(A, 1, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, 1);
    nothing_more();
    /* What others ask of it is theirs, until it asks too. */
    rig_open_circuit(100, A, 7);
    sent(100, VELD_MSG_CIRCUIT_OPENED, A);
    sent(A, VELD_MSG_CIRCUIT_OFFER, 100);
    rig_open_circuit(A, 100, 7);
    refused(A, 100, VELD_CIRCUIT_FULL);
    rig_close_circuit(A, 1);
    rig_open_circuit(A, 100, 7);
    cr_assert_eq(sent(A, VELD_MSG_CIRCUIT_OPENED, 100).state, 1);
}

static uint32_t open_all(void)
{
    for (uint32_t from = 0, n = 0;; from++) {
        for (uint32_t i = 0; i < VELD_ALLOWANCE_CIRCUITS; i++, n++) {
            if (n == VELD_VOLUNTEER_CIRCUITS_MAX)
                return from;
            rig_open_circuit(from, 100 + i, 7);
        }
        rig.n_sent = 0;
    }
}

Test(volunteer, there_are_so_many_in_all)
{
    uint32_t from = open_all();
    cr_assert_eq(count().half_open, VELD_VOLUNTEER_CIRCUITS_MAX);
    rig_check();
    rig.n_sent = 0;
    rig_open_circuit(from, 100, 7);
    refused(from, 100, VELD_CIRCUIT_FULL);
    /* The refused one counts for nothing: as many as before may be asked for. */
    for (uint32_t i = 0; i < VELD_ALLOWANCE_CIRCUITS; i++)
        rig_close_circuit(0, 100 + i);
    rig.now_ns += S; /* so that it may ask once more than at once */
    rig.n_sent = 0;
    for (uint32_t i = 0; i < VELD_ALLOWANCE_CIRCUITS; i++)
        rig_open_circuit(from, 100 + i, 7);
    cr_assert_eq(count().half_open, VELD_VOLUNTEER_CIRCUITS_MAX);
}

Test(volunteer, without_numbers_nothing_is_half_made)
{
    static uint32_t numbers[VELD_CIRCUITS_MAX];
    for (unsigned i = 0; i < VELD_CIRCUITS_MAX; i++)
        cr_assert_eq(veld_circuit_numbers_take(rig.numbers, &numbers[i]), 0);
    rig_open_circuit(A, B, 7);
    refused(A, B, VELD_CIRCUIT_FULL);
    veld_circuit_numbers_give(rig.numbers, numbers[0]);
    rig_open_circuit(A, B, 7);
    refused(A, B, VELD_CIRCUIT_FULL);
    cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), VELD_CIRCUITS_MAX - 1);
    veld_circuit_numbers_give(rig.numbers, numbers[1]);
    join(A, B, NULL);
    rig_close_circuit(A, B);
    for (unsigned i = 2; i < VELD_CIRCUITS_MAX; i++)
        veld_circuit_numbers_give(rig.numbers, numbers[i]);
}

Test(volunteer, without_forwards_nothing_is_half_made)
{
    for (unsigned which = 1; which <= 2; which++) {
        rig_open_circuit(A, B, 7);
        rig.n_sent = 0;
        rig.fail_in = which;
        rig_open_circuit(B, A, 8);
        sent(A, VELD_MSG_CIRCUIT_CLOSE, B);
        refused(B, A, VELD_CIRCUIT_FULL);
        cr_assert_eq(rig.n_forwards, 0);
        cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0);
        join(A, B, NULL);
        rig_close_circuit(A, B);
        rig.n_sent = 0;
        rig_wait(VELD_ALLOWANCE_OFFER_GAP_NS);
    }
}

Test(volunteer, a_flood_of_requests_is_not_answered)
{
    for (int i = 0; i < 1000; i++)
        rig_open_circuit(A, C, 7);
    cr_assert_eq(rig.n_sent, VELD_ALLOWANCE_BURST + 1, "and the offer");
    cr_assert_eq(count().ignored, 1000 - VELD_ALLOWANCE_BURST);
    rig.n_sent = 0;
    rig_open_circuit(B, C, 7);
    sent(B, VELD_MSG_CIRCUIT_OPENED, C);
}

Test(volunteer, messages_that_are_not_for_a_relay_are_ignored)
{
    join(A, B, NULL);
    for (unsigned type = 0; type < 256; type++) {
        struct veld_message m = {.type = (uint8_t)type};
        rig_pub(B, m.pub);
        if (type != VELD_MSG_CIRCUIT_OPEN && type != VELD_MSG_CIRCUIT_CLOSE)
            veld_volunteer_on_message(rig.v, A, &m, rig.now_ns);
    }
    nothing_more();
    cr_assert_eq(count().ready, 1);
}

/* ---- Ending ---- */

Test(volunteer, either_end_closes_it)
{
    for (uint32_t who = A; who <= B; who++) {
        join(A, B, NULL);
        rig_close_circuit(who, C);
        nothing_more();
        rig_close_circuit(who, who == A ? B : A);
        sent(who == A ? B : A, VELD_MSG_CIRCUIT_CLOSE, who);
        nothing_more();
        cr_assert_eq(rig.n_forwards, 0);
        cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0);
        rig_wait(VELD_ALLOWANCE_OFFER_GAP_NS);
    }
}

Test(volunteer, others_cannot_close_it)
{
    join(A, B, NULL);
    rig_close_circuit(C, A);
    rig_close_circuit(C, B);
    nothing_more();
    cr_assert_eq(count().ready, 1);
}

Test(volunteer, a_half_open_one_ends)
{
    rig_open_circuit(A, B, 7);
    rig_wait(VELD_VOLUNTEER_HALF_OPEN_NS - S);
    rig.n_sent = 0;
    rig_open_circuit(A, B, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
    rig_wait(S);
    cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0, "asking again does not keep it");
    sent(A, VELD_MSG_CIRCUIT_CLOSE, B);
    nothing_more();
}

Test(volunteer, an_idle_one_ends)
{
    uint32_t n[2];
    rig_open_circuit(A, B, 7);
    rig_wait(VELD_VOLUNTEER_HALF_OPEN_NS / 2); /* which does not count */
    rig.n_sent = 0;
    join(A, B, n);
    rig_wait(VELD_VOLUNTEER_IDLE_NS - S);
    cr_assert_eq(count().ready, 1);
    for (int i = 0; i < 2; i++) {
        *use(n[i]) = (struct veld_forward_use){1, 100, rig.now_ns};
        rig_wait(VELD_VOLUNTEER_IDLE_NS - S);
        cr_assert_eq(count().ready, 1, "%d", i);
    }
    rig.n_sent = 0;
    rig_wait(S);
    cr_assert_eq(count().ready, 0);
    cr_assert_eq(rig.n_sent, 2);
    cr_assert_eq(rig.sent[0].m.type, VELD_MSG_CIRCUIT_CLOSE);
    cr_assert_eq(rig.sent[1].m.type, VELD_MSG_CIRCUIT_CLOSE);
    rig.n_sent = 0;
}

Test(volunteer, ends_with_either_peer)
{
    for (uint32_t who = A; who <= B; who++) {
        join(A, B, NULL);
        rig.peers[who].gone = true;
        veld_volunteer_peer_gone(rig.v, who);
        sent(who == A ? B : A, VELD_MSG_CIRCUIT_CLOSE, who);
        nothing_more();
        cr_assert_eq(rig.n_forwards, 0);
        cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0);
        rig.peers[who].gone = false;
        rig_wait(VELD_ALLOWANCE_OFFER_GAP_NS);
    }
}

Test(volunteer, ends_when_either_end_leaves)
{
    for (uint32_t who = A; who <= B; who++) {
        join(A, B, NULL);
        rig.peers[who].no_session = true;
        veld_volunteer_peer_left(rig.v, who);
        sent(who == A ? B : A, VELD_MSG_CIRCUIT_CLOSE, who);
        nothing_more();
        cr_assert_eq(rig.n_forwards, 0);
        rig.peers[who].no_session = false;
        rig_wait(VELD_ALLOWANCE_OFFER_GAP_NS);
    }
    rig.peers[B].no_session = true;
    rig_open_circuit(A, B, 7);
    veld_volunteer_peer_left(rig.v, B);
    cr_assert_eq(count().half_open, 1, "it is called");
}

Test(volunteer, who_did_not_ask_is_not_told_of_the_end)
{
    rig_open_circuit(A, B, 7);
    rig.n_sent = 0;
    rig_close_circuit(A, B);
    nothing_more();
    rig_wait(VELD_ALLOWANCE_OFFER_GAP_NS);
    rig_open_circuit(A, B, 7);
    rig.n_sent = 0;
    rig.peers[A].gone = true;
    veld_volunteer_peer_gone(rig.v, A);
    nothing_more();
}

Test(volunteer, the_next_peer_of_a_number_may_ask_as_any)
{
    for (int i = 0; i < 1000; i++)
        rig_open_circuit(A, C, 7);
    veld_volunteer_peer_gone(rig.v, A);
    rig.n_sent = 0;
    rig_open_circuit(A, B, 7);
    sent(A, VELD_MSG_CIRCUIT_OPENED, B);
}

Test(volunteer, ends_when_the_dataplane_has_no_forward_any_more)
{
    uint32_t n[2];
    join(A, B, n);
    rig_forward_remove(NULL, n[1]);
    rig_wait(S / 2);
    cr_assert_eq(rig.n_forwards, 0);
    cr_assert_eq(veld_circuit_numbers_taken(rig.numbers), 0);
}

/* ---- The rate ---- */

/* Every half second each direction of `n` carries so much. */
static void carry(const uint32_t n[2], uint64_t bytes)
{
    for (int i = 0; i < 2; i++) {
        use(n[i])->bytes += bytes;
        use(n[i])->datagrams++;
        use(n[i])->last_ns = rig.now_ns;
    }
}

Test(volunteer, busy_circuits_share_the_rate)
{
    uint32_t ab[2], ac[2], bc[2];
    veld_volunteer_set(rig.v,
                       &(struct veld_volunteer_policy){.relays = true, .bytes_per_s = 64000});
    cr_assert_eq(rig.rate, 64000);
    join(A, B, ab);
    join(A, C, ac);
    join(B, C, bc);
    rig_wait(S);
    cr_assert_eq(forward(ab[0])->bytes_per_s, 64000, "nobody is busy");
    carry(ab, 30000);
    rig_wait(S / 2);
    cr_assert_eq(forward(ab[0])->bytes_per_s, 64000, "one alone has all");
    carry(ab, 10000);
    carry(ac, 10000);
    carry(bc, 100);
    rig_wait(S / 2);
    cr_assert_eq(forward(ab[0])->bytes_per_s, 32000);
    cr_assert_eq(forward(ac[1])->bytes_per_s, 32000);
    cr_assert_eq(forward(bc[0])->bytes_per_s, 32000, "who carries little takes nothing away");
    veld_volunteer_set(rig.v,
                       &(struct veld_volunteer_policy){.relays = true, .bytes_per_s = 64000});
    cr_assert_eq(forward(ab[0])->bytes_per_s, 32000, "that is no news");
    rig_wait(S / 2);
    cr_assert_eq(forward(ab[0])->bytes_per_s, 64000);
    veld_volunteer_set(rig.v, &(struct veld_volunteer_policy){.relays = true});
    cr_assert_eq(rig.rate, 0);
    cr_assert_eq(forward(ab[0])->bytes_per_s, 0);
}

Test(volunteer, a_share_is_never_no_bound)
{
    uint32_t n[2][2];
    veld_volunteer_set(rig.v,
                       &(struct veld_volunteer_policy){.relays = true, .bytes_per_s = 1});
    join(A, B, n[0]);
    join(A, C, n[1]);
    carry(n[0], 100);
    carry(n[1], 100);
    rig_wait(S / 2);
    cr_assert_eq(forward(n[0][0])->bytes_per_s, 1);
}

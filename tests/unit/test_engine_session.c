#include "../support/engine_pair.h"

#include "base/bytes.h"

Test(engine_session, old_session_stays_receivable_after_a_new_one)
{
    struct pair p;
    pair_init(&p);
    struct made first = handshake(&p, &p.a, &p.b);
    advance_ms(&p, 60000);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, first.initiator_index, &p.b.address);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    cr_assert_null(action(&p.b, VELD_ACT_RETIRE));
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    uint32_t next = must(&p.b, VELD_ACT_INSTALL).index;
    deliver(&p, &p.b, &p.a, &response);
    cr_assert_null(action(&p.a, VELD_ACT_RETIRE), "the peer still sends on the first one");
    cr_assert_eq(current(&p.b), first.responder_index, "and does so until confirmed");
    on_session(&p, &p.b, VELD_EV_CONFIRMED, next, &p.a.address);
    cr_assert_null(action(&p.b, VELD_ACT_RETIRE));
    cr_assert_eq(current(&p.b), next);
    pair_free(&p);
}

Test(engine_session, there_are_never_more_than_three)
{
    struct pair p;
    pair_init(&p);
    int live_a = 0, live_b = 0;
    for (unsigned k = 0; k < 20; k++) {
        advance_ms(&p, 100);
        if (k == 0)
            on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        else
            on_session(&p, &p.a, VELD_EV_REKEY_DUE, current(&p.a), &p.b.address);
        struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
        deliver(&p, &p.a, &p.b, &initiation);
        live_b +=
            (int)actions_of(&p.b, VELD_ACT_INSTALL) - (int)actions_of(&p.b, VELD_ACT_RETIRE);
        struct veld_action response = must(&p.b, VELD_ACT_SEND);
        uint32_t next = must(&p.b, VELD_ACT_INSTALL).index;
        deliver(&p, &p.b, &p.a, &response);
        live_a +=
            (int)actions_of(&p.a, VELD_ACT_INSTALL) - (int)actions_of(&p.a, VELD_ACT_RETIRE);
        if (k % 2)
            on_session(&p, &p.b, VELD_EV_CONFIRMED, next, &p.a.address);
        live_b -= k % 2 ? (int)actions_of(&p.b, VELD_ACT_RETIRE) : 0;
        cr_assert(live_a >= 1 && live_a <= 3 && live_b >= 1 && live_b <= 3);
    }
    pair_free(&p);
}

Test(engine_session, ends_after_180_s_and_an_unconfirmed_one_too)
{
    struct pair p;
    pair_init(&p);
    struct made m = half_handshake(&p, &p.a, &p.b);
    uint64_t a_ends = p.now.mono_ns + 180 * VELD_NS_PER_S;
    struct side *sides[] = {&p.b, &p.a};
    uint32_t index[] = {m.responder_index, m.initiator_index};
    for (unsigned i = 0; i < 2; i++) {
        bool retired = false;
        while (veld_engine_deadline(sides[i]->engine) <= a_ends) {
            uint64_t at = veld_engine_deadline(sides[i]->engine);
            p.now.mono_ns = at > p.now.mono_ns ? at : p.now.mono_ns;
            cr_assert_eq(step(&p, sides[i], &(struct veld_event){.type = VELD_EV_TIMER}), 1);
            retired |= action(sides[i], VELD_ACT_RETIRE) &&
                       must(sides[i], VELD_ACT_RETIRE).index == index[i];
        }
        cr_assert(retired, "side %u", i);
        cr_assert_eq(step(&p, sides[i], &(struct veld_event){.type = VELD_EV_TIMER}), 0);
        cr_assert_eq(state(sides[i]), VELD_PEER_IDLE);
        cr_assert_eq(on_session(&p, sides[i], VELD_EV_CONFIRMED, index[i], &p.a.address),
                     DROPPED(INDEX));
    }
    pair_free(&p);
}

Test(engine_session, dies_at_its_time_even_when_the_timer_is_late)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    advance_ms(&p, 600000); /* asleep */
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
    cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    pair_free(&p);
}

Test(engine_session, never_heard_of_does_not_displace_one_in_use)
{
    struct pair p;
    pair_init(&p);
    struct made good = handshake(&p, &p.a, &p.b);
    /* Twice in a row the response arrives, and then nothing. */
    for (unsigned k = 0; k < 2; k++) {
        advance_ms(&p, 20000);
        on_session(&p, &p.a, VELD_EV_REKEY_DUE, current(&p.a), &p.b.address);
        struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
        deliver(&p, &p.a, &p.b, &initiation);
        struct veld_action response = must(&p.b, VELD_ACT_SEND);
        deliver(&p, &p.b, &p.a, &response);
        for (size_t i = 0; i < p.a.out.n; i++)
            cr_assert(p.a.out.a[i].type != VELD_ACT_RETIRE ||
                      p.a.out.a[i].index != good.initiator_index);
    }
    cr_assert_eq(current(&p.b), good.responder_index);
    pair_free(&p);
}

Test(engine_session, initiator_asks_until_it_hears_something)
{
    struct pair p;
    pair_init(&p);
    struct made m = half_handshake(&p, &p.a, &p.b);
    unsigned pings = 0;
    for (unsigned k = 0; k < 100; k++) {
        advance_ms(&p, 100);
        while (step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}) == 1)
            pings += actions_of(&p.a, VELD_ACT_SEND_MESSAGE);
    }
    cr_assert_geq(pings, 4);
    cr_assert_leq(pings, 5, "bounded");
    cr_assert_eq(current(&p.a), m.initiator_index);
    pair_free(&p);
}

/* ---- Simultaneous open ---- */

struct crossing {
    struct veld_action ia, ib, ra, rb; /* initiations of a and b; ra answers ia */
    uint32_t sa_at_b, sb_at_a;         /* the responder's indices */
};

static void cross(struct pair *p, struct crossing *c)
{
    pair_init(p);
    on_peer(p, &p->a, VELD_EV_NEED_SESSION);
    on_peer(p, &p->b, VELD_EV_NEED_SESSION);
    c->ia = must(&p->a, VELD_ACT_SEND);
    c->ib = must(&p->b, VELD_ACT_SEND);
    advance_ms(p, 50);
    cr_assert_eq(deliver(p, &p->a, &p->b, &c->ia), 0);
    c->ra = must(&p->b, VELD_ACT_SEND);
    c->sa_at_b = must(&p->b, VELD_ACT_INSTALL).index;
    cr_assert_eq(deliver(p, &p->b, &p->a, &c->ib), 0);
    c->rb = must(&p->a, VELD_ACT_SEND);
    c->sb_at_a = must(&p->a, VELD_ACT_INSTALL).index;
    advance_ms(p, 50);
}

static uint32_t index_of(const struct veld_action *initiation)
{
    return veld_load_be32(initiation->bytes + 4);
}

Test(engine_session, of_crossing_handshakes_the_smaller_survives)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    deliver(&p, &p.b, &p.a, &c.ra);
    deliver(&p, &p.a, &p.b, &c.rb);
    advance_ms(&p, 50);
    on_session(&p, &p.a, VELD_EV_CONFIRMED, c.sb_at_a, &p.b.address);
    cr_assert_null(action(&p.a, VELD_ACT_RETIRE), "the other stays receivable");
    on_session(&p, &p.b, VELD_EV_CONFIRMED, c.sa_at_b, &p.a.address);
    cr_assert_null(action(&p.b, VELD_ACT_RETIRE), "the other stays receivable");
    cr_assert_eq(current(&p.a), index_of(&c.ia));
    cr_assert_eq(current(&p.b), c.sa_at_b);
    pair_free(&p);
}

Test(engine_session, smaller_takes_over_when_its_response_comes_late)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    deliver(&p, &p.a, &p.b, &c.rb);
    on_session(&p, &p.a, VELD_EV_CONFIRMED, c.sb_at_a, &p.b.address);
    cr_assert_eq(current(&p.a), c.sb_at_a, "no waiting for what may never come");
    cr_assert_eq(current(&p.b), index_of(&c.ib));
    deliver(&p, &p.b, &p.a, &c.ra);
    on_session(&p, &p.b, VELD_EV_CONFIRMED, c.sa_at_b, &p.a.address);
    cr_assert_eq(current(&p.a), index_of(&c.ia));
    cr_assert_eq(current(&p.b), c.sa_at_b);
    pair_free(&p);
}

Test(engine_session, larger_drops_its_attempt_when_the_smaller_one_is_confirmed)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    deliver(&p, &p.b, &p.a, &c.ra);
    on_session(&p, &p.b, VELD_EV_CONFIRMED, c.sa_at_b, &p.a.address);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &c.rb), DROPPED(INDEX));
    cr_assert_eq(current(&p.b), c.sa_at_b);
    cr_assert_eq(run_timers(&p, &p.b, 20000), 0, "and no retry");
    pair_free(&p);
}

Test(engine_session, larger_alone_survives_when_the_other_response_is_lost)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    deliver(&p, &p.a, &p.b, &c.rb);
    on_session(&p, &p.a, VELD_EV_CONFIRMED, c.sb_at_a, &p.b.address);
    on_session(&p, &p.b, VELD_EV_CONFIRMED, index_of(&c.ib), &p.a.address);
    cr_assert_eq(run_timers(&p, &p.a, 20000), 0, "a session is there: no retry");
    cr_assert_eq(run_timers(&p, &p.b, 20000), 0);
    cr_assert_eq(current(&p.a), c.sb_at_a);
    cr_assert_eq(current(&p.b), index_of(&c.ib));
    pair_free(&p);
}

Test(engine_session, both_responses_lost_costs_one_retry)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    uint64_t start = p.now.mono_ns, sent = run_timers(&p, &p.a, 20000);
    cr_assert(sent && sent - start < 5400 * VELD_NS_PER_MS);
    struct veld_action again = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &again), 0);
    cr_assert_eq(must(&p.b, VELD_ACT_RETIRE).index, c.sa_at_b, "it only replaces next");
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
    pair_free(&p);
}

Test(engine_session, larger_waits_after_answering_but_not_for_ever)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    uint64_t start = p.now.mono_ns;
    on_peer(&p, &p.b, VELD_EV_NEED_SESSION);
    cr_assert_null(action(&p.b, VELD_ACT_SEND));
    /* Initiations keep coming and their responses keep being lost. */
    uint64_t sent = 0;
    for (unsigned k = 0; k < 20 && !sent; k++) {
        cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
        struct veld_action again = must(&p.a, VELD_ACT_SEND);
        while (!sent && step(&p, &p.b, &(struct veld_event){.type = VELD_EV_TIMER}) == 1)
            sent = action(&p.b, VELD_ACT_SEND) ? p.now.mono_ns : 0;
        deliver(&p, &p.a, &p.b, &again);
    }
    cr_assert(sent && sent - start < 17 * VELD_NS_PER_S);
    pair_free(&p);
}

Test(engine_session, a_restarted_peer_takes_over_at_once)
{
    struct side *order[2];
    for (unsigned k = 0; k < 2; k++) {
        struct pair p;
        pair_init(&p);
        order[0] = k ? &p.a : &p.b; /* who restarts */
        order[1] = k ? &p.b : &p.a;
        handshake(&p, order[1], order[0]);
        veld_engine_free(order[0]->engine);
        engine_make(order[0], p.now.wall_ns + 60 * VELD_NS_PER_S);
        add_peer(order[0], order[1], 0);
        advance_ms(&p, 100);
        struct made m = handshake(&p, order[0], order[1]);
        cr_assert_eq(current(order[1]), m.responder_index);
        cr_assert_eq(current(order[0]), m.initiator_index);
        pair_free(&p);
    }
}

/* ---- Configuration of a live peer ---- */

Test(engine_session, setting_a_peer_keeps_its_sessions)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    uint32_t id;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &id), VELD_E_EXIST);
    cfg.keepalive_s = 25;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_eq(current(&p.a), m.initiator_index);
    cr_assert_eq(run_timers(&p, &p.a, 4000), 0);
    cfg.pub[0] ^= 1;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), VELD_E_INVAL);
    pair_free(&p);
}

Test(engine_session, a_new_configured_endpoint_is_tried_the_same_one_is_not)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_eq(run_timers(&p, &p.a, 1000), 0);
    cfg.endpoint = ep("192.0.2.77:7");
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_gt(run_timers(&p, &p.a, 1000), 0);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND, &cfg.endpoint));
    cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT), "not before it is proved");
    pair_free(&p);
}

Test(engine_session, removing_a_peer_leaves_nothing)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_REMOVE_PEER), 0);
    cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(p.a.engine, p.a.peer, &info), VELD_E_NOENT);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), VELD_E_NOENT);
    cr_assert_eq(on_session(&p, &p.a, VELD_EV_MOVED, m.initiator_index, &p.b.address),
                 DROPPED(INDEX));
    add_peer(&p.a, &p.b, 0);
    cr_assert_eq(current(&p.a), 0);
    pair_free(&p);
}

Test(engine_session, an_answer_to_one_that_was_removed_is_nobodys)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_REMOVE_PEER), 0);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), DROPPED(INDEX));
    cr_assert_eq(p.a.out.n, 0);
    pair_free(&p);
}

Test(engine_session, who_is_blocked_has_no_session_and_gets_none)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    cr_assert_eq(on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address), 0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_BLOCK), 0);
    cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
    cr_assert_not_null(action(&p.a, VELD_ACT_GAVE_UP), "what waits is dropped");
    cr_assert_eq(state(&p.a), VELD_PEER_BLOCKED);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    /* Neither by an answer that was under way, nor by its own wish, nor by ours. */
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), DROPPED(INDEX));
    advance_ms(&p, 6000); /* b held off its own while its answer could be used */
    cr_assert_eq(on_session(&p, &p.b, VELD_EV_REKEY_DUE, m.responder_index, &p.a.address), 0);
    initiation = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &initiation), DROPPED(UNKNOWN_PEER));
    static const enum veld_event_type wishes[] = {VELD_EV_NEED_SESSION, VELD_EV_PING,
                                                  VELD_EV_REKEY};
    for (size_t i = 0; i < VELD_ARRAY_LEN(wishes); i++) {
        cr_assert_eq(on_peer(&p, &p.a, wishes[i]), VELD_E_PERM);
        cr_assert_eq(p.a.out.n, 0);
    }
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_UNBLOCK), 0);
    cr_assert_eq(state(&p.a), VELD_PEER_IDLE);
    on_peer(&p, &p.b, VELD_EV_GOODBYE);
    advance_ms(&p, 1000);
    handshake(&p, &p.a, &p.b);
    pair_free(&p);
}

Test(engine_session, who_is_kept_alive_is_called_when_unblocked_not_before)
{
    struct pair p;
    pair_make(&p);
    add_peer(&p.a, &p.b, 25);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_BLOCK), 0);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cfg.keepalive_s = 25;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_UNBLOCK), 0);
    cr_assert_gt(run_timers(&p, &p.a, 10), 0);
    pair_free(&p);
}

Test(engine_session, a_session_the_peer_does_not_have_is_replaced_while_another_is_heard)
{
    struct pair p;
    struct crossing c;
    cross(&p, &c);
    deliver(&p, &p.b, &p.a, &c.ra);
    advance_ms(&p, 50);
    on_session(&p, &p.a, VELD_EV_CONFIRMED, c.sb_at_a, &p.b.address);
    cr_assert_eq(current(&p.a), index_of(&c.ia), "it yields, as after any crossing");
    /* b was restarted in between: it has sb only. */
    uint64_t start = p.now.mono_ns, sent = run_timers(&p, &p.a, 20000);
    cr_assert(sent && sent - start <= 5000 * VELD_NS_PER_MS);
    pair_free(&p);
}

Test(engine_session, answers_on_another_session_than_asked_are_noticed)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    on_session(&p, &p.b, VELD_EV_REKEY_DUE, m.responder_index, &p.a.address);
    struct veld_action initiation = must(&p.b, VELD_ACT_SEND);
    advance_ms(&p, 50);
    deliver(&p, &p.b, &p.a, &initiation);
    struct veld_action response = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &response);
    struct veld_action ping = must(&p.b, VELD_ACT_SEND_MESSAGE);
    /* a answers on the old session, on which b has heard it before. */
    advance_ms(&p, 50);
    ping.bytes[0] = VELD_MSG_PONG;
    message(&p, &p.b, m.responder_index, &p.a.address, ping.bytes, ping.len);
    uint64_t sent = run_timers(&p, &p.b, 20000);
    cr_assert_gt(sent, 0);
    pair_free(&p);
}

Test(engine_session, a_wish_for_a_session_that_is_there_starts_nothing)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(p.a.out.n, 0);
    pair_free(&p);
}

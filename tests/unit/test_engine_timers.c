#include "../support/engine_pair.h"

#include "base/bytes.h"

#define S VELD_NS_PER_S

/* ---- Attempts ---- */

Test(engine_timers, retries_every_5_s_and_gives_up_after_90)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    uint64_t start = p.now.mono_ns, last = start;
    uint64_t shortest = UINT64_MAX, longest = 0;
    unsigned sends = 1;
    for (;;) {
        uint64_t at = run_timers(&p, &p.a, 10000);
        if (!at)
            break;
        cr_assert(at - last >= 5 * S && at - last <= 5 * S + S / 3, "%lu", at - last);
        shortest = VELD_MIN(shortest, at - last);
        longest = VELD_MAX(longest, at - last);
        last = at;
        sends++;
    }
    cr_assert_gt(longest - shortest, S / 10, "two sides that began together must drift apart");
    cr_assert(sends >= 17 && sends <= 19);
    cr_assert_leq(last - start, 90 * S);
    cr_assert_eq(state(&p.a), VELD_PEER_OFFLINE);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX, "nothing is left pending");
    pair_free(&p);
}

Test(engine_timers, who_waits_hurries_an_attempt_once)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION); /* the call after a start; nobody hears it */
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 1);
    uint64_t called = p.now.mono_ns;
    p.now.mono_ns += 10 * VELD_NS_PER_MS;
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 0, "one has just left");
    cr_assert_eq(run_timers(&p, &p.a, 1000), called + 100 * VELD_NS_PER_MS,
                 "though nobody asks again");
    for (int i = 0; i < 100; i++) {
        p.now.mono_ns += VELD_NS_PER_S / 25;
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 0, "once, whoever asks");
    }
    pair_free(&p);
}

Test(engine_timers, giving_up_is_told_and_can_be_tried_again)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action first = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &first);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    unsigned told = 0;
    while (veld_engine_deadline(p.a.engine) != UINT64_MAX) {
        p.now.mono_ns = veld_engine_deadline(p.a.engine);
        cr_assert_eq(step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
        told += actions_of(&p.a, VELD_ACT_GAVE_UP);
    }
    cr_assert_eq(told, 1);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), DROPPED(INDEX),
                 "the handshake is forgotten");
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    cr_assert_eq(state(&p.a), VELD_PEER_CONNECTING);
    pair_free(&p);
}

Test(engine_timers, a_kept_alive_peer_is_called_at_once_and_for_ever)
{
    struct pair p;
    pair_make(&p);
    add_peer(&p.a, &p.b, 25);
    cr_assert_eq(veld_engine_deadline(p.a.engine), 0);
    unsigned sends = 0;
    uint64_t end = p.now.mono_ns + 600 * S;
    while (p.now.mono_ns < end)
        sends += run_timers(&p, &p.a, 10000) != 0;
    cr_assert(sends > 600 / 6 && sends < 600 / 4);
    cr_assert_eq(state(&p.a), VELD_PEER_OFFLINE);
    pair_free(&p);
}

Test(engine_timers, more_wishes_send_one_more)
{
    struct pair p;
    pair_init(&p);
    struct veld_engine_stats stats;
    for (unsigned k = 0; k < 40; k++) {
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        on_peer(&p, &p.a, VELD_EV_PING);
        advance_ms(&p, 100);
        step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER});
    }
    veld_engine_get_stats(p.a.engine, &stats);
    cr_assert_eq(stats.initiations_sent, 2, "the first, and the one that is hurried");
    pair_free(&p);
}

Test(engine_timers, every_other_retry_goes_to_the_configured_address)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint moved = ep("198.51.100.9:9");
    on_session(&p, &p.a, VELD_EV_MOVED, m.initiator_index, &moved);
    struct veld_action ping = must(&p.a, VELD_ACT_SEND_MESSAGE);
    ping.bytes[0] = VELD_MSG_PONG;
    message(&p, &p.a, m.initiator_index, &moved, ping.bytes, ping.len);
    cr_assert(endpoint_is(&p.a, &moved));
    advance_ms(&p, 200000);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND, &moved));
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND, &p.b.address));
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND, &moved));
    pair_free(&p);
}

Test(engine_timers, a_peer_without_endpoint_waits_for_one)
{
    struct pair p;
    pair_make(&p);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.keepalive_s = 25;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
    cr_assert_eq(must(&p.a, VELD_ACT_WANTED).peer, p.a.peer, "it may hear of it otherwise");
    cr_assert_eq(p.a.out.n, 1);
    cr_assert_eq(state(&p.a), VELD_PEER_IDLE);
    advance_ms(&p, 3000);
    cfg.endpoint = p.b.address;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_eq(run_timers(&p, &p.a, 0), p.now.mono_ns, "it is wanted: call now");
    pair_free(&p);
}

/* How often it was said that `peer` is wanted in so much time. */
static unsigned wanted_for(struct pair *p, struct side *s, uint64_t ms)
{
    unsigned n = 0;
    uint64_t end = p->now.mono_ns + ms * VELD_NS_PER_MS, at;
    while ((at = veld_engine_deadline(s->engine)) <= end) {
        advance_ms(p, (at - p->now.mono_ns + VELD_NS_PER_MS - 1) / VELD_NS_PER_MS);
        cr_assert_eq(step(p, s, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
        n += actions_of(s, VELD_ACT_WANTED);
    }
    return n;
}

Test(engine_timers, whoever_does_not_answer_is_told_by_other_ways_at_each_retry)
{
    struct pair p;
    for (int with_endpoint = 0; with_endpoint < 2; with_endpoint++) {
        pair_make(&p);
        struct veld_engine_peer_config cfg = peer_config(&p.b);
        cfg.endpoint = with_endpoint ? p.b.address : (struct veld_endpoint){0};
        cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        cr_assert_eq(actions_of(&p.a, VELD_ACT_WANTED), 1);
        unsigned n = wanted_for(&p, &p.a, 89000);
        cr_assert(n >= 16 && n <= 17, "%u", n);
        cr_assert_eq(wanted_for(&p, &p.a, 200000), 0, "until somebody wants it again");
        pair_free(&p);
    }
}

Test(engine_timers, new_keys_are_asked_for_in_the_session_until_it_is_silent)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    cr_assert_null(action(&p.a, VELD_ACT_WANTED));
    cr_assert_geq(wanted_for(&p, &p.a, 20000), 3);
    pair_free(&p);
}

Test(engine_timers, waiting_for_an_endpoint_ends_too)
{
    struct pair p;
    pair_make(&p);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cfg.endpoint = (struct veld_endpoint){0};
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    run_timers(&p, &p.a, 89000);
    advance_ms(&p, 1000);
    cr_assert_eq(step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
    cr_assert_not_null(action(&p.a, VELD_ACT_GAVE_UP), "so that the next packet asks again");
    cr_assert_eq(state(&p.a), VELD_PEER_IDLE);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    pair_free(&p);
}

/* ---- Activity ---- */

struct seen {
    uint64_t sent, sent_data, received, received_data;
};

static void report(struct pair *p, struct side *s, const struct seen *seen)
{
    cr_assert_eq(step(p, s,
                      &(struct veld_event){.type = VELD_EV_ACTIVITY,
                                           .peer = s->peer,
                                           .last_sent_ns = seen->sent,
                                           .last_sent_data_ns = seen->sent_data,
                                           .last_received_ns = seen->received,
                                           .last_received_data_ns = seen->received_data}),
                 0);
}

/* Report the same twice a second; ms until something is done, or `ms` when nothing is. */
static uint64_t report_for(struct pair *p, struct side *s, struct seen *seen, uint64_t ms,
                           enum veld_action_type what)
{
    for (uint64_t t = 0; t < ms; t += 500) {
        report(p, s, seen);
        if (action(s, what))
            return t;
        unsigned asked = actions_of(s, VELD_ACT_SEND_MESSAGE) + actions_of(s, VELD_ACT_WANTED);
        cr_assert_eq(s->out.n, asked, "more was done than to look whether the path is alive");
        advance_ms(p, 500);
    }
    return ms;
}

Test(engine_timers, an_idle_session_stays_silent)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    struct seen a = {0}, b = {0};
    cr_assert_eq(report_for(&p, &p.a, &a, 170000, VELD_ACT_SEND_MESSAGE), 170000);
    p.now.mono_ns -= 170 * S;
    cr_assert_eq(report_for(&p, &p.b, &b, 170000, VELD_ACT_SEND_MESSAGE), 170000);
    pair_free(&p);
}

Test(engine_timers, keepalive_10_s_after_hearing_data_and_saying_nothing)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    struct seen seen = {.received = p.now.mono_ns, .received_data = p.now.mono_ns};
    uint64_t after = report_for(&p, &p.a, &seen, 30000, VELD_ACT_SEND_MESSAGE);
    cr_assert_eq(after, 10000);
    cr_assert_eq(must(&p.a, VELD_ACT_SEND_MESSAGE).len, 0);
    cr_assert_eq(report_for(&p, &p.a, &seen, 30000, VELD_ACT_SEND_MESSAGE), 30000, "once");
    pair_free(&p);
}

Test(engine_timers, hearing_data_all_the_time_does_not_put_the_keepalive_off)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    unsigned keepalives = 0;
    for (unsigned k = 0; k < 110; k++) { /* 55 s */
        advance_ms(&p, 500);
        struct seen seen = {.received = p.now.mono_ns, .received_data = p.now.mono_ns};
        report(&p, &p.a, &seen);
        keepalives += actions_of(&p.a, VELD_ACT_SEND_MESSAGE);
    }
    cr_assert_eq(keepalives, 5);
    pair_free(&p);
}

Test(engine_timers, who_answers_owes_no_keepalive)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    for (unsigned k = 0; k < 60; k++) {
        advance_ms(&p, 500);
        struct seen seen = {.sent = p.now.mono_ns,
                            .sent_data = p.now.mono_ns,
                            .received = p.now.mono_ns - 1,
                            .received_data = p.now.mono_ns - 1};
        report(&p, &p.a, &seen);
        cr_assert_eq(p.a.out.n, 0);
    }
    pair_free(&p);
}

Test(engine_timers, a_keepalive_is_not_answered_by_one)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    struct seen seen = {.received = p.now.mono_ns};
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND_MESSAGE), 60000);
    pair_free(&p);
}

Test(engine_timers, persistent_keepalive_when_nothing_was_sent)
{
    struct pair p;
    pair_make(&p);
    add_peer(&p.a, &p.b, 25);
    add_peer(&p.b, &p.a, 0);
    struct made m;
    cr_assert_gt(run_timers(&p, &p.a, 0), 0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    m.initiator_index = must(&p.a, VELD_ACT_USE).index;
    on_session(&p, &p.a, VELD_EV_CONFIRMED, m.initiator_index, &p.b.address);
    struct seen seen = {0};
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND_MESSAGE), 25000);
    seen.sent = p.now.mono_ns - 10 * S; /* older than our own keepalive: nothing new */
    advance_ms(&p, 500);
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND_MESSAGE), 24500);
    pair_free(&p);
}

Test(engine_timers, silence_for_15_s_after_saying_data_starts_a_handshake_once)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.b, &p.a);
    advance_ms(&p, 1000);
    struct seen seen = {.sent = p.now.mono_ns, .sent_data = p.now.mono_ns};
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND), 15000);
    advance_ms(&p, 500);
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND), 60000,
                 "retries are the timer's");
    pair_free(&p);
}

/* Data all the time, and nothing comes back but what `received` says. */
static void say_data(struct pair *p, uint64_t received)
{
    advance_ms(p, 500);
    struct seen seen = {
        .sent = p->now.mono_ns, .sent_data = p->now.mono_ns, .received = received};
    report(p, &p->a, &seen);
    run_timers(p, &p->a, 1);
}

Test(engine_timers, who_is_silent_is_not_active_until_it_is_heard)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.b, &p.a);
    uint64_t began = p.now.mono_ns, offline_ns = 0;
    bool kept = false;
    while (p.now.mono_ns < began + 170 * S) { /* the session ends after 180 s */
        say_data(&p, 0);
        uint64_t since = p.now.mono_ns - began;
        if (since < 15 * S)
            cr_assert_eq(state(&p.a), VELD_PEER_ACTIVE, "%lu", since);
        if (since > 17 * S)
            cr_assert_neq(state(&p.a), VELD_PEER_ACTIVE, "%lu", since);
        if (since > 17 * S && since < 90 * S)
            cr_assert_eq(state(&p.a), VELD_PEER_CONNECTING, "%lu", since);
        if (state(&p.a) == VELD_PEER_OFFLINE)
            offline_ns = since;
        kept |= offline_ns && state(&p.a) == VELD_PEER_CONNECTING; /* tried again */
        cr_assert_neq(current(&p.a), 0);
    }
    cr_assert_gt(offline_ns, 90 * S);
    cr_assert(kept);
    say_data(&p, p.now.mono_ns);
    cr_assert_eq(state(&p.a), VELD_PEER_ACTIVE, "a datagram has come");
    pair_free(&p);
}

Test(engine_timers, a_silent_peer_that_makes_a_session_is_active)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.b, &p.a);
    for (unsigned k = 0; k < 40; k++)
        say_data(&p, 0);
    cr_assert_eq(state(&p.a), VELD_PEER_CONNECTING);
    on_peer(&p, &p.b, VELD_EV_GOODBYE); /* which is lost */
    handshake(&p, &p.b, &p.a);
    cr_assert_eq(state(&p.a), VELD_PEER_ACTIVE);
    pair_free(&p);
}

Test(engine_timers, hearing_anything_ends_the_silence)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    for (unsigned k = 0; k < 200; k++) { /* data all the time, a keepalive back every 12 s */
        advance_ms(&p, 500);
        struct seen seen = {.sent = p.now.mono_ns,
                            .sent_data = p.now.mono_ns,
                            .received = p.now.mono_ns - k * 500 % 12000 * VELD_NS_PER_MS};
        report(&p, &p.a, &seen);
        cr_assert_eq(p.a.out.n, actions_of(&p.a, VELD_ACT_SEND_MESSAGE), "%u", k);
    }
    pair_free(&p);
}

Test(engine_timers, keepalives_said_into_silence_start_nothing)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.b, &p.a);
    for (unsigned k = 0; k < 200; k++) {
        advance_ms(&p, 500);
        struct seen seen = {.sent = p.now.mono_ns};
        report(&p, &p.a, &seen);
        cr_assert_eq(p.a.out.n, 0);
    }
    pair_free(&p);
}

Test(engine_timers, initiator_rekeys_at_120_s_if_it_still_talks)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    uint64_t born = p.now.mono_ns - 20 * VELD_NS_PER_MS;
    advance_ms(&p, 119900);
    for (struct side *s = &p.a;; s = &p.b) {
        struct seen seen = {.sent = p.now.mono_ns, .received = p.now.mono_ns};
        report(&p, s, &seen);
        cr_assert_eq(s->out.n, 0, "not before its time");
        if (s == &p.b)
            break;
    }
    struct seen idle = {.sent = born + 119 * S, .received = p.now.mono_ns};
    advance_ms(&p, 5000);
    report(&p, &p.a, &idle);
    cr_assert_eq(p.a.out.n, 0, "who says nothing keeps what there is");
    struct seen busy = {.sent = p.now.mono_ns, .received = p.now.mono_ns};
    report(&p, &p.b, &busy);
    cr_assert_eq(p.b.out.n, 0, "the responder leaves it to the initiator");
    report(&p, &p.a, &busy);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    cr_assert_eq(current(&p.a), m.initiator_index, "meanwhile all goes on");
    pair_free(&p);
}

Test(engine_timers, message_limit_rekeys_the_current_session_only)
{
    struct pair p;
    pair_init(&p);
    struct made old = handshake(&p, &p.a, &p.b);
    on_session(&p, &p.b, VELD_EV_REKEY_DUE, old.responder_index, &p.a.address);
    struct veld_action initiation = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &initiation);
    struct veld_action response = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &response);
    cr_assert_neq(current(&p.b), old.responder_index);
    on_session(&p, &p.b, VELD_EV_REKEY_DUE, old.responder_index, &p.a.address);
    cr_assert_eq(p.b.out.n, 0);
    pair_free(&p);
}

Test(engine_timers, rekey_on_request_replaces_keys_but_not_fresh_ones)
{
    struct pair p;
    pair_init(&p);
    struct made old = handshake(&p, &p.a, &p.b);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_REKEY), VELD_E_LIMIT);
    cr_assert_eq(p.a.out.n, 0);
    advance_ms(&p, VELD_REKEY_GAP_MS);
    /* The responder may ask as well, and asking twice makes one handshake. */
    cr_assert_eq(on_peer(&p, &p.b, VELD_EV_REKEY), 0);
    struct veld_action initiation = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(on_peer(&p, &p.b, VELD_EV_REKEY), 0);
    cr_assert_null(action(&p.b, VELD_ACT_SEND));
    deliver(&p, &p.b, &p.a, &initiation);
    struct veld_action response = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &response);
    cr_assert_neq(must(&p.b, VELD_ACT_USE).index, old.responder_index);
    cr_assert_eq(on_peer(&p, &p.b, VELD_EV_REKEY), VELD_E_LIMIT);
    pair_free(&p);
}

/* Both called at once, and a's initiation was lost: its attempt stays open beside b's session. */
Test(engine_timers, rekey_on_request_does_not_wait_for_an_attempt_that_has_become_needless)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    advance_ms(&p, 10);
    struct made old = handshake(&p, &p.b, &p.a);
    cr_assert_eq(current(&p.a), old.responder_index);
    advance_ms(&p, VELD_REKEY_GAP_MS);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_REKEY), 0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    cr_assert_neq(must(&p.a, VELD_ACT_USE).index, old.responder_index);
    pair_free(&p);
}

Test(engine_timers, rekey_on_request_also_makes_a_first_session)
{
    struct pair p;
    pair_init(&p);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_REKEY), 0);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    cr_assert_eq(step(&p, &p.a, &(struct veld_event){.type = VELD_EV_REKEY, .peer = 77}),
                 VELD_E_NOENT);
    pair_free(&p);
}

Test(engine_timers, a_report_after_a_long_sleep_is_no_silence)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    struct seen seen = {.sent = p.now.mono_ns,
                        .sent_data = p.now.mono_ns,
                        .received = p.now.mono_ns + 1,
                        .received_data = p.now.mono_ns + 1};
    report(&p, &p.a, &seen); /* times a little ahead of ours do no harm */
    cr_assert_eq(p.a.out.n, 0);
    advance_ms(&p, 300000);
    report(&p, &p.a, &seen);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND_MESSAGE), 0, "the session is over");
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 0);
    pair_free(&p);
}

Test(engine_timers, an_attempt_that_was_slept_through_begins_anew)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    run_timers(&p, &p.a, 6000);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    advance_ms(&p, 8 * 3600 * 1000);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER});
    cr_assert_null(action(&p.a, VELD_ACT_GAVE_UP));
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    cr_assert_neq(current(&p.a), 0);
    pair_free(&p);
}

Test(engine_timers, old_data_does_not_start_a_second_attempt_after_giving_up)
{
    struct pair p;
    pair_init(&p);
    handshake(&p, &p.b, &p.a);
    advance_ms(&p, 1000);
    struct seen seen = {.sent = p.now.mono_ns, .sent_data = p.now.mono_ns};
    cr_assert_eq(report_for(&p, &p.a, &seen, 60000, VELD_ACT_SEND), 15000);
    unsigned sends = 0;
    for (unsigned k = 0; k < 300; k++) { /* to 166 s of the session's life */
        sends += run_timers(&p, &p.a, 500) != 0;
        report(&p, &p.a, &seen);
        sends += actions_of(&p.a, VELD_ACT_SEND);
    }
    cr_assert(sends >= 16 && sends <= 18, "%u", sends);
    pair_free(&p);
}

Test(engine_timers, a_peer_that_is_to_be_kept_alive_from_now_on_is_called)
{
    struct pair p;
    pair_init(&p);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cfg.keepalive_s = 25;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_gt(run_timers(&p, &p.a, 0), 0);
    pair_free(&p);
}

/* Peers that may be at several addresses, of which one is theirs. */
#include "../support/engine_pair.h"

#include "base/bytes.h"

static struct veld_message parsed(const struct veld_action *a)
{
    struct veld_message m;
    cr_assert_eq(veld_message_parse(a->bytes, a->len, &m), 0);
    return m;
}

static void say(struct pair *p, struct side *to, uint32_t index,
                const struct veld_endpoint *from, const struct veld_message *m)
{
    uint8_t buf[VELD_MESSAGE_MAX];
    cr_assert_eq(message(p, to, index, from, buf, veld_message_write(buf, m)), 0);
}

static const char *const dead[] = {"198.51.100.1:1",   "198.51.100.2:2",   "198.51.100.3:3",
                                   "198.51.100.4:4",   "198.51.100.5:5",   "198.51.100.6:6",
                                   "198.51.100.7:7",   "198.51.100.8:8",   "198.51.100.9:9",
                                   "198.51.100.10:10", "198.51.100.11:11", "198.51.100.12:12"};
_Static_assert(sizeof dead / sizeof dead[0] == VELD_CANDIDATES_MAX, "one for each place");

/* a seeks b at `n` dead addresses and, where there is room, in the middle where it is. */
static struct veld_engine_peer_config scattered(const struct side *b, size_t n)
{
    static struct veld_endpoint all[VELD_CANDIDATES_MAX];
    struct veld_engine_peer_config cfg = peer_config(b);
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.candidates = all;
    for (size_t i = 0; i < n; i++) {
        if (i == (n + 1) / 2)
            all[cfg.n_candidates++] = b->address;
        all[cfg.n_candidates++] = ep(dead[i]);
    }
    return cfg;
}

static void seek_init(struct pair *p, size_t n)
{
    pair_make(p);
    struct veld_engine_peer_config cfg = scattered(&p->b, n);
    cr_assert_eq(veld_engine_peer_add(p->a.engine, &cfg, &p->a.peer), 0);
    p->a.address = (struct veld_endpoint){0}; /* nor does b know where a is */
    add_peer(&p->b, &p->a, 0);
    p->a.address = ep("192.0.2.1:51820");
}

/* The initiation that went to `to`. */
static struct veld_action initiation_to(const struct side *s, const struct veld_endpoint *to)
{
    struct veld_action found = {.type = VELD_ACT_GAVE_UP};
    for (size_t i = 0; i < s->out.n; i++) {
        const struct veld_action *a = &s->out.a[i];
        if (a->type == VELD_ACT_SEND && veld_endpoint_equal(&a->to, to))
            found = *a;
    }
    cr_assert_eq(found.type, VELD_ACT_SEND);
    return found;
}

/* The ping that went to `to`. */
static struct veld_message ping_to(const struct side *s, const struct veld_endpoint *to)
{
    for (size_t i = 0; i < s->out.n; i++) {
        const struct veld_action *a = &s->out.a[i];
        if (a->type == VELD_ACT_SEND_MESSAGE && veld_endpoint_equal(&a->to, to))
            return parsed(a);
    }
    cr_assert_fail("no ping went there");
    return (struct veld_message){0};
}

/* Up to the response, which comes from `from`. Both indices. */
static struct made answered_from(struct pair *p, const struct veld_endpoint *from)
{
    on_peer(p, &p->a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = initiation_to(&p->a, &p->b.address);
    advance_ms(p, 10);
    cr_assert_eq(deliver(p, &p->a, &p->b, &initiation), 0);
    struct veld_action response = must(&p->b, VELD_ACT_SEND);
    struct made m = {.responder_index = must(&p->b, VELD_ACT_INSTALL).index};
    advance_ms(p, 10);
    cr_assert_eq(deliver_from(p, &p->a, &response, from, false), 0);
    m.initiator_index = must(&p->a, VELD_ACT_INSTALL).index;
    return m;
}

/* b got `ping` where it is: its pong. */
static struct veld_message pong_of(struct pair *p, const struct made *m,
                                   const struct veld_message *ping)
{
    say(p, &p->b, m->responder_index, &p->a.address, ping);
    for (size_t i = 0; i < p->b.out.n; i++) {
        const struct veld_action *a = &p->b.out.a[i];
        if (a->type == VELD_ACT_SEND_MESSAGE && a->bytes[0] == VELD_MSG_PONG)
            return parsed(a);
    }
    cr_assert_fail("b does not answer");
    return (struct veld_message){0};
}

Test(engine_candidates, three_dead_ones_and_a_live_one_make_one_round_trip)
{
    struct pair p;
    seek_init(&p, 3);
    uint64_t began_ns = p.now.mono_ns;
    struct made m = answered_from(&p, &p.b.address);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 0);
    /* Not used before an address has shown that it receives: what waits would go astray. */
    cr_assert_null(action(&p.a, VELD_ACT_USE));
    cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT));
    cr_assert_eq(state(&p.a), VELD_PEER_CONNECTING);
    cr_assert_eq(current(&p.a), 0);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND_MESSAGE, &p.b.address), "and nothing else is said");
    struct veld_message ping = ping_to(&p.a, &p.b.address);
    advance_ms(&p, 10);
    struct veld_message pong = pong_of(&p, &m, &ping);
    cr_assert_eq(must(&p.b, VELD_ACT_USE).index, m.responder_index, "the ping confirmed it");
    cr_assert(goes_to(&p.b, VELD_ACT_SET_ENDPOINT, &p.a.address));
    advance_ms(&p, 10);
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    cr_assert(goes_to(&p.a, VELD_ACT_SET_ENDPOINT, &p.b.address));
    cr_assert_eq(must(&p.a, VELD_ACT_USE).index, m.initiator_index);
    cr_assert_eq(p.a.out.a[0].type, VELD_ACT_SET_ENDPOINT, "first where to, then what");
    cr_assert_eq(current(&p.a), m.initiator_index);
    cr_assert_eq(state(&p.a), VELD_PEER_ACTIVE);
    cr_assert_eq(p.now.mono_ns - began_ns, 40 * VELD_NS_PER_MS);
    pair_free(&p);
}

/* How many initiations leave within `ms` of the first, of what a peer is sought at. */
static unsigned initiations_within(uint64_t ms, const struct veld_endpoint *candidate)
{
    struct pair p;
    pair_make(&p);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    struct veld_engine_stats stats;
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.candidates = candidate;
    cfg.n_candidates = 1;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    uint64_t end_ns = p.now.mono_ns + ms * VELD_NS_PER_MS;
    while (run_timers(&p, &p.a, (end_ns - p.now.mono_ns) / VELD_NS_PER_MS))
        ;
    veld_engine_get_stats(p.a.engine, &stats);
    pair_free(&p);
    return (unsigned)stats.initiations_sent;
}

Test(engine_candidates, what_a_young_circuit_loses_is_said_again_soon_and_a_few_times)
{
    struct veld_endpoint circuit = veld_endpoint_circuit(7), address = ep(dead[0]);
    cr_assert_eq(initiations_within(1000, &circuit), 2);
    cr_assert_eq(initiations_within(1000, &address), 1);
    cr_assert_eq(initiations_within(7000, &circuit), VELD_HANDSHAKE_SOON_RETRIES + 1);
    cr_assert_eq(initiations_within(7000, &address), 2);
}

Test(engine_candidates, all_get_the_same_datagram_and_the_peer_takes_one)
{
    struct pair p;
    seek_init(&p, 3);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4);
    struct veld_action first = initiation_to(&p.a, &p.b.address);
    for (size_t i = 0; i < 3; i++) {
        struct veld_endpoint to = ep(dead[i]);
        struct veld_action other = initiation_to(&p.a, &to);
        cr_assert_arr_eq(other.bytes, first.bytes, first.len);
    }
    cr_assert_eq(deliver(&p, &p.a, &p.b, &first), 0);
    struct veld_engine_stats before, after;
    veld_engine_get_stats(p.b.engine, &before);
    uint64_t deadline = veld_engine_deadline(p.b.engine);
    for (unsigned i = 1; i <= 3; i++) { /* it is at more than one of them, some way off */
        advance_ms(&p, 30);
        cr_assert_eq(deliver(&p, &p.a, &p.b, &first), DROPPED(STALE));
        cr_assert_eq(p.b.out.n, 0);
    }
    veld_engine_get_stats(p.b.engine, &after);
    cr_assert_eq(after.initiations_answered, before.initiations_answered);
    cr_assert_eq(veld_engine_deadline(p.b.engine), deadline);
    pair_free(&p);
}

Test(engine_candidates, an_answer_from_an_endpoint_that_is_proved_needs_no_more)
{
    struct pair p;
    pair_make(&p);
    struct veld_engine_peer_config cfg = scattered(&p.b, 3);
    cfg.last_known = p.b.address;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    add_peer(&p.b, &p.a, 0);
    struct made m = answered_from(&p, &p.b.address);
    cr_assert_null(action(&p.a, VELD_ACT_USE), "a guess is no proof");
    struct veld_message ping = ping_to(&p.a, &p.b.address), pong = pong_of(&p, &m, &ping);
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    cr_assert_not_null(action(&p.a, VELD_ACT_USE));

    on_peer(&p, &p.a, VELD_EV_GOODBYE);
    advance_ms(&p, 6000);
    m = answered_from(&p, &p.b.address);
    cr_assert_eq(must(&p.a, VELD_ACT_USE).index, m.initiator_index);
    cr_assert_eq(must(&p.a, VELD_ACT_SEND_MESSAGE).to.ip.family, 0, "to the endpoint");
    pair_free(&p);
}

Test(engine_candidates, a_forged_source_moves_nothing_and_costs_a_second)
{
    struct pair p;
    seek_init(&p, 3);
    struct veld_endpoint forged = ep("203.0.113.66:6"), before = ep(dead[0]);
    struct made m = answered_from(&p, &forged);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND_MESSAGE, &forged), "asked, and not believed");
    cr_assert_null(action(&p.a, VELD_ACT_USE));
    cr_assert(endpoint_is(&p.a, &before));
    /* Nobody there can answer. So everywhere is asked. */
    advance_ms(&p, 1000);
    cr_assert_eq(step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND_MESSAGE), 5);
    struct veld_message ping = ping_to(&p.a, &p.b.address), elsewhere = ping_to(&p.a, &before),
                        there = ping_to(&p.a, &forged);
    cr_assert(memcmp(ping.token, there.token, sizeof ping.token) != 0);
    cr_assert(memcmp(ping.token, elsewhere.token, sizeof ping.token) != 0);
    /* A pong belongs to the address that was asked. */
    struct veld_message pong = pong_of(&p, &m, &ping);
    say(&p, &p.a, m.initiator_index, &forged, &pong);
    cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT));
    say(&p, &p.a, m.initiator_index, &before, &pong);
    cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT));
    cr_assert_null(action(&p.a, VELD_ACT_USE));
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    cr_assert(goes_to(&p.a, VELD_ACT_SET_ENDPOINT, &p.b.address));
    cr_assert_eq(must(&p.a, VELD_ACT_USE).index, m.initiator_index);
    pair_free(&p);
}

Test(engine_candidates, who_answers_and_is_reached_nowhere_is_given_up)
{
    struct pair p;
    seek_init(&p, 3);
    struct veld_endpoint from = ep("203.0.113.66:6");
    struct made m = answered_from(&p, &from);
    unsigned pings = 0;
    bool gave_up = false;
    for (unsigned k = 0; k < 60 && !gave_up; k++) {
        advance_ms(&p, 100);
        while (step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}) == 1) {
            pings += actions_of(&p.a, VELD_ACT_SEND_MESSAGE);
            gave_up |= action(&p.a, VELD_ACT_GAVE_UP) != NULL;
            if (gave_up)
                cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
            cr_assert_null(action(&p.a, VELD_ACT_USE));
        }
    }
    cr_assert(gave_up);
    cr_assert_leq(pings, 4 * 5, "bounded");
    cr_assert_eq(state(&p.a), VELD_PEER_OFFLINE);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4, "the next packet tries again");
    pair_free(&p);
}

Test(engine_candidates, who_says_goodbye_while_it_is_sought_leaves_nobody_waiting)
{
    struct pair p;
    for (int ours = 0; ours < 2; ours++) {
        seek_init(&p, 3);
        struct made m = answered_from(&p, &p.b.address);
        if (ours)
            on_peer(&p, &p.a, VELD_EV_GOODBYE);
        else
            say(&p, &p.a, m.initiator_index, &p.b.address,
                &(struct veld_message){.type = VELD_MSG_GOODBYE});
        cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
        cr_assert_not_null(action(&p.a, VELD_ACT_GAVE_UP));
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4);
        pair_free(&p);
    }
}

/* Nothing waits for a session when there is one: new keys are used at once, where the old ones were. */
Test(engine_candidates, new_keys_go_where_the_old_ones_did_until_a_better_address_is_found)
{
    struct pair p;
    for (int found = 0; found < 2; found++) {
        pair_init(&p);
        struct made old = handshake(&p, &p.a, &p.b);
        struct veld_engine_peer_config cfg = scattered(&p.b, 3);
        cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
        advance_ms(&p, 16000); /* of silence */
        on_session(&p, &p.a, VELD_EV_REKEY_DUE, old.initiator_index, &p.b.address);
        struct veld_action initiation = initiation_to(&p.a, &p.b.address);
        deliver(&p, &p.a, &p.b, &initiation);
        struct veld_action response = must(&p.b, VELD_ACT_SEND);
        struct veld_endpoint from = ep("203.0.113.66:6");
        deliver_from(&p, &p.a, &response, &from, false);
        uint32_t fresh = must(&p.a, VELD_ACT_USE).index;
        cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT));
        struct veld_message pong = ping_to(&p.a, &from);
        pong.type = VELD_MSG_PONG;
        if (found) {
            say(&p, &p.a, fresh, &from, &pong);
            cr_assert(goes_to(&p.a, VELD_ACT_SET_ENDPOINT, &from));
            cr_assert_null(action(&p.a, VELD_ACT_USE), "it is");
        }
        cr_assert_eq(run_timers(&p, &p.a, 10000), 0);
        cr_assert_eq(current(&p.a), fresh);
        cr_assert(endpoint_is(&p.a, found ? &from : &p.b.address));
        on_session(&p, &p.a, VELD_EV_REKEY_DUE, fresh, &from);
        cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 1, "the search is over");
        pair_free(&p);
    }
}

/* It is heard, so its session stays: only we do not reach it. */
Test(engine_candidates, who_is_heard_and_not_reached_keeps_its_session_and_is_called_again)
{
    struct pair p;
    seek_init(&p, 3);
    struct made m = answered_from(&p, &p.b.address);
    on_session(&p, &p.a, VELD_EV_CONFIRMED, m.initiator_index, &p.b.address);
    cr_assert_null(action(&p.a, VELD_ACT_USE), "heard, which is no proof that it hears");
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 0, "the search goes on");
    uint64_t sent = run_timers(&p, &p.a, 10000);
    cr_assert_gt(sent, 0);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4);
    cr_assert_null(action(&p.a, VELD_ACT_RETIRE));
    bool gave_up = false;
    for (unsigned k = 0; k < 1000 && !gave_up; k++) {
        advance_ms(&p, 100);
        while (step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}) == 1)
            gave_up |= action(&p.a, VELD_ACT_GAVE_UP) != NULL;
    }
    cr_assert(gave_up);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4, "and is called by the next packet");
    /* A late answer settles it, also from where it was thought to be all along. */
    struct veld_endpoint at = ep(dead[0]);
    cr_assert(endpoint_is(&p.a, &at));
    on_session(&p, &p.a, VELD_EV_MOVED, m.initiator_index, &at);
    struct veld_message pong = ping_to(&p.a, &at);
    pong.type = VELD_MSG_PONG;
    say(&p, &p.a, m.initiator_index, &at, &pong);
    cr_assert_eq(must(&p.a, VELD_ACT_USE).index, m.initiator_index);
    pair_free(&p);
}

Test(engine_candidates, new_keys_are_asked_for_at_the_endpoint_unless_it_is_silent)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_engine_peer_config cfg = scattered(&p.b, 3);
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    cr_assert(goes_to(&p.a, VELD_ACT_SEND, &p.b.address), "and nowhere else");
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 1);
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4, "15 s of silence");
    pair_free(&p);
}

Test(engine_candidates, an_attempt_tries_new_ones_soon_and_not_too_often)
{
    struct pair p;
    seek_init(&p, 1);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_engine_peer_config cfg = scattered(&p.b, 1);
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert_eq(run_timers(&p, &p.a, 4000), 0, "the same ones are no news");
    unsigned sent = 0;
    for (unsigned i = 0; i < 40; i++) {
        struct veld_endpoint news = ep("203.0.113.1:1");
        news.port = (uint16_t)(i + 1);
        cfg.candidates = &news;
        cfg.n_candidates = 1;
        uint64_t asked = p.now.mono_ns;
        cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
        if (run_timers(&p, &p.a, 120)) {
            cr_assert_leq(p.now.mono_ns - asked, 101 * VELD_NS_PER_MS);
            initiation_to(&p.a, &news);
            sent++;
        }
    }
    cr_assert_geq(sent, 8);
    cr_assert_leq(sent, 10, "beside the retry in its time");
    pair_free(&p);
}

Test(engine_candidates, a_session_stays_where_it_is_when_they_change)
{
    struct pair p;
    seek_init(&p, 3);
    struct made m = answered_from(&p, &p.b.address);
    struct veld_message ping = ping_to(&p.a, &p.b.address), pong = pong_of(&p, &m, &ping);
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    struct veld_endpoint news = ep("203.0.113.1:1");
    struct veld_engine_peer_config cfg = scattered(&p.b, 0);
    cfg.candidates = &news;
    cfg.n_candidates = 1;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert(endpoint_is(&p.a, &p.b.address));
    cr_assert_eq(current(&p.a), m.initiator_index);
    cr_assert_eq(run_timers(&p, &p.a, 4000), 0);
    cr_assert_null(action(&p.a, VELD_ACT_SET_ENDPOINT));
    pair_free(&p);
}

Test(engine_candidates, where_nobody_has_been_the_newest_word_counts)
{
    struct pair p;
    seek_init(&p, 3);
    struct veld_endpoint first = ep(dead[0]), news = ep("203.0.113.1:1");
    cr_assert(endpoint_is(&p.a, &first));
    struct veld_engine_peer_config cfg = scattered(&p.b, 0);
    cfg.candidates = &news;
    cfg.n_candidates = 1;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert(endpoint_is(&p.a, &news));
    cfg.n_candidates = 0;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), 0);
    cr_assert(endpoint_is(&p.a, &news), "nothing said takes nothing back");
    pair_free(&p);
}

Test(engine_candidates, a_ping_that_waits_leaves_when_the_path_is_found)
{
    struct pair p;
    seek_init(&p, 3);
    on_peer(&p, &p.a, VELD_EV_PING);
    struct veld_action initiation = initiation_to(&p.a, &p.b.address);
    deliver(&p, &p.a, &p.b, &initiation);
    struct made m = {.responder_index = must(&p.b, VELD_ACT_INSTALL).index};
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    m.initiator_index = must(&p.a, VELD_ACT_INSTALL).index;
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND_MESSAGE), 1, "the question alone");
    struct veld_message ping = ping_to(&p.a, &p.b.address), pong = pong_of(&p, &m, &ping);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_PING), 0);
    cr_assert_eq(p.a.out.n, 0, "another one waits too");
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    ping = parsed(&p.a.out.a[p.a.out.n - 1]);
    cr_assert_eq(ping.type, VELD_MSG_PING);
    ping.type = VELD_MSG_PONG;
    say(&p, &p.a, m.initiator_index, &p.b.address, &ping);
    cr_assert_not_null(action(&p.a, VELD_ACT_PONG));
    pair_free(&p);
}

Test(engine_candidates, a_cookie_is_kept_for_where_it_came_from)
{
    struct pair p;
    seek_init(&p, 3);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = initiation_to(&p.a, &p.b.address);
    /* Two of the addresses are b's, and it is under load: each copy is sent a cookie. */
    struct veld_action cookie[2];
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(deliver_from(&p, &p.b, &initiation, &p.a.address, true), DROPPED(MAC2));
        cookie[i] = must(&p.b, VELD_ACT_SEND);
    }
    advance_ms(&p, 10);
    deliver(&p, &p.b, &p.a, &cookie[0]);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4, "again, at once, to all");
    initiation = initiation_to(&p.a, &p.b.address);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &cookie[1]), DROPPED(COOKIE), "of the one before");
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &p.a.address, true), 0);
    cr_assert_not_null(action(&p.b, VELD_ACT_INSTALL));
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &p.a.address, true), DROPPED(STALE));
    pair_free(&p);
}

Test(engine_candidates, a_step_makes_no_more_actions_than_there_is_room_for)
{
    struct pair p;
    pair_make(&p);
    struct veld_endpoint all[VELD_CANDIDATES_MAX];
    for (size_t i = 0; i < VELD_CANDIDATES_MAX; i++)
        all[i] = ep(dead[i]);
    struct veld_engine_peer_config cfg = peer_config(&p.b);
    cfg.candidates = all;
    cfg.n_candidates = VELD_CANDIDATES_MAX;
    cfg.keepalive_s = 25;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    add_peer(&p.b, &p.a, 0);
    /* The endpoint is another than configured, and the response comes from yet another. */
    cr_assert_eq(run_timers(&p, &p.a, 0), p.now.mono_ns);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 1 + VELD_CANDIDATES_MAX);
    struct veld_action initiation = initiation_to(&p.a, &p.b.address);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    struct veld_endpoint from = ep("203.0.113.66:6");
    deliver_from(&p, &p.a, &response, &from, false);
    size_t most = 0;
    for (unsigned k = 0; k < 2000; k++) {
        advance_ms(&p, 100);
        while (step(&p, &p.a, &(struct veld_event){.type = VELD_EV_TIMER}) == 1)
            most = VELD_MAX(most, p.a.out.n);
    }
    cr_assert_geq(most, 1 + VELD_CANDIDATES_MAX);
    cr_assert_leq(most, VELD_ACTIONS_MAX);
    pair_free(&p);
}

Test(engine_candidates, what_cannot_be_one_is_refused)
{
    struct pair p;
    seek_init(&p, 3);
    struct veld_endpoint many[VELD_CANDIDATES_MAX + 1];
    for (size_t i = 0; i < VELD_ARRAY_LEN(many); i++)
        many[i] = ep(dead[i % 8]);
    struct veld_engine_peer_config cfg = scattered(&p.b, 3);
    cfg.candidates = many;
    cfg.n_candidates = VELD_ARRAY_LEN(many);
    uint32_t id;
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), VELD_E_INVAL);
    cfg.n_candidates = 2;
    many[1] = ep("224.0.0.1:5");
    cr_assert_eq(veld_engine_peer_set(p.a.engine, p.a.peer, &cfg), VELD_E_INVAL);
    cfg.pub[31] ^= 1;
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &id), VELD_E_INVAL);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND), 4, "as before");
    pair_free(&p);
}

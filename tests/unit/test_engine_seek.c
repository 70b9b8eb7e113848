/* A better path is found, and a dead one noticed: engine/seek.c. */
#include "../support/engine_pair.h"

#include "control/engine/engine_impl.h"

struct world {
    struct pair p;
    struct made made;
    struct veld_endpoint lan, other, circuit;
};

/* a has a session with b at its public address, and knows it to be at `n` of these too. */
static void start(struct world *w, const struct veld_endpoint *candidates, size_t n)
{
    pair_init(&w->p);
    w->lan = ep("192.168.7.2:51820");
    w->other = ep("198.51.100.9:7");
    w->circuit = veld_endpoint_circuit(0xc0000001);
    w->made = handshake(&w->p, &w->p.a, &w->p.b);
    struct veld_engine_peer_config cfg = peer_config(&w->p.b);
    cfg.candidates = candidates;
    cfg.n_candidates = n;
    cr_assert_eq(veld_engine_peer_set(w->p.a.engine, w->p.a.peer, &cfg), 0);
    w->p.a.out.n = 0;
}

static void seek(struct world *w)
{
    cr_assert_eq(on_peer(&w->p, &w->p.a, VELD_EV_SEEK), 0);
}

/* The ping to this endpoint in the last step; NULL: none. */
static const struct veld_action *ping_to(const struct world *w, const struct veld_endpoint *to)
{
    const struct veld_actions *out = &w->p.a.out;
    for (size_t i = 0; i < out->n; i++) {
        if (out->a[i].type == VELD_ACT_SEND_MESSAGE && out->a[i].bytes[0] == VELD_MSG_PING &&
            veld_endpoint_equal(&out->a[i].to, to))
            return &out->a[i];
    }
    return NULL;
}

/* b answers this ping from `from`. */
static void answer(struct world *w, const struct veld_action *ping,
                   const struct veld_endpoint *from)
{
    struct veld_message m;
    uint8_t bytes[VELD_MESSAGE_MAX];
    cr_assert_not_null(ping);
    cr_assert_eq(veld_message_parse(ping->bytes, ping->len, &m), 0);
    m.type = VELD_MSG_PONG;
    size_t len = veld_message_write(bytes, &m);
    cr_assert_eq(message(&w->p, &w->p.a, w->made.initiator_index, from, bytes, len), 0);
}

/* Steps of the timer in the next `ms`: pings to `to`, and whether WANTED came. */
static unsigned pings_in(struct world *w, uint64_t ms, const struct veld_endpoint *to,
                         unsigned *wanted)
{
    struct pair *p = &w->p;
    uint64_t end = p->now.mono_ns + ms * VELD_NS_PER_MS;
    unsigned n = 0;
    *wanted = 0;
    while (veld_engine_deadline(p->a.engine) <= end) {
        p->now.mono_ns = VELD_MAX(p->now.mono_ns, veld_engine_deadline(p->a.engine));
        if (step(p, &p->a, &(struct veld_event){.type = VELD_EV_TIMER}) < 1)
            break;
        n += ping_to(w, to) != NULL;
        *wanted += actions_of(&p->a, VELD_ACT_WANTED);
    }
    p->now.mono_ns = end;
    return n;
}

/* The dataplane reports: data left just now, and nothing came since the handshake. */
static void say_data(struct world *w)
{
    struct pair *p = &w->p;
    cr_assert_eq(step(p, &p->a,
                      &(struct veld_event){.type = VELD_EV_ACTIVITY,
                                           .peer = p->a.peer,
                                           .last_sent_ns = p->now.mono_ns,
                                           .last_sent_data_ns = p->now.mono_ns}),
                 0);
}

/* ---- Called ---- */

/* A NAT before us may have closed: what leaves opens it, wherever the peer is by now. */
Test(engine_seek, who_is_called_asks_everywhere)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    unsigned wanted;
    start(&w, &other, 1);
    cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_CALLED), 0);
    cr_assert_not_null(ping_to(&w, &w.p.b.address));
    const struct veld_action *ping = ping_to(&w, &w.other);
    cr_assert_not_null(ping);
    cr_assert_null(action(&w.p.a, VELD_ACT_WANTED), "nobody is called back");
    struct veld_action asked = *ping;
    cr_assert_eq(pings_in(&w, 4900, &w.other, &wanted), 1, "once more, after 2 s");
    cr_assert_eq(wanted, 0);
    answer(&w, &asked, &w.other);
    cr_assert(endpoint_is(&w.p.a, &w.other),
              "the peer is there, and said that the path is dead");
    pair_free(&w.p);
}

/* However often it calls. */
Test(engine_seek, who_is_called_again_and_again_asks_now_and_then)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    unsigned n = 0, wanted;
    start(&w, &other, 1);
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_CALLED), 0);
        n += ping_to(&w, &w.other) != NULL;
        n += pings_in(&w, 250, &w.other, &wanted);
    }
    cr_assert_eq(n, 2 * 25 / 5);
    pair_free(&w.p);
}

Test(engine_seek, who_is_called_without_a_session_makes_one)
{
    struct world w;
    start(&w, NULL, 0);
    on_peer(&w.p, &w.p.a, VELD_EV_GOODBYE);
    cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_CALLED), 0);
    cr_assert_not_null(action(&w.p.a, VELD_ACT_SEND));
    pair_free(&w.p);
}

static const struct veld_action *retry(struct world *w)
{
    w->p.now.mono_ns = veld_engine_deadline(w->p.a.engine);
    cr_assert_eq(step(&w->p, &w->p.a, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
    const struct veld_action *wanted = action(&w->p.a, VELD_ACT_WANTED);
    cr_assert_not_null(wanted);
    return wanted;
}

/* Else a relay would ask other relays for whom it calls for others, and they others. */
Test(engine_seek, a_peer_that_is_called_for_others_is_wanted_here_once_somebody_waits)
{
    struct world w;
    start(&w, NULL, 0);
    on_peer(&w.p, &w.p.a, VELD_EV_GOODBYE);
    cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_CALLED), 0);
    cr_assert(action(&w.p.a, VELD_ACT_WANTED)->called);
    cr_assert(retry(&w)->called);
    cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_NEED_SESSION), 0);
    cr_assert_not(action(&w.p.a, VELD_ACT_WANTED)->called, "at once");
    cr_assert_eq(on_peer(&w.p, &w.p.a, VELD_EV_CALLED), 0);
    cr_assert_not(retry(&w)->called, "who waits still does");
    pair_free(&w.p);
}

/* ---- The network changed ---- */

Test(engine_seek, when_the_network_changes_a_path_in_use_is_asked_at_once)
{
    struct world w;
    start(&w, NULL, 0);
    advance_ms(&w.p, 100);
    on_peer(&w.p, &w.p.a, VELD_EV_NETWORK);
    cr_assert_eq(w.p.a.out.n, 0, "not one that nothing was sent by");
    say_data(&w);
    on_peer(&w.p, &w.p.a, VELD_EV_NETWORK);
    cr_assert_not_null(ping_to(&w, &w.p.b.address));
    on_peer(&w.p, &w.p.a, VELD_EV_NETWORK);
    cr_assert_not_null(ping_to(&w, &w.p.b.address), "anew with each change");
    pair_free(&w.p);
}

Test(engine_seek, without_a_route_to_it_an_endpoint_is_dead_at_once)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    const struct veld_event lost = {.type = VELD_EV_NETWORK, .peer = 0, .no_route = true};
    start(&w, &other, 1);
    say_data(&w);
    on_peer(&w.p, &w.p.a, VELD_EV_NETWORK);
    cr_assert_null(ping_to(&w, &other));
    cr_assert_eq(step(&w.p, &w.p.a, &lost), 0);
    cr_assert_eq(actions_of(&w.p.a, VELD_ACT_WANTED), 1);
    struct veld_action asked = *ping_to(&w, &other);
    answer(&w, &asked, &other);
    cr_assert(endpoint_is(&w.p.a, &other));
    pair_free(&w.p);
}

Test(engine_seek, when_the_network_changes_what_is_near_is_asked)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    start(&w, &lan, 1);
    on_peer(&w.p, &w.p.a, VELD_EV_NETWORK);
    cr_assert_not_null(ping_to(&w, &w.lan));
    cr_assert_null(ping_to(&w, &w.p.b.address));
    pair_free(&w.p);
}

/* ---- Better ---- */

Test(engine_seek, a_better_path_is_asked_and_taken_when_it_answers)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    start(&w, &lan, 1);
    seek(&w);
    const struct veld_action *ping = ping_to(&w, &w.lan);
    cr_assert_not_null(ping);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address), "not before it answers");
    struct veld_action asked = *ping;
    advance_ms(&w.p, 5);
    answer(&w, &asked, &w.lan);
    cr_assert(goes_to(&w.p.a, VELD_ACT_SET_ENDPOINT, &w.lan));
    cr_assert(endpoint_is(&w.p.a, &w.lan));
    cr_assert_null(action(&w.p.a, VELD_ACT_RETIRE), "the session goes on");
    unsigned wanted;
    cr_assert_eq(pings_in(&w, 20000, &w.lan, &wanted), 0, "and the search is over");
    pair_free(&w.p);
}

Test(engine_seek, a_pong_counts_from_where_it_was_asked)
{
    struct world w;
    struct veld_endpoint lan[2] = {ep("192.168.7.2:51820"), ep("10.9.9.9:1")};
    start(&w, lan, 2);
    seek(&w);
    struct veld_action asked = *ping_to(&w, &lan[0]);
    answer(&w, &asked, &lan[1]);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    answer(&w, &asked, &w.other);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    asked.bytes[VELD_MESSAGE_HEADER_SIZE + 3] ^= 1;
    answer(&w, &asked, &lan[0]);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    asked.bytes[VELD_MESSAGE_HEADER_SIZE + 3] ^= 1;
    answer(&w, &asked, &lan[0]);
    cr_assert(endpoint_is(&w.p.a, &lan[0]));
    pair_free(&w.p);
}

Test(engine_seek, of_equal_and_worse_paths_none_is_asked)
{
    struct world w;
    struct veld_endpoint candidates[2] = {ep("198.51.100.9:7"),
                                          veld_endpoint_circuit(0xc0000001)};
    start(&w, candidates, 2);
    seek(&w);
    cr_assert_eq(w.p.a.out.n, 0);
    unsigned wanted;
    cr_assert_eq(pings_in(&w, 20000, &w.other, &wanted), 0);
    pair_free(&w.p);
}

Test(engine_seek, nothing_without_a_session)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    start(&w, &lan, 1);
    on_peer(&w.p, &w.p.a, VELD_EV_GOODBYE);
    seek(&w);
    cr_assert_eq(w.p.a.out.n, 0);
    pair_free(&w.p);
}

Test(engine_seek, a_session_that_begins_looks_for_better)
{
    struct world w = {.lan = ep("192.168.7.2:51820")};
    pair_make(&w.p);
    struct veld_engine_peer_config cfg = peer_config(&w.p.a);
    cfg.candidates = &w.lan;
    cfg.n_candidates = 1;
    add_peer(&w.p.a, &w.p.b, 0);
    cr_assert_eq(veld_engine_peer_add(w.p.b.engine, &cfg, &w.p.b.peer), 0);
    half_handshake(&w.p, &w.p.a, &w.p.b);
    uint32_t next = 0;
    for (size_t i = 0; i < w.p.b.out.n; i++)
        next = w.p.b.out.a[i].type == VELD_ACT_INSTALL ? w.p.b.out.a[i].index : next;
    on_session(&w.p, &w.p.b, VELD_EV_CONFIRMED, next, &w.p.a.address);
    cr_assert_eq(must(&w.p.b, VELD_ACT_USE).index, next);
    bool asked = false;
    for (size_t i = 0; i < w.p.b.out.n; i++)
        asked |= w.p.b.out.a[i].type == VELD_ACT_SEND_MESSAGE &&
                 veld_endpoint_equal(&w.p.b.out.a[i].to, &w.lan);
    cr_assert(asked);
    pair_free(&w.p);
}

/* ---- Bounds ---- */

Test(engine_seek, a_search_is_so_many_rounds_and_the_next_waits)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    unsigned wanted, n = 0;
    start(&w, &lan, 1);
    for (unsigned k = 0; k < 40; k++) { /* whoever asks all the time */
        seek(&w);
        n += ping_to(&w, &w.lan) != NULL;
        n += pings_in(&w, 500, &w.lan, &wanted);
        cr_assert_eq(wanted, 0);
    }
    cr_assert_leq(n, 1 + 20 / (VELD_SEEK_GAP_NS / VELD_NS_PER_S) * VELD_SEEK_ROUNDS);
    cr_assert_geq(n, 3 * VELD_SEEK_ROUNDS);
    pings_in(&w, 10000, &w.lan, &wanted);
    cr_assert_eq(pings_in(&w, 60000, &w.lan, &wanted), 0, "asked for no more, it ends");
    pair_free(&w.p);
}

Test(engine_seek, all_searches_together_are_bounded)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    unsigned wanted;
    start(&w, &lan, 1);
    w.p.a.engine->seek_window_ns = w.p.now.mono_ns; /* others have used it up */
    w.p.a.engine->seek_pings = VELD_SEEK_PINGS_PER_S;
    seek(&w);
    cr_assert_null(ping_to(&w, &w.lan));
    cr_assert_eq(pings_in(&w, 900, &w.lan, &wanted), 0);
    cr_assert_gt(pings_in(&w, 3000, &w.lan, &wanted), 0, "the next second has its own");
    pair_free(&w.p);
}

/* ---- Dead ---- */

Test(engine_seek, an_endpoint_that_falls_silent_is_asked_then_all_are)
{
    struct world w;
    struct veld_endpoint candidates[2] = {ep("198.51.100.9:7"),
                                          veld_endpoint_circuit(0xc0000001)};
    start(&w, candidates, 2);
    advance_ms(&w.p, 100);
    uint64_t since = w.p.now.mono_ns;
    say_data(&w);
    cr_assert_eq(w.p.a.out.n, 0);
    advance_ms(&w.p, 1000);
    say_data(&w);
    cr_assert_not_null(ping_to(&w, &w.p.b.address), "it alone");
    cr_assert_null(ping_to(&w, &w.other));
    unsigned wanted;
    cr_assert_eq(pings_in(&w, 400, &w.other, &wanted), 0);
    pings_in(&w, 400, &w.other, &wanted);
    cr_assert_eq(wanted, 1, "and told otherwise");
    struct veld_action asked = {0};
    for (unsigned k = 0; k < 100 && !asked.len; k++) {
        step(&w.p, &w.p.a, &(struct veld_event){.type = VELD_EV_TIMER});
        if (ping_to(&w, &w.circuit))
            asked = *ping_to(&w, &w.circuit);
        advance_ms(&w.p, 50);
    }
    answer(&w, &asked, &w.circuit);
    cr_assert(endpoint_is(&w.p.a, &w.circuit), "a worse path is better than none");
    cr_assert_lt(w.p.now.mono_ns - since, 4 * VELD_NS_PER_S);
    pair_free(&w.p);
}

Test(engine_seek, an_endpoint_that_answers_is_kept)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    unsigned wanted;
    start(&w, &other, 1);
    advance_ms(&w.p, 100);
    say_data(&w);
    advance_ms(&w.p, 1000);
    say_data(&w);
    struct veld_action asked = *ping_to(&w, &w.p.b.address);
    advance_ms(&w.p, 40);
    answer(&w, &asked, &w.p.b.address);
    cr_assert_eq(pings_in(&w, 20000, &w.other, &wanted), 0);
    cr_assert_eq(wanted, 0);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    pair_free(&w.p);
}

/* It was slow, not dead: who was asked meanwhile is no better. */
Test(engine_seek, an_endpoint_that_answers_late_is_kept)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    struct veld_action here = {0}, there = {0};
    start(&w, &other, 1);
    advance_ms(&w.p, 100);
    say_data(&w);
    advance_ms(&w.p, 1000);
    say_data(&w);
    for (unsigned k = 0; k < 40 && !there.len; k++) {
        advance_ms(&w.p, 50);
        step(&w.p, &w.p.a, &(struct veld_event){.type = VELD_EV_TIMER});
        if (ping_to(&w, &w.other)) {
            there = *ping_to(&w, &w.other);
            here = *ping_to(&w, &w.p.b.address);
        }
    }
    answer(&w, &here, &w.p.b.address);
    answer(&w, &there, &w.other);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    pair_free(&w.p);
}

Test(engine_seek, without_data_nothing_is_suspected)
{
    struct world w;
    struct veld_endpoint other = ep("198.51.100.9:7");
    unsigned wanted;
    start(&w, &other, 1);
    for (unsigned k = 0; k < 60; k++) {
        advance_ms(&w.p, 1000);
        cr_assert_eq(step(&w.p, &w.p.a,
                          &(struct veld_event){.type = VELD_EV_ACTIVITY, .peer = w.p.a.peer}),
                     0);
        cr_assert_eq(w.p.a.out.n, 0);
        cr_assert_eq(pings_in(&w, 0, &w.p.b.address, &wanted), 0);
    }
    pair_free(&w.p);
}

/* ---- Circuits ---- */

/* The peer still sends by the relay: no reason to go back there, unless the direct path is dead. */
Test(engine_seek, a_circuit_does_not_draw_a_direct_session_to_itself)
{
    struct world w;
    struct veld_endpoint circuit = veld_endpoint_circuit(0xc0000001);
    start(&w, &circuit, 1);
    on_session(&w.p, &w.p.a, VELD_EV_MOVED, w.made.initiator_index, &w.circuit);
    cr_assert_null(ping_to(&w, &w.circuit));
    struct veld_action asked = *ping_to(&w, &w.p.b.address);
    answer(&w, &asked, &w.p.b.address);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    unsigned wanted;
    cr_assert_eq(pings_in(&w, 10000, &w.circuit, &wanted), 0);
    on_session(&w.p, &w.p.a, VELD_EV_MOVED, w.made.initiator_index, &w.circuit);
    cr_assert_eq(pings_in(&w, 2000, &w.circuit, &wanted), 2, "direct is dead");
    pair_free(&w.p);
}

Test(engine_seek, who_is_driven_from_the_lan_looks_for_the_way_back)
{
    struct world w;
    struct veld_endpoint lan = ep("192.168.7.2:51820");
    unsigned wanted;
    start(&w, &lan, 1);
    seek(&w);
    struct veld_action asked = *ping_to(&w, &w.lan);
    answer(&w, &asked, &w.lan);
    advance_ms(&w.p, 6000);
    on_session(&w.p, &w.p.a, VELD_EV_MOVED, w.made.initiator_index, &w.other);
    asked = *ping_to(&w, &w.other);
    answer(&w, &asked, &w.other);
    cr_assert(endpoint_is(&w.p.a, &w.other), "the peer sends from there: followed at once");
    bool looks = ping_to(&w, &w.lan) || pings_in(&w, 1000, &w.lan, &wanted);
    cr_assert(looks);
    pair_free(&w.p);
}

/* ---- Circuits that end, and circuits in use ---- */

/* The session goes by `circuit`, which is a candidate; so are the others. */
static void start_by_circuit(struct world *w, const struct veld_endpoint *candidates, size_t n)
{
    pair_make(&w->p);
    w->circuit = candidates[0];
    w->p.b.address = w->circuit;
    struct veld_engine_peer_config cfg = peer_config(&w->p.b);
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.candidates = candidates;
    cfg.n_candidates = 1;
    cr_assert_eq(veld_engine_peer_add(w->p.a.engine, &cfg, &w->p.a.peer), 0);
    add_peer(&w->p.b, &w->p.a, 0);
    w->made = handshake(&w->p, &w->p.a, &w->p.b);
    cr_assert(endpoint_is(&w->p.a, &w->circuit));
    cfg.n_candidates = n;
    cr_assert_eq(veld_engine_peer_set(w->p.a.engine, w->p.a.peer, &cfg), 0);
}

static void set_candidates(struct world *w, const struct veld_endpoint *candidates, size_t n)
{
    struct veld_engine_peer_config cfg = peer_config(&w->p.b);
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.candidates = candidates;
    cfg.n_candidates = n;
    cr_assert_eq(veld_engine_peer_set(w->p.a.engine, w->p.a.peer, &cfg), 0);
}

Test(engine_seek, a_circuit_that_ends_is_left_at_once)
{
    struct world w;
    const struct veld_endpoint circuits[2] = {veld_endpoint_circuit(0xc0000001),
                                              veld_endpoint_circuit(0xc0000002)};
    start_by_circuit(&w, circuits, 2);
    advance_ms(&w.p, 10000);
    set_candidates(&w, &circuits[1], 1);
    cr_assert_eq(step(&w.p, &w.p.a, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
    cr_assert_not_null(action(&w.p.a, VELD_ACT_WANTED));
    struct veld_action asked = *ping_to(&w, &circuits[1]);
    answer(&w, &asked, &circuits[1]);
    cr_assert(endpoint_is(&w.p.a, &circuits[1]));
    cr_assert_eq(current(&w.p.a), w.made.initiator_index, "the session goes on");
    pair_free(&w.p);
}

Test(engine_seek, when_the_only_circuit_ends_so_does_the_session_and_all_begins_anew)
{
    struct world w;
    const struct veld_endpoint circuit = veld_endpoint_circuit(0xc0000001);
    unsigned wanted;
    start_by_circuit(&w, &circuit, 1);
    advance_ms(&w.p, 10000);
    set_candidates(&w, NULL, 0);
    pings_in(&w, 3500, &circuit, &wanted);
    cr_assert_eq(current(&w.p.a), w.made.initiator_index, "it is sought first");
    pings_in(&w, 1000, &circuit, &wanted);
    cr_assert_eq(current(&w.p.a), 0);
    cr_assert_eq(state(&w.p.a), VELD_PEER_IDLE);
    on_peer(&w.p, &w.p.a, VELD_EV_NEED_SESSION);
    cr_assert_not_null(action(&w.p.a, VELD_ACT_WANTED), "by other ways, if there are any");
    pair_free(&w.p);
}

/* No class is worse than a path that is none: one that comes late is taken. */
Test(engine_seek, another_circuit_that_comes_later_takes_the_place_of_one_that_ended)
{
    struct world w;
    const struct veld_endpoint circuits[2] = {veld_endpoint_circuit(0xc0000001),
                                              veld_endpoint_circuit(0xc0000002)};
    unsigned wanted;
    start_by_circuit(&w, &circuits[0], 1);
    advance_ms(&w.p, 10000);
    set_candidates(&w, NULL, 0);
    pings_in(&w, 3500, &circuits[1], &wanted);
    set_candidates(&w, &circuits[1], 1);
    seek(&w);
    struct veld_action asked = *ping_to(&w, &circuits[1]);
    answer(&w, &asked, &circuits[1]);
    cr_assert(endpoint_is(&w.p.a, &circuits[1]));
    cr_assert_eq(current(&w.p.a), w.made.initiator_index, "the session goes on");
    pair_free(&w.p);
}

Test(engine_seek, without_a_session_a_circuit_that_ends_is_forgotten)
{
    struct world w;
    const struct veld_endpoint candidates[2] = {veld_endpoint_circuit(0xc0000001),
                                                ep("198.51.100.9:7")};
    start_by_circuit(&w, candidates, 2);
    on_peer(&w.p, &w.p.a, VELD_EV_GOODBYE);
    set_candidates(&w, &candidates[1], 1);
    cr_assert(endpoint_is(&w.p.a, &candidates[1]));
    pair_free(&w.p);
}

Test(engine_seek, a_circuit_of_the_last_run_is_no_address)
{
    struct world w;
    pair_make(&w.p);
    struct veld_engine_peer_config cfg = peer_config(&w.p.b);
    cfg.endpoint = (struct veld_endpoint){0};
    cfg.last_known = veld_endpoint_circuit(0xc0000001);
    cr_assert_eq(veld_engine_peer_add(w.p.a.engine, &cfg, &w.p.a.peer), 0);
    cr_assert(endpoint_is(&w.p.a, &(struct veld_endpoint){0}));
    pair_free(&w.p);
}

Test(engine_seek, on_a_circuit_addresses_are_asked_every_minute_while_data_is_sent)
{
    struct world w;
    const struct veld_endpoint candidates[2] = {veld_endpoint_circuit(0xc0000001),
                                                ep("198.51.100.9:7")};
    unsigned wanted, idle = 0, used = 0;
    start_by_circuit(&w, candidates, 2);
    seek(&w);
    pings_in(&w, 10000, &candidates[1], &wanted);
    for (unsigned k = 0; k < 60; k++) {
        cr_assert_eq(step(&w.p, &w.p.a,
                          &(struct veld_event){.type = VELD_EV_ACTIVITY, .peer = w.p.a.peer}),
                     0);
        idle += ping_to(&w, &candidates[1]) != NULL;
        idle += pings_in(&w, 1000, &candidates[1], &wanted);
    }
    cr_assert_eq(idle, 0);
    for (unsigned k = 0; k < 60; k++) { /* and what is sent is answered */
        cr_assert_eq(step(&w.p, &w.p.a,
                          &(struct veld_event){.type = VELD_EV_ACTIVITY,
                                               .peer = w.p.a.peer,
                                               .last_sent_data_ns = w.p.now.mono_ns - 1,
                                               .last_received_ns = w.p.now.mono_ns}),
                     0);
        used += ping_to(&w, &candidates[1]) != NULL;
        used += pings_in(&w, 1000, &candidates[1], &wanted);
    }
    cr_assert_eq(used, VELD_SEEK_ROUNDS);
    pair_free(&w.p);
}

Test(engine_seek, a_peer_that_goes_on_sending_by_a_circuit_makes_few_pings)
{
    struct world w;
    struct veld_endpoint circuit = veld_endpoint_circuit(0xc0000001);
    unsigned pings = 0;
    start(&w, &circuit, 1);
    for (unsigned k = 0; k < 100; k++) { /* 10 s; the dataplane tells so often */
        on_session(&w.p, &w.p.a, VELD_EV_MOVED, w.made.initiator_index, &w.circuit);
        const struct veld_action *asked = ping_to(&w, &w.p.b.address);
        if (asked) {
            struct veld_action copy = *asked;
            pings++;
            answer(&w, &copy, &w.p.b.address);
        }
        unsigned wanted;
        cr_assert_eq(pings_in(&w, 100, &w.p.b.address, &wanted), 0);
    }
    cr_assert_eq(pings, 5);
    cr_assert(endpoint_is(&w.p.a, &w.p.b.address));
    pair_free(&w.p);
}

/* A NAT's mapping is kept by the keepalive that was asked for, and by nothing else. */
Test(engine_seek, an_idle_session_sends_its_keepalives_and_no_more)
{
    struct world w;
    const struct veld_endpoint candidates[3] = {ep("198.51.100.9:7"), ep("192.168.7.2:51820"),
                                                veld_endpoint_circuit(0xc0000001)};
    for (unsigned keepalive_s = 0; keepalive_s <= 25; keepalive_s += 25) {
        start(&w, candidates, 3);
        struct veld_engine_peer_config cfg = peer_config(&w.p.b);
        cfg.candidates = candidates;
        cfg.n_candidates = 3;
        cfg.keepalive_s = (uint16_t)keepalive_s;
        cr_assert_eq(veld_engine_peer_set(w.p.a.engine, w.p.a.peer, &cfg), 0);
        unsigned sent = 0;
        for (unsigned k = 0; k < 100; k++) { /* not to where its initiator makes new keys */
            cr_assert_eq(
                step(&w.p, &w.p.a,
                     &(struct veld_event){.type = VELD_EV_ACTIVITY, .peer = w.p.a.peer}),
                0);
            sent += actions_of(&w.p.a, VELD_ACT_SEND_MESSAGE);
            cr_assert_eq(actions_of(&w.p.a, VELD_ACT_SEND), 0);
            while (veld_engine_deadline(w.p.a.engine) <= w.p.now.mono_ns) {
                cr_assert_eq(step(&w.p, &w.p.a, &(struct veld_event){.type = VELD_EV_TIMER}),
                             1);
                sent += (unsigned)w.p.a.out.n;
            }
            advance_ms(&w.p, 1000);
        }
        cr_assert_leq(sent, VELD_SEEK_ROUNDS + (keepalive_s ? 100 / keepalive_s : 0), "%u",
                      sent);
        pair_free(&w.p);
    }
}

#include "../support/engine_pair.h"

static struct veld_message parsed(const struct veld_action *a)
{
    struct veld_message m;
    cr_assert_eq(a->type, VELD_ACT_SEND_MESSAGE);
    cr_assert_eq(veld_message_parse(a->bytes, a->len, &m), 0);
    return m;
}

static int say(struct pair *p, struct side *to, uint32_t index,
               const struct veld_endpoint *from, const struct veld_message *m)
{
    uint8_t buf[VELD_MESSAGE_MAX];
    return message(p, to, index, from, buf, veld_message_write(buf, m));
}

Test(engine_path, a_new_address_is_asked_before_it_is_believed)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint moved = ep("198.51.100.9:9");
    cr_assert_eq(on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &moved), 0);
    cr_assert_null(action(&p.b, VELD_ACT_SET_ENDPOINT));
    struct veld_action asked = must(&p.b, VELD_ACT_SEND_MESSAGE);
    cr_assert(veld_endpoint_equal(&asked.to, &moved));
    cr_assert_leq(asked.len, 3 * 32);
    struct veld_message ping = parsed(&asked), pong = ping;
    cr_assert_eq(ping.type, VELD_MSG_PING);

    pong.type = VELD_MSG_PONG;
    struct veld_endpoint third = ep("198.51.100.10:9");
    say(&p, &p.b, m.responder_index, &third, &pong);
    cr_assert(endpoint_is(&p.b, &p.a.address), "not from where it was asked");
    pong.token[3] ^= 1;
    say(&p, &p.b, m.responder_index, &moved, &pong);
    cr_assert(endpoint_is(&p.b, &p.a.address), "not what was asked");
    pong.token[3] ^= 1;
    say(&p, &p.b, m.responder_index, &moved, &pong);
    cr_assert(goes_to(&p.b, VELD_ACT_SET_ENDPOINT, &moved));
    cr_assert(endpoint_is(&p.b, &moved));
    pair_free(&p);
}

/* On a lane above 0 an address is unknown (family 0): such a port receives nothing. */
Test(engine_path, a_ping_on_another_lane_is_answered_to_the_endpoint)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_message ping = {.type = VELD_MSG_PING, .token = {7}};
    say(&p, &p.b, m.responder_index, &(struct veld_endpoint){0}, &ping);
    struct veld_action pong = must(&p.b, VELD_ACT_SEND_MESSAGE);
    cr_assert_eq(pong.to.ip.family, 0, "wherever the endpoint is");
    cr_assert_eq(parsed(&pong).type, VELD_MSG_PONG);
    cr_assert_arr_eq(parsed(&pong).token, ping.token, sizeof ping.token);
    cr_assert_null(action(&p.b, VELD_ACT_SET_ENDPOINT));
    say(&p, &p.b, m.responder_index, &p.a.address, &ping);
    cr_assert(goes_to(&p.b, VELD_ACT_SEND_MESSAGE, &p.a.address));
    pair_free(&p);
}

Test(engine_path, challenges_expire_and_are_few)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint one = ep("198.51.100.1:1"), two = ep("198.51.100.2:2");
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &one);
    struct veld_message first = parsed(&p.b.out.a[0]);
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &two);
    cr_assert_eq(p.b.out.n, 0, "within the gap");
    advance_ms(&p, 101);
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &two);
    struct veld_message second = parsed(&p.b.out.a[0]);
    cr_assert(memcmp(first.token, second.token, sizeof first.token) != 0);
    second.type = VELD_MSG_PONG;
    advance_ms(&p, 5001);
    say(&p, &p.b, m.responder_index, &two, &second);
    cr_assert(endpoint_is(&p.b, &p.a.address), "too late");
    pair_free(&p);
}

/* A round trip may be longer than it takes to see the peer at another address. */
Test(engine_path, of_two_that_are_asked_the_first_to_answer_is_taken)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint one = ep("198.51.100.1:1"), two = ep("198.51.100.2:2");
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &one);
    struct veld_message first = parsed(&p.b.out.a[0]);
    advance_ms(&p, 101);
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &two);
    struct veld_message second = parsed(&p.b.out.a[0]);
    first.type = second.type = VELD_MSG_PONG;
    say(&p, &p.b, m.responder_index, &two, &first);
    cr_assert(endpoint_is(&p.b, &p.a.address), "by the token of its own alone");
    say(&p, &p.b, m.responder_index, &one, &first);
    cr_assert(endpoint_is(&p.b, &one));
    say(&p, &p.b, m.responder_index, &two, &second);
    cr_assert(endpoint_is(&p.b, &one), "the other is asked no more");
    pair_free(&p);
}

/* ---- Both follow each other; a has the smaller P ---- */

/* It sees its peer at `to`: is that asked? */
static bool asks(struct pair *p, struct side *s, uint32_t index, const struct veld_endpoint *to)
{
    advance_ms(p, 101);
    on_session(p, s, VELD_EV_MOVED, index, to);
    return action(s, VELD_ACT_SEND_MESSAGE) && goes_to(s, VELD_ACT_SEND_MESSAGE, to);
}

static void follow(struct pair *p, struct side *s, uint32_t index,
                   const struct veld_endpoint *to)
{
    cr_assert(asks(p, s, index, to));
    struct veld_message m = parsed(&s->out.a[0]);
    m.type = VELD_MSG_PONG;
    say(p, s, index, to, &m);
    cr_assert(endpoint_is(s, to));
}

Test(engine_path, the_smaller_key_does_not_follow_back_to_what_it_just_left)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct side *s = &p.a;
    uint32_t index = m.initiator_index;
    struct veld_endpoint first = ep("198.51.100.1:1"), other = ep("198.51.100.2:2"),
                         third = ep("198.51.100.3:3");
    follow(&p, s, index, &first);
    follow(&p, s, index, &other);
    cr_assert(!asks(&p, s, index, &first));
    cr_assert(goes_to(s, VELD_ACT_SEND_MESSAGE, &other), "is the endpoint still there?");
    struct veld_message ping = parsed(&s->out.a[0]);
    ping.type = VELD_MSG_PONG;
    say(&p, s, index, &other, &ping);
    cr_assert(!asks(&p, s, index, &first), "it is");
    cr_assert(asks(&p, s, index, &third), "who goes on is followed");
    advance_ms(&p, 5000);
    cr_assert(asks(&p, s, index, &first), "and who stays there");
    pair_free(&p);
}

Test(engine_path, who_goes_back_to_what_is_better_is_followed)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint local = ep("192.168.7.2:51820"), public = ep("198.51.100.2:2");
    follow(&p, &p.a, m.initiator_index, &local);
    follow(&p, &p.a, m.initiator_index, &public);
    cr_assert(asks(&p, &p.a, m.initiator_index, &local));
    pair_free(&p);
}

Test(engine_path, a_dead_endpoint_is_left_for_where_the_peer_was_before)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct side *s = &p.a;
    uint32_t index = m.initiator_index;
    struct veld_endpoint first = ep("198.51.100.1:1"), other = ep("198.51.100.2:2");
    follow(&p, s, index, &first);
    follow(&p, s, index, &other);
    cr_assert(!asks(&p, s, index, &first));
    run_timers(&p, s, 800);
    follow(&p, s, index, &first);
    pair_free(&p);
}

Test(engine_path, the_greater_key_follows)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct side *s = &p.b;
    uint32_t index = m.responder_index;
    struct veld_endpoint first = ep("198.51.100.1:1"), other = ep("198.51.100.2:2");
    follow(&p, s, index, &first);
    follow(&p, s, index, &other);
    follow(&p, s, index, &first);
    pair_free(&p);
}

Test(engine_path, a_lost_challenge_is_asked_again)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint moved = ep("198.51.100.1:1");
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &moved);
    struct veld_message first = parsed(&p.b.out.a[0]);
    advance_ms(&p, 101);
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &moved);
    struct veld_message second = parsed(&p.b.out.a[0]);
    cr_assert_arr_eq(first.token, second.token, sizeof first.token, "either answer will do");
    pair_free(&p);
}

Test(engine_path, useless_addresses_are_not_asked)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    static const char *const bad[] = {"0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:9", "[::]:1",
                                      "[ff02::1]:1"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct veld_endpoint from = ep(bad[i]);
        on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &from);
        cr_assert_eq(p.b.out.n, 0, "%s", bad[i]);
        say(&p, &p.b, m.responder_index, &from, &(struct veld_message){.type = VELD_MSG_PING});
        cr_assert_eq(p.b.out.n, 0, "%s", bad[i]);
    }
    pair_free(&p);
}

Test(engine_path, confirmed_from_the_answered_address_proves_it)
{
    struct pair p;
    pair_make(&p);
    struct veld_endpoint b_real = p.b.address;
    add_peer(&p.a, &p.b, 0);
    p.a.address = (struct veld_endpoint){0}; /* b does not know where a is */
    add_peer(&p.b, &p.a, 0);
    p.a.address = ep("203.0.113.5:5");
    struct made m = half_handshake(&p, &p.a, &p.b);
    cr_assert(goes_to(&p.a, VELD_ACT_SET_ENDPOINT, &b_real));
    on_session(&p, &p.b, VELD_EV_CONFIRMED, m.responder_index, &p.a.address);
    cr_assert(goes_to(&p.b, VELD_ACT_SET_ENDPOINT, &p.a.address));
    cr_assert_null(action(&p.b, VELD_ACT_SEND_MESSAGE));
    pair_free(&p);
}

Test(engine_path, confirmed_from_elsewhere_proves_the_answered_address_and_asks_the_other)
{
    struct pair p;
    pair_init(&p);
    struct made m = half_handshake(&p, &p.a, &p.b);
    struct veld_endpoint other = ep("198.51.100.66:6");
    on_session(&p, &p.b, VELD_EV_CONFIRMED, m.responder_index, &other);
    cr_assert(goes_to(&p.b, VELD_ACT_SET_ENDPOINT, &p.a.address));
    cr_assert(goes_to(&p.b, VELD_ACT_SEND_MESSAGE, &other));
    pair_free(&p);
}

Test(engine_path, confirmed_on_another_lane_keeps_what_was_proved)
{
    static const struct veld_endpoint unknown = {0};
    struct pair p;
    pair_init(&p);
    struct made m = half_handshake(&p, &p.a, &p.b);
    on_session(&p, &p.b, VELD_EV_CONFIRMED, m.responder_index, &unknown);
    cr_assert(goes_to(&p.b, VELD_ACT_SET_ENDPOINT, &p.a.address), "nothing was proved yet");

    /* a's next initiation, sent on by somebody on the way. */
    struct veld_endpoint other = ep("198.51.100.66:6");
    advance_ms(&p, 1000);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &unknown);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &other, false), 0);
    uint32_t next = must(&p.b, VELD_ACT_INSTALL).index;
    on_session(&p, &p.b, VELD_EV_CONFIRMED, next, &unknown);
    cr_assert_eq(must(&p.b, VELD_ACT_USE).index, next);
    cr_assert_null(action(&p.b, VELD_ACT_SET_ENDPOINT));
    cr_assert_null(action(&p.b, VELD_ACT_SEND_MESSAGE));
    cr_assert(endpoint_is(&p.b, &p.a.address));
    pair_free(&p);
}

Test(engine_path, a_ping_is_answered_to_where_it_came_from_by_no_more)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_message ping = {.type = VELD_MSG_PING, .token = {7, 8, 9}};
    uint8_t buf[VELD_MESSAGE_MAX];
    size_t len = veld_message_write(buf, &ping);
    struct veld_endpoint from = ep("198.51.100.3:3");
    cr_assert_eq(message(&p, &p.b, m.responder_index, &from, buf, len), 0);
    struct veld_action pong = must(&p.b, VELD_ACT_SEND_MESSAGE);
    cr_assert_eq(p.b.out.n, 1);
    cr_assert(veld_endpoint_equal(&pong.to, &from));
    cr_assert_leq(pong.len, len);
    cr_assert_eq(parsed(&pong).type, VELD_MSG_PONG);
    cr_assert_arr_eq(parsed(&pong).token, ping.token, sizeof ping.token);
    pair_free(&p);
}

Test(engine_path, an_asked_for_ping_tells_the_time)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    on_peer(&p, &p.a, VELD_EV_PING);
    struct veld_message pong = parsed(&p.a.out.a[0]);
    pong.type = VELD_MSG_PONG;
    advance_ms(&p, 42);
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    cr_assert_eq(must(&p.a, VELD_ACT_PONG).rtt_ns, 42 * VELD_NS_PER_MS);
    say(&p, &p.a, m.initiator_index, &p.b.address, &pong);
    cr_assert_eq(p.a.out.n, 0, "once");
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(p.a.engine, p.a.peer, &info), 0);
    cr_assert_eq(info.rtt_ns, 42 * VELD_NS_PER_MS);
    pair_free(&p);
}

Test(engine_path, a_ping_without_session_makes_one_first)
{
    struct pair p;
    pair_init(&p);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_PING), 0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    cr_assert_eq(actions_of(&p.a, VELD_ACT_SEND_MESSAGE), 2, "the confirmation, and the ping");
    uint32_t index = must(&p.a, VELD_ACT_USE).index;
    struct veld_message pong = parsed(&p.a.out.a[p.a.out.n - 1]);
    pong.type = VELD_MSG_PONG;
    advance_ms(&p, 5);
    say(&p, &p.a, index, &p.b.address, &pong);
    cr_assert_eq(must(&p.a, VELD_ACT_PONG).rtt_ns, 5 * VELD_NS_PER_MS);
    pair_free(&p);
}

Test(engine_path, malformed_and_unknown_messages)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    static const uint8_t later[] = {200, 1, 0, 0}, broken[] = {1, 1, 0, 99};
    cr_assert_eq(message(&p, &p.b, m.responder_index, &p.a.address, later, 4), 0);
    cr_assert_eq(message(&p, &p.b, m.responder_index, &p.a.address, broken, 4),
                 DROPPED(MESSAGE));
    cr_assert_eq(message(&p, &p.b, m.responder_index ^ 1u << 31, &p.a.address, later, 4),
                 DROPPED(INDEX));
    pair_free(&p);
}

Test(engine_path, a_message_on_an_unconfirmed_session_confirms_it)
{
    struct pair p;
    pair_init(&p);
    struct made m = half_handshake(&p, &p.a, &p.b);
    say(&p, &p.b, m.responder_index, &p.a.address,
        &(struct veld_message){.type = VELD_MSG_PING});
    cr_assert_eq(must(&p.b, VELD_ACT_USE).index, m.responder_index);
    cr_assert_eq(parsed(&p.b.out.a[p.b.out.n - 1]).type, VELD_MSG_PONG);
    pair_free(&p);
}

/* ---- Goodbye ---- */

Test(engine_path, goodbye_ends_the_sessions_and_the_next_packet_calls_at_once)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    on_peer(&p, &p.b, VELD_EV_GOODBYE);
    struct veld_action bye = must(&p.b, VELD_ACT_SEND_MESSAGE);
    cr_assert_eq(bye.index, m.responder_index);
    cr_assert_eq(p.b.out.a[0].type, VELD_ACT_SEND_MESSAGE, "while the session is there");
    cr_assert_eq(must(&p.b, VELD_ACT_RETIRE).index, m.responder_index);
    message(&p, &p.a, m.initiator_index, &p.b.address, bye.bytes, bye.len);
    cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, m.initiator_index);
    cr_assert_eq(state(&p.a), VELD_PEER_IDLE);
    cr_assert_eq(run_timers(&p, &p.a, 100000), 0);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    cr_assert_not_null(action(&p.a, VELD_ACT_SEND));
    pair_free(&p);
}

Test(engine_path, a_late_goodbye_spares_the_next_life)
{
    struct pair p;
    pair_init(&p);
    struct made old = handshake(&p, &p.a, &p.b);
    veld_engine_free(p.b.engine);
    engine_make(&p.b, p.now.wall_ns + 60 * VELD_NS_PER_S);
    add_peer(&p.b, &p.a, 0);
    advance_ms(&p, 100);
    struct made fresh = handshake(&p, &p.b, &p.a);
    say(&p, &p.a, old.initiator_index, &p.b.address,
        &(struct veld_message){.type = VELD_MSG_GOODBYE});
    cr_assert_eq(must(&p.a, VELD_ACT_RETIRE).index, old.initiator_index);
    cr_assert_eq(current(&p.a), fresh.responder_index);
    pair_free(&p);
}

Test(engine_path, an_expired_challenge_can_be_made_again)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    struct veld_endpoint moved = ep("198.51.100.1:1");
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &moved);
    advance_ms(&p, 5001);
    on_session(&p, &p.b, VELD_EV_MOVED, m.responder_index, &moved);
    struct veld_message pong = parsed(&p.b.out.a[0]);
    pong.type = VELD_MSG_PONG;
    say(&p, &p.b, m.responder_index, &moved, &pong);
    cr_assert(endpoint_is(&p.b, &moved));
    pair_free(&p);
}

Test(engine_path, a_late_response_does_not_call_back_who_was_seen_elsewhere_since)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    struct veld_endpoint moved = ep("198.51.100.1:1");
    advance_ms(&p, 1000);
    on_session(&p, &p.a, VELD_EV_MOVED, m.initiator_index, &moved);
    struct veld_message pong = parsed(&p.a.out.a[0]);
    pong.type = VELD_MSG_PONG;
    say(&p, &p.a, m.initiator_index, &moved, &pong);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
    cr_assert(endpoint_is(&p.a, &moved));
    pair_free(&p);
}

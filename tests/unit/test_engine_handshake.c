#include "../support/engine_pair.h"

#include "base/bytes.h"

Test(engine_handshake, both_sides_get_the_same_session)
{
    struct pair p;
    pair_init(&p);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(initiation.len, VELD_INITIATION_SIZE);
    cr_assert(veld_endpoint_equal(&initiation.to, &p.b.address));
    cr_assert_eq(p.a.out.a[0].type, VELD_ACT_PERSIST_TIMESTAMP, "durable before it is sent");
    cr_assert_eq(state(&p.a), VELD_PEER_CONNECTING);

    advance_ms(&p, 30);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0);
    struct veld_action response = must(&p.b, VELD_ACT_SEND), ib = must(&p.b, VELD_ACT_INSTALL);
    cr_assert_leq(response.len, initiation.len);

    advance_ms(&p, 30);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
    struct veld_action ia = must(&p.a, VELD_ACT_INSTALL);
    cr_assert_arr_eq(ia.session.send_key, ib.session.recv_key, 32);
    cr_assert_arr_eq(ia.session.recv_key, ib.session.send_key, 32);
    cr_assert(memcmp(ia.session.send_key, ia.session.recv_key, 32) != 0);
    cr_assert_eq(ia.session.remote_index, ib.index);
    cr_assert_eq(ib.session.remote_index, ia.index);
    cr_assert_eq(ia.session.lanes, 4);
    cr_assert_eq(ia.session.reject_at_ns, p.now.mono_ns + 180 * VELD_NS_PER_S);

    cr_assert_eq(must(&p.a, VELD_ACT_USE).index, ia.index);
    cr_assert_eq(must(&p.a, VELD_ACT_SEND_MESSAGE).index, ia.index, "at once, to confirm it");
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(p.a.engine, p.a.peer, &info), 0);
    cr_assert_eq(info.rtt_ns, 60 * VELD_NS_PER_MS);
    cr_assert_eq(info.state, VELD_PEER_ACTIVE);
    pair_free(&p);
}

Test(engine_handshake, responder_sends_nothing_before_confirmation)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0);
    uint32_t index = must(&p.b, VELD_ACT_INSTALL).index;
    cr_assert_null(action(&p.b, VELD_ACT_USE));
    cr_assert_null(action(&p.b, VELD_ACT_SEND_MESSAGE));
    cr_assert_null(action(&p.b, VELD_ACT_SET_ENDPOINT));
    cr_assert_neq(state(&p.b), VELD_PEER_ACTIVE);
    cr_assert_eq(on_session(&p, &p.b, VELD_EV_CONFIRMED, index, &p.a.address), 0);
    cr_assert_eq(must(&p.b, VELD_ACT_USE).index, index);
    cr_assert_eq(state(&p.b), VELD_PEER_ACTIVE);
    pair_free(&p);
}

Test(engine_handshake, replayed_initiation_changes_nothing)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    uint32_t index = must(&p.b, VELD_ACT_INSTALL).index;
    deliver(&p, &p.b, &p.a, &response);
    on_session(&p, &p.b, VELD_EV_CONFIRMED, index, &p.a.address);

    struct veld_endpoint elsewhere = ep("198.51.100.66:666");
    for (unsigned k = 0; k < 5; k++) {
        advance_ms(&p, 7000);
        cr_assert_eq(deliver_from(&p, &p.b, &initiation, &elsewhere, false), DROPPED(STALE));
        cr_assert_eq(p.b.out.n, 0);
    }
    cr_assert_eq(drops(&p.b, VELD_DROP_STALE), 5);
    cr_assert_eq(current(&p.b), index);
    cr_assert(endpoint_is(&p.b, &p.a.address));
    pair_free(&p);
}

Test(engine_handshake, initiation_caught_and_sent_from_elsewhere_moves_and_ends_nothing)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    struct veld_endpoint elsewhere = ep("198.51.100.66:666");
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &elsewhere, false), 0);
    cr_assert(goes_to(&p.b, VELD_ACT_SEND, &elsewhere));
    cr_assert_null(action(&p.b, VELD_ACT_SET_ENDPOINT));
    cr_assert_null(action(&p.b, VELD_ACT_RETIRE));
    cr_assert_eq(current(&p.b), m.responder_index);
    cr_assert(endpoint_is(&p.b, &p.a.address));
    pair_free(&p);
}

static void resign(struct pair *p, struct veld_action *msg, const struct side *receiver)
{
    struct veld_cookie_jar jar;
    veld_cookie_jar_init(&jar, receiver->identity->pub);
    veld_cookie_sign(&jar, msg->bytes, msg->len, p->now.mono_ns);
}

Test(engine_handshake, response_is_found_by_index_from_whatever_address)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND), wrong = response;

    wrong.bytes[4] ^= 1; /* another index: mac1 must be made right again for the test's sake */
    resign(&p, &wrong, &p.a);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &wrong), DROPPED(INDEX));

    struct veld_endpoint elsewhere = ep("[2001:db8::7]:7");
    cr_assert_eq(deliver_from(&p, &p.a, &response, &elsewhere, false), 0);
    cr_assert_not_null(action(&p.a, VELD_ACT_USE));
    cr_assert(endpoint_is(&p.a, &p.b.address), "the address the initiation reached");
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), DROPPED(INDEX), "once only");
    pair_free(&p);
}

Test(engine_handshake, answers_carry_the_index_of_the_handshake_not_of_a_session)
{
    struct pair p;
    pair_init(&p);
    struct made m = handshake(&p, &p.a, &p.b);
    advance_ms(&p, 1000);
    on_session(&p, &p.a, VELD_EV_REKEY_DUE, m.initiator_index, &p.b.address);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver_from(&p, &p.b, &initiation, &p.a.address, true);
    struct veld_action reply = must(&p.b, VELD_ACT_SEND), wrong = reply;
    veld_store_be32(wrong.bytes + 4, m.initiator_index);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &wrong), DROPPED(COOKIE));
    deliver(&p, &p.a, &p.b, &initiation);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    wrong = response;
    veld_store_be32(wrong.bytes + 4, m.initiator_index);
    resign(&p, &wrong, &p.a);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &wrong), DROPPED(INDEX));
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
    pair_free(&p);
}

static void deliver_mutations(struct pair *p, struct side *from, struct side *to,
                              const struct veld_action *good)
{
    for (unsigned bit = 0; bit < good->len * 8u; bit++) {
        struct veld_action bad = *good;
        bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool mac2 = bit / 8 >= good->len - 16u;
        if (!mac2) {
            cr_assert_gt(deliver(p, from, to, &bad), 0, "bit %u", bit);
            cr_assert_eq(to->out.n, 0, "bit %u", bit);
        }
    }
    for (uint16_t len = 0; len < good->len; len++) {
        struct veld_action bad = *good;
        bad.len = len;
        cr_assert_gt(deliver(p, from, to, &bad), 0, "length %u", len);
        cr_assert_eq(to->out.n, 0);
    }
}

/* As one would forge it: with mac1 right, which needs nothing secret. */
static void deliver_forgeries(struct pair *p, struct side *from, struct side *to,
                              const struct veld_action *good, int expected)
{
    for (unsigned byte = VELD_NOISE_OFFSET; byte < good->len - 32u; byte++) {
        struct veld_action bad = *good;
        bad.bytes[byte] ^= 0x40;
        resign(p, &bad, to);
        cr_assert_eq(deliver(p, from, to, &bad), expected, "byte %u", byte);
        cr_assert_eq(to->out.n, 0);
    }
}

Test(engine_handshake, forged_and_damaged_messages_get_silence_and_cost_nothing)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver_mutations(&p, &p.a, &p.b, &initiation);
    deliver_forgeries(&p, &p.a, &p.b, &initiation, DROPPED(HANDSHAKE));
    cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0, "the real one still works");
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver_mutations(&p, &p.b, &p.a, &response);
    deliver_forgeries(&p, &p.b, &p.a, &response, DROPPED(HANDSHAKE));
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0, "the real one still works");
    pair_free(&p);
}

Test(engine_handshake, strangers_get_silence)
{
    struct pair p;
    pair_make(&p);
    add_peer(&p.a, &p.b, 0); /* b does not know a */
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), DROPPED(UNKNOWN_PEER));
    cr_assert_eq(p.b.out.n, 0);
    pair_free(&p);
}

Test(engine_handshake, sign_twin_of_a_peer_is_refused)
{
    struct pair p;
    pair_init(&p);
    /* Whoever has a's X25519 secret can say it is -P; b knows P. */
    struct veld_identity twin = *p.a.identity;
    twin.pub[31] ^= 0x80;
    struct side liar = {.identity = &twin, .address = p.a.address, .random.state = 9};
    engine_make(&liar, 0);
    add_peer(&liar, &p.b, 0);
    on_peer(&p, &liar, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&liar, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &liar, &p.b, &initiation), DROPPED(UNKNOWN_PEER));
    cr_assert_eq(p.b.out.n, 0);
    veld_engine_free(liar.engine);

    uint32_t id;
    struct veld_engine_peer_config cfg = peer_config(&p.a);
    cfg.pub[31] ^= 0x80;
    cr_assert_eq(veld_engine_peer_add(p.b.engine, &cfg, &id), VELD_E_KEY);
    cfg = peer_config(&p.b);
    cr_assert_eq(veld_engine_peer_add(p.b.engine, &cfg, &id), VELD_E_KEY, "ourselves");
    cfg.pub[31] ^= 0x80;
    cr_assert_eq(veld_engine_peer_add(p.b.engine, &cfg, &id), VELD_E_KEY, "our twin");
    pair_free(&p);
}

Test(engine_handshake, a_peers_name_with_another_static_key_is_refused)
{
    struct pair p;
    pair_init(&p);
    uint8_t seed[32] = {77};
    struct veld_identity *own = veld_identity_from_seed(seed);
    struct veld_identity claimed = *own;
    memcpy(claimed.pub, p.a.identity->pub, sizeof claimed.pub);
    struct side liar = {.identity = &claimed, .address = p.a.address, .random.state = 9};
    engine_make(&liar, 0);
    add_peer(&liar, &p.b, 0);
    for (int i = 0; i < 2; i++) {
        on_peer(&p, &liar, VELD_EV_NEED_SESSION);
        struct veld_action initiation = must(&liar, VELD_ACT_SEND);
        cr_assert_eq(deliver(&p, &liar, &p.b, &initiation), DROPPED(UNKNOWN_PEER));
        cr_assert_eq(p.b.out.n, 0);
        on_peer(&p, &liar, VELD_EV_GOODBYE);
        handshake(&p, &p.a, &p.b); /* whom it is about is not harmed */
        on_peer(&p, &p.a, VELD_EV_GOODBYE);
        advance_ms(&p, 1000);
    }
    veld_engine_free(liar.engine);
    veld_identity_free(own);
    pair_free(&p);
}

Test(engine_handshake, an_unusable_key_is_told_and_never_spoken_to)
{
    struct pair p;
    pair_make(&p);
    const struct veld_engine_peer_config cfg = {.pub = {0}, .endpoint = p.b.address};
    cr_assert_eq(veld_engine_peer_add(p.a.engine, &cfg, &p.a.peer), 0);
    for (int i = 0; i < 2; i++) { /* also when asked again */
        cr_assert_eq(on_peer(&p, &p.a, VELD_EV_NEED_SESSION), 0);
        cr_assert_eq(must(&p.a, VELD_ACT_BAD_KEY).peer, p.a.peer);
        cr_assert_eq(p.a.out.n, 1, "nothing is sent");
        cr_assert_eq(state(&p.a), VELD_PEER_OFFLINE);
        cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX, "nor tried again");
    }
    pair_free(&p);
}

Test(engine_handshake, a_second_handshake_costs_one_diffie_hellman_less_and_is_as_good)
{
    struct pair p;
    pair_init(&p);
    for (int i = 0; i < 3; i++) { /* what is kept is used from the second on, by both */
        handshake(&p, i % 2 ? &p.b : &p.a, i % 2 ? &p.a : &p.b);
        on_peer(&p, &p.a, VELD_EV_GOODBYE);
        on_peer(&p, &p.b, VELD_EV_GOODBYE);
        advance_ms(&p, 1000);
    }
    /* Within a link's life too. */
    handshake(&p, &p.a, &p.b);
    for (int i = 0; i < 3; i++) {
        advance_ms(&p, 6000);
        cr_assert_eq(on_session(&p, &p.a, VELD_EV_REKEY_DUE, current(&p.a), &p.b.address), 0);
        struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
        cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0);
        struct veld_action response = must(&p.b, VELD_ACT_SEND);
        struct veld_action theirs = must(&p.b, VELD_ACT_INSTALL);
        cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
        struct veld_action ours = must(&p.a, VELD_ACT_INSTALL);
        cr_assert_arr_eq(ours.session.send_key, theirs.session.recv_key, 32);
        cr_assert_eq(on_session(&p, &p.b, VELD_EV_CONFIRMED, theirs.index, &p.a.address), 0);
        cr_assert_eq(on_session(&p, &p.a, VELD_EV_CONFIRMED, ours.index, &p.b.address), 0);
    }
    pair_free(&p);
}

Test(engine_handshake, other_networks_and_secrets_do_not_mix)
{
    for (unsigned k = 0; k < 2; k++) {
        struct pair p;
        pair_init(&p);
        struct veld_engine_config cfg = {.identity = p.b.identity,
                                         .psk = {1, 2, 3},
                                         .lanes = 4,
                                         .max_peers = 8,
                                         .random = test_random_fn,
                                         .random_ctx = &p.b.random};
        if (k == 0)
            cfg.network_id[5] = 1;
        else
            cfg.psk[0] ^= 1;
        veld_engine_free(p.b.engine);
        p.b.engine = veld_engine_new(&cfg);
        add_peer(&p.b, &p.a, 0);
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
        int rc = deliver(&p, &p.a, &p.b, &initiation);
        if (k == 0) {
            cr_assert_eq(rc, DROPPED(HANDSHAKE));
        } else { /* psk2: it is the response that cannot be read */
            struct veld_action response = must(&p.b, VELD_ACT_SEND);
            cr_assert_eq(deliver(&p, &p.b, &p.a, &response), DROPPED(HANDSHAKE));
        }
        cr_assert_eq(current(&p.a), 0);
        pair_free(&p);
    }
}

Test(engine_handshake, one_initiation_per_peer_in_20_ms)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action first = must(&p.a, VELD_ACT_SEND);
    cr_assert_gt(run_timers(&p, &p.a, 6000), 0);
    struct veld_action second = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &first), 0);
    advance_ms(&p, 19);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &second), DROPPED(RATE));
    advance_ms(&p, 1);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &second), 0, "the refused one was not used up");
    pair_free(&p);
}

Test(engine_handshake, addresses_that_cannot_be_answered_are_dropped)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    static const char *const bad[] = {"0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:9", "[::]:1",
                                      "[ff02::1]:1"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct veld_endpoint from = ep(bad[i]);
        cr_assert_eq(deliver_from(&p, &p.b, &initiation, &from, false), DROPPED(ADDRESS), "%s",
                     bad[i]);
        cr_assert_eq(p.b.out.n, 0);
    }
    struct veld_endpoint port0 = p.a.address, local = ep("127.0.0.1:7");
    port0.port = 0;
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &port0, true), DROPPED(ADDRESS));
    cr_assert_eq(deliver_from(&p, &p.b, &initiation, &local, false), 0, "two on one host");
    pair_free(&p);
}

/* ---- Timestamps ---- */

Test(engine_handshake, works_over_clock_steps_and_restarts)
{
    struct pair p;
    pair_init(&p);
    uint64_t floor = 0;
    static const int64_t step_s[] = {0, -86400, 86400 * 30, -86400 * 60, 5};
    for (unsigned k = 0; k < sizeof step_s / sizeof step_s[0]; k++) {
        p.now.wall_ns += (uint64_t)(step_s[k] * (int64_t)VELD_NS_PER_S);
        on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
        struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
        if (action(&p.a, VELD_ACT_PERSIST_TIMESTAMP))
            floor = must(&p.a, VELD_ACT_PERSIST_TIMESTAMP).timestamp_floor_ns;
        cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0, "step %u", k);
        veld_engine_free(p.a.engine);
        engine_make(&p.a, floor);
        add_peer(&p.a, &p.b, 0);
        advance_ms(&p, 1000);
    }
    pair_free(&p);
}

/* ---- Under load ---- */

Test(engine_handshake, under_load_a_cookie_proves_the_address)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action first = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver_from(&p, &p.b, &first, &p.a.address, true), DROPPED(MAC2));
    struct veld_action reply = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(p.b.out.n, 1);
    cr_assert_lt(reply.len, first.len, "no longer than what it answers");
    cr_assert(veld_endpoint_equal(&reply.to, &p.a.address));

    struct veld_action forged = reply;
    forged.bytes[50] ^= 1;
    cr_assert_eq(deliver(&p, &p.b, &p.a, &forged), DROPPED(COOKIE));
    forged = reply;
    forged.bytes[4] ^= 1;
    cr_assert_eq(deliver(&p, &p.b, &p.a, &forged), DROPPED(COOKIE), "index of nothing pending");
    cr_assert_eq(p.a.out.n, 0);

    cr_assert_eq(deliver(&p, &p.b, &p.a, &reply), 0);
    struct veld_action second = must(&p.a, VELD_ACT_SEND);
    struct veld_endpoint elsewhere = ep("198.51.100.66:666");
    cr_assert_eq(deliver_from(&p, &p.b, &second, &elsewhere, true), DROPPED(MAC2));
    cr_assert_eq(deliver_from(&p, &p.b, &second, &p.a.address, true), 0);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &reply), DROPPED(COOKIE),
                 "a cookie reply is used once");
    pair_free(&p);
}

Test(engine_handshake, cookies_cause_one_retry_at_once_not_a_storm)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action sent = must(&p.a, VELD_ACT_SEND);
    unsigned sends = 0;
    for (unsigned k = 0; k < 10; k++) {
        /* Somebody who sees each initiation answers each with a valid cookie reply. */
        struct veld_cookie_checker forger;
        veld_cookie_checker_init(&forger, p.b.identity->pub);
        struct veld_action reply = {.len = VELD_COOKIE_REPLY_SIZE};
        veld_cookie_reply(&forger, sent.bytes, sent.len, veld_load_be32(sent.bytes + 4),
                          &p.a.address, p.now.mono_ns, test_random_fn, &p.b.random,
                          reply.bytes);
        deliver(&p, &p.b, &p.a, &reply);
        if (action(&p.a, VELD_ACT_SEND)) {
            sent = must(&p.a, VELD_ACT_SEND);
            sends++;
        }
        advance_ms(&p, 10);
    }
    cr_assert_eq(sends, 1);
    pair_free(&p);
}

Test(engine_handshake, answering_does_not_spoil_a_cookie_on_its_way)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    on_peer(&p, &p.b, VELD_EV_NEED_SESSION);
    struct veld_action from_a = must(&p.a, VELD_ACT_SEND), from_b = must(&p.b, VELD_ACT_SEND);
    deliver_from(&p, &p.b, &from_a, &p.a.address, true);
    struct veld_action reply = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &from_b), 0, "a answers meanwhile");
    cr_assert_eq(deliver(&p, &p.b, &p.a, &reply), 0);
    pair_free(&p);
}

Test(engine_handshake, proved_addresses_are_limited_only_under_load)
{
    struct pair p;
    pair_init(&p);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action first = must(&p.a, VELD_ACT_SEND);
    deliver_from(&p, &p.b, &first, &p.a.address, true);
    struct veld_action reply = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &reply);
    struct veld_action second = must(&p.a, VELD_ACT_SEND);
    for (unsigned k = 0; k < VELD_INITIATIONS_BURST; k++)
        cr_assert_neq(deliver_from(&p, &p.b, &second, &p.a.address, true), DROPPED(RATE));
    cr_assert_eq(deliver_from(&p, &p.b, &second, &p.a.address, true), DROPPED(RATE));
    cr_assert_eq(deliver_from(&p, &p.b, &second, &p.a.address, false), DROPPED(STALE));
    /* Initiations without mac2, as from anybody with that source, do not use it up. */
    advance_ms(&p, 1000);
    for (unsigned k = 0; k < 100; k++)
        cr_assert_eq(deliver_from(&p, &p.b, &first, &p.a.address, true), DROPPED(MAC2));
    cr_assert_eq(deliver_from(&p, &p.b, &second, &p.a.address, true), DROPPED(STALE));
    pair_free(&p);
}

Test(engine_handshake, lanes_are_the_fewest_of_both)
{
    struct pair p;
    pair_make(&p);
    struct veld_engine_config cfg = {.identity = p.b.identity,
                                     .psk = {1, 2, 3},
                                     .lanes = 2,
                                     .max_peers = 8,
                                     .random = test_random_fn,
                                     .random_ctx = &p.b.random};
    veld_engine_free(p.b.engine);
    p.b.engine = veld_engine_new(&cfg);
    add_peer(&p.a, &p.b, 0);
    add_peer(&p.b, &p.a, 0);
    on_peer(&p, &p.a, VELD_EV_NEED_SESSION);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    deliver(&p, &p.a, &p.b, &initiation);
    cr_assert_eq(must(&p.b, VELD_ACT_INSTALL).session.lanes, 2);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    deliver(&p, &p.b, &p.a, &response);
    cr_assert_eq(must(&p.a, VELD_ACT_INSTALL).session.lanes, 2);
    pair_free(&p);
}

/* The search for a path's MTU as the engine runs it: when it begins, and what it says and hears. */
#include "../support/engine_pair.h"

#include "base/bytes.h"
#include "wire/path_size.h"

static struct pair p;
static struct made made;

static void renew(struct side *s)
{
    veld_engine_free(s->engine);
    const struct veld_engine_config cfg = {.identity = s->identity,
                                           .lanes = 4,
                                           .max_peers = 8,
                                           .mtu = 1420,
                                           .random = test_random_fn,
                                           .random_ctx = &s->random};
    s->engine = veld_engine_new(&cfg);
}

static void setup(void)
{
    pair_make(&p);
    renew(&p.a);
    renew(&p.b);
    add_peer(&p.a, &p.b, 0);
    add_peer(&p.b, &p.a, 0);
}

static void teardown(void)
{
    pair_free(&p);
}

TestSuite(engine_probe, .init = setup, .fini = teardown);

static int answer(struct side *s, uint32_t index, uint32_t id, uint16_t size)
{
    const struct veld_message m = {.type = VELD_MSG_PROBED, .id = id, .size = size};
    uint8_t bytes[VELD_MESSAGE_MAX];
    size_t len = veld_message_write(bytes, &m);
    struct veld_endpoint from = s == &p.a ? p.b.address : p.a.address;
    return message(&p, s, index, &from, bytes, len);
}

static uint16_t mtu_of(const struct side *s)
{
    struct veld_peer_info info;
    cr_assert_eq(veld_engine_peer_get(s->engine, s->peer, &info), 0);
    return info.mtu;
}

/* Step the timers until there is a probe. */
static struct veld_action next_probe(struct side *s)
{
    for (unsigned i = 0; i < 20; i++) {
        p.now.mono_ns = VELD_MAX(p.now.mono_ns, veld_engine_deadline(s->engine));
        cr_assert_eq(step(&p, s, &(struct veld_event){.type = VELD_EV_TIMER}), 1);
        if (action(s, VELD_ACT_PROBE))
            break;
    }
    return must(s, VELD_ACT_PROBE);
}

Test(engine_probe, both_begin_with_the_session)
{
    made = half_handshake(&p, &p.a, &p.b);
    struct veld_action probe = must(&p.a, VELD_ACT_PROBE), set = must(&p.a, VELD_ACT_SET_MTU);
    cr_assert_eq(probe.index, made.initiator_index);
    cr_assert_eq(probe.probes.n, 1);
    cr_assert_eq(probe.probes.size[0], 1420);
    cr_assert_eq(set.mtu, 1220);
    cr_assert_not(set.mtu_known);
    cr_assert_eq(mtu_of(&p.b), 0, "its session is not confirmed");
    cr_assert_eq(on_session(&p, &p.b, VELD_EV_CONFIRMED, made.responder_index, &p.a.address),
                 0);
    cr_assert_eq(must(&p.b, VELD_ACT_PROBE).index, made.responder_index);
    cr_assert_eq(mtu_of(&p.b), 1220);

    advance_ms(&p, 20);
    cr_assert_eq(answer(&p.a, made.initiator_index, probe.probe_id, 1420), 0);
    set = must(&p.a, VELD_ACT_SET_MTU);
    cr_assert_eq(set.mtu, 1420);
    cr_assert(set.mtu_known);
    cr_assert_eq(mtu_of(&p.a), 1420);
    cr_assert_null(action(&p.a, VELD_ACT_PROBE));
}

Test(engine_probe, a_probe_is_answered_by_less)
{
    made = handshake(&p, &p.a, &p.b);
    uint8_t bytes[VELD_MESSAGE_MAX] = {0};
    const struct veld_message m = {.type = VELD_MSG_PROBE, .id = 77, .size = 1300};
    veld_message_write(bytes, &m);
    struct veld_endpoint from = ep("192.0.2.77:7");
    cr_assert_eq(message(&p, &p.b, made.responder_index, &from, bytes, 1300), 0);
    struct veld_action said = must(&p.b, VELD_ACT_SEND_MESSAGE);
    struct veld_message parsed;
    cr_assert(veld_endpoint_equal(&said.to, &from));
    cr_assert_eq(said.len, VELD_PROBE_SIZE);
    cr_assert_eq(veld_message_parse(said.bytes, said.len, &parsed), 0);
    cr_assert_eq(parsed.type, VELD_MSG_PROBED);
    cr_assert_eq(parsed.id, 77);
    cr_assert_eq(parsed.size, 1300);
    /* One whose length is not what it says. */
    cr_assert_eq(message(&p, &p.b, made.responder_index, &from, bytes, 1301), DROPPED(MESSAGE));
    cr_assert_null(action(&p.b, VELD_ACT_SEND_MESSAGE));
}

Test(engine_probe, a_new_endpoint_is_searched_anew)
{
    made = handshake(&p, &p.a, &p.b);
    cr_assert_eq(answer(&p.b, made.responder_index, 1, 1420), 0);
    cr_assert_eq(mtu_of(&p.b), 1420);
    struct veld_endpoint moved = ep("[2001:db8::9]:9");
    cr_assert_eq(on_session(&p, &p.b, VELD_EV_MOVED, made.responder_index, &moved), 0);
    cr_assert_eq(mtu_of(&p.b), 1420, "not proved");
    struct veld_action ping = must(&p.b, VELD_ACT_SEND_MESSAGE);
    uint8_t pong[VELD_MESSAGE_MAX];
    memcpy(pong, ping.bytes, ping.len);
    pong[0] = VELD_MSG_PONG;
    cr_assert_eq(message(&p, &p.b, made.responder_index, &moved, pong, ping.len), 0);
    must(&p.b, VELD_ACT_SET_ENDPOINT);
    cr_assert_eq(must(&p.b, VELD_ACT_SET_MTU).mtu, 1200, "IPv6 takes more of a path");
    struct veld_action probe = must(&p.b, VELD_ACT_PROBE);
    cr_assert_eq(answer(&p.b, made.responder_index, 1, 1420), 0);
    cr_assert_eq(mtu_of(&p.b), 1200, "an answer of the path before");
    cr_assert_eq(answer(&p.b, made.responder_index, probe.probe_id, 1420), 0);
    cr_assert_eq(mtu_of(&p.b), 1420);
}

/* New keys change nothing of the path. */
Test(engine_probe, a_new_session_goes_on_with_the_path)
{
    made = handshake(&p, &p.a, &p.b);
    cr_assert_eq(answer(&p.a, made.initiator_index, 1, 1420), 0);
    advance_ms(&p, 1000);
    cr_assert_eq(
        step(&p, &p.a,
             &(struct veld_event){.type = VELD_EV_REKEY_DUE, .index = made.initiator_index}),
        0);
    struct veld_action initiation = must(&p.a, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.a, &p.b, &initiation), 0);
    struct veld_action response = must(&p.b, VELD_ACT_SEND);
    cr_assert_eq(deliver(&p, &p.b, &p.a, &response), 0);
    must(&p.a, VELD_ACT_USE);
    cr_assert_null(action(&p.a, VELD_ACT_PROBE));
    cr_assert_eq(mtu_of(&p.a), 1420);
}

Test(engine_probe, timers_run_and_end)
{
    made = handshake(&p, &p.a, &p.b);
    uint64_t began_ns = p.now.mono_ns;
    struct veld_action probe = next_probe(&p.a);
    cr_assert_leq(p.now.mono_ns - began_ns, 500 * VELD_NS_PER_MS);
    cr_assert_gt(probe.probes.n, 5, "all usual sizes");
    cr_assert_eq(answer(&p.a, made.initiator_index, probe.probe_id, 1340), 0);
    cr_assert_eq(must(&p.a, VELD_ACT_SET_MTU).mtu, 1340);
    cr_assert_eq(on_peer(&p, &p.a, VELD_EV_GOODBYE), 0);
    cr_assert_eq(mtu_of(&p.a), 0);
    cr_assert_eq(veld_engine_deadline(p.a.engine), UINT64_MAX);
}

/* Data goes out, nothing comes back: after a while the size in use is asked for. */
Test(engine_probe, silence_is_suspicious)
{
    made = handshake(&p, &p.a, &p.b);
    cr_assert_eq(answer(&p.a, made.initiator_index, 1, 1420), 0);
    uint64_t heard_ns = p.now.mono_ns, probed_ns = 0;
    for (unsigned i = 0; i < 6 && !probed_ns; i++) {
        advance_ms(&p, 500);
        cr_assert_eq(step(&p, &p.a,
                          &(struct veld_event){.type = VELD_EV_ACTIVITY,
                                               .peer = p.a.peer,
                                               .last_sent_ns = p.now.mono_ns,
                                               .last_sent_data_ns = p.now.mono_ns,
                                               .last_received_ns = heard_ns}),
                     0);
        if (action(&p.a, VELD_ACT_PROBE))
            probed_ns = p.now.mono_ns;
    }
    cr_assert_eq(must(&p.a, VELD_ACT_PROBE).probes.size[0], 1420);
    cr_assert_leq(probed_ns - heard_ns, 2500 * VELD_NS_PER_MS);
}

Test(engine_probe, a_refusal_is_acted_on)
{
    made = handshake(&p, &p.a, &p.b);
    cr_assert_eq(answer(&p.a, made.initiator_index, 1, 1420), 0);
    cr_assert_eq(
        step(&p, &p.a,
             &(struct veld_event){.type = VELD_EV_TOO_BIG, .peer = p.a.peer, .len = 1400}),
        0);
    cr_assert_eq(must(&p.a, VELD_ACT_SET_MTU).mtu, 1220);
    struct veld_action probe = must(&p.a, VELD_ACT_PROBE);
    cr_assert_lt(probe.probes.size[probe.probes.n - 1], 1400);
}

/* Two engines that do not probe, or one that meets messages it does not know. */
Test(engine_probe, none_without_an_mtu)
{
    struct pair old;
    pair_init(&old);
    struct made m = handshake(&old, &old.a, &old.b);
    cr_assert_null(action(&old.a, VELD_ACT_PROBE));
    const struct veld_message probed = {.type = VELD_MSG_PROBED, .id = 0, .size = 1400};
    uint8_t bytes[VELD_MESSAGE_MAX];
    size_t len = veld_message_write(bytes, &probed);
    cr_assert_eq(message(&old, &old.a, m.initiator_index, &old.b.address, bytes, len), 0);
    cr_assert_eq(old.a.out.n, 0);
    pair_free(&old);
}

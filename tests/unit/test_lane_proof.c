#include "control/lane_proof.h"

#include "crypto/primitives.h"

#include <criterion/criterion.h>

#define TICK (VELD_NS_PER_S / 2)

static struct veld_lane_proof p;
static uint64_t now;

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    p = (struct veld_lane_proof){0};
    now = 100 * VELD_NS_PER_S;
}

TestSuite(lane_proof, .init = setup);

static uint64_t tick(uint64_t busy)
{
    now += TICK;
    return veld_lane_proof_step(&p, busy, now);
}

static bool answer(unsigned worker)
{
    struct veld_message m = veld_lane_proof_ping(&p, worker);
    cr_assert_eq(m.type, VELD_MSG_PING);
    m.type = VELD_MSG_PONG;
    return veld_lane_proof_pong(&p, &m);
}

Test(lane_proof, who_is_quiet_is_not_asked_for)
{
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(tick(0), 0);
    cr_assert(veld_lane_proof_idle(&p));
}

Test(lane_proof, an_answer_proves_that_port_alone)
{
    cr_assert_eq(tick(6), 6);
    cr_assert_eq(p.proved, 0);
    cr_assert(answer(2));
    cr_assert_eq(p.proved, 4);
    cr_assert_not(answer(2), "answered already");
    cr_assert_not(answer(3), "not asked");
    cr_assert_not(answer(64));
    cr_assert_not(answer(255));
    struct veld_message m = veld_lane_proof_ping(&p, 1);
    for (unsigned i = 1; i < sizeof m.token; i++) {
        m.token[i] ^= 1;
        cr_assert_not(veld_lane_proof_pong(&p, &m), "byte %u", i);
        m.token[i] ^= 1;
    }
    cr_assert_eq(p.proved, 4);
    cr_assert(answer(1));
    cr_assert_eq(p.proved, 6);
    cr_assert_not(veld_lane_proof_idle(&p));
}

Test(lane_proof, three_tries_a_second_apart_then_long_nothing)
{
    unsigned asked = 0;
    uint64_t began = now;
    cr_assert_eq(tick(2), 2);
    while (!p.refused) {
        cr_assert_leq(now - began, 4 * VELD_NS_PER_S);
        asked += tick(2) != 0;
    }
    cr_assert_eq(asked, 2);
    cr_assert_eq(p.proved, 0);
    cr_assert_not(answer(1), "too late");
    for (began = now; now - began < VELD_LANE_REFUSED_NS - TICK;)
        cr_assert_eq(tick(2), 0);
    cr_assert_eq(tick(2), 2, "and again");
    cr_assert(answer(1));
    cr_assert_eq(p.proved, 2);
}

Test(lane_proof, one_that_fails_does_not_stop_the_others)
{
    cr_assert_eq(tick(6), 6);
    cr_assert(answer(1));
    cr_assert_eq(tick(6), 0);
    cr_assert_eq(tick(6), 4, "only what is not answered is repeated");
    while (!p.refused)
        tick(6);
    cr_assert_eq(p.proved, 2);
    cr_assert_eq(p.refused, 4);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t asked = tick(6);
        cr_assert_eq(asked & ~2ull, 0);
        if (asked)
            cr_assert(answer(1));
    }
    cr_assert_eq(p.proved, 2);
}

/* A path that stops taking a port is noticed, and the main port is used again. */
Test(lane_proof, a_proof_is_renewed_or_ends)
{
    tick(2);
    cr_assert(answer(1));
    uint64_t began = now;
    while (tick(2) == 0)
        cr_assert_eq(p.proved, 2);
    cr_assert_eq(now - began, VELD_LANE_ROUND_NS);
    cr_assert_eq(p.proved, 2, "in use while it is asked again");
    while (p.proved)
        tick(2);
    cr_assert_leq(now - began, VELD_LANE_ROUND_NS + 4 * VELD_NS_PER_S);
}

Test(lane_proof, an_old_rounds_answer_proves_nothing)
{
    tick(2);
    struct veld_message old = veld_lane_proof_ping(&p, 1);
    cr_assert(answer(1));
    while (tick(2) == 0)
        ;
    old.type = VELD_MSG_PONG;
    cr_assert_not(veld_lane_proof_pong(&p, &old));
    cr_assert(answer(1));
}

Test(lane_proof, what_is_not_used_is_forgotten)
{
    tick(6);
    answer(1);
    answer(2);
    while (tick(4) == 0)
        ;
    cr_assert_eq(p.proved, 4, "nobody knows whether port 1 is taken still");
    answer(2);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_eq(tick(0), 0);
    cr_assert(veld_lane_proof_idle(&p));
}

Test(lane_proof, a_port_that_takes_the_peers_datagrams_is_never_used)
{
    tick(6);
    answer(1);
    answer(2);
    veld_lane_proof_bar(&p, 1);
    cr_assert_eq(p.proved, 4);
    for (unsigned i = 0; i < 300; i++) {
        uint64_t asked = tick(6);
        cr_assert_eq(asked & ~4ull, 0);
        if (asked)
            answer(2);
    }
    cr_assert_eq(p.proved, 4);
    while (p.proved)
        tick(0);
    cr_assert_not(veld_lane_proof_idle(&p), "it is remembered");

    p = (struct veld_lane_proof){0};
    tick(2);
    veld_lane_proof_bar(&p, 1);
    cr_assert_not(answer(1), "also not by an answer under way");
    cr_assert_eq(p.proved, 0);
}

Test(lane_proof, who_begins_to_send_is_asked_for_at_once)
{
    tick(2);
    answer(1);
    cr_assert_eq(tick(6), 6);
    cr_assert_eq(p.proved, 2);
    answer(2);
    cr_assert_eq(p.proved, 6);
}

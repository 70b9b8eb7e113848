#include "control/reach/homing.h"

#include <criterion/criterion.h>

#define S VELD_NS_PER_S

/* Relays 1..4; what each is like. */
static uint64_t rtt_ns[5];
static bool is_relay_now[5], kept[5];
static unsigned called[5], changes, looks;
static size_t n_known;
static struct veld_homing *homing;
static uint64_t now_ns;

static size_t look(void *ctx, uint32_t out[VELD_HOMING_LOOK_MAX])
{
    looks++;
    for (size_t i = 0; i < n_known; i++)
        out[i] = (uint32_t)i + 1;
    return n_known;
}

static uint64_t rtt(void *ctx, uint32_t relay)
{
    return rtt_ns[relay];
}

static bool is_relay(void *ctx, uint32_t id)
{
    return is_relay_now[id];
}

static void call(void *ctx, uint32_t relay)
{
    called[relay]++;
}

static void keep(void *ctx, uint32_t relay)
{
    cr_assert_not(kept[relay]);
    kept[relay] = true;
}

static void leave(void *ctx, uint32_t relay)
{
    cr_assert(kept[relay]);
    kept[relay] = false;
}

static void on_change(void *ctx)
{
    changes++;
}

static void setup(void)
{
    homing = veld_homing_new(&(struct veld_homing_ops){.look = look,
                                                       .rtt_ns = rtt,
                                                       .is_relay = is_relay,
                                                       .call = call,
                                                       .keep = keep,
                                                       .leave = leave,
                                                       .on_change = on_change});
    now_ns = 1000 * S;
    n_known = 4;
    for (unsigned i = 1; i < 5; i++)
        is_relay_now[i] = true;
}

static void cleanup(void)
{
    veld_homing_free(homing);
}

TestSuite(homing, .init = setup, .fini = cleanup, .timeout = 20);

static void run_for(uint64_t ns)
{
    for (uint64_t end_ns = now_ns + ns; now_ns < end_ns; now_ns += S / 2)
        veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
}

static void expect_homes(unsigned n, uint32_t first, uint32_t second)
{
    uint32_t homes[VELD_HOMES_MAX];
    cr_assert_eq(veld_homing_get(homing, homes), n);
    cr_assert(n < 1 || homes[0] == first, "first: %u", homes[0]);
    cr_assert(n < 2 || homes[1] == second, "second: %u", homes[1]);
    for (uint32_t i = 1; i < 5; i++)
        cr_assert_eq(kept[i], (n > 0 && i == first) || (n > 1 && i == second));
}

Test(homing, who_needs_none_calls_nobody)
{
    veld_homing_run(homing, VELD_HOMING_NOT_NEEDED, now_ns);
    cr_assert_eq(looks, 0);
    cr_assert_eq(changes, 0);
    expect_homes(0, 0, 0);
}

Test(homing, the_two_nearest_that_answer_are_kept)
{
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    for (unsigned i = 1; i < 5; i++)
        cr_assert_eq(called[i], 1);
    rtt_ns[1] = 30, rtt_ns[2] = 10, rtt_ns[4] = 20;
    run_for(VELD_HOMING_LOOK_NS);
    expect_homes(0, 0, 0); /* the third may still answer, and be nearer */
    run_for(S);
    expect_homes(2, 2, 4);
    cr_assert_eq(changes, 1);
    run_for(VELD_HOMING_ONE_MORE_NS + 10 * S);
    cr_assert_eq(looks, 1, "there are enough");
}

Test(homing, when_all_have_answered_nobody_waits)
{
    for (unsigned i = 1; i < 5; i++)
        rtt_ns[i] = 50 - i;
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    expect_homes(2, 4, 3);
    cr_assert_eq(called[1], 0, "it had a session");
}

Test(homing, one_without_a_session_for_long_is_replaced_at_once)
{
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    run_for(3 * S);
    expect_homes(2, 1, 2);
    rtt_ns[1] = 0, rtt_ns[3] = 30;
    run_for(VELD_HOMING_LOST_NS - 2 * S);
    expect_homes(2, 1, 2); /* new keys take a moment */
    run_for(6 * S);
    expect_homes(2, 2, 3);
}

Test(homing, a_short_gap_costs_nothing)
{
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    run_for(3 * S);
    for (unsigned i = 0; i < 5; i++) {
        rtt_ns[1] = 0;
        run_for(VELD_HOMING_LOST_NS - 3 * S);
        rtt_ns[1] = 10;
        run_for(S);
    }
    expect_homes(2, 1, 2);
}

Test(homing, who_relays_no_more_is_left)
{
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    run_for(3 * S);
    is_relay_now[1] = false;
    run_for(4 * S);
    expect_homes(1, 2, 0);
}

Test(homing, who_ceases_to_relay_during_a_look_is_not_kept)
{
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    is_relay_now[1] = false;
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    now_ns += VELD_HOMING_LOOK_NS;
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    expect_homes(1, 2, 0);
}

Test(homing, without_any_answer_a_look_is_made_once_a_minute)
{
    run_for(3 * VELD_HOMING_AGAIN_NS);
    cr_assert_eq(looks, 3, "%u looks", looks);
    expect_homes(0, 0, 0);
    cr_assert_eq(changes, 0);
}

Test(homing, the_first_relay_there_is_becomes_one_soon)
{
    n_known = 0;
    run_for(10 * VELD_HOMING_AGAIN_NS);
    n_known = 1, rtt_ns[1] = 10;
    run_for(VELD_HOMING_ALL_NS + S);
    expect_homes(1, 1, 0);
}

Test(homing, with_one_the_next_look_is_late)
{
    n_known = 2, rtt_ns[1] = 10;
    run_for(VELD_HOMING_ONE_MORE_NS - 10 * S);
    expect_homes(1, 1, 0);
    cr_assert_eq(looks, 1);
    rtt_ns[2] = 10;
    run_for(20 * S);
    expect_homes(2, 1, 2);
}

Test(homing, the_second_relay_there_is_becomes_one_soon)
{
    n_known = 1, rtt_ns[1] = 10;
    run_for(100 * S);
    expect_homes(1, 1, 0);
    cr_assert_eq(called[1], 0, "who has a session is not called");
    n_known = 2, rtt_ns[2] = 10;
    run_for(VELD_HOMING_ALL_NS + S);
    expect_homes(2, 1, 2);
}

Test(homing, all_are_left_when_the_need_ends)
{
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    run_for(3 * S);
    veld_homing_run(homing, VELD_HOMING_NOT_NEEDED, now_ns);
    expect_homes(0, 0, 0);
    cr_assert_eq(changes, 2);
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    cr_assert_eq(looks, 2, "it begins again at once");
}

Test(homing, a_peer_that_is_removed_is_forgotten)
{
    rtt_ns[1] = 10, rtt_ns[2] = 20;
    run_for(3 * S);
    kept[1] = false; /* by whoever removes it */
    is_relay_now[1] = false;
    veld_homing_peer_gone(homing, 1);
    expect_homes(1, 2, 0);
    cr_assert_eq(changes, 1);
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns);
    cr_assert_eq(changes, 2, "nobody shall be sought there");
    rtt_ns[1] = 0, rtt_ns[2] = 0;
    veld_homing_run(homing, VELD_HOMING_NEEDED, now_ns); /* looks at four */
    is_relay_now[3] = true;
    veld_homing_peer_gone(homing, 3);
    rtt_ns[3] = 5, rtt_ns[2] = 20;
    run_for(4 * S);
    expect_homes(1, 2, 0); /* 3 is somebody else by now */
}

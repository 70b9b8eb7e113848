#include "base/clock.h"
#include "control/mesh/link_state.h"

#include "../support/random.h"

#include <criterion/criterion.h>
#include <string.h>

#define S VELD_NS_PER_S

static struct veld_link_state link;
static uint64_t now;

static void setup(void)
{
    veld_link_state_init(&link);
    now = 1000 * S;
}

TestSuite(link_state, .init = setup);

static unsigned step(enum veld_link_event_type type, int err)
{
    struct veld_link_event ev = {.type = type, .err = err};
    return veld_link_step(&link, &ev, now);
}

#define REGISTERED(err) step(VELD_LINK_EV_REGISTERED, err)
#define ENDED(err)      step(VELD_LINK_EV_ENDED, err)

/* Until the timer that runs is due. */
static unsigned wait_timer(void)
{
    cr_assert_neq(link.deadline_ns, UINT64_MAX);
    now = link.deadline_ns;
    return step(VELD_LINK_EV_TIMER, 0);
}

static void connect_link(void)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    cr_assert_eq(step(VELD_LINK_EV_HEARD, 0), 0);
    cr_assert_eq(link.phase, VELD_LINK_WATCHING);
}

Test(link_state, registers_then_watches)
{
    cr_assert_str_eq(veld_link_phase_name(link.phase), "stopped");
    connect_link();
    cr_assert_str_eq(veld_link_phase_name(link.phase), "connected");
    cr_assert_eq(link.deadline_ns, UINT64_MAX, "nothing is left to be done");
    cr_assert_eq(step(VELD_LINK_EV_HEARD, 0), 0);
    cr_assert_eq(step(VELD_LINK_EV_START, 0), 0);
}

Test(link_state, pauses_grow_and_end_with_success)
{
    static const unsigned pauses_ms[] = {500,   1000,  2000,  4000,  8000,
                                         16000, 32000, 60000, 60000, 60000};
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++) {
        cr_assert_eq(REGISTERED(VELD_E_IO), 0);
        cr_assert_eq(link.phase, VELD_LINK_RESTING);
        cr_assert_eq(2 * (link.deadline_ns - now), pauses_ms[i] * VELD_NS_PER_MS, "%zu", i);
        now = link.deadline_ns - 1;
        cr_assert_eq(step(VELD_LINK_EV_TIMER, 0), 0, "too early");
        now++;
        cr_assert_eq(step(VELD_LINK_EV_TIMER, 0), VELD_LINK_DO_REGISTER);
    }
    /* A watch that ends at once is no success. */
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    step(VELD_LINK_EV_HEARD, 0);
    now += VELD_LINK_STEADY_S * S - 1;
    cr_assert_eq(ENDED(VELD_E_IO), 0);
    cr_assert_eq(2 * (link.deadline_ns - now), 60 * S);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    step(VELD_LINK_EV_HEARD, 0);
    now += VELD_LINK_STEADY_S * S;
    cr_assert_eq(ENDED(VELD_E_IO), 0);
    cr_assert_eq(2 * (link.deadline_ns - now), S / 2);
}

Test(link_state, a_pause_is_random_by_half)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t random = 0; random < 5000; random += 7) {
        struct veld_link_event ev = {
            .type = VELD_LINK_EV_REGISTERED, .err = VELD_E_IO, .random = random};
        veld_link_state_init(&link);
        step(VELD_LINK_EV_START, 0);
        veld_link_step(&link, &ev, now);
        uint64_t pause = link.deadline_ns - now;
        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
    }
    cr_assert_geq(least, S / 4);
    cr_assert_lt(least, S / 4 + S / 50);
    cr_assert_leq(most, S / 2 + S / 4);
    cr_assert_gt(most, S / 2 + S / 4 - S / 50);
}

Test(link_state, a_record_with_another_address_is_signed_again_once)
{
    struct veld_link_event ev = {.type = VELD_LINK_EV_REGISTERED, .unpublished = true};
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(veld_link_step(&link, &ev, now), VELD_LINK_DO_REGISTER);
    cr_assert_eq(veld_link_step(&link, &ev, now), VELD_LINK_DO_WATCH);
}

Test(link_state, a_lost_network_is_brought_back_once)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), VELD_LINK_DO_RESTORE);
    cr_assert_eq(step(VELD_LINK_EV_RESTORED, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), 0, "it says one thing and then another");
    cr_assert_eq(link.phase, VELD_LINK_RESTING);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), 0);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    step(VELD_LINK_EV_HEARD, 0);
    ENDED(VELD_E_NOENT);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), VELD_LINK_DO_RESTORE, "after a success again");
    cr_assert_eq(step(VELD_LINK_EV_RESTORED, VELD_E_PERM), 0);
    cr_assert_eq(link.phase, VELD_LINK_RESTING);
}

Test(link_state, a_wrong_signature_may_be_a_wrong_clock)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_AUTH), VELD_LINK_DO_ASK_TIME);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_PERM), 0);
}

Test(link_state, a_watch_that_says_nothing_has_failed)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    cr_assert_eq(link.deadline_ns, now + VELD_LINK_ANSWER_S * S);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_CANCEL);
    cr_assert_eq(step(VELD_LINK_EV_HEARD, 0), 0);
    cr_assert_eq(link.phase, VELD_LINK_RESTING, "too late");
    cr_assert_eq(wait_timer(), 0, "its end was not told yet");
    cr_assert_eq(ENDED(VELD_E_STATE), 0);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
}

Test(link_state, a_changed_record_is_published_beside_the_watch)
{
    connect_link();
    uint64_t published = now;
    now += S;
    cr_assert_eq(step(VELD_LINK_EV_CHANGED, 0), 0);
    cr_assert_eq(link.deadline_ns, published + VELD_LINK_PUBLISH_GAP_S * S);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(step(VELD_LINK_EV_CHANGED, 0), 0, "while the call is under way");
    cr_assert_eq(link.deadline_ns, UINT64_MAX);
    cr_assert_eq(REGISTERED(0), 0, "the watch is open");
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_LIMIT), 0);
    cr_assert_eq(link.phase, VELD_LINK_WATCHING);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER, "again later");
    struct veld_link_event ev = {.type = VELD_LINK_EV_REGISTERED, .unpublished = true};
    for (int i = 0; i < 2; i++) { /* each time signed again, once */
        cr_assert_eq(veld_link_step(&link, &ev, now), VELD_LINK_DO_REGISTER);
        cr_assert_eq(veld_link_step(&link, &ev, now), 0);
        cr_assert_eq(link.deadline_ns, UINT64_MAX);
        step(VELD_LINK_EV_CHANGED, 0);
        cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    }
}

Test(link_state, a_network_that_vanished_is_registered_with_anew)
{
    connect_link();
    step(VELD_LINK_EV_CHANGED, 0);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), VELD_LINK_DO_CANCEL);
    cr_assert_eq(ENDED(VELD_E_STATE), 0);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), VELD_LINK_DO_RESTORE);
}

Test(link_state, what_changes_while_connecting_is_published_after)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(step(VELD_LINK_EV_CHANGED, 0), 0);
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    cr_assert_eq(step(VELD_LINK_EV_HEARD, 0), 0);
    cr_assert_eq(wait_timer(), VELD_LINK_DO_REGISTER);
}

Test(link_state, another_connection_is_used_at_once)
{
    cr_assert_eq(step(VELD_LINK_EV_RENEWED, 0), 0, "stopped");
    connect_link();
    cr_assert_eq(step(VELD_LINK_EV_RENEWED, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(step(VELD_LINK_EV_RENEWED, 0), VELD_LINK_DO_REGISTER, "the call is over too");
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    cr_assert_eq(step(VELD_LINK_EV_HEARD, 0), 0);
    ENDED(VELD_E_IO);
    cr_assert_eq(link.phase, VELD_LINK_RESTING);
    cr_assert_eq(step(VELD_LINK_EV_RENEWED, 0), VELD_LINK_DO_REGISTER, "not after the pause");
}

Test(link_state, stop_ends_the_watch)
{
    connect_link();
    cr_assert_eq(step(VELD_LINK_EV_STOP, 0), VELD_LINK_DO_CANCEL);
    cr_assert_eq(ENDED(VELD_E_STATE), 0);
    cr_assert_eq(link.deadline_ns, UINT64_MAX);
    cr_assert_eq(step(VELD_LINK_EV_STOP, 0), 0);
    cr_assert_eq(link.phase, VELD_LINK_STOPPED);
}

Test(link_state, stop_begins_nothing_more)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    cr_assert_eq(REGISTERED(VELD_E_NOENT), VELD_LINK_DO_RESTORE);
    cr_assert_eq(step(VELD_LINK_EV_STOP, 0), 0);
    cr_assert_eq(step(VELD_LINK_EV_RESTORED, 0), 0);
    cr_assert_eq(link.phase, VELD_LINK_STOPPED);
}

Test(link_state, since_is_the_time_of_what_is_shown)
{
    cr_assert_eq(step(VELD_LINK_EV_START, 0), VELD_LINK_DO_REGISTER);
    uint64_t start = now;
    now += S;
    cr_assert_eq(REGISTERED(0), VELD_LINK_DO_WATCH);
    cr_assert_eq(link.since_ns, start, "still connecting");
    now += S;
    step(VELD_LINK_EV_HEARD, 0);
    cr_assert_eq(link.since_ns, now);
}

/*
 * Whatever the server does: never two registering calls or watches at a time, none
 * before its pause is over, and always a timer or a call that goes on.
 */
Test(link_state, random_servers)
{
    struct test_random r = {7};
    for (int round = 0; round < 2000; round++) {
        unsigned calls = 0, watches = 0;
        setup();
        unsigned todo = step(VELD_LINK_EV_START, 0);
        for (int i = 0; i < 60; i++) {
            uint64_t before = link.phase == VELD_LINK_RESTING ? link.deadline_ns : 0;
            if (todo & (VELD_LINK_DO_REGISTER | VELD_LINK_DO_RESTORE))
                cr_assert_eq(++calls, 1);
            if (todo & VELD_LINK_DO_WATCH)
                cr_assert_eq(++watches, 1);
            if (todo & VELD_LINK_DO_CANCEL)
                cr_assert_eq(watches, 1);
            cr_assert(calls || watches || link.deadline_ns != UINT64_MAX, "it hangs");
            static const int errs[] = {0, 0, VELD_E_IO, VELD_E_NOENT, VELD_E_AUTH, VELD_E_PERM};
            int err = errs[test_random_below(&r, 6)];
            struct veld_link_event ev = {.err = err,
                                         .unpublished = test_random_chance(&r, 200),
                                         .random = (uint32_t)test_random_u64(&r)};
            now += test_random_below(&r, 3 * S);
            unsigned which = (unsigned)test_random_below(&r, 5);
            if (which == 0 && calls) {
                bool restoring = link.phase == VELD_LINK_RESTORING;
                ev.type = restoring ? VELD_LINK_EV_RESTORED : VELD_LINK_EV_REGISTERED;
                calls--;
            } else if (which == 1 && watches) {
                ev.type = VELD_LINK_EV_ENDED;
                watches--;
            } else if (which == 2 && watches) {
                ev.type = VELD_LINK_EV_HEARD;
            } else if (which == 3) {
                ev.type = VELD_LINK_EV_CHANGED;
            } else {
                ev.type = VELD_LINK_EV_TIMER;
            }
            todo = veld_link_step(&link, &ev, now);
            cr_assert(before == 0 || now >= before ||
                          !(todo & ~(unsigned)VELD_LINK_DO_ASK_TIME),
                      "something is called in the pause");
        }
    }
}

#include "control/reach/candidates.h"

#include <criterion/criterion.h>
#include <string.h>

#define S VELD_NS_PER_S

static struct veld_candidates *candidates;
static struct veld_now now;
static struct veld_endpoint list[VELD_MESSAGE_ENDPOINTS_MAX + 1];

static void setup(void)
{
    candidates = veld_candidates_new();
    now = (struct veld_now){.mono_ns = 1000 * S, .wall_ns = 1800000000 * S};
    for (unsigned i = 0; i < VELD_MESSAGE_ENDPOINTS_MAX + 1; i++)
        list[i] = (struct veld_endpoint){.ip = {.family = 4, .b = {192, 0, 2, (uint8_t)i}},
                                         .port = 1};
}

static void cleanup(void)
{
    veld_candidates_free(candidates);
}

TestSuite(candidates, .init = setup, .fini = cleanup, .timeout = 20);

static bool tell(uint32_t peer, struct veld_message *m)
{
    struct veld_message unused;
    if (!veld_candidates_due(candidates, peer, now.mono_ns, m ? m : &unused))
        return false;
    veld_candidates_sent(candidates, peer, now.mono_ns);
    return true;
}

static int take(uint32_t peer, uint64_t sequence)
{
    struct veld_message m = {.type = VELD_MSG_CANDIDATES, .sequence = sequence};
    return veld_candidates_accept(candidates, peer, &m, now.mono_ns);
}

Test(candidates, a_list_is_said_twice_and_then_no_more)
{
    struct veld_message m;
    cr_assert_not(tell(1, NULL), "there is no list yet");
    veld_candidates_set_own(candidates, list, 2, &now);
    cr_assert(tell(1, &m));
    cr_assert_eq(m.n_endpoints, 2);
    cr_assert_eq(m.type, VELD_MSG_CANDIDATES);
    now.mono_ns += VELD_CANDIDATES_GAP_NS - 1;
    cr_assert_not(tell(1, NULL), "too soon");
    now.mono_ns++;
    cr_assert(tell(1, NULL));
    now.mono_ns += 100 * S;
    cr_assert_not(tell(1, NULL));
    veld_candidates_on_use(candidates, 1);
    cr_assert(tell(1, NULL), "new keys");
}

Test(candidates, lists_that_change_quickly_are_sent_slowly)
{
    unsigned sent = 0;
    for (unsigned i = 0; i < 100; i++) {
        veld_candidates_set_own(candidates, list, i % 8, &now);
        veld_candidates_on_use(candidates, 1);
        sent += tell(1, NULL);
        now.mono_ns += S / 10;
    }
    cr_assert_eq(sent, 5, "in ten seconds");
}

Test(candidates, of_two_lists_the_second_has_the_greater_number_whatever_the_clock_does)
{
    struct veld_message first, second;
    veld_candidates_set_own(candidates, list, 1, &now);
    cr_assert(veld_candidates_due(candidates, 1, now.mono_ns, &first));
    now.wall_ns -= 3600 * S;
    veld_candidates_set_own(candidates, list, VELD_MESSAGE_ENDPOINTS_MAX + 1, &now);
    cr_assert(veld_candidates_due(candidates, 1, now.mono_ns, &second));
    cr_assert_gt(second.sequence, first.sequence);
    cr_assert_eq(second.n_endpoints, VELD_MESSAGE_ENDPOINTS_MAX);
}

Test(candidates, only_a_newer_list_is_taken)
{
    cr_assert_eq(take(1, 5), 0);
    cr_assert_eq(take(1, 5), VELD_E_REPLAY);
    cr_assert_eq(take(1, 4), VELD_E_REPLAY);
    cr_assert_eq(take(1, 6), 0);
    cr_assert_eq(take(2, 1), 0, "another's own");
    veld_candidates_forget(candidates, 1);
    cr_assert_eq(take(1, 1), 0, "another peer now");
}

Test(candidates, a_flood_of_lists_is_bounded)
{
    unsigned taken = 0;
    for (uint64_t i = 1; i <= 1000; i++)
        taken += take(1, i) == 0;
    cr_assert_eq(taken, VELD_CANDIDATES_BURST);
    now.mono_ns += S;
    cr_assert_eq(take(1, 2000), 0);
    cr_assert_eq(take(1, 2001), VELD_E_LIMIT);
    now.mono_ns += S;
    cr_assert_eq(take(1, 2001), 0, "one that was not taken may be said again");
}

#include "base/bytes.h"
#include "control/lan/trials.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_lan_trials *trials;
static uint64_t now_ns = VELD_NS_PER_S;

static void setup(void)
{
    trials = veld_lan_trials_new();
}

static void cleanup(void)
{
    veld_lan_trials_free(trials);
}

TestSuite(lan_trials, .init = setup, .fini = cleanup, .timeout = 20);

static void put(unsigned n)
{
    uint8_t pub[32] = {0};
    struct veld_endpoint at = {.ip = {.family = 4, .b = {192, 0, 2, 1}}, .port = 1};
    veld_store_be32(pub, n);
    veld_lan_trials_put(trials, pub, &at, 1, now_ns);
}

static void remove_(unsigned n)
{
    uint8_t pub[32] = {0};
    veld_store_be32(pub, n);
    veld_lan_trials_remove(trials, pub);
}

/* Who is called, by number. */
static bool called[2000];
static unsigned n_called, starts;

static void run(void)
{
    enum veld_lan_step step;
    const struct veld_lan_found *found;
    while (veld_lan_trials_next(trials, now_ns, &step, &found)) {
        unsigned n = veld_load_be32(found->pub);
        cr_assert_eq(called[n], step == VELD_LAN_STOP, "%u", n);
        called[n] = step == VELD_LAN_START;
        n_called += step == VELD_LAN_START ? 1 : -1u;
        starts += step == VELD_LAN_START;
        cr_assert_leq(n_called, VELD_LAN_TRYING_MAX);
    }
}

static void pass(uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        now_ns += VELD_NS_PER_S;
        run();
    }
}

Test(lan_trials, one_is_called_and_left_alone)
{
    put(1);
    run();
    cr_assert(called[1]);
    put(1); /* seen again */
    run();
    pass(VELD_LAN_TRIAL_NS / VELD_NS_PER_S - 1);
    cr_assert(called[1]);
    cr_assert_eq(veld_lan_trials_ended(trials), 0);
    pass(1);
    cr_assert_not(called[1]);
    cr_assert_eq(veld_lan_trials_ended(trials), 1);
    pass(VELD_LAN_REST_NS / VELD_NS_PER_S - 1);
    cr_assert_not(called[1]);
    pass(1);
    cr_assert(called[1], "again later");
}

Test(lan_trials, rests_grow_to_a_bound)
{
    put(1);
    run();
    pass(86400);
    uint64_t longest =
        (VELD_LAN_TRIAL_NS + (VELD_LAN_REST_NS << VELD_LAN_REST_SHIFT)) / VELD_NS_PER_S;
    cr_assert_leq(starts, 5 + 86400 / longest, "%u", starts);
    cr_assert_geq(starts, 86400 / longest, "%u", starts);
}

Test(lan_trials, who_has_proved_itself_is_no_trial)
{
    put(1);
    run();
    remove_(1);
    cr_assert_eq(veld_lan_trials_count(trials), 0);
    called[1] = false;
    n_called = 0;
    pass(100);
    cr_assert_eq(starts, 1);
    put(1);
    run();
    cr_assert(called[1]);
}

Test(lan_trials, a_newcomer_is_called_soon_beside_many_that_do_not_answer)
{
    for (unsigned n = 0; n < 300; n++)
        put(n);
    run();
    cr_assert_eq(n_called, VELD_LAN_TRYING_MAX);
    pass(60);
    put(1000);
    run();
    for (unsigned s = 0; s < VELD_LAN_TRIAL_MIN_NS / VELD_NS_PER_S && !called[1000]; s++)
        pass(1);
    cr_assert(called[1000]);
}

Test(lan_trials, all_are_called_in_time)
{
    bool was[300] = {false};
    for (unsigned n = 0; n < 300; n++)
        put(n);
    run();
    for (unsigned s = 0; s < 3 * VELD_LAN_TRIAL_NS / VELD_NS_PER_S; s++) {
        for (unsigned n = 0; n < 300; n++)
            was[n] |= called[n];
        pass(1);
    }
    for (unsigned n = 0; n < 300; n++)
        cr_assert(was[n], "%u", n);
}

/* Thousands of new keys, one after the other: who was called gets its time all the same. */
Test(lan_trials, a_flood_shortens_no_trial_below_its_least)
{
    put(0);
    run();
    for (unsigned n = 1; n < VELD_LAN_TRIAL_MIN_NS / VELD_NS_PER_S; n++) {
        for (unsigned k = 0; k < 200; k++)
            put(1 + (n * 200 + k) % 1900);
        run();
        cr_assert(called[0]);
        pass(1);
    }
    cr_assert_leq(veld_lan_trials_count(trials), VELD_LAN_TRIALS_MAX);
}

#include "control/reach/allowances.h"

#include <criterion/criterion.h>

#define MS  VELD_NS_PER_MS
#define GAP VELD_ALLOWANCE_OFFER_GAP_NS

static struct veld_allowances *a;
static uint64_t now_ns;

static void setup(void)
{
    a = veld_allowances_new();
    now_ns = 1000 * VELD_NS_PER_S;
}

static void cleanup(void)
{
    veld_allowances_free(a);
}

TestSuite(allowances, .init = setup, .fini = cleanup, .timeout = 20);

static bool offer(uint32_t from, uint32_t to)
{
    if (!veld_allowances_may_offer(a, from, to, now_ns))
        return false;
    veld_allowances_offered(a, from, to, now_ns);
    return true;
}

Test(allowances, a_member_asks_so_often_and_no_more)
{
    unsigned asked = 0;
    for (int i = 0; i < 1000; i++)
        asked += veld_allowances_ask(a, 1, now_ns);
    cr_assert_eq(asked, VELD_ALLOWANCE_BURST);
    cr_assert(veld_allowances_ask(a, 2, now_ns), "another's own");
    now_ns += 1000 * MS / VELD_ALLOWANCE_PER_S - 1;
    cr_assert_not(veld_allowances_ask(a, 1, now_ns));
    now_ns++;
    cr_assert(veld_allowances_ask(a, 1, now_ns));
    now_ns += 3600 * VELD_NS_PER_S;
    for (asked = 0; veld_allowances_ask(a, 1, now_ns);)
        asked++;
    cr_assert_eq(asked, VELD_ALLOWANCE_BURST, "what is not used is not saved up");
}

Test(allowances, a_member_has_so_many_circuits)
{
    for (int i = 0; i < VELD_ALLOWANCE_CIRCUITS; i++)
        cr_assert(veld_allowances_take(a, 1));
    cr_assert_not(veld_allowances_take(a, 1));
    cr_assert(veld_allowances_take(a, 2));
    veld_allowances_give(a, 1);
    cr_assert(veld_allowances_take(a, 1));
    cr_assert_not(veld_allowances_take(a, 1));
}

Test(allowances, one_is_offered_another_so_often)
{
    cr_assert(offer(1, 2));
    cr_assert_not(offer(1, 2));
    cr_assert(offer(2, 1), "the other way");
    cr_assert(offer(1, 3));
    now_ns += GAP - 1;
    veld_allowances_expire(a, now_ns);
    cr_assert_not(offer(1, 2));
    now_ns++;
    cr_assert(offer(1, 2));
    cr_assert_not(offer(1, 2));
}

Test(allowances, a_member_is_offered_so_much_by_all_others)
{
    unsigned offered = 0;
    for (uint32_t from = 1; from < 1000; from++)
        offered += offer(from, 0);
    cr_assert_eq(offered, VELD_ALLOWANCE_BURST);
    cr_assert(veld_allowances_ask(a, 0, now_ns), "it may ask all the same");
    now_ns += 1000 * MS / VELD_ALLOWANCE_PER_S;
    cr_assert(offer(5000, 0));
    cr_assert_not(offer(5001, 0));
}

Test(allowances, what_may_be_but_is_not_sent_costs_nothing)
{
    for (int i = 0; i < 1000; i++)
        cr_assert(veld_allowances_may_offer(a, 1, 2, now_ns));
}

Test(allowances, offers_are_remembered_in_bounds_and_forgotten_in_time)
{
    unsigned offered = 0;
    for (uint32_t i = 0; i < 2 * VELD_ALLOWANCE_OFFERS_MAX; i++)
        offered += offer(i, 1000000 + i);
    cr_assert_eq(offered, VELD_ALLOWANCE_OFFERS_MAX);
    now_ns += GAP;
    veld_allowances_expire(a, now_ns);
    cr_assert(offer(2 * VELD_ALLOWANCE_OFFERS_MAX, 0));
}

Test(allowances, the_next_member_of_a_number_begins_anew)
{
    while (veld_allowances_ask(a, 1, now_ns))
        ;
    veld_allowances_forget(a, 1);
    cr_assert(veld_allowances_ask(a, 1, now_ns));
}

#include "control/reach/portmap_plan.h"

#include <criterion/criterion.h>

#define S VELD_NS_PER_S

static struct veld_portmap_plan plan;
static uint64_t now;

static struct veld_portmap_net net(enum veld_portmap_why why, uint8_t gateway, uint8_t own)
{
    return (struct veld_portmap_net){
        .why = why, .gateway = {{4, {192, 168, 1, gateway}}, {4, {192, 168, 1, own}}, 2}};
}

static void enter(struct veld_portmap_net n)
{
    veld_portmap_plan_on_net(&plan, &n, now);
}

static bool due(void)
{
    return veld_portmap_plan_is_due(&plan, now);
}

static struct veld_portmap_answer mapped(uint32_t lease_s)
{
    return (struct veld_portmap_answer){.result = VELD_PORTMAP_MAPPED,
                                        .mapped = {{4, {203, 0, 113, 7}}, 51820, 0},
                                        .lease_s = lease_s};
}

static enum veld_portmap_do answer(struct veld_portmap_answer a)
{
    uint32_t number = veld_portmap_plan_begin(&plan, now);
    return veld_portmap_plan_on_answer(&plan, number, &a, now);
}

static enum veld_portmap_do fails(enum veld_portmap_result result)
{
    return answer((struct veld_portmap_answer){.result = result});
}

static void setup(void)
{
    now = 1000 * S;
    veld_portmap_plan_init(&plan);
    cr_assert_not(due());
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
}

TestSuite(portmap_plan, .init = setup, .timeout = 20);

Test(portmap_plan, asked_at_once_and_once)
{
    cr_assert(due());
    cr_assert_eq(plan.why, VELD_PORTMAP_WHY_ASKING);
    veld_portmap_plan_begin(&plan, now);
    now += 100 * S;
    cr_assert_not(due());
    cr_assert_eq(veld_portmap_plan_deadline(&plan), UINT64_MAX);
}

Test(portmap_plan, nobody_is_asked_against_a_reason)
{
    static const enum veld_portmap_why whys[] = {VELD_PORTMAP_WHY_OFF, VELD_PORTMAP_WHY_PUBLIC,
                                                 VELD_PORTMAP_WHY_NO_IPV4,
                                                 VELD_PORTMAP_WHY_NO_GATEWAY};
    for (unsigned i = 0; i < 4; i++) {
        enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
        answer(mapped(7200));
        cr_assert(veld_portmap_plan_holds(&plan));
        enter(net(whys[i], 1, 2));
        now += 10000 * S;
        cr_expect_not(due());
        cr_expect_not(veld_portmap_plan_holds(&plan));
        cr_expect_eq(plan.why, whys[i]);
        cr_expect_eq(veld_portmap_plan_deadline(&plan), UINT64_MAX);
    }
}

Test(portmap_plan, renewed_at_half_of_the_lease)
{
    cr_assert_eq(answer(mapped(7200)), VELD_PORTMAP_DO_NOTHING);
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + 3600 * S);
    now += 3600 * S - 1;
    cr_assert_not(due());
    now += 1;
    cr_assert(due());
    answer(mapped(7200));
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + 3600 * S);
}

Test(portmap_plan, a_mapping_without_a_lease_is_looked_after)
{
    answer(mapped(0));
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + 3600 * S);
    now += 100 * S;
    cr_assert_not(due());
    cr_assert(veld_portmap_plan_holds(&plan));
}

Test(portmap_plan, a_short_lease_is_no_license_to_be_asked_all_day)
{
    answer(mapped(1));
    cr_assert(veld_portmap_plan_holds(&plan));
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + S);
    now += S;
    cr_assert_not(due());
    cr_assert_not(veld_portmap_plan_holds(&plan), "its time is over");
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now - S + VELD_PORTMAP_GAP_NS);
    now += VELD_PORTMAP_GAP_NS;
    cr_assert(due());
}

Test(portmap_plan, silence_leaves_a_mapping_until_its_lease_is_over)
{
    answer(mapped(7200));
    uint64_t end = now + 7200 * S;
    for (now += 3600 * S; now < end; now = veld_portmap_plan_deadline(&plan)) {
        cr_assert(due());
        fails(VELD_PORTMAP_SILENT);
        cr_assert(veld_portmap_plan_holds(&plan));
    }
    cr_assert_eq(now, end);
    due();
    cr_assert_not(veld_portmap_plan_holds(&plan));
    cr_assert_eq(plan.why, VELD_PORTMAP_WHY_SILENT);
}

Test(portmap_plan, a_refusal_ends_a_mapping)
{
    static const enum veld_portmap_why whys[] = {
        [VELD_PORTMAP_REFUSED] = VELD_PORTMAP_WHY_REFUSED,
        [VELD_PORTMAP_NO_ADDRESS] = VELD_PORTMAP_WHY_NO_ADDRESS};
    for (unsigned i = VELD_PORTMAP_REFUSED; i <= VELD_PORTMAP_NO_ADDRESS; i++) {
        answer(mapped(7200));
        fails((enum veld_portmap_result)i);
        cr_expect_not(veld_portmap_plan_holds(&plan));
        cr_expect_eq(plan.why, whys[i]);
    }
}

Test(portmap_plan, pauses_grow_and_are_bounded)
{
    uint64_t pause = VELD_PORTMAP_PAUSE_NS;
    for (int i = 0; i < 20; i++) {
        cr_assert(due());
        fails(VELD_PORTMAP_SILENT);
        cr_assert_eq(veld_portmap_plan_deadline(&plan), now + pause, "%d", i);
        now += pause - 1;
        cr_assert_not(due());
        now += 1;
        pause = 2 * pause < VELD_PORTMAP_PAUSE_MAX_NS ? 2 * pause : VELD_PORTMAP_PAUSE_MAX_NS;
    }
    answer(mapped(7200));
    fails(VELD_PORTMAP_SILENT);
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + VELD_PORTMAP_PAUSE_NS, "anew");
}

Test(portmap_plan, an_answer_of_an_earlier_network_is_dropped)
{
    struct veld_portmap_answer a = mapped(7200);
    uint32_t number = veld_portmap_plan_begin(&plan, now);
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 3));
    cr_assert(due(), "this one is asked for at once");
    cr_assert_eq(veld_portmap_plan_on_answer(&plan, number, &a, now), VELD_PORTMAP_DO_NOTHING);
    cr_assert_not(veld_portmap_plan_holds(&plan));
    uint32_t next = veld_portmap_plan_begin(&plan, now);
    cr_assert_neq(number, next);
    veld_portmap_plan_on_answer(&plan, number, &a, now);
    cr_assert_not(veld_portmap_plan_holds(&plan));
    veld_portmap_plan_on_answer(&plan, next, &a, now);
    cr_assert(veld_portmap_plan_holds(&plan));
    a.result = VELD_PORTMAP_REFUSED;
    veld_portmap_plan_on_answer(&plan, next, &a, now);
    cr_assert(veld_portmap_plan_holds(&plan), "each question has one answer");
}

Test(portmap_plan, another_network_ends_what_is_held_and_the_pauses)
{
    answer(mapped(7200));
    enter(net(VELD_PORTMAP_WHY_ASKING, 9, 2));
    cr_assert(due() && !veld_portmap_plan_holds(&plan));
    for (int i = 0; i < 5; i++)
        fails(VELD_PORTMAP_SILENT);
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
    cr_assert(due());
    fails(VELD_PORTMAP_SILENT);
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + VELD_PORTMAP_PAUSE_NS);
    struct veld_portmap_net n = net(VELD_PORTMAP_WHY_ASKING, 1, 2);
    n.gateway.ifindex = 3;
    enter(n);
    cr_assert(due(), "the same addresses, but on another wire");
}

Test(portmap_plan, the_same_network_is_asked_anew_but_not_all_the_time)
{
    answer(mapped(7200));
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
    cr_assert(veld_portmap_plan_holds(&plan));
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + VELD_PORTMAP_AGAIN_NS);
    now += 100 * S;
    answer(mapped(7200));
    now += 100 * S;
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
    cr_assert(due() && veld_portmap_plan_holds(&plan));
    veld_portmap_plan_begin(&plan, now);
    enter(net(VELD_PORTMAP_WHY_ASKING, 1, 2));
    cr_assert_not(due(), "it is being asked");
}

Test(portmap_plan, a_private_address_outside_is_given_back)
{
    static const uint8_t addresses[][4] = {
        {10, 0, 0, 1},  {100, 64, 0, 2},  {192, 168, 0, 1}, {172, 16, 0, 1},     {127, 0, 0, 1},
        {224, 0, 0, 1}, {169, 254, 1, 1}, {0, 0, 0, 0},     {255, 255, 255, 255}};
    for (unsigned i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct veld_portmap_answer a = mapped(7200);
        memcpy(a.mapped.ip.b, addresses[i], 4);
        answer(mapped(7200));
        cr_expect_eq(answer(a), VELD_PORTMAP_DO_UNMAP, "%u", i);
        cr_expect_not(veld_portmap_plan_holds(&plan));
        cr_expect_eq(plan.why, VELD_PORTMAP_WHY_DOUBLE_NAT);
        cr_expect(veld_ip_equal(&plan.outside, &a.mapped.ip));
    }
}

Test(portmap_plan, without_its_program)
{
    uint32_t number = veld_portmap_plan_begin(&plan, now);
    veld_portmap_plan_on_answer(&plan, number, NULL, now);
    cr_assert_eq(plan.why, VELD_PORTMAP_WHY_NO_PROGRAM);
    cr_assert_eq(veld_portmap_plan_deadline(&plan), now + VELD_PORTMAP_PAUSE_NS);
}

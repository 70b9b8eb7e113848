#include "control/reach/hairpin.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct veld_endpoint mapped = {{4, {203, 0, 113, 7}}, 51820, 0};
static const uint8_t id[VELD_STUN_ID_SIZE] = "twelve bytes",
                     other[VELD_STUN_ID_SIZE] = "twelve bytez";
static struct veld_hairpin h;
static uint64_t now = 1000 * VELD_NS_PER_S;

static void begin(void)
{
    h = (struct veld_hairpin){0};
    veld_hairpin_begin(&h, &mapped, id);
}

TestSuite(hairpin, .init = begin, .timeout = 20);

Test(hairpin, without_a_mapped_address_nothing_is_known)
{
    h = (struct veld_hairpin){0};
    cr_assert_not(veld_hairpin_is_due(&h, now));
    cr_assert(veld_hairpin_is_over(&h));
    cr_assert_not(veld_hairpin_take(&h, h.id), "an id of zeros is none");
    cr_assert_eq(veld_hairpin_verdict(&h), VELD_HAIRPIN_UNKNOWN);
}

Test(hairpin, so_many_are_sent_and_then_it_is_a_no)
{
    for (int i = 0; i < VELD_HAIRPIN_SENDS; i++) {
        cr_assert(veld_hairpin_is_due(&h, now), "%d", i);
        cr_assert_not(veld_hairpin_is_due(&h, now));
        cr_assert_not(veld_hairpin_is_due(&h, now + VELD_HAIRPIN_GAP_NS - 1));
        cr_assert_not(veld_hairpin_is_over(&h));
        cr_assert_eq(veld_hairpin_verdict(&h), VELD_HAIRPIN_UNKNOWN, "it may come still");
        now += VELD_HAIRPIN_GAP_NS;
    }
    cr_assert_not(veld_hairpin_is_due(&h, now), "the last one had its time");
    cr_assert(veld_hairpin_is_over(&h));
    cr_assert_eq(veld_hairpin_verdict(&h), VELD_HAIRPIN_NO);
    cr_assert_not(veld_hairpin_is_due(&h, now + VELD_NS_PER_S));
}

Test(hairpin, what_comes_back_is_a_yes)
{
    cr_assert(veld_hairpin_is_due(&h, now));
    cr_assert(veld_hairpin_take(&h, id));
    cr_assert(veld_hairpin_is_over(&h));
    cr_assert_not(veld_hairpin_is_due(&h, now + VELD_NS_PER_S));
    cr_assert_eq(veld_hairpin_verdict(&h), VELD_HAIRPIN_YES);
}

Test(hairpin, anothers_request_is_none)
{
    cr_assert_not(veld_hairpin_take(&h, id), "none was sent");
    veld_hairpin_is_due(&h, now);
    cr_assert_not(veld_hairpin_take(&h, other));
    cr_assert_not(veld_hairpin_is_over(&h));
    cr_assert_eq(veld_hairpin_verdict(&h), VELD_HAIRPIN_UNKNOWN);
}

Test(hairpin, begins_once)
{
    const struct veld_endpoint elsewhere = {{4, {203, 0, 113, 8}}, 1, 0};
    veld_hairpin_is_due(&h, now);
    veld_hairpin_begin(&h, &elsewhere, other);
    cr_assert(veld_endpoint_equal(&h.to, &mapped));
    cr_assert(veld_hairpin_take(&h, id) && !veld_hairpin_take(&h, other));
}

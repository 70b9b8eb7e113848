#include "base/bytes.h"
#include "control/mesh/departed.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>

static struct veld_departed *departed;

static void setup(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    departed = veld_departed_new();
}

static void cleanup(void)
{
    veld_departed_free(departed);
}

TestSuite(departed, .init = setup, .fini = cleanup, .timeout = 60);

static const uint8_t *pub(uint32_t key)
{
    static uint8_t p[32];
    veld_store_be32(p, key);
    return p;
}

Test(departed, what_is_older_is_known)
{
    cr_assert_not(veld_departed_is_older(departed, pub(1), 0, 0), "nothing is known");
    veld_departed_note(departed, pub(1), 5, 7);
    cr_assert(veld_departed_is_older(departed, pub(1), 4, 7));
    cr_assert(veld_departed_is_older(departed, pub(1), 6, 6));
    cr_assert_not(veld_departed_is_older(departed, pub(1), 5, 7), "the same");
    cr_assert_not(veld_departed_is_older(departed, pub(1), 6, 7));
    cr_assert_not(veld_departed_is_older(departed, pub(2), 4, 7), "another's");
}

Test(departed, it_only_grows)
{
    veld_departed_note(departed, pub(1), 5, 7);
    veld_departed_note(departed, pub(1), 3, 9);
    veld_departed_note(departed, pub(1), 4, 1);
    cr_assert_eq(veld_departed_count(departed), 1);
    cr_assert(veld_departed_is_older(departed, pub(1), 4, 9));
    cr_assert(veld_departed_is_older(departed, pub(1), 5, 8));
    cr_assert_not(veld_departed_is_older(departed, pub(1), 5, 9));
}

Test(departed, it_is_bounded_and_forgets_who_left_first)
{
    for (uint32_t i = 0; i <= VELD_DEPARTED_MAX; i++)
        veld_departed_note(departed, pub(i), 5, 5);
    cr_assert_eq(veld_departed_count(departed), VELD_DEPARTED_MAX);
    cr_assert_not(veld_departed_is_older(departed, pub(0), 4, 4));
    cr_assert(veld_departed_is_older(departed, pub(1), 4, 4));
    cr_assert(veld_departed_is_older(departed, pub(VELD_DEPARTED_MAX), 4, 4));
}

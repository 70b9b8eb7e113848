#include "trust/membership.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>

static struct test_trust t;

static void init(void)
{
    test_trust_make(&t);
}

static void fini(void)
{
    test_trust_free(&t);
}

TestSuite(trust_membership, .init = init, .fini = fini, .timeout = 60);

Test(trust_membership, is_proved_by_every_chain_there_is)
{
    for (int by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        cr_assert_str_eq(m.membership.name, "server1");
        cr_assert_eq(m.membership.by_token, by == TEST_BY_TOKEN || by == TEST_BY_ADMINS_TOKEN);
        test_member_free(&m);
    }
}

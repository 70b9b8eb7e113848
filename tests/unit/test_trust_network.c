#include "trust/network.h"
#include "crypto/primitives.h"

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

TestSuite(trust_network, .init = init, .fini = fini, .timeout = 60);

Test(trust_network, is_read_as_it_was_made)
{
    uint8_t id[32];
    veld_network_id(id, t.owner);
    cr_assert_arr_eq(t.network.id, id, 32);
    cr_assert_arr_eq(t.network.owner, t.owner, 32);
    cr_assert_str_eq(t.network.name, "mynet");
    cr_assert_eq(t.network.ipv4.len, 16);
    cr_assert_eq(t.network.created_s, TEST_TRUST_NOW - 86400);
}

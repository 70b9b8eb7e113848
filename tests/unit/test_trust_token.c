#include "trust/token.h"

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

TestSuite(trust_token, .init = init, .fini = fini, .timeout = 60);

Test(trust_token, is_read_as_it_was_made)
{
    char text[VELD_TOKEN_TEXT_MAX];
    struct veld_token token = test_token(&t, 1), out;
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    for (size_t i = 0; i < VELD_ARRAY_LEN(signers); i++) {
        cr_assert_eq(veld_token_make(text, &signers[i], t.network.id, &token), 0);
        cr_assert_eq(strncmp(text, "veld1", 5), 0);
        cr_assert_eq(veld_token_read(text, &out), 0);
        cr_assert_str_eq(out.coord, token.coord);
        cr_assert_arr_eq(out.network_id, t.network.id, 32);
        cr_assert_arr_eq(out.seed, token.seed, 32);
        cr_assert_eq(out.expires_s, token.expires_s);
    }
}

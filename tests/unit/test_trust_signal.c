#include "trust/signal.h"

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

TestSuite(trust_signal, .init = init, .fini = fini, .timeout = 60);

Test(trust_signal, is_opened_by_its_receiver)
{
    struct veld_identity *a = test_trust_identity(1), *b = test_trust_identity(2);
    uint8_t nonce[24] = {9};
    struct veld_call call = {.sequence = 5, .n_endpoints = 1}, out;
    struct veld_blob sealed = {0};
    cr_assert_eq(veld_endpoint_parse("192.0.2.1:4500", &call.endpoints[0]), 0);
    cr_assert_eq(veld_signal_seal(&sealed, a, b->pub, t.network.id, nonce, &call), 0);
    cr_assert_eq(veld_signal_open(sealed.p, sealed.len, b, a->pub, t.network.id, &out), 0);
    cr_assert_eq(out.sequence, 5);
    cr_assert(veld_endpoint_equal(&out.endpoints[0], &call.endpoints[0]));
    veld_blob_clear(&sealed);
    veld_identity_free(a);
    veld_identity_free(b);
}

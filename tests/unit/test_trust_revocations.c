#include "trust/revocations.h"
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

TestSuite(trust_revocations, .init = init, .fini = fini, .timeout = 60);

Test(trust_revocations, take_a_member_out)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_TOKEN);
    struct veld_signer signers[] = {test_owner(&t), test_admin(&t)};
    for (size_t i = 0; i < VELD_ARRAY_LEN(signers); i++) {
        struct veld_revoked_entry e = {0};
        struct veld_blob list = {0};
        struct veld_revocations *r;
        struct veld_membership out;
        memcpy(e.key, m.id->pub, 32);
        cr_assert_eq(veld_revocations_add(&list, &signers[i], t.network.id, NULL, &e, t.now_s),
                     0);
        cr_assert_eq(veld_revocations_read(list.p, list.len, t.network.id, NULL, &r), 0);
        cr_assert(veld_revoked(r, m.id->pub));
        cr_assert_eq(
            veld_membership_read(m.chain.p, m.chain.len, t.network.id, r, t.now_s, &out),
            VELD_E_PERM);
        veld_revocations_free(r);
        veld_blob_clear(&list);
    }
    test_member_free(&m);
}

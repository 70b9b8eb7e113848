#include "trust/join_request.h"

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

TestSuite(trust_join_request, .init = init, .fini = fini, .timeout = 60);

Test(trust_join_request, is_read_as_it_was_signed)
{
    struct veld_identity *id = test_trust_identity(1);
    struct veld_join_request r = {.name = "server1", .created_s = t.now_s}, out;
    struct veld_blob b = {0};
    memcpy(r.network_id, t.network.id, 32);
    memcpy(r.member, id->pub, 32);
    cr_assert_eq(veld_join_request_sign(&b, id->seed, &r), 0);
    cr_assert_eq(veld_join_request_read(b.p, b.len, &out), 0);
    cr_assert_str_eq(out.name, "server1");
    veld_blob_clear(&b);
    veld_identity_free(id);
}

Test(trust_join_request, code_is_taken_as_people_type_it)
{
    const char code[] = "01AB-CDEF";
    const char *good[] = {"01AB-CDEF", "01ABCDEF", "oiab-cdef", "OLab-cdEF", "0Iabcdef"};
    const char *bad[] = {"", "01AB-CDE", "01AB-CDEFG", "01AB--CDEF", "11AB-CDEF", "01AB-CDEU"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++)
        cr_assert(veld_join_code_matches(good[i], code), "%s", good[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_assert_not(veld_join_code_matches(bad[i], code), "%s", bad[i]);
}

#include "trust/record.h"

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

TestSuite(trust_record, .init = init, .fini = fini, .timeout = 60);

Test(trust_record, is_read_as_it_was_signed)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_ADMINS_TOKEN);
    struct veld_record r = test_record(&m, 7), out;
    cr_assert_eq(veld_ip_parse("10.100.0.2", &r.ipv4), 0);
    cr_assert_eq(veld_endpoint_parse("[2001:db8::1]:51820", &r.endpoints[r.n_endpoints++]), 0);
    struct veld_blob b = test_peer_record(&m, &r);
    cr_assert_eq(veld_record_read(b.p, b.len, &t.network, NULL, t.now_s, &out), 0);
    cr_assert_eq(out.sequence, 7);
    cr_assert(veld_ip_equal(&out.ipv4, &r.ipv4));
    cr_assert(veld_endpoint_equal(&out.endpoints[0], &r.endpoints[0]));
    cr_assert_eq(
        veld_record_read_known(b.p, b.len, &t.network, &m.membership, NULL, t.now_s, &out), 0);
    veld_blob_clear(&b);
    test_member_free(&m);
}

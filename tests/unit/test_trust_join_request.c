#include "trust/join_request.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

#include <criterion/criterion.h>

static struct test_trust t;
static struct veld_identity *device;

static void init(void)
{
    test_trust_make(&t);
    device = test_trust_identity(1);
}

static void fini(void)
{
    test_trust_free(&t);
    veld_identity_free(device);
}

TestSuite(trust_join_request, .init = init, .fini = fini, .timeout = 60);

static struct veld_join_request request(void)
{
    struct veld_join_request r = {.name = "server1", .created_s = t.now_s};
    memcpy(r.network_id, t.network.id, 32);
    memcpy(r.member, device->pub, 32);
    return r;
}

Test(trust_join_request, is_read_as_it_was_signed)
{
    struct veld_join_request r = request(), out;
    struct veld_blob b = {0};
    r.routes[0] = test_prefix("192.168.1.0/24");
    r.routes[1] = test_prefix("2001:db8::/32");
    r.n_routes = 2;
    r.relay = true;
    cr_assert_eq(veld_join_request_sign(&b, device->seed, &r), 0);
    cr_assert_eq(veld_join_request_read(b.p, b.len, &out), 0);
    cr_assert_str_eq(out.name, "server1");
    cr_assert_arr_eq(out.network_id, t.network.id, 32);
    cr_assert_arr_eq(out.member, device->pub, 32);
    cr_assert(out.created_s == t.now_s && out.n_routes == 2 && out.routes[1].len == 32 &&
              out.relay);
    veld_blob_clear(&b);
}

Test(trust_join_request, is_as_another_implementation_makes_it)
{
    uint8_t seed[32];
    char code[VELD_JOIN_CODE_STRLEN];
    struct veld_blob id = test_hex(VECTOR_ID), member = test_hex(VECTOR_MEMBER);
    struct veld_blob expected = test_hex(VECTOR_JOIN), made = {0};
    struct veld_join_request r = {.name = "server1", .created_s = 1800000000};
    memset(seed, 2, 32);
    memcpy(r.network_id, id.p, 32);
    memcpy(r.member, member.p, 32);
    cr_assert_eq(veld_join_request_sign(&made, seed, &r), 0);
    cr_assert_eq(made.len, expected.len);
    cr_assert_arr_eq(made.p, expected.p, made.len);
    veld_join_code(id.p, member.p, code);
    cr_assert_str_eq(code, VECTOR_CODE);
    veld_blob_clear(&id);
    veld_blob_clear(&member);
    veld_blob_clear(&expected);
    veld_blob_clear(&made);
}

/* ---- what is forged ---- */

static int read_forged(const char *purpose, const uint8_t seed[32], const uint8_t member[32],
                       const char *name, const char *route)
{
    static const struct veld_join_request zero;
    Veld__Trust__V1__JoinRequest body = VELD__TRUST__V1__JOIN_REQUEST__INIT;
    struct veld_prefix p = test_prefix(route);
    struct veld_wire_routes routes;
    struct veld_join_request out;
    char copy[VELD_LABEL_MAX + 1];
    snprintf(copy, sizeof copy, "%s", name);
    body.network_id = veld_wire_bytes(t.network.id, 32);
    body.member = veld_wire_bytes(member, 32);
    body.name = copy;
    body.n_routes = 1;
    body.routes = veld_wire_put_routes(&routes, &p, 1);
    struct veld_blob b = test_signed(purpose, seed, &body);
    memset(&out, 0xaa, sizeof out);
    int rc = veld_join_request_read(b.p, b.len, &out);
    cr_assert(rc == 0 || memcmp(&out, &zero, sizeof out) == 0, "a refused one left something");
    veld_blob_clear(&b);
    return rc;
}

Test(trust_join_request, is_refused_when_forged)
{
    const char *asked = VELD_PURPOSE_JOIN_REQUEST, *route = "192.168.1.0/24";
    const uint8_t *seed = device->seed, *pub = device->pub;
    cr_assert_eq(read_forged(asked, seed, pub, "server1", route), 0);
    cr_assert_eq(read_forged(asked, t.owner_seed, pub, "server1", route), VELD_E_AUTH);
    cr_assert_eq(read_forged(asked, seed, t.admin->pub, "server1", route), VELD_E_AUTH);
    cr_assert_eq(read_forged(VELD_PURPOSE_RECORD, seed, pub, "server1", route), VELD_E_AUTH);
    cr_assert_eq(read_forged(asked, seed, pub, "Server1", route), VELD_E_FORMAT);
    cr_assert_eq(read_forged(asked, seed, pub, "", route), VELD_E_FORMAT);
    cr_assert_eq(read_forged(asked, seed, pub, "server1", "0.0.0.0/0"), VELD_E_FORMAT);
}

Test(trust_join_request, is_not_signed_when_others_would_not_take_it)
{
    struct veld_blob b = {0};
    struct veld_join_request r = request();
    cr_assert_eq(veld_join_request_sign(&b, t.owner_seed, &r), VELD_E_AUTH);
    r.n_routes = VELD_MEMBER_ROUTES_MAX + 1;
    cr_assert_eq(veld_join_request_sign(&b, device->seed, &r), VELD_E_FORMAT);
    r.routes[0] = test_prefix("::/0");
    r.n_routes = 1;
    cr_assert_eq(veld_join_request_sign(&b, device->seed, &r), VELD_E_FORMAT);
    r = request();
    strcpy(r.name, "a b");
    cr_assert_eq(veld_join_request_sign(&b, device->seed, &r), VELD_E_FORMAT);
    cr_assert_null(b.p);
}

static bool is_request(const uint8_t *p, size_t len)
{
    struct veld_join_request out;
    return veld_join_request_read(p, len, &out) == 0;
}

Test(trust_join_request, is_refused_with_any_bit_wrong)
{
    struct veld_join_request r = request();
    struct veld_blob b = {0};
    cr_assert_eq(veld_join_request_sign(&b, device->seed, &r), 0);
    cr_assert(is_request(b.p, b.len));
    cr_assert_eq(test_damage(&b, is_request), 0);
    veld_blob_clear(&b);
}

/* ---- the code ---- */

Test(trust_join_request, code_is_of_the_network_and_the_device)
{
    char code[VELD_JOIN_CODE_STRLEN], other[VELD_JOIN_CODE_STRLEN];
    uint8_t id[32], member[32];
    memcpy(id, t.network.id, 32);
    memcpy(member, device->pub, 32);
    veld_join_code(id, member, code);
    cr_assert_eq(strlen(code), 9);
    cr_assert_eq(code[4], '-');
    id[31] ^= 1;
    veld_join_code(id, member, other);
    cr_assert_str_neq(code, other);
    id[31] ^= 1;
    member[31] ^= 1;
    veld_join_code(id, member, other);
    cr_assert_str_neq(code, other);
}

Test(trust_join_request, code_is_taken_as_people_type_it)
{
    const char code[] = "01AB-CDEF";
    const char *good[] = {"01AB-CDEF", "01ABCDEF", "oiab-cdef", "OLab-cdEF", "0Iabcdef"};
    const char *bad[] = {"",           "-",          "01AB-CDE",   "01AB-CDEFG",
                         "01AB--CDEF", "11AB-CDEF",  "01AB-CDEU",  "01AB CDEF",
                         "0-1ABCDEF",  "01AB-CDEF ", " 01AB-CDEF", "01AB-CDE\x01"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++)
        cr_assert(veld_join_code_matches(good[i], code), "%s", good[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_assert_not(veld_join_code_matches(bad[i], code), "%s", bad[i]);
}

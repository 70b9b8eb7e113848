#include "trust/rpc_auth.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

#include <criterion/criterion.h>
#include <veld/coord/v1/coord.pb-c.h>

#define METHOD "/veld.coord.v1.Coord/Leave"

static struct veld_identity *id;
static const uint8_t certificate[32] = {7};
static uint8_t auth[VELD_RPC_AUTH_MAX];
static size_t len;

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    id = test_trust_identity(1);
    struct veld_rpc_auth a = {.time_ns = INT64_MAX, .nonce = {1}};
    memcpy(a.key, id->pub, 32);
    len = veld_rpc_sign(auth, id->seed, &a, METHOD, certificate, "body", 4);
    cr_assert(len > 0 && len <= sizeof auth);
}

static void fini(void)
{
    veld_identity_free(id);
}

TestSuite(trust_rpc_auth, .init = init, .fini = fini, .timeout = 60);

static int verify(const uint8_t *p, size_t n, const char *method, const uint8_t *cert,
                  const char *body)
{
    static const struct veld_rpc_auth zero;
    struct veld_rpc_auth out;
    memset(&out, 0xaa, sizeof out);
    int rc = veld_rpc_verify(p, n, method, cert, body, strlen(body), &out);
    cr_assert(rc == 0 || memcmp(&out, &zero, sizeof out) == 0, "a refused one left something");
    return rc;
}

Test(trust_rpc_auth, says_who_calls_and_when)
{
    struct veld_rpc_auth out;
    cr_assert_eq(veld_rpc_verify(auth, len, METHOD, certificate, "body", 4, &out), 0);
    cr_assert_arr_eq(out.key, id->pub, 32);
    cr_assert_eq(out.time_ns, INT64_MAX);
    cr_assert(out.nonce[0] == 1 && out.nonce[15] == 0);
}

/* The worked example of docs/PROTOCOL.md. */
Test(trust_rpc_auth, is_as_another_implementation_makes_it)
{
    uint8_t seed[32], cert[32], made[VELD_RPC_AUTH_MAX];
    struct veld_blob key = test_hex(VECTOR_MEMBER), body = test_hex(VECTOR_RPC_BODY);
    struct veld_blob expected = test_hex(VECTOR_RPC_AUTH);
    struct veld_rpc_auth a = {.time_ns = 1800000000123456789};
    memset(seed, 2, 32);
    memset(cert, 5, 32);
    memcpy(a.key, key.p, 32);
    for (size_t i = 0; i < VELD_RPC_NONCE; i++)
        a.nonce[i] = (uint8_t)i;
    cr_assert_eq(veld_rpc_sign(made, seed, &a, METHOD, cert, body.p, body.len), expected.len);
    cr_assert_arr_eq(made, expected.p, expected.len);
    cr_assert_eq(veld_rpc_verify(made, expected.len, METHOD, cert, body.p, body.len, &a), 0);
    veld_blob_clear(&key);
    veld_blob_clear(&body);
    veld_blob_clear(&expected);
}

Test(trust_rpc_auth, is_for_one_call_alone)
{
    uint8_t other[32] = {8};
    cr_assert_eq(verify(auth, len, METHOD, certificate, "body"), 0);
    cr_assert_eq(verify(auth, len, METHOD "x", certificate, "body"), VELD_E_AUTH);
    cr_assert_eq(verify(auth, len, "/veld.coord.v1.Coord/Watch", certificate, "body"),
                 VELD_E_AUTH);
    cr_assert_eq(verify(auth, len, "", certificate, "body"), VELD_E_AUTH);
    cr_assert_eq(verify(auth, len, METHOD, other, "body"), VELD_E_AUTH);
    cr_assert_eq(verify(auth, len, METHOD, certificate, "bodY"), VELD_E_AUTH);
    cr_assert_eq(verify(auth, len, METHOD, certificate, ""), VELD_E_AUTH);
}

static bool is_signed(const uint8_t *p, size_t n)
{
    return verify(p, n, METHOD, certificate, "body") == 0;
}

Test(trust_rpc_auth, is_refused_with_any_bit_wrong)
{
    struct veld_blob b = {auth, len};
    cr_assert_eq(test_damage(&b, is_signed), 0);
    cr_assert(is_signed(auth, len));
    cr_assert_not(is_signed(NULL, 0));
}

/* Each part of another's, signed or not: the signature holds them all together. */
Test(trust_rpc_auth, is_refused_with_a_part_of_another)
{
    struct veld_identity *other = test_trust_identity(2);
    Veld__Coord__V1__Auth *a = veld__coord__v1__auth__unpack(NULL, len, auth);
    uint8_t changed[VELD_RPC_AUTH_MAX], nonce[16] = {2};
    cr_assert_not_null(a);
    ProtobufCBinaryData key = a->key, n = a->nonce;
    a->key = veld_wire_bytes(other->pub, 32);
    cr_assert_not(is_signed(changed, veld__coord__v1__auth__pack(a, changed)));
    a->key = key;
    a->nonce = veld_wire_bytes(nonce, 16);
    cr_assert_not(is_signed(changed, veld__coord__v1__auth__pack(a, changed)));
    a->nonce = n;
    a->time_ns--;
    cr_assert_not(is_signed(changed, veld__coord__v1__auth__pack(a, changed)));
    a->time_ns++;
    cr_assert(is_signed(changed, veld__coord__v1__auth__pack(a, changed)));
    size_t more = veld__coord__v1__auth__pack(a, changed);
    memcpy(changed + more, "\x78\x01", 2); /* a field that no version knows */
    cr_assert_not(is_signed(changed, more + 2));
    uint8_t room[VELD_RPC_AUTH_MAX + 1] = {0};
    cr_assert_not(is_signed(room, sizeof room));
    veld__coord__v1__auth__free_unpacked(a, NULL);
    veld_identity_free(other);
}

Test(trust_rpc_auth, has_methods_of_bounded_length)
{
    char method[VELD_RPC_METHOD_MAX + 2];
    struct veld_rpc_auth a = {0};
    memcpy(a.key, id->pub, 32);
    memset(method, 'x', sizeof method);
    method[VELD_RPC_METHOD_MAX + 1] = '\0';
    cr_assert_eq(veld_rpc_sign(auth, id->seed, &a, method, certificate, NULL, 0), 0);
    method[VELD_RPC_METHOD_MAX] = '\0';
    len = veld_rpc_sign(auth, id->seed, &a, method, certificate, NULL, 0);
    cr_assert_eq(verify(auth, len, method, certificate, ""), 0);
    method[VELD_RPC_METHOD_MAX] = 'x';
    cr_assert_eq(verify(auth, len, method, certificate, ""), VELD_E_FORMAT);
}

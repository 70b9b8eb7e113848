#include "trust/signed.h"

#include "../support/trust_forge.h"

#include <criterion/criterion.h>

static uint8_t seed[32], key[32];
static pb_endpoint message = VELD__TRUST__V1__ENDPOINT__INIT;

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
    test_trust_seed(seed, 1);
    veld_ed25519_keypair(seed, key);
    message.address = veld_wire_bytes("\xc0\x00\x02\x01", 4);
    message.port = 4500;
}

TestSuite(trust_signed, .init = init, .timeout = 60);

static const char *const purposes[] = {
    VELD_PURPOSE_NETWORK,     VELD_PURPOSE_MEMBERSHIP, VELD_PURPOSE_TOKEN,
    VELD_PURPOSE_REVOCATIONS, VELD_PURPOSE_RECORD,     VELD_PURPOSE_JOIN_REQUEST,
    "veld network v1\0 ",     "veld network",          "veld network v1 and more"};

static int open_as(const struct veld_blob *b, const char *purpose, uint8_t signer[32])
{
    void *body;
    memset(signer, 0, 32);
    int rc = veld_signed_open(b->p, b->len, purpose, &veld__trust__v1__endpoint__descriptor,
                              &body, signer);
    cr_assert_eq(body != NULL, rc == 0);
    cr_assert(rc < 0 || ((pb_endpoint *)body)->port == 4500);
    veld_wire_free(body);
    return rc;
}

Test(trust_signed, opens_for_its_purpose_alone)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(purposes); i++) {
        struct veld_blob b = test_signed(purposes[i], seed, &message);
        for (size_t k = 0; k < VELD_ARRAY_LEN(purposes); k++) {
            uint8_t signer[32];
            bool same = strcmp(purposes[i], purposes[k]) == 0;
            cr_assert_eq(open_as(&b, purposes[k], signer), same ? 0 : VELD_E_AUTH, "%s as %s",
                         purposes[i], purposes[k]);
            cr_assert_eq(memcmp(signer, key, 32) == 0, same);
        }
        veld_blob_clear(&b);
    }
}

/* As docs/PROTOCOL.md says: Ed25519 over purpose, a zero byte, body. */
Test(trust_signed, signs_what_is_documented)
{
    struct veld_statement s = {0};
    uint8_t text[64] = "veld network v1";
    cr_assert_eq(veld_statement_sign(&s, VELD_PURPOSE_NETWORK, seed, &message, 100), 0);
    memcpy(text + 16, s.body.p, s.body.len);
    cr_assert_arr_eq(s.signer, key, 32);
    cr_assert_eq(veld_ed25519_verify(s.signature, key, text, 16 + s.body.len), 0);
    cr_assert_eq(veld_statement_sign(&s, VELD_PURPOSE_NETWORK, seed, &message, 5),
                 VELD_E_RANGE);
    cr_assert_null(s.body.p);
    veld_statement_clear(&s);
}

static bool opens(const uint8_t *p, size_t len)
{
    uint8_t signer[32];
    return open_as(&(struct veld_blob){(uint8_t *)(uintptr_t)p, len}, VELD_PURPOSE_NETWORK,
                   signer) == 0;
}

Test(trust_signed, is_refused_with_any_bit_wrong)
{
    struct veld_blob b = test_signed(VELD_PURPOSE_NETWORK, seed, &message);
    cr_assert(opens(b.p, b.len));
    for (unsigned turn = 0; turn < 8; turn++)
        for (size_t i = 0; i < b.len; i++) {
            b.p[i] ^= (uint8_t)(1u << turn);
            cr_assert_not(opens(b.p, b.len), "bit %u of byte %zu", turn, i);
            b.p[i] ^= (uint8_t)(1u << turn);
        }
    cr_assert_eq(test_damage(&b, opens), 0);
    veld_blob_clear(&b);
}

/* Keys for which anybody can make signatures: libsodium must not take them. */
Test(trust_signed, is_refused_of_a_key_of_small_order)
{
    const uint8_t keys[][32] = {{0},
                                {1},
                                {0xec, [1 ... 30] = 0xff, 0x7f},
                                {0xed, [1 ... 30] = 0xff, 0x7f},
                                {0xee, [1 ... 30] = 0xff, 0x7f},
                                {1, [31] = 0x80}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(keys); i++) {
        struct veld_statement s = {0};
        pb_signed view;
        cr_assert_eq(veld_statement_sign(&s, VELD_PURPOSE_NETWORK, seed, &message, 100), 0);
        memcpy(s.signer, keys[i], 32);
        memset(s.signature, 0, 64);
        s.signature[0] = 1; /* R is the neutral element, S is 0 */
        veld_statement_view(&s, &view);
        cr_assert(veld_signed_is_shaped(&view, 100));
        cr_assert_eq(veld_signed_verify(&view, VELD_PURPOSE_NETWORK), VELD_E_AUTH, "%zu", i);
        veld_statement_clear(&s);
    }
}

Test(trust_signed, has_one_shape)
{
    struct veld_statement s = {0};
    pb_signed view;
    cr_assert_eq(veld_statement_sign(&s, VELD_PURPOSE_NETWORK, seed, &message, 100), 0);
    veld_statement_view(&s, &view);
    cr_assert(veld_signed_is_shaped(&view, s.body.len));
    cr_assert_not(veld_signed_is_shaped(&view, s.body.len - 1));
    cr_assert_not(veld_signed_is_shaped(NULL, 100));
    view.signer.len = 31;
    cr_assert_not(veld_signed_is_shaped(&view, 100));
    veld_statement_view(&s, &view);
    view.signature.len = 63;
    cr_assert_not(veld_signed_is_shaped(&view, 100));
    veld_statement_view(&s, &view);
    view.base.n_unknown_fields = 1;
    cr_assert_not(veld_signed_is_shaped(&view, 100));
    veld_statement_clear(&s);
}

/* A body is signed, but is no message. */
Test(trust_signed, is_refused_when_its_body_is_none)
{
    uint8_t text[] = "veld network v1\0\xff\xff\xff", signer[32];
    struct veld_statement s = {0};
    pb_signed view;
    struct veld_blob b = {0};
    cr_assert_eq(veld_blob_set(&s.body, "\xff\xff\xff", 3), 0);
    memcpy(s.signer, key, 32);
    veld_ed25519_sign(s.signature, seed, text, 19);
    veld_statement_view(&s, &view);
    cr_assert_eq(veld_wire_pack(&b, &view, 1000), 0);
    cr_assert_eq(open_as(&b, VELD_PURPOSE_NETWORK, signer), VELD_E_FORMAT);
    veld_blob_clear(&b);
    veld_statement_clear(&s);
}

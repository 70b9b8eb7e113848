#include "trust/signal.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

#include <criterion/criterion.h>

#define NONCE 24

static struct test_trust t;
static struct veld_identity *a, *b;
static struct veld_blob sealed;
static struct veld_call call;

static void init(void)
{
    uint8_t nonce[NONCE] = {9};
    test_trust_make(&t);
    a = test_trust_identity(1);
    b = test_trust_identity(2);
    call = (struct veld_call){.sequence = 5, .n_endpoints = 2, .n_relays = 2};
    memcpy(call.relays[0], t.admin->pub, 32);
    memcpy(call.relays[1], b->pub, 32);
    cr_assert_eq(veld_endpoint_parse("192.0.2.1:4500", &call.endpoints[0]), 0);
    cr_assert_eq(veld_endpoint_parse("[2001:db8::1]:1", &call.endpoints[1]), 0);
    cr_assert_eq(veld_signal_seal(&sealed, a, b->pub, t.network.id, nonce, &call), 0);
}

static void fini(void)
{
    veld_blob_clear(&sealed);
    veld_identity_free(a);
    veld_identity_free(b);
    test_trust_free(&t);
}

TestSuite(trust_signal, .init = init, .fini = fini, .timeout = 60);

static int open_it(const uint8_t *p, size_t len, const struct veld_identity *to,
                   const uint8_t from[32], const uint8_t id[32])
{
    static const struct veld_call zero;
    struct veld_call out;
    memset(&out, 0xaa, sizeof out);
    int rc = veld_signal_open(p, len, to, from, id, &out);
    cr_assert(rc == 0 || memcmp(&out, &zero, sizeof out) == 0, "a refused one left something");
    return rc;
}

Test(trust_signal, is_opened_by_its_receiver)
{
    struct veld_call out;
    cr_assert_eq(veld_signal_open(sealed.p, sealed.len, b, a->pub, t.network.id, &out), 0);
    cr_assert(out.sequence == 5 && out.n_endpoints == 2);
    for (size_t i = 0; i < 2; i++)
        cr_assert(veld_endpoint_equal(&out.endpoints[i], &call.endpoints[i]));
    cr_assert_eq(out.n_relays, 2);
    cr_assert_arr_eq(out.relays, call.relays, sizeof call.relays);
}

Test(trust_signal, is_opened_by_nobody_else_and_as_nothing_else)
{
    struct veld_identity *c = test_trust_identity(3);
    uint8_t other_id[32], twin[32];
    memcpy(other_id, t.network.id, 32);
    other_id[0] ^= 1;
    memcpy(twin, a->pub, 32);
    twin[31] ^= 0x80; /* the same X25519 key */
    const uint8_t *p = sealed.p, *id = t.network.id;
    size_t len = sealed.len;
    cr_assert_eq(open_it(p, len, b, a->pub, id), 0);
    cr_assert_eq(open_it(p, len, c, a->pub, id), VELD_E_AUTH);
    cr_assert_eq(open_it(p, len, b, c->pub, id), VELD_E_AUTH);
    cr_assert_eq(open_it(p, len, b, twin, id), VELD_E_AUTH);
    cr_assert_eq(open_it(p, len, b, a->pub, other_id), VELD_E_AUTH);
    cr_assert_eq(open_it(p, len, a, b->pub, id), VELD_E_AUTH, "sent back to its sender");
    cr_assert_eq(open_it(p, len, a, a->pub, id), VELD_E_AUTH);
    cr_assert_eq(open_it(p, len, b, b->pub, id), VELD_E_AUTH);
    veld_identity_free(c);
}

Test(trust_signal, is_as_another_implementation_makes_it)
{
    uint8_t seed[32], nonce[NONCE];
    memset(seed, 2, 32);
    struct veld_identity *from = veld_identity_from_seed(seed);
    memset(seed, 4, 32);
    struct veld_identity *to = veld_identity_from_seed(seed);
    struct veld_blob expected = test_hex(VECTOR_SIGNAL), id = test_hex(VECTOR_ID), made = {0};
    for (size_t i = 0; i < NONCE; i++)
        nonce[i] = (uint8_t)i;
    call.sequence = 1800000000000000001;
    call.n_endpoints = 1;
    call.n_relays = 0;
    cr_assert_eq(veld_signal_seal(&made, from, to->pub, id.p, nonce, &call), 0);
    cr_assert_eq(made.len, expected.len);
    cr_assert_arr_eq(made.p, expected.p, made.len);
    cr_assert_eq(open_it(expected.p, expected.len, to, from->pub, id.p), 0);
    veld_blob_clear(&expected);
    veld_blob_clear(&id);
    veld_blob_clear(&made);
    veld_identity_free(from);
    veld_identity_free(to);
}

static bool opens(const uint8_t *p, size_t len)
{
    return open_it(p, len, b, a->pub, t.network.id) == 0;
}

Test(trust_signal, is_refused_with_any_bit_wrong)
{
    cr_assert(opens(sealed.p, sealed.len));
    cr_assert_eq(test_damage(&sealed, opens), 0);
    uint8_t room[VELD_SIGNAL_MAX + 1] = {0};
    cr_assert_eq(open_it(room, sizeof room, b, a->pub, t.network.id), VELD_E_FORMAT);
    cr_assert_eq(open_it(room, VELD_SIGNAL_MAX, b, a->pub, t.network.id), VELD_E_AUTH);
    cr_assert_eq(open_it(room, NONCE + 15, b, a->pub, t.network.id), VELD_E_FORMAT);
    cr_assert_eq(open_it(NULL, 0, b, a->pub, t.network.id), VELD_E_FORMAT);
}

/* Keys with which a shared secret would be known to all. */
Test(trust_signal, takes_no_unusable_key)
{
    const uint8_t keys[][32] = {{0}, {1}, {0xec, [1 ... 30] = 0xff, 0x7f}, {2}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(keys); i++) {
        struct veld_blob out = {0};
        cr_assert_eq(veld_signal_seal(&out, a, keys[i], t.network.id, sealed.p, &call),
                     VELD_E_KEY, "%zu", i);
        cr_assert_null(out.p);
        cr_assert_eq(open_it(sealed.p, sealed.len, b, keys[i], t.network.id), VELD_E_KEY);
    }
}

/* ---- what a member may seal that is none of these signals ---- */

/* The plaintext, sealed by `a` for `b` as docs/PROTOCOL.md says. */
static int open_plain(const void *plain, size_t len)
{
    uint8_t x_public[32], shared[32], prk[32], key[32], no_salt[32] = {0},
                                                        info[15 + 96] = "veld signal v1";
    uint8_t out[VELD_SIGNAL_MAX] = {3};
    cr_assert_eq(veld_ed25519_public_to_x25519(x_public, b->pub), 0);
    cr_assert_eq(veld_x25519(shared, a->x_secret, x_public), 0);
    veld_hkdf_extract(prk, no_salt, 32, shared, 32);
    memcpy(info + 15, t.network.id, 32);
    memcpy(info + 47, a->pub, 32);
    memcpy(info + 79, b->pub, 32);
    cr_assert_eq(veld_hkdf_expand(key, 32, prk, info, sizeof info), 0);
    veld_xseal(out + NONCE, key, out, NULL, 0, plain, len);
    return open_it(out, NONCE + len + 16, b, a->pub, t.network.id);
}

static int open_message(const Veld__Trust__V1__Signal *s)
{
    struct veld_blob plain = {0};
    cr_assert_eq(veld_wire_pack(&plain, s, VELD_SIGNAL_MAX), 0);
    int rc = open_plain(plain.p, plain.len);
    veld_blob_clear(&plain);
    return rc;
}

Test(trust_signal, is_refused_when_it_says_what_it_may_not)
{
    Veld__Trust__V1__Signal s = VELD__TRUST__V1__SIGNAL__INIT;
    Veld__Trust__V1__Call what = VELD__TRUST__V1__CALL__INIT;
    pb_endpoint e = VELD__TRUST__V1__ENDPOINT__INIT;
    pb_endpoint *endpoints[VELD_MEMBER_ENDPOINTS_MAX + 1];
    for (size_t i = 0; i < VELD_ARRAY_LEN(endpoints); i++)
        endpoints[i] = &e;
    e.address = veld_wire_bytes("\xc0\x00\x02\x01", 4);
    e.port = 1;
    what.endpoints = endpoints;
    what.n_endpoints = VELD_MEMBER_ENDPOINTS_MAX;
    s.call = &what;
    s.what_case = VELD__TRUST__V1__SIGNAL__WHAT_CALL;
    cr_assert_eq(open_message(&s), 0);
    what.n_endpoints++;
    cr_assert_eq(open_message(&s), VELD_E_FORMAT);
    what.n_endpoints = 1;
    e.port = 0;
    cr_assert_eq(open_message(&s), VELD_E_FORMAT);
    e.port = 1;
    e.address = veld_wire_bytes("\x7f\x00\x00\x01", 4);
    cr_assert_eq(open_message(&s), VELD_E_FORMAT);
    what.n_endpoints = 0;
    cr_assert_eq(open_message(&s), 0);
    s.what_case = VELD__TRUST__V1__SIGNAL__WHAT__NOT_SET;
    cr_assert_eq(open_message(&s), VELD_E_UNSUPPORTED);
    cr_assert_eq(open_plain("\x08\x05\x52\x00", 4),
                 VELD_E_UNSUPPORTED); /* of a later version */
    cr_assert_eq(open_plain("\xff", 1), VELD_E_FORMAT);
    cr_assert_eq(open_plain("", 0), VELD_E_UNSUPPORTED);
}

Test(trust_signal, is_refused_when_its_relays_are_none)
{
    Veld__Trust__V1__Signal s = VELD__TRUST__V1__SIGNAL__INIT;
    Veld__Trust__V1__Call what = VELD__TRUST__V1__CALL__INIT;
    ProtobufCBinaryData relays[VELD_MEMBER_RELAYS_MAX + 1] = {
        veld_wire_bytes(t.admin->pub, 32), veld_wire_bytes(b->pub, 32),
        veld_wire_bytes(t.network.owner, 32)};
    what.relays = relays;
    what.n_relays = VELD_MEMBER_RELAYS_MAX;
    s.call = &what;
    s.what_case = VELD__TRUST__V1__SIGNAL__WHAT_CALL;
    cr_assert_eq(open_message(&s), 0);
    what.n_relays++;
    cr_assert_eq(open_message(&s), VELD_E_FORMAT, "too many");
    what.n_relays--;
    relays[1] = relays[0];
    cr_assert_eq(open_message(&s), VELD_E_FORMAT, "one twice");
    relays[1] = veld_wire_bytes(a->pub, 32);
    cr_assert_eq(open_message(&s), VELD_E_FORMAT, "the caller itself");
    relays[1] = veld_wire_bytes(b->pub, 31);
    cr_assert_eq(open_message(&s), VELD_E_FORMAT, "short");
}

Test(trust_signal, is_not_sealed_when_others_would_not_take_it)
{
    struct veld_blob out = {0};
    struct veld_call bad = {.n_endpoints = VELD_MEMBER_ENDPOINTS_MAX + 1};
    cr_assert_eq(veld_signal_seal(&out, a, b->pub, t.network.id, sealed.p, &bad),
                 VELD_E_FORMAT);
    bad.n_endpoints = 1; /* of no family */
    cr_assert_eq(veld_signal_seal(&out, a, b->pub, t.network.id, sealed.p, &bad),
                 VELD_E_FORMAT);
    bad = call;
    memcpy(bad.relays[1], a->pub, 32); /* the caller itself */
    cr_assert_eq(veld_signal_seal(&out, a, b->pub, t.network.id, sealed.p, &bad),
                 VELD_E_FORMAT);
    bad.n_relays = VELD_MEMBER_RELAYS_MAX + 1;
    cr_assert_eq(veld_signal_seal(&out, a, b->pub, t.network.id, sealed.p, &bad),
                 VELD_E_FORMAT);
    cr_assert_null(out.p);
}

#include "crypto/primitives.h"
#include "base/bytes.h"

#include "../support/hex.h"
#include "../support/random.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(primitives, .init = init);

struct text_bytes {
    uint8_t b[512];
    size_t len;
};

static struct text_bytes unhex(const char *text)
{
    struct text_bytes t = {.len = strlen(text) / 2};
    cr_assert_leq(t.len, sizeof t.b);
    cr_assert_eq(hex_decode(text, strlen(text), t.b), 0, "%s", text);
    return t;
}

static void assert_hex(const void *got, size_t len, const char *expected)
{
    struct text_bytes e = unhex(expected);
    cr_assert_eq(len, e.len);
    cr_assert(memcmp(got, e.b, len) == 0, "not %s", expected);
}

/* ---- hashes ---- */

Test(primitives, sha256_of_parts_is_that_of_the_whole)
{
    uint8_t h[32];
    const struct veld_bytes parts[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    veld_sha256(h, parts, VELD_ARRAY_LEN(parts));
    assert_hex(h, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    veld_sha256(h, NULL, 0);
    assert_hex(h, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void repeat(uint8_t *out, uint8_t byte, size_t n)
{
    memset(out, byte, n);
}

/* RFC 4231, sections 4.2 to 4.8 (4.6 is truncated to 16 bytes there). */
Test(primitives, hmac_rfc4231)
{
    uint8_t key[131], counted[25], data[50], h[32];
#define HMAC(key_len, text)                                                                    \
    veld_hmac(h, key, key_len, &(struct veld_bytes){text, sizeof text - 1}, 1)
    repeat(key, 0x0b, 20);
    HMAC(20, "Hi There");
    assert_hex(h, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memcpy(key, "Jefe", 4);
    HMAC(4, "what do ya want for nothing?");
    assert_hex(h, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    repeat(key, 0xaa, sizeof key);
    repeat(data, 0xdd, sizeof data);
    veld_hmac(h, key, 20, &(struct veld_bytes){data, sizeof data}, 1);
    assert_hex(h, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    for (uint8_t i = 0; i < sizeof counted; i++)
        counted[i] = i + 1;
    repeat(data, 0xcd, sizeof data);
    veld_hmac(h, counted, sizeof counted, &(struct veld_bytes){data, sizeof data}, 1);
    assert_hex(h, 32, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    HMAC(131, "Test Using Larger Than Block-Size Key - Hash Key First");
    assert_hex(h, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    HMAC(131, "This is a test using a larger than block-size key and a larger than block-size "
              "data. The key needs to be hashed before being used by the HMAC algorithm.");
    assert_hex(h, 32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    repeat(key, 0x0c, 20);
    HMAC(20, "Test With Truncation");
    assert_hex(h, 16, "a3b6167473100ee06e0c796c2955552b");
#undef HMAC
}

static void check_hkdf(const char *ikm, const char *salt, const char *info, const char *okm)
{
    struct text_bytes i = unhex(ikm), s = unhex(salt), n = unhex(info);
    uint8_t prk[32], out[255 * 32];
    size_t len = strlen(okm) / 2;
    veld_hkdf_extract(prk, s.b, s.len, i.b, i.len);
    cr_assert_eq(veld_hkdf_expand(out, len, prk, n.b, n.len), 0);
    assert_hex(out, len, okm);
}

/* RFC 5869, appendices A.1 to A.3. */
Test(primitives, hkdf_rfc5869)
{
    check_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
               "f0f1f2f3f4f5f6f7f8f9",
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865");
    check_hkdf("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
               "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
               "404142434445464748494a4b4c4d4e4f",
               "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
               "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
               "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
               "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
               "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
               "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
               "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
               "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
               "cc30c58179ec3e87c14c01d5c1f3434f1d87");
    check_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
               "9d201395faa4b61a96c8");
}

Test(primitives, hkdf_expand_is_bounded_and_zeroes_what_it_refuses)
{
    static uint8_t out[255 * 32 + 1];
    uint8_t prk[32] = {1};
    memset(out, 0xee, sizeof out);
    cr_assert_eq(veld_hkdf_expand(out, sizeof out, prk, "x", 1), VELD_E_RANGE);
    cr_assert(veld_is_zero(out, sizeof out));
    cr_assert_eq(veld_hkdf_expand(out, sizeof out - 1, prk, "x", 1), 0);
    cr_assert_not(veld_is_zero(out + sizeof out - 33, 32));
}

Test(primitives, mac16_is_keyed_blake2b)
{
    uint8_t key[32], mac[16];
    for (uint8_t i = 0; i < 32; i++)
        key[i] = i;
    const struct veld_bytes parts[] = {{"hello", 5}, {" veld", 5}};
    veld_mac16(mac, key, parts, VELD_ARRAY_LEN(parts));
    assert_hex(mac, 16, "a0ce6e17692c6857336ba7bb39279548");
}

/* The last but one entry of the reference's table: 15 bytes 00..0e. */
Test(primitives, siphash_reference)
{
    uint8_t key[16], in[15];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    memcpy(in, key, sizeof in);
    cr_assert_eq(veld_siphash(key, in, sizeof in), 0xa129ca6149be45e5);
}

/* ---- X25519 ---- */

/* RFC 7748, section 5.2. */
Test(primitives, x25519_rfc7748)
{
    struct text_bytes k =
        unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    struct text_bytes u =
        unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    uint8_t out[32];
    cr_assert_eq(veld_x25519(out, k.b, u.b), 0);
    assert_hex(out, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");

    uint8_t scalar[32] = {9}, point[32] = {9};
    for (unsigned i = 1; i <= 1000; i++) {
        uint8_t next[32];
        cr_assert_eq(veld_x25519(next, scalar, point), 0);
        memcpy(point, scalar, 32);
        memcpy(scalar, next, 32);
        if (i == 1)
            assert_hex(scalar, 32,
                       "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert_hex(scalar, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* RFC 7748, section 6.1. */
Test(primitives, x25519_exchange)
{
    struct text_bytes a =
        unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    struct text_bytes b =
        unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    uint8_t pub_a[32], pub_b[32], k[32];
    veld_x25519_public(pub_a, a.b);
    veld_x25519_public(pub_b, b.b);
    assert_hex(pub_a, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    assert_hex(pub_b, 32, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    cr_assert_eq(veld_x25519(k, a.b, pub_b), 0);
    assert_hex(k, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    cr_assert_eq(veld_x25519(k, b.b, pub_a), 0);
    assert_hex(k, 32, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* The u-coordinates of small order, canonical and not: all give a zero secret. */
static const char *const small_order_u[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

Test(primitives, x25519_refuses_small_order_with_a_zeroed_output)
{
    uint8_t secret[32] = {0x42, 7};
    for (size_t i = 0; i < VELD_ARRAY_LEN(small_order_u); i++)
        for (uint8_t high = 0; high < 2; high++) {
            struct text_bytes u = unhex(small_order_u[i]);
            uint8_t out[32];
            u.b[31] |= (uint8_t)(high << 7); /* the top bit is ignored */
            memset(out, 0xee, sizeof out);
            cr_assert_eq(veld_x25519(out, secret, u.b), VELD_E_KEY, "%s", small_order_u[i]);
            cr_assert(veld_is_zero(out, 32));
        }
}

/* ---- AEAD ---- */

/* RFC 8439's plaintext under its key, and draft-irtf-cfrg-xchacha's, A.3.1. */
static const char sunscreen[] =
    "Ladies and Gentlemen of the class of '99: If I could offer you "
    "only one tip for the future, sunscreen would be it.";

Test(primitives, xseal_draft_vector)
{
    struct text_bytes key =
        unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    struct text_bytes nonce = unhex("404142434445464748494a4b4c4d4e4f5051525354555657");
    struct text_bytes ad = unhex("50515253c0c1c2c3c4c5c6c7");
    uint8_t sealed[114 + 16], opened[114];
    veld_xseal(sealed, key.b, nonce.b, ad.b, ad.len, sunscreen, 114);
    assert_hex(sealed, sizeof sealed,
               "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
               "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
               "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
               "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
    cr_assert_eq(veld_xopen(opened, key.b, nonce.b, ad.b, ad.len, sealed, sizeof sealed), 0);
    cr_assert_arr_eq(opened, sunscreen, 114);
    sealed[0] ^= 1;
    cr_assert_eq(veld_xopen(opened, key.b, nonce.b, ad.b, ad.len, sealed, sizeof sealed),
                 VELD_E_AUTH);
    cr_assert(veld_is_zero(opened, sizeof opened));
    cr_assert_eq(veld_xopen(opened, key.b, nonce.b, ad.b, ad.len, sealed, 15), VELD_E_AUTH);
}

/* RFC 8439, appendix A.5: its nonce is 4 zero bytes and this counter. */
Test(primitives, open_rfc8439_a5)
{
    struct text_bytes key =
        unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    struct text_bytes ad = unhex("f33388860000000000004e91");
    struct text_bytes sealed =
        unhex("64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
              "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
              "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
              "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
              "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
              "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
              "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
              "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
              "a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
    static const char start[] =
        "Internet-Drafts are draft documents valid for a maximum of six";
    uint64_t nonce = 0x0807060504030201;
    uint8_t opened[265], again[281];
    cr_assert_eq(sealed.len, 281);
    cr_assert_eq(veld_open(opened, key.b, nonce, ad.b, ad.len, sealed.b, sealed.len), 0);
    cr_assert(memcmp(opened, start, sizeof start - 1) == 0);
    veld_seal(again, key.b, nonce, ad.b, ad.len, opened, sizeof opened);
    cr_assert_arr_eq(again, sealed.b, sealed.len);
}

Test(primitives, open_refuses_and_zeroes)
{
    uint8_t key[32] = {1}, sealed[5 + 16], opened[5];
    veld_seal(sealed, key, 3, "ad", 2, "hello", 5);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        memset(opened, 0xee, sizeof opened);
        cr_assert_eq(veld_open(opened, key, 3, "ad", 2, sealed, sizeof sealed), VELD_E_AUTH);
        cr_assert(veld_is_zero(opened, sizeof opened));
        sealed[i] ^= 0x10;
    }
    cr_assert_eq(veld_open(opened, key, 3, "bd", 2, sealed, sizeof sealed), VELD_E_AUTH);
    cr_assert_eq(veld_open(opened, key, 4, "ad", 2, sealed, sizeof sealed), VELD_E_AUTH);
    for (size_t len = 0; len < 16; len++)
        cr_assert_eq(veld_open(opened, key, 3, "ad", 2, sealed, len), VELD_E_AUTH);
    cr_assert_eq(veld_open(opened, key, 3, "ad", 2, sealed, sizeof sealed), 0);
    cr_assert_arr_eq(opened, "hello", 5);
}

/* ---- Ed25519 ---- */

static void check_signature(const char *seed, const char *pub, const char *msg, const char *sig)
{
    struct text_bytes s = unhex(seed), m = unhex(msg);
    uint8_t public_key[32], signature[64];
    veld_ed25519_keypair(s.b, public_key);
    assert_hex(public_key, 32, pub);
    veld_ed25519_sign(signature, s.b, m.b, m.len);
    assert_hex(signature, 64, sig);
    cr_assert_eq(veld_ed25519_verify(signature, public_key, m.b, m.len), 0);
    for (size_t i = 0; i < 64; i++) {
        signature[i] ^= 0x08;
        cr_assert_eq(veld_ed25519_verify(signature, public_key, m.b, m.len), VELD_E_AUTH);
        signature[i] ^= 0x08;
    }
    m.b[m.len] = 0;
    cr_assert_eq(veld_ed25519_verify(signature, public_key, m.b, m.len + 1), VELD_E_AUTH);
}

/* RFC 8032, section 7.1, tests 1 to 3. */
Test(primitives, ed25519_rfc8032)
{
    check_signature("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
    check_signature("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    check_signature("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
                    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
}

/* Computed by the formulas of RFC 7748 (section 4.1) and RFC 8032, apart from any library. */
Test(primitives, ed25519_maps_to_x25519)
{
    struct text_bytes seed =
        unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    uint8_t pub[32], x_secret[32], x_public[32];
    veld_ed25519_keypair(seed.b, pub);
    veld_ed25519_secret_to_x25519(x_secret, seed.b);
    assert_hex(x_secret, 32,
               "307c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de94f");
    cr_assert_eq(veld_ed25519_public_to_x25519(x_public, pub), 0);
    assert_hex(x_public, 32,
               "d85e07ec22b0ad881537c2f44d662d1a143cf830c57aca4305d85c7a90f6b62e");
}

Test(primitives, both_halves_of_a_key_map_to_one_pair_and_sign_twins_share_it)
{
    struct test_random r = {4};
    for (unsigned i = 0; i < 100; i++) {
        uint8_t seed[32], pub[32], x_secret[32], from_secret[32], mapped[32], twin[32];
        test_random_fill(&r, seed, sizeof seed);
        veld_ed25519_keypair(seed, pub);
        veld_ed25519_secret_to_x25519(x_secret, seed);
        veld_x25519_public(from_secret, x_secret);
        cr_assert_eq(veld_ed25519_public_to_x25519(mapped, pub), 0);
        cr_assert_arr_eq(mapped, from_secret, 32);

        pub[31] ^= 0x80; /* -P */
        cr_assert_eq(veld_ed25519_public_to_x25519(twin, pub), 0);
        cr_assert_arr_eq(twin, mapped, 32);
    }
}

static void assert_key_refused(const uint8_t key[32], const char *what)
{
    uint8_t out[32];
    memset(out, 0xee, sizeof out);
    cr_assert_eq(veld_ed25519_public_to_x25519(out, key), VELD_E_KEY, "%s", what);
    cr_assert(veld_is_zero(out, 32));
}

/* The points whose order divides 8, with both signs. */
static const char *const small_order_p[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
};

Test(primitives, small_order_keys_are_refused)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(small_order_p); i++) {
        struct text_bytes p = unhex(small_order_p[i]);
        assert_key_refused(p.b, small_order_p[i]);
        p.b[31] ^= 0x80;
        assert_key_refused(p.b, small_order_p[i]);
    }
}

/* Every y in p .. 2^255 - 1, with both signs: among them points of all kinds. */
Test(primitives, non_canonical_keys_are_refused)
{
    for (unsigned low = 0xed; low <= 0xff; low++) {
        uint8_t key[32];
        memset(key, 0xff, sizeof key);
        key[0] = (uint8_t)low;
        assert_key_refused(key, "y >= p");
        key[31] = 0x7f;
        assert_key_refused(key, "y >= p");
    }
}

Test(primitives, canonical_is_below_p_whatever_the_sign)
{
    for (unsigned sign = 0; sign <= 0x80; sign += 0x80) {
        uint8_t key[32];
        memset(key, 0xff, sizeof key);
        key[31] = (uint8_t)(0x7f | sign);
        for (unsigned low = 0; low <= 0xff; low++) {
            key[0] = (uint8_t)low;
            cr_assert_eq(veld_ed25519_is_canonical(key), low < 0xed, "low byte %x", low);
        }
        for (size_t i = 1; i < 32; i++) {
            key[i] ^= 0x40;
            cr_assert(veld_ed25519_is_canonical(key), "byte %zu", i);
            key[i] ^= 0x40;
        }
    }
}

Test(primitives, keys_are_the_same_but_for_the_top_bit_alone)
{
    uint8_t a[32] = {1, 2, 3}, b[32] = {1, 2, 3};
    cr_assert(veld_ed25519_same_but_for_sign(a, b));
    for (unsigned bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(veld_ed25519_same_but_for_sign(a, b), bit == 255, "bit %u", bit);
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* RFC 8032's first public key plus each of the seven points of small order. */
static const char *const mixed_order_p[] = {
    "9158312a9a8d6e3b34c891d6d61444f8b8211c5117ebad15bdb0bd68b07e0245",
    "ad38a8f0b22ab7ca46ecee7bbef12b5f336c182652fac34392f859dbd9666a7d",
    "3b5b475c4b82dd1572799fc546f4c6c03e478c6654aa4c7f945b347ea32af60d",
    "16a567fe7d4ef5482ab4012c369bf8c5f11e8d0c2559dcda50fde59708f8aee5",
    "5ca7ced5657291c4cb376e2929ebbb0747dee3aee81452ea424f42974f81fdba",
    "40c7570f4dd54835b9131184410ed4a0cc93e7d9ad053cbc6d07a62426999582",
    "b2a4b8a3b47d22ea8d86603ab90b393fc1b87399ab55b3806ba4cb815cd509f2",
};

Test(primitives, mixed_order_keys_are_refused)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(mixed_order_p); i++)
        assert_key_refused(unhex(mixed_order_p[i]).b, mixed_order_p[i]);
}

Test(primitives, points_off_the_curve_are_refused)
{
    static const uint8_t ys[] = {2, 7, 8, 11, 12, 13, 17, 20, 22, 31, 34, 36, 38};
    for (size_t i = 0; i < sizeof ys; i++) {
        uint8_t key[32] = {ys[i]};
        assert_key_refused(key, "not on the curve");
    }
}

/* ---- text, comparison, memory ---- */

Test(primitives, base64_is_exact)
{
    char text[9];
    uint8_t out[4];
    cr_assert_eq(veld_base64_encode(text, sizeof text, "\xfb\xff\x00\x01", 4), 0);
    cr_assert_str_eq(text, "+/8AAQ==");
    cr_assert_eq(veld_base64_encode(text, 8, "\xfb\xff\x00\x01", 4), VELD_E_RANGE);
    cr_assert_eq(veld_base64_decode(out, 4, text, 8), 0);
    cr_assert_arr_eq(out, "\xfb\xff\x00\x01", 4);

    static const char *const bad[] = {"",          "+/8AAQ",    "+/8AAQ=",     "+/8AAQ==\n",
                                      " +/8AAQ==", "-_8AAQ==",  "+/8AAR==",    "+/8AAQA=",
                                      "+/8A",      "+/8 AAQ==", "+/8AAQ==AAAA"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        memset(out, 0xee, sizeof out);
        cr_assert_eq(veld_base64_decode(out, 4, bad[i], strlen(bad[i])), VELD_E_FORMAT, "%s",
                     bad[i]);
        cr_assert(veld_is_zero(out, 4));
    }
    cr_assert_eq(veld_base64_decode(out, 4, "+/8AAQ==\0", 9), VELD_E_FORMAT);
}

Test(primitives, comparisons)
{
    cr_assert(veld_equal("abcd", "abcd", 4));
    cr_assert_not(veld_equal("abcd", "abce", 4));
    cr_assert_not(veld_equal("abcd", "bbcd", 4));
    cr_assert(veld_equal("abcd", "abce", 3));
    cr_assert(veld_is_zero("\0\0\0\0", 4));
    cr_assert_not(veld_is_zero("\0\0\0\1", 4));
}

Test(primitives, random_is_not_constant)
{
    uint8_t a[32] = {0}, b[32] = {0};
    veld_random(a, sizeof a);
    veld_random(b, sizeof b);
    cr_assert_not(veld_is_zero(a, sizeof a));
    cr_assert_not(veld_equal(a, b, sizeof a));
}

Test(primitives, wipe_zeroes_just_what_it_is_told)
{
    uint8_t b[4] = {1, 2, 3, 4};
    veld_wipe(b + 1, 2);
    cr_assert_arr_eq(b, ((uint8_t[]){1, 0, 0, 4}), 4);
}

Test(primitives, guarded_memory_is_aligned_and_zero)
{
    for (size_t len = 1; len < 300; len += 13) {
        uint8_t *p = veld_secure_alloc(len);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % _Alignof(max_align_t), 0);
        cr_assert(veld_is_zero(p, len));
        veld_secure_free(p);
    }
    veld_secure_free(NULL);
    cr_assert_null(veld_secure_alloc(SIZE_MAX));
}

Test(primitives, guarded_memory_ends_at_a_fence)
{
    volatile uint8_t *p = veld_secure_alloc(32);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        p[32] = 1;
        _exit(0);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    veld_secure_free((void *)(uintptr_t)p);
}

Test(primitives, base64url_has_one_text_for_bytes)
{
    const char *text[] = {"", "-w", "-_8", "-_-_"};
    const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
    for (size_t n = 0; n < 4; n++) {
        char out[8];
        uint8_t back[3];
        size_t len = 9;
        cr_assert_eq(veld_base64url_encode(out, sizeof out, bytes, n), 0);
        cr_assert_str_eq(out, text[n]);
        cr_assert_eq(veld_base64url_encode(out, strlen(text[n]), bytes, n), VELD_E_RANGE);
        cr_assert_eq(veld_base64url_decode(back, sizeof back, &len, out, strlen(out)), 0);
        cr_assert(len == n && memcmp(back, bytes, n) == 0);
    }
    const char *bad[] = {"-x", "-w==", "+w", "-", "-_8\n", " -_8", "-_-_-_"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t back[3];
        size_t len = 9;
        cr_assert_eq(veld_base64url_decode(back, sizeof back, &len, bad[i], strlen(bad[i])),
                     VELD_E_FORMAT, "%s", bad[i]);
        cr_assert_eq(len, 0);
    }
}

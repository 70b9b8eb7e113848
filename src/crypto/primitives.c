#include "crypto/primitives.h"

#include "base/bytes.h"

#include <sodium.h>
#include <stddef.h>
#include <string.h>

_Static_assert(crypto_hash_sha256_BYTES == VELD_HASH_SIZE, "SHA-256 size");

int veld_crypto_init(void)
{
    return sodium_init() < 0 ? VELD_E_UNSUPPORTED : 0;
}

void veld_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void veld_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}

bool veld_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

bool veld_is_zero(const void *p, size_t len)
{
    return sodium_is_zero(p, len) == 1;
}

/* ---- hashes ---- */

void veld_sha256(uint8_t out[32], const struct veld_bytes *parts, size_t n)
{
    crypto_hash_sha256_state st;
    crypto_hash_sha256_init(&st);
    for (size_t i = 0; i < n; i++)
        crypto_hash_sha256_update(&st, parts[i].p, parts[i].len);
    crypto_hash_sha256_final(&st, out);
    veld_wipe(&st, sizeof st);
}

void veld_hmac(uint8_t out[32], const void *key, size_t key_len, const struct veld_bytes *parts,
               size_t n)
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, key, key_len);
    for (size_t i = 0; i < n; i++)
        crypto_auth_hmacsha256_update(&st, parts[i].p, parts[i].len);
    crypto_auth_hmacsha256_final(&st, out);
    veld_wipe(&st, sizeof st);
}

void veld_hkdf_extract(uint8_t prk[32], const void *salt, size_t salt_len, const void *ikm,
                       size_t ikm_len)
{
    veld_hmac(prk, salt, salt_len, &(struct veld_bytes){ikm, ikm_len}, 1);
}

int veld_hkdf_expand(uint8_t *out, size_t out_len, const uint8_t prk[32], const void *info,
                     size_t info_len)
{
    if (out_len > 255 * VELD_HASH_SIZE) {
        memset(out, 0, out_len);
        return VELD_E_RANGE;
    }
    uint8_t t[VELD_HASH_SIZE];
    size_t t_len = 0; /* T(0) is empty */
    crypto_auth_hmacsha256_state keyed, st;
    crypto_auth_hmacsha256_init(&keyed, prk, VELD_HASH_SIZE);
    for (uint8_t counter = 1; out_len > 0; counter++) {
        st = keyed;
        crypto_auth_hmacsha256_update(&st, t, t_len);
        crypto_auth_hmacsha256_update(&st, info, info_len);
        crypto_auth_hmacsha256_update(&st, &counter, 1);
        crypto_auth_hmacsha256_final(&st, t);
        t_len = sizeof t;
        size_t n = VELD_MIN(out_len, sizeof t);
        memcpy(out, t, n);
        out += n;
        out_len -= n;
    }
    veld_wipe(&keyed, sizeof keyed);
    veld_wipe(&st, sizeof st);
    veld_wipe(t, sizeof t);
    return 0;
}

void veld_mac16(uint8_t out[16], const uint8_t key[32], const struct veld_bytes *parts,
                size_t n)
{
    crypto_generichash_blake2b_state st;
    crypto_generichash_blake2b_init(&st, key, 32, 16);
    for (size_t i = 0; i < n; i++)
        crypto_generichash_blake2b_update(&st, parts[i].p, parts[i].len);
    crypto_generichash_blake2b_final(&st, out, 16);
    veld_wipe(&st, sizeof st);
}

uint64_t veld_siphash(const uint8_t key[16], const void *p, size_t len)
{
    uint8_t out[crypto_shorthash_siphash24_BYTES];
    crypto_shorthash_siphash24(out, p, len, key);
    return veld_load_le64(out);
}

/* ---- X25519 ---- */

int veld_x25519(uint8_t shared[32], const uint8_t secret[32], const uint8_t public_key[32])
{
    if (crypto_scalarmult_curve25519(shared, secret, public_key) == 0)
        return 0;
    veld_wipe(shared, 32); /* libsodium's portable code leaves it unset */
    return VELD_E_KEY;
}

void veld_x25519_public(uint8_t public_key[32], const uint8_t secret[32])
{
    crypto_scalarmult_curve25519_base(public_key, secret);
}

/* ---- single-shot AEAD ---- */

void veld_seal(uint8_t *out, const uint8_t key[32], uint64_t nonce, const void *ad,
               size_t ad_len, const void *plaintext, size_t len)
{
    uint8_t n[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};
    veld_store_le64(n + 4, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plaintext, len, ad, ad_len, NULL, n,
                                              key);
}

int veld_open(uint8_t *out, const uint8_t key[32], uint64_t nonce, const void *ad,
              size_t ad_len, const void *sealed, size_t len)
{
    if (len < crypto_aead_chacha20poly1305_IETF_ABYTES)
        return VELD_E_AUTH;
    uint8_t n[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};
    veld_store_le64(n + 4, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len, n,
                                                  key) == 0)
        return 0;
    veld_wipe(out, len - crypto_aead_chacha20poly1305_IETF_ABYTES);
    return VELD_E_AUTH;
}

void veld_xseal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[24], const void *ad,
                size_t ad_len, const void *plaintext, size_t len)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plaintext, len, ad, ad_len, NULL,
                                               nonce, key);
}

int veld_xopen(uint8_t *out, const uint8_t key[32], const uint8_t nonce[24], const void *ad,
               size_t ad_len, const void *sealed, size_t len)
{
    if (len < crypto_aead_xchacha20poly1305_ietf_ABYTES)
        return VELD_E_AUTH;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len,
                                                   nonce, key) == 0)
        return 0;
    veld_wipe(out, len - crypto_aead_xchacha20poly1305_ietf_ABYTES);
    return VELD_E_AUTH;
}

/* ---- Ed25519 ---- */

void veld_ed25519_keypair(const uint8_t seed[32], uint8_t public_key[32])
{
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    veld_wipe(secret, sizeof secret);
}

void veld_ed25519_sign(uint8_t sig[64], const uint8_t seed[32], const void *msg, size_t len)
{
    uint8_t public_key[crypto_sign_ed25519_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    crypto_sign_ed25519_detached(sig, NULL, msg, len, secret);
    veld_wipe(secret, sizeof secret);
}

int veld_ed25519_verify(const uint8_t sig[64], const uint8_t public_key[32], const void *msg,
                        size_t len)
{
    return crypto_sign_ed25519_verify_detached(sig, msg, len, public_key) == 0 ? 0
                                                                               : VELD_E_AUTH;
}

void veld_ed25519_secret_to_x25519(uint8_t x_secret[32], const uint8_t seed[32])
{
    /* The scalar is the clamped first half of SHA-512(seed); libsodium reads only the seed half. */
    uint8_t public_key[crypto_sign_ed25519_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];
    crypto_sign_ed25519_seed_keypair(public_key, secret, seed);
    crypto_sign_ed25519_sk_to_curve25519(x_secret, secret);
    veld_wipe(secret, sizeof secret);
}

int veld_ed25519_public_to_x25519(uint8_t x_public[32], const uint8_t public_key[32])
{
    /*
     * libsodium's map refuses small order, points off the curve and points off the
     * prime-order subgroup. That takes in every y >= p: of the few that are on the
     * curve, none is in the subgroup (1 is, but is of small order).
     */
    if (crypto_sign_ed25519_pk_to_curve25519(x_public, public_key) == 0)
        return 0;
    memset(x_public, 0, 32);
    return VELD_E_KEY;
}

bool veld_ed25519_is_canonical(const uint8_t public_key[32])
{
    uint8_t high = public_key[31] | 0x80; /* whatever the sign */
    for (size_t i = 1; i < 31; i++)
        high &= public_key[i];
    return high != 0xff || public_key[0] < 0xed;
}

bool veld_ed25519_same_but_for_sign(const uint8_t a[32], const uint8_t b[32])
{
    return memcmp(a, b, 31) == 0 && ((a[31] ^ b[31]) & 0x7f) == 0;
}

/* ---- text ---- */

int veld_base64_encode(char *text, size_t text_size, const void *p, size_t len)
{
    if (text_size < sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL))
        return VELD_E_RANGE;
    sodium_bin2base64(text, text_size, p, len, sodium_base64_VARIANT_ORIGINAL);
    return 0;
}

int veld_base64_decode(void *out, size_t len, const char *text, size_t text_len)
{
    size_t n = 0;
    if (sodium_base642bin(out, len, text, text_len, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0 &&
        n == len)
        return 0;
    veld_wipe(out, len);
    return VELD_E_FORMAT;
}

int veld_base64url_encode(char *text, size_t text_size, const void *p, size_t len)
{
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    if (text_size < sodium_base64_encoded_len(len, variant))
        return VELD_E_RANGE;
    sodium_bin2base64(text, text_size, p, len, variant);
    return 0;
}

int veld_base64url_decode(void *out, size_t max, size_t *len, const char *text, size_t text_len)
{
    if (sodium_base642bin(out, max, text, text_len, NULL, len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
        return 0;
    veld_wipe(out, max);
    *len = 0;
    return VELD_E_FORMAT;
}

/* ---- guarded memory ---- */

void *veld_secure_alloc(size_t len)
{
    /* libsodium puts the end of the memory at a guard page: only a rounded size is aligned. */
    const size_t align = _Alignof(max_align_t);
    if (len > SIZE_MAX - align)
        return NULL;
    size_t rounded = (len + align - 1) / align * align;
    void *p = sodium_malloc(rounded);
    if (p)
        memset(p, 0, rounded);
    return p;
}

void veld_secure_free(void *p)
{
    sodium_free(p);
}

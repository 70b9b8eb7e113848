/*
 * The primitives Veld is built from, as libsodium provides them: the only
 * include of libsodium in the tree, together with aead_sodium.c.
 *
 * Invariant: secret inputs are handled in constant time; a function that fails
 * leaves zeroed outputs. veld_crypto_init() once, before anything else.
 * Any thread after that.
 */
#ifndef VELD_CRYPTO_PRIMITIVES_H
#define VELD_CRYPTO_PRIMITIVES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_HASH_SIZE 32

VELD_MUST_USE int veld_crypto_init(void);

void veld_random(void *out, size_t len);
void veld_wipe(void *p, size_t len);
/* Constant time. */
bool veld_equal(const void *a, const void *b, size_t len);
bool veld_is_zero(const void *p, size_t len);

/* SHA-256 of the concatenation of `n` parts (FIPS 180-4). */
struct veld_bytes {
    const void *p;
    size_t len;
};
void veld_sha256(uint8_t out[32], const struct veld_bytes *parts, size_t n);
/* HMAC-SHA256 (RFC 2104); any key length. */
void veld_hmac(uint8_t out[32], const void *key, size_t key_len, const struct veld_bytes *parts,
               size_t n);
/* HKDF-SHA256 (RFC 5869); out_len <= 255 * 32. */
void veld_hkdf_extract(uint8_t prk[32], const void *salt, size_t salt_len, const void *ikm,
                       size_t ikm_len);
VELD_MUST_USE int veld_hkdf_expand(uint8_t *out, size_t out_len, const uint8_t prk[32],
                                   const void *info, size_t info_len);
/* Keyed BLAKE2b, 16-byte output (RFC 7693): mac1, mac2, cookies. */
void veld_mac16(uint8_t out[16], const uint8_t key[32], const struct veld_bytes *parts,
                size_t n);

/* X25519 (RFC 7748). VELD_E_KEY when the shared secret is all zero (small-order public). */
VELD_MUST_USE int veld_x25519(uint8_t shared[32], const uint8_t secret[32],
                              const uint8_t public_key[32]);
void veld_x25519_public(uint8_t public_key[32], const uint8_t secret[32]);

/* Single-shot ChaCha20-Poly1305 (RFC 8439) for handshake messages: out has len + 16 bytes. */
void veld_seal(uint8_t *out, const uint8_t key[32], uint64_t nonce, const void *ad,
               size_t ad_len, const void *plaintext, size_t len);
/* `len` counts ciphertext and tag. VELD_E_AUTH on a wrong tag; `out` (len - 16 bytes) is then zeroed. */
VELD_MUST_USE int veld_open(uint8_t *out, const uint8_t key[32], uint64_t nonce, const void *ad,
                            size_t ad_len, const void *sealed, size_t len);
/* XChaCha20-Poly1305 with a random 24-byte nonce (draft-irtf-cfrg-xchacha): cookie replies. */
void veld_xseal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[24], const void *ad,
                size_t ad_len, const void *plaintext, size_t len);
VELD_MUST_USE int veld_xopen(uint8_t *out, const uint8_t key[32], const uint8_t nonce[24],
                             const void *ad, size_t ad_len, const void *sealed, size_t len);

/* Ed25519 (RFC 8032). */
void veld_ed25519_keypair(const uint8_t seed[32], uint8_t public_key[32]);
void veld_ed25519_sign(uint8_t sig[64], const uint8_t seed[32], const void *msg, size_t len);
VELD_MUST_USE int veld_ed25519_verify(const uint8_t sig[64], const uint8_t public_key[32],
                                      const void *msg, size_t len);
/* The X25519 twin of an Ed25519 key pair (birational map, RFC 7748 section 4.1). */
void veld_ed25519_secret_to_x25519(uint8_t x_secret[32], const uint8_t seed[32]);
/*
 * VELD_E_KEY unless `public_key` is canonical, on the curve, of full prime
 * order (not small order, not mixed). Costs two to four Diffie-Hellmans. Every
 * key passes here before anything is said to its owner.
 */
VELD_MUST_USE int veld_ed25519_public_to_x25519(uint8_t x_public[32],
                                                const uint8_t public_key[32]);
/* y < 2^255 - 19. Says nothing of the curve. */
bool veld_ed25519_is_canonical(const uint8_t public_key[32]);
/*
 * Equal, or each other's sign twin. Of canonical keys these, and only these,
 * have one X25519 key in common: the map is (1 + y) / (1 - y).
 */
bool veld_ed25519_same_but_for_sign(const uint8_t a[32], const uint8_t b[32]);

/* SipHash-2-4, for hash tables whose keys an attacker chooses. */
uint64_t veld_siphash(const uint8_t key[16], const void *p, size_t len);

/* Standard base64 with padding; `text_size` must hold the NUL too. */
VELD_MUST_USE int veld_base64_encode(char *text, size_t text_size, const void *p, size_t len);
/* Exactly `len` bytes, canonical, nothing after them. VELD_E_FORMAT otherwise. */
VELD_MUST_USE int veld_base64_decode(void *out, size_t len, const char *text, size_t text_len);
/* base64url without padding (RFC 4648, section 5); the same rules. */
VELD_MUST_USE int veld_base64url_encode(char *text, size_t text_size, const void *p,
                                        size_t len);
/* At most `max` bytes; how many is in `*len`. */
VELD_MUST_USE int veld_base64url_decode(void *out, size_t max, size_t *len, const char *text,
                                        size_t text_len);

/* Guarded memory: page-aligned, mlocked where allowed, canary-checked, kept out of core dumps. */
void *veld_secure_alloc(size_t len);
void veld_secure_free(void *p); /* wipes; NULL is allowed */

#endif

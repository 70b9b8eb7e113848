/*
 * The two halves of the AVX-512 backend (aead_avx512.c): ChaCha20 of 16 blocks and
 * Poly1305 of 8 runs of blocks at once, one to a lane of the vectors. The lanes are
 * independent of each other: they may belong to different datagrams and keys.
 *
 * Invariant: no branch, address or length depends on a secret; only the bytes that
 * are named by an address and a length are read or written. Whoever holds the
 * structs wipes them.
 *
 * Only where veld_aead_avx512.usable(). Any thread; no state but the arguments.
 */
#ifndef VELD_CRYPTO_AEAD_AVX512_H
#define VELD_CRYPTO_AEAD_AVX512_H

#include "base/bytes.h"

#include <stdint.h>

#define VELD_CHACHA_LANES 16
#define VELD_POLY_LANES   8

/* ---- ChaCha20 (RFC 8439, section 2.3), transposed: a row is one word of all 16 blocks ---- */

enum { VELD_CHACHA_KEY = 0, VELD_CHACHA_COUNTER = 8, VELD_CHACHA_NONCE = 9 };

struct veld_chacha16 {
    _Alignas(VELD_CACHE_LINE) uint32_t row[12][VELD_CHACHA_LANES]; /* state words 4 to 15 */
    /* Twice as long as used, so that a run of lanes can be written from any of them on. */
    uint8_t *data[2 * VELD_CHACHA_LANES]; /* what each block's keystream is laid over */
    uint32_t len[2 * VELD_CHACHA_LANES];  /* 0 to 64 bytes of it */
};

/* The 16 blocks of keystream; `data` and `len` are not looked at. `out` is 64-aligned. */
void veld_chacha16_keystream(const struct veld_chacha16 *c, uint8_t out[VELD_CHACHA_LANES][64]);
/* Lays (by exclusive or) such a keystream over the data. */
void veld_chacha16_lay(const struct veld_chacha16 *c,
                       const uint8_t keystream[VELD_CHACHA_LANES][64]);
/* Both in one. */
void veld_chacha16_xor(const struct veld_chacha16 *c);

/*
 * ---- Poly1305 (RFC 8439, section 2.5), radix 2^44 ----
 *
 * init; blocks, any number of times; finish.
 */

struct veld_poly8 {
    /* r, r^2, r^3, r^4: three limbs, then 20 times the upper two; a row is one of all lanes. */
    _Alignas(VELD_CACHE_LINE) uint64_t power[4][5][VELD_POLY_LANES];
    uint64_t h[3][VELD_POLY_LANES];
    uint64_t s[2][VELD_POLY_LANES];
};

/* key[i]: 32 bytes, r and s. */
void veld_poly8_init(struct veld_poly8 *p, const uint8_t *const key[VELD_POLY_LANES]);
/* Lane i takes in count[i] whole blocks of 16 bytes at at[i]; 0 leaves it as it is. */
void veld_poly8_blocks(struct veld_poly8 *p, const uint8_t *const at[VELD_POLY_LANES],
                       const uint32_t count[VELD_POLY_LANES]);
void veld_poly8_finish(const struct veld_poly8 *p, uint64_t tag[2][VELD_POLY_LANES]);

#endif

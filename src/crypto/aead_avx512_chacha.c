#include "crypto/aead_avx512.h"

#include <immintrin.h>

/*
 * The 16 words of the state are 16 registers; 16 more are left for the transposition
 * at the end, so that nothing is spilled to the stack. Loops over registers have
 * constant bounds and must be unrolled, hence the pragmas.
 */
#define UNROLL _Pragma("GCC unroll 16")

struct blocks {
    __m512i x[16];
};

#define INLINE static inline __attribute__((always_inline))

/* x[a..] += x[b..]; x[d..] = (x[d..] ^ x[a..]) <<< n, in four quarter rounds side by side. */
#define QUARTER_STEP(b, i, j, l, n)                                                            \
    UNROLL for (int q = 0; q < 4; q++)(b)->x[i] = _mm512_add_epi32((b)->x[i], (b)->x[j]);      \
    UNROLL for (int q = 0; q < 4; q++)(b)->x[l] = _mm512_xor_si512((b)->x[l], (b)->x[i]);      \
    UNROLL for (int q = 0; q < 4; q++)(b)->x[l] = _mm512_rol_epi32((b)->x[l], n)

/*
 * Four quarter rounds, on the columns (turn 0) or diagonals (turn 1) of the state. Step
 * by step and side by side: what is independent stands together in the code, for the
 * processor looks ahead only so far.
 */
INLINE void round4(struct blocks *b, int turn)
{
#define A q
#define B (4 + ((q + turn) & 3))
#define C (8 + ((q + 2 * turn) & 3))
#define D (12 + ((q + 3 * turn) & 3))
    QUARTER_STEP(b, A, B, D, 16);
    QUARTER_STEP(b, C, D, B, 12);
    QUARTER_STEP(b, A, B, D, 8);
    QUARTER_STEP(b, C, D, B, 7);
#undef A
#undef B
#undef C
#undef D
}

/* Rows of words to rows of blocks: 4x4 words within 128 bits, then 4x4 of those. */
INLINE void transpose(struct blocks *b)
{
    struct blocks t;
    UNROLL for (int i = 0; i < 16; i += 4)
    {
        __m512i ab_lo = _mm512_unpacklo_epi32(b->x[i], b->x[i + 1]);
        __m512i ab_hi = _mm512_unpackhi_epi32(b->x[i], b->x[i + 1]);
        __m512i cd_lo = _mm512_unpacklo_epi32(b->x[i + 2], b->x[i + 3]);
        __m512i cd_hi = _mm512_unpackhi_epi32(b->x[i + 2], b->x[i + 3]);
        t.x[i] = _mm512_unpacklo_epi64(ab_lo, cd_lo);
        t.x[i + 1] = _mm512_unpackhi_epi64(ab_lo, cd_lo);
        t.x[i + 2] = _mm512_unpacklo_epi64(ab_hi, cd_hi);
        t.x[i + 3] = _mm512_unpackhi_epi64(ab_hi, cd_hi);
    }
    /* Now t.x[i + j] has words i to i+3 of blocks j, j+4, j+8 and j+12. */
    UNROLL for (int j = 0; j < 4; j++)
    {
        __m512i a = _mm512_shuffle_i32x4(t.x[j], t.x[4 + j], 0x44);
        __m512i c = _mm512_shuffle_i32x4(t.x[j], t.x[4 + j], 0xee);
        __m512i d = _mm512_shuffle_i32x4(t.x[8 + j], t.x[12 + j], 0x44);
        __m512i e = _mm512_shuffle_i32x4(t.x[8 + j], t.x[12 + j], 0xee);
        b->x[j] = _mm512_shuffle_i32x4(a, d, 0x88);
        b->x[4 + j] = _mm512_shuffle_i32x4(a, d, 0xdd);
        b->x[8 + j] = _mm512_shuffle_i32x4(c, e, 0x88);
        b->x[12 + j] = _mm512_shuffle_i32x4(c, e, 0xdd);
    }
}

INLINE void compute(const struct veld_chacha16 *c, struct blocks *b)
{
    static const uint32_t sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    UNROLL for (int i = 0; i < 4; i++) b->x[i] = _mm512_set1_epi32((int)sigma[i]);
    UNROLL for (int i = 0; i < 12; i++) b->x[4 + i] = _mm512_load_si512(c->row[i]);
#pragma GCC unroll 1
    for (int round = 0; round < 10; round++) {
        round4(b, 0);
        round4(b, 1);
    }
    /* Read the rows again: kept, they would be spilled, and nobody would wipe the stack. */
    __asm__("" : "+r"(c));
    UNROLL for (int i = 0; i < 4; i++) b->x[i] =
        _mm512_add_epi32(b->x[i], _mm512_set1_epi32((int)sigma[i]));
    UNROLL for (int i = 0; i < 12; i++) b->x[4 + i] =
        _mm512_add_epi32(b->x[4 + i], _mm512_load_si512(c->row[i]));
    transpose(b);
}

INLINE void lay(uint8_t *data, uint32_t len, __m512i keystream)
{
    if (len == 64) {
        _mm512_storeu_si512(data, _mm512_xor_si512(_mm512_loadu_si512(data), keystream));
    } else if (len > 0) { /* with no bit set the mask would cost a trap into microcode */
        __mmask64 mask = _bzhi_u64(~0ull, len);
        __m512i d = _mm512_maskz_loadu_epi8(mask, data);
        _mm512_mask_storeu_epi8(data, mask, _mm512_xor_si512(d, keystream));
    }
}

void veld_chacha16_keystream(const struct veld_chacha16 *c, uint8_t out[VELD_CHACHA_LANES][64])
{
    struct blocks b;
    compute(c, &b);
    UNROLL for (int i = 0; i < 16; i++) _mm512_store_si512(out[i], b.x[i]);
}

void veld_chacha16_lay(const struct veld_chacha16 *c,
                       const uint8_t keystream[VELD_CHACHA_LANES][64])
{
    for (int i = 0; i < 16; i++)
        lay(c->data[i], c->len[i], _mm512_load_si512(keystream[i]));
}

void veld_chacha16_xor(const struct veld_chacha16 *c)
{
    struct blocks b;
    compute(c, &b);
    UNROLL for (int i = 0; i < 16; i++) lay(c->data[i], c->len[i], b.x[i]);
}

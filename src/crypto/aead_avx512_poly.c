#include "crypto/aead_avx512.h"

#include <immintrin.h>
#include <stdbool.h>

/*
 * A number is h0 + h1 2^44 + h2 2^88 modulo p = 2^130 - 5; what passes 2^132 comes
 * back times 20. VPMADD52 gives the lower and upper 52 bits of a product; the upper
 * weigh 2^52 = 2^44 2^8 and so go to the next limb, shifted by 8.
 *
 * Between steps h0 < 2^44, h1 < 2^44 + 2^15, h2 < 2^42. A block adds at most 2^44 to
 * a limb, so factors stay below 2^46, and 20 r_i below 2^49: of a sum of twelve
 * products the lower halves stay below 2^56, the upper ones below 2^47.
 *
 * Four blocks a step, reduced once: (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r.
 */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#define M44    _mm512_set1_epi64((1ll << 44) - 1)
#define M42    _mm512_set1_epi64((1ll << 42) - 1)

struct limbs {
    __m512i v0, v1, v2;
};

/* Sums of products, before they are reduced. */
struct wide {
    __m512i lo[3], hi[3];
};

/* 16 bytes of each lane. */
struct words {
    __m512i lo, hi;
};

INLINE __m512i add(__m512i a, __m512i b)
{
    return _mm512_add_epi64(a, b);
}

INLINE struct limbs load_h(const struct veld_poly8 *p)
{
    return (struct limbs){_mm512_load_si512(p->h[0]), _mm512_load_si512(p->h[1]),
                          _mm512_load_si512(p->h[2])};
}

INLINE void store_h(struct veld_poly8 *p, struct limbs h)
{
    _mm512_store_si512(p->h[0], h.v0);
    _mm512_store_si512(p->h[1], h.v1);
    _mm512_store_si512(p->h[2], h.v2);
}

INLINE void store_power(uint64_t power[5][VELD_POLY_LANES], struct limbs r)
{
    const __m512i v[5] = {r.v0, r.v1, r.v2,
                          add(_mm512_slli_epi64(r.v1, 4), _mm512_slli_epi64(r.v1, 2)),
                          add(_mm512_slli_epi64(r.v2, 4), _mm512_slli_epi64(r.v2, 2))};
    UNROLL for (int i = 0; i < 5; i++) _mm512_store_si512(power[i], v[i]);
}

INLINE void product(struct wide *d, int limb, __m512i a, const uint64_t b[VELD_POLY_LANES])
{
    __m512i factor = _mm512_load_si512(b);
    d->lo[limb] = _mm512_madd52lo_epu64(d->lo[limb], a, factor);
    d->hi[limb] = _mm512_madd52hi_epu64(d->hi[limb], a, factor);
}

INLINE void multiply_add(struct wide *d, struct limbs x, const uint64_t r[5][VELD_POLY_LANES])
{
    product(d, 0, x.v0, r[0]);
    product(d, 1, x.v0, r[1]);
    product(d, 2, x.v0, r[2]);
    product(d, 0, x.v1, r[4]);
    product(d, 1, x.v1, r[0]);
    product(d, 2, x.v1, r[1]);
    product(d, 0, x.v2, r[3]);
    product(d, 1, x.v2, r[4]);
    product(d, 2, x.v2, r[0]);
}

INLINE struct wide zero(void)
{
    __m512i z = _mm512_setzero_si512();
    return (struct wide){{z, z, z}, {z, z, z}};
}

INLINE struct limbs reduce(struct wide d)
{
    struct limbs h;
    h.v0 = _mm512_and_si512(d.lo[0], M44);
    d.lo[1] = add(add(d.lo[1], _mm512_slli_epi64(d.hi[0], 8)), _mm512_srli_epi64(d.lo[0], 44));
    h.v1 = _mm512_and_si512(d.lo[1], M44);
    d.lo[2] = add(add(d.lo[2], _mm512_slli_epi64(d.hi[1], 8)), _mm512_srli_epi64(d.lo[1], 44));
    h.v2 = _mm512_and_si512(d.lo[2], M42);
    /* In units of 2^130, each worth 5. */
    __m512i top = add(_mm512_slli_epi64(d.hi[2], 10), _mm512_srli_epi64(d.lo[2], 42));
    h.v0 = add(h.v0, add(top, _mm512_slli_epi64(top, 2)));
    h.v1 = add(h.v1, _mm512_srli_epi64(h.v0, 44));
    h.v0 = _mm512_and_si512(h.v0, M44);
    return h;
}

INLINE struct limbs multiply(struct limbs x, const uint64_t r[5][VELD_POLY_LANES])
{
    struct wide d = zero();
    multiply_add(&d, x, r);
    return reduce(d);
}

INLINE struct limbs split(struct words w)
{
    return (struct limbs){
        _mm512_and_si512(w.lo, M44),
        _mm512_and_si512(
            _mm512_or_si512(_mm512_srli_epi64(w.lo, 44), _mm512_slli_epi64(w.hi, 20)), M44),
        _mm512_srli_epi64(w.hi, 24),
    };
}

/*
 * 16 bytes of each lane. Four loads into the quarters of a register need no shuffle,
 * which would wait for the units that multiply.
 */
INLINE struct words load_words(const uint8_t *const at[VELD_POLY_LANES], size_t offset)
{
    __m512i half[2]; /* the even lanes, the odd ones */
    UNROLL for (int i = 0; i < 2; i++)
    {
        __m128i q[4];
        UNROLL for (int j = 0; j < 4; j++) q[j] =
            _mm_loadu_si128((const __m128i *)(const void *)(at[2 * j + i] + offset));
        half[i] = _mm512_castsi128_si512(q[0]);
        half[i] = _mm512_mask_broadcast_i64x2(half[i], 0x0c, q[1]);
        half[i] = _mm512_mask_broadcast_i64x2(half[i], 0x30, q[2]);
        half[i] = _mm512_mask_broadcast_i64x2(half[i], 0xc0, q[3]);
    }
    return (struct words){_mm512_unpacklo_epi64(half[0], half[1]),
                          _mm512_unpackhi_epi64(half[0], half[1])};
}

/* A whole block: with the bit past its 16 bytes. */
INLINE struct limbs load_block(const uint8_t *const at[VELD_POLY_LANES], size_t offset)
{
    struct limbs m = split(load_words(at, offset));
    m.v2 = _mm512_or_si512(m.v2, _mm512_set1_epi64(1ll << 40));
    return m;
}

/* Takes in `n` (a constant, 1 to 4) blocks a lane, at at[i] + offset. */
INLINE struct limbs step(const struct veld_poly8 *p, struct limbs h,
                         const uint8_t *const at[VELD_POLY_LANES], size_t offset, int n)
{
    struct wide d = zero();
    /* The powers are read where they are used: kept, they would be spilled to the stack. */
    __asm__("" : "+r"(p));
    UNROLL for (int k = n - 1; k > 0; k--)
        multiply_add(&d, load_block(at, offset + 16 * (size_t)k), p->power[n - 1 - k]);
    struct limbs m = load_block(at, offset);
    h = (struct limbs){add(h.v0, m.v0), add(h.v1, m.v1), add(h.v2, m.v2)};
    multiply_add(&d, h, p->power[n - 1]);
    return reduce(d);
}

/* The same for the lanes that have `n` blocks left after `from` blocks; others stay. */
INLINE struct limbs step_some(const struct veld_poly8 *p, struct limbs h,
                              const uint8_t *const at[VELD_POLY_LANES],
                              const uint32_t count[VELD_POLY_LANES], uint32_t from, int n)
{
    static const uint8_t nothing[64];
    const uint8_t *some[VELD_POLY_LANES];
    __mmask8 mask = 0;
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        bool has = count[i] >= from + (uint32_t)n;
        some[i] = has ? at[i] + (size_t)from * 16 : nothing;
        mask |= (__mmask8)(has << i);
    }
    struct limbs next = step(p, h, some, 0, n);
    return (struct limbs){_mm512_mask_mov_epi64(h.v0, mask, next.v0),
                          _mm512_mask_mov_epi64(h.v1, mask, next.v1),
                          _mm512_mask_mov_epi64(h.v2, mask, next.v2)};
}

/* 0 to 3 blocks a lane. */
INLINE struct limbs rest(const struct veld_poly8 *p, struct limbs h,
                         const uint8_t *const at[VELD_POLY_LANES],
                         const uint32_t count[VELD_POLY_LANES])
{
    uint32_t most = 0;
    bool equal = true;
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        most = VELD_MAX(most, count[i]);
        equal = equal && count[i] == count[0];
    }
    if (equal && most == 1)
        return step(p, h, at, 0, 1);
    if (equal && most == 2)
        return step(p, h, at, 0, 2);
    if (equal && most == 3)
        return step(p, h, at, 0, 3);
    for (uint32_t from = 0; from < most; from++)
        h = step_some(p, h, at, count, from, 1);
    return h;
}

void veld_poly8_blocks(struct veld_poly8 *p, const uint8_t *const at[VELD_POLY_LANES],
                       const uint32_t count[VELD_POLY_LANES])
{
    uint32_t least = count[0], most = count[0], any = count[0], from = 0;
    for (unsigned i = 1; i < VELD_POLY_LANES; i++) {
        least = VELD_MIN(least, count[i]);
        most = VELD_MAX(most, count[i]);
        any |= count[i];
    }
    struct limbs h = load_h(p);
    for (; from + 4 <= least; from += 4)
        h = step(p, h, at, (size_t)from * 16, 4);
    for (; from + 4 <= most; from += 4)
        h = step_some(p, h, at, count, from, 4);
    if (any % 4) {
        const uint8_t *end[VELD_POLY_LANES];
        uint32_t left[VELD_POLY_LANES];
        for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
            left[i] = count[i] % 4;
            end[i] = at[i] + (size_t)(count[i] - left[i]) * 16;
        }
        h = rest(p, h, end, left);
    }
    store_h(p, h);
}

void veld_poly8_init(struct veld_poly8 *p, const uint8_t *const key[VELD_POLY_LANES])
{
    struct words r = load_words(key, 0), final = load_words(key, 16);
    _mm512_store_si512(p->s[0], final.lo);
    _mm512_store_si512(p->s[1], final.hi);
    /* Clamped: RFC 8439, section 2.5.1. */
    r.lo = _mm512_and_si512(r.lo, _mm512_set1_epi64(0x0ffffffc0fffffff));
    r.hi = _mm512_and_si512(r.hi, _mm512_set1_epi64(0x0ffffffc0ffffffc));
    struct limbs r1 = split(r);
    store_power(p->power[0], r1);
    struct limbs r2 = multiply(r1, p->power[0]);
    store_power(p->power[1], r2);
    store_power(p->power[2], multiply(r2, p->power[0]));
    store_power(p->power[3], multiply(r2, p->power[1]));
    __m512i z = _mm512_setzero_si512();
    store_h(p, (struct limbs){z, z, z});
}

/* One pass: each limb below its bound, but for what the last carry adds to h1. */
INLINE struct limbs carry(struct limbs h)
{
    h.v1 = add(h.v1, _mm512_srli_epi64(h.v0, 44));
    h.v0 = _mm512_and_si512(h.v0, M44);
    h.v2 = add(h.v2, _mm512_srli_epi64(h.v1, 44));
    h.v1 = _mm512_and_si512(h.v1, M44);
    __m512i top = _mm512_srli_epi64(h.v2, 42);
    h.v2 = _mm512_and_si512(h.v2, M42);
    h.v0 = add(h.v0, add(top, _mm512_slli_epi64(top, 2)));
    h.v1 = add(h.v1, _mm512_srli_epi64(h.v0, 44));
    h.v0 = _mm512_and_si512(h.v0, M44);
    return h;
}

void veld_poly8_finish(const struct veld_poly8 *p, uint64_t tag[2][VELD_POLY_LANES])
{
    /* The second pass leaves nothing: h < 2^130. */
    struct limbs h = carry(carry(load_h(p)));
    /* g = h + 5 - 2^130 is the residue when it is not negative. */
    struct limbs g = {add(h.v0, _mm512_set1_epi64(5)), h.v1, h.v2};
    g.v1 = add(g.v1, _mm512_srli_epi64(g.v0, 44));
    g.v2 = add(g.v2, _mm512_srli_epi64(g.v1, 44));
    __mmask8 above = _mm512_cmpgt_epu64_mask(g.v2, M42);
    h.v0 = _mm512_mask_and_epi64(h.v0, above, g.v0, M44);
    h.v1 = _mm512_mask_and_epi64(h.v1, above, g.v1, M44);
    h.v2 = _mm512_mask_and_epi64(h.v2, above, g.v2, M42);
    __m512i s0 = _mm512_load_si512(p->s[0]), s1 = _mm512_load_si512(p->s[1]);
    __m512i t0 = _mm512_or_si512(h.v0, _mm512_slli_epi64(h.v1, 44));
    __m512i t1 = _mm512_or_si512(_mm512_srli_epi64(h.v1, 20), _mm512_slli_epi64(h.v2, 24));
    t0 = add(t0, s0);
    t1 = add(t1, s1);
    t1 = _mm512_mask_add_epi64(t1, _mm512_cmplt_epu64_mask(t0, s0), t1, _mm512_set1_epi64(1));
    _mm512_storeu_si512(tag[0], t0);
    _mm512_storeu_si512(tag[1], t1);
}

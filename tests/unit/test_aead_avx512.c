#include "crypto/aead_avx512.h"
#include "crypto/aead_backends.h"

#include <criterion/criterion.h>
#include <string.h>

static void need_avx512(void)
{
    if (!veld_aead_avx512.usable())
        cr_skip_test("this CPU has no AVX-512 with IFMA");
}

TestSuite(aead_avx512, .init = need_avx512, .timeout = 30);

/* RFC 8439, section 2.3.2, in one lane; the other lanes count on. */
Test(aead_avx512, chacha_is_that_of_the_rfc_in_each_lane)
{
    static const uint8_t start[16] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
                                      0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4};
    static struct veld_chacha16 c;
    static _Alignas(64) uint8_t out[VELD_CHACHA_LANES][64];
    for (unsigned lane = 0; lane < VELD_CHACHA_LANES; lane++) {
        for (unsigned i = 0; i < VELD_CHACHA_LANES; i++) {
            for (unsigned w = 0; w < 8; w++)
                c.row[VELD_CHACHA_KEY + w][i] = 0x03020100 + w * 0x04040404;
            c.row[VELD_CHACHA_COUNTER][i] = 1 + i - lane;
            c.row[VELD_CHACHA_NONCE][i] = 0x09000000;
            c.row[VELD_CHACHA_NONCE + 1][i] = 0x4a000000;
            c.row[VELD_CHACHA_NONCE + 2][i] = 0;
        }
        veld_chacha16_keystream(&c, out);
        for (unsigned i = 0; i < VELD_CHACHA_LANES; i++)
            cr_assert_eq(memcmp(out[i], start, sizeof start) == 0, i == lane, "%u", lane);
    }
}

/* RFC 8439, section A.3, vectors 7 to 11: what overflows where. */
static const struct {
    uint8_t r, s; /* r: its lowest byte; s: all bytes */
    uint8_t data[48];
    uint32_t blocks;
    uint8_t tag[2]; /* the first byte, and all others */
} overflowing[] = {
#define REST(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x
    {2, 0x00, {0xff, REST(0xff)}, 1, {0x03, 0x00}},
    {2, 0xff, {0x02}, 1, {0x03, 0x00}},
    {1, 0x00, {0xff, REST(0xff), 0xf0, REST(0xff), 0x11}, 3, {0x05, 0x00}},
    {1, 0x00, {0xff, REST(0xff), 0xfb, REST(0xfe), 0x01, REST(0x01)}, 3, {0x00, 0x00}},
    {2, 0x00, {0xfd, REST(0xff)}, 1, {0xfa, 0xff}},
#undef REST
};

/* All five side by side, each in every lane, and lanes that take in nothing. */
Test(aead_avx512, poly_carries_as_the_rfc_does_in_each_lane)
{
    enum { N = VELD_ARRAY_LEN(overflowing) };
    static struct veld_poly8 p;
    for (unsigned turn = 0; turn < VELD_POLY_LANES; turn++) {
        uint8_t key[VELD_POLY_LANES][32] = {0};
        const uint8_t *keys[VELD_POLY_LANES], *at[VELD_POLY_LANES];
        uint32_t count[VELD_POLY_LANES] = {0};
        uint64_t tag[2][VELD_POLY_LANES];
        for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
            unsigned lane = (i + turn) % VELD_POLY_LANES;
            keys[lane] = key[lane];
            at[lane] = overflowing[0].data;
            if (i >= N)
                continue;
            key[lane][0] = overflowing[i].r;
            memset(key[lane] + 16, overflowing[i].s, 16);
            at[lane] = overflowing[i].data;
            count[lane] = overflowing[i].blocks;
        }
        veld_poly8_init(&p, keys);
        veld_poly8_blocks(&p, at, count);
        veld_poly8_finish(&p, tag);
        for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
            unsigned lane = (i + turn) % VELD_POLY_LANES;
            uint8_t expected[16] = {0}, got[16];
            if (i < N) {
                memset(expected, overflowing[i].tag[1], 16);
                expected[0] = overflowing[i].tag[0];
            }
            veld_store_le64(got, tag[0][lane]);
            veld_store_le64(got + 8, tag[1][lane]);
            cr_assert_arr_eq(got, expected, 16, "vector %u in lane %u", i + 7, lane);
        }
    }
}

/* Around p = 2^130 - 5, and with as much in a limb as a step may leave there. */
Test(aead_avx512, poly_finishes_with_the_least_residue)
{
    enum { N = 7 };
    const uint64_t full = (1ull << 44) - 1, top = (1ull << 42) - 1;
    const struct {
        uint64_t h[3], tag[2];
    } cases[N] = {
        {{0, 0, 0}, {0, 0}},
        {{full - 4, full, top}, {0, 0}},              /* p */
        {{full - 5, full, top}, {-6ull, -1ull}},      /* p - 1, of which 128 bits remain */
        {{full, full, top}, {4, 0}},                  /* 2^130 - 1 */
        {{0, full + 1, top}, {5, 0}},                 /* 2^130 */
        {{full - 4, full + 1, top}, {1ull << 44, 0}}, /* 2^130 + 2^44 - 5 */
        {{full, full + (1 << 14), top}, {(1ull << 58) + 4, 0}},
    };
    static struct veld_poly8 p;
    uint64_t tag[2][VELD_POLY_LANES];
    for (unsigned i = 0; i < N; i++)
        for (unsigned l = 0; l < 3; l++)
            p.h[l][i] = cases[i].h[l];
    veld_poly8_finish(&p, tag);
    for (unsigned i = 0; i < N; i++)
        cr_assert(tag[0][i] == cases[i].tag[0] && tag[1][i] == cases[i].tag[1], "case %u", i);
}

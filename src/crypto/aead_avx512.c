#include "crypto/aead_avx512.h"

#include "crypto/aead_backends.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * Veld's own kernel: the blocks of up to 16 datagrams fill the lanes of ChaCha20, and
 * 8 datagrams those of Poly1305, so that no lane idles in a full batch, and short
 * datagrams do not waste blocks.
 *
 * A set of n jobs: the first 16 blocks are block 0 of each job (the one-time
 * Poly1305 keys, RFC 8439 section 2.6), then data; their keystream is kept, so that
 * open can compute tags before it lays any of it over the ciphertext.
 *
 * One to three datagrams leave most lanes of Poly1305 idle: they go to the best
 * of the other backends, which computes powers of the key to fill them.
 */
#define SET       VELD_CHACHA_LANES
#define SET_MIN   4
#define STACK_MAX 4096 /* bytes */

struct veld_aead_ctx {
    struct secrets {
        struct veld_chacha16 chacha;
        struct veld_poly8 poly;
        _Alignas(VELD_CACHE_LINE) uint8_t keystream[SET][64];
        uint64_t tag[SET / VELD_POLY_LANES][2]
                    [VELD_POLY_LANES]; /* what is right, forged or not */
    } secrets;
    const struct veld_aead_backend *few; /* for sets below SET_MIN */
    struct veld_aead_ctx *few_ctx;       /* its own, freed with this one */
};

static bool avx512_usable(void)
{
    /* Looks at what the operating system saves of the registers, too. */
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("bmi2");
}

static struct veld_aead_ctx *avx512_new_ctx(void)
{
    struct veld_aead_ctx *ctx = aligned_alloc(VELD_CACHE_LINE, sizeof *ctx);
    if (!ctx)
        return NULL;
    memset(ctx, 0, sizeof *ctx);
    const struct veld_aead_backend *const *b = veld_aead_backends();
    while (*b == &veld_aead_avx512 || !(*b)->usable())
        b++; /* libsodium, at the latest, is usable everywhere */
    ctx->few = *b;
    ctx->few_ctx = ctx->few->new_ctx();
    if (!ctx->few_ctx) {
        free(ctx);
        return NULL;
    }
    return ctx;
}

static void avx512_free_ctx(struct veld_aead_ctx *ctx)
{
    if (!ctx)
        return;
    ctx->few->free_ctx(ctx->few_ctx);
    free(ctx);
}

/* ---- ChaCha20: which blocks go into which lanes ---- */

#define LANE _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

/* The next byte of data that no lane was given. */
struct cursor {
    struct veld_aead_job *job, *end;
    size_t at;
    bool one_key; /* the rows of the key are filled */
};

static inline __m512i put(__m512i row, __mmask16 lanes, uint32_t word)
{
    return _mm512_mask_set1_epi32(row, lanes, (int)word);
}

static void fill_key(struct veld_chacha16 *c, __mmask16 lanes, const uint8_t key[32])
{
    for (unsigned i = 0; i < 8; i++) {
        uint32_t *row = c->row[VELD_CHACHA_KEY + i];
        _mm512_store_si512(row,
                           put(_mm512_load_si512(row), lanes, veld_load_le32(key + 4 * i)));
    }
}

/* Counter and nonce of a group of blocks while it is put together. */
struct rows {
    __m512i counter, nonce[3];
};

static inline void fill_lanes(struct rows *r, __mmask16 lanes, const struct veld_aead_job *job,
                              __m512i counter)
{
    r->counter = _mm512_mask_mov_epi32(r->counter, lanes, counter);
    r->nonce[0] = put(r->nonce[0], lanes, veld_load_le32(job->nonce));
    r->nonce[1] = put(r->nonce[1], lanes, veld_load_le32(job->nonce + 4));
    r->nonce[2] = put(r->nonce[2], lanes, veld_load_le32(job->nonce + 8));
}

static void store_rows(struct veld_chacha16 *c, const struct rows *r)
{
    _mm512_store_si512(c->row[VELD_CHACHA_COUNTER], r->counter);
    for (unsigned i = 0; i < 3; i++)
        _mm512_store_si512(c->row[VELD_CHACHA_NONCE + i], r->nonce[i]);
}

/* `left` bytes at `data`, 64 a lane; lanes after the last of them get 0 bytes. */
static inline void fill_places(struct veld_chacha16 *c, unsigned lane, uint8_t *data,
                               size_t left)
{
    __m512i place = _mm512_add_epi64(
        _mm512_set1_epi64((long long)(uintptr_t)data),
        _mm512_slli_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(LANE)), 6));
    __m512i len = _mm512_sub_epi32(_mm512_set1_epi32((int)VELD_MIN(left, (size_t)SET * 64)),
                                   _mm512_slli_epi32(LANE, 6));
    len =
        _mm512_min_epi32(_mm512_max_epi32(len, _mm512_setzero_si512()), _mm512_set1_epi32(64));
    _mm512_storeu_si512(c->data + lane, place);
    _mm512_storeu_si512(c->data + lane + 8, _mm512_add_epi64(place, _mm512_set1_epi64(8 * 64)));
    _mm512_storeu_si512(c->len + lane, len);
}

/* Gives the lanes from `lane` on to the next blocks of data; those left over get none. */
static void fill_data(struct veld_chacha16 *c, struct rows *r, struct cursor *next,
                      unsigned lane)
{
    memset(c->len + lane, 0, (SET - lane) * sizeof c->len[0]);
    while (lane < SET && next->job < next->end) {
        struct veld_aead_job *job = next->job;
        size_t left = job->len - next->at;
        unsigned blocks = (unsigned)VELD_MIN((left + 63) / 64, (size_t)(SET - lane));
        __mmask16 lanes = (__mmask16)(((1u << blocks) - 1) << lane);
        uint32_t first = (uint32_t)(1 + next->at / 64);
        fill_lanes(r, lanes, job,
                   _mm512_add_epi32(LANE, _mm512_set1_epi32((int)(first - lane))));
        if (!next->one_key)
            fill_key(c, lanes, job->key);
        fill_places(c, lane, job->data + next->at, left);
        lane += blocks;
        next->at += (size_t)blocks * 64;
        if (next->at >= job->len) {
            next->job++;
            next->at = 0;
        }
    }
}

/* The keystream of block 0 of each job, and of as many blocks of data as fit beside them. */
static void first_blocks(struct secrets *x, struct cursor *next, size_t n)
{
    struct veld_chacha16 *c = &x->chacha;
    struct rows r = {0};
    next->one_key = true;
    for (size_t i = 1; i < n; i++)
        next->one_key = next->one_key && next->job[i].key == next->job[0].key;
    if (next->one_key)
        fill_key(c, 0xffff, next->job[0].key);
    for (unsigned i = 0; i < n; i++) {
        fill_lanes(&r, (__mmask16)(1u << i), &next->job[i], _mm512_setzero_si512());
        if (!next->one_key)
            fill_key(c, (__mmask16)(1u << i), next->job[i].key);
        c->len[i] = 0;
    }
    fill_data(c, &r, next, (unsigned)n);
    store_rows(c, &r);
    veld_chacha16_keystream(c, x->keystream);
}

static void other_blocks(struct secrets *x, struct cursor *next)
{
    struct rows r = {0};
    while (next->job < next->end) {
        fill_data(&x->chacha, &r, next, 0);
        store_rows(&x->chacha, &r);
        veld_chacha16_xor(&x->chacha);
    }
}

/* ---- Poly1305: which runs of blocks go into which lanes ---- */

/* Up to 8 jobs. Lanes without a job do what the first job's do, and nobody looks. */
struct runs {
    const struct veld_aead_job *job[VELD_POLY_LANES];
    const uint8_t *at[VELD_POLY_LANES];
    uint32_t count[VELD_POLY_LANES];
};

/* Bytes, padded with zeros to whole blocks, of which `len` < 64 are given. */
static inline __m512i padded(const uint8_t *p, size_t len)
{
    return _mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, (uint32_t)len), p);
}

static void take_ad(struct veld_poly8 *p, struct runs *r)
{
    _Alignas(VELD_CACHE_LINE) uint8_t end[VELD_POLY_LANES][64];
    bool whole = true;
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        r->at[i] = r->job[i]->ad_len ? r->job[i]->ad : end[i]; /* without any, it may be NULL */
        r->count[i] = r->job[i]->ad_len / 16;
        whole = whole && r->job[i]->ad_len % 16 == 0;
    }
    veld_poly8_blocks(p, r->at, r->count);
    if (whole)
        return;
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        uint32_t left = r->job[i]->ad_len % 16;
        if (left > 0)
            _mm512_store_si512(end[i], padded(r->job[i]->ad + r->job[i]->ad_len - left, left));
        r->at[i] = end[i];
        r->count[i] = left > 0;
    }
    veld_poly8_blocks(p, r->at, r->count);
}

/* What is left of the data after its last 64 whole bytes, and the block of the lengths. */
static void take_end(struct veld_poly8 *p, struct runs *r)
{
    _Alignas(VELD_CACHE_LINE) uint8_t end[VELD_POLY_LANES][128];
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        const struct veld_aead_job *job = r->job[i];
        uint32_t left = job->len % 64, blocks = (left + 15) / 16;
        __m512i lengths =
            _mm512_broadcast_i64x2(_mm_set_epi64x((long long)job->len, (long long)job->ad_len));
        __m512i data = padded(job->data + job->len - left, left);
        data = _mm512_mask_mov_epi64(data, (__mmask8)(3u << 2 * blocks), lengths);
        _mm512_store_si512(end[i], data);
        _mm512_store_si512(end[i] + 64, lengths); /* 4 blocks are left: theirs is the fifth */
        r->at[i] = end[i];
        r->count[i] = blocks + 1;
    }
    veld_poly8_blocks(p, r->at, r->count);
}

/* The tags of the up to 8 jobs from jobs[at] on. */
static void authenticate(struct secrets *x, const struct veld_aead_job *jobs, size_t at,
                         size_t n)
{
    struct runs r;
    const uint8_t *keys[VELD_POLY_LANES];
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        size_t j = at + i < n ? at + i : at;
        r.job[i] = &jobs[j];
        keys[i] = x->keystream[j];
    }
    veld_poly8_init(&x->poly, keys);
    take_ad(&x->poly, &r);
    for (unsigned i = 0; i < VELD_POLY_LANES; i++) {
        r.at[i] = r.job[i]->data;
        r.count[i] = r.job[i]->len / 64 * 4;
    }
    veld_poly8_blocks(&x->poly, r.at, r.count);
    take_end(&x->poly, &r);
    veld_poly8_finish(&x->poly, x->tag[at / VELD_POLY_LANES]);
}

static void authenticate_set(struct secrets *x, const struct veld_aead_job *jobs, size_t n)
{
    for (size_t at = 0; at < n; at += VELD_POLY_LANES)
        authenticate(x, jobs, at, n);
}

/* One half of a job's tag. */
static inline uint64_t tag_word(const struct secrets *x, size_t job, unsigned half)
{
    return x->tag[job / VELD_POLY_LANES][half][job % VELD_POLY_LANES];
}

/* ---- batches ---- */

static void seal_set(struct secrets *x, struct veld_aead_job *jobs, size_t n)
{
    struct cursor next = {.job = jobs, .end = jobs + n};
    first_blocks(x, &next, n);
    veld_chacha16_lay(&x->chacha, x->keystream);
    other_blocks(x, &next);
    authenticate_set(x, jobs, n);
    for (size_t i = 0; i < n; i++) {
        veld_store_le64(jobs[i].data + jobs[i].len, tag_word(x, i, 0));
        veld_store_le64(jobs[i].data + jobs[i].len + 8, tag_word(x, i, 1));
    }
}

static void open_set(struct secrets *x, struct veld_aead_job *jobs, size_t n)
{
    struct cursor next = {.job = jobs, .end = jobs + n};
    first_blocks(x, &next, n);
    authenticate_set(x, jobs, n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *sent = jobs[i].data + jobs[i].len;
        /* No branch: the time says nothing of where tags differ. */
        jobs[i].ok = ((veld_load_le64(sent) ^ tag_word(x, i, 0)) |
                      (veld_load_le64(sent + 8) ^ tag_word(x, i, 1))) == 0;
    }
    veld_chacha16_lay(&x->chacha, x->keystream);
    other_blocks(x, &next);
}

/* As veld_wipe, whose byte at a time would take longer than a short batch. */
static void wipe(struct secrets *x)
{
    memset(x, 0, sizeof *x);
    __asm__ volatile("" : : "r"(x) : "memory");
}

/* What registers were spilled to, below the caller's frame: as deep as a set goes. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t below[STACK_MAX];
    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

/* Whole sets first; returns how many jobs are left, too few for a set. */
static size_t for_sets(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n,
                       void (*set)(struct secrets *, struct veld_aead_job *, size_t))
{
    size_t at = 0;
    for (; n - at >= SET_MIN; at += VELD_MIN(n - at, (size_t)SET))
        set(&ctx->secrets, jobs + at, VELD_MIN(n - at, (size_t)SET));
    if (at > 0) {
        wipe(&ctx->secrets);
        wipe_stack();
    }
    return n - at;
}

static void avx512_seal(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    size_t left = for_sets(ctx, jobs, n, seal_set);
    if (left > 0)
        ctx->few->seal(ctx->few_ctx, jobs + n - left, left);
}

static void avx512_open(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    size_t left = for_sets(ctx, jobs, n, open_set);
    if (left > 0)
        ctx->few->open(ctx->few_ctx, jobs + n - left, left);
}

const struct veld_aead_backend veld_aead_avx512 = {
    .name = "avx512",
    .usable = avx512_usable,
    .new_ctx = avx512_new_ctx,
    .free_ctx = avx512_free_ctx,
    .seal = avx512_seal,
    .open = avx512_open,
};

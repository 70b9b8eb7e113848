#include "crypto/aead_backends.h"

#include "crypto/primitives.h"

#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

/*
 * libipsec-mb's job API, in bursts. What its version 1.3 is like, and what
 * follows from that here:
 *
 * - Its AVX2 code reads 16 bytes past the end of a key (mended in 1.4), so keys
 *   are copied into padded slots, which are wiped before the call returns.
 * - Each single-job call writes a process-wide error number, one cache line for
 *   all threads; a burst does so once, hence bursts.
 * - It computes tags and compares none: open compares here.
 * - It looks at CPUID but not at what the operating system saves of the vector
 *   registers; usable() asks the compiler's runtime, which does.
 */
#define BURST 128 /* IMB_MAX_BURST_SIZE of 1.3 */
_Static_assert(BURST <= IMB_MAX_BURST_SIZE, "a burst must fit the library's");

struct slot {
    uint8_t key[48]; /* 32, and what is read past it */
    uint8_t tag[16]; /* open: the tag that should have come */
};

struct veld_aead_ctx {
    _Alignas(VELD_CACHE_LINE) struct slot slots[BURST];
    IMB_MGR *mgr;
};

static bool has_avx2(void)
{
    return (imb_get_feature_flags() & IMB_CPUFLAGS_AVX2) == IMB_CPUFLAGS_AVX2 &&
           __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
    return has_avx2() &&
           (imb_get_feature_flags() & IMB_CPUFLAGS_AVX512) == IMB_CPUFLAGS_AVX512 &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

static struct veld_aead_ctx *new_ctx(void (*init)(IMB_MGR *))
{
    struct veld_aead_ctx *ctx = aligned_alloc(VELD_CACHE_LINE, sizeof *ctx);
    if (!ctx)
        return NULL;
    memset(ctx, 0, sizeof *ctx);
    ctx->mgr = alloc_mb_mgr(0);
    if (ctx->mgr)
        init(ctx->mgr);
    if (!ctx->mgr || imb_get_errno(ctx->mgr) != 0) {
        if (ctx->mgr)
            free_mb_mgr(ctx->mgr);
        free(ctx);
        return NULL;
    }
    return ctx;
}

static struct veld_aead_ctx *new_avx512_ctx(void)
{
    return new_ctx(init_mb_mgr_avx512);
}

static struct veld_aead_ctx *new_avx2_ctx(void)
{
    return new_ctx(init_mb_mgr_avx2);
}

static void free_ctx(struct veld_aead_ctx *ctx)
{
    if (!ctx)
        return;
    free_mb_mgr(ctx->mgr);
    free(ctx);
}

static void fill(IMB_JOB *imb, const struct veld_aead_job *job, struct slot *slot,
                 IMB_CIPHER_DIRECTION direction)
{
    static const uint8_t no_ad;
    memcpy(slot->key, job->key, 32);
    imb->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    imb->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    imb->cipher_direction = direction;
    imb->chain_order =
        direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    imb->enc_keys = imb->dec_keys = slot->key;
    imb->key_len_in_bytes = 32;
    imb->iv = job->nonce;
    imb->iv_len_in_bytes = sizeof job->nonce;
    imb->u.CHACHA20_POLY1305.aad = job->ad_len ? job->ad : &no_ad;
    imb->u.CHACHA20_POLY1305.aad_len_in_bytes = job->ad_len;
    imb->src = imb->dst = job->data;
    imb->cipher_start_src_offset_in_bytes = imb->hash_start_src_offset_in_bytes = 0;
    imb->msg_len_to_cipher_in_bytes = imb->msg_len_to_hash_in_bytes = job->len;
    imb->auth_tag_output = direction == IMB_DIR_ENCRYPT ? job->data + job->len : slot->tag;
    imb->auth_tag_output_len_in_bytes = 16;
}

static void run_burst(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, uint32_t n,
                      IMB_CIPHER_DIRECTION direction)
{
    IMB_JOB *burst[BURST];
    if (IMB_GET_NEXT_BURST(ctx->mgr, n, burst) != n)
        abort(); /* the queue is empty between calls: it always has room */
    for (uint32_t i = 0; i < n; i++)
        fill(burst[i], &jobs[i], &ctx->slots[i], direction);
    uint32_t done = IMB_SUBMIT_BURST_NOCHECK(ctx->mgr, n, burst);
    while (done < n) {
        uint32_t flushed = IMB_FLUSH_BURST(ctx->mgr, n - done, burst);
        if (flushed == 0)
            abort(); /* a datagram that was not sealed must never leave */
        done += flushed;
    }
}

static void seal_jobs(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    size_t used = VELD_MIN(n, (size_t)BURST);
    while (n > 0) {
        uint32_t burst = (uint32_t)VELD_MIN(n, (size_t)BURST);
        run_burst(ctx, jobs, burst, IMB_DIR_ENCRYPT);
        jobs += burst;
        n -= burst;
    }
    veld_wipe(ctx->slots, used * sizeof ctx->slots[0]);
}

/* No branch and no early end: the time says nothing of where tags differ. */
static bool tags_equal(const uint8_t a[16], const uint8_t b[16])
{
    return ((veld_load_le64(a) ^ veld_load_le64(b)) |
            (veld_load_le64(a + 8) ^ veld_load_le64(b + 8))) == 0;
}

static void open_jobs(struct veld_aead_ctx *ctx, struct veld_aead_job *jobs, size_t n)
{
    size_t used = VELD_MIN(n, (size_t)BURST);
    while (n > 0) {
        uint32_t burst = (uint32_t)VELD_MIN(n, (size_t)BURST);
        run_burst(ctx, jobs, burst, IMB_DIR_DECRYPT);
        for (uint32_t i = 0; i < burst; i++)
            jobs[i].ok = tags_equal(ctx->slots[i].tag, jobs[i].data + jobs[i].len);
        jobs += burst;
        n -= burst;
    }
    veld_wipe(ctx->slots, used * sizeof ctx->slots[0]);
}

const struct veld_aead_backend veld_aead_ipsecmb = {
    .name = "ipsec-mb",
    .usable = has_avx512,
    .new_ctx = new_avx512_ctx,
    .free_ctx = free_ctx,
    .seal = seal_jobs,
    .open = open_jobs,
};

const struct veld_aead_backend veld_aead_ipsecmb_avx2 = {
    .name = "ipsec-mb-avx2",
    .usable = has_avx2,
    .new_ctx = new_avx2_ctx,
    .free_ctx = free_ctx,
    .seal = seal_jobs,
    .open = open_jobs,
};

#include "crypto/aead.h"
#include "crypto/primitives.h"

#include "../support/aead_batch.h"
#include "../support/random.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(aead, .init = init, .timeout = 100);

static const struct veld_aead_backend *backend(const char *name)
{
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b; b++)
        if (strcmp((*b)->name, name) == 0)
            return *b;
    return NULL;
}

/* Runs `body` with `b`, `ctx` for each backend this CPU can run. */
#define FOR_EACH_BACKEND(b, ctx)                                                               \
    for (const struct veld_aead_backend *const *p_ = veld_aead_backends(); *p_; p_++)          \
        for (const struct veld_aead_backend *b = (*p_)->usable() ? *p_ : NULL; b; b = NULL)    \
            for (struct veld_aead_ctx *ctx = b->new_ctx(); ctx; b->free_ctx(ctx), ctx = NULL)

#define CANARY   0xa5
#define SLACK    64
#define DATA_MAX 2200

/* One datagram with canaries on both sides, and what it must become. */
struct sample {
    uint8_t key[32], ad[80];
    uint64_t counter;
    size_t offset, len, ad_len;
    uint8_t plain[DATA_MAX], sealed[DATA_MAX + 16];
    uint8_t buf[SLACK + 64 + DATA_MAX + 16 + SLACK];
};

static void make_sample(struct sample *s, struct test_random *r)
{
    test_random_fill(r, s->key, sizeof s->key);
    test_random_fill(r, s->ad, sizeof s->ad);
    s->counter = test_random_u64(r);
    s->offset = SLACK + test_random_below(r, 64);
    s->ad_len = test_random_below(r, 4) ? 16 : test_random_below(r, sizeof s->ad + 1);
    s->len =
        test_random_below(r, 8) ? test_random_below(r, DATA_MAX + 1) : test_random_below(r, 40);
    test_random_fill(r, s->plain, s->len);
    veld_seal(s->sealed, s->key, s->counter, s->ad, s->ad_len, s->plain, s->len);
    memset(s->buf, CANARY, sizeof s->buf);
    memcpy(s->buf + s->offset, s->plain, s->len);
}

static struct veld_aead_job sample_job(struct sample *s)
{
    struct veld_aead_job j = {.key = s->key,
                              .ad = s->ad_len ? s->ad : NULL,
                              .ad_len = (uint32_t)s->ad_len,
                              .data = s->buf + s->offset,
                              .len = (uint32_t)s->len};
    veld_aead_nonce(j.nonce, s->counter);
    return j;
}

static bool canaries_alive(const struct sample *s)
{
    for (size_t i = 0; i < sizeof s->buf; i++)
        if ((i < s->offset || i >= s->offset + s->len + 16) && s->buf[i] != CANARY)
            return false;
    return true;
}

Test(aead, every_backend_agrees_with_libsodium_in_batches_of_all_sizes)
{
    static struct sample samples[VELD_AEAD_BATCH_MAX];
    static struct veld_aead_job jobs[VELD_AEAD_BATCH_MAX];
    struct test_random r = {1};
    FOR_EACH_BACKEND(b, ctx)
    {
        for (size_t n = 1; n <= VELD_AEAD_BATCH_MAX; n += n < 70 || n > 250 ? 1 : 7) {
            for (size_t i = 0; i < n; i++) {
                make_sample(&samples[i], &r);
                jobs[i] = sample_job(&samples[i]);
            }
            b->seal(ctx, jobs, n);
            for (size_t i = 0; i < n; i++) {
                const struct sample *s = &samples[i];
                cr_assert_arr_eq(s->buf + s->offset, s->sealed, s->len + 16,
                                 "%s: seal of job %zu/%zu, len %zu, ad %zu", b->name, i, n,
                                 s->len, s->ad_len);
                cr_assert(canaries_alive(s), "%s: seal wrote outside", b->name);
            }
            for (size_t i = 0; i < n; i++)
                jobs[i].ok = false;
            b->open(ctx, jobs, n);
            for (size_t i = 0; i < n; i++) {
                const struct sample *s = &samples[i];
                cr_assert(jobs[i].ok, "%s: open of job %zu/%zu, len %zu, ad %zu", b->name, i, n,
                          s->len, s->ad_len);
                cr_assert(memcmp(s->buf + s->offset, s->plain, s->len) == 0);
                cr_assert(canaries_alive(s), "%s: open wrote outside", b->name);
            }
        }
    }
}

Test(aead, long_messages_agree)
{
    static uint8_t plain[70000], sealed[70016], buf[70016];
    static const uint32_t lens[] = {4095, 4096, 4097, 8192, 16384, 65507, 70000};
    uint8_t key[32], ad[16];
    struct test_random r = {2};
    test_random_fill(&r, plain, sizeof plain);
    test_random_fill(&r, key, sizeof key);
    test_random_fill(&r, ad, sizeof ad);
    FOR_EACH_BACKEND(b, ctx)
    {
        for (size_t i = 0; i < VELD_ARRAY_LEN(lens); i++) {
            struct veld_aead_job j = {
                .key = key, .ad = ad, .ad_len = sizeof ad, .data = buf, .len = lens[i]};
            veld_aead_nonce(j.nonce, i);
            veld_seal(sealed, key, i, ad, sizeof ad, plain, lens[i]);
            memcpy(buf, plain, lens[i]);
            b->seal(ctx, &j, 1);
            cr_assert(memcmp(buf, sealed, lens[i] + 16) == 0, "%s %u", b->name, lens[i]);
            b->open(ctx, &j, 1);
            cr_assert(j.ok && memcmp(buf, plain, lens[i]) == 0, "%s %u", b->name, lens[i]);
        }
    }
}

/* One job per changed byte of header, ciphertext or tag, and genuine ones between them. */
Test(aead, a_change_of_any_byte_is_refused_and_costs_its_neighbours_nothing)
{
    enum { LEN = 100, AD = 16, ALL = AD + LEN + 16 };
    static uint8_t msgs[2 * ALL][ALL];
    static struct veld_aead_job jobs[2 * ALL];
    uint8_t key[32], genuine[ALL];
    struct test_random r = {3};
    test_random_fill(&r, key, sizeof key);
    test_random_fill(&r, genuine, sizeof genuine);
    veld_seal(genuine + AD, key, 7, genuine, AD, genuine + AD, LEN);
    FOR_EACH_BACKEND(b, ctx)
    {
        for (unsigned bit = 0; bit < 8; bit++) {
            for (size_t i = 0; i < 2 * ALL; i++) {
                memcpy(msgs[i], genuine, ALL);
                if (i % 2)
                    msgs[i][i / 2] ^= (uint8_t)(1u << bit);
                jobs[i] = (struct veld_aead_job){.key = key,
                                                 .ad = msgs[i],
                                                 .ad_len = AD,
                                                 .data = msgs[i] + AD,
                                                 .len = LEN,
                                                 .ok = i % 2};
                veld_aead_nonce(jobs[i].nonce, 7);
            }
            b->open(ctx, jobs, VELD_AEAD_BATCH_MAX);
            b->open(ctx, jobs + VELD_AEAD_BATCH_MAX, 2 * ALL - VELD_AEAD_BATCH_MAX);
            for (size_t i = 0; i < 2 * ALL; i++)
                cr_assert_eq(jobs[i].ok, i % 2 == 0, "%s: byte %zu bit %u", b->name, i / 2,
                             bit);
        }
    }
}

Test(aead, another_key_or_counter_is_refused)
{
    FOR_EACH_BACKEND(b, ctx)
    {
        for (unsigned i = 0; i < 32 + 64; i++) {
            uint8_t key[32] = {1}, data[32] = {2};
            struct veld_aead_job j = {.key = key, .data = data, .len = 16};
            veld_aead_nonce(j.nonce, 5);
            b->seal(ctx, &j, 1);
            if (i < 32)
                key[i] ^= 0x80;
            else
                veld_aead_nonce(j.nonce, 5 ^ 1ull << (i - 32));
            j.ok = true;
            b->open(ctx, &j, 1);
            cr_assert(!j.ok, "%s %u", b->name, i);
        }
    }
}

/* `pages` usable pages with an inaccessible one on each side. */
static uint8_t *fenced(size_t pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(p, MAP_FAILED);
    cr_assert_eq(mprotect(p + page, pages * page, PROT_READ | PROT_WRITE), 0);
    return p + page;
}

/* Each job of a fenced batch has a key, a header and data of its own. */
#define FENCED     5
#define DATA_PAGES 3
struct fence {
    uint8_t *key[FENCED], *ad[FENCED], *data[FENCED], *jobs;
    size_t page;
};

static struct veld_aead_job fenced_job(const struct fence *f, size_t i, uint32_t len,
                                       uint32_t ad_len, bool at_end)
{
    size_t all = DATA_PAGES * f->page;
    struct veld_aead_job j = {.key = f->key[i] + (at_end ? f->page - 32 : 0),
                              .ad = f->ad[i] + (at_end ? f->page - ad_len : 0),
                              .ad_len = ad_len,
                              .data = f->data[i] + (at_end ? all - len - 16 : 0),
                              .len = len};
    veld_aead_nonce(j.nonce, len);
    memset(j.data, 0x33, len);
    return j;
}

/* Seal and open with all buffers against the fence after them (or before them). */
static void run_fenced(const struct veld_aead_backend *b, struct veld_aead_ctx *ctx,
                       const struct fence *f, size_t n, uint32_t len, uint32_t ad_len,
                       bool at_end)
{
    struct veld_aead_job *jobs =
        (void *)(f->jobs + (at_end ? f->page - n * sizeof(struct veld_aead_job) : 0));
    for (size_t i = 0; i < n; i++)
        jobs[i] = fenced_job(f, i, i % 2 ? len : len / 2, (uint32_t)i + ad_len, at_end);
    b->seal(ctx, jobs, n);
    b->open(ctx, jobs, n);
    for (size_t i = 0; i < n; i++) {
        cr_assert(jobs[i].ok, "%s: %zu of %zu, len %u ad %u", b->name, i, n, len, ad_len);
        for (uint32_t k = 0; k < jobs[i].len; k++)
            cr_assert_eq(jobs[i].data[k], 0x33);
    }
}

/* A read or write one byte too far is a SIGSEGV here, which criterion reports as a failure. */
Test(aead, nothing_is_touched_beyond_the_buffers)
{
    static const size_t batches[] = {1, FENCED};
    struct fence f = {.page = (size_t)sysconf(_SC_PAGESIZE), .jobs = fenced(1)};
    for (size_t i = 0; i < FENCED; i++) {
        f.key[i] = fenced(1);
        f.ad[i] = fenced(1);
        f.data[i] = fenced(DATA_PAGES);
        memset(f.key[i], 7, f.page);
    }
    FOR_EACH_BACKEND(b, ctx)
    {
        for (size_t k = 0; k < 2 * VELD_ARRAY_LEN(batches); k++) {
            size_t n = batches[k / 2];
            bool at_end = k % 2;
            for (uint32_t len = 0; len <= 2200; len++)
                run_fenced(b, ctx, &f, n, len, 16, at_end);
            for (uint32_t len = 8000; len <= 8400; len++)
                run_fenced(b, ctx, &f, n, len, 16, at_end);
            for (uint32_t ad_len = 0; ad_len <= 600; ad_len++)
                run_fenced(b, ctx, &f, n, ad_len % 67, ad_len, at_end);
        }
    }
}

/* As a worker's batches are: few keys, many jobs of one, lengths alike or not. */
Test(aead, batches_of_all_shapes_agree_with_libsodium)
{
    static struct test_aead_shape shapes[VELD_AEAD_BATCH_MAX];
    struct test_random r = {4};
    char why[128];
    for (unsigned round = 0; round < 300; round++) {
        size_t n = 1 + test_random_below(&r, round % 4 ? 40 : VELD_AEAD_BATCH_MAX);
        size_t keys = 1 + test_random_below(&r, TEST_AEAD_KEYS);
        uint64_t longest = round % 50 == 0 ? 65536 : round % 7 == 0 ? 200 : 1600;
        uint16_t common = (uint16_t)test_random_below(&r, longest);
        for (size_t i = 0; i < n; i++)
            shapes[i] = (struct test_aead_shape){
                .len = test_random_chance(&r, 500) ? common
                                                   : (uint16_t)test_random_below(&r, longest),
                .ad_len = test_random_chance(&r, 900) ? 16 : (uint8_t)test_random_u64(&r),
                .align = (uint8_t)test_random_below(&r, 64),
                .key = (uint8_t)test_random_below(&r, keys),
                .damage = test_random_chance(&r, 100) ? 0x10 : 0};
        cr_assert(test_aead_compare(shapes, n, &r, why), "round %u: %s", round, why);
    }
}

Test(aead, an_empty_batch_is_nothing)
{
    FOR_EACH_BACKEND(b, ctx)
    {
        b->seal(ctx, NULL, 0);
        b->open(ctx, NULL, 0);
    }
}

Test(aead, contexts_of_two_threads_are_apart)
{
    FOR_EACH_BACKEND(b, one)
    {
        struct veld_aead_ctx *two = b->new_ctx();
        cr_assert_not_null(two);
        uint8_t key[32] = {1}, data[48] = {2}, plain[32] = {2};
        struct veld_aead_job j = {.key = key, .data = data, .len = 32};
        b->seal(one, &j, 1);
        b->free_ctx(one == two ? NULL : two);
        b->open(one, &j, 1);
        cr_assert(j.ok && memcmp(data, plain, sizeof plain) == 0);
    }
}

Test(aead, nonce_is_four_zeros_and_the_counter_little_endian)
{
    static const uint8_t expected[12] = {0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    uint8_t nonce[12];
    veld_aead_nonce(nonce, 0x0102030405060708);
    cr_assert_arr_eq(nonce, expected, 12);
}

Test(aead, select_takes_the_first_that_works)
{
    const struct veld_aead_backend *b = NULL;
    struct veld_diag diag = {0};
    const struct veld_aead_backend *const *first = veld_aead_backends();
    while (!(*first)->usable())
        first++;
    cr_assert_eq(veld_aead_select("auto", &b, &diag), 0);
    cr_assert_eq(b, *first);
    cr_assert_eq(veld_aead_select("libsodium", &b, &diag), 0);
    cr_assert_str_eq(b->name, "libsodium");
}

Test(aead, select_of_an_unknown_name_says_what_would_work)
{
    const struct veld_aead_backend *b = NULL;
    struct veld_diag diag = {0};
    cr_assert_eq(veld_aead_select("rot13", &b, &diag), VELD_E_UNSUPPORTED);
    cr_assert_null(b);
    cr_assert(strstr(diag.text, "rot13") && strstr(diag.text, "libsodium") &&
                  strstr(diag.text, "auto"),
              "%s", diag.text);
    cr_assert_eq(veld_aead_select("", &b, NULL), VELD_E_UNSUPPORTED);
}

/* Its names are OpenSSL's: nobody else may find them, whatever else the process loads. */
Test(aead, boringssl_is_loaded_for_nobody_else)
{
    const struct veld_aead_backend *b = backend("boringssl");
    cr_assert_not_null(b);
    if (!b->usable())
        cr_skip_test("BoringSSL is not installed, or a sanitizer forbids it");
    cr_assert_null(dlsym(RTLD_DEFAULT, "EVP_aead_chacha20_poly1305"));
    cr_assert_null(dlsym(RTLD_DEFAULT, "EVP_AEAD_CTX_init"));
}

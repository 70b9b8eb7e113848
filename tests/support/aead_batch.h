/*
 * A batch of AEAD jobs of any shapes through every backend, against libsodium
 * (veld_seal). Buffers are of exact size, for AddressSanitizer to watch.
 */
#ifndef VELD_TESTS_AEAD_BATCH_H
#define VELD_TESTS_AEAD_BATCH_H

#include "crypto/aead.h"
#include "crypto/primitives.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_AEAD_KEYS 4

struct test_aead_shape {
    uint16_t len;
    uint8_t ad_len;
    uint8_t align;  /* of the data, 0 to 63 past a boundary of 64 */
    uint8_t key;    /* one of TEST_AEAD_KEYS */
    uint8_t damage; /* 0: none; else flips a bit of data, tag or additional data before open */
};

struct test_aead_item {
    struct test_aead_shape shape;
    uint8_t *room, *ad, *data; /* data is inside room */
    uint8_t *plain, *sealed;
    size_t damaged; /* which byte of ad, data and tag in a row */
};

struct test_aead_batch {
    uint8_t *key[TEST_AEAD_KEYS];
    struct test_aead_item item[VELD_AEAD_BATCH_MAX];
    struct veld_aead_job job[VELD_AEAD_BATCH_MAX];
    size_t n;
};

static inline void *test_aead_alloc(struct test_random *r, size_t len)
{
    uint8_t *p = malloc(len ? len : 1);
    if (!p)
        abort();
    test_random_fill(r, p, len);
    return p;
}

static inline void test_aead_make(struct test_aead_batch *b,
                                  const struct test_aead_shape *shapes, size_t n,
                                  struct test_random *r)
{
    b->n = n;
    for (size_t i = 0; i < TEST_AEAD_KEYS; i++)
        b->key[i] = test_aead_alloc(r, 32);
    for (size_t i = 0; i < n; i++) {
        struct test_aead_item *t = &b->item[i];
        struct test_aead_shape s = t->shape = shapes[i];
        size_t all = (size_t)s.ad_len + s.len + 16;
        void *room;
        if (posix_memalign(&room, 64, s.align + s.len + 16u) != 0)
            abort();
        t->room = room;
        t->data = t->room + s.align;
        t->ad = test_aead_alloc(r, s.ad_len);
        t->plain = test_aead_alloc(r, s.len);
        t->sealed = test_aead_alloc(r, (size_t)s.len + 16);
        t->damaged = test_random_below(r, all);
        b->job[i] = (struct veld_aead_job){.key = b->key[s.key % TEST_AEAD_KEYS],
                                           .ad = s.ad_len ? t->ad : NULL,
                                           .ad_len = s.ad_len,
                                           .data = t->data,
                                           .len = s.len};
        uint64_t counter = test_random_u64(r);
        veld_aead_nonce(b->job[i].nonce, counter);
        veld_seal(t->sealed, b->job[i].key, counter, t->ad, s.ad_len, t->plain, s.len);
        memcpy(t->data, t->plain, s.len);
    }
}

static inline void test_aead_free(struct test_aead_batch *b)
{
    for (size_t i = 0; i < TEST_AEAD_KEYS; i++)
        free(b->key[i]);
    for (size_t i = 0; i < b->n; i++) {
        free(b->item[i].room);
        free(b->item[i].ad);
        free(b->item[i].plain);
        free(b->item[i].sealed);
    }
}

/* The byte of a job that is damaged, in its additional data or its data and tag. */
static inline uint8_t *test_aead_target(struct test_aead_item *t)
{
    return t->damaged < t->shape.ad_len ? t->ad + t->damaged
                                        : t->data + t->damaged - t->shape.ad_len;
}

/* What disagrees with libsodium, into `why`; false when something does. */
static inline bool test_aead_run(struct test_aead_batch *b,
                                 const struct veld_aead_backend *backend,
                                 struct veld_aead_ctx *ctx, char why[128])
{
    const char *what = NULL;
    size_t i;
    backend->seal(ctx, b->job, b->n);
    for (i = 0; i < b->n && !what; i++)
        if (memcmp(b->item[i].data, b->item[i].sealed, b->item[i].shape.len + 16u) != 0)
            what = "sealed otherwise";
    for (size_t k = 0; k < b->n; k++) {
        b->job[k].ok = b->item[k].shape.damage != 0;
        *test_aead_target(&b->item[k]) ^= b->item[k].shape.damage;
    }
    if (!what)
        backend->open(ctx, b->job, b->n);
    for (size_t k = 0; k < b->n; k++)
        if (b->item[k].damaged < b->item[k].shape.ad_len)
            *test_aead_target(&b->item[k]) ^= b->item[k].shape.damage;
    for (size_t k = 0; k < b->n && !what; k++) {
        i = k + 1;
        if (b->job[k].ok != (b->item[k].shape.damage == 0))
            what = b->job[k].ok ? "opened though damaged" : "not opened";
        else if (b->job[k].ok &&
                 memcmp(b->item[k].data, b->item[k].plain, b->item[k].shape.len) != 0)
            what = "opened otherwise";
    }
    if (what)
        snprintf(why, 128, "%s: job %zu of %zu, length %u, additional data %u: %s",
                 backend->name, i - 1, b->n, b->item[i - 1].shape.len,
                 b->item[i - 1].shape.ad_len, what);
    for (i = 0; i < b->n; i++)
        memcpy(b->item[i].data, b->item[i].plain, b->item[i].shape.len);
    return !what;
}

/* One batch through every backend this CPU can run. */
static inline bool test_aead_compare(const struct test_aead_shape *shapes, size_t n,
                                     struct test_random *r, char why[128])
{
    static struct test_aead_batch batch;
    bool good = true;
    test_aead_make(&batch, shapes, n, r);
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b && good; b++) {
        if (!(*b)->usable())
            continue;
        struct veld_aead_ctx *ctx = (*b)->new_ctx();
        if (!ctx)
            abort();
        good = test_aead_run(&batch, *b, ctx, why);
        (*b)->free_ctx(ctx);
    }
    test_aead_free(&batch);
    return good;
}

#endif

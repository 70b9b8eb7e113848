/*
 * aead-vectors FILE: Wycheproof's AeadTest schema, ChaCha20-Poly1305, through
 * every backend this CPU can run, one job at a time and in whole batches, sealed
 * and opened. Other key, nonce and tag sizes are skipped.
 */
#include "crypto/aead.h"
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct item {
    struct wycheproof_case c;
    struct bytes key, iv, aad, msg, sealed; /* sealed: ciphertext and tag */
    struct bytes buf;
    char why[96]; /* the first disagreement; empty: none */
};

static struct item *items;
static size_t item_count;

static void collect(const struct wycheproof_case *c)
{
    struct item i = {.c = *c,
                     .key = vectors_hex(c->test, "key"),
                     .iv = vectors_hex(c->test, "iv"),
                     .aad = vectors_hex(c->test, "aad"),
                     .msg = vectors_hex(c->test, "msg")};
    struct bytes ct = vectors_hex(c->test, "ct"), tag = vectors_hex(c->test, "tag");
    if (i.key.len != 32 || i.iv.len != 12 || tag.len != 16 ||
        wycheproof_bits(c, "tagSize", 128) != 128) {
        vectors_skip();
        return;
    }
    i.sealed = vectors_alloc(ct.len + tag.len);
    memcpy(i.sealed.p, ct.p, ct.len);
    memcpy(i.sealed.p + ct.len, tag.p, tag.len);
    i.buf = vectors_alloc((ct.len > i.msg.len ? ct.len : i.msg.len) + tag.len);
    items = realloc(items, (item_count + 1) * sizeof items[0]);
    if (!items)
        vectors_unusable("out of memory");
    items[item_count++] = i;
}

static struct veld_aead_job job_of(const struct item *i, size_t len)
{
    struct veld_aead_job j = {.key = i->key.p,
                              .ad = i->aad.p,
                              .ad_len = (uint32_t)i->aad.len,
                              .data = i->buf.p,
                              .len = (uint32_t)len};
    memcpy(j.nonce, i->iv.p, sizeof j.nonce);
    return j;
}

static void note(struct item *i, const struct veld_aead_backend *b, size_t batch,
                 const char *what, const char *why)
{
    if (why && !i->why[0])
        snprintf(i->why, sizeof i->why, "%s, %s, batches of %zu: %s", b->name, what, batch,
                 why);
}

/* What is invalid has nothing to be sealed to. */
static void check_sealed(struct item *i, const struct veld_aead_backend *b, size_t batch)
{
    bool same =
        i->msg.len + 16 == i->sealed.len && memcmp(i->buf.p, i->sealed.p, i->sealed.len) == 0;
    if (i->c.expected != WYCHEPROOF_INVALID && !same)
        note(i, b, batch, "seal", "gives another result");
}

static void check_opened(struct item *i, const struct veld_aead_backend *b, size_t batch,
                         bool ok)
{
    size_t len = i->sealed.len - 16;
    enum wycheproof_outcome outcome = OUTCOME_REFUSED;
    if (ok)
        outcome = (len == i->msg.len && memcmp(i->buf.p, i->msg.p, len) == 0) ||
                          i->c.expected == WYCHEPROOF_INVALID
                      ? OUTCOME_MATCHES
                      : OUTCOME_OTHER;
    note(i, b, batch, "open", wycheproof_disagreement(&i->c, outcome));
}

static void run_batch(const struct veld_aead_backend *b, struct veld_aead_ctx *ctx,
                      struct item *first, size_t n, size_t batch)
{
    struct veld_aead_job jobs[VELD_AEAD_BATCH_MAX];
    for (size_t k = 0; k < n; k++) {
        memcpy(first[k].buf.p, first[k].msg.p, first[k].msg.len);
        jobs[k] = job_of(&first[k], first[k].msg.len);
    }
    b->seal(ctx, jobs, n);
    for (size_t k = 0; k < n; k++)
        check_sealed(&first[k], b, batch);

    for (size_t k = 0; k < n; k++) {
        memcpy(first[k].buf.p, first[k].sealed.p, first[k].sealed.len);
        jobs[k] = job_of(&first[k], first[k].sealed.len - 16);
        jobs[k].ok = first[k].c.expected == WYCHEPROOF_INVALID; /* must be set either way */
    }
    b->open(ctx, jobs, n);
    for (size_t k = 0; k < n; k++)
        check_opened(&first[k], b, batch, jobs[k].ok);
}

static void run_backend(const struct veld_aead_backend *b)
{
    static const size_t batches[] = {1, 3, VELD_AEAD_BATCH_MAX};
    struct veld_aead_ctx *ctx = b->new_ctx();
    if (!ctx)
        vectors_unusable("backend %s does not start", b->name);
    printf("backend %s\n", b->name);
    for (size_t s = 0; s < VELD_ARRAY_LEN(batches); s++)
        for (size_t at = 0; at < item_count; at += batches[s])
            run_batch(b, ctx, items + at, VELD_MIN(batches[s], item_count - at), batches[s]);
    b->free_ctx(ctx);
}

int main(int argc, char **argv)
{
    json_t *root = vectors_load(argc, argv);
    const char *algorithm = wycheproof_algorithm(root);
    if (*algorithm && strcasecmp(algorithm, "CHACHA20-POLY1305") != 0)
        vectors_unusable("its algorithm is %s, not CHACHA20-POLY1305", algorithm);
    wycheproof_each(root, collect);
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b; b++)
        if ((*b)->usable())
            run_backend(*b);
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].why[0])
            vectors_differ(items[i].c.which, items[i].why);
        else
            vectors_agree();
    }
    free(items);
    return vectors_end();
}

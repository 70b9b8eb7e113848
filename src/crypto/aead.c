#include "crypto/aead.h"

#include "crypto/aead_backends.h"
#include "crypto/primitives.h"

#include <stdio.h>
#include <string.h>

const struct veld_aead_backend *const *veld_aead_backends(void)
{
    /* In the order of what bench-aead measures at 1420 bytes where each is usable. */
    static const struct veld_aead_backend *const all[] = {
#ifdef VELD_HAVE_AVX512
        &veld_aead_avx512,
#endif
#ifdef VELD_HAVE_IPSEC_MB
        &veld_aead_ipsecmb,
#endif
        &veld_aead_boringssl,
#ifdef VELD_HAVE_IPSEC_MB
        &veld_aead_ipsecmb_avx2,
#endif
        &veld_aead_sodium,
#ifdef VELD_BENCH_NULL_AEAD
        &veld_aead_null,
#endif
        NULL,
    };
    return all;
}

/* ---- self-test ---- */

/* RFC 8439, section 2.8.2. */
static const uint8_t kat_key[32] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
                                    0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
                                    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97,
                                    0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f};
static const uint8_t kat_nonce[12] = {0x07, 0x00, 0x00, 0x00, 0x40, 0x41,
                                      0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
static const uint8_t kat_ad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
                                   0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
static const char kat_plaintext[] =
    "Ladies and Gentlemen of the class of '99: If I could offer "
    "you only one tip for the future, sunscreen would be it.";
static const uint8_t kat_sealed[114 + 16] = {
    0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb, 0x7b, 0x86, 0xaf, 0xbc, 0x53, 0xef, 0x7e,
    0xc2, 0xa4, 0xad, 0xed, 0x51, 0x29, 0x6e, 0x08, 0xfe, 0xa9, 0xe2, 0xb5, 0xa7, 0x36, 0xee,
    0x62, 0xd6, 0x3d, 0xbe, 0xa4, 0x5e, 0x8c, 0xa9, 0x67, 0x12, 0x82, 0xfa, 0xfb, 0x69, 0xda,
    0x92, 0x72, 0x8b, 0x1a, 0x71, 0xde, 0x0a, 0x9e, 0x06, 0x0b, 0x29, 0x05, 0xd6, 0xa5, 0xb6,
    0x7e, 0xcd, 0x3b, 0x36, 0x92, 0xdd, 0xbd, 0x7f, 0x2d, 0x77, 0x8b, 0x8c, 0x98, 0x03, 0xae,
    0xe3, 0x28, 0x09, 0x1b, 0x58, 0xfa, 0xb3, 0x24, 0xe4, 0xfa, 0xd6, 0x75, 0x94, 0x55, 0x85,
    0x80, 0x8b, 0x48, 0x31, 0xd7, 0xbc, 0x3f, 0xf4, 0xde, 0xf0, 0x8e, 0x4b, 0x7a, 0x9d, 0xe5,
    0x76, 0xd2, 0x65, 0x86, 0xce, 0xc6, 0x4b, 0x61, 0x16, 0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09,
    0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
#define KAT_LEN       (sizeof kat_plaintext - 1)
#define SELF_TEST_MAX 20 /* jobs in a batch */
_Static_assert(sizeof kat_sealed == KAT_LEN + 16, "known answer");

static struct veld_aead_job kat_job(uint8_t *data)
{
    struct veld_aead_job job = {
        .key = kat_key, .ad = kat_ad, .ad_len = sizeof kat_ad, .data = data, .len = KAT_LEN};
    memcpy(job.nonce, kat_nonce, sizeof job.nonce);
    return job;
}

/*
 * Copies of the known answer in a batch: sealed alike, opened again, and where a tag
 * was changed, there alone refused.
 */
static bool self_test_batch(const struct veld_aead_backend *backend, struct veld_aead_ctx *ctx,
                            size_t n)
{
    uint8_t data[SELF_TEST_MAX][sizeof kat_sealed];
    struct veld_aead_job jobs[SELF_TEST_MAX];
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        memcpy(data[i], kat_plaintext, KAT_LEN);
        jobs[i] = kat_job(data[i]);
    }
    backend->seal(ctx, jobs, n);
    for (size_t i = 0; i < n; i++) {
        good = good && memcmp(data[i], kat_sealed, sizeof kat_sealed) == 0;
        jobs[i].ok = i % 2;
        data[i][KAT_LEN] ^= i % 2;
    }
    backend->open(ctx, jobs, n);
    for (size_t i = 0; i < n; i++)
        good = good && jobs[i].ok == (i % 2 == 0) &&
               (i % 2 || memcmp(data[i], kat_plaintext, KAT_LEN) == 0);
    return good;
}

/* Backends differ in how they go about few jobs and many: both are tried. */
static bool self_test(const struct veld_aead_backend *backend)
{
    struct veld_aead_ctx *ctx = backend->new_ctx();
    if (!ctx)
        return false;
    bool good =
        self_test_batch(backend, ctx, 2) && self_test_batch(backend, ctx, SELF_TEST_MAX);
    backend->free_ctx(ctx);
    return good;
}

/* ---- choice ---- */

static bool works(const struct veld_aead_backend *backend)
{
    return backend->usable() && (veld_aead_is_null(backend) || self_test(backend));
}

static void list_usable(char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "auto");
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b; b++)
        if (works(*b) && used < size)
            used += (size_t)snprintf(out + used, size - used, ", %s", (*b)->name);
}

int veld_aead_select(const char *name, const struct veld_aead_backend **out,
                     struct veld_diag *diag)
{
    bool automatic = strcmp(name, "auto") == 0, known = automatic;
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b; b++) {
        bool named = strcmp((*b)->name, name) == 0;
        known = known || named;
        if ((automatic || named) && works(*b)) {
            *out = *b;
            return 0;
        }
    }
    char usable[128];
    list_usable(usable, sizeof usable);
    return veld_fail(diag, VELD_E_UNSUPPORTED,
                     known ? "AEAD backend \"%s\" does not work on this CPU; these do: %s"
                           : "there is no AEAD backend \"%s\" in this build; these work: %s",
                     name, usable);
}

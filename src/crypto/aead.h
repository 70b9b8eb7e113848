/*
 * Bulk ChaCha20-Poly1305 (RFC 8439) in batches, with interchangeable backends.
 *
 * A batch is many independent datagrams, possibly under different keys; a
 * backend may interleave them. A datagram's additional data is its 16-byte header.
 *
 * Invariant: every backend gives the same bytes for the same jobs. open never
 * says ok for a tag that does not match, compares in constant time, and the
 * plaintext of a job that failed must not be used (it may have been written).
 *
 * Order of calls: veld_aead_select once at start; then one veld_aead_ctx per
 * thread, used by that thread only. veld_crypto_init first.
 */
#ifndef VELD_CRYPTO_AEAD_H
#define VELD_CRYPTO_AEAD_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_AEAD_BATCH_MAX 256 /* jobs in one call */

struct veld_aead_job {
    const uint8_t *key; /* 32 bytes */
    const uint8_t *ad;
    uint8_t *data;   /* in place: plaintext <-> ciphertext, `len` bytes, then the 16-byte tag */
    uint32_t len;    /* without the tag */
    uint32_t ad_len; /* datagrams: 16 */
    uint8_t nonce[12]; /* datagrams: veld_aead_nonce */
    bool ok;           /* open: set by the call */
};

/* The nonce of a datagram: 4 zero bytes, then the counter, little-endian. */
static inline void veld_aead_nonce(uint8_t nonce[12], uint64_t counter)
{
    veld_store_le32(nonce, 0);
    veld_store_le64(nonce + 4, counter);
}

struct veld_aead_ctx; /* per-thread scratch of one backend */

struct veld_aead_backend {
    const char *name; /* "avx512", "ipsec-mb", "boringssl", "ipsec-mb-avx2", "libsodium" */
    bool (*usable)(void);
    struct veld_aead_ctx *(*new_ctx)(void); /* NULL when out of memory */
    void (*free_ctx)(struct veld_aead_ctx *);
    void (*seal)(struct veld_aead_ctx *, struct veld_aead_job *jobs, size_t n);
    void (*open)(struct veld_aead_ctx *, struct veld_aead_job *jobs, size_t n);
};

/* All backends of this build, best first, NULL-terminated. */
const struct veld_aead_backend *const *veld_aead_backends(void);

/*
 * The backend of that name, or for "auto" the best one this CPU can run, after
 * a self-test against a known answer. VELD_E_UNSUPPORTED (with the names that
 * would work in `diag`) when it is unknown or not usable here.
 */
VELD_MUST_USE int veld_aead_select(const char *name, const struct veld_aead_backend **out,
                                   struct veld_diag *diag);

#endif

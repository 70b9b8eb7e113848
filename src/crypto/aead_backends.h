/*
 * The AEAD backends by name, for aead.c alone; everyone else takes them from
 * crypto/aead.h. Each is a constant that lives for ever.
 */
#ifndef VELD_CRYPTO_AEAD_BACKENDS_H
#define VELD_CRYPTO_AEAD_BACKENDS_H

#include "crypto/aead.h"

extern const struct veld_aead_backend veld_aead_sodium;
extern const struct veld_aead_backend veld_aead_boringssl; /* where the library is installed */

/* Builds with the option ipsec_mb only (VELD_HAVE_IPSEC_MB). */
extern const struct veld_aead_backend veld_aead_ipsecmb;      /* AVX-512 */
extern const struct veld_aead_backend veld_aead_ipsecmb_avx2; /* AVX2 */

/*
 * True when `name` asks for the backend that does not encrypt, which only a build with
 * the option bench_null_aead (VELD_BENCH_NULL_AEAD) has; `out` is then that one.
 */
#ifdef VELD_BENCH_NULL_AEAD
bool veld_aead_select_null(const char *name, const struct veld_aead_backend **out);
#else
static inline bool veld_aead_select_null(const char *name, const struct veld_aead_backend **out)
{
    return false;
}
#endif

#endif

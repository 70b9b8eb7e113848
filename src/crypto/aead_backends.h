/*
 * The AEAD backends by name, for aead.c alone; everyone else takes them from
 * crypto/aead.h. Each is a constant that lives for ever.
 */
#ifndef VELD_CRYPTO_AEAD_BACKENDS_H
#define VELD_CRYPTO_AEAD_BACKENDS_H

#include "crypto/aead.h"

extern const struct veld_aead_backend veld_aead_sodium;
extern const struct veld_aead_backend veld_aead_boringssl; /* where the library is installed */

/* Builds for x86-64 only (VELD_HAVE_AVX512). */
extern const struct veld_aead_backend veld_aead_avx512;

/* Builds with the option ipsec_mb only (VELD_HAVE_IPSEC_MB). */
extern const struct veld_aead_backend veld_aead_ipsecmb;      /* AVX-512 */
extern const struct veld_aead_backend veld_aead_ipsecmb_avx2; /* AVX2 */

/*
 * The one that does not encrypt, in builds with the option bench_null_aead alone
 * (VELD_BENCH_NULL_AEAD): the last of the list, so that "auto" never comes to it.
 */
#ifdef VELD_BENCH_NULL_AEAD
extern const struct veld_aead_backend veld_aead_null;
#define veld_aead_is_null(backend) ((backend) == &veld_aead_null)
#else
#define veld_aead_is_null(backend) false
#endif

#endif

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

#endif

/*
 * A device's identity: one Ed25519 key pair and the X25519 pair mapped from it.
 *
 * The map drops the sign bit of P, so two Ed25519 keys share one X25519 key;
 * whoever looks a peer up by X25519 key must compare P too.
 *
 * File format: the 32-byte Ed25519 seed (RFC 8032's private key) in base64,
 * 44 characters, one newline. Mode 0600 or stricter, else refused.
 *
 * Invariant: the struct lives in guarded memory from new to free.
 */
#ifndef VELD_CRYPTO_IDENTITY_H
#define VELD_CRYPTO_IDENTITY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_PUBKEY_STRLEN      45 /* base64 of 32 bytes and NUL */
#define VELD_FINGERPRINT_STRLEN 65

struct veld_identity {
    uint8_t seed[32];     /* secret */
    uint8_t pub[32];      /* P: Ed25519 public key, the device's name on the wire */
    uint8_t x_secret[32]; /* secret */
    uint8_t x_pub[32];
};

/* A fresh one, or from a seed. NULL only when out of guarded memory. Free with veld_identity_free. */
struct veld_identity *veld_identity_generate(void);
struct veld_identity *veld_identity_from_seed(const uint8_t seed[32]);
void veld_identity_free(struct veld_identity *id); /* wipes; NULL is allowed */

/*
 * Load from `path`. Fails with a sentence for people in `diag`:
 * VELD_E_NOENT, VELD_E_PERM (also when group or others may read it, naming
 * the chmod that mends it), VELD_E_FORMAT, VELD_E_IO.
 */
VELD_MUST_USE int veld_identity_load(const char *path, struct veld_identity **out,
                                     struct veld_diag *diag);
/* Write 0600, never over an existing file (VELD_E_EXIST); atomic and synced. */
VELD_MUST_USE int veld_identity_save(const struct veld_identity *id, const char *path,
                                     struct veld_diag *diag);
/* Load, or make one where there is none; `made` tells which. */
VELD_MUST_USE int veld_identity_load_or_make(const char *path, struct veld_identity **out,
                                             bool *made, struct veld_diag *diag);

/* Text forms of a public key. veld_pubkey_parse also proves the key usable (VELD_E_KEY). */
void veld_pubkey_format(const uint8_t pub[32], char out[VELD_PUBKEY_STRLEN]);
VELD_MUST_USE int veld_pubkey_parse(const char *text, uint8_t pub[32]);
/* SHA-256 of P in hex. */
void veld_pubkey_fingerprint(const uint8_t pub[32], char out[VELD_FINGERPRINT_STRLEN]);

#endif

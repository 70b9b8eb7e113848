/*
 * The server's certificate and key: its own, made on first start and kept with
 * the registry so that one file is the whole server, or read from files.
 *
 * Invariant: a veld_tls that a function here returned has a certificate and the
 * key that belongs to it. Thread: main, before the loop starts.
 */
#ifndef VELD_COORD_TLS_H
#define VELD_COORD_TLS_H

#include "base/err.h"
#include "coord/store.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_TLS_NAME  "veld-coord" /* common and alternative name of a made certificate */
#define VELD_TLS_YEARS 20
#define VELD_TLS_STORE_KEY                                                                     \
    "c" /* PEM of certificate and key, in the store (registry/persist.h) */

struct veld_tls {
    char *cert_pem;          /* one certificate, or a chain with the server's first */
    char *key_pem;           /* secret; wiped when freed */
    uint8_t certificate[32]; /* SHA-256 of the server's own, in DER */
    uint64_t not_after_s;
};
void veld_tls_clear(struct veld_tls *t); /* zeroed is allowed */

/* ECDSA on P-256, self-signed, no CA. VELD_E_IO. */
VELD_MUST_USE int veld_tls_make(struct veld_tls *out, uint64_t now_s, struct veld_diag *diag);
/*
 * PEM files. VELD_E_NOENT, VELD_E_PERM (also when others than its owner may use the
 * key's file, naming the chmod that mends it), VELD_E_FORMAT (which file, and why),
 * VELD_E_KEY when the key is another certificate's, VELD_E_RANGE when expired.
 */
VELD_MUST_USE int veld_tls_read(struct veld_tls *out, const char *cert_path,
                                const char *key_path, uint64_t now_s, struct veld_diag *diag);
/* What the store has: VELD_E_NOENT when nothing, VELD_E_FORMAT when it is spoilt. */
VELD_MUST_USE int veld_tls_load(struct veld_tls *out, struct veld_store *store,
                                struct veld_diag *diag);
/* Durable when it returns 0. */
VELD_MUST_USE int veld_tls_save(const struct veld_tls *t, struct veld_store *store,
                                struct veld_diag *diag);

/* "SHA256:" and base64 without padding: what `veld login` shows and is told. */
#define VELD_TLS_FINGERPRINT_STRLEN 51
char *veld_tls_fingerprint(const uint8_t certificate[32],
                           char out[VELD_TLS_FINGERPRINT_STRLEN]);

#endif

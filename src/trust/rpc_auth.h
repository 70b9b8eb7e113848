/*
 * The caller's signature over one call to the coord server.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_RPC_AUTH_H
#define VELD_TRUST_RPC_AUTH_H

#include "trust/trust.h"

#define VELD_RPC_AUTH_MAX   256 /* encoded bytes of an Auth */
#define VELD_RPC_NONCE      16
#define VELD_RPC_METHOD_MAX 128 /* characters of "/package.Service/Method" */
struct veld_rpc_auth {
    uint8_t key[32];
    uint64_t time_ns;
    uint8_t nonce[VELD_RPC_NONCE];
};
/*
 * Encode metadata "veld-auth-bin" into `out`; returns its length, 0 when the method's
 * name is longer than VELD_RPC_METHOD_MAX. `a->key` is the public key of `seed`.
 */
size_t veld_rpc_sign(uint8_t out[VELD_RPC_AUTH_MAX], const uint8_t seed[32],
                     const struct veld_rpc_auth *a, const char *method,
                     const uint8_t certificate[32], const void *body, size_t len);
/* VELD_E_FORMAT, VELD_E_AUTH. Time and nonce are the caller's to look at. */
VELD_MUST_USE int veld_rpc_verify(const uint8_t *auth, size_t auth_len, const char *method,
                                  const uint8_t certificate[32], const void *body, size_t len,
                                  struct veld_rpc_auth *out);

#endif

/*
 * Signals: bytes that the coord server carries and can neither read nor forge.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_SIGNAL_H
#define VELD_TRUST_SIGNAL_H

#include "crypto/identity.h"
#include "trust/trust.h"

#define VELD_SIGNAL_MAX 2048 /* sealed bytes */
struct veld_call {
    uint64_t sequence;
    struct veld_endpoint endpoints[VELD_MEMBER_ENDPOINTS_MAX];
    size_t n_endpoints;
    uint8_t relays[VELD_MEMBER_RELAYS_MAX][32]; /* the caller is found through; P each */
    size_t n_relays;
};

/*
 * Key: HKDF-SHA256 of X25519 of both identities, with "veld signal v1", the
 * network's id, sender's and receiver's P; XChaCha20-Poly1305 under `nonce`
 * (24 random bytes, sent in front). VELD_E_KEY when `to` is no usable key;
 * VELD_E_FORMAT when an endpoint is none, or a relay is named twice or is the caller.
 */
VELD_MUST_USE int veld_signal_seal(struct veld_blob *out, const struct veld_identity *from,
                                   const uint8_t to[32], const uint8_t network_id[32],
                                   const uint8_t nonce[24], const struct veld_call *call);
/*
 * VELD_E_AUTH, VELD_E_FORMAT, VELD_E_KEY (of `from`); VELD_E_UNSUPPORTED for a signal of
 * a later version. That the sequence grows is the caller's to see to: the same bytes
 * open again.
 */
VELD_MUST_USE int veld_signal_open(const uint8_t *sealed, size_t len,
                                   const struct veld_identity *to, const uint8_t from[32],
                                   const uint8_t network_id[32], struct veld_call *out);

#endif

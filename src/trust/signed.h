/*
 * Signed messages: a body, who signed it, and the signature over
 * purpose ‖ 0x00 ‖ body. The purpose keeps what is signed as one thing from
 * being shown as another.
 *
 * Invariant: veld_signed_verify succeeds only for bytes that the holder of
 * `signer` signed for that purpose. What right the signer has is for others.
 *
 * Inside src/trust. Pure; any thread.
 */
#ifndef VELD_TRUST_SIGNED_H
#define VELD_TRUST_SIGNED_H

#include "trust/wire.h"

#define VELD_PURPOSE_NETWORK      "veld network v1"
#define VELD_PURPOSE_MEMBERSHIP   "veld membership v1"
#define VELD_PURPOSE_TOKEN        "veld token v1"
#define VELD_PURPOSE_REVOCATIONS  "veld revocations v1"
#define VELD_PURPOSE_RECORD       "veld record v1"
#define VELD_PURPOSE_JOIN_REQUEST "veld join request v1"

/* What was signed here; owns its body. Zeroed: nothing. */
struct veld_statement {
    struct veld_blob body;
    uint8_t signer[32], signature[64];
};
/* `message` is packed, at most `max` bytes, and signed. VELD_E_NOMEM, VELD_E_RANGE. */
VELD_MUST_USE int veld_statement_sign(struct veld_statement *out, const char *purpose,
                                      const uint8_t seed[32], const void *message, size_t max);
void veld_statement_clear(struct veld_statement *s);
/* As a message, which borrows from `s`. */
void veld_statement_view(const struct veld_statement *s, pb_signed *out);
/* Sign and pack: an encoded Signed of at most VELD_SIGNED_MAX bytes. */
VELD_MUST_USE int veld_signed_make(struct veld_blob *out, const char *purpose,
                                   const uint8_t seed[32], const void *message);

/* A body of at most `max` bytes, a key, a signature, and nothing else? NULL: no. */
bool veld_signed_is_shaped(const pb_signed *s, size_t max);
/* Of a shaped one. VELD_E_AUTH, VELD_E_NOMEM. */
VELD_MUST_USE int veld_signed_verify(const pb_signed *s, const char *purpose);
/*
 * From bytes, whoever signed it: shaped, verified, and its body unpacked as `type`
 * into `*body` (veld_wire_free), its signer in `signer`. VELD_E_FORMAT, VELD_E_AUTH.
 */
VELD_MUST_USE int veld_signed_open(const uint8_t *p, size_t len, const char *purpose,
                                   const ProtobufCMessageDescriptor *type, void **body,
                                   uint8_t signer[32]);

#endif

/*
 * Who signs a membership, a token or a list of revocations.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_SIGNER_H
#define VELD_TRUST_SIGNER_H

#include "trust/trust.h"

/* Who signs: the owner (`chain` NULL), or an admin, whose Chain is one Signed by the owner. */
struct veld_signer {
    const uint8_t *seed;           /* 32 bytes; borrowed, secret */
    const struct veld_blob *chain; /* of an admin: its encoded Chain; NULL: the owner */
};

#endif

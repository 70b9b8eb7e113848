/*
 * The list of keys that count no more, signed by the owner or an admin.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_REVOCATIONS_H
#define VELD_TRUST_REVOCATIONS_H

#include "trust/signer.h"
#include "trust/trust.h"

struct veld_revocations; /* a verified list; immutable */

/*
 * Verify an encoded RevocationList against the one known before (NULL: none).
 * VELD_E_FORMAT, VELD_E_AUTH; VELD_E_REPLAY when its epoch is not greater than
 * `before`'s; VELD_E_PERM when an admin signed it and it leaves out something of
 * `before`, names another admin it can tell (by `before` or its own chain), or
 * the admin is revoked by `before`.
 */
VELD_MUST_USE int veld_revocations_read(const uint8_t *p, size_t len,
                                        const uint8_t network_id[32],
                                        const struct veld_revocations *before,
                                        struct veld_revocations **out);
void veld_revocations_free(struct veld_revocations *r);            /* NULL is allowed */
uint64_t veld_revocations_epoch(const struct veld_revocations *r); /* NULL: 0 */
size_t veld_revocations_count(const struct veld_revocations *r);
/* The i-th key; borrowed. */
const uint8_t *veld_revocations_key(const struct veld_revocations *r, size_t i);
/* Is this key no member any more (and may it sign nothing new)? NULL `r`: false. */
bool veld_revoked(const struct veld_revocations *r, const uint8_t key[32]);
/* As read, to store and to hand on; borrowed from `r`. */
struct veld_blob veld_revocations_bytes(const struct veld_revocations *r);

struct veld_revoked_entry {
    uint8_t key[32];
    const uint8_t (*kept)[32]; /* borrowed for the call */
    size_t n_kept;
};
/* The list `before` with `entry` added (or replaced), of the next epoch. */
VELD_MUST_USE int veld_revocations_add(struct veld_blob *out, const struct veld_signer *signer,
                                       const uint8_t network_id[32],
                                       const struct veld_revocations *before,
                                       const struct veld_revoked_entry *entry, uint64_t now_s);

#endif

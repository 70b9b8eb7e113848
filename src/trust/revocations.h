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

/* A key of a list, and the members for whom what it signed still counts. */
struct veld_revoked_entry {
    uint8_t key[32];
    const uint8_t (*kept)[32]; /* borrowed */
    size_t n_kept;
    bool by_owner; /* else by an admin, which does not count against admins */
};

/*
 * Verify an encoded RevocationList against the one known before (NULL: none).
 * VELD_E_FORMAT, VELD_E_AUTH; VELD_E_REPLAY when its epoch is not greater than
 * `before`'s; VELD_E_PERM when an admin signed it whom the owner revoked, or when
 * it has not all of `before` though it stands on the same list of the owner's;
 * VELD_E_RANGE when the admin's membership did not hold when it was issued.
 *
 * An epoch is the owner's in the upper 32 bits and an admin's in the lower: no
 * admin can use up what the owner needs to overrule it. Of keys, and of members
 * kept, an admin's list leaves the owner some room for the same (trust.h).
 */
VELD_MUST_USE int veld_revocations_read(const uint8_t *p, size_t len,
                                        const uint8_t network_id[32],
                                        const struct veld_revocations *before,
                                        struct veld_revocations **out);
void veld_revocations_free(struct veld_revocations *r);            /* NULL is allowed */
uint64_t veld_revocations_epoch(const struct veld_revocations *r); /* NULL: 0 */
size_t veld_revocations_count(const struct veld_revocations *r);
/* The i-th key, in their order; borrowed. */
const uint8_t *veld_revocations_key(const struct veld_revocations *r, size_t i);
/*
 * Is this key in the list? NULL `r`: false. Of a member whose membership is known
 * veld_membership_check says more: an admin may not revoke an admin.
 */
bool veld_revoked(const struct veld_revocations *r, const uint8_t key[32]);
/* Its entry; `kept` is borrowed from `r`. */
bool veld_revocations_find(const struct veld_revocations *r, const uint8_t key[32],
                           struct veld_revoked_entry *out);
/* As read, to store and to hand on; borrowed from `r`. */
struct veld_blob veld_revocations_bytes(const struct veld_revocations *r);

/*
 * The list `before` with `entry` added (or replaced, by the owner), of the next
 * epoch. VELD_E_EXIST when an admin adds what is in it; VELD_E_FULL; VELD_E_AUTH
 * when the signer has not the right.
 */
VELD_MUST_USE int veld_revocations_add(struct veld_blob *out, const struct veld_signer *signer,
                                       const uint8_t network_id[32],
                                       const struct veld_revocations *before,
                                       const struct veld_revoked_entry *entry, uint64_t now_s);

#endif

/*
 * Who is a member: a membership and the chain that proves it.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_MEMBERSHIP_H
#define VELD_TRUST_MEMBERSHIP_H

#include "trust/revocations.h"

enum veld_member_flag { VELD_MEMBER_ADMIN = 1, VELD_MEMBER_RELAY = 2 };

struct veld_membership {
    uint8_t network_id[32];
    uint8_t member[32];
    char name[VELD_LABEL_MAX + 1];
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX]; /* allowed; masked */
    size_t n_routes;
    uint32_t flags;
    uint64_t not_before_s, not_after_s; /* not_after 0: no end */
    uint64_t serial;
    uint8_t signer[32]; /* who signed it: owner, admin or token key */
    bool by_token;
    uint8_t admin[32];        /* the admin in the chain; zeros: none */
    uint64_t token_expires_s; /* by_token; 0: never */
    uint32_t token_uses;      /* by_token; 0: any number */
    /* When the whole chain holds: from the latest not_before in it to the earliest not_after (0: no end). */
    uint64_t begins_s, ends_s;
    uint8_t chain_digest[32]; /* of the chain's bytes: the same chain has the same */
};

/* A serial for one that is made now, greater than the member's last (0: none known). */
uint64_t veld_serial_after(uint64_t last, uint64_t now_s);
/*
 * An encoded Chain for `m` (of which all up to `serial` counts). It is read back
 * before it is given out: VELD_E_AUTH when the signer has not the right.
 */
VELD_MUST_USE int veld_membership_issue(struct veld_blob *chain,
                                        const struct veld_signer *signer,
                                        const struct veld_membership *m);
/*
 * Verify an encoded Chain up to the owner whose key makes `network_id`, at
 * `now_s` (0: do not look at times), against the revocations (NULL: none).
 * VELD_E_FORMAT; VELD_E_AUTH: a signature is wrong or a signer has not the
 * right; VELD_E_PERM: revoked, or by a revoked signer and not kept;
 * VELD_E_RANGE: not valid yet or any more. Clocks may differ by
 * VELD_CLOCK_SKEW_S: not_before is not held against that much.
 */
#define VELD_CLOCK_SKEW_S 90
VELD_MUST_USE int veld_membership_read(const uint8_t *p, size_t len,
                                       const uint8_t network_id[32],
                                       const struct veld_revocations *revoked, uint64_t now_s,
                                       struct veld_membership *out);
/*
 * Of a membership that was read: does it still hold, against these revocations
 * and at `now_s`? Costs next to nothing; for when a new list or the clock comes along.
 * What an admin revoked does not count against admins (flag, or in the chain).
 */
VELD_MUST_USE int veld_membership_check(const struct veld_membership *m,
                                        const struct veld_revocations *revoked, uint64_t now_s);

#endif

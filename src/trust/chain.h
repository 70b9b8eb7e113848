/*
 * The links of a chain: what the owner, an admin and a token's key may sign.
 *
 * Invariant: a link is filled in only after its signature and its signer's right
 * were proved.
 *
 * Inside src/trust. Pure; any thread.
 */
#ifndef VELD_TRUST_CHAIN_H
#define VELD_TRUST_CHAIN_H

#include "trust/membership.h"
#include "trust/signed.h"

/* What a token allows. */
struct veld_grant {
    uint8_t token_key[32];
    uint64_t created_s, expires_s;
    uint32_t uses;
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n_routes;
    uint32_t flags;
};

/* Is this the owner of that network? */
bool veld_is_owner(const uint8_t key[32], const uint8_t network_id[32]);

/* Of a shaped one: the owner signed it, or, where there is one, this admin. VELD_E_AUTH. */
VELD_MUST_USE int veld_chain_verify(const pb_signed *s, const char *purpose,
                                    const uint8_t network_id[32],
                                    const struct veld_membership *admin);
/*
 * Each reads one link; `admin` NULL: the owner must have signed, else that admin.
 * VELD_E_FORMAT, VELD_E_AUTH, VELD_E_NOMEM.
 */
VELD_MUST_USE int veld_chain_admin(const pb_signed *s, const uint8_t network_id[32],
                                   struct veld_membership *out);
VELD_MUST_USE int veld_chain_grant(const pb_signed *s, const uint8_t network_id[32],
                                   const struct veld_membership *admin, struct veld_grant *out);
/* `grant` NULL: not by a token. */
VELD_MUST_USE int veld_chain_member(const pb_signed *s, const uint8_t network_id[32],
                                    const struct veld_membership *admin,
                                    const struct veld_grant *grant,
                                    struct veld_membership *out);

/* Its parts have the right shape and the member's is there, and there is nothing else? */
bool veld_chain_is_shaped(const pb_chain *c);
/* Unpacked (veld_wire_free); NULL when it is not so shaped. */
pb_chain *veld_chain_unpack(const uint8_t *p, size_t len);
/* All of it, but for revocations and times. */
VELD_MUST_USE int veld_chain_read(const pb_chain *c, const uint8_t network_id[32],
                                  struct veld_membership *out);
/* Of its bytes, the wrappers aside. */
void veld_chain_digest(const pb_chain *c, uint8_t digest[32]);

/*
 * The membership by which `signer` is an admin, inside `*chain` (veld_wire_free);
 * both NULL for the owner. VELD_E_AUTH when it is neither.
 */
VELD_MUST_USE int veld_signer_open(const struct veld_signer *signer,
                                   const uint8_t network_id[32], pb_chain **chain,
                                   pb_signed **admin);
/* Sign `m` and put its chain together with `token` and `admin` (NULL: none); read back before it is given out. */
VELD_MUST_USE int veld_membership_sign(struct veld_blob *chain, const uint8_t seed[32],
                                       const struct veld_membership *m, pb_signed *token,
                                       pb_signed *admin);

#endif

/*
 * The members of a network as the server lists them, each proved by the same
 * checks as the daemon's; what does not prove is left out and counted.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_MEMBERS_H
#define VELD_CLI_COORD_MEMBERS_H

#include "rpc/coord.h"
#include "trust/record.h"

struct veld_member_entry {
    struct veld_membership membership;
    struct veld_ip ipv4; /* family 0: none */
};

struct veld_members {
    struct veld_member_entry *list; /* owned; each member once */
    size_t n;
    size_t refused;
};

VELD_MUST_USE int veld_members_fetch(struct veld_members *out, struct veld_rpc_client *client,
                                     const struct veld_rpc_key *key,
                                     const struct veld_network *network,
                                     const struct veld_revocations *revoked,
                                     struct veld_diag *diag);
void veld_members_clear(struct veld_members *m);
/* Borrowed; NULL: none. */
const struct veld_membership *veld_members_by_name(const struct veld_members *m,
                                                   const char *name);
const struct veld_membership *veld_members_by_key(const struct veld_members *m,
                                                  const uint8_t key[32]);
/*
 * The keys of those whose membership `key` signed, itself or by a token it made: whom a
 * revocation of `key` can keep. The caller frees `*out`.
 */
VELD_MUST_USE int veld_members_signed_by(const struct veld_members *m, const uint8_t key[32],
                                         uint8_t (**out)[32], size_t *n,
                                         struct veld_diag *diag);

#endif

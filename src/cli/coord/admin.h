/*
 * Who may let machines into a network and put them out, on this machine: its
 * owner, by the owner's key, or an admin, by its membership.
 *
 * Order of calls: open, (connect), any, close. Main thread.
 */
#ifndef VELD_CLI_COORD_ADMIN_H
#define VELD_CLI_COORD_ADMIN_H

#include "cli/coord/connect.h"
#include "cli/coord/machine.h"
#include "cli/coord/members.h"

struct veld_admin {
    struct veld_machine machine;
    struct veld_network network;
    struct veld_profile_coord coord;
    struct veld_revocations
        *revocations; /* owned; as known here, after connect as the server has them */
    bool is_owner;
    uint8_t *owner_seed;    /* guarded memory, owned; NULL: an admin */
    struct veld_blob chain; /* this machine's membership; empty: none */
    struct veld_signer signer;
    struct veld_rpc_key key;    /* with which the server is asked as one who admits */
    struct veld_rpc_key member; /* as a member; the owner's without a membership */
    struct veld_rpc_client *client;
};

/*
 * `state_dir` and `network` are options (NULL: not given), `socket` is the daemon's, as of
 * veld_machine_network. VELD_E_PERM with
 * who can, when this machine may not; others as of profile.h.
 */
VELD_MUST_USE int veld_admin_open(struct veld_admin *a, const char *state_dir,
                                  const char *network, const char *socket,
                                  struct veld_diag *diag);
/* Connect to the network's server, and learn the revocations it has. */
VELD_MUST_USE int veld_admin_connect(struct veld_admin *a, struct veld_diag *diag);
/* Ask for the members, each verified. Connected. */
VELD_MUST_USE int veld_admin_members(struct veld_admin *a, struct veld_members *out,
                                     struct veld_diag *diag);
void veld_admin_close(struct veld_admin *a); /* wipes */

#endif

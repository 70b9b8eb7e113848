/*
 * `veld up --network`: into the network, if this machine is not in it yet, and up.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_UP_NETWORK_H
#define VELD_CLI_COORD_UP_NETWORK_H

#include "cli/coord/machine.h"
#include "cli/coord/wish.h"
#include "cli/up.h"

struct veld_up_network {
    struct veld_up up;       /* `network` as an option: NULL is the only one known */
    const char *name;        /* of this machine; NULL: not given */
    const char *fingerprint; /* of the network; NULL: not given */
    struct veld_wish wish;
};
/* The forms of all that was given, before anything is done. VELD_E_FORMAT. */
VELD_MUST_USE int veld_up_network_check(const struct veld_up_network *r,
                                        struct veld_diag *diag);
/* Returns an exit status. */
int veld_up_network(const struct veld_up_network *r);

/* What a machine that has just made a network may do next: on standard output. */
void veld_up_tell_created(const struct veld_machine *m, const struct veld_network *network,
                          const struct veld_profile_coord *coord);

#endif

/*
 * This machine, as the commands of the coord mode see it: its state directory,
 * its identity, the networks it knows.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_MACHINE_H
#define VELD_CLI_COORD_MACHINE_H

#include "crypto/identity.h"
#include "profile/profile.h"

#include <limits.h>

struct veld_machine {
    char state_dir[PATH_MAX];
    bool named;               /* by an option or the environment; else the default */
    struct veld_identity *id; /* owned; NULL until veld_machine_identity */
};

/*
 * Find the state directory (`option` NULL: as paths.h says) and see that it is
 * ours and can be written to; made when it is missing. VELD_E_PERM and others,
 * with what to do.
 */
VELD_MUST_USE int veld_machine_open(struct veld_machine *m, const char *option,
                                    struct veld_diag *diag);
void veld_machine_close(struct veld_machine *m);
/* Load the identity into `id`, or make it. */
VELD_MUST_USE int veld_machine_identity(struct veld_machine *m, struct veld_diag *diag);

/*
 * The network that is meant: `option`, in lower case, or the only one known here, or of several
 * the one whose daemon answers at `socket` (NULL: it is not asked).
 * VELD_E_FORMAT, VELD_E_NOENT (none is known), VELD_E_STATE (several are: they are named).
 */
VELD_MUST_USE int veld_machine_network(const struct veld_machine *m, const char *option,
                                       const char *socket, char out[VELD_LABEL_MAX + 1],
                                       struct veld_diag *diag);
/* A name as typed for a network or a machine: lower case; VELD_E_FORMAT. `what` is "network". */
VELD_MUST_USE int veld_label_typed(const char *text, const char *what,
                                   char out[VELD_LABEL_MAX + 1], struct veld_diag *diag);
/* " --network NAME" where a command needs it, since several networks are known; else "". Static. */
const char *veld_machine_option(const struct veld_machine *m, const char *network);
/* "sudo " where a command for this state directory needs it, else "". Static. */
const char *veld_machine_sudo(const struct veld_machine *m);
/*
 * The state directory of a user is not where `sudo veld up` looks: a sentence
 * that says so, or "". Static.
 */
const char *veld_machine_hint(const struct veld_machine *m);

#endif

/*
 * The list of revocations, as one who may change it sees it: what the server
 * has, what is known here, and the next one.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_REVOKING_H
#define VELD_CLI_COORD_REVOKING_H

#include "cli/coord/admin.h"

/*
 * Ask the server for its list; the greater of it and the one known here counts
 * from now on, and is kept. Connected.
 */
VELD_MUST_USE int veld_revoking_refresh(struct veld_admin *a, struct veld_diag *diag);
/*
 * Add `key` to the list, sign it, publish it, keep it, and tell the daemon at
 * `socket`; again when somebody else was faster. `kept` are the members for whom
 * what `key` signed still counts. VELD_E_EXIST when it is revoked already.
 */
VELD_MUST_USE int veld_revoking_publish(struct veld_admin *a, const uint8_t key[32],
                                        const uint8_t (*kept)[32], size_t n_kept,
                                        const char *socket, struct veld_diag *diag);

#endif

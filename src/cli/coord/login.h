/*
 * Logging in to a coord server: its certificate is looked at, trusted by
 * somebody's word, and pinned.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_LOGIN_H
#define VELD_CLI_COORD_LOGIN_H

#include "cli/coord/connect.h"
#include "cli/coord/machine.h"

/*
 * The server whose address is `address`, as it is known on this machine: by the login,
 * else by a network that uses it. VELD_E_NOENT. The caller clears `out`.
 */
VELD_MUST_USE int veld_login_known(const struct veld_machine *m, const char *address,
                                   struct veld_profile_coord *out, struct veld_diag *diag);
/* "veld login --coord HOST:PORT", for sentences. */
#define VELD_LOGIN_REMEDY "veld login --coord HOST:PORT"

#endif

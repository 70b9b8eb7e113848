/*
 * Bringing the tunnel up: one daemon, by a config file or in a network.
 *
 * Main thread.
 */
#ifndef VELD_CLI_UP_H
#define VELD_CLI_UP_H

#include "cli/cli.h"

/* What the daemon is started with. NULL: not named. */
struct veld_up {
    const char *socket;
    const char *state_dir; /* as an option */
    const char *config, *network;
    const char *engine;
};

/* Start veld-daemon and wait until it is up; what it did is said. Returns an exit status. */
int veld_up_start(const struct veld_up *up);

/* "auto", "io_uring", "poll"; NULL: not given. VELD_E_FORMAT. */
VELD_MUST_USE int veld_up_check_engine(const char *engine, struct veld_diag *diag);
/* May a daemon started from here make interfaces? 0, or VELD_E_PERM with what to do. */
VELD_MUST_USE int veld_up_check_rights(struct veld_diag *diag);

#endif

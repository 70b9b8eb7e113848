/*
 * Stopping the daemon.
 *
 * Main thread.
 */
#ifndef VELD_CLI_DOWN_H
#define VELD_CLI_DOWN_H

#include "base/err.h"

/* Tell the daemon on `socket` to stop, and wait until its process is gone. VELD_E_NOENT: none runs. */
VELD_MUST_USE int veld_down(const char *socket, struct veld_diag *diag);

#endif

/*
 * Telling a running daemon that files of its network have changed.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_RELOAD_H
#define VELD_CLI_COORD_RELOAD_H

#include "cli/client.h"

enum veld_reload {
    VELD_RELOAD_DONE,    /* it goes by the new files */
    VELD_RELOAD_NONE,    /* no daemon runs, or not in this network */
    VELD_RELOAD_RESTART, /* it must be started anew */
};
enum veld_reload veld_reload_daemon(const char *socket, const char *network);

/* The network that a status document is of; NULL: none. Borrowed from `status`. */
const char *veld_status_network(const json_t *status);

#endif

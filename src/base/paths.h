/*
 * Where things are when nobody says otherwise, one answer for the daemon and
 * the command line tool: an option wins over the environment (VELD_SOCKET,
 * VELD_STATE_DIR, VELD_CONFIG), and that over the defaults.
 *
 * Reads the environment: not while another thread changes it.
 */
#ifndef VELD_BASE_PATHS_H
#define VELD_BASE_PATHS_H

#include "base/err.h"

#include <limits.h>

#define VELD_DEFAULT_SOCKET    "/run/veld/veld.sock"
#define VELD_DEFAULT_STATE_DIR "/var/lib/veld"
#define VELD_DEFAULT_CONFIG    "/etc/veld/config.toml"

/* The API socket. `option` NULL: not given. VELD_E_RANGE when it is too long for a path. */
VELD_MUST_USE int veld_path_socket(const char *option, char out[PATH_MAX]);

/* The state directory: for a user who is not root, $XDG_STATE_HOME/veld (~/.local/state/veld). */
VELD_MUST_USE int veld_path_state_dir(const char *option, char out[PATH_MAX]);

/*
 * The config file: as named, whether it exists or not; else the first that
 * exists of the default and $XDG_CONFIG_HOME/veld/config.toml
 * (~/.config/veld/config.toml). VELD_E_NOENT, with the places looked at in
 * `diag`, when there is none.
 */
VELD_MUST_USE int veld_path_config(const char *option, char out[PATH_MAX],
                                   struct veld_diag *diag);

#endif

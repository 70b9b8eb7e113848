/*
 * What a machine knows of coord servers and networks, as files of the state
 * directory. The command line tool makes them (login, join, up), the daemon
 * reads them and keeps what it learns.
 *
 *   coord.json             server.h: the server logged in to
 *   networks/NAME/         one folder a network (0700), each file 0600:
 *     network              Signed: pins the name to the network's id
 *     membership           Chain: our own
 *     request              Signed JoinRequest, while it waits
 *     coord.json           server.h: the server of this network, as at login or in the token
 *     settings.json        settings.h: what `veld up` was told
 *     lease                our IPv4 address
 *     owner                the owner's seed, on the machine that made the network
 *     tokens.json          tokens.h: tokens made here
 *     revocations          RevocationList: the greatest known
 *     members              control/mesh/cache.h: what the server told last
 *     pins.json            control/mesh/pins.h
 *
 * Invariants:
 *  - NAME is a DNS label and a file one of this list, so no path leads elsewhere;
 *  - a folder or file that others than its owner may write to is refused;
 *  - a file is replaced whole or not at all (base/file.h); one that is broken is
 *    an error with its path and what to do, never "none"; `members` alone is a
 *    cache, whose loss is logged and costs nothing.
 *
 * Blocks on the disk. One writer a file: the tool while it admits, else the daemon.
 */
#ifndef VELD_PROFILE_FOLDER_H
#define VELD_PROFILE_FOLDER_H

#include "trust/trust.h"

#define VELD_PROFILE_NETWORK     "network"
#define VELD_PROFILE_MEMBERSHIP  "membership"
#define VELD_PROFILE_REQUEST     "request"
#define VELD_PROFILE_COORD       "coord.json"
#define VELD_PROFILE_SETTINGS    "settings.json"
#define VELD_PROFILE_LEASE       "lease"
#define VELD_PROFILE_OWNER       "owner"
#define VELD_PROFILE_TOKENS      "tokens.json"
#define VELD_PROFILE_REVOCATIONS "revocations"
#define VELD_PROFILE_MEMBERS     "members"
#define VELD_PROFILE_PINS        "pins.json"

#define VELD_PROFILE_NETWORKS_MAX 256
#define VELD_PROFILE_PATH_MAX     4352 /* a path of the state directory, and NUL */

/*
 * Names of the networks known here (folders with a `network` file), sorted;
 * `*names` and its strings are the caller's (veld_names_free). VELD_E_FULL
 * beyond VELD_PROFILE_NETWORKS_MAX.
 */
VELD_MUST_USE int veld_profile_networks(const char *state_dir, char ***names, size_t *n,
                                        struct veld_diag *diag);
void veld_names_free(char **names, size_t n);

/*
 * Where a file is: `network` NULL: of the state directory itself (coord.json).
 * VELD_E_FORMAT when `network` is no label, VELD_E_INVAL when there is no such file.
 */
VELD_MUST_USE int veld_profile_path(const char *state_dir, const char *network,
                                    const char *file, char out[VELD_PROFILE_PATH_MAX],
                                    struct veld_diag *diag);
/*
 * A file as bytes; `file` is one of the names above. VELD_E_NOENT, VELD_E_PERM,
 * VELD_E_RANGE (more than `max` bytes), VELD_E_FORMAT (no regular file), VELD_E_IO.
 */
VELD_MUST_USE int veld_profile_read(const char *state_dir, const char *network,
                                    const char *file, size_t max, struct veld_blob *out,
                                    struct veld_diag *diag);
/* Makes the folder when it is missing. */
VELD_MUST_USE int veld_profile_write(const char *state_dir, const char *network,
                                     const char *file, const void *p, size_t len,
                                     struct veld_diag *diag);
/* One file; that it is not there is no error. */
VELD_MUST_USE int veld_profile_unlink(const char *state_dir, const char *network,
                                      const char *file, struct veld_diag *diag);
/* The folder with all that is in it, the owner's key too. VELD_E_NOENT. */
VELD_MUST_USE int veld_profile_remove(const char *state_dir, const char *network,
                                      struct veld_diag *diag);
/* Make the folder (0700) when it is missing, durably. */
VELD_MUST_USE int veld_profile_make(const char *state_dir, const char *network,
                                    struct veld_diag *diag);
/*
 * Keep other calls of this function waiting (at most some seconds: VELD_E_LIMIT)
 * until `*fd` is closed, so that what is read, changed and written is not changed
 * meanwhile. Makes the folder when it is missing.
 */
VELD_MUST_USE int veld_profile_lock(const char *state_dir, const char *network, int *fd,
                                    struct veld_diag *diag);

#endif

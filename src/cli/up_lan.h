/*
 * `veld up --lan`: a network of the machines of one LAN. What it was told is kept in the state
 * directory as a config file, lan.toml, which a person may edit too: of it only the keys that
 * options name are changed.
 *
 * Main thread.
 */
#ifndef VELD_CLI_UP_LAN_H
#define VELD_CLI_UP_LAN_H

#include "cli/up.h"

#include <jansson.h>
#include <stdbool.h>

struct veld_up_lan {
    struct veld_up up;       /* `config`, `network`: NULL */
    const char *name;        /* of this machine; these are NULL where they are not given */
    const char *secret_file; /* made when it is not there */
    const char *listen, *interface, *mtu;
};
/* The forms of all that was given, before anything is done. VELD_E_FORMAT. */
VELD_MUST_USE int veld_up_lan_check(const struct veld_up_lan *r, struct veld_diag *diag);
/* Returns an exit status. */
int veld_up_lan(const struct veld_up_lan *r);

/* Was it told before, and kept? `state_dir` as an option. */
bool veld_up_lan_is_kept(const char *state_dir);
/* Is this the config that it is kept in? */
bool veld_up_lan_is(const char *state_dir, const char *config);
/* What to do on the other machines, and whom this one found: on standard output. */
void veld_up_lan_tell(const json_t *status, const char *secret_file);

/*
 * The text of a config file, with `key` set to `value` (TOML) at its top. The caller frees it; NULL
 * when out of memory.
 */
char *veld_up_lan_with(const char *text, const char *key, const char *value);

#endif

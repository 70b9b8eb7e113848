#include "cli/coord/machine.h"

#include "base/paths.h"
#include "base/state_dir.h"
#include "cli/coord/reload.h"
#include "crypto/primitives.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int veld_machine_open(struct veld_machine *m, const char *option, struct veld_diag *diag)
{
    const char *variable = getenv("VELD_STATE_DIR");
    *m = (struct veld_machine){.named = option || (variable && variable[0])};
    if (veld_crypto_init() < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED, "libsodium does not work on this machine");
    if (veld_path_state_dir(option, m->state_dir) < 0)
        return veld_fail(diag, VELD_E_RANGE, "the state directory's name is too long");
    int rc = veld_state_dir_make(m->state_dir, diag);
    int why = errno;
    bool denied = rc < 0 && (why == EACCES || why == EPERM || why == EROFS);
    if (rc == VELD_E_IO && denied)
        return veld_fail(diag, VELD_E_PERM,
                         "not allowed to make the state directory %s: run this with sudo, or "
                         "name another with --state-dir",
                         m->state_dir);
    if (rc < 0)
        return rc;
    if (access(m->state_dir, R_OK | W_OK | X_OK) < 0)
        return veld_fail(diag, VELD_E_PERM,
                         "not allowed to use the state directory %s: run this with sudo, or "
                         "name another with --state-dir",
                         m->state_dir);
    return 0;
}

void veld_machine_close(struct veld_machine *m)
{
    veld_identity_free(m->id);
    m->id = NULL;
}

int veld_machine_identity(struct veld_machine *m, struct veld_diag *diag)
{
    char path[PATH_MAX + 16];
    bool made;
    if (m->id)
        return 0;
    snprintf(path, sizeof path, "%s/identity", m->state_dir);
    return veld_identity_load_or_make(path, &m->id, &made, diag);
}

int veld_label_typed(const char *text, const char *what, char out[VELD_LABEL_MAX + 1],
                     struct veld_diag *diag)
{
    size_t len = strlen(text);
    out[0] = '\0';
    if (len <= VELD_LABEL_MAX) {
        for (size_t i = 0; i <= len; i++)
            out[i] = (char)tolower((unsigned char)text[i]);
        if (veld_label_is_valid(out))
            return 0;
        out[0] = '\0';
    }
    return veld_fail(diag, VELD_E_FORMAT,
                     "\"%.80s\" is no name for a %s; use 1 to %d letters, digits and inner "
                     "hyphens",
                     text, what, VELD_LABEL_MAX);
}

const char *veld_machine_sudo(const struct veld_machine *m)
{
    return geteuid() != 0 && !m->named ? "sudo " : "";
}

const char *veld_machine_hint(const struct veld_machine *m)
{
    return geteuid() != 0 && !m->named
               ? "; this is what you have as a user, the machine's own is root's: use sudo"
               : "";
}

/* "a, b, c", cut to fit. */
static void join_names(char *const *names, size_t n, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
    }
}

const char *veld_machine_option(const struct veld_machine *m, const char *network)
{
    static char option[VELD_LABEL_MAX + 16];
    char **names;
    size_t n;
    struct veld_diag ignored;
    option[0] = '\0';
    if (veld_profile_networks(m->state_dir, &names, &n, &ignored) < 0)
        return option;
    if (n > 1)
        snprintf(option, sizeof option, " --network %s", network);
    veld_names_free(names, n);
    return option;
}

/* The one of them that is up. */
static bool find_running(const char *socket, char *const *names, size_t n,
                         char out[VELD_LABEL_MAX + 1])
{
    json_t *status;
    struct veld_diag ignored;
    bool found = false;
    if (!socket || veld_client_call(socket, "/v1/status", NULL, &status, &ignored) < 0)
        return false;
    const char *runs = veld_status_network(status);
    for (size_t i = 0; runs && i < n && !found; i++) {
        found = strcmp(names[i], runs) == 0;
        if (found)
            strcpy(out, names[i]);
    }
    json_decref(status);
    return found;
}

int veld_machine_network(const struct veld_machine *m, const char *option, const char *socket,
                         char out[VELD_LABEL_MAX + 1], struct veld_diag *diag)
{
    char **names, list[256];
    size_t n;
    if (option)
        return veld_label_typed(option, "network", out, diag);
    int rc = veld_profile_networks(m->state_dir, &names, &n, diag);
    if (rc < 0)
        return rc;
    if (n == 1) {
        strcpy(out, names[0]);
    } else if (n == 0) {
        rc = veld_fail(diag, VELD_E_NOENT,
                       "no network is known on this machine (%s)%s; make or join one with: "
                       "veld up --network NAME",
                       m->state_dir, veld_machine_hint(m));
    } else if (!find_running(socket, names, n, out)) {
        join_names(names, n, list, sizeof list);
        rc = veld_fail(diag, VELD_E_STATE, "which network? Pass --network with one of: %s",
                       list);
    }
    veld_names_free(names, n);
    return rc;
}

#include "base/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int copy(const char *path, char out[PATH_MAX])
{
    size_t len = strlen(path);
    if (len >= PATH_MAX)
        return VELD_E_RANGE;
    memcpy(out, path, len + 1);
    return 0;
}

/* What was asked for: the option, else the environment variable; NULL when neither says anything. */
static const char *asked(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);
    return value && value[0] ? value : NULL;
}

/* "$VARIABLE/veld/NAME", or below the home directory. VELD_E_NOENT without either. */
static int xdg(const char *variable, const char *home_dir, const char *name, char out[PATH_MAX])
{
    const char *base = getenv(variable), *home = getenv("HOME");
    int n;
    if (base && base[0] == '/') /* the specification: ignore relative ones */
        n = snprintf(out, PATH_MAX, "%s/veld%s", base, name);
    else if (home && home[0] == '/')
        n = snprintf(out, PATH_MAX, "%s/%s/veld%s", home, home_dir, name);
    else
        return VELD_E_NOENT;
    return n < PATH_MAX ? 0 : VELD_E_RANGE;
}

int veld_path_socket(const char *option, char out[PATH_MAX])
{
    const char *path = asked(option, "VELD_SOCKET");
    return copy(path ? path : VELD_DEFAULT_SOCKET, out);
}

int veld_path_state_dir(const char *option, char out[PATH_MAX])
{
    const char *path = asked(option, "VELD_STATE_DIR");
    if (path)
        return copy(path, out);
    if (geteuid() != 0 && xdg("XDG_STATE_HOME", ".local/state", "", out) == 0)
        return 0;
    return copy(VELD_DEFAULT_STATE_DIR, out);
}

int veld_path_config(const char *option, char out[PATH_MAX], struct veld_diag *diag)
{
    const char *path = asked(option, "VELD_CONFIG");
    if (path) {
        int rc = copy(path, out);
        return rc < 0 ? veld_fail(diag, rc, "the config file's name is too long") : 0;
    }
    char user[PATH_MAX];
    if (access(VELD_DEFAULT_CONFIG, F_OK) == 0)
        return copy(VELD_DEFAULT_CONFIG, out);
    if (xdg("XDG_CONFIG_HOME", ".config", "/config.toml", user) < 0)
        return veld_fail(diag, VELD_E_NOENT,
                         "no config file: there is no " VELD_DEFAULT_CONFIG);
    if (access(user, F_OK) == 0)
        return copy(user, out);
    return veld_fail(diag, VELD_E_NOENT,
                     "no config file: there is no " VELD_DEFAULT_CONFIG " and no %.400s", user);
}

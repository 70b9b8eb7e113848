#include "control/host/privileges.h"

#include "base/bytes.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int veld_privileges_check(struct veld_diag *diag)
{
    if (capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
        return 0;
    return veld_fail(diag, VELD_E_PERM,
                     "making a network interface needs root or CAP_NET_ADMIN; run with sudo");
}

void veld_privileges_harden(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* How many threads this process has; 0 where /proc does not say. */
static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *e; tasks && (e = readdir(tasks));)
        n += e->d_name[0] != '.';
    if (tasks)
        closedir(tasks);
    return n;
}

static const unsigned kept[] = {CAP_NET_ADMIN, CAP_DAC_OVERRIDE};

int veld_privileges_drop(struct veld_diag *diag)
{
    unsigned threads = count_threads();
    if (threads > 1)
        return veld_fail(diag, VELD_E_STATE,
                         "cannot drop privileges: %u threads run already and would keep theirs",
                         threads);
    if (capng_get_caps_process() < 0)
        return veld_fail(diag, VELD_E_PERM, "cannot read this process's capabilities");
    /* Without CAP_SETPCAP the bounding set stays as it is; no_new_privs then does its work. */
    bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
    bool have[VELD_ARRAY_LEN(kept)];
    for (size_t i = 0; i < VELD_ARRAY_LEN(kept); i++)
        have[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);

    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < VELD_ARRAY_LEN(kept); i++) {
        if (have[i])
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
                         kept[i]);
    }
    if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0)
        return veld_fail(diag, VELD_E_PERM, "cannot drop capabilities: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return veld_fail(diag, VELD_E_PERM, "cannot set no_new_privs: %s", strerror(errno));
    return 0;
}

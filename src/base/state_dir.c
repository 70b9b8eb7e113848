#include "base/state_dir.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_trusted(uid_t owner)
{
    const char *caller = getenv("SUDO_UID");
    return owner == 0 || owner == geteuid() ||
           (caller && strtoul(caller, NULL, 10) == (unsigned long)owner);
}

int veld_state_dir_make(const char *dir, struct veld_diag *diag)
{
    struct stat st;
    if (strlen(dir) >= PATH_MAX - 32)
        return veld_fail(diag, VELD_E_RANGE, "%s: the path is too long", dir);
    if (veld_mkdirs(dir, 0700) < 0 || stat(dir, &st) < 0)
        return veld_fail(
            diag, VELD_E_IO,
            "cannot make the state directory %s: %s; name another with --state-dir", dir,
            strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return veld_fail(diag, VELD_E_IO,
                         "%s is not a directory; name another with --state-dir", dir);
    if (!is_trusted(st.st_uid))
        return veld_fail(diag, VELD_E_PERM,
                         "the state directory %s belongs to user %u, who could replace this "
                         "machine's key; name another with --state-dir",
                         dir, (unsigned)st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return veld_fail(diag, VELD_E_PERM,
                         "others than its owner may write to the state directory %s (mode "
                         "%04o) and so replace this machine's key; name another with "
                         "--state-dir, or mend it with: chmod go-w %s",
                         dir, (unsigned)(st.st_mode & 07777), dir);
    return 0;
}

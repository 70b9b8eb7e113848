#include "base/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All rights to files that a version of Landlock knows; headers may be older than the kernel. */
static uint64_t rights_of(long version)
{
    unsigned n = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
    return (UINT64_C(1) << n) - 1;
}

int veld_confine_files(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return VELD_E_UNSUPPORTED;
    const struct landlock_ruleset_attr none = {.handled_access_fs = rights_of(version)};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &none, sizeof none.handled_access_fs, 0);
    if (fd < 0)
        return VELD_E_UNSUPPORTED;
    int rc = syscall(SYS_landlock_restrict_self, fd, 0) == 0 ? 0 : VELD_E_PERM;
    close(fd);
    return rc;
}

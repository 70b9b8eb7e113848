#include "base/confine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/veld-confine-XXXXXX";

static int is_denied(int rc)
{
    return rc < 0 && errno == EACCES;
}

/* 0: it is as it should be; 77: no Landlock here. */
static int confined(int fd)
{
    char byte;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 1;
    int rc = veld_confine_files();
    if (rc == VELD_E_UNSUPPORTED)
        return 77;
    if (rc < 0 || !is_denied(open(path, O_RDONLY)) || !is_denied(open("/dev/null", O_WRONLY)) ||
        !is_denied(unlink(path)) || !is_denied(execl("/bin/true", "true", NULL)))
        return 2;
    return pread(fd, &byte, 1, 0) == 1 && byte == 'x' ? 0 : 3;
}

Test(confine, files_are_out_of_reach_but_for_open_ones)
{
    int status, fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "x", 1) == 1);
    pid_t child = fork();
    if (child == 0)
        _exit(confined(fd));
    cr_assert_eq(waitpid(child, &status, 0), child);
    close(fd);
    cr_assert_eq(unlink(path), 0);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(WEXITSTATUS(status), 0, "%d", WEXITSTATUS(status));
}

#include "control/host/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 12
#define POLL_MS  10

/* The file of this name in the folder that this program's is in, also after an upgrade. */
static int find(const char *name, char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    size_t folder = slash ? (size_t)(slash - out) + 1 : 0;
    if (!folder || folder + strlen(name) >= PATH_MAX)
        return ENOENT;
    strcpy(out + folder, name);
    return 0;
}

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *how, const int fds[3])
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(how, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(how, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                               POSIX_SPAWN_SETPGROUP);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = fds[i] == VELD_PROGRAM_NOTHING
                 ? posix_spawn_file_actions_addopen(files, i, "/dev/null", O_RDWR, 0)
                 : posix_spawn_file_actions_adddup2(files, fds[i], i);
    return rc == 0 ? posix_spawn_file_actions_addclosefrom_np(files, 3) : rc;
}

/*
 * By posix_spawn, which shares the daemon's memory until the program runs: a fork would copy its
 * page tables, and have workers fault on every page they write.
 */
static int spawn(pid_t *out, const char *path, char *const argv[], const int fds[3])
{
    static char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    int rc = prepare(&files, &how, fds);
    if (rc == 0)
        rc = posix_spawn(out, path, &files, &how, argv, no_environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

int veld_program_start(pid_t *out, const char *name, const char *const argv[], const int fds[3],
                       struct veld_diag *diag)
{
    char path[PATH_MAX];
    char *all[ARGS_MAX + 1] = {path};
    for (size_t i = 0; argv[i]; i++) {
        if (i + 1 == ARGS_MAX)
            return veld_fail(diag, VELD_E_RANGE, "%s has too many arguments", name);
        all[i + 1] = (char *)(uintptr_t)argv[i]; /* exec does not write to them */
    }
    int rc = find(name, path);
    if (rc == 0)
        rc = spawn(out, path, all, fds);
    if (rc == 0)
        return 0;
    return veld_fail(diag, rc == ENOENT ? VELD_E_NOENT : VELD_E_IO, "%s cannot be run: %s",
                     path[0] ? path : name, strerror(rc));
}

int veld_program_end(pid_t pid, unsigned wait_ms)
{
    int status = 0;
    for (unsigned ms = 0; ms < wait_ms; ms += POLL_MS) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        usleep(POLL_MS * 1000);
    }
    kill(pid, SIGKILL); /* a zombie at most: it was not waited for */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

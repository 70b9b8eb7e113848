#include "control/host/child.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 12

struct veld_child {
    pid_t pid;
    int fd;
    guint source, timer;
    veld_child_done *done;
    void *ctx;
    char text[VELD_CHILD_OUTPUT_MAX];
    size_t len;
};

/* ---- Its end ---- */

void veld_child_end(struct veld_child *child)
{
    if (!child)
        return;
    if (child->source)
        g_source_remove(child->source);
    if (child->timer)
        g_source_remove(child->timer);
    kill(child->pid, SIGKILL); /* a zombie at most: it was not waited for */
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(child->fd);
    g_free(child);
}

static void finish(struct veld_child *child)
{
    bool whole = child->len > 0 && child->text[child->len - 1] == '\n';
    child->done(child->ctx, child->text, whole ? child->len : 0);
    veld_child_end(child);
}

/* True: there will be no more. */
static bool take(struct veld_child *child)
{
    for (;;) {
        size_t room = sizeof child->text - child->len;
        ssize_t n = read(child->fd, child->text + child->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno != EAGAIN;
        child->len += (size_t)n;
        if (n == 0)
            return true;
        if ((size_t)n == room) {
            child->len = 0; /* more than it has to say */
            return true;
        }
    }
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    struct veld_child *child = data;
    if (!take(child))
        return G_SOURCE_CONTINUE;
    child->source = 0;
    finish(child);
    return G_SOURCE_REMOVE;
}

static gboolean on_timeout(gpointer data)
{
    struct veld_child *child = data;
    child->timer = 0;
    child->len = 0;
    finish(child);
    return G_SOURCE_REMOVE;
}

void veld_child_wait(struct veld_child *child, unsigned timeout_ms)
{
    uint64_t until_ns = veld_clock_mono_ns() + timeout_ms * VELD_NS_PER_MS, now;
    while (!take(child)) {
        struct pollfd p = {.fd = child->fd, .events = POLLIN};
        if ((now = veld_clock_mono_ns()) >= until_ns) {
            child->len = 0;
            break;
        }
        (void)!poll(&p, 1, (int)((until_ns - now) / VELD_NS_PER_MS + 1));
    }
    finish(child);
}

/* ---- Its beginning ---- */

/* The file of this name in the folder that this program's is in, also after an upgrade. */
static int find_program(const char *name, char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n < 0)
        return VELD_E_NOENT;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    size_t folder = slash ? (size_t)(slash - out) + 1 : 0;
    if (!folder || folder + strlen(name) >= PATH_MAX)
        return VELD_E_NOENT;
    strcpy(out + folder, name);
    return 0;
}

/*
 * By posix_spawn, which shares the daemon's memory until the program runs: a fork would copy its
 * page tables, and have workers fault on every page they write. In a group of its own: a terminal's Ctrl-C is the
 * daemon's to answer.
 */
static int spawn(struct veld_child *child, const char *path, char *const argv[], int output)
{
    static char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, output, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&files, 0, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(&attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                                       POSIX_SPAWN_SETSIGDEF |
                                                       POSIX_SPAWN_SETPGROUP);
    if (rc == 0)
        rc = posix_spawn(&child->pid, path, &files, &attributes, argv, no_environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return rc == 0 ? 0 : rc == ENOENT ? VELD_E_NOENT : VELD_E_IO;
}

int veld_child_start(struct veld_child **out, const char *program, const char *const argv[],
                     unsigned timeout_ms, veld_child_done *done, void *ctx)
{
    char path[PATH_MAX];
    char *all[ARGS_MAX + 1] = {path};
    int ends[2];
    for (size_t i = 0; argv[i]; i++) {
        if (i + 1 == ARGS_MAX)
            return VELD_E_RANGE;
        all[i + 1] = (char *)(uintptr_t)argv[i]; /* exec does not write to them */
    }
    if (find_program(program, path) < 0)
        return VELD_E_NOENT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return VELD_E_IO;
    struct veld_child *child = g_new0(struct veld_child, 1);
    int rc = spawn(child, path, all, ends[1]);
    close(ends[1]);
    if (rc < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
        close(ends[0]);
        g_free(child);
        return rc < 0 ? rc : VELD_E_IO;
    }
    child->fd = ends[0];
    child->done = done;
    child->ctx = ctx;
    child->source = g_unix_fd_add(child->fd, G_IO_IN | G_IO_HUP, on_readable, child);
    child->timer = g_timeout_add(timeout_ms, on_timeout, child);
    *out = child;
    return 0;
}

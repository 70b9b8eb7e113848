#include "control/host/child.h"

#include "base/clock.h"
#include "control/host/program.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

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
    veld_program_end(child->pid, 0);
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

int veld_child_start(struct veld_child **out, const char *program, const char *const argv[],
                     unsigned timeout_ms, veld_child_done *done, void *ctx,
                     struct veld_diag *diag)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return veld_fail(diag, VELD_E_IO, "no pipe for %s: %s", program, strerror(errno));
    const int fds[] = {VELD_PROGRAM_NOTHING, ends[1], VELD_PROGRAM_NOTHING};
    struct veld_child *child = g_new0(struct veld_child, 1);
    int rc = veld_program_start(&child->pid, program, argv, fds, diag);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        g_free(child);
        return rc;
    }
    g_unix_set_fd_nonblocking(ends[0], TRUE, NULL);
    child->fd = ends[0];
    child->done = done;
    child->ctx = ctx;
    child->source = g_unix_fd_add(child->fd, G_IO_IN | G_IO_HUP, on_readable, child);
    child->timer = g_timeout_add(timeout_ms, on_timeout, child);
    *out = child;
    return 0;
}

#include "control/host/background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_READY  'R'
#define REPORT_FAILED 'F'
#define QUIET_MS      2000      /* who waits longer at a terminal is told so */
#define LOG_KEPT_MAX  (1 << 20) /* bytes; a longer log is set aside as .1 at start */

/* Wait for the child's one report and exit with what it says. */
static _Noreturn void relay_report(int fd, const char *log_path)
{
    char report[4096];
    size_t n = 0;
    ssize_t r;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (poll(&waiting, 1, QUIET_MS) == 0 && isatty(STDERR_FILENO))
        fprintf(stderr, "veld-daemon: still starting; its log is %s\n", log_path);
    while (n < sizeof report &&
           ((r = read(fd, report + n, sizeof report - n)) > 0 || (r < 0 && errno == EINTR))) {
        if (r > 0)
            n += (size_t)r;
    }
    if (n > 0 && report[0] == REPORT_READY) {
        fwrite(report + 1, 1, n - 1, stdout);
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    if (n > 0)
        fwrite(report + 1, 1, n - 1, stderr);
    else
        fprintf(stderr, "veld-daemon: ended before it was up; see %s\n", log_path);
    exit(1);
}

static int open_log(const char *path)
{
    struct stat st;
    char old[4096];
    if (stat(path, &st) == 0 && st.st_size > LOG_KEPT_MAX &&
        snprintf(old, sizeof old, "%s.1", path) < (int)sizeof old)
        (void)!rename(path, old);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int veld_background_start(struct veld_background *b, const char *log_path,
                          struct veld_diag *diag)
{
    close_range(3, ~0u, 0); /* a pipe of the caller's, held open, would make its reader wait */
    int fds[2], log = open_log(log_path), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (log < 0)
        return veld_fail(diag, VELD_E_IO, "cannot open %s: %s", log_path, strerror(errno));
    if (null < 0 || pipe2(fds, O_CLOEXEC) < 0)
        return veld_fail(diag, VELD_E_IO, "cannot go to the background: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        return veld_fail(diag, VELD_E_IO, "cannot go to the background: %s", strerror(errno));
    if (pid > 0) {
        close(fds[1]);
        relay_report(fds[0], log_path);
    }
    setsid();
    close(fds[0]);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(null);
    close(log);
    b->pipe = fds[1];
    return 0;
}

static void report(struct veld_background *b, char kind, const char *text, FILE *direct)
{
    if (b->pipe < 0) {
        fputs(text, direct);
        fflush(direct);
        return;
    }
    (void)!write(b->pipe, &kind, 1);
    (void)!write(b->pipe, text, strlen(text));
    close(b->pipe);
    b->pipe = -1;
}

void veld_background_ready(struct veld_background *b, const char *text)
{
    report(b, REPORT_READY, text, stdout);
}

void veld_background_failed(struct veld_background *b, const char *text)
{
    report(b, REPORT_FAILED, text, stderr);
}

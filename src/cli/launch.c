#include "cli/launch.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAEMON          "veld-daemon"
#define START_TIMEOUT_S 30
#define POLL_US         20000
#define QUIET_S         2 /* no sign of life is needed before */

extern char **environ;

struct veld_progress veld_progress_begin(const char *what)
{
    return (struct veld_progress){.what = what, .start_ns = veld_clock_mono_ns()};
}

void veld_progress_tick(struct veld_progress *p)
{
    uint64_t seconds = (veld_clock_mono_ns() - p->start_ns) / VELD_NS_PER_S;
    if (seconds < QUIET_S || p->dots > seconds - QUIET_S || !isatty(STDERR_FILENO))
        return;
    fputs(p->dots == 0 ? p->what : ".", stderr);
    fflush(stderr);
    p->dots++;
}

void veld_progress_end(struct veld_progress *p)
{
    if (p->dots > 0)
        fputc('\n', stderr);
    p->dots = 0;
}

/* The thread reads `waiting` and waits for `over`, both under `lock`. */
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    struct veld_progress progress;
    bool running, ended;
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

static void *tick(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.ended) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&waiting.over, &waiting.lock, &until);
        if (!waiting.ended)
            veld_progress_tick(&waiting.progress);
    }
    pthread_mutex_unlock(&waiting.lock);
    return NULL;
}

void veld_waiting_begin(const char *what)
{
    waiting.progress = veld_progress_begin(what);
    waiting.ended = false;
    waiting.running =
        isatty(STDERR_FILENO) && pthread_create(&waiting.thread, NULL, tick, NULL) == 0;
}

void veld_waiting_end(void)
{
    if (!waiting.running)
        return;
    pthread_mutex_lock(&waiting.lock);
    waiting.ended = true;
    pthread_cond_signal(&waiting.over);
    pthread_mutex_unlock(&waiting.lock);
    pthread_join(waiting.thread, NULL);
    waiting.running = false;
    veld_progress_end(&waiting.progress);
}

/* The program beside this one; "veld-daemon", to be looked for in PATH, when there is none. */
static void find_daemon(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash = NULL;
    if (n > 0) {
        out[n] = '\0';
        slash = strrchr(out, '/');
    }
    if (slash && slash + 1 - out + sizeof DAEMON <= PATH_MAX) {
        strcpy(slash + 1, DAEMON);
        if (access(out, X_OK) == 0)
            return;
    }
    strcpy(out, DAEMON);
}

/* True when the child has ended, within the time. What it says stands on lines of its own. */
static bool wait_for(pid_t pid, int *status)
{
    uint64_t start = veld_clock_mono_ns();
    bool told = !isatty(STDERR_FILENO);
    pid_t ended = 0;
    while (ended == 0 && veld_clock_mono_ns() < start + START_TIMEOUT_S * VELD_NS_PER_S) {
        ended = waitpid(pid, status, WNOHANG);
        if (ended != 0)
            break;
        if (!told && veld_clock_mono_ns() > start + QUIET_S * VELD_NS_PER_S) {
            fputs("waiting for " DAEMON "\n", stderr);
            told = true;
        }
        usleep(POLL_US);
    }
    return ended == pid;
}

int veld_launch_daemon(char **argv, int *exit_status, struct veld_diag *diag)
{
    char program[PATH_MAX];
    pid_t pid;
    int status;
    find_daemon(program);
    argv[0] = program;
    int why = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
    if (why == ENOENT)
        return veld_fail(diag, VELD_E_NOENT,
                         DAEMON " is neither beside veld nor in PATH; install it");
    if (why != 0)
        return veld_fail(diag, VELD_E_IO, "cannot start %.500s: %s", program, strerror(why));
    if (!wait_for(pid, &status)) {
        kill(pid, SIGTERM);
        return veld_fail(diag, VELD_E_LIMIT,
                         DAEMON " was not up after %d s and was told to stop; to see what it "
                                "does, run: " DAEMON " --foreground --log-level debug --config "
                                "FILE",
                         START_TIMEOUT_S);
    }
    *exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

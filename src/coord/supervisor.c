#include "coord/supervisor.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "coord/log.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_FIRST_MS 50
#define WAIT_MAX_MS   5000
#define QUIET_NS      (60 * VELD_NS_PER_S) /* served so long, all is forgotten */
#define STOP_S        10 /* after which a child that was asked to stop is killed */

/* Shared between parent and child. */
struct veld_child {
    atomic_bool ready; /* written by the child, read by the parent once it is gone */
    uint32_t crashes;  /* written by the parent before the child starts */
};

void veld_child_ready(struct veld_child *child)
{
    atomic_store_explicit(&child->ready, true, memory_order_relaxed);
}

uint32_t veld_child_crashes(const struct veld_child *child)
{
    return child->crashes;
}

uint32_t veld_supervisor_wait_ms(uint32_t last_wait_ms, uint64_t served_ns)
{
    if (served_ns >= QUIET_NS || last_wait_ms == 0)
        return WAIT_FIRST_MS;
    return VELD_MIN(2 * last_wait_ms, WAIT_MAX_MS);
}

struct supervisor {
    veld_child_fn *run;
    void *ctx;
    struct veld_child *child;
    pid_t pid;
    bool stopping;
    uint64_t kill_at_ns; /* when stopping */
    sigset_t signals;
};

static void block_signals(struct supervisor *s)
{
    sigemptyset(&s->signals);
    sigaddset(&s->signals, SIGTERM);
    sigaddset(&s->signals, SIGINT);
    sigaddset(&s->signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s->signals, NULL);
}

static _Noreturn void be_child(struct supervisor *s, pid_t parent)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &child, NULL);
    /* Never without its parent, not even when that one is killed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
    exit(s->run(s->ctx, s->child));
}

static bool start(struct supervisor *s)
{
    pid_t parent = getpid();
    atomic_store_explicit(&s->child->ready, false, memory_order_relaxed);
    fflush(NULL);
    s->pid = fork();
    if (s->pid == 0)
        be_child(s, parent);
    return s->pid > 0;
}

/* A signal came: pass it on, and see to it that the child is not waited for without end. */
static void pass_on(struct supervisor *s, int signal)
{
    if (!s->stopping)
        s->kill_at_ns = veld_clock_mono_ns() + STOP_S * VELD_NS_PER_S;
    s->stopping = true;
    if (s->pid > 0)
        kill(s->pid, signal);
}

/* One signal, or `ns` of time. */
static void wait_for_signal(struct supervisor *s, uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / VELD_NS_PER_S),
                         .tv_nsec = (long)(ns % VELD_NS_PER_S)};
    int signal = sigtimedwait(&s->signals, NULL, &t);
    if (signal == SIGTERM || signal == SIGINT)
        pass_on(s, signal);
}

/* Until the child is gone; its status. Reaps what else there is, as the first process must. */
static int wait_for_child(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == s->pid) {
            s->pid = 0;
            return status;
        }
        if (pid > 0)
            continue;
        if (s->stopping && veld_clock_mono_ns() >= s->kill_at_ns)
            kill(s->pid, SIGKILL);
        wait_for_signal(s, VELD_NS_PER_S);
    }
}

static void wait_ms(struct supervisor *s, uint32_t ms)
{
    uint64_t end = veld_clock_mono_ns() + ms * VELD_NS_PER_MS, now;
    while (!s->stopping && (now = veld_clock_mono_ns()) < end)
        wait_for_signal(s, end - now);
}

static int supervise(struct supervisor *s)
{
    uint32_t wait = 0;
    for (;;) {
        uint64_t started_ns = veld_clock_mono_ns();
        if (!start(s)) {
            fprintf(stderr, "veld-coord: cannot start the serving process: %s\n",
                    strerror(errno));
            return 1;
        }
        int status = wait_for_child(s);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (s->stopping)
            return 0; /* by the signal it was sent, or by patience's end */
        if (!atomic_load_explicit(&s->child->ready, memory_order_relaxed)) {
            fprintf(stderr, "veld-coord: crashed while starting (%s)\n",
                    strsignal(WTERMSIG(status)));
            return 1;
        }
        wait = veld_supervisor_wait_ms(wait, veld_clock_mono_ns() - started_ns);
        s->child->crashes++;
        veld_event(VELD_LOG_ERROR, "crashed", VELD_TEXT("signal", strsignal(WTERMSIG(status))),
                   VELD_NUMBER("crashes", s->child->crashes),
                   VELD_NUMBER("restart_in_ms", wait));
        wait_ms(s, wait);
        if (s->stopping)
            return 0;
    }
}

int veld_supervise(veld_child_fn *run, void *ctx)
{
    struct supervisor s = {.run = run, .ctx = ctx};
    s.child =
        mmap(NULL, sizeof *s.child, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.child == MAP_FAILED) {
        fprintf(stderr, "veld-coord: cannot start: %s\n", strerror(errno));
        return 1;
    }
    block_signals(&s);
    int rc = supervise(&s);
    munmap(s.child, sizeof *s.child);
    return rc;
}

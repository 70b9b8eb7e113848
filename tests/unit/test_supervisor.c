#include "base/clock.h"
#include "coord/supervisor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What children leave for the test. */
struct board {
    volatile int starts;
    volatile pid_t child;
};
static struct board *board;

static void setup(void)
{
    board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(board, MAP_FAILED);
    cr_assert_geq(open("/dev/null", O_WRONLY), 0);
}

TestSuite(supervisor, .init = setup, .timeout = 30);

/* The supervisor in a process of its own; its exit code. */
static pid_t begin(veld_child_fn *run)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(veld_supervise(run, NULL));
    return pid;
}

static int end(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "the supervisor was killed");
    return WEXITSTATUS(status);
}

static int enter(struct veld_child *c)
{
    board->child = getpid();
    cr_expect_eq(veld_child_crashes(c), (uint32_t)board->starts);
    return ++board->starts;
}

static int ends_with_7(void *ctx, struct veld_child *c)
{
    enter(c);
    return 7;
}

Test(supervisor, an_end_is_handed_on)
{
    cr_assert_eq(end(begin(ends_with_7)), 7);
    cr_assert_eq(board->starts, 1);
}

static int crashes_twice(void *ctx, struct veld_child *c)
{
    int n = enter(c);
    veld_child_ready(c);
    if (n < 3)
        abort();
    return 0;
}

Test(supervisor, a_crash_is_a_new_start)
{
    cr_assert_eq(end(begin(crashes_twice)), 0);
    cr_assert_eq(board->starts, 3);
}

static _Noreturn int crashes_at_start(void *ctx, struct veld_child *c)
{
    enter(c);
    abort();
}

Test(supervisor, a_crash_before_it_served_is_not)
{
    cr_assert_eq(end(begin(crashes_at_start)), 1);
    cr_assert_eq(board->starts, 1);
}

static void stop_at_once(int signal)
{
    _exit(0);
}

static _Noreturn int serves(void *ctx, struct veld_child *c)
{
    struct sigaction sa = {.sa_handler = stop_at_once};
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGTERM, &sa, NULL);
    veld_child_ready(c);
    enter(c);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (;;)
        pause();
}

static void wait_for_start(int n)
{
    for (int i = 0; i < 1000 && board->starts < n; i++)
        usleep(10000);
    cr_assert_eq(board->starts, n);
}

Test(supervisor, a_signal_to_stop_is_passed_on)
{
    pid_t pid = begin(serves);
    wait_for_start(1);
    kill(pid, SIGTERM);
    cr_assert_eq(end(pid), 0);
    cr_assert_eq(board->starts, 1);
}

Test(supervisor, a_killed_child_comes_back_and_is_stopped_like_the_first)
{
    pid_t pid = begin(serves);
    wait_for_start(1);
    kill(board->child, SIGKILL);
    wait_for_start(2);
    kill(pid, SIGTERM);
    cr_assert_eq(end(pid), 0);
}

Test(supervisor, a_child_does_not_outlive_it)
{
    int status;
    pid_t pid = begin(serves);
    wait_for_start(1);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    for (int i = 0; i < 500; i++) {
        char path[64], state = 'Z';
        snprintf(path, sizeof path, "/proc/%d/stat", board->child);
        FILE *f = fopen(path, "r");
        if (!f)
            return;
        if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'Z';
        fclose(f);
        if (state == 'Z') /* dead; whoever adopted it has not looked yet */
            return;
        usleep(10000);
    }
    cr_assert_fail("it goes on");
}

Test(supervisor, waits_grow_and_are_forgotten_after_a_quiet_time)
{
    uint32_t wait = 0, sum = 0;
    for (int i = 0; i < 20; i++) {
        uint32_t next = veld_supervisor_wait_ms(wait, VELD_NS_PER_S);
        cr_assert_geq(next, wait);
        wait = next;
        sum += wait;
    }
    cr_assert_eq(wait, 5000);
    cr_assert_gt(sum, 60000, "twenty crashes within a minute");
    cr_assert_lt(veld_supervisor_wait_ms(wait, 61 * VELD_NS_PER_S), 100);
}

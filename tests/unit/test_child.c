/*
 * With what program.h says. The programs are links, beside this test's own, to others of the system.
 */
#include "control/host/child.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[PATH_MAX], said[VELD_CHILD_OUTPUT_MAX + 1];
static size_t said_len; /* of the last one */
static unsigned calls;
static struct veld_child *child;
static GMainLoop *loop;
static struct veld_diag diag;

static void on_done(void *ctx, const char *text, size_t len)
{
    cr_assert_eq(ctx, &calls);
    memcpy(said, text, len);
    said[said_len = len] = '\0';
    calls++;
    g_main_loop_quit(loop);
}

static const char *sh(void)
{
    static char name[64];
    char path[PATH_MAX + 64];
    snprintf(name, sizeof name, "test-child-sh-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (symlink("/bin/sh", path) < 0)
        cr_assert_eq(errno, EEXIST);
    return name;
}

static void start(const char *script, unsigned timeout_ms)
{
    const char *const argv[] = {"-c", script, NULL};
    cr_assert_eq(veld_child_start(&child, sh(), argv, timeout_ms, on_done, &calls, &diag), 0);
}

static void setup(void)
{
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    cr_assert(n > 0);
    folder[n] = '\0';
    *strrchr(folder, '/') = '\0';
    loop = g_main_loop_new(NULL, FALSE);
}

static void teardown(void)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, sh());
    unlink(path);
    g_main_loop_unref(loop);
    cr_assert(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "all are reaped");
}

TestSuite(child, .init = setup, .fini = teardown, .timeout = 20);

Test(child, its_line_is_told_once)
{
    start("echo one; echo two", 5000);
    g_main_loop_run(loop);
    cr_assert_str_eq(said, "one\ntwo\n");
    cr_assert_eq(calls, 1);
}

Test(child, that_is_not_there)
{
    const char *const argv[] = {NULL};
    cr_assert_eq(
        veld_child_start(&child, "no-such-program", argv, 1000, on_done, &calls, &diag),
        VELD_E_NOENT);
    cr_assert_not_null(strstr(diag.text, "/no-such-program cannot be run: "), "%s", diag.text);
    cr_assert_eq(calls, 0);
}

/* Of too much what fits would end with a line's end. */
Test(child, too_much_and_half_a_line_are_nothing)
{
    static const char *const scripts[] = {
        "while :; do echo 012345678901234567890123456789012345678901234567890123456789012;done",
        "printf half", ":"};
    for (unsigned i = 0; i < 3; i++) {
        start(scripts[i], 5000);
        g_main_loop_run(loop);
        cr_expect_eq(said_len, 0, "%s", scripts[i]);
        cr_expect_eq(calls, i + 1);
    }
}

Test(child, is_killed_when_its_time_is_over)
{
    gint64 began = g_get_monotonic_time();
    start("trap '' TERM; echo line; while :; do sleep 1; done", 300);
    g_main_loop_run(loop);
    cr_assert_eq(said_len, 0);
    cr_assert(g_get_monotonic_time() - began < 3 * G_USEC_PER_SEC);
}

Test(child, is_killed_at_its_end_without_a_word)
{
    start("sleep 60", 5000);
    veld_child_end(child);
    veld_child_end(NULL);
    cr_assert_eq(calls, 0);
}

Test(child, is_waited_for_and_not_longer)
{
    gint64 began = g_get_monotonic_time();
    start("echo done", 5000);
    veld_child_wait(child, 5000);
    cr_assert_str_eq(said, "done\n");
    start("echo line; sleep 60", 60000);
    veld_child_wait(child, 200);
    cr_assert_eq(calls, 2);
    cr_assert_eq(said_len, 0);
    cr_assert(g_get_monotonic_time() - began < 4 * G_USEC_PER_SEC);
}

/* Descriptors, environment, signals, the terminal's group: nothing is handed on. */
Test(child, has_nothing_of_ours)
{
    char script[256];
    int fd = open("/dev/zero", O_RDONLY); /* not close-on-exec */
    cr_assert_gt(fd, 2);
    setenv("SECRET", "s", 1);
    signal(SIGPIPE, SIG_IGN);
    snprintf(script, sizeof script,
             "read -r _ _ _ _ group _ </proc/$$/stat; test $group = $$ && echo leads; "
             "test -e /proc/$$/fd/%d && echo held; echo \"<$SECRET>\"; kill -PIPE $$; "
             "echo alive",
             fd);
    start(script, 5000);
    g_main_loop_run(loop);
    cr_assert_str_eq(said, "leads\n<>\n");
    close(fd);
}

/* Questions, on a terminal of the test's own. */
#include "cli/coord/ask.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[1024];

/* A child on a terminal asks; `answer` is typed once it has. Its exit status; `said` is the terminal's text. */
static int ask(const char *before, const char *answer)
{
    int terminal, status;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        usleep(before ? 200000 : 0);
        _exit(veld_can_ask() && veld_ask("Trust it?") ? 0 : 1);
    }
    if (before)
        cr_assert_eq(write(terminal, before, strlen(before)), (ssize_t)strlen(before));
    size_t n = 0;
    bool answered = false;
    ssize_t got;
    while (n + 1 < sizeof said && (got = read(terminal, said + n, sizeof said - 1 - n)) > 0) {
        n += (size_t)got;
        said[n] = '\0';
        if (!answered && strstr(said, "[y/N] ")) {
            answered = true;
            cr_assert_eq(write(terminal, answer, strlen(answer)), (ssize_t)strlen(answer));
        }
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(terminal);
    return WEXITSTATUS(status);
}

TestSuite(cli_ask, .timeout = 20);

Test(cli_ask, yes_is_yes_and_all_else_is_no)
{
    static const char *const yes[] = {"y\n", "Y\n", "yes\n", "YES\r"};
    static const char *const no[] = {"n\n", "\n", "yy\n", "yes please\n", "\004", "j\n"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(yes); i++)
        cr_expect_eq(ask(NULL, yes[i]), 0, "%s", yes[i]);
    cr_assert_not_null(strstr(said, "Trust it? [y/N] "), "%s", said);
    for (size_t i = 0; i < VELD_ARRAY_LEN(no); i++)
        cr_expect_eq(ask(NULL, no[i]), 1, "%s", no[i]);
}

/* Typed before it was asked: an answer to something else. */
Test(cli_ask, what_was_typed_before_is_no_answer)
{
    cr_assert_eq(ask("y\n", "n\n"), 1);
}

Test(cli_ask, nobody_is_there_without_a_terminal)
{
    for (int fd = 0; fd <= 2; fd++) {
        int terminal, status;
        pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            int fds[2];
            if (!veld_can_ask() || pipe(fds) < 0)
                _exit(9);
            dup2(fds[0], fd);
            _exit(veld_can_ask());
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        close(terminal);
        cr_expect_eq(WEXITSTATUS(status), fd == 1, "%d", fd); /* output may go anywhere */
    }
}

/*
 * The commands of the coord mode as they are typed: help, wrong use, and what they
 * say where there is no server, no network and no terminal. The real `veld` (its path in
 * $VELD_BIN) with a state directory of the test's own.
 */
#include "base/bytes.h"

#include "../support/state_dir.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>

static char output[65536];

/* Exit status; standard output and error in `output`. Nobody is at the terminal. */
static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
    char command[1024], arguments[768];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, ap);
    va_end(ap);
    const char *veld = getenv("VELD_BIN");
    cr_assert_not_null(veld, "VELD_BIN is not set");
    snprintf(command, sizeof command, "%s %s 2>&1 </dev/null", veld, arguments);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    output[fread(output, 1, sizeof output - 1, f)] = '\0';
    return WEXITSTATUS(pclose(f));
}

static void says(const char *text)
{
    cr_expect_not_null(strstr(output, text), "%s\nshould say: %s", output, text);
}

static void set_up(void)
{
    state_dir_make();
    setenv("VELD_STATE_DIR", state_dir, 1);
    setenv("VELD_SOCKET", in_state_dir("socket"), 1);
    setenv("XDG_CONFIG_HOME", state_dir, 1);
    unsetenv("VELD_CONFIG");
}

TestSuite(cli_commands, .init = set_up, .fini = state_dir_remove, .timeout = 60);

static const char *const commands[] = {
    "login",   "join",   "token create", "token list",   "token revoke",
    "approve", "revoke", "trust list",   "trust accept", "trust forget",
    "set",     "leave",  "owner export", "owner import",
};

Test(cli_commands, help_and_usage)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: veld %s [OPTION...]", commands[i]);
        cr_expect_eq(run("%s --help", commands[i]), 0);
        cr_expect_eq(strncmp(output, usage, strlen(usage)), 0, "%s", output);
        cr_expect_eq(run("help %s", commands[i]), 0);
        cr_expect_eq(strncmp(output, usage, strlen(usage)), 0, "%s", output);
        cr_expect_eq(run("%s --frobnicate", commands[i]), 2);
        says("--frobnicate: unknown option");
        snprintf(usage, sizeof usage, "; see: veld %s --help", commands[i]);
        says(usage);
        cr_expect_eq(run("%s a b c d e f g h i j k l m n o p q r s", commands[i]), 2);
        says("takes no ");
    }
}

Test(cli_commands, groups)
{
    static const char *const groups[] = {"token", "trust", "owner"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(groups); i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: veld %s COMMAND", groups[i]);
        cr_expect_eq(run("%s", groups[i]), 2);
        says(usage);
        cr_expect_eq(run("%s --help", groups[i]), 0);
        says(usage);
        cr_expect_eq(run("help %s", groups[i]), 0);
        says(usage);
        cr_expect_eq(run("%s --frobnicate", groups[i]), 2);
        cr_expect_eq(run("%s frobnicate", groups[i]), 2);
        says("frobnicate\" is no command; see: veld ");
    }
    cr_assert_eq(run("token craete"), 2);
    says("\"token craete\" is no command (did you mean \"veld token create\"?)");
    cr_assert_eq(run("help token craete"), 2);
    cr_assert_eq(run("create"), 2);
    cr_assert_eq(run("token revoke"), 2);
    says("token revoke needs ID");
}

Test(cli_commands, wrong_values_are_usage)
{
    static const char *const wrong[] = {
        "token create --uses 0",
        "token create --uses many",
        "token create --expires soon",
        "token create --routes 0.0.0.0/0",
        "join",
        "join a --token-file b",
        "approve --admin",
        "approve --refuse",
        "approve 4F7K-Q2M9 --refuse --admin",
        "up --network a --config b",
        "up --engine steam",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(wrong); i++)
        cr_expect_eq(run("%s", wrong[i]), 2, "%s: %s", wrong[i], output);
}

Test(cli_commands, where_nothing_is_known_they_say_what_to_do)
{
    static const char *const need_network[] = {
        "token create", "token list", "token revoke x", "approve", "revoke x", "set", "leave"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(need_network); i++) {
        cr_expect_eq(run("%s", need_network[i]), 1);
        says("no network is known on this machine");
        says("veld up --network NAME");
        cr_expect_eq(run("%s --network nosuch", need_network[i]), 1);
        says("network nosuch is not known on this machine");
    }
    cr_assert_eq(run("login"), 1);
    says("Pass --coord HOST:PORT");
    cr_assert_eq(run("login --coord 'a b'"), 2);
    says("is no address of a server");
    cr_assert_eq(run("login --coord 127.0.0.1:1"), 1);
    cr_assert_eq(run("login --coord localhost --ca /nonexistent"), 1);
    says("/nonexistent");
    cr_assert_eq(run("leave nosuch"), 1);
    says("network nosuch is not known");
    cr_assert_eq(run("owner export mynet %s", in_state_dir("key")), 1);
    says("the owner's key of network mynet is not on this machine");
    cr_assert_eq(run("owner import %s", in_state_dir("key")), 1);
    says("there is no owner's key file");
    cr_assert_eq(run("join notatoken --no-up"), 1);
    says("is no join token");
    cr_assert_eq(run("trust list"), 1);
    says("veld is not running");
}

Test(cli_commands, up_without_anything)
{
    if (access("/etc/veld/config.toml", F_OK) == 0)
        cr_skip_test("there is a config file on this machine");
    cr_assert_eq(run("up"), 1);
    says("no config file");
    says("veld join TOKEN");
    cr_assert_eq(run("up --network mynet"), 1);
    says(geteuid() == 0 ? "veld login --coord HOST:PORT" : "run with sudo: sudo veld up\n");
}

/* Else the first files that are opened, a connection say, would be standard output. */
Test(cli_commands, without_standard_files)
{
    cr_assert_eq(mkfifo(in_state_dir("fifo"), 0600), 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 256; fd++)
            close(fd);
        execl(getenv("VELD_BIN"), "veld", "join", "--token-file", in_state_dir("fifo"), NULL);
        _exit(9);
    }
    int fifo = open(in_state_dir("fifo"), O_WRONLY); /* once it has opened it, too */
    cr_assert_geq(fifo, 0);
    for (int fd = 0; fd <= 2; fd++) {
        char link[64], target[64] = "";
        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)pid, fd);
        cr_assert_geq(readlink(link, target, sizeof target - 1), 0);
        cr_expect_str_eq(target, "/dev/null", "%d", fd);
    }
    close(fifo);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(WEXITSTATUS(status), 1);
}

/*
 * The command line tool: what a command is, and what it is given.
 *
 * Exit status: 0 done, 1 failed or not running (one line on standard error
 * says what, why, and the next command), 2 used wrongly.
 */
#ifndef VELD_CLI_CLI_H
#define VELD_CLI_CLI_H

#include "base/err.h"

#include <limits.h>
#include <stddef.h>

#define VELD_CLI_OPTIONS_MAX 16

enum veld_cli_exit { VELD_CLI_DONE = 0, VELD_CLI_FAILED = 1, VELD_CLI_USAGE = 2 };

struct veld_cli_option {
    const char *name;  /* long, without the hyphens */
    char letter;       /* '\0': none */
    const char *value; /* what to call its value in help; NULL: it takes none */
    const char *help;
};

struct veld_cli;

/* A command; or a group of them ("token"), which has `sub` and only what help needs. */
struct veld_cli_command {
    const char *name;
    const char *group;                         /* the name of the group it is in; NULL: none */
    const struct veld_cli_command *const *sub; /* the group's commands, then NULL */
    const char *arguments;                     /* for help: "NAME", "[FILE]", "" */
    const char *summary;                       /* one line */
    const char *text;                          /* more help, lines ended by newlines */
    struct veld_cli_option options[VELD_CLI_OPTIONS_MAX]; /* up to the first without a name */
    int min_args, max_args;
    int (*run)(const struct veld_cli *cli);
};

/* One invocation. */
struct veld_cli {
    const struct veld_cli_command *command;
    const char *option
        [VELD_CLI_OPTIONS_MAX]; /* as the command lists them: value, "" for a flag; NULL: not given */
    char *const *args;
    int n_args;
    char socket[PATH_MAX];
};

/* The commands, each in the file of its group. */
extern const struct veld_cli_command veld_cmd_up, veld_cmd_down, veld_cmd_status,
    veld_cmd_peers, veld_cmd_ping, veld_cmd_netcheck, veld_cmd_rekey, veld_cmd_trust,
    veld_cmd_keygen, veld_cmd_pubkey, veld_cmd_version;
/* Those of the coord mode (coord/), where it is built. */
extern const struct veld_cli_command veld_cmd_login, veld_cmd_join, veld_cmd_token,
    veld_cmd_approve, veld_cmd_revoke, veld_cmd_set, veld_cmd_leave, veld_cmd_owner;

/* "veld: ..." on standard error; returns VELD_CLI_FAILED, so that it can be the last statement. */
int veld_cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with what a diag says. */
int veld_cli_fail_diag(const struct veld_diag *diag);
/* The command that runs, as it is typed, without its arguments: one may be a secret. Static. */
const char *veld_cli_running(void);

#endif

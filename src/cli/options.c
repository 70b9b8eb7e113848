#include "cli/options.h"

#include "base/bytes.h"
#include "base/nearest.h"
#include "base/paths.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdarg.h>
#include <string.h>

#define RUN (-1)

static const struct veld_cli_command *const commands[] = {
#ifdef VELD_HAVE_COORD
    &veld_cmd_login,  &veld_cmd_up,     &veld_cmd_down,    &veld_cmd_join,
    &veld_cmd_status, &veld_cmd_peers,  &veld_cmd_ping,    &veld_cmd_netcheck,
    &veld_cmd_rekey,  &veld_cmd_token,  &veld_cmd_approve, &veld_cmd_revoke,
    &veld_cmd_trust,  &veld_cmd_set,    &veld_cmd_leave,   &veld_cmd_owner,
    &veld_cmd_keygen, &veld_cmd_pubkey, &veld_cmd_version,
#else
    &veld_cmd_up,     &veld_cmd_down,     &veld_cmd_status,  &veld_cmd_peers,
    &veld_cmd_ping,   &veld_cmd_netcheck, &veld_cmd_rekey,   &veld_cmd_trust,
    &veld_cmd_keygen, &veld_cmd_pubkey,   &veld_cmd_version,
#endif
};

/* Commands that a build without the coord mode has not. */
static const char *const left_out[] = {
#ifndef VELD_HAVE_COORD
    "login", "join", "token", "approve", "revoke", "set", "leave", "owner",
#endif
    NULL,
};

/* What every command takes, after its own. */
static const struct veld_cli_option common[] = {
    {"socket", '\0', "PATH", "the daemon's socket (default " VELD_DEFAULT_SOCKET ")"},
    {"help", 'h', NULL, "show this help"},
};
/* What getopt returns for long options: beyond all letters. */
enum { OWN_VALUE = 1000, SOCKET_VALUE = 2000, HELP_VALUE };

int veld_cli_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("veld: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return VELD_CLI_FAILED;
}

int veld_cli_fail_diag(const struct veld_diag *diag)
{
    return veld_cli_fail("%s", diag->text);
}

const struct veld_cli_command *veld_cli_find(const char *name)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static const struct veld_cli_command *find_sub(const struct veld_cli_command *group,
                                               const char *name)
{
    for (size_t i = 0; group->sub[i]; i++) {
        if (strcmp(group->sub[i]->name, name) == 0)
            return group->sub[i];
    }
    return NULL;
}

/* As it is typed: "token create". */
struct full_name {
    char text[64];
};
static struct full_name full_name(const struct veld_cli_command *c)
{
    struct full_name f;
    snprintf(f.text, sizeof f.text, "%s%s%s", c->group ? c->group : "", c->group ? " " : "",
             c->name);
    return f;
}

static struct full_name running;

const char *veld_cli_running(void)
{
    return running.text;
}

/* ---- Help ---- */

static void help_option(const struct veld_cli_option *o, FILE *stream)
{
    char letter[8] = "    ", name[48];
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(name, sizeof name, "--%s%s%s", o->name, o->value ? " " : "",
             o->value ? o->value : "");
    fprintf(stream, "  %s%-24s %s\n", letter, name, o->help);
}

void veld_cli_help(FILE *stream)
{
    fputs("usage: veld [--socket PATH] COMMAND [ARGUMENT...]\n\n", stream);
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++)
        fprintf(stream, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help      show this help, or that of a command: veld help COMMAND\n\noptions:\n",
          stream);
    for (size_t i = 0; i < VELD_ARRAY_LEN(common); i++)
        help_option(&common[i], stream);
    fputs("\nenvironment: VELD_SOCKET, VELD_STATE_DIR, VELD_CONFIG, NO_COLOR\n", stream);
}

static void help_group(const struct veld_cli_command *group, FILE *stream)
{
    fprintf(stream, "usage: veld %s COMMAND [ARGUMENT...]\n\n%s\n\n", group->name,
            group->summary);
    for (size_t i = 0; group->sub[i]; i++)
        fprintf(stream, "  %-9s %s\n", group->sub[i]->name, group->sub[i]->summary);
    fprintf(stream, "\n%s%ssee also: veld %s COMMAND --help\n", group->text,
            group->text[0] ? "\n" : "", group->name);
}

void veld_cli_help_command(const struct veld_cli_command *command, FILE *stream)
{
    if (command->sub) {
        help_group(command, stream);
        return;
    }
    fprintf(stream, "usage: veld %s [OPTION...]%s%s\n\n%s\n\n%s%soptions:\n",
            full_name(command).text, command->arguments[0] ? " " : "", command->arguments,
            command->summary, command->text, command->text[0] ? "\n" : "");
    for (size_t i = 0; i < VELD_CLI_OPTIONS_MAX && command->options[i].name; i++)
        help_option(&command->options[i], stream);
    for (size_t i = 0; i < VELD_ARRAY_LEN(common); i++)
        help_option(&common[i], stream);
}

/* ---- Parsing ---- */

/* getopt's tables, made from ours. */
struct tables {
    struct option long_options[VELD_CLI_OPTIONS_MAX + VELD_ARRAY_LEN(common) + 1];
    char short_options[2 * (VELD_CLI_OPTIONS_MAX + VELD_ARRAY_LEN(common)) + 3];
    size_t n;
};

static void add_option(struct tables *t, const struct veld_cli_option *o, int value)
{
    t->long_options[t->n++] =
        (struct option){o->name, o->value ? required_argument : no_argument, NULL, value};
    if (!o->letter)
        return;
    size_t len = strlen(t->short_options);
    t->short_options[len] = o->letter;
    if (o->value)
        t->short_options[len + 1] = ':';
}

static struct tables make_tables(const struct veld_cli_command *command)
{
    struct tables t = {0};
    /* '+': stop at the (sub)command's name. ':': tell a missing value from an unknown option. */
    strcpy(t.short_options, command && !command->sub ? ":" : "+:");
    bool own = command && !command->sub;
    for (size_t i = 0; own && i < VELD_CLI_OPTIONS_MAX && command->options[i].name; i++)
        add_option(&t, &command->options[i], OWN_VALUE + (int)i);
    for (size_t i = 0; i < VELD_ARRAY_LEN(common); i++)
        add_option(&t, &common[i], SOCKET_VALUE + (int)i);
    return t;
}

/* Letters mean the same as the long options. */
static int value_of(const struct veld_cli_command *command, int got)
{
    for (size_t i = 0; command && i < VELD_CLI_OPTIONS_MAX && command->options[i].name; i++) {
        if (command->options[i].letter == got)
            return OWN_VALUE + (int)i;
    }
    return got == 'h' ? HELP_VALUE : got;
}

static int usage(const struct veld_cli_command *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("veld: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (command)
        fprintf(stderr, "; see: veld %s --help\n", full_name(command).text);
    else
        fputs("; see: veld --help\n", stderr);
    return VELD_CLI_USAGE;
}

/* The options of the tool (`cli->command` NULL) or of the command, up to the first argument. */
static int parse_options(struct veld_cli *cli, const char **socket, int argc, char **argv)
{
    struct tables t = make_tables(cli->command);
    optind = 0; /* glibc: start anew */
    opterr = 0;
    int got;
    while ((got = getopt_long(argc, argv, t.short_options, t.long_options, NULL)) != -1) {
        int value = value_of(cli->command, got);
        if (value == HELP_VALUE) {
            if (cli->command)
                veld_cli_help_command(cli->command, stdout);
            else
                veld_cli_help(stdout);
            return VELD_CLI_DONE;
        }
        if (value == SOCKET_VALUE)
            *socket = optarg;
        else if (value >= OWN_VALUE && value < SOCKET_VALUE)
            cli->option[value - OWN_VALUE] = optarg ? optarg : "";
        else
            return usage(cli->command,
                         got == ':' ? "%s: its value is missing" : "%s: unknown option",
                         argv[optind - 1]);
    }
    return RUN;
}

/* Not of a static list: a group may be NULL (all commands, and "help"). */
static int unknown_command(const struct veld_cli_command *group, const char *name)
{
    const char *names[VELD_ARRAY_LEN(commands) + 1] = {NULL};
    size_t n = 0;
    if (group) {
        for (; group->sub[n]; n++)
            names[n] = group->sub[n]->name;
    } else {
        for (; n < VELD_ARRAY_LEN(commands); n++)
            names[n] = commands[n]->name;
        names[n++] = "help";
    }
    for (size_t i = 0; !group && left_out[i]; i++) {
        if (strcmp(name, left_out[i]) == 0)
            return veld_cli_fail("this veld was built without the coord mode (-Dcoord), which "
                                 "\"veld %s\" is part of; a config file needs none: veld up "
                                 "--config FILE",
                                 name);
    }
    const char *nearest = veld_nearest(name, names, n);
    const char *in = group ? group->name : "", *space = group ? " " : "";
    if (nearest)
        return usage(group, "\"%s%s%s\" is no command (did you mean \"veld %s%s%s\"?)", in,
                     space, name, in, space, nearest);
    return usage(group, "\"%s%s%s\" is no command", in, space, name);
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        veld_cli_help(stdout);
        return VELD_CLI_DONE;
    }
    const struct veld_cli_command *command = veld_cli_find(argv[1]);
    if (!command)
        return unknown_command(NULL, argv[1]);
    const struct veld_cli_command *sub =
        command->sub && argc > 2 ? find_sub(command, argv[2]) : NULL;
    if (command->sub && argc > 2 && !sub)
        return unknown_command(command, argv[2]);
    veld_cli_help_command(sub ? sub : command, stdout);
    return VELD_CLI_DONE;
}

/* From the command's name on; its options and arguments. */
static int parse_command(struct veld_cli *cli, const char **socket, int argc, char **argv)
{
    int rc = parse_options(cli, socket, argc, argv);
    if (rc != RUN)
        return rc;
    cli->args = argv + optind;
    cli->n_args = argc - optind;
    const struct veld_cli_command *c = cli->command;
    if (c->sub) {
        if (cli->n_args == 0) {
            veld_cli_help_command(c, stderr);
            return VELD_CLI_USAGE;
        }
        cli->command = find_sub(c, cli->args[0]);
        if (!cli->command)
            return unknown_command(c, cli->args[0]);
        return parse_command(cli, socket, argc - optind, argv + optind);
    }
    running = full_name(c);
    if (cli->n_args < c->min_args)
        return usage(c, "%s needs %s", full_name(c).text, c->arguments);
    if (cli->n_args > 0 && c->max_args == 0)
        return usage(c, "%s takes no arguments", full_name(c).text);
    if (cli->n_args > c->max_args) /* none is shown: one may be a secret */
        return usage(c, "%s takes no more than %d argument%s, and %d were given",
                     full_name(c).text, c->max_args, c->max_args == 1 ? "" : "s", cli->n_args);
    return RUN;
}

int veld_cli_parse(struct veld_cli *cli, int argc, char **argv)
{
    const char *socket = NULL;
    *cli = (struct veld_cli){0};
    /* As a convention has it, beside the command. */
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    int rc = parse_options(cli, &socket, argc, argv);
    if (rc != RUN)
        return rc;
    argc -= optind;
    argv += optind;
    if (argc < 1) {
        veld_cli_help(stderr);
        return VELD_CLI_USAGE;
    }
    if (strcmp(argv[0], "help") == 0)
        return help(argc, argv);
    cli->command = veld_cli_find(argv[0]);
    if (!cli->command)
        return unknown_command(NULL, argv[0]);
    rc = parse_command(cli, &socket, argc, argv);
    if (rc != RUN)
        return rc;
    if (veld_path_socket(socket, cli->socket) < 0)
        return usage(cli->command, "the socket's name is too long");
    return RUN;
}

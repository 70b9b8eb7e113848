#include "cli/options.h"

#include "base/bytes.h"
#include "base/nearest.h"
#include "base/paths.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#define RUN (-1)

static const struct veld_cli_command *const commands[] = {
    &veld_cmd_up,    &veld_cmd_down,   &veld_cmd_status, &veld_cmd_peers,   &veld_cmd_ping,
    &veld_cmd_rekey, &veld_cmd_keygen, &veld_cmd_pubkey, &veld_cmd_version,
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

/* ---- Help ---- */

static void help_option(const struct veld_cli_option *o, FILE *stream)
{
    char letter[8] = "    ", name[32];
    if (o->letter)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(name, sizeof name, "--%s%s%s", o->name, o->value ? " " : "",
             o->value ? o->value : "");
    fprintf(stream, "  %s%-18s %s\n", letter, name, o->help);
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

void veld_cli_help_command(const struct veld_cli_command *command, FILE *stream)
{
    fprintf(stream, "usage: veld %s [OPTION...]%s%s\n\n%s\n\n%s%soptions:\n", command->name,
            command->arguments[0] ? " " : "", command->arguments, command->summary,
            command->text, command->text[0] ? "\n" : "");
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
    /* '+': stop at the command's name. ':': tell a missing value from an unknown option. */
    strcpy(t.short_options, command ? ":" : "+:");
    for (size_t i = 0; command && i < VELD_CLI_OPTIONS_MAX && command->options[i].name; i++)
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
        fprintf(stderr, "; see: veld %s --help\n", command->name);
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

static int unknown_command(const char *name)
{
    const char *names[VELD_ARRAY_LEN(commands) + 1];
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++)
        names[i] = commands[i]->name;
    names[VELD_ARRAY_LEN(commands)] = "help";
    const char *nearest = veld_nearest(name, names, VELD_ARRAY_LEN(names));
    if (nearest)
        return usage(NULL, "\"%s\" is no command (did you mean \"veld %s\"?)", name, nearest);
    return usage(NULL, "\"%s\" is no command", name);
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        veld_cli_help(stdout);
        return VELD_CLI_DONE;
    }
    const struct veld_cli_command *command = veld_cli_find(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    veld_cli_help_command(command, stdout);
    return VELD_CLI_DONE;
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
        return unknown_command(argv[0]);
    rc = parse_options(cli, &socket, argc, argv);
    if (rc != RUN)
        return rc;
    cli->args = argv + optind;
    cli->n_args = argc - optind;
    if (cli->n_args < cli->command->min_args)
        return usage(cli->command, "%s needs %s", cli->command->name, cli->command->arguments);
    if (cli->n_args > cli->command->max_args)
        return usage(cli->command, "%s: too many arguments", cli->args[cli->command->max_args]);
    if (veld_path_socket(socket, cli->socket) < 0)
        return usage(cli->command, "the socket's name is too long");
    return RUN;
}

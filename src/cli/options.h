/*
 * From argv to one command and what it was given; help out of the same tables.
 */
#ifndef VELD_CLI_OPTIONS_H
#define VELD_CLI_OPTIONS_H

#include "cli/cli.h"

#include <stdio.h>

/* NULL when there is none of that name. */
const struct veld_cli_command *veld_cli_find(const char *name);

void veld_cli_help(FILE *stream);
void veld_cli_help_command(const struct veld_cli_command *command, FILE *stream);

/*
 * Fill `cli` from argv. -1: run `cli->command`. Else there is nothing to run
 * (help was printed, or what is wrong), and this is the exit status.
 */
int veld_cli_parse(struct veld_cli *cli, int argc, char **argv);

#endif

/*
 * What veld-coord does beside serving: fingerprint, backup, health.
 *
 * Each ends in a line on standard output, or in one on standard error that says
 * what is wrong. Thread: main.
 */
#ifndef VELD_COORD_COMMANDS_H
#define VELD_COORD_COMMANDS_H

#include "coord/options.h"

/* The command of `o`, which is not VELD_COORD_SERVE; the exit code. */
int veld_coord_command(const struct veld_coord_options *o);

#endif

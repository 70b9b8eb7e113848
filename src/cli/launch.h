/*
 * Starting veld-daemon and waiting for things, with a sign of life on a terminal.
 *
 * Main thread.
 */
#ifndef VELD_CLI_LAUNCH_H
#define VELD_CLI_LAUNCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Dots on standard error, one a second after the first two, if it is a terminal. End it before
 * anything else is said.
 */
struct veld_progress {
    const char *what; /* "waiting for veld-daemon" */
    uint64_t start_ns;
    unsigned dots;
};
struct veld_progress veld_progress_begin(const char *what);
/* Call often. */
void veld_progress_tick(struct veld_progress *p);
/* Ends the line, if one was begun. */
void veld_progress_end(struct veld_progress *p);

/* The same while a call blocks: a thread of its own ticks. One at a time. */
void veld_waiting_begin(const char *what);
void veld_waiting_end(void);

/*
 * Run veld-daemon (the one beside this program, else the one in PATH) with
 * `argv` (argv[0] is ignored, NULL-terminated) until it has gone to the
 * background or failed. Its output is ours. 0 and its exit status, or an error:
 * VELD_E_NOENT when there is no such program, VELD_E_LIMIT when it was not done
 * in time (it is then told to stop).
 */
VELD_MUST_USE int veld_launch_daemon(char **argv, int *exit_status, struct veld_diag *diag);

#endif

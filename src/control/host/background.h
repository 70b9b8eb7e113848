/*
 * Going to the background: the parent waits until the child says that it is up,
 * or why it is not, prints that, and exits with 0 or 1. So `veld-daemon` in a
 * script means "up from here on".
 *
 * Order of calls: start before any thread exists; then the child calls ready
 * once, or failed and exits. In the foreground only ready and failed are called,
 * and print directly.
 */
#ifndef VELD_CONTROL_HOST_BACKGROUND_H
#define VELD_CONTROL_HOST_BACKGROUND_H

#include "base/err.h"

struct veld_background {
    int pipe; /* to the waiting parent; -1 in the foreground */
};

#define VELD_BACKGROUND_FOREGROUND                                                             \
    (struct veld_background)                                                                   \
    {                                                                                          \
        .pipe = -1                                                                             \
    }

/*
 * Returns in the child, detached from the terminal, its standard error appended
 * to `log_path`. The parent does not return: it exits.
 */
VELD_MUST_USE int veld_background_start(struct veld_background *b, const char *log_path,
                                        struct veld_diag *diag);
/* Up: `text` goes to the parent's standard output. */
void veld_background_ready(struct veld_background *b, const char *text);
/* Not up: `text` goes to the parent's standard error. The caller then exits. */
void veld_background_failed(struct veld_background *b, const char *text);

#endif

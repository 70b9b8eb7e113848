/*
 * Another of Veld's programs (program.h), run beside the daemon for its output: some hundred bytes.
 *
 * Invariant: it is gone, and reaped, when its struct is: it is killed once it has closed its output,
 * has written more than fits, or its time is over.
 *
 * Order of calls: start; then `done` from the main loop, once, or end before that. Both free it.
 * Control thread.
 */
#ifndef VELD_CONTROL_HOST_CHILD_H
#define VELD_CONTROL_HOST_CHILD_H

#include "base/err.h"

#include <stddef.h>

#define VELD_CHILD_OUTPUT_MAX 1024

struct veld_child;

/* What it wrote, a whole line or nothing (len 0) by its time's end. Borrowed for the call. */
typedef void veld_child_done(void *ctx, const char *text, size_t len);

/* `argv` goes on after its name, NULL at the end. VELD_E_NOENT when there is no such program, VELD_E_IO. */
VELD_MUST_USE int veld_child_start(struct veld_child **out, const char *program,
                                   const char *const argv[], unsigned timeout_ms,
                                   veld_child_done *done, void *ctx, struct veld_diag *diag);
/* Wait until it is done, so long at most, and call `done`. */
void veld_child_wait(struct veld_child *child, unsigned timeout_ms);
/* Without `done`. NULL is allowed. */
void veld_child_end(struct veld_child *child);

#endif

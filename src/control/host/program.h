/*
 * Another of Veld's programs, which reads for the daemon what strangers send.
 *
 * Invariant: it has nothing of the daemon's but its arguments and the descriptors named: no
 * environment, no blocked or ignored signal, no place in the terminal's group, whose Ctrl-C is the
 * daemon's to answer.
 *
 * Control thread.
 */
#ifndef VELD_CONTROL_HOST_PROGRAM_H
#define VELD_CONTROL_HOST_PROGRAM_H

#include "base/err.h"

#include <sys/types.h>

#define VELD_PROGRAM_NOTHING (-1) /* /dev/null */

/*
 * Start `name`, which is in the folder that the daemon's own file is in. `argv` goes on after its
 * name, NULL at the end; `fds` become its 0, 1 and 2. VELD_E_NOENT when there is none, VELD_E_IO;
 * "PATH cannot be run: WHY".
 */
VELD_MUST_USE int veld_program_start(pid_t *out, const char *name, const char *const argv[],
                                     const int fds[3], struct veld_diag *diag);
/* Wait so long for its end, which is made where it does not come. Its status, as of waitpid. */
int veld_program_end(pid_t pid, unsigned wait_ms);

#endif

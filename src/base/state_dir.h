/*
 * The state directory of the daemon and the command line tool: keys and what
 * they remember. control/state.h and profile/folder.h say what lies in it.
 *
 * May block on the disk: not for workers.
 */
#ifndef VELD_BASE_STATE_DIR_H
#define VELD_BASE_STATE_DIR_H

#include "base/err.h"

/*
 * Make the directory (0700) if missing. VELD_E_PERM when somebody else could
 * change what is in it: they would choose this machine's key and networks, and which files
 * are "put back" by undo.json. Others are all but root, the caller, and the one
 * who called sudo. VELD_E_IO, VELD_E_RANGE.
 */
VELD_MUST_USE int veld_state_dir_make(const char *dir, struct veld_diag *diag);

#endif

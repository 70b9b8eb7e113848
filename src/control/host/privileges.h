/*
 * Giving up what the daemon no longer needs once it is set up.
 *
 * Kept: CAP_NET_ADMIN (routes of its interface, large socket buffers) and
 * CAP_DAC_OVERRIDE (undoing its edits and writing its state when the directory
 * is another user's). Everything else goes, for good, also for what it may execute.
 */
#ifndef VELD_CONTROL_HOST_PRIVILEGES_H
#define VELD_CONTROL_HOST_PRIVILEGES_H

#include "base/err.h"

/* Before anything else: VELD_E_PERM when the interface could not be made anyway. */
VELD_MUST_USE int veld_privileges_check(struct veld_diag *diag);
/* Keep secrets out of core dumps and away from debuggers of the same user. */
void veld_privileges_harden(void);
/*
 * Per thread in Linux, and inherited: call while there is no other thread, of
 * the libraries' neither. VELD_E_STATE when there is one: it would keep all.
 */
VELD_MUST_USE int veld_privileges_drop(struct veld_diag *diag);

#endif

/*
 * What a process that reads strangers' bytes does not need: files. Descriptors that are open go on.
 */
#ifndef VELD_BASE_CONFINE_H
#define VELD_BASE_CONFINE_H

#include "base/err.h"

/*
 * From now on this process, and what it starts, opens, makes, changes and runs no file by its path,
 * whoever it is: by Landlock. VELD_E_UNSUPPORTED where the kernel has none (before Linux 5.13),
 * VELD_E_PERM without no_new_privs. For a process of one thread.
 */
VELD_MUST_USE int veld_confine_files(void);

#endif

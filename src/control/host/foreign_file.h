/*
 * Files that belong to others (resolv.conf, /proc/sys): found through symbolic
 * links, written without changing what they are to their owner.
 *
 * Invariant: mode, owner, extended attributes and hard links of a file stay as
 * they are. It is replaced in one step (rename) where that keeps them, and
 * written in place elsewhere: bind mounts, read-only directories, /proc.
 *
 * Control thread; blocks on the disk.
 */
#ifndef VELD_CONTROL_HOST_FOREIGN_FILE_H
#define VELD_CONTROL_HOST_FOREIGN_FILE_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The file that `path` leads to. 0; 1 when there is none yet but its directory
 * exists; VELD_E_NOENT for a dangling link or a missing directory; VELD_E_PERM,
 * VELD_E_IO.
 */
VELD_MUST_USE int veld_foreign_resolve(const char *path, char out[PATH_MAX]);

/* Whether it lies in /proc, where a value read back may differ by its last newline. */
bool veld_foreign_is_proc(const char *path);

/* `path` as resolved. Made with mode 0644 when there is none. */
VELD_MUST_USE int veld_foreign_write(const char *path, const char *data, size_t len,
                                     struct veld_diag *diag);

/*
 * Keep other Veld daemons from changing files of the same directory between a
 * read and a write. Waits at most 200 ms, then goes on without: a daemon that
 * hangs must not stop the others. Give the result to veld_foreign_unlock.
 */
int veld_foreign_lock(const char *path);
void veld_foreign_unlock(int lock);

#endif

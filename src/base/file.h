/*
 * Small files, whole: read with a bound, written so that a crash leaves the old
 * content or the new one, never a mixture.
 *
 * May block on the disk: not for workers.
 */
#ifndef VELD_BASE_FILE_H
#define VELD_BASE_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/*
 * Read all of `path` into `buf` (`size` bytes, NUL added). `len` receives the
 * length. VELD_E_NOENT, VELD_E_PERM, VELD_E_IO, or VELD_E_RANGE when the file
 * does not fit in size - 1 bytes; errno tells more.
 */
VELD_MUST_USE int veld_file_read(const char *path, char *buf, size_t size, size_t *len);

/*
 * Write through a temporary file in the same directory, fsync, rename, fsync the
 * directory. `mode` is exact, whatever the umask.
 */
VELD_MUST_USE int veld_file_replace(const char *path, const void *data, size_t len,
                                    mode_t mode);

/* The same, but VELD_E_EXIST when `path` is there already (link, not rename: no race). */
VELD_MUST_USE int veld_file_create(const char *path, const void *data, size_t len, mode_t mode);

/* Every missing directory of `path`, the last one with `mode`; there to stay when it returns 0. */
VELD_MUST_USE int veld_mkdirs(const char *path, mode_t mode);

#endif

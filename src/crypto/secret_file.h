/*
 * A file that holds one 32-byte secret: base64, 44 characters, one newline.
 * An identity's seed and a network's secret are kept so.
 *
 * Invariant: a secret is taken only from a regular file that nobody but its
 * owner may use; nothing of a refused one stays in memory.
 *
 * May block on the disk: not for workers.
 */
#ifndef VELD_CRYPTO_SECRET_FILE_H
#define VELD_CRYPTO_SECRET_FILE_H

#include "base/err.h"

#include <stdint.h>

#define VELD_SECRET_TEXT_LEN 44 /* characters, without the newline */

/*
 * `what` the secret is ("identity") and the command that would make one
 * (`remedy`) are for the sentence in `diag`. VELD_E_NOENT, VELD_E_PERM (also
 * when others may use the file, naming the chmod that mends it),
 * VELD_E_FORMAT, VELD_E_IO; `out` is then zeroed. The caller wipes `out`.
 */
VELD_MUST_USE int veld_secret_file_read(const char *path, const char *what, const char *remedy,
                                        uint8_t out[32], struct veld_diag *diag);
/* Write it, mode 0600, never over a file that is there (VELD_E_EXIST); atomic and synced. */
VELD_MUST_USE int veld_secret_file_create(const char *path, const char *what,
                                          const uint8_t secret[32], struct veld_diag *diag);

#endif

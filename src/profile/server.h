/*
 * The coord server that was logged in to, and how it is known: coord.json.
 *
 * Invariant: what is loaded is a HOST:PORT and the certificate that was seen
 * and accepted there. Main thread of the tool, control thread of the daemon, at start.
 */
#ifndef VELD_PROFILE_SERVER_H
#define VELD_PROFILE_SERVER_H

#include "profile/folder.h"

#include "base/host_port.h"

#define VELD_PROFILE_COORD_MAX 16384 /* bytes of coord.json */

struct veld_profile_coord {
    char address[VELD_COORD_TEXT_MAX]; /* HOST:PORT */
    uint8_t certificate[32];           /* SHA-256 of its DER form */
    char *ca_path; /* owned; by these CAs, the certificate as last seen; NULL: it is pinned */
};
/* Frees and zeroes. */
void veld_profile_coord_clear(struct veld_profile_coord *c);
/* The caller clears `out` of what it held. VELD_E_NOMEM. */
VELD_MUST_USE int veld_profile_coord_copy(struct veld_profile_coord *out,
                                          const struct veld_profile_coord *c,
                                          struct veld_diag *diag);
/*
 * Of the state directory (network NULL) or of one network. VELD_E_NOENT: never
 * logged in; others as of veld_profile_read, VELD_E_FORMAT, VELD_E_UNSUPPORTED.
 * `out` is overwritten, zeroed on failure; the caller clears it.
 */
VELD_MUST_USE int veld_profile_coord_load(const char *state_dir, const char *network,
                                          struct veld_profile_coord *out,
                                          struct veld_diag *diag);
VELD_MUST_USE int veld_profile_coord_save(const char *state_dir, const char *network,
                                          const struct veld_profile_coord *c,
                                          struct veld_diag *diag);
/* The text of such a file; `path` is for the sentence. For tests and fuzzing. */
VELD_MUST_USE int veld_profile_coord_parse(const char *path, const void *p, size_t len,
                                           struct veld_profile_coord *out,
                                           struct veld_diag *diag);

#endif

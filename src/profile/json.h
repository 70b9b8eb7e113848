/*
 * Inside of profile: JSON files of one version, strictly read. What is unknown,
 * missing, doubled or of another type is an error.
 *
 * Not for others: include the file's own header.
 */
#ifndef VELD_PROFILE_JSON_H
#define VELD_PROFILE_JSON_H

#include "profile/folder.h"

#include <jansson.h>

#define VELD_PROFILE_VERSION 1 /* of each file */

/* Where a text came from, and how to come by a good one, for the sentence. */
struct veld_json_source {
    const char *path;
    const char *remedy; /* "log in again: veld login --coord HOST:PORT" */
};

/* "PATH: WHAT; restore it from a backup, or move it away and REMEDY"; VELD_E_FORMAT. */
VELD_MUST_USE int veld_json_fail(const struct veld_json_source *s, struct veld_diag *diag,
                                 const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/*
 * An object whose "version" is ours. VELD_E_FORMAT, or VELD_E_UNSUPPORTED when a
 * later veld wrote it. Free with json_decref.
 */
VELD_MUST_USE int veld_json_parse(const struct veld_json_source *s, const void *p, size_t len,
                                  json_t **out, struct veld_diag *diag);
/* The file as text and as such an object. VELD_E_NOENT and others of veld_profile_read. */
VELD_MUST_USE int veld_json_save(const char *state_dir, const char *network, const char *file,
                                 json_t *root, struct veld_diag *diag);

/* A string of base64: exactly `len` bytes. */
bool veld_json_bytes(const json_t *value, void *out, size_t len);
/* Reference is the caller's; NULL when out of memory. */
json_t *veld_json_of_bytes(const void *p, size_t len);
/* An array of prefixes that may be routes (trust/trust.h). Wrong: false. */
bool veld_json_prefixes(const json_t *array, struct veld_prefix *out, size_t max, size_t *n);
json_t *veld_json_of_prefixes(const struct veld_prefix *p, size_t n);

#endif

/*
 * One request to the daemon's local API (libcurl over its Unix socket), and the
 * answer as JSON.
 *
 * Blocks, at most for the time given. Main thread.
 */
#ifndef VELD_CLI_CLIENT_H
#define VELD_CLI_CLIENT_H

#include "base/err.h"

#include <jansson.h>

#define VELD_CLIENT_ANSWER_MAX (1u << 30) /* bytes */
#define VELD_CLIENT_TIMEOUT_S  15

/*
 * `body` is JSON text to post; NULL asks with GET. On 0, `out` is the answer
 * (free with json_decref). Else, with a sentence in `diag`: VELD_E_NOENT when no
 * daemon runs, VELD_E_PERM when it may not be asked, VELD_E_LIMIT when it, or
 * the peer it asked, did not answer in time, VELD_E_STATE when it refused (the sentence is its own),
 * VELD_E_IO, VELD_E_FORMAT.
 */
VELD_MUST_USE int veld_client_call(const char *socket, const char *url, const char *body,
                                   json_t **out, struct veld_diag *diag);

/* The string at `key` of an object, "-" when there is none. Borrowed from `o`. */
const char *veld_json_text(const json_t *o, const char *key);

#endif

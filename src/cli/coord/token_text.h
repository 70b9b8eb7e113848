/*
 * A join token as it is given to a command: at the command line, from which it is
 * wiped at once, in a file, or on standard input. It is a secret.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_TOKEN_TEXT_H
#define VELD_CLI_COORD_TOKEN_TEXT_H

#include "base/err.h"
#include "trust/token.h"

/* In guarded memory. Free with veld_token_text_free. */
struct veld_token_text {
    char text[VELD_TOKEN_TEXT_MAX];
};

/*
 * `argument` is the command line's own memory: "-" is standard input; NULL: none.
 * `file` NULL: none; one of the two must be given. White space is dropped: lines may be folded.
 * VELD_E_FORMAT, VELD_E_NOENT, VELD_E_PERM, VELD_E_IO.
 */
VELD_MUST_USE int veld_token_text_take(struct veld_token_text **out, char *argument,
                                       const char *file, struct veld_diag *diag);
void veld_token_text_free(struct veld_token_text *t); /* wipes; NULL is allowed */

#endif

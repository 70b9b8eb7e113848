/*
 * Join tokens made on this machine: tokens.json. Public parts and limits alone;
 * the secret is in the token's text, which is shown once and kept nowhere.
 *
 * Main thread of the tool.
 */
#ifndef VELD_PROFILE_TOKENS_H
#define VELD_PROFILE_TOKENS_H

#include "profile/folder.h"

#define VELD_TOKENS_MAX      1024       /* of one network */
#define VELD_TOKENS_FILE_MAX (1u << 20) /* bytes of tokens.json */
#define VELD_TOKEN_ID_STRLEN 9          /* 8 hex digits and NUL */

struct veld_made_token {
    uint8_t key[32];               /* public */
    uint64_t created_s, expires_s; /* expires 0: never */
    uint32_t uses;                 /* 0: any number */
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n_routes;
    uint32_t flags;
};

/* The first 4 bytes of its key in hex: what `veld token list` shows and `revoke` takes. */
char *veld_token_id(const uint8_t key[32], char out[VELD_TOKEN_ID_STRLEN]);

/* Oldest first; none where there is no file. The caller frees `*out`. */
VELD_MUST_USE int veld_tokens_load(const char *state_dir, const char *network,
                                   struct veld_made_token **out, size_t *n,
                                   struct veld_diag *diag);
/*
 * Add one. Those that ended before `now_s` make room when there is none;
 * VELD_E_FULL when that is not enough. Hold veld_profile_lock meanwhile.
 */
VELD_MUST_USE int veld_tokens_add(const char *state_dir, const char *network,
                                  const struct veld_made_token *token, uint64_t now_s,
                                  struct veld_diag *diag);
/* The text of such a file; `path` is for the sentence. For tests and fuzzing. */
VELD_MUST_USE int veld_tokens_parse(const char *path, const void *p, size_t len,
                                    struct veld_made_token **out, size_t *n,
                                    struct veld_diag *diag);

#endif

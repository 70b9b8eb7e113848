#include "profile/tokens.h"

#include "base/bytes.h"
#include "profile/json.h"

#include <stdio.h>
#include <stdlib.h>

char *veld_token_id(const uint8_t key[32], char out[VELD_TOKEN_ID_STRLEN])
{
    snprintf(out, VELD_TOKEN_ID_STRLEN, "%08x", (unsigned)veld_load_be32(key));
    return out;
}

/* ---- Reading ---- */

static int read_token(const struct veld_json_source *s, json_t *item,
                      struct veld_made_token *out, struct veld_diag *diag)
{
    json_error_t error;
    json_t *key, *routes;
    json_int_t created, expires, uses, flags;
    if (json_unpack_ex(item, &error, JSON_STRICT, "{s:o, s:I, s:I, s:I, s:o, s:I}", "key", &key,
                       "created", &created, "expires", &expires, "uses", &uses, "routes",
                       &routes, "flags", &flags) < 0)
        return veld_json_fail(s, diag, "%s", error.text);
    if (!veld_json_bytes(key, out->key, sizeof out->key))
        return veld_json_fail(s, diag, "\"key\" is not 32 bytes in base64");
    if (created < 0 || expires < 0 || uses < 0 || uses > UINT32_MAX || flags < 0 ||
        flags > UINT32_MAX)
        return veld_json_fail(s, diag, "a number of a token is out of range");
    if (!veld_json_prefixes(routes, out->routes, VELD_MEMBER_ROUTES_MAX, &out->n_routes))
        return veld_json_fail(s, diag, "\"routes\" are not networks");
    out->created_s = (uint64_t)created;
    out->expires_s = (uint64_t)expires;
    out->uses = (uint32_t)uses;
    out->flags = (uint32_t)flags;
    return 0;
}

static int read_tokens(const struct veld_json_source *s, json_t *root,
                       struct veld_made_token **out, size_t *n, struct veld_diag *diag)
{
    json_error_t error;
    json_t *list, *item;
    int version;
    size_t i;
    if (json_unpack_ex(root, &error, JSON_STRICT, "{s:i, s:o}", "version", &version, "tokens",
                       &list) < 0)
        return veld_json_fail(s, diag, "%s", error.text);
    if (!json_is_array(list) || json_array_size(list) > VELD_TOKENS_MAX)
        return veld_json_fail(s, diag, "\"tokens\" is no list, or longer than %d",
                              VELD_TOKENS_MAX);
    /* One more than there are: room to add to. */
    struct veld_made_token *tokens = calloc(json_array_size(list) + 1, sizeof *tokens);
    if (!tokens)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    json_array_foreach(list, i, item)
    {
        int rc = read_token(s, item, &tokens[i], diag);
        if (rc < 0) {
            free(tokens);
            return rc;
        }
    }
    *out = tokens;
    *n = json_array_size(list);
    return 0;
}

int veld_tokens_parse(const char *path, const void *p, size_t len, struct veld_made_token **out,
                      size_t *n, struct veld_diag *diag)
{
    const struct veld_json_source s = {path, "revoke the tokens you know of"};
    json_t *root;
    *out = NULL;
    *n = 0;
    int rc = veld_json_parse(&s, p, len, &root, diag);
    if (rc < 0)
        return rc;
    rc = read_tokens(&s, root, out, n, diag);
    json_decref(root);
    return rc;
}

int veld_tokens_load(const char *state_dir, const char *network, struct veld_made_token **out,
                     size_t *n, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    struct veld_blob text = {0};
    *out = NULL;
    *n = 0;
    int rc = veld_profile_path(state_dir, network, VELD_PROFILE_TOKENS, path, diag);
    if (rc == 0)
        rc = veld_profile_read(state_dir, network, VELD_PROFILE_TOKENS, VELD_TOKENS_FILE_MAX,
                               &text, diag);
    if (rc == VELD_E_NOENT) {
        *out = calloc(1, sizeof **out);
        return *out ? 0 : veld_fail(diag, VELD_E_NOMEM, "out of memory");
    }
    if (rc == 0)
        rc = veld_tokens_parse(path, text.p, text.len, out, n, diag);
    veld_blob_clear(&text);
    return rc;
}

/* ---- Writing ---- */

static void drop_ended(struct veld_made_token *tokens, size_t *n, uint64_t now_s)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (tokens[i].expires_s == 0 || tokens[i].expires_s >= now_s)
            tokens[kept++] = tokens[i];
    }
    *n = kept;
}

static int save(const char *state_dir, const char *network,
                const struct veld_made_token *tokens, size_t n, struct veld_diag *diag)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct veld_made_token *t = &tokens[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I, s:I, s:o, s:I}", "key",
                                        veld_json_of_bytes(t->key, sizeof t->key), "created",
                                        (json_int_t)t->created_s, "expires",
                                        (json_int_t)t->expires_s, "uses", (json_int_t)t->uses,
                                        "routes", veld_json_of_prefixes(t->routes, t->n_routes),
                                        "flags", (json_int_t)t->flags));
    }
    bool whole = json_array_size(list) == n;
    json_t *root = json_pack("{s:i, s:o}", "version", VELD_PROFILE_VERSION, "tokens", list);
    int rc = whole ? veld_json_save(state_dir, network, VELD_PROFILE_TOKENS, root, diag)
                   : veld_fail(diag, VELD_E_NOMEM, "out of memory");
    json_decref(root);
    return rc;
}

int veld_tokens_add(const char *state_dir, const char *network,
                    const struct veld_made_token *token, uint64_t now_s, struct veld_diag *diag)
{
    struct veld_made_token *tokens;
    size_t n;
    int rc = veld_tokens_load(state_dir, network, &tokens, &n, diag);
    if (rc < 0)
        return rc;
    if (n == VELD_TOKENS_MAX)
        drop_ended(tokens, &n, now_s);
    if (n == VELD_TOKENS_MAX) {
        rc = veld_fail(diag, VELD_E_FULL,
                       "%d tokens of %s have not ended; make one with more uses instead",
                       VELD_TOKENS_MAX, network);
    } else {
        tokens[n++] = *token;
        rc = save(state_dir, network, tokens, n, diag);
    }
    free(tokens);
    return rc;
}

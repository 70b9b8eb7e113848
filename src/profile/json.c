#include "profile/json.h"

#include "crypto/primitives.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 64 /* of one string of base64 */

int veld_json_fail(const struct veld_json_source *s, struct veld_diag *diag, const char *fmt,
                   ...)
{
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return veld_fail(diag, VELD_E_FORMAT,
                     "%s: %s; restore it from a backup, or move it away and %s", s->path, what,
                     s->remedy);
}

int veld_json_parse(const struct veld_json_source *s, const void *p, size_t len, json_t **out,
                    struct veld_diag *diag)
{
    json_error_t error;
    *out = NULL;
    json_t *root = json_loadb(p, len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return veld_json_fail(s, diag, "line %d: %s", error.line, error.text);
    const json_t *version = json_object_get(root, "version");
    int rc = 0;
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        rc = veld_json_fail(s, diag, "is no file that veld wrote");
    else if (json_integer_value(version) > VELD_PROFILE_VERSION)
        rc = veld_fail(diag, VELD_E_UNSUPPORTED,
                       "%s was written by a later version of veld; install that one", s->path);
    if (rc < 0)
        json_decref(root);
    else
        *out = root;
    return rc;
}

int veld_json_save(const char *state_dir, const char *network, const char *file, json_t *root,
                   struct veld_diag *diag)
{
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    int rc = text ? veld_profile_write(state_dir, network, file, text, strlen(text), diag)
                  : veld_fail(diag, VELD_E_NOMEM, "out of memory");
    free(text);
    return rc;
}

bool veld_json_bytes(const json_t *value, void *out, size_t len)
{
    const char *text = json_string_value(value);
    return text && veld_base64_decode(out, len, text, json_string_length(value)) == 0;
}

json_t *veld_json_of_bytes(const void *p, size_t len)
{
    char text[BYTES_MAX / 3 * 4 + 8];
    if (len > BYTES_MAX || veld_base64_encode(text, sizeof text, p, len) < 0)
        return NULL;
    return json_string(text);
}

bool veld_json_prefixes(const json_t *array, struct veld_prefix *out, size_t max, size_t *n)
{
    size_t i;
    json_t *item;
    if (!json_is_array(array) || json_array_size(array) > max)
        return false;
    json_array_foreach(array, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || veld_prefix_parse(text, &out[i]) < 0 || !veld_route_is_valid(&out[i]))
            return false;
    }
    *n = json_array_size(array);
    return true;
}

json_t *veld_json_of_prefixes(const struct veld_prefix *p, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        char text[VELD_PREFIX_STRLEN];
        json_array_append_new(array, json_string(veld_prefix_format(&p[i], text)));
    }
    return array;
}

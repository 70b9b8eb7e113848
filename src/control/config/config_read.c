#include "control/config/config_read.h"

#include "crypto/secret_file.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int veld_config_fail(struct veld_config_reader *r, unsigned line, const char *key,
                     const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return veld_fail(r->diag, VELD_E_CONFIG, "%s:%u: %s: %s", r->path, line, key, what);
}

struct veld_config_quote veld_config_quote(const char *text)
{
    struct veld_config_quote q;
    size_t i = 0;
    for (; text[i] && i < sizeof q.text - 4; i++)
        q.text[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
    strcpy(q.text + i, text[i] ? "..." : "");
    return q;
}

static const char *type_name(enum veld_toml_type type)
{
    switch (type) {
    case VELD_TOML_TABLE: return "a table";
    case VELD_TOML_ARRAY: return "an array";
    case VELD_TOML_STRING: return "a string";
    case VELD_TOML_INTEGER: return "a number";
    case VELD_TOML_BOOLEAN: return "true or false";
    case VELD_TOML_OTHER: break;
    }
    return "a fraction, date or time";
}

int veld_config_wrong_type(struct veld_config_reader *r, const char *key,
                           const struct veld_toml *v, const char *right)
{
    return veld_config_fail(r, v->line, key, "is %s; it must be %s", type_name(v->type), right);
}

int veld_config_string(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                       const char **out)
{
    if (v->type != VELD_TOML_STRING)
        return veld_config_wrong_type(r, key, v, "a string, in \"quotes\"");
    if (v->len == 0)
        return veld_config_fail(r, v->line, key, "is empty; give a value or leave the key out");
    if (strlen(v->text) != v->len)
        return veld_config_fail(r, v->line, key, "holds a NUL character; write plain text");
    *out = v->text;
    return 0;
}

int veld_config_number(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                       unsigned min, unsigned max, unsigned *out)
{
    if (v->type != VELD_TOML_INTEGER)
        return veld_config_wrong_type(r, key, v, "a whole number, without quotes");
    if (v->integer < (int64_t)min || v->integer > (int64_t)max)
        return veld_config_fail(r, v->line, key, "%lld is out of range; use %u to %u",
                                (long long)v->integer, min, max);
    *out = (unsigned)v->integer;
    return 0;
}

int veld_config_bool(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                     bool *out)
{
    if (v->type != VELD_TOML_BOOLEAN)
        return veld_config_wrong_type(r, key, v, "true or false, without quotes");
    *out = v->boolean;
    return 0;
}

int veld_config_name(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                     char out[VELD_NAME_MAX + 1])
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    size_t len = strlen(text);
    bool label = len <= VELD_NAME_MAX && text[0] != '-' && text[len - 1] != '-';
    for (size_t i = 0; i < len && label; i++)
        label = isascii(text[i]) && (isalnum((unsigned char)text[i]) || text[i] == '-');
    if (!label)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is no name for a machine; use 1 to %d letters, digits "
                                "and inner hyphens, as in \"machine-a\"",
                                veld_config_quote(text).text, VELD_NAME_MAX);
    for (size_t i = 0; i <= len; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    return 0;
}

int veld_config_path(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                     char **out)
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    const char *slash = strrchr(r->path, '/');
    int dir_len = text[0] == '/' || !slash ? 0 : (int)(slash + 1 - r->path);
    char *path;
    if (asprintf(&path, "%.*s%s", dir_len, r->path, text) < 0)
        return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
    if (strlen(path) >= PATH_MAX) {
        free(path);
        return veld_config_fail(r, v->line, key, "is too long for a file name; shorten it");
    }
    *out = path;
    return 0;
}

int veld_config_secret(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                       uint8_t out[32])
{
    struct veld_diag why;
    char *path, remedy[PATH_MAX + 128];
    int rc = veld_config_path(r, key, v, &path);
    if (rc < 0)
        return rc;
    snprintf(remedy, sizeof remedy,
             "(umask 077; head -c 32 /dev/urandom | base64 > %s) on one machine, and copy the "
             "file to all others",
             path);
    rc = veld_secret_file_read(path, "network secret", remedy, out, &why);
    free(path);
    return rc < 0 ? veld_config_fail(r, v->line, key, "%s", why.text) : 0;
}

#include "profile/server.h"

#include "profile/json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void veld_profile_coord_clear(struct veld_profile_coord *c)
{
    free(c->ca_path);
    *c = (struct veld_profile_coord){0};
}

int veld_profile_coord_copy(struct veld_profile_coord *out, const struct veld_profile_coord *c,
                            struct veld_diag *diag)
{
    struct veld_profile_coord copy = *c;
    if (c->ca_path && !(copy.ca_path = strdup(c->ca_path)))
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    *out = copy;
    return 0;
}

static bool is_address(const char *text)
{
    char canonical[VELD_HOST_PORT_STRLEN];
    return text && veld_host_port_parse(text, 0, canonical) == 0 &&
           strcmp(text, canonical) == 0;
}

static bool is_ca_path(const char *text)
{
    return !text || (text[0] == '/' && strlen(text) < PATH_MAX);
}

static int read_coord(const struct veld_json_source *s, json_t *root,
                      struct veld_profile_coord *out, struct veld_diag *diag)
{
    json_error_t error;
    int version;
    const char *address, *ca_path = NULL;
    json_t *certificate;
    if (json_unpack_ex(root, &error, JSON_STRICT, "{s:i, s:s, s:o, s?s}", "version", &version,
                       "address", &address, "certificate", &certificate, "ca", &ca_path) < 0)
        return veld_json_fail(s, diag, "%s", error.text);
    if (!is_address(address))
        return veld_json_fail(s, diag, "\"address\" is not HOST:PORT");
    if (!veld_json_bytes(certificate, out->certificate, sizeof out->certificate))
        return veld_json_fail(s, diag, "\"certificate\" is not 32 bytes in base64");
    if (!is_ca_path(ca_path))
        return veld_json_fail(s, diag, "\"ca\" is no absolute path");
    strcpy(out->address, address);
    if (ca_path && !(out->ca_path = strdup(ca_path)))
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return 0;
}

int veld_profile_coord_parse(const char *path, const void *p, size_t len,
                             struct veld_profile_coord *out, struct veld_diag *diag)
{
    const struct veld_json_source s = {path, "log in again: veld login --coord HOST:PORT"};
    json_t *root;
    *out = (struct veld_profile_coord){0};
    int rc = veld_json_parse(&s, p, len, &root, diag);
    if (rc < 0)
        return rc;
    rc = read_coord(&s, root, out, diag);
    json_decref(root);
    if (rc < 0)
        veld_profile_coord_clear(out);
    return rc;
}

int veld_profile_coord_load(const char *state_dir, const char *network,
                            struct veld_profile_coord *out, struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    struct veld_blob text = {0};
    *out = (struct veld_profile_coord){0};
    int rc = veld_profile_path(state_dir, network, VELD_PROFILE_COORD, path, diag);
    if (rc == 0)
        rc = veld_profile_read(state_dir, network, VELD_PROFILE_COORD, VELD_PROFILE_COORD_MAX,
                               &text, diag);
    if (rc == 0)
        rc = veld_profile_coord_parse(path, text.p, text.len, out, diag);
    veld_blob_clear(&text);
    return rc;
}

int veld_profile_coord_save(const char *state_dir, const char *network,
                            const struct veld_profile_coord *c, struct veld_diag *diag)
{
    if (!is_address(c->address) || !is_ca_path(c->ca_path))
        return veld_fail(diag, VELD_E_INVAL, "\"%s\" cannot be kept as a coord server",
                         c->address);
    json_t *root =
        json_pack("{s:i, s:s, s:o, s:s*}", "version", VELD_PROFILE_VERSION, "address",
                  c->address, "certificate",
                  veld_json_of_bytes(c->certificate, sizeof c->certificate), "ca", c->ca_path);
    int rc = veld_json_save(state_dir, network, VELD_PROFILE_COORD, root, diag);
    json_decref(root);
    return rc;
}

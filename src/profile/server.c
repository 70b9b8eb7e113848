#include "profile/server.h"

#include "profile/json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char pem_head[] = "-----BEGIN CERTIFICATE-----\n";

void veld_profile_coord_clear(struct veld_profile_coord *c)
{
    free(c->pem);
    free(c->ca_path);
    *c = (struct veld_profile_coord){0};
}

static int set_texts(struct veld_profile_coord *out, const char *pem, const char *ca_path)
{
    out->pem = strdup(pem);
    out->ca_path = ca_path ? strdup(ca_path) : NULL;
    if (out->pem && (!ca_path || out->ca_path))
        return 0;
    veld_profile_coord_clear(out);
    return VELD_E_NOMEM;
}

int veld_profile_coord_copy(struct veld_profile_coord *out, const struct veld_profile_coord *c,
                            struct veld_diag *diag)
{
    *out = *c;
    int rc = set_texts(out, c->pem, c->ca_path);
    return rc < 0 ? veld_fail(diag, rc, "out of memory") : 0;
}

static bool is_address(const char *text)
{
    char canonical[VELD_HOST_PORT_STRLEN];
    return text && veld_host_port_parse(text, 0, canonical) == 0 &&
           strcmp(text, canonical) == 0;
}

static bool is_pem(const char *text)
{
    return text && strlen(text) <= VELD_PROFILE_PEM_MAX &&
           strncmp(text, pem_head, sizeof pem_head - 1) == 0;
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
    const char *address, *pem, *ca_path = NULL;
    json_t *certificate;
    if (json_unpack_ex(root, &error, JSON_STRICT, "{s:i, s:s, s:o, s:s, s?s}", "version",
                       &version, "address", &address, "certificate", &certificate, "pem", &pem,
                       "ca", &ca_path) < 0)
        return veld_json_fail(s, diag, "%s", error.text);
    if (!is_address(address))
        return veld_json_fail(s, diag, "\"address\" is not HOST:PORT");
    if (!veld_json_bytes(certificate, out->certificate, sizeof out->certificate))
        return veld_json_fail(s, diag, "\"certificate\" is not 32 bytes in base64");
    if (!is_pem(pem))
        return veld_json_fail(s, diag, "\"pem\" is no certificate");
    if (!is_ca_path(ca_path))
        return veld_json_fail(s, diag, "\"ca\" is no absolute path");
    strcpy(out->address, address);
    int rc = set_texts(out, pem, ca_path);
    return rc < 0 ? veld_fail(diag, rc, "out of memory") : 0;
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
    if (!is_address(c->address) || !is_pem(c->pem) || !is_ca_path(c->ca_path))
        return veld_fail(diag, VELD_E_INVAL, "\"%s\" cannot be kept as a coord server",
                         c->address);
    json_t *root = json_pack("{s:i, s:s, s:o, s:s, s:s*}", "version", VELD_PROFILE_VERSION,
                             "address", c->address, "certificate",
                             veld_json_of_bytes(c->certificate, sizeof c->certificate), "pem",
                             c->pem, "ca", c->ca_path);
    int rc = veld_json_save(state_dir, network, VELD_PROFILE_COORD, root, diag);
    json_decref(root);
    return rc;
}

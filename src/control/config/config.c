#include "control/config/config.h"

#include "base/file.h"
#include "base/label.h"
#include "control/config/config_read.h"
#include "crypto/primitives.h"
#include "trust/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_PORT      51820
#define DEFAULT_INTERFACE "veld0"
#define DEFAULT_MTU       1420
#define SEE_EXAMPLE       "; veld-config(5) has an example"

static void set_defaults(struct veld_config *c)
{
    c->listen = (struct veld_endpoint){.ip.family = 6, .port = DEFAULT_PORT};
    strcpy(c->interface, DEFAULT_INTERFACE);
    veld_label_of_machine(c->name);
    c->mtu = DEFAULT_MTU;
    c->accept_routes = true;
    c->relay_rate_mbit = VELD_RELAY_RATE_MBIT;
    c->port_mapping = true;
    c->dns_mode = VELD_DNS_AUTO;
}

static int read_config(struct veld_config_reader *r, const struct veld_toml *root)
{
    int rc = veld_config_keys(r, root);
    if (rc < 0)
        return rc;
    if (r->config->network[0])
        return veld_config_check_network(r);
    if (r->config->n_addrs == 0 && !r->config->mdns) /* else it follows from the key */
        return veld_config_fail(r, 1, "vpn_ip",
                                "missing; give this machine's address inside the tunnel at the "
                                "top of the file, as in vpn_ip = \"10.0.0.1/24\"");
    for (size_t i = 0; i < r->config->n_peers; i++) {
        if (!r->peers[i].keepalive)
            r->config->peers[i].keepalive_s = r->keepalive_s;
    }
    return veld_config_check(r);
}

static int fail_syntax(const char *path, const struct veld_toml_error *e, int rc,
                       struct veld_diag *diag)
{
    if (rc != VELD_E_FORMAT)
        return veld_fail(diag, rc, "%s: %s", path, e->text);
    if (e->column == 0)
        return veld_fail(diag, VELD_E_CONFIG, "%s:%u: not valid TOML: %s" SEE_EXAMPLE, path,
                         e->line, e->text);
    return veld_fail(diag, VELD_E_CONFIG, "%s:%u:%u: not valid TOML: %s" SEE_EXAMPLE, path,
                     e->line, e->column, e->text);
}

int veld_config_for_network(const char *network, struct veld_config **out,
                            struct veld_diag *diag)
{
    if (!veld_label_is_valid(network))
        return veld_fail(diag, VELD_E_CONFIG,
                         "\"%s\" cannot name a network; use 1 to 63 of a-z, 0-9 and '-'",
                         veld_config_quote(network).text);
    struct veld_config *c = calloc(1, sizeof *c);
    size_t size = sizeof "network " + strlen(network);
    if (c) {
        set_defaults(c);
        c->aead = strdup("auto");
        c->path = malloc(size);
    }
    if (!c || !c->aead || !c->path) {
        veld_config_free(c);
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    }
    snprintf(c->path, size, "network %s", network);
    strcpy(c->network, network);
    *out = c;
    return 0;
}

int veld_config_parse(const char *path, const char *text, size_t len, struct veld_config **out,
                      struct veld_diag *diag)
{
    struct veld_toml *root;
    struct veld_toml_error error;
    int rc = veld_toml_parse(text, len, &root, &error);
    if (rc < 0)
        return fail_syntax(path, &error, rc, diag);

    struct veld_config_reader r = {.path = path, .diag = diag};
    r.config = calloc(1, sizeof *r.config);
    if (r.config) {
        set_defaults(r.config);
        char *absolute = realpath(path, NULL);
        r.config->path = absolute ? absolute : strdup(path);
        r.config->aead = strdup("auto");
    }
    if (!r.config || !r.config->path || !r.config->aead)
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    else
        rc = read_config(&r, root);
    free(r.peers);
    veld_toml_free(root);
    if (rc < 0) {
        veld_config_free(r.config);
        return rc;
    }
    *out = r.config;
    return 0;
}

int veld_config_load(const char *path, struct veld_config **out, struct veld_diag *diag)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return veld_fail(diag, VELD_E_CONFIG, "cannot open config file %s: %s", path,
                         strerror(errno));
    if (!S_ISREG(st.st_mode))
        return veld_fail(diag, VELD_E_CONFIG, "config file %s is not a regular file", path);
    if (st.st_size > VELD_CONFIG_FILE_MAX)
        return veld_fail(diag, VELD_E_CONFIG, "config file %s is longer than %u MiB", path,
                         VELD_CONFIG_FILE_MAX >> 20);
    size_t len,
        size = (size_t)st.st_size + 2; /* room for the NUL, and to see that it ends there */
    char *text = malloc(size);
    if (!text)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    int rc = veld_file_read(path, text, size, &len);
    if (rc < 0)
        rc =
            veld_fail(diag, VELD_E_CONFIG, "cannot read config file %s: %s", path,
                      rc == VELD_E_RANGE ? "it changed meanwhile; try again" : strerror(errno));
    else
        rc = veld_config_parse(path, text, len, out, diag);
    free(text);
    return rc;
}

void veld_config_free(struct veld_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_peers; i++) {
        free(c->peers[i].addrs);
        free(c->peers[i].routes);
    }
    free(c->peers);
    free(c->routes);
    for (size_t i = 0; i < c->n_stun_servers; i++)
        free(c->stun_servers[i]);
    free(c->identity_path);
    free(c->aead);
    free(c->path);
    veld_wipe(c->psk, sizeof c->psk);
    free(c);
}

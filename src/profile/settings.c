#include "profile/settings.h"

#include "base/label.h"
#include "profile/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void veld_settings_default(struct veld_settings *out)
{
    *out = (struct veld_settings){.accept_routes = true,
                                  .listen = {.ip.family = 6, .port = VELD_SETTINGS_PORT},
                                  .interface = VELD_SETTINGS_INTERFACE,
                                  .mtu = VELD_SETTINGS_MTU,
                                  .relay_rate_mbit = VELD_SETTINGS_RELAY_RATE,
                                  .port_mapping = true};
}

/* ---- As typed ---- */

static int read_route(const char *text, struct veld_prefix *out, struct veld_diag *diag)
{
    char masked_text[VELD_PREFIX_STRLEN];
    if (veld_prefix_parse(text, out) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "\"%.60s\" is not a network; write it as in 192.168.1.0/24 or "
                         "fd01::/64, and several with commas between",
                         text);
    if (!strchr(text, '/')) /* one address, or a network? */
        return veld_fail(diag, VELD_E_FORMAT,
                         "%.60s has no prefix length; write %.60s/%d for the network around it "
                         "(its other bits 0), or %.60s/%d for this one address",
                         text, text, out->ip.family == 4 ? 24 : 64, text, out->len);
    struct veld_prefix masked = *out;
    veld_prefix_mask(&masked);
    if (out->len < VELD_ROUTE_LENGTH_MIN)
        return veld_fail(diag, VELD_E_FORMAT,
                         "%s is a default route, or a large part of one, which Veld does not "
                         "take; name the networks that are meant (length %d at least)",
                         text, VELD_ROUTE_LENGTH_MIN);
    if (!veld_ip_equal(&masked.ip, &out->ip))
        return veld_fail(diag, VELD_E_FORMAT, "%s has bits set beyond its length; write %s",
                         text, veld_prefix_format(&masked, masked_text));
    if (!veld_route_is_valid(out))
        return veld_fail(
            diag, VELD_E_FORMAT,
            "%s is loopback, multicast, unspecified or IPv4-mapped; name the networks that are "
            "meant",
            text);
    return 0;
}

static int read_routes(char *text, struct veld_prefix out[VELD_MEMBER_ROUTES_MAX], size_t *n,
                       struct veld_diag *diag)
{
    char *save = NULL;
    for (char *one = strtok_r(text, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
        if (*n == VELD_MEMBER_ROUTES_MAX)
            return veld_fail(diag, VELD_E_FORMAT, "more than %d routes; name larger networks",
                             VELD_MEMBER_ROUTES_MAX);
        int rc = read_route(one, &out[*n], diag);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < *n; i++) {
            if (veld_prefix_overlaps(&out[i], &out[*n]))
                return veld_fail(diag, VELD_E_FORMAT,
                                 "%s overlaps a route before it; give each network once", one);
        }
        (*n)++;
    }
    return 0;
}

int veld_routes_parse(const char *text, struct veld_prefix out[VELD_MEMBER_ROUTES_MAX],
                      size_t *n, struct veld_diag *diag)
{
    *n = 0;
    if (strcmp(text, "none") == 0)
        return 0;
    char *copy = strdup(text);
    if (!copy)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    int rc = read_routes(copy, out, n, diag);
    free(copy);
    if (rc < 0)
        *n = 0;
    return rc;
}

int veld_settings_set_routes(struct veld_settings *s, const char *text, struct veld_diag *diag)
{
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n;
    int rc = veld_routes_parse(text, routes, &n, diag);
    if (rc < 0)
        return rc;
    memcpy(s->routes, routes, n * sizeof *routes);
    s->n_routes = n;
    return 0;
}

int veld_settings_set_listen(struct veld_settings *s, const char *text, struct veld_diag *diag)
{
    if (veld_endpoint_parse_listen(text, &s->listen) < 0)
        return veld_fail(
            diag, VELD_E_FORMAT,
            "\"%.80s\" is not an address to listen on; write an IP address of this machine and "
            "a port, as in [::]:51820 (IPv4 and IPv6) or 0.0.0.0:51820 (IPv4 only)",
            text);
    return 0;
}

int veld_settings_set_interface(struct veld_settings *s, const char *text,
                                struct veld_diag *diag)
{
    if (!veld_interface_name_is_valid(text))
        return veld_fail(diag, VELD_E_FORMAT,
                         "\"%.40s\" cannot name an interface; use 1 to %d letters, digits, "
                         "'.', '_' or '-', as in veld0",
                         text, IF_NAMESIZE - 1);
    strcpy(s->interface, text);
    return 0;
}

int veld_settings_set_mtu(struct veld_settings *s, long mtu, struct veld_diag *diag)
{
    if (mtu < VELD_SETTINGS_MTU_MIN || mtu > VELD_SETTINGS_MTU_LIMIT)
        return veld_fail(diag, VELD_E_FORMAT, "an MTU of %ld is out of range; use %d to %d",
                         mtu, VELD_SETTINGS_MTU_MIN, VELD_SETTINGS_MTU_LIMIT);
    s->mtu = (unsigned)mtu;
    return 0;
}

int veld_settings_set_relay_rate(struct veld_settings *s, long mbit, struct veld_diag *diag)
{
    if (mbit < 1 || mbit > VELD_SETTINGS_RELAY_RATE_MAX)
        return veld_fail(diag, VELD_E_FORMAT,
                         "a rate of %ld Mbit/s is out of range; use 1 to %d, or --relay no",
                         mbit, VELD_SETTINGS_RELAY_RATE_MAX);
    s->relay_rate_mbit = (unsigned)mbit;
    return 0;
}

/* ---- As a file ---- */

static int read_settings(const struct veld_json_source *s, json_t *root,
                         struct veld_settings *out, struct veld_diag *diag)
{
    json_error_t error;
    struct veld_diag why;
    json_t *routes;
    const char *listen, *interface;
    /* Older files say nothing of these. */
    int version, accept_routes, relay = 0, mdns = 0, port_mapping = 1;
    json_int_t mtu, rate = VELD_SETTINGS_RELAY_RATE;
    if (json_unpack_ex(root, &error, JSON_STRICT,
                       "{s:i, s:o, s:b, s:s, s:s, s:I, s?b, s?I, s?b, s?b}", "version",
                       &version, "routes", &routes, "accept_routes", &accept_routes, "listen",
                       &listen, "interface", &interface, "mtu", &mtu, "relay", &relay,
                       "relay_rate", &rate, "mdns", &mdns, "port_mapping", &port_mapping) < 0)
        return veld_json_fail(s, diag, "%s", error.text);
    if (!veld_json_prefixes(routes, out->routes, VELD_MEMBER_ROUTES_MAX, &out->n_routes))
        return veld_json_fail(s, diag, "\"routes\" are not networks");
    out->accept_routes = accept_routes;
    out->port_mapping = port_mapping;
    if (veld_settings_set_listen(out, listen, &why) < 0 ||
        veld_settings_set_interface(out, interface, &why) < 0)
        return veld_json_fail(s, diag, "%s", why.text);
    if (mtu < 0 || mtu > INT_MAX || veld_settings_set_mtu(out, (long)mtu, &why) < 0)
        return veld_json_fail(s, diag, "\"mtu\" is out of range");
    out->relay = relay;
    out->mdns = mdns;
    if (rate < 0 || rate > INT_MAX || veld_settings_set_relay_rate(out, (long)rate, &why) < 0)
        return veld_json_fail(s, diag, "\"relay_rate\" is out of range");
    return 0;
}

int veld_settings_parse(const char *path, const void *p, size_t len, struct veld_settings *out,
                        struct veld_diag *diag)
{
    const struct veld_json_source s = {path, "run veld up with its options again"};
    json_t *root;
    *out = (struct veld_settings){0};
    int rc = veld_json_parse(&s, p, len, &root, diag);
    if (rc < 0)
        return rc;
    rc = read_settings(&s, root, out, diag);
    json_decref(root);
    if (rc < 0)
        *out = (struct veld_settings){0};
    return rc;
}

int veld_settings_load(const char *state_dir, const char *network, struct veld_settings *out,
                       struct veld_diag *diag)
{
    char path[VELD_PROFILE_PATH_MAX];
    struct veld_blob text = {0};
    *out = (struct veld_settings){0};
    int rc = veld_profile_path(state_dir, network, VELD_PROFILE_SETTINGS, path, diag);
    if (rc == 0)
        rc = veld_profile_read(state_dir, network, VELD_PROFILE_SETTINGS, VELD_SETTINGS_MAX,
                               &text, diag);
    if (rc == VELD_E_NOENT) {
        veld_settings_default(out);
        return 0;
    }
    if (rc == 0)
        rc = veld_settings_parse(path, text.p, text.len, out, diag);
    veld_blob_clear(&text);
    return rc;
}

int veld_settings_save(const char *state_dir, const char *network,
                       const struct veld_settings *s, struct veld_diag *diag)
{
    char listen[VELD_ENDPOINT_STRLEN];
    json_t *root = json_pack(
        "{s:i, s:o, s:b, s:s, s:s, s:i, s:b, s:i, s:b, s:b}", "version", VELD_PROFILE_VERSION,
        "routes", veld_json_of_prefixes(s->routes, s->n_routes), "accept_routes",
        (int)s->accept_routes, "listen", veld_endpoint_format(&s->listen, listen), "interface",
        s->interface, "mtu", (int)s->mtu, "relay", (int)s->relay, "relay_rate",
        (int)s->relay_rate_mbit, "mdns", (int)s->mdns, "port_mapping", (int)s->port_mapping);
    int rc = veld_json_save(state_dir, network, VELD_PROFILE_SETTINGS, root, diag);
    json_decref(root);
    return rc;
}

#include "control/config/config_read.h"

#include "base/host_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_loopback(const struct veld_ip *ip)
{
    static const struct veld_ip v6 = {.family = 6, .b = {[15] = 1}};
    return ip->family == 4 ? ip->b[0] == 127 : veld_ip_equal(ip, &v6);
}

static bool is_link_local(const struct veld_ip *ip)
{
    return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

int veld_config_endpoint(struct veld_config_reader *r, const char *key,
                         const struct veld_toml *v, struct veld_endpoint *out)
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    struct veld_endpoint e;
    if (veld_endpoint_parse(text, &e) < 0)
        return veld_config_fail(
            r, v->line, key,
            "\"%s\" is not an IP address and a port; write it as in \"192.0.2.1:51820\" or "
            "\"[2001:db8::1]:51820\" (names are not looked up)",
            veld_config_quote(text).text);
    /* Loopback is fine here: a forwarder on this machine may listen there. */
    if (!is_loopback(&e.ip) && !veld_ip_is_unicast(&e.ip))
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is no machine's address (unspecified, multicast or "
                                "broadcast); give the address where the peer listens",
                                veld_config_quote(text).text);
    if (is_link_local(&e.ip) && e.scope == 0)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is a link-local address; say on which interface, as in "
                                "\"[fe80::1%%eth0]:51820\"",
                                veld_config_quote(text).text);
    *out = e;
    return 0;
}

int veld_config_listen(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                       struct veld_endpoint *out)
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    if (veld_endpoint_parse_listen(text, out) < 0)
        return veld_config_fail(
            r, v->line, key,
            "\"%s\" is not an address to listen on; write an IP address of this machine and a "
            "port, as in \"[::]:51820\" (IPv4 and IPv6) or \"0.0.0.0:51820\" (IPv4 only)",
            veld_config_quote(text).text);
    return 0;
}

/* A string stands for an array of one. Returns the items, checked to be strings; NULL with `rc` set. */
static const struct veld_toml *items(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, size_t max, size_t *n, int *rc)
{
    const struct veld_toml *first = v;
    *n = 1;
    if (v->type == VELD_TOML_ARRAY) {
        first = v->item;
        *n = v->n;
    } else if (v->type != VELD_TOML_STRING) {
        *rc = veld_config_wrong_type(r, key, v, "a string or an array of strings");
        return NULL;
    }
    if (*n == 0 || *n > max) {
        *rc = veld_config_fail(r, v->line, key, "has %zu entries; give 1 to %zu%s", *n, max,
                               *n == 0 ? ", or leave the key out" : "");
        return NULL;
    }
    for (size_t i = 0; i < *n; i++) {
        const char *text;
        *rc = veld_config_string(r, key, &first[i], &text);
        if (*rc < 0)
            return NULL;
    }
    return first;
}

unsigned veld_config_item_line(const struct veld_toml *v, size_t i)
{
    return v->type == VELD_TOML_ARRAY ? v->item[i].line : v->line;
}

/* An address a machine can have inside the tunnel. */
static int read_addr(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                     struct veld_prefix *out)
{
    struct veld_prefix p;
    if (veld_prefix_parse(v->text, &p) < 0)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is not an IP address; write it as in \"10.0.0.1/24\" "
                                "or \"fd00::1/64\"",
                                veld_config_quote(v->text).text);
    if (!veld_ip_is_unicast(&p.ip))
        return veld_config_fail(
            r, v->line, key,
            "\"%s\" is loopback, multicast or unspecified; choose a private "
            "address, as in \"10.0.0.1/24\"",
            veld_config_quote(v->text).text);
    *out = p;
    return 0;
}

/* The network's own address or its broadcast address; a network of two or one has neither. */
static bool is_reserved_host(const struct veld_prefix *p)
{
    if (p->len + 1u >= veld_ip_bits(&p->ip))
        return false;
    struct veld_prefix low = *p;
    veld_prefix_mask(&low);
    if (veld_ip_equal(&low.ip, &p->ip))
        return true;
    if (p->ip.family != 4)
        return false;
    struct veld_ip high = low.ip;
    for (unsigned bit = p->len; bit < 32; bit++)
        high.b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
    return veld_ip_equal(&high, &p->ip);
}

int veld_config_own_addrs(struct veld_config_reader *r, const char *key,
                          const struct veld_toml *v,
                          struct veld_prefix out[VELD_CONFIG_ADDRS_MAX], size_t *n)
{
    int rc = 0;
    size_t count;
    const struct veld_toml *item = items(r, key, v, VELD_CONFIG_ADDRS_MAX, &count, &rc);
    if (!item)
        return rc;
    struct veld_prefix addrs[VELD_CONFIG_ADDRS_MAX];
    for (size_t i = 0; i < count; i++) {
        rc = read_addr(r, key, &item[i], &addrs[i]);
        if (rc < 0)
            return rc;
        if (addrs[i].len == 0)
            return veld_config_fail(r, item[i].line, key,
                                    "a network of length 0 is the whole Internet; give your "
                                    "network's length, as in \"10.0.0.1/24\"");
        if (is_reserved_host(&addrs[i]))
            return veld_config_fail(r, item[i].line, key,
                                    "\"%s\" is the network itself or its broadcast address; "
                                    "choose a machine's address in it",
                                    veld_config_quote(item[i].text).text);
    }
    memcpy(out, addrs, count * sizeof *addrs);
    *n = count;
    return 0;
}

int veld_config_addrs(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                      struct veld_ip **out, size_t *n)
{
    int rc = 0;
    size_t count;
    const struct veld_toml *item = items(r, key, v, VELD_CONFIG_ADDRS_MAX, &count, &rc);
    if (!item)
        return rc;
    struct veld_ip addrs[VELD_CONFIG_ADDRS_MAX];
    for (size_t i = 0; i < count; i++) {
        struct veld_prefix p;
        rc = read_addr(r, key, &item[i], &p);
        if (rc < 0)
            return rc;
        if (p.len != veld_ip_bits(&p.ip))
            return veld_config_fail(r, item[i].line, key,
                                    "\"%s\" is a network; give the peer's address alone (a "
                                    "network behind it goes in routes)",
                                    veld_config_quote(item[i].text).text);
        addrs[i] = p.ip;
    }
    *out = malloc(count * sizeof *addrs);
    if (!*out)
        return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
    memcpy(*out, addrs, count * sizeof *addrs);
    *n = count;
    return 0;
}

static int read_route(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                      struct veld_prefix *out)
{
    struct veld_config_quote quote = veld_config_quote(v->text);
    struct veld_prefix p;
    if (veld_prefix_parse(v->text, &p) < 0)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is not a network; write it as in \"192.168.1.0/24\" or "
                                "\"fd01::/64\"",
                                quote.text);
    struct veld_prefix masked = p;
    veld_prefix_mask(&masked);
    if (p.len == 0)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is a default route, which Veld does not take; name the "
                                "networks that are meant",
                                quote.text);
    if (!veld_ip_equal(&masked.ip, &p.ip)) {
        char text[VELD_PREFIX_STRLEN];
        return veld_config_fail(r, v->line, key,
                                "\"%s\" has bits set beyond its length; write \"%s\"",
                                quote.text, veld_prefix_format(&masked, text));
    }
    if (!veld_ip_is_unicast(&p.ip))
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is loopback, multicast or unspecified; name the "
                                "networks that are meant",
                                quote.text);
    *out = p;
    return 0;
}

int veld_config_routes(struct veld_config_reader *r, const char *key, const struct veld_toml *v,
                       struct veld_prefix **out, size_t *n)
{
    if (v->type == VELD_TOML_ARRAY && v->n == 0)
        return 0; /* routes = []: none */
    int rc = 0;
    size_t count;
    const struct veld_toml *item = items(r, key, v, VELD_CONFIG_ROUTES_MAX, &count, &rc);
    if (!item)
        return rc;
    struct veld_prefix *routes = malloc(count * sizeof *routes);
    if (!routes)
        return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        rc = read_route(r, key, &item[i], &routes[i]);
        if (rc < 0) {
            free(routes);
            return rc;
        }
    }
    *out = routes;
    *n = count;
    return 0;
}

int veld_config_servers(struct veld_config_reader *r, const char *key,
                        const struct veld_toml *v, char *out[VELD_CONFIG_STUN_MAX], size_t *n)
{
    int rc = 0;
    size_t count;
    const struct veld_toml *item = items(r, key, v, VELD_CONFIG_STUN_MAX, &count, &rc);
    if (!item)
        return rc;
    for (size_t i = 0; i < count; i++) {
        char text[VELD_HOST_PORT_STRLEN];
        if (veld_host_port_parse(item[i].text, 0, text) < 0)
            return veld_config_fail(r, item[i].line, key,
                                    "\"%s\" is no server; write its name or address and its "
                                    "port, as in \"stun.example.net:3478\"",
                                    veld_config_quote(item[i].text).text);
        if (!(out[i] = strdup(text)))
            return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
        *n = i + 1;
    }
    return 0;
}

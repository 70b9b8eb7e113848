#include "control/config/config_read.h"

#include "base/bytes.h"
#include "base/label.h"
#include "base/nearest.h"
#include "crypto/aead.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"
#include "dataplane/dataplane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 24 /* of one table */

typedef int read_fn(struct veld_config_reader *r, const char *key, const struct veld_toml *v);

struct key {
    const char *name;  /* in its table */
    const char *label; /* in messages */
    read_fn *read;
};

struct table {
    const char *heading; /* for messages */
    const struct key *keys;
    size_t n;
};

/* ---- The top of the file ---- */

static int read_listen(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    r->own.endpoint = v;
    r->config->given |= VELD_CONFIG_LISTEN;
    return veld_config_listen(r, key, v, &r->config->listen);
}

static int read_own_addrs(struct veld_config_reader *r, const char *key,
                          const struct veld_toml *v)
{
    r->own.vpn_ip = v;
    return veld_config_own_addrs(r, key, v, r->config->addrs, &r->config->n_addrs);
}

static int read_own_name(struct veld_config_reader *r, const char *key,
                         const struct veld_toml *v)
{
    r->own.name = v;
    return veld_config_name(r, key, v, r->config->name);
}

static int read_own_routes(struct veld_config_reader *r, const char *key,
                           const struct veld_toml *v)
{
    r->own.routes = v;
    r->config->given |= VELD_CONFIG_ROUTES;
    return veld_config_routes(r, key, v, &r->config->routes, &r->config->n_routes);
}

static int read_accept_routes(struct veld_config_reader *r, const char *key,
                              const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_ACCEPT_ROUTES;
    return veld_config_bool(r, key, v, &r->config->accept_routes);
}

static int read_relay(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_RELAY;
    return veld_config_bool(r, key, v, &r->config->relay);
}

static int read_relay_rate(struct veld_config_reader *r, const char *key,
                           const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_RELAY_RATE;
    return veld_config_number(r, key, v, 1, VELD_RELAY_RATE_MBIT_MAX,
                              &r->config->relay_rate_mbit);
}

static int read_identity(struct veld_config_reader *r, const char *key,
                         const struct veld_toml *v)
{
    return veld_config_path(r, key, v, &r->config->identity_path);
}

static int read_secret_file(struct veld_config_reader *r, const char *key,
                            const struct veld_toml *v)
{
    r->own.secret = v;
    int rc = veld_config_secret(r, key, v, r->config->psk);
    r->config->has_psk = rc == 0;
    return rc;
}

static int read_mtu(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_MTU;
    return veld_config_number(r, key, v, VELD_MTU_MIN, VELD_MTU_MAX, &r->config->mtu);
}

static int read_workers(struct veld_config_reader *r, const char *key,
                        const struct veld_toml *v)
{
    return veld_config_number(r, key, v, 0, VELD_WORKERS_MAX, &r->config->workers);
}

static int read_keepalive(struct veld_config_reader *r, const char *key,
                          const struct veld_toml *v)
{
    unsigned seconds;
    r->own.keepalive = v;
    int rc = veld_config_number(r, key, v, 0, UINT16_MAX, &seconds);
    if (rc == 0)
        r->keepalive_s = (uint16_t)seconds;
    return rc;
}

static int read_interface(struct veld_config_reader *r, const char *key,
                          const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_INTERFACE;
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    if (!veld_interface_name_is_valid(text))
        return veld_config_fail(r, v->line, key,
                                "\"%s\" cannot name an interface; use 1 to %d letters, digits, "
                                "'.', '_' or '-', as in \"veld0\"",
                                veld_config_quote(text).text, IF_NAMESIZE - 1);
    strcpy(r->config->interface, text);
    return 0;
}

static int read_stun_servers(struct veld_config_reader *r, const char *key,
                             const struct veld_toml *v)
{
    return veld_config_servers(r, key, v, r->config->stun_servers, &r->config->n_stun_servers);
}

static int read_port_mapping(struct veld_config_reader *r, const char *key,
                             const struct veld_toml *v)
{
    const char *text;
    r->config->given |= VELD_CONFIG_PORT_MAPPING;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    r->config->port_mapping = strcmp(text, "auto") == 0;
    if (r->config->port_mapping || strcmp(text, "off") == 0)
        return 0;
    return veld_config_fail(r, v->line, key, "\"%s\" is not known; use \"auto\" or \"off\"",
                            veld_config_quote(text).text);
}

static int read_aead(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    char known[128] = "\"auto\"";
    bool found = strcmp(text, "auto") == 0;
    for (const struct veld_aead_backend *const *b = veld_aead_backends(); *b && !found; b++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", \"%s\"", (*b)->name);
        found = strcmp(text, (*b)->name) == 0;
    }
    if (!found)
        return veld_config_fail(r, v->line, key, "\"%s\" is not known; use one of %s",
                                veld_config_quote(text).text, known);
    free(r->config->aead);
    r->config->aead = strdup(text);
    return r->config->aead ? 0 : veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
}

static int read_engine(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0 || veld_dataplane_engine_parse(text, &r->config->engine) == 0)
        return rc;
    return veld_config_fail(r, v->line, key,
                            "\"%s\" is not known; use \"auto\", \"io_uring\" or \"poll\"",
                            veld_config_quote(text).text);
}

static read_fn read_dns, read_mdns, read_coord, read_peers;

static const struct key top_keys[] = {
    {"listen_addr", "listen_addr", read_listen},
    {"vpn_ip", "vpn_ip", read_own_addrs},
    {"name", "name", read_own_name},
    {"identity", "identity", read_identity},
    {"network_secret_file", "network_secret_file", read_secret_file},
    {"interface", "interface", read_interface},
    {"mtu", "mtu", read_mtu},
    {"workers", "workers", read_workers},
    {"routes", "routes", read_own_routes},
    {"accept_routes", "accept_routes", read_accept_routes},
    {"keepalive", "keepalive", read_keepalive},
    {"relay", "relay", read_relay},
    {"relay_rate", "relay_rate", read_relay_rate},
    {"stun_servers", "stun_servers", read_stun_servers},
    {"port_mapping", "port_mapping", read_port_mapping},
    {"engine", "engine", read_engine},
    {"aead", "aead", read_aead},
    {"dns", "dns", read_dns},
    {"mdns", "mdns", read_mdns},
    {"coord", "coord", read_coord},
    {"peers", "peers", read_peers},
};

/* ---- [dns] ---- */

static int read_dns_mode(struct veld_config_reader *r, const char *key,
                         const struct veld_toml *v)
{
    static const char *const modes[] = {[VELD_DNS_AUTO] = "auto",
                                        [VELD_DNS_RESOLVED] = "resolved",
                                        [VELD_DNS_RESOLVCONF] = "resolvconf",
                                        [VELD_DNS_FILE] = "file",
                                        [VELD_DNS_OFF] = "off"};
    const char *text;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < VELD_ARRAY_LEN(modes); i++) {
        if (strcmp(text, modes[i]) == 0) {
            r->config->dns_mode = (enum veld_dns_mode)i;
            return 0;
        }
    }
    return veld_config_fail(r, v->line, key,
                            "\"%s\" is not known; use \"auto\", \"resolved\", \"resolvconf\", "
                            "\"file\" or \"off\"",
                            veld_config_quote(text).text);
}

static const struct key dns_keys[] = {{"mode", "dns.mode", read_dns_mode}};

/* ---- [mdns] ---- */

static int read_mdns_enabled(struct veld_config_reader *r, const char *key,
                             const struct veld_toml *v)
{
    r->config->given |= VELD_CONFIG_MDNS;
    return veld_config_bool(r, key, v, &r->config->mdns);
}

static const struct key mdns_keys[] = {{"enabled", "mdns.enabled", read_mdns_enabled}};

/* ---- [coord] ---- */

static int read_network(struct veld_config_reader *r, const char *key,
                        const struct veld_toml *v)
{
    r->own.network = v;
    return veld_config_name(r, key, v, r->config->network);
}

static const struct key coord_keys[] = {{"network", "coord.network", read_network}};

/* ---- [[peers]] ---- */

static int read_peer_name(struct veld_config_reader *r, const char *key,
                          const struct veld_toml *v)
{
    r->source->name = v;
    return veld_config_name(r, key, v, r->peer->name);
}

static int read_peer_pubkey(struct veld_config_reader *r, const char *key,
                            const struct veld_toml *v)
{
    const char *text;
    r->source->pubkey = v;
    r->peer->pub_line = v->line;
    int rc = veld_config_string(r, key, v, &text);
    if (rc < 0)
        return rc;
    rc = r->config->n_peers <= VELD_CONFIG_PROVED_MAX
             ? veld_pubkey_parse(text, r->peer->pub)
             : veld_base64_decode(r->peer->pub, sizeof r->peer->pub, text, strlen(text));
    if (rc == VELD_E_KEY)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is no usable Ed25519 public key; copy what `veld "
                                "pubkey` prints on the peer",
                                veld_config_quote(text).text);
    if (rc < 0)
        return veld_config_fail(r, v->line, key,
                                "\"%s\" is not 32 bytes in base64; copy the 44 characters that "
                                "`veld pubkey` prints on the peer",
                                veld_config_quote(text).text);
    return 0;
}

static int read_peer_endpoint(struct veld_config_reader *r, const char *key,
                              const struct veld_toml *v)
{
    r->source->endpoint = v;
    return veld_config_endpoint(r, key, v, &r->peer->endpoint);
}

static int read_peer_addrs(struct veld_config_reader *r, const char *key,
                           const struct veld_toml *v)
{
    r->source->vpn_ip = v;
    return veld_config_addrs(r, key, v, &r->peer->addrs, &r->peer->n_addrs);
}

static int read_peer_routes(struct veld_config_reader *r, const char *key,
                            const struct veld_toml *v)
{
    r->source->routes = v;
    return veld_config_routes(r, key, v, &r->peer->routes, &r->peer->n_routes);
}

static int read_peer_relay(struct veld_config_reader *r, const char *key,
                           const struct veld_toml *v)
{
    return veld_config_bool(r, key, v, &r->peer->relay);
}

static int read_peer_keepalive(struct veld_config_reader *r, const char *key,
                               const struct veld_toml *v)
{
    unsigned seconds;
    r->source->keepalive = v;
    int rc = veld_config_number(r, key, v, 0, UINT16_MAX, &seconds);
    if (rc == 0)
        r->peer->keepalive_s = (uint16_t)seconds;
    return rc;
}

static const struct key peer_keys[] = {
    {"name", "peers.name", read_peer_name},
    {"pubkey", "peers.pubkey", read_peer_pubkey},
    {"endpoint", "peers.endpoint", read_peer_endpoint},
    {"vpn_ip", "peers.vpn_ip", read_peer_addrs},
    {"routes", "peers.routes", read_peer_routes},
    {"keepalive", "peers.keepalive", read_peer_keepalive},
    {"relay", "peers.relay", read_peer_relay},
};

/* ---- Tables ---- */

static const struct table top_table = {"the top of the file", top_keys,
                                       VELD_ARRAY_LEN(top_keys)};
static const struct table dns_table = {"[dns]", dns_keys, VELD_ARRAY_LEN(dns_keys)};
static const struct table mdns_table = {"[mdns]", mdns_keys, VELD_ARRAY_LEN(mdns_keys)};
static const struct table coord_table = {"[coord]", coord_keys, VELD_ARRAY_LEN(coord_keys)};
static const struct table peer_table = {"[[peers]]", peer_keys, VELD_ARRAY_LEN(peer_keys)};

static const struct key *find_key(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->keys[i].name, name) == 0)
            return &t->keys[i];
    }
    return NULL;
}

/* What was meant: a key of another table in the wrong place, or a slip of the finger. */
static int fail_unknown(struct veld_config_reader *r, const struct table *t,
                        const struct veld_toml *v)
{
    static const struct table *const tables[] = {&top_table, &dns_table, &mdns_table,
                                                 &coord_table, &peer_table};
    struct veld_config_quote key = veld_config_quote(v->key);
    const char *names[KEYS_MAX];
    for (size_t i = 0; i < t->n; i++)
        names[i] = t->keys[i].name;
    const char *nearest = veld_nearest(v->key, names, t->n);
    if (nearest)
        return veld_config_fail(r, v->line, key.text, "unknown key in %s; did you mean \"%s\"?",
                                t->heading, nearest);
    for (size_t i = 0; i < VELD_ARRAY_LEN(tables); i++) {
        if (tables[i] != t && find_key(tables[i], v->key))
            return veld_config_fail(
                r, v->line, key.text, "unknown key in %s; it belongs in %s%s", t->heading,
                tables[i]->heading,
                tables[i] == &top_table ? ", before the first [table]" : "");
    }
    char list[512] = "";
    for (size_t i = 0; i < t->n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    return veld_config_fail(r, v->line, key.text, "unknown key in %s; the keys there are %s",
                            t->heading, list);
}

static int read_table(struct veld_config_reader *r, const struct table *t,
                      const struct veld_toml *table)
{
    _Static_assert(VELD_ARRAY_LEN(top_keys) <= KEYS_MAX, "names[] of fail_unknown");
    for (size_t i = 0; i < table->n; i++) {
        const struct key *key = find_key(t, table->item[i].key);
        int rc = key ? key->read(r, key->label, &table->item[i])
                     : fail_unknown(r, t, &table->item[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_dns(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    if (v->type != VELD_TOML_TABLE)
        return veld_config_wrong_type(r, key, v, "a table: [dns], then mode = \"auto\"");
    return read_table(r, &dns_table, v);
}

static int read_mdns(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    if (v->type != VELD_TOML_TABLE)
        return veld_config_wrong_type(r, key, v, "a table: [mdns], then enabled = true");
    return read_table(r, &mdns_table, v);
}

static int read_coord(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    if (v->type != VELD_TOML_TABLE)
        return veld_config_wrong_type(r, key, v, "a table: [coord], then network = \"mynet\"");
    int rc = read_table(r, &coord_table, v);
    if (rc == 0 && !r->own.network)
        return veld_config_fail(
            r, v->line, "coord.network",
            "missing in [coord]; name the network that this machine joined, "
            "as in network = \"mynet\"");
    return rc;
}

static int read_peer(struct veld_config_reader *r, const struct veld_toml *table)
{
    r->source->table = table;
    r->peer->line = table->line;
    int rc = read_table(r, &peer_table, table);
    if (rc < 0)
        return rc;
    if (!r->source->pubkey)
        return veld_config_fail(r, table->line, "peers.pubkey",
                                "missing in this [[peers]]; give what `veld pubkey` prints on "
                                "the peer");
    if (!r->source->vpn_ip)
        return veld_config_fail(r, table->line, "peers.vpn_ip",
                                "missing in this [[peers]]; give the peer's address inside the "
                                "tunnel, as in \"10.0.0.2\"");
    return 0;
}

static int read_peers(struct veld_config_reader *r, const char *key, const struct veld_toml *v)
{
    if (v->type != VELD_TOML_ARRAY)
        return veld_config_wrong_type(r, key, v, "an array of tables: write [[peers]]");
    if (v->n == 0)
        return 0;
    r->own.peers = v;
    if (v->n > VELD_PEERS_MAX)
        return veld_config_fail(r, v->line, key, "%zu peers are too many; at most %u", v->n,
                                VELD_PEERS_MAX);
    r->config->peers = calloc(v->n, sizeof *r->config->peers);
    r->peers = calloc(v->n, sizeof *r->peers);
    if (!r->config->peers || !r->peers)
        return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
    r->config->n_peers = v->n;
    for (size_t i = 0; i < v->n; i++) {
        if (v->item[i].type != VELD_TOML_TABLE)
            return veld_config_wrong_type(r, key, &v->item[i], "a table: write [[peers]]");
        r->peer = &r->config->peers[i];
        r->source = &r->peers[i];
        int rc = read_peer(r, &v->item[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int veld_config_keys(struct veld_config_reader *r, const struct veld_toml *root)
{
    return read_table(r, &top_table, root);
}

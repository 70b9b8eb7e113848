#include "control/config/config_read.h"

#include "base/bytes.h"
#include "crypto/primitives.h"
#include "trust/trust.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define THIS_MACHINE SIZE_MAX /* instead of a peer's number */

/* One prefix that somebody says is theirs. */
struct claim {
    struct veld_prefix prefix;
    size_t owner;
    unsigned line;
};

/* "this machine" or the peer's name, for a sentence. */
static const char *owner_name(const struct veld_config_reader *r, size_t owner)
{
    if (owner == THIS_MACHINE)
        return "this machine";
    const char *name = r->config->peers[owner].name;
    return name[0] ? name : "a peer without a name";
}

/* ---- Names ---- */

static int check_names(struct veld_config_reader *r)
{
    const struct veld_config *c = r->config;
    int rc = 0;
    GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < c->n_peers && rc == 0; i++) {
        const char *name = c->peers[i].name;
        if (!name[0])
            continue;
        unsigned line = r->peers[i].name->line;
        gpointer other;
        if (strcmp(name, c->name) == 0)
            rc = veld_config_fail(
                r, line, "peers.name",
                "\"%s\" is this machine's own name%s; give one of them another", name,
                r->own.name ? "" : " (from its host name: set name = ...)");
        else if (g_hash_table_lookup_extended(seen, name, NULL, &other))
            rc = veld_config_fail(r, line, "peers.name",
                                  "\"%s\" is also the name in line %u; give each peer its own",
                                  name, GPOINTER_TO_UINT(other));
        else
            g_hash_table_insert(seen, (gpointer)(uintptr_t)name, GUINT_TO_POINTER(line));
    }
    g_hash_table_destroy(seen);
    return rc;
}

/* ---- Keys ---- */

static guint key_hash(gconstpointer p)
{
    guint h;
    memcpy(&h, p, sizeof h); /* a public key is as good as random */
    return h;
}

static gboolean key_equal(gconstpointer pa, gconstpointer pb)
{
    return veld_ed25519_same_but_for_sign(pa, pb);
}

static int check_keys(struct veld_config_reader *r)
{
    const struct veld_config *c = r->config;
    int rc = 0;
    GHashTable *seen = g_hash_table_new(key_hash, key_equal);
    for (size_t i = 0; i < c->n_peers && rc == 0; i++) {
        gpointer pub = c->peers[i].pub, first, line;
        unsigned own_line = r->peers[i].pubkey->line;
        if (!g_hash_table_lookup_extended(seen, pub, &first, &line)) {
            g_hash_table_insert(seen, pub, GUINT_TO_POINTER(own_line));
            continue;
        }
        bool same = memcmp(pub, first, sizeof c->peers[i].pub) == 0;
        rc = veld_config_fail(
            r, own_line, "peers.pubkey",
            "is %s of the peer in line %u; every machine has a key of its own",
            same ? "also the key" : "the sign twin of the key", GPOINTER_TO_UINT(line));
    }
    g_hash_table_destroy(seen);
    return rc;
}

/* ---- Endpoints ---- */

static bool is_unspecified(const struct veld_ip *ip)
{
    static const uint8_t zero[16];
    return memcmp(ip->b, zero, sizeof zero) == 0;
}

static int check_endpoint(struct veld_config_reader *r, size_t i)
{
    const struct veld_config *c = r->config;
    const struct veld_endpoint *e = &c->peers[i].endpoint;
    if (e->ip.family == 0)
        return 0;
    unsigned line = r->peers[i].endpoint->line;
    bool both = c->listen.ip.family == 6 && is_unspecified(&c->listen.ip);
    if (!both && e->ip.family != c->listen.ip.family)
        return veld_config_fail(r, line, "peers.endpoint",
                                "is IPv%d, but listen_addr is IPv%d only; listen_addr = "
                                "\"[::]:%u\" serves both",
                                e->ip.family, c->listen.ip.family, c->listen.port);
    for (size_t k = 0; k < c->n_addrs; k++) {
        char net[VELD_PREFIX_STRLEN];
        if (veld_prefix_contains(&c->addrs[k], &e->ip))
            return veld_config_fail(r, line, "peers.endpoint",
                                    "is inside the tunnel (vpn_ip = \"%s\"); give the peer's "
                                    "address on the outer network",
                                    veld_prefix_format(&c->addrs[k], net));
    }
    return 0;
}

static int check_endpoints(struct veld_config_reader *r)
{
    int rc = 0;
    for (size_t i = 0; i < r->config->n_peers && rc == 0; i++)
        rc = check_endpoint(r, i);
    return rc;
}

/* ---- Addresses and routes: every prefix belongs to one machine ---- */

struct claims {
    struct veld_config_reader *r;
    struct claim *list; /* room for all */
    size_t n;
    GHashTable *by_prefix; /* of the list's entries */
};

static guint prefix_hash(gconstpointer p)
{
    const struct veld_prefix *prefix = &((const struct claim *)p)->prefix;
    guint h = 2166136261u ^ prefix->len; /* FNV-1a; the file is its reader's own */
    for (size_t i = 0; i < sizeof prefix->ip.b; i++)
        h = (h ^ prefix->ip.b[i]) * 16777619u;
    return h;
}

static gboolean prefix_equal(gconstpointer pa, gconstpointer pb)
{
    const struct claim *a = pa, *b = pb;
    return a->prefix.len == b->prefix.len && veld_ip_equal(&a->prefix.ip, &b->prefix.ip);
}

static int claim(struct claims *cl, const char *key, size_t owner, unsigned line,
                 const struct veld_prefix *prefix)
{
    struct claim *mine = &cl->list[cl->n++];
    *mine = (struct claim){.prefix = *prefix, .owner = owner, .line = line};
    const struct claim *theirs = g_hash_table_lookup(cl->by_prefix, mine);
    if (!theirs) {
        g_hash_table_add(cl->by_prefix, mine);
        return 0;
    }
    char text[VELD_PREFIX_STRLEN];
    veld_prefix_format(prefix, text);
    if (prefix->len == veld_ip_bits(&prefix->ip))
        *strchr(text, '/') = '\0';
    if (theirs->owner == owner)
        return veld_config_fail(cl->r, line, key,
                                "%s is there already, in line %u; give it once", text,
                                theirs->line);
    return veld_config_fail(cl->r, line, key,
                            "%s overlaps the same in line %u, of %s; it can belong to one "
                            "machine only",
                            text, theirs->line, owner_name(cl->r, theirs->owner));
}

/* A route that holds the tunnel's own network would take the tunnel's traffic to itself. */
static int check_covers(struct veld_config_reader *r, const char *key, unsigned line,
                        const struct veld_prefix *route)
{
    const struct veld_config *c = r->config;
    for (size_t i = 0; i < c->n_addrs; i++) {
        const struct veld_prefix *own = &c->addrs[i];
        char a[VELD_PREFIX_STRLEN], b[VELD_PREFIX_STRLEN];
        bool network = own->len < veld_ip_bits(&own->ip);
        if (network && route->len <= own->len && veld_prefix_contains(route, &own->ip))
            return veld_config_fail(
                r, line, key,
                "%s covers the tunnel's own network (vpn_ip = \"%s\"); name "
                "smaller networks beside it",
                veld_prefix_format(route, a), veld_prefix_format(own, b));
    }
    return 0;
}

static int claim_routes(struct claims *cl, const char *key, size_t owner,
                        const struct veld_toml *source, const struct veld_prefix *routes,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned line = veld_config_item_line(source, i);
        int rc = check_covers(cl->r, key, line, &routes[i]);
        if (rc == 0)
            rc = claim(cl, key, owner, line, &routes[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int claim_own(struct claims *cl)
{
    struct veld_config_reader *r = cl->r;
    const struct veld_config *c = r->config;
    for (size_t i = 0; i < c->n_addrs; i++) {
        struct veld_prefix host = veld_prefix_host(&c->addrs[i].ip);
        int rc =
            claim(cl, "vpn_ip", THIS_MACHINE, veld_config_item_line(r->own.vpn_ip, i), &host);
        if (rc < 0)
            return rc;
    }
    return claim_routes(cl, "routes", THIS_MACHINE, r->own.routes, c->routes, c->n_routes);
}

static int claim_peer(struct claims *cl, size_t i)
{
    struct veld_config_reader *r = cl->r;
    const struct veld_config_peer *p = &r->config->peers[i];
    for (size_t k = 0; k < p->n_addrs; k++) {
        struct veld_prefix host = veld_prefix_host(&p->addrs[k]);
        int rc =
            claim(cl, "peers.vpn_ip", i, veld_config_item_line(r->peers[i].vpn_ip, k), &host);
        if (rc < 0)
            return rc;
    }
    return claim_routes(cl, "peers.routes", i, r->peers[i].routes, p->routes, p->n_routes);
}

static int check_prefixes(struct veld_config_reader *r)
{
    const struct veld_config *c = r->config;
    size_t room = c->n_addrs + c->n_routes;
    for (size_t i = 0; i < c->n_peers; i++)
        room += c->peers[i].n_addrs + c->peers[i].n_routes;
    struct claims cl = {.r = r, .list = calloc(room, sizeof *cl.list)};
    if (!cl.list)
        return veld_fail(r->diag, VELD_E_NOMEM, "out of memory");
    cl.by_prefix = g_hash_table_new(prefix_hash, prefix_equal);
    int rc = claim_own(&cl);
    for (size_t i = 0; i < c->n_peers && rc == 0; i++)
        rc = claim_peer(&cl, i);
    g_hash_table_destroy(cl.by_prefix);
    free(cl.list);
    return rc;
}

int veld_config_check(struct veld_config_reader *r)
{
    int rc = check_names(r);
    if (rc == 0)
        rc = check_keys(r);
    if (rc == 0)
        rc = check_endpoints(r);
    if (rc == 0)
        rc = check_prefixes(r);
    return rc;
}

/* ---- With [coord] ---- */

int veld_config_check_network(struct veld_config_reader *r)
{
    const struct {
        const struct veld_toml *value;
        const char *key, *why;
    } beside[] = {
        {r->own.vpn_ip, "vpn_ip", "this machine's address is the one that the network leases"},
        {r->own.peers, "peers", "the network's members are the peers"},
        {r->own.secret, "network_secret_file", "the network's memberships take its place"},
        {r->own.name, "name", "this machine's name is the one in its membership"},
        {r->own.keepalive, "keepalive", "it is for peers of the file, and there are none"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(beside); i++) {
        if (beside[i].value)
            return veld_config_fail(
                r, beside[i].value->line, beside[i].key,
                "does not go together with [coord]: %s; remove it, or [coord]", beside[i].why);
    }
    if (r->config->n_routes > VELD_MEMBER_ROUTES_MAX)
        return veld_config_fail(r, r->own.routes->line, "routes",
                                "%zu routes are too many; a member offers at most %d",
                                r->config->n_routes, VELD_MEMBER_ROUTES_MAX);
    return 0;
}

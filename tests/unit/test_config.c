#include "control/config/config.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 65536

static void init(void)
{
    cr_assert_eq(veld_crypto_init(), 0);
}

TestSuite(config, .init = init);

static void make_key(uint32_t n, uint8_t pub[32])
{
    uint8_t seed[32] = {0};
    veld_store_le32(seed, n + 1);
    veld_ed25519_keypair(seed, pub);
}

/* "$A".."$Z" become public keys, "$a" the sign twin of "$A". Static buffer. */
static const char *with_keys(const char *template)
{
    static char text[TEXT_MAX];
    size_t n = 0;
    for (const char *p = template; *p; p++) {
        cr_assert_lt(n + VELD_PUBKEY_STRLEN, sizeof text);
        if (*p != '$') {
            text[n++] = *p;
            continue;
        }
        p++;
        uint8_t pub[32];
        make_key((uint32_t)((*p & ~0x20) - 'A'), pub);
        if (*p & 0x20)
            pub[31] ^= 0x80;
        veld_pubkey_format(pub, text + n);
        n += strlen(text + n);
    }
    text[n] = '\0';
    return text;
}

static int parse(const char *template, struct veld_config **out, struct veld_diag *diag)
{
    const char *text = with_keys(template);
    diag->text[0] = '\0';
    return veld_config_parse("c.toml", text, strlen(text), out, diag);
}

static struct veld_config *good(const char *template)
{
    struct veld_config *c = NULL;
    struct veld_diag diag;
    cr_assert_eq(parse(template, &c, &diag), 0, "%s", diag.text);
    return c;
}

#define PEER "[[peers]]\npubkey = \"$B\"\nvpn_ip = \"10.0.0.2\"\n"

Test(config, the_quick_start)
{
    struct veld_config *c = good("listen_addr = \"0.0.0.0:51820\"\n"
                                 "vpn_ip = \"10.0.0.1/24\"\n"
                                 "name = \"machine-a\"\n"
                                 "[[peers]]\n"
                                 "name = \"machine-b\"\n"
                                 "pubkey = \"$B\"\n"
                                 "endpoint = \"1.2.3.4:51820\"\n"
                                 "vpn_ip = \"10.0.0.2\"\n");
    char text[VELD_ENDPOINT_STRLEN];
    uint8_t pub[32];
    make_key(1, pub);
    cr_assert_str_eq(veld_endpoint_format(&c->listen, text), "0.0.0.0:51820");
    cr_assert_str_eq(c->name, "machine-a");
    cr_assert_eq(c->n_addrs, 1);
    cr_assert_str_eq(veld_prefix_format(&c->addrs[0], text), "10.0.0.1/24");
    cr_assert_eq(c->n_peers, 1);
    cr_assert_str_eq(c->peers[0].name, "machine-b");
    cr_assert_arr_eq(c->peers[0].pub, pub, 32);
    cr_assert_str_eq(veld_endpoint_format(&c->peers[0].endpoint, text), "1.2.3.4:51820");
    cr_assert_eq(c->peers[0].n_addrs, 1);
    cr_assert_str_eq(veld_ip_format(&c->peers[0].addrs[0], text), "10.0.0.2");
    cr_assert_eq(c->peers[0].line, 4);
    cr_assert_eq(c->peers[0].keepalive_s, 0);
    veld_config_free(c);
}

Test(config, defaults)
{
    struct veld_config *c = good("vpn_ip = \"10.0.0.1/24\"\n");
    char text[VELD_ENDPOINT_STRLEN];
    cr_assert_str_eq(veld_endpoint_format(&c->listen, text), "[::]:51820");
    cr_assert_str_eq(c->interface, "veld0");
    cr_assert_eq(c->mtu, 1420);
    cr_assert_eq(c->workers, 0);
    cr_assert_null(c->identity_path);
    cr_assert(c->accept_routes);
    cr_assert_not(c->mdns);
    cr_assert_not(c->has_psk);
    cr_assert_eq(c->dns_mode, VELD_DNS_AUTO);
    cr_assert_str_eq(c->aead, "auto");
    cr_assert_eq(c->engine, VELD_DP_ENGINE_AUTO);
    cr_assert(c->port_mapping);
    cr_assert_eq(c->n_peers, 0);
    cr_assert_gt(strlen(c->name), 0);
    veld_config_free(c);
}

Test(config, every_key)
{
    struct veld_config *c = good("listen_addr = \":7000\"\n"
                                 "vpn_ip = [\"10.0.0.1/24\", \"fd00::1/64\"]\n"
                                 "name = \"Gate-1\"\n"
                                 "identity = \"keys/id\"\n"
                                 "interface = \"mesh%d\"\n"
                                 "mtu = 1280\n"
                                 "workers = 64\n"
                                 "routes = [\"192.168.1.0/24\"]\n"
                                 "accept_routes = false\n"
                                 "keepalive = 25\n"
                                 "relay = true\n"
                                 "relay_rate = 7\n"
                                 "port_mapping = \"off\"\n"
                                 "aead = \"libsodium\"\n"
                                 "engine = \"poll\"\n"
                                 "[dns]\n"
                                 "mode = \"file\"\n"
                                 "[mdns]\n"
                                 "enabled = true\n"
                                 "[[peers]]\n"
                                 "name = \"B\"\n"
                                 "pubkey = \"$B\"\n"
                                 "endpoint = \"[2001:db8::2]:51820\"\n"
                                 "vpn_ip = [\"10.0.0.2/32\", \"fd00::2\"]\n"
                                 "routes = [\"192.168.2.0/24\", \"192.168.2.128/25\"]\n"
                                 "keepalive = 0\n"
                                 "relay = true\n"
                                 "[[peers]]\n"
                                 "pubkey = \"$C\"\n"
                                 "vpn_ip = \"172.16.0.9\"\n"
                                 "routes = \"192.168.0.0/16\"\n");
    char text[VELD_ENDPOINT_STRLEN];
    cr_assert_str_eq(veld_endpoint_format(&c->listen, text), "[::]:7000");
    cr_assert_eq(c->n_addrs, 2);
    cr_assert_str_eq(veld_prefix_format(&c->addrs[1], text), "fd00::1/64");
    cr_assert_str_eq(c->name, "gate-1");
    cr_assert_str_eq(c->identity_path, "keys/id");
    cr_assert_str_eq(c->interface, "mesh%d");
    cr_assert_eq(c->mtu, 1280);
    cr_assert_eq(c->workers, 64);
    cr_assert_eq(c->n_routes, 1);
    cr_assert_not(c->accept_routes);
    cr_assert(c->relay);
    cr_assert_eq(c->relay_rate_mbit, 7);
    cr_assert(c->peers[0].relay && !c->peers[1].relay);
    cr_assert_not(c->port_mapping);
    cr_assert(c->given & VELD_CONFIG_PORT_MAPPING);
    cr_assert_str_eq(c->aead, "libsodium");
    cr_assert_eq(c->engine, VELD_DP_ENGINE_POLL);
    cr_assert_eq(c->dns_mode, VELD_DNS_FILE);
    cr_assert(c->mdns);
    cr_assert_eq(c->n_peers, 2);
    cr_assert_str_eq(c->peers[0].name, "b");
    cr_assert_eq(c->peers[0].n_addrs, 2);
    cr_assert_eq(c->peers[0].n_routes, 2);
    cr_assert_str_eq(veld_prefix_format(&c->peers[0].routes[1], text), "192.168.2.128/25");
    cr_assert_eq(c->peers[0].keepalive_s, 0, "a peer's own keepalive wins");
    cr_assert_eq(c->peers[1].keepalive_s, 25, "the default is for peers without their own");
    cr_assert_str_empty(c->peers[1].name);
    cr_assert_eq(c->peers[1].endpoint.ip.family, 0);
    veld_config_free(c);
}

Test(config, accepts_what_is_unusual_but_right)
{
    static const char *const texts[] = {
        "vpn_ip = \"10.0.0.1\"\n",    /* host route */
        "vpn_ip = \"10.0.0.1/31\"\n", /* no network address in a /31 */
        "vpn_ip = \"10.0.0.0/31\"\n",
        "vpn_ip = \"10.0.0.1/24\"\nroutes = []\n",
        "vpn_ip = \"10.0.0.1/24\"\npeers = []\n",
        "listen_addr = \"[::1]:5\"\nvpn_ip = \"10.0.0.1/24\"\n",
        /* a peer outside the own network; a forwarder on loopback; mixed case in a key's place */
        "vpn_ip = \"10.0.0.1/24\"\n[[peers]]\npubkey = \"$B\"\nvpn_ip = \"10.9.9.9\"\n"
        "endpoint = \"127.0.0.1:5\"\n",
        /* a hub carries the whole network of a machine that has a host address */
        "vpn_ip = \"10.0.0.1/32\"\n" PEER "routes = \"10.0.0.0/24\"\n",
        /* a route inside the own network, and around a peer's address: the longest wins */
        "vpn_ip = \"10.0.0.1/16\"\n" PEER "routes = \"10.0.5.0/24\"\n",
        "vpn_ip = \"10.0.0.1/16\"\n" PEER "routes = \"10.0.0.0/28\"\n",
        "vpn_ip = \"fd00::1/64\"\n[[peers]]\npubkey = \"$B\"\nvpn_ip = \"fd00::2\"\n",
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(texts); i++)
        veld_config_free(good(texts[i]));
}

#define OWN "vpn_ip = \"10.0.0.1/24\"\n"

/* Each mistake: the line and key it is told at, and what must be in the sentence. */
static const struct mistake {
    const char *text;
    unsigned line;
    const char *key;
    const char *says;
} mistakes[] = {
    {"", 1, "vpn_ip", "missing"},
    {"[mdns]\nenabled = false\n", 1, "vpn_ip", "missing"},
    /* keys */
    {OWN "listen_adr = \"[::]:1\"\n", 2, "listen_adr", "did you mean \"listen_addr\"?"},
    {OWN "\n\nfrobnicate = 1\n", 4, "frobnicate", "the keys there are listen_addr, vpn_ip"},
    {OWN "zzz = 1\naaa = 1\n", 2, "zzz", "unknown key"}, /* the first in the file */
    {OWN "endpoint = \"1.2.3.4:5\"\n", 2, "endpoint", "belongs in [[peers]]"},
    {OWN PEER "mtu = 1400\n", 5, "mtu", "belongs in the top of the file, before the first"},
    {OWN PEER "pubkeys = \"x\"\n", 5, "pubkeys", "did you mean \"pubkey\"?"},
    {OWN "[dns]\nmod = \"off\"\n", 3, "mod", "did you mean \"mode\"?"},
    {OWN "[mdn]\n", 2, "mdn", "did you mean \"mdns\"?"},
    {OWN "[mdns]\nenable = true\n", 3, "enable", "did you mean \"enabled\"?"},
    {OWN "[mdns]\nenabled = 1\n", 3, "mdns.enabled", "true"},
    {OWN "mdns = true\n", 2, "mdns", "must be a table: [mdns]"},
    {OWN "\"a\\u001b[2J\" = 1\n", 2, "a?[2J", "unknown key"},
    /* types */
    {"vpn_ip = 10\n", 1, "vpn_ip", "is a number; it must be a string or an array"},
    {OWN "mtu = \"1400\"\n", 2, "mtu", "is a string; it must be a whole number"},
    {OWN "mtu = 1400.0\n", 2, "mtu", "is a fraction, date or time"},
    {OWN "accept_routes = 1\n", 2, "accept_routes", "must be true or false"},
    {OWN "name = true\n", 2, "name", "must be a string"},
    {OWN "name = \"\"\n", 2, "name", "is empty"},
    {OWN "name = \"a\\u0000b\"\n", 2, "name", "NUL"},
    {OWN "dns = \"off\"\n", 2, "dns", "must be a table"},
    {OWN "[peers]\nname = \"b\"\n", 2, "peers", "write [[peers]]"},
    {OWN "peers = [1]\n", 2, "peers", "write [[peers]]"},
    {"vpn_ip = [\n \"10.0.0.1/24\",\n 7 ]\n", 3, "vpn_ip", "must be a string"},
    /* numbers */
    {OWN "mtu = 1279\n", 2, "mtu", "use 1280 to 9000"},
    {OWN "mtu = 9001\n", 2, "mtu", "use 1280 to 9000"},
    {OWN "workers = 65\n", 2, "workers", "use 0 to 64"},
    {OWN "workers = -1\n", 2, "workers", "use 0 to 64"},
    {OWN "relay = 1\n", 2, "relay", "true"},
    {OWN "relay_rate = 0\n", 2, "relay_rate", "use 1 to 1000000"},
    {OWN PEER "relay = \"yes\"\n", 5, "peers.relay", "true"},
    {OWN "keepalive = 65536\n", 2, "keepalive", "use 0 to 65535"},
    {OWN "stun_servers = [\"stun.example.net\"]\n", 2, "stun_servers", "is no server"},
    {OWN "stun_servers = []\n", 2, "stun_servers", "give 1 to 8"},
    {OWN "stun_servers = "
         "[\"a:1\",\"b:1\",\"c:1\",\"d:1\",\"e:1\",\"f:1\",\"g:1\",\"h:1\",\"i:1\"]\n",
     2, "stun_servers", "give 1 to 8"},
    {OWN "port_mapping = \"upnp\"\n", 2, "port_mapping", "use \"auto\" or \"off\""},
    {OWN "port_mapping = true\n", 2, "port_mapping", "must be a string"},
    {OWN "stun_servers = 3478\n", 2, "stun_servers", "an array of strings"},
    {OWN "keepalive = 4294967296\n", 2, "keepalive", "use 0 to 65535"},
    {OWN PEER "keepalive = -5\n", 5, "peers.keepalive", "use 0 to 65535"},
    /* names */
    {OWN "name = \"-a\"\n", 2, "name", "no name for a machine"},
    {OWN "name = \"a-\"\n", 2, "name", "no name for a machine"},
    {OWN "name = \"a.b\"\n", 2, "name", "no name for a machine"},
    {OWN "name = \"a_b\"\n", 2, "name", "no name for a machine"},
    {OWN "name = \"\xc3\xa4\"\n", 2, "name", "no name for a machine"},
    {OWN "name = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n", 2,
     "name", "no name for a machine"},
    {OWN PEER "name = \"b c\"\n", 5, "peers.name", "no name for a machine"},
    {OWN "interface = \"a/b\"\n", 2, "interface", "cannot name an interface"},
    {OWN "interface = \"0123456789abcdef\"\n", 2, "interface", "1 to 15"},
    {OWN "interface = \"lo\"\n", 2, "interface", "cannot name an interface"},
    {OWN "interface = \"..\"\n", 2, "interface", "cannot name an interface"},
    {OWN "interface = \"a%d%d\"\n", 2, "interface", "cannot name an interface"},
    {OWN "interface = \"v%s\"\n", 2, "interface", "cannot name an interface"},
    {OWN "aead = \"rot13\"\n", 2, "aead", "\"auto\", "},
    {OWN "engine = \"epoll\"\n", 2, "engine", "\"io_uring\" or \"poll\""},
    {OWN "[dns]\nmode = \"on\"\n", 3, "dns.mode", "\"resolved\""},
    /* addresses */
    {OWN "listen_addr = \"0.0.0.0\"\n", 2, "listen_addr", "\"[::]:51820\""},
    {OWN "listen_addr = \"51820\"\n", 2, "listen_addr", "not an address to listen on"},
    {OWN "listen_addr = \"host:51820\"\n", 2, "listen_addr", "not an address to listen on"},
    {OWN "listen_addr = \":\"\n", 2, "listen_addr", "not an address to listen on"},
    {OWN "listen_addr = \":0\"\n", 2, "listen_addr", "not an address to listen on"},
    {OWN "listen_addr = \"224.0.0.1:5\"\n", 2, "listen_addr", "not an address to listen on"},
    {"vpn_ip = \"10.0.0.256/24\"\n", 1, "vpn_ip", "not an IP address"},
    {"vpn_ip = \"10.0.0.1/33\"\n", 1, "vpn_ip", "not an IP address"},
    {"vpn_ip = \"127.0.0.1/8\"\n", 1, "vpn_ip", "loopback"},
    {"vpn_ip = \"10.0.0.1/0\"\n", 1, "vpn_ip", "whole Internet"},
    {"vpn_ip = \"10.0.0.0/24\"\n", 1, "vpn_ip", "the network itself"},
    {"vpn_ip = \"10.0.0.255/24\"\n", 1, "vpn_ip", "broadcast"},
    {"vpn_ip = \"fd00::/64\"\n", 1, "vpn_ip", "the network itself"},
    {"vpn_ip = []\n", 1, "vpn_ip", "has 0 entries"},
    {"vpn_ip = [\"10.0.0.1/24\",\n\"10.0.0.1/16\"]\n", 2, "vpn_ip", "there already, in line 1"},
    {OWN "[[peers]]\npubkey = \"$B\"\n", 2, "peers.vpn_ip", "missing"},
    {OWN "[[peers]]\nvpn_ip = \"10.0.0.2\"\n", 2, "peers.pubkey", "missing"},
    {OWN "[[peers]]\npubkey = \"$B\"\nvpn_ip = \"10.0.0.2/24\"\n", 4, "peers.vpn_ip",
     "goes in routes"},
    {OWN PEER "endpoint = \"host.example:51820\"\n", 5, "peers.endpoint",
     "names are not looked"},
    {OWN PEER "endpoint = \"1.2.3.4\"\n", 5, "peers.endpoint", "an IP address and a port"},
    {OWN PEER "endpoint = \"0.0.0.0:1\"\n", 5, "peers.endpoint", "no machine's address"},
    {OWN PEER "endpoint = \"[ff02::1]:1\"\n", 5, "peers.endpoint", "no machine's address"},
    {OWN PEER "endpoint = \"[fe80::1]:1\"\n", 5, "peers.endpoint", "link-local"},
    {OWN PEER "endpoint = \"10.0.0.77:1\"\n", 5, "peers.endpoint", "inside the tunnel"},
    {"listen_addr = \"0.0.0.0:7\"\n" OWN PEER "endpoint = \"[2001:db8::1]:5\"\n", 6,
     "peers.endpoint", "listen_addr = \"[::]:7\" serves both"},
    {"listen_addr = \"[2001:db8::9]:7\"\n" OWN PEER "endpoint = \"1.2.3.4:5\"\n", 6,
     "peers.endpoint", "listen_addr = \"[::]:7\" serves both"},
    /* routes */
    {OWN PEER "routes = [\"0.0.0.0/0\"]\n", 5, "peers.routes", "default route"},
    {OWN PEER "routes = [\"::/0\"]\n", 5, "peers.routes", "default route"},
    {OWN "routes = [\"0.0.0.0/0\"]\n", 2, "routes", "default route"},
    {OWN PEER "routes = [\"192.168.1.5/24\"]\n", 5, "peers.routes", "write \"192.168.1.0/24\""},
    {OWN PEER "routes = [\"lan\"]\n", 5, "peers.routes", "not a network"},
    {OWN PEER "routes = [\"224.0.0.0/4\"]\n", 5, "peers.routes", "multicast"},
    {OWN PEER "routes = [\"10.0.0.0/24\"]\n", 5, "peers.routes", "covers the tunnel's own"},
    {OWN PEER "routes = [\n\"10.0.0.0/8\"]\n", 6, "peers.routes", "covers the tunnel's own"},
    {OWN "routes = \"10.0.0.0/16\"\n", 2, "routes", "covers the tunnel's own"},
    {OWN PEER "routes = [\"192.168.1.0/24\",\n \"192.168.1.0/24\"]\n", 6, "peers.routes",
     "there already, in line 5"},
    {OWN "routes = \"192.168.1.0/24\"\n" PEER "routes = \"192.168.1.0/24\"\n", 6,
     "peers.routes", "in line 2, of this machine"},
    {OWN PEER "name = \"b\"\nroutes = \"192.168.1.0/24\"\n[[peers]]\npubkey = \"$C\"\n"
              "vpn_ip = \"10.0.0.3\"\nroutes = \"192.168.1.0/24\"\n",
     10, "peers.routes", "in line 6, of b"},
    {OWN PEER "[[peers]]\npubkey = \"$C\"\nvpn_ip = \"10.0.0.3\"\nroutes = \"10.0.0.2/32\"\n",
     8, "peers.routes", "10.0.0.2 overlaps the same in line 4"},
    /* duplicates */
    {OWN PEER "[[peers]]\npubkey = \"$C\"\nvpn_ip = \"10.0.0.2\"\n", 7, "peers.vpn_ip",
     "in line 4, of a peer without a name"},
    {OWN "[[peers]]\npubkey = \"$C\"\nvpn_ip = \"10.0.0.1\"\n", 4, "peers.vpn_ip",
     "in line 1, of this machine"},
    {OWN PEER "[[peers]]\npubkey = \"$B\"\nvpn_ip = \"10.0.0.3\"\n", 6, "peers.pubkey",
     "also the key of the peer in line 3"},
    {OWN PEER "[[peers]]\npubkey = \"$b\"\nvpn_ip = \"10.0.0.3\"\n", 6, "peers.pubkey",
     "the sign twin of the key of the peer in line 3"},
    {OWN PEER "name = \"b\"\n[[peers]]\nname = \"B\"\npubkey = \"$C\"\nvpn_ip = \"10.0.0.3\"\n",
     7, "peers.name", "also the name in line 5"},
    {OWN "name = \"b\"\n" PEER "name = \"b\"\n", 6, "peers.name", "this machine's own name"},
    /* keys that are none */
    {OWN "[[peers]]\npubkey = \"base64-ed25519-pubkey-of-b\"\n", 3, "peers.pubkey",
     "not 32 bytes in base64"},
    {OWN "[[peers]]\npubkey = \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n", 3,
     "peers.pubkey", "no usable Ed25519 public key"},
    {OWN "network_secret_file = \"/nonexistent/secret\"\n", 2, "network_secret_file",
     "> /nonexistent/secret) on one machine, and copy the file to all others"},
    {OWN "network_secret_file = \"/dev/zero\"\n", 2, "network_secret_file",
     "not a regular file"},
};

Test(config, every_mistake_names_its_line_and_key)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        struct veld_config *c = NULL;
        struct veld_diag diag;
        char start[128];
        cr_expect_eq(parse(m->text, &c, &diag), VELD_E_CONFIG, "accepted: %s", m->text);
        cr_expect_null(c);
        snprintf(start, sizeof start, "c.toml:%u: %s: ", m->line, m->key);
        cr_expect_eq(strncmp(diag.text, start, strlen(start)), 0, "%s\n-> %s\nnot at %s",
                     m->text, diag.text, start);
        cr_expect_not_null(strstr(diag.text, m->says), "%s\n-> %s\nshould say: %s", m->text,
                           diag.text, m->says);
        for (const char *p = diag.text; *p; p++)
            cr_expect((unsigned char)*p >= 0x20, "control character in: %s", diag.text);
    }
}

/* Its addresses follow from its key. */
Test(config, on_a_lan_no_address_is_needed)
{
    struct veld_config *c = good("[mdns]\nenabled = true\n" PEER);
    cr_assert(c->mdns);
    cr_assert_eq(c->n_addrs, 0);
    cr_assert_eq(c->n_peers, 1);
    veld_config_free(c);
}

Test(config, a_network_of_a_coord_server)
{
    struct veld_config *c = good("mtu = 1400\n[coord]\nnetwork = \"MyNet\"\n");
    cr_assert_str_eq(c->network, "mynet");
    cr_assert_eq(c->given, VELD_CONFIG_MTU);
    cr_assert_eq(c->n_addrs, 0);
    veld_config_free(c);
    c = good("listen_addr = \":1\"\ninterface = \"v1\"\nroutes = [\"10.5.0.0/16\"]\n"
             "accept_routes = false\n[coord]\nnetwork = \"n\"\n[mdns]\nenabled = false\n");
    cr_assert_eq(c->given, VELD_CONFIG_LISTEN | VELD_CONFIG_INTERFACE | VELD_CONFIG_ROUTES |
                               VELD_CONFIG_ACCEPT_ROUTES | VELD_CONFIG_MDNS);
    veld_config_free(c);
    c = good("vpn_ip = \"10.0.0.1/24\"\n");
    cr_assert_str_eq(c->network, "");
    veld_config_free(c);
}

Test(config, what_does_not_go_with_a_network)
{
    static const struct {
        const char *text, *key;
        unsigned line;
    } cases[] = {
        {"vpn_ip = \"10.0.0.1/24\"\n[coord]\nnetwork = \"n\"\n", "vpn_ip", 1},
        {"\nname = \"me\"\n[coord]\nnetwork = \"n\"\n", "name", 2},
        {"keepalive = 25\n[coord]\nnetwork = \"n\"\n", "keepalive", 1},
        {"[coord]\nnetwork = \"n\"\n" PEER, "peers", 3},
        {"[coord]\n", "coord.network", 1},
        {"[coord]\nnetwork = \"no_label\"\n", "coord.network", 2},
        {"[coord]\nnetwork = 5\n", "coord.network", 2},
        {"[coord]\nserver = \"x\"\n", "server", 2},
        {"coord = 5\n", "coord", 1},
        {"network = \"n\"\n", "network", 1},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        struct veld_config *c = NULL;
        struct veld_diag diag;
        char want[64];
        snprintf(want, sizeof want, "c.toml:%u: %s: ", cases[i].line, cases[i].key);
        cr_expect_eq(parse(cases[i].text, &c, &diag), VELD_E_CONFIG, "case %zu", i);
        cr_expect_not_null(strstr(diag.text, want), "case %zu: %s", i, diag.text);
        cr_expect_null(c);
    }
    char many[2048] = "routes = [";
    for (int i = 0; i < 33; i++)
        snprintf(many + strlen(many), 32, "\"10.5.%d.0/24\",", i);
    strcat(many, "]\n[coord]\nnetwork = \"n\"\n");
    struct veld_config *c = NULL;
    struct veld_diag diag;
    cr_assert_eq(parse(many, &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "at most 32"), "%s", diag.text);
}

Test(config, a_network_without_a_file)
{
    struct veld_config *c = NULL;
    struct veld_diag diag;
    cr_assert_eq(veld_config_for_network("mynet", &c, &diag), 0);
    cr_assert_str_eq(c->network, "mynet");
    cr_assert_str_eq(c->path, "network mynet");
    cr_assert_eq(c->given, 0);
    cr_assert_eq(c->mtu, 1420);
    veld_config_free(c);
    cr_assert_eq(veld_config_for_network("../x", &c, &diag), VELD_E_CONFIG);
    cr_assert_eq(veld_config_for_network("", &c, &diag), VELD_E_CONFIG);
}

Test(config, syntax_errors_have_line_and_column)
{
    static const struct {
        const char *text, *start;
    } cases[] = {
        {OWN "mtu = \n", "c.toml:2:"},
        {OWN "mtu = 1\nmtu = 2\n", "c.toml:3:"},
        {OWN "= 5\n", "c.toml:2:1: not valid TOML: "},
        {OWN "[[peers]\n", "c.toml:2:"},
        {"vpn_ip = \"10.0.0.1/24\n", "c.toml:1:"},
        {OWN "name = \"\xff\"\n", "c.toml:2:"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        struct veld_config *c = NULL;
        struct veld_diag diag;
        cr_expect_eq(parse(cases[i].text, &c, &diag), VELD_E_CONFIG, "%s", cases[i].text);
        cr_expect_eq(strncmp(diag.text, cases[i].start, strlen(cases[i].start)), 0, "%s -> %s",
                     cases[i].text, diag.text);
        cr_expect_not_null(strstr(diag.text, "; veld-config(5) has an example"), "%s",
                           diag.text);
    }
}

Test(config, depth_and_length_are_bounded)
{
    struct veld_config *c = NULL;
    struct veld_diag diag;
    char deep[256] = "";
    for (int i = 0; i < 60; i++)
        strcat(deep, "a.");
    strcat(deep, "a = 1\n");
    cr_assert_eq(parse(deep, &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "c.toml:1: not valid TOML: tables or arrays nested"),
                       "%s", diag.text);
    char *lengthy = malloc(40000);
    memset(lengthy, 'a', 40000);
    memcpy(lengthy, "x = 1\n", 6);
    cr_assert_eq(veld_config_parse("c.toml", lengthy, 40000, &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "c.toml:2: not valid TOML: line too long"), "%s",
                       diag.text);
    free(lengthy);
}

/* ---- Files ---- */

static char dir[] = "/tmp/veld-test-config.XXXXXX";

static void make_dir(void)
{
    init();
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

TestSuite(config_file, .init = make_dir, .fini = remove_dir);

static const char *in_dir(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

Test(config_file, load_reports_what_it_cannot_open)
{
    struct veld_config *c;
    struct veld_diag diag;
    cr_assert_eq(veld_config_load(in_dir("none.toml"), &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "none.toml: No such file"), "%s", diag.text);
    cr_assert_eq(veld_config_load(dir, &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "not a regular file"), "%s", diag.text);
}

Test(config_file, secret_is_read_beside_the_config_and_must_be_private)
{
    const char *config = in_dir("c.toml"), *secret = in_dir("secret");
    static const char text[] = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n";
    struct veld_config *c = NULL;
    struct veld_diag diag;
    write_file(config, OWN "network_secret_file = \"secret\"\nidentity = \"id\"\n", 0644);

    write_file(secret, text, 0600);
    cr_assert_eq(veld_config_load(config, &c, &diag), 0, "%s", diag.text);
    cr_assert(c->has_psk);
    for (int i = 0; i < 32; i++)
        cr_assert_eq(c->psk[i], i + 1);
    char identity[160];
    snprintf(identity, sizeof identity, "%s/id", dir);
    cr_assert_str_eq(c->identity_path, identity);
    cr_assert_str_eq(c->path, config);
    veld_config_free(c);
    write_file(config, "network_secret_file = \"secret\"\n[coord]\nnetwork = \"n\"\n", 0644);
    cr_assert_eq(veld_config_load(config, &c, &diag), VELD_E_CONFIG);
    cr_assert_not_null(strstr(diag.text, "c.toml:1: network_secret_file: does not go"), "%s",
                       diag.text);
    write_file(config, OWN "network_secret_file = \"secret\"\nidentity = \"id\"\n", 0644);

    static const mode_t open_modes[] = {0640, 0604, 0620, 0602};
    for (size_t i = 0; i < VELD_ARRAY_LEN(open_modes); i++) {
        cr_assert_eq(chmod(secret, open_modes[i]), 0);
        cr_assert_eq(veld_config_load(config, &c, &diag), VELD_E_CONFIG);
        cr_assert_not_null(strstr(diag.text, "c.toml:2: network_secret_file: "), "%s",
                           diag.text);
        cr_assert_not_null(strstr(diag.text, "chmod 600"), "%s", diag.text);
    }

    static const char *const bad[] = {"", "AQID\n",
                                      "not base64 at all, but 44 characters long!!!\n",
                                      "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\nmore\n"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        write_file(secret, bad[i], 0600);
        cr_assert_eq(veld_config_load(config, &c, &diag), VELD_E_CONFIG);
        cr_assert_not_null(strstr(diag.text, "does not hold 32 bytes in base64"), "%s",
                           diag.text);
    }
    unlink(secret);
    unlink(config);
}

Test(config_file, many_peers_load_in_linear_time)
{
    enum { PEERS = 20000 };
    char *text = malloc((size_t)PEERS * 256), *p = text;
    p += sprintf(p, "vpn_ip = \"10.0.0.1/8\"\n");
    for (uint32_t i = 0; i < PEERS; i++) {
        uint8_t pub[32];
        char key[VELD_PUBKEY_STRLEN];
        make_key(i, pub);
        veld_pubkey_format(pub, key);
        p += sprintf(p,
                     "[[peers]]\nname = \"m%u\"\npubkey = \"%s\"\nvpn_ip = \"10.%u.%u.%u\"\n"
                     "endpoint = \"192.0.2.%u:51820\"\nroutes = [\"172.16.%u.%u/32\"]\n",
                     i, key, 1 + (i >> 16), (i >> 8) & 255, i & 255, 1 + i % 250,
                     (i >> 8) & 255, i & 255);
    }
    struct veld_config *c = NULL;
    struct veld_diag diag;
    uint64_t start = veld_clock_mono_ns();
    cr_assert_eq(veld_config_parse("c.toml", text, (size_t)(p - text), &c, &diag), 0, "%s",
                 diag.text);
    cr_log_info("%d peers in %llu ms", PEERS,
                (unsigned long long)((veld_clock_mono_ns() - start) / VELD_NS_PER_MS));
    cr_assert_eq(c->n_peers, PEERS);
    veld_config_free(c);
    free(text);
}

Test(config, stun_servers_are_taken_in_their_one_form)
{
    struct veld_config *c = NULL;
    struct veld_diag diag;
    cr_assert_eq(parse(OWN
                       "stun_servers = [\"Stun.Example.net:3478\", \"[2001:db8::1]:19302\"]\n",
                       &c, &diag),
                 0, "%s", diag.text);
    cr_assert_eq(c->n_stun_servers, 2);
    cr_assert_str_eq(c->stun_servers[0], "stun.example.net:3478");
    cr_assert_str_eq(c->stun_servers[1], "[2001:db8::1]:19302");
    veld_config_free(c);
}

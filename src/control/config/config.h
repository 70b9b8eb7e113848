/*
 * The configuration file: TOML read by toml++ (config_toml.cc), checked here,
 * strict. docs: veld-config(5).
 *
 * Invariant: a config that loads is complete and consistent; every mistake is
 * told as "FILE:LINE: KEY: what is wrong; what would be right", the first one
 * found, and nothing outside the process has been touched.
 *
 * Control thread, at start.
 */
#ifndef VELD_CONTROL_CONFIG_CONFIG_H
#define VELD_CONTROL_CONFIG_CONFIG_H

#include "base/addr.h"
#include "base/err.h"
#include "dataplane/dataplane.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_NAME_MAX          63          /* a DNS label */
#define VELD_CONFIG_ADDRS_MAX  8           /* vpn_ip entries of one machine */
#define VELD_CONFIG_ROUTES_MAX 1024        /* of one machine */
#define VELD_CONFIG_STUN_MAX   8           /* stun_servers */
#define VELD_CONFIG_FILE_MAX   (64u << 20) /* bytes */

/*
 * To prove that a key is usable takes some 0.1 ms. In a config of more peers
 * than this the engine proves a key when it first needs it, and the log tells of
 * one that is unusable; below, a mistyped key is told here, with its line.
 */
#define VELD_CONFIG_PROVED_MAX 4096

enum veld_dns_mode {
    VELD_DNS_AUTO, /* systemd-resolved, else resolvconf, else resolv.conf */
    VELD_DNS_RESOLVED,
    VELD_DNS_RESOLVCONF,
    VELD_DNS_FILE, /* journalled edit of /etc/resolv.conf */
    VELD_DNS_OFF,
};

#define VELD_RELAY_RATE_MBIT     100
#define VELD_RELAY_RATE_MBIT_MAX 1000000

struct veld_config_peer {
    char name[VELD_NAME_MAX + 1]; /* lower case; empty when not given */
    uint8_t pub[32];
    struct veld_endpoint endpoint; /* family 0: not given */
    struct veld_ip *addrs;         /* vpn_ip */
    size_t n_addrs;                /* >= 1 */
    struct veld_prefix *routes;    /* masked */
    size_t n_routes;
    uint16_t keepalive_s;
    bool relay;                  /* it may relay for this machine */
    const uint8_t (*relays)[32]; /* P of those it is found through, as it says */
    size_t n_relays;
    unsigned pub_line; /* of its pubkey */
    unsigned line;     /* of its [[peers]] */
};

/* What the file says itself of that which a network's settings say too (profile/settings.h). */
enum veld_config_given {
    VELD_CONFIG_LISTEN = 1,
    VELD_CONFIG_INTERFACE = 2,
    VELD_CONFIG_MTU = 4,
    VELD_CONFIG_ROUTES = 8,
    VELD_CONFIG_ACCEPT_ROUTES = 16,
    VELD_CONFIG_RELAY = 32,
    VELD_CONFIG_RELAY_RATE = 64,
    VELD_CONFIG_MDNS = 128,
    VELD_CONFIG_PORT_MAPPING = 256,
};

/*
 * With [coord] the network's members are the peers, and its lease is this machine's
 * address: name, addrs and what is not `given` are then filled in by control/mesh.
 */
struct veld_config {
    char *path;
    char network[VELD_NAME_MAX + 1]; /* of [coord]; empty: peers are those of the file */
    unsigned given;                  /* enum veld_config_given, or-ed */
    struct veld_endpoint listen;     /* default [::]:51820 */
    char interface[IF_NAMESIZE];     /* default veld0 */
    char name[VELD_NAME_MAX + 1];    /* default: host name, made a label */
    struct veld_prefix
        addrs[VELD_CONFIG_ADDRS_MAX]; /* vpn_ip with its network's length; host bits kept */
    size_t n_addrs;
    unsigned mtu;               /* default 1420 */
    unsigned workers;           /* 0: choose by cores */
    char *identity_path;        /* NULL: <state dir>/identity */
    struct veld_prefix *routes; /* offered by this machine; masked */
    size_t n_routes;
    bool accept_routes;       /* default true */
    bool relay;               /* for others; default false */
    unsigned relay_rate_mbit; /* per second, of all circuits; default VELD_RELAY_RATE_MBIT */
    bool mdns;                /* be found on the LAN, and look for others; default false */
    bool has_psk;
    uint8_t psk[32]; /* from network_secret_file; secret */
    /* "host:port", to be looked up (base/host_port.h); none given: see reach/self_stun.c */
    char *stun_servers[VELD_CONFIG_STUN_MAX];
    size_t n_stun_servers;
    bool port_mapping; /* default true */
    enum veld_dns_mode dns_mode;
    enum veld_dataplane_engine engine; /* default auto */
    char *aead;                        /* default "auto" */
    struct veld_config_peer *peers;
    size_t n_peers;
};

/* Free with veld_config_free. VELD_E_CONFIG, with the sentence in `diag`. */
VELD_MUST_USE int veld_config_load(const char *path, struct veld_config **out,
                                   struct veld_diag *diag);
/* The same from memory; `path` is used in messages and to resolve relative file names. For tests and fuzzing. */
VELD_MUST_USE int veld_config_parse(const char *path, const char *text, size_t len,
                                    struct veld_config **out, struct veld_diag *diag);
/* That of a network and nothing else, as without a file: `veld-daemon --network NAME`. */
VELD_MUST_USE int veld_config_for_network(const char *network, struct veld_config **out,
                                          struct veld_diag *diag);
void veld_config_free(struct veld_config *c); /* wipes the psk; NULL is allowed */

#endif

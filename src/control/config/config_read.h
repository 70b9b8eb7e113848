/*
 * Inside of config: one pass that reads values (config_read.c and config_addr.c, one
 * function a kind of value; config_keys.c, one table of keys a TOML table), then one that
 * checks what they mean together (config_check.c).
 *
 * Not for others: include control/config.h.
 */
#ifndef VELD_CONTROL_CONFIG_CONFIG_READ_H
#define VELD_CONTROL_CONFIG_CONFIG_READ_H

#include "control/config/config.h"
#include "control/config/config_toml.h"

/* Where a peer's values stand in the file; NULL when not given. */
struct veld_config_source {
    const struct veld_toml *table, *name, *pubkey, *endpoint, *vpn_ip, *routes, *keepalive;
    const struct veld_toml *secret, *peers, *network; /* of this machine alone */
};

struct veld_config_reader {
    const char *path; /* as given, for messages */
    struct veld_config *config;
    struct veld_config_source own;    /* listen_addr stands under `endpoint` */
    struct veld_config_source *peers; /* config->n_peers of them */
    struct veld_config_peer *peer;    /* being read */
    struct veld_config_source *source;
    uint16_t keepalive_s; /* for peers that name none */
    struct veld_diag *diag;
};

/* "FILE:LINE: KEY: ..." and VELD_E_CONFIG. `fmt` says what is wrong; what would be right. */
VELD_MUST_USE int veld_config_fail(struct veld_config_reader *r, unsigned line, const char *key,
                                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The same for a value of the wrong type; `right` is what it must be. */
VELD_MUST_USE int veld_config_wrong_type(struct veld_config_reader *r, const char *key,
                                         const struct veld_toml *v, const char *right);

/* A value from the file made fit for a message: cut short, nothing that moves a terminal. */
#define VELD_CONFIG_QUOTE_SIZE 72
struct veld_config_quote {
    char text[VELD_CONFIG_QUOTE_SIZE];
};
struct veld_config_quote veld_config_quote(const char *text);

/*
 * One value each. `key` is the name for messages ("peers.endpoint"). 0, or
 * VELD_E_CONFIG with the sentence said and `out` unchanged.
 */
/* Not empty, no NUL inside; borrowed from the tree. */
VELD_MUST_USE int veld_config_string(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, const char **out);
VELD_MUST_USE int veld_config_number(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, unsigned min, unsigned max,
                                     unsigned *out);
VELD_MUST_USE int veld_config_bool(struct veld_config_reader *r, const char *key,
                                   const struct veld_toml *v, bool *out);
/* A DNS label, lower-cased. */
VELD_MUST_USE int veld_config_name(struct veld_config_reader *r, const char *key,
                                   const struct veld_toml *v, char out[VELD_NAME_MAX + 1]);
/* An absolute path, or one relative to the config's directory; the caller frees. */
VELD_MUST_USE int veld_config_path(struct veld_config_reader *r, const char *key,
                                   const struct veld_toml *v, char **out);
VELD_MUST_USE int veld_config_endpoint(struct veld_config_reader *r, const char *key,
                                       const struct veld_toml *v, struct veld_endpoint *out);
/* An endpoint to listen on: also an unspecified address, or none (":51820": both families). */
VELD_MUST_USE int veld_config_listen(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, struct veld_endpoint *out);
/* A string or an array of them: prefixes that may be a machine's own address, with its network. */
VELD_MUST_USE int veld_config_own_addrs(struct veld_config_reader *r, const char *key,
                                        const struct veld_toml *v,
                                        struct veld_prefix out[VELD_CONFIG_ADDRS_MAX],
                                        size_t *n);
/* The same for a peer: host addresses. The caller frees `out`. */
VELD_MUST_USE int veld_config_addrs(struct veld_config_reader *r, const char *key,
                                    const struct veld_toml *v, struct veld_ip **out, size_t *n);
/* A string or an array of them: masked networks. The caller frees `out`. */
/* "host:port" each, as base/host_port.h has it; allocated. */
VELD_MUST_USE int veld_config_servers(struct veld_config_reader *r, const char *key,
                                      const struct veld_toml *v,
                                      char *out[VELD_CONFIG_STUN_MAX], size_t *n);
VELD_MUST_USE int veld_config_routes(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, struct veld_prefix **out,
                                     size_t *n);
/* 32 bytes in base64, from a file that only its owner may read. */
VELD_MUST_USE int veld_config_secret(struct veld_config_reader *r, const char *key,
                                     const struct veld_toml *v, uint8_t out[32]);

/* Line of item `i` of a string-or-array value. */
unsigned veld_config_item_line(const struct veld_toml *v, size_t i);

/* Every key of the file into `r->config`, and where it stood into `r->own` and `r->peers`. */
VELD_MUST_USE int veld_config_keys(struct veld_config_reader *r, const struct veld_toml *root);

/* All that two or more values decide together. */
VELD_MUST_USE int veld_config_check(struct veld_config_reader *r);
/* The same of a file with [coord]. */
VELD_MUST_USE int veld_config_check_network(struct veld_config_reader *r);

#endif

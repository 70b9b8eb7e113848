/*
 * What a machine knows of coord servers and networks, as files of the state
 * directory. The command line tool makes them (login, join, up), the daemon
 * reads them and keeps what it learns.
 *
 *   coord.json             the server logged in to: address, certificate
 *   networks/NAME/         one folder a network (0700), each file 0600:
 *     network              Signed: pins the name to the network's id
 *     membership           Chain: our own
 *     coord.json           the server of this network, as at login or in the token
 *     settings.json        what `veld up` was told: routes, accept_routes, listen, interface, mtu
 *     lease                our IPv4 address
 *     owner                the owner's seed, on the machine that made the network
 *     tokens.json          tokens made here: public parts and limits
 *     revocations          RevocationList: the greatest known
 *     members              what the server told last: a WatchEvent, and its revision
 *     pins.json            control/mesh/pins.h
 *
 * Invariant: a file is replaced whole or not at all (base/file.h); one that is
 * broken is an error with its path and what to do, never "none"; `members` alone
 * is a cache, whose loss is logged and costs nothing.
 *
 * Blocks on the disk. One writer a file: the tool while it admits, else the daemon.
 */
#ifndef VELD_PROFILE_PROFILE_H
#define VELD_PROFILE_PROFILE_H

#include "trust/network.h"
#include "trust/revocations.h"
#include "trust/membership.h"

#include <limits.h>
#include <net/if.h>

/* ---- The coord server ---- */

struct veld_profile_coord {
    char address[VELD_COORD_TEXT_MAX]; /* HOST:PORT */
    uint8_t certificate[32];
    char *pem;     /* owned */
    char *ca_path; /* owned; NULL: the certificate is pinned */
};
void veld_profile_coord_clear(struct veld_profile_coord *c);
/* Of the state directory (network NULL) or of one network. VELD_E_NOENT: never logged in. */
VELD_MUST_USE int veld_profile_coord_load(const char *state_dir, const char *network,
                                          struct veld_profile_coord *out,
                                          struct veld_diag *diag);
VELD_MUST_USE int veld_profile_coord_save(const char *state_dir, const char *network,
                                          const struct veld_profile_coord *c,
                                          struct veld_diag *diag);

/* ---- Networks ---- */

/* Names of the networks known here, sorted; `*names` and its strings are the caller's (veld_names_free). */
VELD_MUST_USE int veld_profile_networks(const char *state_dir, char ***names, size_t *n,
                                        struct veld_diag *diag);
void veld_names_free(char **names, size_t n);

/* One network's folder: files as bytes. `file` is one of the names above. */
VELD_MUST_USE int veld_profile_read(const char *state_dir, const char *network,
                                    const char *file, size_t max, struct veld_blob *out,
                                    struct veld_diag *diag);
VELD_MUST_USE int veld_profile_write(const char *state_dir, const char *network,
                                     const char *file, const void *p, size_t len,
                                     struct veld_diag *diag);
VELD_MUST_USE int veld_profile_remove(const char *state_dir, const char *network,
                                      struct veld_diag *diag);

/* What is needed to be in a network: read and verified. */
struct veld_profile {
    struct veld_network network;
    struct veld_membership membership;    /* of `self` */
    struct veld_blob chain;               /* encoded; owned */
    struct veld_revocations *revocations; /* owned; NULL: none known */
    struct veld_ip ipv4;                  /* family 0: no lease yet */
    struct veld_profile_coord coord;
};
/*
 * VELD_E_NOENT when this machine is no member of `network` (or the file `what`
 * is missing), VELD_E_KEY when the membership is another identity's,
 * VELD_E_PERM when it is revoked, VELD_E_RANGE when it has ended.
 */
VELD_MUST_USE int veld_profile_load(const char *state_dir, const char *network,
                                    const uint8_t self[32], uint64_t now_s,
                                    struct veld_profile *out, struct veld_diag *diag);
void veld_profile_clear(struct veld_profile *p);

VELD_MUST_USE int veld_profile_lease_save(const char *state_dir, const char *network,
                                          const struct veld_ip *ipv4, struct veld_diag *diag);

/* ---- The owner's key: 0600, refused when others may read it (crypto/secret_file.h) ---- */

VELD_MUST_USE int veld_profile_owner_load(const char *state_dir, const char *network,
                                          uint8_t seed[32], struct veld_diag *diag);
/* Never over another key. */
VELD_MUST_USE int veld_profile_owner_save(const char *state_dir, const char *network,
                                          const uint8_t seed[32], struct veld_diag *diag);

/* ---- What `veld up` was told, and keeps ---- */

struct veld_settings {
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX]; /* offered */
    size_t n_routes;
    bool accept_routes;          /* default true */
    struct veld_endpoint listen; /* default [::]:51820 */
    char interface[IF_NAMESIZE]; /* default veld0 */
    unsigned mtu;                /* default 1420 */
};
/* Defaults where there is no file. */
VELD_MUST_USE int veld_settings_load(const char *state_dir, const char *network,
                                     struct veld_settings *out, struct veld_diag *diag);
VELD_MUST_USE int veld_settings_save(const char *state_dir, const char *network,
                                     const struct veld_settings *s, struct veld_diag *diag);

#endif

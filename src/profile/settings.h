/*
 * What `veld up` and `veld set` were told of a network, and keep: settings.json.
 *
 * Main thread of the tool, control thread of the daemon, at start.
 */
#ifndef VELD_PROFILE_SETTINGS_H
#define VELD_PROFILE_SETTINGS_H

#include "profile/folder.h"

#include <net/if.h>

#define VELD_SETTINGS_MAX            16384 /* bytes of settings.json */
#define VELD_SETTINGS_PORT           51820
#define VELD_SETTINGS_INTERFACE      "veld0"
#define VELD_SETTINGS_MTU            1420
#define VELD_SETTINGS_MTU_MIN        1280 /* IPv6 */
#define VELD_SETTINGS_MTU_LIMIT      9000
#define VELD_SETTINGS_RELAY_RATE     100 /* Mbit/s */
#define VELD_SETTINGS_RELAY_RATE_MAX 1000000

struct veld_settings {
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX]; /* offered; masked */
    size_t n_routes;
    bool accept_routes;          /* default true */
    struct veld_endpoint listen; /* default [::]:51820 */
    char interface[IF_NAMESIZE]; /* default veld0 */
    unsigned mtu;                /* default 1420 */
    bool mdns;                   /* find others on the LAN, and be found; default false */
    bool relay;                  /* for others; default false */
    unsigned relay_rate_mbit;    /* per second, of all circuits; default 100 */
    bool port_mapping;           /* default true */
};
void veld_settings_default(struct veld_settings *out);
/* The defaults where there is no file. */
VELD_MUST_USE int veld_settings_load(const char *state_dir, const char *network,
                                     struct veld_settings *out, struct veld_diag *diag);
VELD_MUST_USE int veld_settings_save(const char *state_dir, const char *network,
                                     const struct veld_settings *s, struct veld_diag *diag);
/* The text of such a file; `path` is for the sentence. For tests and fuzzing. */
VELD_MUST_USE int veld_settings_parse(const char *path, const void *p, size_t len,
                                      struct veld_settings *out, struct veld_diag *diag);

/* Values as people type them; on failure the sentence says what would be right. VELD_E_FORMAT. */
VELD_MUST_USE int veld_settings_set_routes(struct veld_settings *s, const char *text,
                                           struct veld_diag *diag); /* "A/N,B/M"; "none" */
VELD_MUST_USE int veld_settings_set_listen(struct veld_settings *s, const char *text,
                                           struct veld_diag *diag); /* also ":PORT" */
VELD_MUST_USE int veld_settings_set_interface(struct veld_settings *s, const char *text,
                                              struct veld_diag *diag);
VELD_MUST_USE int veld_settings_set_mtu(struct veld_settings *s, long mtu,
                                        struct veld_diag *diag);
VELD_MUST_USE int veld_settings_set_relay_rate(struct veld_settings *s, long mbit,
                                               struct veld_diag *diag);
/* The list of routes alone, as `--routes` of several commands: at most VELD_MEMBER_ROUTES_MAX. */
VELD_MUST_USE int veld_routes_parse(const char *text,
                                    struct veld_prefix out[VELD_MEMBER_ROUTES_MAX], size_t *n,
                                    struct veld_diag *diag);

#endif

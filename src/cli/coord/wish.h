/*
 * Options that several commands take, as values: settings of a network, names, spans of time.
 *
 * Pure, but for the look at the machine's interfaces; any thread.
 */
#ifndef VELD_CLI_COORD_WISH_H
#define VELD_CLI_COORD_WISH_H

#include "profile/settings.h"

/* As typed; NULL: not given. */
struct veld_wish {
    const char *routes, *accept_routes, *listen, *interface, *mtu, *relay, *relay_rate, *mdns,
        *port_mapping;
};
/* Nothing of it was given. */
bool veld_wish_is_empty(const struct veld_wish *w);
/* Change `s` as wished; unchanged on failure. VELD_E_FORMAT, with "--OPTION: " and what would be right. */
VELD_MUST_USE int veld_wish_apply(const struct veld_wish *w, struct veld_settings *s,
                                  struct veld_diag *diag);
/*
 * Whether all of it could be granted, before anything is done: VELD_E_FORMAT as above, also for
 * an interface that there is and that is no TUN device.
 */
VELD_MUST_USE int veld_wish_check(const struct veld_wish *w, struct veld_diag *diag);
/* "--fingerprint" of a network: eight groups of four hexadecimal digits, in any case. VELD_E_FORMAT. */
VELD_MUST_USE int veld_fingerprint_check(const char *text, struct veld_diag *diag);

/* "24h", "7d", "30m", "90s", "never" (0). VELD_E_FORMAT. At most ten years. */
VELD_MUST_USE int veld_span_parse(const char *text, uint64_t *seconds);
/* A number of 1..max, or "unlimited" where `unlimited` is not NULL (then 0). VELD_E_FORMAT. */
VELD_MUST_USE int veld_count_parse(const char *text, uint32_t max, const char *unlimited,
                                   uint32_t *out);

/* "10.0.0.0/8, fd01::/64", or "none"; the caller frees; NULL when out of memory. */
char *veld_routes_format(const struct veld_prefix *routes, size_t n, const char *separator);

#endif

/*
 * Other devices, browsed for by mDNS: what comes goes into a table (devices.h), and what is news
 * of that to `on_report`.
 *
 * Avahi keeps what it hears in a cache of a bounded size and drops what comes then, and the table
 * is bounded too. So when something was left out all is begun anew, which asks the link again:
 * whoever fills the cache has to do so again and again, and those who answer get between.
 *
 * Part of veld-mdns; its one thread.
 */
#ifndef VELD_CONTROL_LAN_BROWSE_H
#define VELD_CONTROL_LAN_BROWSE_H

#include "control/lan/report.h"

#include <avahi-common/watch.h>

struct veld_browse_config {
    const AvahiPoll *poll;
    const char *without; /* the tunnel's interface; outlives this */
    const uint8_t *pub;  /* own P */
    void (*on_report)(void *ctx, const struct veld_lan_report *report);
    void *ctx;
};

struct veld_browse;
/* NULL, when it cannot be; `error` is Avahi's then. */
struct veld_browse *veld_browse_start(const struct veld_browse_config *cfg, int *error);
void veld_browse_stop(struct veld_browse *b); /* NULL is allowed */

#endif

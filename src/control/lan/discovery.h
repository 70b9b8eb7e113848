/*
 * Devices on the links of this machine, found by multicast DNS (RFC 6762, RFC 6763): this one is
 * announced as _veld._udp, others are browsed for.
 *
 * Packets of strangers are read by a process of its own, veld-mdns (helper.c), which has no
 * privileges, no key and no file but its socket: what crashes it costs the tunnel nothing. It is
 * started again when it ends, after 1 s, then 2 s, up to a minute.
 *
 * Nothing that is found is authenticated: an address is a candidate, and a P a name, no more.
 *
 * Order of calls: start, stop. Control thread.
 */
#ifndef VELD_CONTROL_LAN_DISCOVERY_H
#define VELD_CONTROL_LAN_DISCOVERY_H

#include "base/err.h"
#include "control/lan/report.h"

struct veld_lan_discovery_config {
    struct veld_endpoint listen; /* where this machine does; its other addresses are not told */
    const uint8_t *pub;          /* P, 32 bytes; copied */
    const char *without;         /* the tunnel's interface; copied */
    /*
     * A device's P and where it is now, IPv4 first; n == 0: it is gone. Called for changes alone,
     * never for this machine. At most VELD_LAN_DEVICES_MAX are there at a time.
     */
    void (*on_device)(void *ctx, const uint8_t pub[32], const struct veld_endpoint *list,
                      size_t n);
    void *ctx;
};

struct veld_lan_discovery;
/* VELD_E_UNSUPPORTED (there is no veld-mdns beside this program), VELD_E_NOMEM, VELD_E_IO. */
VELD_MUST_USE int veld_lan_discovery_start(struct veld_lan_discovery **out,
                                           const struct veld_lan_discovery_config *cfg,
                                           struct veld_diag *diag);
void veld_lan_discovery_stop(struct veld_lan_discovery *d); /* NULL is allowed */

#endif

/*
 * This machine announced by mDNS, for as long as this exists: a name made of random numbers, where
 * it listens, the version of the protocol and P. No host name, no address but those it has on the
 * link itself. A name that somebody else has is left to them, and another made.
 *
 * Part of veld-mdns; its one thread.
 */
#ifndef VELD_CONTROL_LAN_ANNOUNCE_H
#define VELD_CONTROL_LAN_ANNOUNCE_H

#include "base/addr.h"

#include <avahi-common/watch.h>
#include <avahi-core/core.h>
#include <stdint.h>

#define VELD_LAN_SERVICE "_veld._udp"

/*
 * What both servers of this process have in common: all interfaces but the loopback, the tunnel
 * (`without`) and other point-to-point ones; other mDNS responders on this machine; no unicast DNS.
 * Release with avahi_server_config_free.
 */
void veld_lan_server_config(AvahiServerConfig *out, const char *without);

struct veld_announce;
/* `without` outlives this. NULL, when it cannot be; `error` is Avahi's then. */
struct veld_announce *veld_announce_start(const AvahiPoll *poll, const char *without,
                                          const struct veld_endpoint *listen,
                                          const uint8_t pub[32], int *error);
void veld_announce_stop(struct veld_announce *a); /* NULL is allowed; says goodbye */

#endif

/*
 * Whom a UPnP device's URL leads to. Whoever is on the LAN may answer a search, and name any host:
 * only what leads to the gateway itself is fetched, and nothing is looked up for it.
 *
 * Pure; any thread.
 */
#ifndef VELD_PORTMAP_URL_H
#define VELD_PORTMAP_URL_H

#include "base/addr.h"

/*
 * Is it "http://GATEWAY/..." or "http://GATEWAY:PORT/...", GATEWAY being this IPv4 address as it is
 * commonly written, of at most VELD_PORTMAP_URL_MAX printable characters? So strict that no two
 * readers can take it for different hosts.
 */
bool veld_portmap_url_is_at(const char *url, const struct veld_ip *gateway);
/* Is it the type of a service that maps ports (WANIPConnection, WANPPPConnection)? */
bool veld_portmap_service_is_wan(const char *type);

#endif

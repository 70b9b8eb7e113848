/*
 * Knowing our own datagrams when they come out of the interface they were to
 * leave by another way: a peer's endpoint then lies inside the tunnel (a route
 * covers it, or the peer called through the tunnel), and each datagram to it
 * would be sealed into another one to it, without end.
 *
 * Of a fragmented one the first fragment is known, which has the UDP header;
 * what is left, sealed, is a whole datagram and known the next time.
 *
 * Invariant: set before the workers start, unchanged after. Pure; any thread.
 */
#ifndef VELD_DATAPLANE_OWN_H
#define VELD_DATAPLANE_OWN_H

#include "dataplane/dataplane.h"
#include "wire/inner.h"

struct veld_own {
    uint16_t port; /* what our sockets are bound to; 0: nothing is ours */
    unsigned n_lane_ports;
    uint16_t lane_ports[VELD_WORKERS_MAX]; /* what else we send from */
    unsigned n;
    struct veld_ip addrs[VELD_OWN_ADDRS_MAX]; /* what they may leave from */
};

/*
 * Whether `packet`, read from the interface, was sent by a socket of ours: from
 * a port of ours, and from an address of ours or to `endpoint` (NULL: unknown), where
 * datagrams to the peer it is for go.
 */
bool veld_own_datagram(const struct veld_own *own, const uint8_t *packet, size_t len,
                       const struct veld_inner *inner, const struct veld_endpoint *endpoint);

#endif

/*
 * Explicit congestion notification through the tunnel, RFC 6040, normal mode:
 * the outer header leaves with the inner one's ECN field, and what the outer
 * one has become on its way is combined into the inner one on arrival.
 *
 * The two low bits of the IPv4 TOS octet or the IPv6 traffic class (RFC 3168).
 * DSCP is left alone. Pure; any thread.
 */
#ifndef VELD_DATAPLANE_ECN_H
#define VELD_DATAPLANE_ECN_H

#include <stdbool.h>
#include <stdint.h>

enum veld_ecn { VELD_ECN_NOT_ECT, VELD_ECN_ECT1, VELD_ECN_ECT0, VELD_ECN_CE };

/* Of an IPv4 or IPv6 packet, whose first two bytes are read. */
static inline enum veld_ecn veld_ecn_of(const uint8_t *packet)
{
    return (enum veld_ecn)((packet[0] >> 4 == 4 ? packet[1] : packet[1] >> 4) & 3);
}

/*
 * Give `packet`, a whole IPv4 or IPv6 packet, the ECN field that RFC 6040,
 * figure 4, makes of its own and of `outer`; the IPv4 checksum follows. False:
 * congestion was met by a packet that cannot tell of it, which is to be dropped.
 */
bool veld_ecn_decapsulate(uint8_t *packet, enum veld_ecn outer);

#endif

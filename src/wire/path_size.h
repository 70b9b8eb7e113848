/*
 * How many bytes of a path one inner packet takes. "Inner" is the whole IP
 * packet (or control message) inside a data datagram; "outer" is the IP packet
 * that carries it.
 *
 * Pure; any thread.
 */
#ifndef VELD_WIRE_PATH_SIZE_H
#define VELD_WIRE_PATH_SIZE_H

#include "base/addr.h"
#include "wire/datagram.h"

/* What every IPv6 path carries (RFC 8200, 5), and any IPv4 path worth using. */
#define VELD_OUTER_BASE 1280
/* What every IPv4 host receives (RFC 791, 3.1): below it no path is looked for. */
#define VELD_OUTER_MIN_V4 576
#define VELD_OUTER_MIN_V6 VELD_OUTER_BASE

/*
 * Outer less inner size, by the family of the endpoint: IP, UDP, Veld. Of a circuit neither leg's
 * family is known for sure, so the larger header is taken.
 */
static inline uint16_t veld_path_overhead(uint8_t family)
{
    uint16_t relayed = family == VELD_FAMILY_CIRCUIT ? VELD_RELAYED_OVERHEAD : 0;
    return (uint16_t)((family == 4 ? 20 : 40) + 8 + VELD_DATA_OVERHEAD + relayed);
}

/* Inner sizes: what to begin with on a path nothing is known of, and what to fall back to. */
static inline uint16_t veld_path_base(uint8_t family)
{
    return (uint16_t)(VELD_OUTER_BASE - veld_path_overhead(family));
}

static inline uint16_t veld_path_floor(uint8_t family)
{
    return (uint16_t)((family == 6 ? VELD_OUTER_MIN_V6 : VELD_OUTER_MIN_V4) -
                      veld_path_overhead(family));
}

#endif

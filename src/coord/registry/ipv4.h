/*
 * Which IPv4 address a member is leased.
 *
 * The one it wants when that is free; else the first free one from where the
 * hash of its key points, so that members come back to their addresses even
 * when everything was lost. An address that was given up rests for
 * VELD_IPV4_REST_S, but for the one that had it, or until there is no other: what others
 * remember of it should not lead them to somebody else.
 *
 * Pure. Thread: the server's loop.
 */
#ifndef VELD_COORD_REGISTRY_IPV4_H
#define VELD_COORD_REGISTRY_IPV4_H

#include "coord/registry/registry.h"

#define VELD_IPV4_REST_S 3600

/* In host order; 0: the network's range is used up. `wanted` 0: any. */
uint32_t veld_ipv4_pick(const struct veld_net *net, const uint8_t p[32], uint32_t wanted,
                        uint64_t now_s);

#endif

/*
 * The inner packet: what a router needs to know of an IPv4 or IPv6 packet, and
 * no more.
 *
 * Invariant: a packet that parses is whole: its IP total length equals the
 * bytes it was given, so nothing can hide behind it. Pure; any thread.
 */
#ifndef VELD_WIRE_INNER_H
#define VELD_WIRE_INNER_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct veld_inner {
    struct veld_ip src, dst;
    uint8_t
        proto; /* of the byte at l4_offset; IPv6: next header, 44 included when a fragment */
    uint16_t l4_offset; /* IPv4: after options; IPv6: 40 */
    bool fragment;      /* not the whole L4 datagram: no L4 header may be assumed */
};

/* VELD_E_FORMAT for anything but one whole IP packet of `len` bytes. IPv4-mapped IPv6 addresses are refused. */
VELD_MUST_USE int veld_inner_parse(const uint8_t *packet, size_t len, struct veld_inner *out);

#endif

/*
 * Telling the sender of an inner packet that it is larger than its path takes:
 * ICMP Fragmentation Needed (RFC 792, RFC 1191) and ICMPv6 Packet Too Big
 * (RFC 4443), written back to the interface the packet came from.
 *
 * The message bears the address the packet was sent to. One of this machine's
 * own would be the usual choice for a router, but the kernel takes an IPv4
 * packet that comes in with one of its own addresses for a forgery and drops it
 * (Linux fib_validate_source); the one chosen is always routed through the
 * interface, so reverse path filters let it pass.
 *
 * Never about an ICMP error, a fragment other than the first, or to and from
 * addresses that are not one host's (RFC 1122, 3.2.2; RFC 4443, 2.4); at most
 * VELD_TOO_BIG_PER_S a second after a burst, and VELD_TOO_BIG_SLOTS outstanding:
 * what is not told then is told about the next packet.
 *
 * Off the fast path. The worker that owns it.
 */
#ifndef VELD_DATAPLANE_TOO_BIG_H
#define VELD_DATAPLANE_TOO_BIG_H

#include "dataplane/context.h"
#include "dataplane/super.h"

#define VELD_TOO_BIG_SLOTS 8
#define VELD_TOO_BIG_PER_S 100
#define VELD_TOO_BIG_BURST 20
#define VELD_TOO_BIG_MAX   1280 /* the longest message: IPv6's (RFC 4443, 2.4 c) */

/* Marks the tokens of its writes; no others have this bit. */
#define VELD_TOO_BIG_TOKEN (1u << 31)

struct veld_too_big {
    uint64_t paid_until_ns; /* the rate limit: how far ahead it has been used */
    uint32_t busy;          /* a bit a slot: its write is not told yet */
    struct {
        struct iovec iov;
        uint8_t bytes[sizeof(struct virtio_net_hdr) + VELD_TOO_BIG_MAX];
    } slots[VELD_TOO_BIG_SLOTS]; /* zeroed at first */
};

/*
 * The message about the first packet of `s`; `mtu` is the largest that passes.
 * Its length, at most VELD_TOO_BIG_MAX, or 0 when there must be none. Pure.
 */
size_t veld_too_big_build(uint8_t out[VELD_TOO_BIG_MAX], const struct veld_super *s,
                          uint16_t mtu);

/* Build it and queue its write, if the rate allows. */
void veld_too_big_tell(struct veld_too_big *t, const struct veld_context *ctx,
                       const struct veld_super *s, uint16_t mtu);
/* The sink of its writes. */
void veld_too_big_written(struct veld_too_big *t, const struct veld_context *ctx,
                          uint32_t token, int result);

#endif

/*
 * Super-packets: cutting what one TUN read gave (up to 64 KiB, described by its
 * virtio header) into inner packets that fit a datagram, and joining them
 * again into one TUN write on the other side.
 *
 * Invariants:
 *  - every segment is a whole, valid inner packet with headers of its own, so
 *    that a lost one costs only itself;
 *  - a checksum is never computed: where the sender's kernel left it partial
 *    (pseudo-header only), it stays so under the authenticated flag
 *    VELD_FLAG_PARTIAL_CSUM, and the receiver's kernel is told NEEDS_CSUM;
 *  - splitting and then joining gives back the packet that went in, byte for
 *    byte, its virtio header included, when no segment was lost;
 *  - nothing is joined but segments of one super-packet: consecutive counters
 *    on one lane of one session, each after the first flagged
 *    VELD_FLAG_CONTINUES, same headers but for what splitting changes.
 *
 * Kernel facts: the virtio header's hdr_len is not to be trusted; csum_start
 * and the TCP data offset are (Linux virtio_net.h, tun.c).
 *
 * Pure: no allocation, no I/O. The worker that owns the buffers.
 */
#ifndef VELD_DATAPLANE_SUPER_H
#define VELD_DATAPLANE_SUPER_H

#include "base/err.h"
#include "wire/inner.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* ---- Out: one TUN read, understood ---- */

enum veld_super_kind { VELD_SUPER_PLAIN, VELD_SUPER_TCP, VELD_SUPER_UDP };

struct veld_super {
    const uint8_t *packet; /* borrowed: the TUN buffer, after the virtio header */
    uint32_t len;
    enum veld_super_kind kind;
    bool partial_csum;
    uint16_t header_len; /* IP and L4 headers, repeated in every segment; PLAIN: 0 */
    uint16_t gso_size;   /* L4 payload bytes a segment; PLAIN: 0 */
    struct veld_inner inner;
};

/*
 * Understand one read. VELD_E_FORMAT when it is not a whole IP packet, or when
 * the virtio header contradicts it (offsets outside, gso_size 0, a TCP header
 * cut short); VELD_E_UNSUPPORTED for a GSO type we did not ask for.
 */
VELD_MUST_USE int veld_super_parse(const struct virtio_net_hdr *vh, const uint8_t *packet,
                                   size_t len, struct veld_super *out);

/* Number of segments: 1 when PLAIN. */
size_t veld_super_segments(const struct veld_super *s);
/* Length of segment `i` as an inner packet: all but the last are equal. */
size_t veld_super_segment_len(const struct veld_super *s, size_t i);
/* Write segment `i` (veld_super_segment_len bytes) and return its VELD_FLAG_* bits. */
uint8_t veld_super_segment_write(const struct veld_super *s, size_t i, uint8_t *out);

/* ---- In: one TUN write being put together ---- */

#define VELD_JOIN_SEGMENTS_MAX 128

struct veld_join {
    struct virtio_net_hdr hdr;
    struct iovec iov
        [1 +
         VELD_JOIN_SEGMENTS_MAX]; /* iov[0] is `hdr`; [1] the first packet whole; then payloads */
    unsigned n_iov;
    /* the rest is the builder's own */
    uint8_t *first;
    uint8_t *last; /* headers of the newest segment: its PSH and FIN go to the joined packet */
    uint32_t len;  /* of the joined packet */
    uint16_t header_len, l4_offset, segment_payload;
    uint8_t kind, flags;
    bool closed; /* a shorter segment came: nothing may follow */
};

/*
 * Begin with an opened, source-checked inner packet; `flags` are its
 * authenticated header flags. The buffer must stay until the write is done and
 * its headers may be changed. Fails with VELD_E_FORMAT when the flags
 * contradict the packet (partial checksum on something without one): drop it.
 */
VELD_MUST_USE int veld_join_begin(struct veld_join *j, uint8_t *packet, size_t len,
                                  const struct veld_inner *inner, uint8_t flags);
/*
 * Append the next counter's packet; the caller has made sure that session and
 * lane are the same and the counter follows. False when it does not belong:
 * the caller finishes this join and begins another.
 */
VELD_MUST_USE bool veld_join_append(struct veld_join *j, uint8_t *packet, size_t len,
                                    const struct veld_inner *inner, uint8_t flags);
/* Mend lengths, flags and the partial checksum of the first packet and fill `hdr`. Then write iov[0..n_iov). */
void veld_join_finish(struct veld_join *j);

#endif

/*
 * Super-packets: cutting what one TUN read gave (up to 64 KiB, described by its
 * virtio header) into inner packets that fit a datagram, and joining them
 * again into one TUN write on the other side.
 *
 * Invariants:
 *  - every segment is a whole, valid inner packet with headers of its own, so
 *    that a lost one costs only itself;
 *  - a checksum is never computed over payload: where the sender's kernel left
 *    it partial (pseudo-header only), it stays so under the authenticated flag
 *    VELD_FLAG_PARTIAL_CSUM, and the receiver's kernel is told NEEDS_CSUM. The
 *    exception is a partial checksum that is not that of a TCP or UDP header
 *    the receiver can find (inside a tunnel, say): it is completed when split;
 *  - splitting and then joining gives back the packet that went in, byte for
 *    byte, and its virtio header but for hdr_len (now the true header length,
 *    0 when not GSO) and an ECN bit without CWR, when no segment was lost and
 *    the segments fit one join (what does not goes on in a second one);
 *  - nothing is joined but segments of one super-packet: consecutive counters
 *    on one lane of one session, each after the first flagged
 *    VELD_FLAG_CONTINUES, and each header exactly the one that splitting would
 *    have made of the first: whatever a peer sends, a joined packet splits into
 *    the very segments it was joined from.
 *
 * Kernel facts: the virtio header's hdr_len is not to be trusted; csum_start
 * and the TCP data offset are (Linux virtio_net.h, tun.c). Segments are cut as
 * tcp_gso_segment, __udp_gso_segment and inet_gso_segment cut them. The virtio
 * header has the host's byte order, as TUN has unless told otherwise.
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

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

enum veld_super_kind { VELD_SUPER_PLAIN, VELD_SUPER_TCP, VELD_SUPER_UDP };

/* What of a segment's headers follows from the first one's (super_headers.h). */
struct veld_super_headers {
    uint16_t l4_offset; /* behind IPv4 options and IPv6 extension headers */
    uint16_t id;        /* IPv4 */
    uint32_t seq;       /* TCP */
    uint32_t ip_sum;    /* IPv4: sum of the header less total length, id and checksum */
    uint32_t l4_sum;    /* the partial checksum less the L4 length */
    uint8_t kind, family, tcp_flags;
};

/* ---- Out: one TUN read, understood ---- */

struct veld_super {
    const uint8_t *packet; /* borrowed: the TUN buffer, after the virtio header */
    uint32_t len;
    enum veld_super_kind kind;
    bool partial_csum;
    uint16_t header_len; /* IP and L4 headers, repeated in every segment; PLAIN: 0 */
    uint16_t gso_size;   /* L4 payload bytes a segment; PLAIN: 0 */
    struct veld_inner inner;
    enum veld_super_kind l4; /* what header there is at l4_offset; PLAIN: none was found */
    uint16_t l4_offset;
    /* the rest is the splitter's own */
    struct veld_super_headers headers;
    uint16_t complete_start, complete_offset; /* PLAIN: a checksum to complete; 0, 0: none */
};

/*
 * Understand one read. VELD_E_FORMAT when it is not a whole IP packet, or when
 * the virtio header contradicts it (offsets outside, gso_size 0, a TCP header
 * cut short, GSO without a partial checksum); VELD_E_UNSUPPORTED for a GSO type
 * we did not ask for. A GSO read that fits one segment is PLAIN.
 */
VELD_MUST_USE int veld_super_parse(const struct virtio_net_hdr *vh, const uint8_t *packet,
                                   size_t len, struct veld_super *out);

/* The same for a segment written earlier, with its flags: it is PLAIN. VELD_E_FORMAT. */
VELD_MUST_USE int veld_super_reparse(const uint8_t *packet, size_t len, uint8_t flags,
                                     struct veld_super *out);

/*
 * Make the segments of a TCP packet at most `mtu` long, cutting a PLAIN one into
 * segments too. TCP is a stream: its segments need not be what the sender made
 * them, as long as their checksums are still to be made. False, and nothing is
 * changed, for everything else and when the headers leave too little room.
 */
VELD_MUST_USE bool veld_super_lower(struct veld_super *s, size_t mtu);

/* Number of segments: 1 when PLAIN. */
size_t veld_super_segments(const struct veld_super *s);
/* Length of segment `i` as an inner packet: all but the last are equal. */
size_t veld_super_segment_len(const struct veld_super *s, size_t i);
/* Write segment `i` (veld_super_segment_len bytes) and return its VELD_FLAG_* bits. */
uint8_t veld_super_segment_write(const struct veld_super *s, size_t i, uint8_t *out);

/* ---- In: one TUN write being put together ---- */

#define VELD_JOIN_SEGMENTS_MAX 128
#define VELD_JOIN_HEADER_MAX   256 /* IP and L4 headers; segments with longer ones stay single */

struct veld_join {
    /*
     * Set by the owner, once: how many UDP segments its kernel takes in one
     * write. 0 when the TUN did not take USO (Linux < 6.2 refuses the write),
     * 64 where it did, 128 from Linux 6.9.
     */
    unsigned udp_segments_max;
    struct virtio_net_hdr hdr;
    /* [0] is `hdr`, [1] the first packet whole, then payloads: n_iov - 1 packets joined */
    unsigned n_iov;
    struct iovec iov[1 + VELD_JOIN_SEGMENTS_MAX];
    /* the rest is the builder's own */
    struct veld_super_headers headers; /* of the first packet */
    uint32_t len, len_max;             /* of the joined packet */
    unsigned n_iov_max;                /* reached: nothing may follow */
    uint16_t header_len, segment_payload;
    uint8_t last_flags; /* PSH and FIN of the last one appended: they go to the joined packet */
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
                                    uint8_t flags);
/* Mend lengths, flags and the partial checksum of the first packet and fill `hdr`. Then write iov[0..n_iov). */
void veld_join_finish(struct veld_join *j);

#endif

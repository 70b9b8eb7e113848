/*
 * One send of datagrams that stand behind one another in memory, all of one
 * size but the last, which UDP_SEGMENT cuts in the kernel; and what is to be
 * done when the kernel refuses it.
 *
 * Order of calls: begin, fill `len`, `segment`, `segments`, prepare, io's send;
 * when it fails and the remedy says so, single for each datagram and io's
 * send_now. The bytes stay until the send is told (io.h). The worker that owns it.
 */
#ifndef VELD_DATAPLANE_SEND_H
#define VELD_DATAPLANE_SEND_H

#include "dataplane/peer.h"

#define VELD_RUN_SEGMENTS 64    /* UDP_MAX_SEGMENTS before Linux 6.9 */
#define VELD_DATAGRAM_MAX 65507 /* UDP payload over IPv4, also what one send may hold */

struct veld_send {
    struct msghdr msg;
    struct iovec iov;
    /* IP_TOS or IPV6_TCLASS; UDP_SEGMENT */
    _Alignas(
        struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
    struct sockaddr_in6 to; /* a copy: the path may be gone when the send is told */
    uint32_t len;
    uint16_t segment; /* datagram length: of all but the last */
    uint16_t segments;
    uint8_t ecn; /* of the outer IP header */
    bool v4;
};

/* To where `path`, which is no circuit, leads. */
void veld_send_begin(struct veld_send *s, const struct veld_path *path, uint8_t *data,
                     uint8_t ecn);
void veld_send_prepare(struct veld_send *s);
/* Make it the datagram that begins `left` bytes before the end; `left` then is what follows. */
void veld_send_single(struct veld_send *s, uint32_t *left);

enum veld_send_remedy { VELD_SEND_COUNT, VELD_SEND_SPLIT, VELD_SEND_SPLIT_AND_STOP_OFFLOAD };
/* What to do about a failed send of several, and what to count a failed datagram under. */
enum veld_send_remedy veld_send_remedy(int result, enum veld_drop *reason);

#endif

/*
 * The UDP sockets: one a worker, all on the listen port (SO_REUSEPORT), with
 * data steered to them by lane (steering.h); and for each worker but the first a
 * socket with a port of its own, from which its lane may leave.
 *
 * Invariants:
 *  - no other process has the port: the first socket binds it alone before it
 *    is opened to its siblings;
 *  - no datagram is fragmented (DF), nor its size changed by what ICMP says: a
 *    path's MTU is found by probes (control/engine/path_mtu.h);
 
 *  - nobody should send to a lane's port; of what arrives there, a header or two
 *    of data are kept, to be noticed, and the rest takes no memory.
 *
 * Control thread, but for meta_read, which is pure.
 */
#ifndef VELD_DATAPLANE_UDP_H
#define VELD_DATAPLANE_UDP_H

#include "base/addr.h"
#include "base/err.h"
#include "dataplane/dataplane.h"

#include <sys/socket.h>

struct veld_udp {
    unsigned n;
    int fds[VELD_WORKERS_MAX];
    int lane_fds[VELD_WORKERS_MAX];        /* -1: there is none, as for worker 0 */
    uint16_t lane_ports[VELD_WORKERS_MAX]; /* 0: there is none */
    int family;                            /* AF_INET, or AF_INET6 taking IPv4 too */
    uint16_t port;
    bool segment, gro; /* the kernel has UDP_SEGMENT, UDP_GRO */
    bool steered;      /* lanes find their worker; false only where the kernel cannot */
};

/* Port 0 lets the kernel choose. On failure nothing stays open. */
VELD_MUST_USE int veld_udp_open(struct veld_udp *u, const struct veld_endpoint *listen,
                                unsigned n, struct veld_diag *diag);
void veld_udp_close(struct veld_udp *u);

/* What the kernel tells beside a receive. */
struct veld_udp_meta {
    uint32_t segment; /* datagram size, by UDP_GRO; 0: there was but one datagram */
    uint8_t ecn;      /* of the IP header; 0 where the kernel does not tell */
};
/* Room for the control messages of one receive: UDP_GRO's and IP_TOS's or IPV6_TCLASS's. */
#define VELD_UDP_CONTROL_SIZE (2 * CMSG_SPACE(sizeof(int)))
struct veld_udp_meta veld_udp_meta_read(const uint8_t *control, size_t len);

#endif

/*
 * The TUN interface: created with one queue a worker, with virtio headers and
 * the offloads that make super-packets, down and without addresses.
 *
 * Invariant: the interface is ours alone (IFF_TUN_EXCL) and lives exactly as
 * long as a queue of it is open.
 *
 * Kernel facts: USO4/USO6 from Linux 6.2; TUNSETOFFLOAD takes all flags or none.
 * Control thread.
 */
#ifndef VELD_DATAPLANE_TUN_H
#define VELD_DATAPLANE_TUN_H

#include "base/err.h"
#include "dataplane/dataplane.h"

struct veld_tun {
    unsigned n;
    int fds[VELD_WORKERS_MAX]; /* queues, non-blocking */
    char name[IF_NAMESIZE];
    unsigned ifindex;
    const char *offload;       /* what the kernel took, in words; static */
    unsigned udp_segments_max; /* of one write (super.h); 0: no UDP super-packets */
};

/* `name` may hold "%d". On failure nothing stays open. */
VELD_MUST_USE int veld_tun_open(struct veld_tun *t, const char *name, unsigned queues,
                                struct veld_diag *diag);
void veld_tun_close(struct veld_tun *t);

#endif

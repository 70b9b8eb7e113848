/*
 * A worker: one thread with its engine, TUN queue, socket, buffers and counters.
 * It reads, seals, sends, receives, opens and writes; it never waits for
 * another worker, allocates nothing after start, and survives every error.
 *
 * Order of calls, by the control thread: open, start, wake*, stop, close. stop
 * may be left out when start failed or was not called.
 */
#ifndef VELD_DATAPLANE_WORKER_H
#define VELD_DATAPLANE_WORKER_H

#include "dataplane/context.h"
#include "dataplane/io_engine.h"

struct veld_worker;

/* All borrowed; they outlive the worker. */
struct veld_worker_config {
    unsigned number;
    int tun_fd, udp_fd, event_fd;
    int lane_fd; /* its own port; -1: it has none */
    unsigned mtu, udp_segments_max;
    bool udp_segment; /* the socket knows UDP_SEGMENT */
    const struct veld_io_engine *engine;
    const struct veld_tables *tables;
    const struct veld_aead_backend *aead;
};

VELD_MUST_USE int veld_worker_open(struct veld_worker **out,
                                   const struct veld_worker_config *cfg,
                                   struct veld_diag *diag);
VELD_MUST_USE int veld_worker_start(struct veld_worker *w, struct veld_diag *diag);
/* Held packets may leave or drop: look at the tables again, soon. */
void veld_worker_wake(struct veld_worker *w);
/* Ends and joins the thread. */
void veld_worker_stop(struct veld_worker *w);
void veld_worker_close(struct veld_worker *w); /* NULL is allowed */

/* For the control thread, at any time between open and close. */
struct veld_event_queue *veld_worker_events(struct veld_worker *w);
struct veld_event_queue *veld_worker_handshakes(struct veld_worker *w);
const struct veld_counters *veld_worker_counters(const struct veld_worker *w);
/* UDP_SEGMENT is in use still, on all of its sockets. */
bool veld_worker_segments(const struct veld_worker *w);

#endif

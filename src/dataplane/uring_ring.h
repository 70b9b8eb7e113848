/*
 * Making a ring, the same way for the probe and for each worker.
 *
 * Order of calls: make, (registrations)*, enable on the thread that is to use
 * it, and liburing's io_uring_queue_exit. Between make and enable any one
 * thread; then that one alone (SINGLE_ISSUER, Linux 6.0), but for the exit.
 */
#ifndef VELD_DATAPLANE_URING_RING_H
#define VELD_DATAPLANE_URING_RING_H

#include "base/err.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* DEFER_TASKRUN is of Linux 6.1. 0 or a negative errno. */
VELD_MUST_USE int veld_uring_ring_make(struct io_uring *ring, unsigned sq_entries,
                                       unsigned cq_entries, bool defer_taskrun);
/* 0 or a negative errno. */
VELD_MUST_USE int veld_uring_ring_enable(struct io_uring *ring);

/* Newer than liburing 2.3: Linux 6.7. Into provided buffers. */
static inline void veld_uring_prep_read_multishot(struct io_uring_sqe *sqe, int fd,
                                                  uint16_t buffer_group)
{
    const int op_read_multishot = 49;
    io_uring_prep_rw(op_read_multishot, sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffer_group;
}

/* A negative errno of any of io_uring's calls, as a diagnosis with what to do. */
int veld_uring_explain(int error, struct veld_diag *diag);

#endif

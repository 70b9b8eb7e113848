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

/* DEFER_TASKRUN is of Linux 6.1. 0 or a negative errno. */
VELD_MUST_USE int veld_uring_ring_make(struct io_uring *ring, unsigned sq_entries,
                                       unsigned cq_entries, bool defer_taskrun);
/* 0 or a negative errno. */
VELD_MUST_USE int veld_uring_ring_enable(struct io_uring *ring);

/* A negative errno of any of io_uring's calls, as a diagnosis with what to do. */
int veld_uring_explain(int error, struct veld_diag *diag);

#endif

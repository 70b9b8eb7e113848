/*
 * The io_uring engine (io.h): one ring a worker.
 *
 * Reads and receives are multishot into provided buffers; sends and writes are
 * single requests that complete while they are submitted, since they never
 * wait. One io_uring_enter a turn hands over and waits.
 *
 * Invariant: a direction whose multishot ended (no buffers, an error) is armed
 * again before the next wait, after an error that repeats only every 100 ms, so
 * that neither direction stalls the other and none spins.
 *
 * Needs Linux 6.0 (multishot recvmsg); better from 6.1 (DEFER_TASKRUN) and 6.7
 * (multishot read; before that the queue is polled and read).
 */
#ifndef VELD_DATAPLANE_URING_H
#define VELD_DATAPLANE_URING_H

#include "base/err.h"
#include "dataplane/io.h"

/* Fails with VELD_E_UNSUPPORTED, VELD_E_PERM, VELD_E_NOMEM and what to do. Free by ops->close. */
VELD_MUST_USE int veld_uring_open(struct veld_io **out, const struct veld_io_config *cfg,
                                  struct veld_diag *diag);

#endif

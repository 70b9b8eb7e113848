/*
 * The io_uring engine (io.h): one ring a worker.
 *
 * Reads and receives are multishot into provided buffers; sends and writes are
 * single requests that complete while they are submitted, since they never
 * wait. One io_uring_enter a turn hands over and waits.
 *
 * Invariants:
 *  - a direction whose multishot ended (no buffers, an error) is armed again
 *    before the next wait, after an error that repeats only every 100 ms, so
 *    that neither direction stalls the other and none spins;
 *  - the submission queue holds all that may be queued (io.h's bounds). While
 *    the kernel takes no requests they stay there, in order, and nothing more is
 *    queued because nothing is told; each wait offers them again;
 *  - after stop the kernel holds no file of ours.
 *
 * Needs Linux 6.0 (multishot recvmsg); better from 6.1 (DEFER_TASKRUN) and 6.8
 * (multishot read; before that the queue is polled and read).
 */
#ifndef VELD_DATAPLANE_URING_H
#define VELD_DATAPLANE_URING_H

#include "base/err.h"
#include "dataplane/io.h"

/* What of io_uring is used beyond what every ring of ours needs. */
struct veld_uring_features {
    bool defer_taskrun;  /* completions are made in our own wait, on our own core */
    bool read_multishot; /* else the TUN queue is polled and read */
    bool fixed_files;    /* registered, so that no request looks its file up */
};

/*
 * Try on a ring of its own what the engine will do, and tell what is there: a
 * kernel may know a request and an administrator or a sandbox still forbid it.
 * Fails with VELD_E_UNSUPPORTED, VELD_E_PERM, VELD_E_NOMEM, VELD_E_IO and what
 * to do. Starts no thread, leaves nothing.
 */
VELD_MUST_USE int veld_uring_probe(struct veld_uring_features *out, struct veld_diag *diag);

/* `use` as probed, or less. Fails as probe does. Free by ops->close. */
VELD_MUST_USE int veld_uring_open(struct veld_io **out, const struct veld_io_config *cfg,
                                  const struct veld_uring_features *use,
                                  struct veld_diag *diag);

#endif

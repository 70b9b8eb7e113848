/*
 * The poll engine (io.h): ppoll, recvmmsg and sendmmsg on the socket, read and
 * writev on the TUN queue. For kernels whose io_uring is missing, too old or
 * forbidden; needs Linux 3.0, and UDP_SEGMENT (4.18) and UDP_GRO (5.0) like the
 * other to be fast.
 *
 * A way in is read until it says that it is empty, and only then asked about by
 * ppoll again. Sends gather until the next wait and leave by one call; a write
 * happens at once, since the kernel has no call for several.
 *
 * Invariant: no call blocks but ppoll, and that only when there is nothing to
 * tell and no way in is known to hold anything.
 */
#ifndef VELD_DATAPLANE_POLL_ENGINE_H
#define VELD_DATAPLANE_POLL_ENGINE_H

#include "base/err.h"
#include "dataplane/io.h"

/* Fails with VELD_E_NOMEM. Free by ops->close. */
VELD_MUST_USE int veld_poll_open(struct veld_io **out, const struct veld_io_config *cfg,
                                 struct veld_diag *diag);

#endif

/*
 * Which engine (io.h) carries a daemon's packets: asked for or found out, once,
 * before the first worker is opened.
 *
 * Control thread.
 */
#ifndef VELD_DATAPLANE_IO_ENGINE_H
#define VELD_DATAPLANE_IO_ENGINE_H

#include "dataplane/dataplane.h"
#include "dataplane/io.h"
#include "dataplane/uring.h"

struct veld_io_engine {
    enum veld_dataplane_engine kind; /* never AUTO */
    char features[64];               /* what of the kernel it uses, for people */
    struct veld_uring_features uring;
};

/*
 * AUTO takes io_uring when a probe says that it works, else poll, and logs why.
 * io_uring asked for and not to be had fails with VELD_E_UNSUPPORTED, VELD_E_PERM
 * or VELD_E_NOMEM, and what to do.
 */
VELD_MUST_USE int veld_io_engine_choose(struct veld_io_engine *out,
                                        enum veld_dataplane_engine wanted,
                                        struct veld_diag *diag);

/* Free by ops->close. */
VELD_MUST_USE int veld_io_engine_open(const struct veld_io_engine *e, struct veld_io **out,
                                      const struct veld_io_config *cfg, struct veld_diag *diag);

#endif

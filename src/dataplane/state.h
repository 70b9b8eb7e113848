/*
 * The dataplane as the control thread holds it: what the files behind
 * dataplane.h share, and nobody else includes.
 */
#ifndef VELD_DATAPLANE_STATE_H
#define VELD_DATAPLANE_STATE_H

#include "dataplane/dataplane.h"
#include "dataplane/context.h"
#include "dataplane/io_engine.h"
#include "dataplane/tun.h"
#include "dataplane/udp.h"
#include "dataplane/worker.h"

#include <assert.h>

struct veld_dataplane {
    pthread_t owner; /* the control thread */
    struct veld_tables tables;
    struct veld_tun tun;
    struct veld_udp udp;
    struct veld_io_engine engine; /* the workers' */
    const struct veld_aead_backend *aead;
    struct veld_aead_ctx *aead_ctx; /* for what control seals */
    struct veld_counters counters;  /* of what control sends */
    int event_fd;
    unsigned next_queue; /* where next_event begins, so that no worker starves another */
    unsigned n_workers;
    struct veld_worker *workers[VELD_WORKERS_MAX];
    bool running;
};

/* Every function of dataplane.h begins with it. */
static inline void veld_dataplane_check(const struct veld_dataplane *dp)
{
    assert(pthread_equal(dp->owner, pthread_self()));
    (void)dp;
}

/* Lines of activity a peer has: one a worker, the last one control's. */
static inline unsigned veld_dataplane_threads(const struct veld_dataplane *dp)
{
    return dp->n_workers + 1;
}

#endif

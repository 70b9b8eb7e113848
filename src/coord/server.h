/*
 * The coord server on the network: gRPC over TLS in front of service.h.
 *
 * One thread, the caller of run, owns the service. A turn of its loop takes what
 * has come (TURN_EVENTS_MAX of it at most), has the service do it, commits once,
 * and then sends the replies and what watchers are to know: many registrations
 * share one fsync.
 *
 * Invariants:
 *  - no reply leaves before what it says is durable;
 *  - a watch has one message on its way at a time; the next is asked for when the
 *    network has taken that one, so that what changes meanwhile is told as one;
 *  - calls, connections, sizes and times have the bounds of bounds.h.
 *
 * Order of calls: open, run, close. stop and get_stats: any thread; stop from a
 * signal handler too.
 */
#ifndef VELD_COORD_SERVER_H
#define VELD_COORD_SERVER_H

#include "coord/gate.h"
#include "coord/http2_filter.h"
#include "coord/bounds.h"
#include "coord/listen.h"
#include "coord/service.h"
#include "coord/tls.h"

struct veld_server;

/* Borrowed until close. */
struct veld_server_config {
    struct veld_service *service;
    const struct veld_tls *tls;
    const struct veld_listeners *listeners;
    struct veld_coord_limits limits;
};
/* Serves from here on; what comes before run waits. */
VELD_MUST_USE int veld_server_open(struct veld_server **out,
                                   const struct veld_server_config *cfg,
                                   struct veld_diag *diag);
/* Until stop was called and all is answered, VELD_COORD_STOP_S after that at the latest. */
void veld_server_run(struct veld_server *s);
void veld_server_stop(struct veld_server *s);
void veld_server_close(struct veld_server *s); /* NULL is allowed */

struct veld_server_stats {
    struct veld_service_stats service; /* a second old at most */
    struct veld_gate_stats gate;
    uint64_t faults[VELD_HTTP2_FAULTS];  /* connections broken off, by what they sent */
    uint64_t calls;                      /* that came, of every kind */
    uint64_t calls_late;                 /* ended for not being received, or taken, in time */
    uint64_t calls_refused;              /* for too many in flight */
    uint64_t calls_open;                 /* watches aside */
    uint64_t watches_open, watches_slow; /* slow: ended for not taking what they were sent */
    uint64_t turns, commits_failed;
};
void veld_server_get_stats(struct veld_server *s, struct veld_server_stats *out);

#endif

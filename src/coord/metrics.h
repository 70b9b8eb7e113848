/*
 * Numbers for Prometheus: GET /metrics over plain HTTP, on an address of its own.
 *
 * What is told is a copy that the server's loop publishes once a second, so that
 * asking costs the loop nothing. Threads: open and close are main's; requests are
 * answered on a thread of its own.
 */
#ifndef VELD_COORD_METRICS_H
#define VELD_COORD_METRICS_H

#include "coord/listen.h"
#include "coord/server.h"
#include "coord/stun_server.h"

struct veld_metrics;

/* Borrowed until close. `stun` NULL: there is none. */
struct veld_metrics_source {
    struct veld_server *server;
    const struct veld_stun_server *stun;
};
/* Takes over `listeners`, also when it fails. */
VELD_MUST_USE int veld_metrics_open(struct veld_metrics **out, struct veld_listeners *listeners,
                                    const struct veld_metrics_source *source,
                                    struct veld_diag *diag);
void veld_metrics_close(struct veld_metrics *m); /* NULL is allowed */

struct veld_metrics_numbers {
    struct veld_server_stats server;
    struct veld_stun_stats stun;
};
/* Prometheus' text of `s`; the caller frees it. NULL: out of memory. */
char *veld_metrics_text(const struct veld_metrics_numbers *s, size_t *len);

#endif

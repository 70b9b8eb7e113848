/*
 * The status document: one description of a running daemon, gathered by
 * control and turned into JSON here, and nowhere else. `version` is its shape's
 * number; a change of shape changes it.
 *
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_API_STATUS_H
#define VELD_CONTROL_API_STATUS_H

#include "control/config/config.h"
#include "control/engine/engine.h"
#include "dataplane/dataplane.h"

#include <jansson.h>
#include <sys/types.h>

#define VELD_STATUS_VERSION 1

struct veld_status_peer {
    const struct veld_config_peer *config;
    struct veld_peer_info info;
    struct veld_activity activity;
    unsigned lane_ports; /* lanes that leave by a port of their own */
};

struct veld_status {
    const struct veld_config *config;
    const uint8_t *pub; /* 32 bytes */
    pid_t pid;
    uint64_t started_wall_ns;
    struct veld_dataplane_info dataplane;
    struct veld_dataplane_stats dataplane_stats;
    const struct veld_dataplane_worker *workers; /* dataplane.workers of them */
    struct veld_engine_stats engine_stats;
    char dns_server[VELD_IP_STRLEN]; /* "-" when off */
    const char *dns_method;
    const struct veld_status_peer *peers;
    size_t n_peers;
    const char *const *health; /* sentences: what is wrong and the command that mends it */
    size_t n_health;
};

/* A new reference, or NULL when out of memory. */
json_t *veld_status_json(const struct veld_status *s);

#endif

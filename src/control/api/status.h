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
#include "control/reach/why.h"
#include "dataplane/dataplane.h"

#include <jansson.h>
#include <sys/types.h>

#define VELD_STATUS_VERSION 1

struct veld_status_peer {
    const struct veld_config_peer *config;
    const char *blocked;    /* of a member: why it is; NULL: see the state */
    bool is_member, online; /* online: as the coord server says */
    bool offline;           /* the same; neither while it cannot be asked */
    uint64_t last_seen_s;   /* by the coord server; 0: not known */
    enum veld_why why;      /* it is not reached; NONE: it is, or nobody wants it */
    struct veld_why_facts facts;
    struct veld_peer_info info;
    struct veld_activity activity;
    const char *relay;   /* the path leads through this one; NULL: it is direct; borrowed */
    unsigned lane_ports; /* lanes that leave by a port of their own */
};

/* A route that a member offers and this machine does not use. */
struct veld_status_route {
    struct veld_prefix prefix;
    const char *peer, *reason, *text;
    const char *taken_by; /* NULL: nobody */
};

/* What there is of a network with a coord server. Names and sentences are borrowed. */
struct veld_status_mesh {
    const char *network;
    const char *id;   /* of the network, as people compare it */
    const char *ipv4; /* as leased */
    size_t members, online;
    uint64_t revocation_epoch;
    size_t n_revoked;
    const char *coord, *coord_state;
    uint64_t coord_since_wall_ns;
    const char *coord_error; /* "": none */
    int64_t skew_ns;
    uint64_t revision, connections;
    struct veld_status_refused {
        const char *name;
        uint64_t count;
    } refused[32]; /* by reason */
    size_t n_refused;
    const struct veld_status_route *routes; /* not in use; the first of n_routes_refused */
    size_t n_routes, n_routes_refused;
    const char *health[16]; /* sentences */
    size_t n_health;
};

/* This machine as a relay for others. */
struct veld_status_relaying {
    bool enabled;
    unsigned circuits, half_open;
    uint64_t refused, ignored; /* requests: not granted, and too many to be answered */
};

struct veld_status {
    const struct veld_config *config;
    const uint8_t *pub; /* 32 bytes */
    pid_t pid;
    uint64_t started_wall_ns, now_wall_ns;
    struct veld_dataplane_info dataplane;
    struct veld_dataplane_stats dataplane_stats;
    const struct veld_dataplane_worker *workers; /* dataplane.workers of them */
    struct veld_engine_stats engine_stats;
    struct veld_status_relaying relaying;
    char dns_server[VELD_IP_STRLEN]; /* "-" when off */
    const char *dns_method;
    const struct veld_status_peer *peers;
    size_t n_peers;
    bool settled;                        /* routes and names follow the peers that are listed */
    const struct veld_status_mesh *mesh; /* NULL: there is none */
    const char *const *health; /* sentences: what is wrong and the command that mends it */
    size_t n_health;
};

/* A new reference, or NULL when out of memory. */
json_t *veld_status_json(const struct veld_status *s);

#endif

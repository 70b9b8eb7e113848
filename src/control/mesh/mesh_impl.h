/*
 * What the files of the mesh share. Nobody else includes it.
 *
 *   mesh.c          start and stop; what comes of the intake
 *   mesh_files.c    from files to the configuration, and again
 *   mesh_peers.c    members become peers
 *   mesh_routes.c   which of their routes are used
 *   mesh_record.c   this machine's own record
 *   mesh_asked.c    a request for more routes that still waits
 *   mesh_calls.c    signals between members
 *   mesh_trust.c    pins: at handshakes, and by the user
 *   mesh_revoked.c  revocations, from the server and from members
 *   mesh_status.c   the status document and health
 */
#ifndef VELD_CONTROL_MESH_MESH_IMPL_H
#define VELD_CONTROL_MESH_MESH_IMPL_H

#include "control/host/addresses.h"
#include "control/mesh/cache.h"
#include "control/mesh/endpoints.h"
#include "control/mesh/link.h"
#include "control/mesh/mesh.h"
#include "control/mesh/policy.h"
#include "control/mesh/signals.h"
#include "control/mesh/spread.h"
#include "control/peers.h"
#include "control/reach/self.h"
#include "profile/profile.h"

#include <gio/gio.h>

#define VELD_MESH_COORD_ADDRS_MAX  16
#define VELD_MESH_ROUTES_SHOWN_MAX 256
#define VELD_MESH_HEALTH_MAX       12
#define VELD_MESH_APPROVAL_STRLEN  512

/* A member that is a peer. */
struct veld_mesh_peer {
    uint8_t pub[32];
    uint32_t id;
    bool blocked;
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX]; /* in use */
    size_t n_routes;
    struct veld_endpoint called_from[VELD_MEMBER_ENDPOINTS_MAX]; /* of its last call */
    size_t n_called_from;
    uint8_t called_through[VELD_MEMBER_RELAYS_MAX][32]; /* as its last call says; P each */
    size_t n_called_through;
    uint64_t called_sequence; /* of its record then: a later one counts before the call */
};

/* A route that is not in use, for the status. */
struct veld_mesh_route {
    struct veld_prefix prefix;
    enum veld_route_verdict verdict;
    char member[VELD_LABEL_MAX + 1], taken_by[VELD_LABEL_MAX + 1];
};

struct veld_mesh {
    char *state_dir;
    const struct veld_identity *identity;
    struct veld_config *config;
    struct veld_control_network network; /* for the control */

    /* From files. */
    struct veld_profile profile;
    struct veld_blob signed_network;
    struct veld_settings settings;
    char *ca; /* PEM; NULL: the certificate is pinned */
    struct veld_revocations *revoked;
    bool self_revoked;
    struct veld_ip lease; /* as the server last gave it; in effect from the next start on */

    /* A request that waits for its answer; mesh_asked.c. */
    bool asks;
    bool asked_relay;               /* which is not allowed yet */
    struct veld_prefix asked_route; /* the first that is not allowed yet; family 0: none */
    char asked_approval[VELD_MESH_APPROVAL_STRLEN]; /* "veld approve CODE --routes ..." */
    uint64_t asked_ns;                              /* 0: not yet */

    /* Handing the list on; mesh_revoked.c. */
    struct veld_spread *spread;
    guint spread_source, hand_in_source; /* 0: none */
    struct veld_blob offered;            /* by a member, when the intake had no room */
    uint64_t offered_epoch;
    uint32_t offered_by;
    uint64_t server_epoch; /* of the list that the server is known to have */
    uint64_t connections;  /* of the link, that were looked at */

    struct veld_pins *pins;
    struct veld_members *members;
    struct veld_signals *signals;
    struct veld_cache *cache;
    struct veld_intake *intake;
    struct veld_link *link;
    struct veld_control *control; /* between start and stop */
    GThread *feeder;              /* reads the cache into the intake */
    struct veld_blob cached;      /* what it reads */
    uint64_t cached_revision;
    bool cache_whole; /* nothing of it was refused */

    /* Members as peers; mesh_peers.c. */
    GHashTable *peers; /* P -> struct veld_mesh_peer, owned */
    GHashTable *by_id; /* id -> the same */

    /* Own record; mesh_record.c. */
    struct veld_self *self; /* the control's */
    uint16_t port;
    struct veld_prefix addrs[VELD_HOST_ADDRS_MAX]; /* of this host */
    size_t n_addrs;
    struct veld_prefix networks[2]; /* the network's own ranges */
    struct veld_record record;      /* as published, or to be */

    /* Routes; mesh_routes.c. */
    struct veld_ip coord[VELD_MESH_COORD_ADDRS_MAX];
    size_t n_coord;
    GCancellable *resolving;
    GArray *used_routes;    /* of struct veld_prefix: a cover of all members' */
    GArray *refused_routes; /* of struct veld_mesh_route */
    size_t n_routes_refused;

    uint64_t revision;                    /* of the watch; complete up to it */
    uint64_t refused[VELD_REFUSAL_COUNT]; /* since the start */
    uint64_t lies;                        /* of these, what no honest server would have sent */
    uint64_t lies_in_watch;
    enum veld_refusal last_lie;
    bool cache_dirty;
    uint64_t cached_ns; /* when it was last stored */
    struct veld_diag pins_problem;
    guint tick, judge, drain, save_pins, publish; /* sources; 0: none */
    uint64_t published_ns; /* when the record was last looked at for a change of ours */

    /* What the last status document borrows. */
    char id_text[VELD_NETWORK_TEXT_STRLEN], lease_text[VELD_IP_STRLEN];
    struct veld_diag health[VELD_MESH_HEALTH_MAX];
    struct veld_status_route *shown_routes;
};

static inline uint64_t veld_mesh_now_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

/* mesh_files.c */
VELD_MUST_USE int veld_mesh_files_open(struct veld_mesh *m, struct veld_diag *diag);

/* mesh_peers.c */
/* Look again at whom the table says; not from inside a hook. */
void veld_mesh_drain(struct veld_mesh *m);
/* The same, from the main loop. */
void veld_mesh_drain_soon(struct veld_mesh *m);
/* Look again at one, whatever the table says. */
void veld_mesh_reconcile(struct veld_mesh *m, const uint8_t pub[32]);
void veld_mesh_reconcile_all(struct veld_mesh *m);
/* Unlisted members whose last session ended. */
void veld_mesh_forget_idle(struct veld_mesh *m);
struct veld_mesh_peer *veld_mesh_peer_of(const struct veld_mesh *m, const uint8_t pub[32]);
/* NULL: it is no peer any more. */
const struct veld_member *veld_mesh_member_of_id(const struct veld_mesh *m, uint32_t id);

/* mesh_routes.c */
void veld_mesh_judge_soon(struct veld_mesh *m);
void veld_mesh_judge(struct veld_mesh *m);
void veld_mesh_resolve_coord(struct veld_mesh *m);

/* mesh_record.c */
/* This machine's addresses as the control has them now. */
void veld_mesh_read_addresses(struct veld_mesh *m);
struct veld_endpoints_from veld_mesh_endpoints_from(const struct veld_mesh *m);
/* Own candidates, lease or offered routes changed. True when the record is another one. */
bool veld_mesh_refresh_record(struct veld_mesh *m);
VELD_MUST_USE int veld_mesh_sign_record(void *ctx, struct veld_blob *out, struct veld_ip *want);
bool veld_mesh_on_registered(void *ctx, const struct veld_registered *r);

/* mesh_asked.c */
/* The request in the folder was filed or withdrawn: what is said of it follows at once. */
void veld_mesh_look_at_request(struct veld_mesh *m);
/* Whatever waits in the folder; not too often. */
void veld_mesh_ask_after_request(struct veld_mesh *m);
void veld_mesh_on_answer(void *ctx, enum veld_coord_join state, const struct veld_blob *chain);

/* mesh_calls.c */
void veld_mesh_on_wanted(void *ctx, uint32_t id);
void veld_mesh_on_signal(struct veld_mesh *m, const struct veld_event_signal *s);

/* mesh_trust.c */
bool veld_mesh_may_use(void *ctx, uint32_t id);
void veld_mesh_save_pins(struct veld_mesh *m);

/* mesh_revoked.c */
VELD_MUST_USE int veld_mesh_spread_start(struct veld_mesh *m);
void veld_mesh_spread_stop(struct veld_mesh *m);
/* Takes `list` over, which was verified. */
void veld_mesh_adopt_revocations(struct veld_mesh *m, struct veld_revocations *list);
/* A list to be verified, and how it was. */
#define VELD_MESH_FROM_SERVER UINT64_MAX
void veld_mesh_on_list(struct veld_mesh *m, const struct veld_blob *list);
void veld_mesh_on_verified(struct veld_mesh *m, struct veld_intake_result *r);
void veld_mesh_on_connected(struct veld_mesh *m);
void veld_mesh_on_use(void *ctx, uint32_t id);
void veld_mesh_on_message(void *ctx, uint32_t id, const struct veld_message *msg);

/* mesh.c */
void veld_mesh_refuse(struct veld_mesh *m, enum veld_refusal why);
/* It came from the coord server, so often. */
void veld_mesh_refuse_server(struct veld_mesh *m, enum veld_refusal why, uint32_t n);

#endif

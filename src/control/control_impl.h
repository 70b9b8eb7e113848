/*
 * What the files of the control thread share: the struct and the few calls
 * between them. Nobody else includes it.
 *
 *   control.c   start order, stop order, the main loop's sources
 *   calls.c     peers called after a start or an address change
 *   driver.c    engine actions carried out, dataplane events fed to the engine
 *   rekeys.c    requests for new session keys that wait for their handshakes
 *   lane_ports.c lanes that leave by a port of their own
 *   pings.c     pings that wait for their pong
 *   peers.c     configured peers by what people type
 *   report.c    the status document and health
 *
 * Each uses only those below it.
 */
#ifndef VELD_CONTROL_CONTROL_IMPL_H
#define VELD_CONTROL_CONTROL_IMPL_H

#include "control/api/api.h"
#include "control/control.h"
#include "control/names/dns.h"
#include "control/engine/engine.h"
#include "control/host/journal.h"
#include "control/host/netif.h"
#include "control/host/netif_watch.h"
#include "control/names/resolver.h"
#include "dataplane/dataplane.h"

#include <glib.h>

#define PINGS_MAX      64
#define PING_TIMEOUT_S 5
#define REKEYS_MAX     8
/* A lost initiation or response is repeated after 5 s. Less than `veld` waits for an answer. */
#define REKEY_TIMEOUT_S 10

struct control_peer {
    uint32_t config_index;         /* into config->peers */
    uint32_t sessions;             /* installed and not retired */
    uint32_t live_index;           /* into `live` while sessions > 0 */
    bool connected;                /* a session was used since the last give-up: for the log */
    struct veld_endpoint endpoint; /* as the engine last set it; family 0: as configured */
};

struct control_ping {
    struct veld_api_request *request; /* NULL: free place */
    uint32_t peer;
    uint64_t deadline_ns;
};

struct veld_rekey_item; /* rekeys.c */
struct control_rekey {
    struct veld_api_request *request; /* NULL: free place */
    uint64_t deadline_ns;
    struct veld_rekey_item *items; /* by peer; owned */
    size_t n, begun, open;
};

struct veld_control {
    const struct veld_config *config;
    struct veld_state *state;
    const struct veld_identity *identity;
    GMainLoop *loop;
    uint64_t started_wall_ns;

    struct veld_engine *engine;
    struct veld_dataplane *dataplane;
    struct veld_journal *journal;
    struct veld_netif *netif;
    struct veld_netif_watch *watch;
    struct veld_dns_server *dns;
    struct veld_resolver *resolver;
    struct veld_api *api;
    char names_problem[sizeof(struct veld_diag)]; /* why names do not work; empty: they do */

    struct control_peer *peers; /* by engine id */
    uint32_t *by_config;        /* engine id of config->peers[i] */
    uint32_t *live;             /* engine ids with sessions */
    size_t n_live;

    struct control_ping pings[PINGS_MAX];
    struct control_rekey rekeys[REKEYS_MAX];
    guint rekey_source;      /* 0: none is under way */
    GHashTable *lane_proofs; /* by engine id: a struct veld_lane_proof of who is sent to */
    uint32_t *to_call;       /* engine ids still to be called after a start */
    size_t n_to_call;

    uint64_t cookies_made_ns;      /* of the secret that workers have; 0: none made yet */
    struct veld_event refused;     /* TOO_BIG: a probe of the step under way; else none */
    uint64_t unsaved_timestamp_ns; /* a floor that could not be made durable; 0: none */
    guint save_source;             /* 0: nothing to save */
    GSource *timer;
    guint sources[8];
    size_t n_sources;
};

/* peers.c */
const struct veld_config_peer *veld_control_peer_config(const struct veld_control *c,
                                                        uint32_t id);
const char *veld_control_peer_name(const struct veld_control *c, uint32_t id, char out[64]);
/* By name, full name, address or public key, as people type it. */
bool veld_control_peer_find(const struct veld_control *c, const char *text, uint32_t *id);

/* pings.c */
VELD_MUST_USE int veld_pings_add(struct veld_control *c, uint32_t peer,
                                 struct veld_api_request *req, struct veld_diag *diag);
void veld_pings_on_pong(struct veld_control *c, const struct veld_action *pong);
void veld_pings_expire(struct veld_control *c, uint64_t now_ns);

/* rekeys.c */
/* New keys with these `n` peers (copied); the answer comes when all have them, or in time. */
VELD_MUST_USE int veld_rekeys_add(struct veld_control *c, const uint32_t *peers, size_t n,
                                  struct veld_api_request *req, struct veld_diag *diag);
/* A new session with `peer` is in use. */
void veld_rekeys_on_use(struct veld_control *c, uint32_t peer);
/* The daemon stops: answer what is owed. */
void veld_rekeys_end(struct veld_control *c);

/* lane_ports.c */
/* Twice a second. */
void veld_lane_ports_tick(struct veld_control *c);
/* A VELD_DP_MESSAGE, which goes to the engine as well. */
void veld_lane_ports_on_message(struct veld_control *c, const struct veld_dataplane_event *ev);
/* The peer's endpoint changed, or it has no session any more. */
void veld_lane_ports_forget(struct veld_control *c, uint32_t peer);
/* This machine's addresses changed. */
void veld_lane_ports_forget_all(struct veld_control *c);

/* driver.c */
/* What veld_engine_step returned. */
int veld_control_step(struct veld_control *c, const struct veld_event *ev);
void veld_control_take_events(struct veld_control *c);
void veld_control_run_timers(struct veld_control *c);
void veld_control_feed_activity(struct veld_control *c);
void veld_control_save_endpoints(struct veld_control *c);

/* calls.c */
VELD_MUST_USE int veld_control_plan_calls(struct veld_control *c);
void veld_control_call_some(struct veld_control *c);
/* This machine's addresses changed: show every live peer where we are now. */
void veld_control_on_address_change(void *ctx);

/* report.c */
json_t *veld_control_status(void *ctx);

#endif

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
 *   peers.c     peers enter, change and leave
 *   publish.c   routes and names of the peers there are
 *   reach/exchange.c candidates told in sessions
 *   reach/relaying.c this machine as a relay for others
 *   reach/self_stun.c where STUN servers see this machine
 *   reach/relays.c circuits through relays, and homes
 *   reach/portmap.c a port mapping of the gateway's
 *   reach/netcheck.c a look at this machine's reach
 *   lan/lan.c   peers found on the links of this machine
 *   report.c    the status document and health
 *   peer_list.c the list of them, and what people call them
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
#include "control/lan/mode.h"
#include "control/mesh/endpoints.h"
#include "control/mesh/mesh.h"
#include "control/names/resolver.h"
#include "control/peer_list.h"
#include "control/peers.h"
#include "control/reach/candidates.h"
#include "control/reach/known.h"
#include "control/reach/self.h"
#include "control/reach/stun_client.h"
#include "control/reach/volunteer.h"
#include "dataplane/dataplane.h"

#include <glib.h>

#define PINGS_MAX      64
#define PING_TIMEOUT_S 5
#define REKEYS_MAX     8
/* A lost initiation or response is repeated after 5 s. Less than `veld` waits for an answer. */
#define REKEY_TIMEOUT_S 10

/* What is said of a blocked peer, after its name and "is " or ": ". */
#define VELD_BLOCKED_TEXT "blocked: its key changed"

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

/* publish.c */
struct veld_publish {
    guint due_source;           /* 0: what was published holds */
    uint64_t cost_ns;           /* of the last time */
    size_t n_unusable;          /* told of */
    struct veld_prefix *kernel; /* what the kernel was last asked for; owned */
    size_t n_kernel;
    struct veld_netif_fit *fit; /* under way; NULL: none is */
    guint fit_source, again_source;
    struct veld_diag problem; /* what was left out; empty: nothing */
};

/* calls.c */
struct veld_calls {
    struct veld_state_endpoint *last; /* where peers were in the last run; sorted by P; owned */
    size_t n_last;
    uint32_t *ids; /* still to be called */
    size_t n;
    guint source; /* 0: nobody is called */
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

    struct veld_mesh *mesh; /* NULL: peers are the configuration's */
    struct veld_peer_list peers;
    struct veld_known *known;           /* where they may be */
    struct veld_self *self;             /* where we may be reached */
    struct veld_self_stun *self_stun;   /* NULL before the start and after the stop */
    struct veld_portmap *portmap;       /* likewise */
    struct veld_netcheck *netcheck;     /* under way; NULL: none is */
    struct veld_candidates *candidates; /* the same, as peers are told in sessions */
    struct veld_circuit_numbers
        *circuit_numbers; /* of all circuits here, our own and others' */
    struct veld_volunteer *volunteer;
    guint relaying_source;          /* 0: its tick comes in its time */
    struct veld_relays *relays;     /* NULL before the start and after the stop */
    struct veld_lan *lan;           /* NULL: it is not looked for others */
    struct veld_lan_mode *lan_mode; /* NULL: devices that are no peers do not matter */
    struct veld_control_hooks hooks;
    bool in_step;      /* actions of the engine are carried out: it must not be called */
    uint32_t to_block; /* whose session was not to be used; UINT32_MAX: nobody's */
    struct veld_publish publish;

    struct control_ping pings[PINGS_MAX];
    struct control_rekey rekeys[REKEYS_MAX];
    guint rekey_source;      /* 0: none is under way */
    GHashTable *lane_proofs; /* by engine id: a struct veld_lane_proof of who is sent to */
    struct veld_calls calls;

    uint64_t cookies_made_ns;      /* of the secret that workers have; 0: none made yet */
    struct veld_event refused;     /* TOO_BIG: a probe of the step under way; else none */
    uint64_t unsaved_timestamp_ns; /* a floor that could not be made durable; 0: none */
    guint save_source;             /* 0: nothing to save */
    GSource *timer;
    guint sources[8];
    size_t n_sources;
};

/* peers.c; the rest is in peers.h */
VELD_MUST_USE int veld_peers_add_configured(struct veld_control *c, struct veld_diag *diag);
const char *veld_control_peer_name(const struct veld_control *c, uint32_t id, char out[64]);
/* A connection with it is kept, beside what is configured; 0: no longer. */
void veld_peers_set_home(struct veld_control *c, uint32_t id, uint16_t keepalive_s);

/* publish.c */
/* Everything at once, by a configuration that must hold. */
VELD_MUST_USE int veld_publish_start(struct veld_control *c, struct veld_diag *diag);
/* Something of a peer changed: once, a while from now. */
void veld_publish_soon(struct veld_control *c);
/* This machine's own routes may have changed: look again which of ours can be had. */
void veld_publish_kernel_again(struct veld_control *c);
void veld_publish_stop(struct veld_control *c);
/* NULL when out of memory. */
struct veld_dns_table *veld_publish_names(const struct veld_control *c);

/* pings.c */
VELD_MUST_USE int veld_pings_add(struct veld_control *c, uint32_t peer,
                                 struct veld_api_request *req, struct veld_diag *diag);
void veld_pings_on_pong(struct veld_control *c, const struct veld_action *pong);
void veld_pings_expire(struct veld_control *c, uint64_t now_ns);
/* Answer whoever waits for this peer: NAME: `why`. */
void veld_pings_fail(struct veld_control *c, uint32_t peer, const char *why);

/* rekeys.c */
/* New keys with these `n` peers (copied); the answer comes when all have them, or in time. */
VELD_MUST_USE int veld_rekeys_add(struct veld_control *c, const uint32_t *peers, size_t n,
                                  struct veld_api_request *req, struct veld_diag *diag);
/* A new session with `peer` is in use. */
void veld_rekeys_on_use(struct veld_control *c, uint32_t peer);
/* There will be none. */
void veld_rekeys_fail(struct veld_control *c, uint32_t peer, const char *why);
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

/* reach/exchange.c */
/* Where this machine may be reached is known, or another. */
void veld_exchange_on_self_change(struct veld_control *c);
/* A session with the peer is used, or has new keys. */
void veld_exchange_on_use(struct veld_control *c, uint32_t peer);
/* Twice a second: who is owed the list gets it. */
void veld_exchange_tick(struct veld_control *c);
/* VELD_MSG_CANDIDATES, from a peer that may be used. */
void veld_exchange_on_message(struct veld_control *c, uint32_t peer,
                              const struct veld_message *m);

/* This machine, for what others say where they are (mesh/endpoints.h); good until the next change. */
struct veld_endpoints_from veld_exchange_own_endpoints(const struct veld_control *c);

/* reach/relaying.c */
void veld_relaying_start(struct veld_control *c);
/* Circuits end, and their members are told. */
void veld_relaying_stop(struct veld_control *c);
void veld_relaying_free(struct veld_control *c);
/* VELD_MSG_CIRCUIT_*, from a peer that may be used. */
void veld_relaying_on_message(struct veld_control *c, uint32_t peer,
                              const struct veld_endpoint *from, const struct veld_message *m);
/* A session with the peer is used, or has new keys. */
void veld_relaying_on_use(struct veld_control *c, uint32_t peer);
/* The peer has another endpoint. */
void veld_relaying_on_move(struct veld_control *c, uint32_t peer);
/* Its last session is over. */
void veld_relaying_peer_left(struct veld_control *c, uint32_t peer);
/* It is about to be removed or blocked. */
void veld_relaying_peer_gone(struct veld_control *c, uint32_t peer);
/* Twice a second. */
void veld_relaying_tick(struct veld_control *c);

/* reach/relays.c */
void veld_relays_start(struct veld_control *c);
void veld_relays_stop(struct veld_control *c);
/* A peer is sought, and relays may lead to it. */
void veld_relays_on_wanted(struct veld_control *c, uint32_t peer);
/* A session with the peer is used, or has new keys. */
void veld_relays_on_use(struct veld_control *c, uint32_t peer);
/* OPENED, OFFER, REFUSED, CLOSE, from a peer that may be used. */
void veld_relays_on_message(struct veld_control *c, uint32_t relay,
                            const struct veld_message *m);
/* Of relays that may lead to the peer, whether there are any, and what became of circuits. */
void veld_relays_look(const struct veld_control *c, uint32_t peer, struct veld_why_facts *out);
/* Twice a second. */
void veld_relays_tick(struct veld_control *c);
/* It is removed or blocked. */
void veld_relays_peer_gone(struct veld_control *c, uint32_t id);
#define VELD_RELAYS_PATH_STRLEN 80
/* The likeliest `max` of the network's relays; how many. */
size_t veld_relays_list(const struct veld_control *c, uint32_t *out, size_t max);
/* Its session sends, and to an address. */
bool veld_relays_is_connected(const struct veld_control *c, uint32_t id,
                              struct veld_peer_info *info);
/* The name of the relay that this endpoint leads through; NULL: it is an address. Good until the peer changes. */
const char *veld_relays_name(const struct veld_control *c, const struct veld_endpoint *at);
/* "homes": [NAME, ...], and how many "circuits" this machine has asked for, into `reach`. */
void veld_relays_describe(const struct veld_control *c, json_t *reach);
/* "direct IP:PORT", "relay NAME": returns `out`. */
const char *veld_relays_path(const struct veld_control *c, const struct veld_endpoint *at,
                             char out[VELD_RELAYS_PATH_STRLEN]);

/* reach/why_facts.c */
/* Of a peer that is in no session; `p` has what the mesh says of it. */
void veld_why_look(const struct veld_control *c, uint32_t id, const struct veld_status_peer *p,
                   struct veld_why_facts *out);

/* reach/self_stun.c */
void veld_self_stun_start(struct veld_control *c);
void veld_self_stun_stop(struct veld_control *c);
/* A new round, soon. */
void veld_self_stun_ask(struct veld_control *c);
/* A peer is sought, and shall be told where we are seen now. */
void veld_self_stun_on_wanted(struct veld_control *c);
void veld_self_stun_on_address_change(struct veld_control *c);
/* Twice a second. */
void veld_self_stun_tick(struct veld_control *c);
/* A VELD_DP_STUN. */
void veld_self_stun_on_event(struct veld_control *c, const struct veld_dataplane_event *in);
/* The last round, or the one under way. */
const struct veld_stun_client *veld_self_stun_client(const struct veld_control *c);
/* The round that was asked for last has begun. */
bool veld_self_stun_has_begun(const struct veld_control *c);
bool veld_self_stun_is_over(const struct veld_control *c);
/* The servers that the config names do not answer, and nobody else does. */
bool veld_self_stun_is_silent(const struct veld_control *c);

/* reach/portmap.c; veld_portmap_on_change is in peers.h */
/* Once this machine's reach and the dataplane are there. */
void veld_portmap_start(struct veld_control *c);
/* Gives the mapping back; waits for that, 1.5 s at most, and half of that for one asked for just now. */
void veld_portmap_stop(struct veld_control *c);
/* "method" ("upnp", "natpmp"), "mapped", and where they are null "reason"; a new reference. */
json_t *veld_portmap_json(const struct veld_control *c);

/* reach/netcheck.c */
/* Answered within some seconds; one at a time. */
VELD_MUST_USE int veld_netcheck_begin(struct veld_control *c, struct veld_api_request *req,
                                      struct veld_diag *diag);
/* A request by STUN came: is it our own, back from where we are seen? */
bool veld_netcheck_is_own(struct veld_control *c, const struct veld_stun *request);
/* The daemon stops: answer what is owed. */
void veld_netcheck_end(struct veld_control *c);

/* lan/lan.c */
/* Nothing when the configuration does not say so. */
VELD_MUST_USE int veld_lan_start(struct veld_control *c, struct veld_diag *diag);
void veld_lan_stop(struct veld_control *c);
/* There is another peer, whose device may have been found before. */
void veld_lan_on_peer(struct veld_control *c, uint32_t peer, const uint8_t pub[32]);

/* driver.c */
/* What veld_engine_step returned. */
int veld_control_step(struct veld_control *c, const struct veld_event *ev);
/* The engine's timer follows its deadline. */
void veld_control_rearm(struct veld_control *c);
void veld_control_take_events(struct veld_control *c);
void veld_control_run_timers(struct veld_control *c);
void veld_control_feed_activity(struct veld_control *c);
void veld_control_save_endpoints(struct veld_control *c);

/* calls.c */
/* Remember where peers were, and plan to call those of the configuration. */
VELD_MUST_USE int veld_calls_plan(struct veld_control *c);
void veld_calls_begin(struct veld_control *c);
/* Where this P was in the last run; family 0: unknown. */
struct veld_endpoint veld_calls_remembered(const struct veld_control *c, const uint8_t pub[32]);
/* Once for each peer. */
void veld_calls_add(struct veld_control *c, uint32_t peer);
void veld_calls_forget(struct veld_control *c, uint32_t peer);
void veld_calls_stop(struct veld_control *c);
/* This machine's addresses changed: show every live peer where we are now. */
void veld_control_on_address_change(void *ctx);

/* report.c */
/* Own candidates, and what STUN tells; a new reference. */
json_t *veld_control_reach(const struct veld_control *c);
json_t *veld_control_status(void *ctx);

#endif

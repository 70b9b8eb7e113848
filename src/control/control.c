#include "control/control_impl.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/host/privileges.h"
#include "crypto/primitives.h"

#include <glib-unix.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACTIVITY_EVERY_MS 500 /* keepalive and rekey times are whole seconds */
#define TX_QUEUE_LEN      4096
#define MEMBERS_MAX       16384 /* peers of a network; places cost nothing until they are used */
#define GSO_MAX_SIZE      61440 /* one super-packet fits one UDP_SEGMENT send */

/* ---- Sources of the main loop ---- */

static gboolean on_dataplane(gint fd, GIOCondition condition, gpointer data)
{
    veld_control_take_events(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_timer(gpointer data)
{
    veld_control_run_timers(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_activity_tick(gpointer data)
{
    struct veld_control *c = data;
    veld_control_feed_activity(c);
    veld_lane_ports_tick(c);
    veld_exchange_tick(c);
    veld_relaying_tick(c);
    veld_self_stun_tick(c);
    veld_relays_tick(c);
    if (c->lan_mode)
        veld_lan_mode_tick(c->lan_mode);
    veld_pings_expire(c, veld_clock_mono_ns());
    return G_SOURCE_CONTINUE;
}

static gboolean on_stop_signal(gpointer data)
{
    struct veld_control *c = data;
    g_main_loop_quit(c->loop);
    return G_SOURCE_CONTINUE;
}

static void on_down(void *ctx)
{
    on_stop_signal(ctx);
}

static int find_peer(const struct veld_control *c, const char *text, uint32_t *id,
                     struct veld_diag *diag)
{
    char name[64];
    if (!veld_control_peer_find(c, text, id))
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s; 'veld peers' lists them",
                         text);
    if (veld_control_peer_is_blocked(c, *id))
        return veld_fail(diag, VELD_E_STATE, "%s is " VELD_BLOCKED_TEXT,
                         veld_control_peer_name(c, *id, name));
    return 0;
}

static int on_ping(void *ctx, const char *peer, struct veld_api_request *req,
                   struct veld_diag *diag)
{
    struct veld_control *c = ctx;
    uint32_t id;
    int rc;
    if (!c->timer)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if ((rc = find_peer(c, peer, &id, diag)) < 0)
        return rc;
    rc = veld_pings_add(c, id, req, diag);
    if (rc == 0)
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_PING, .peer = id});
    if (rc == 0) /* whoever asks would rather have a direct path */
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_SEEK, .peer = id});
    return rc;
}

static int on_rekey(void *ctx, const char *peer, struct veld_api_request *req,
                    struct veld_diag *diag)
{
    struct veld_control *c = ctx;
    uint32_t id;
    int rc;
    if (!c->timer)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if (!peer)
        return veld_rekeys_add(c, c->peers.live, c->peers.n_live, req, diag);
    if ((rc = find_peer(c, peer, &id, diag)) < 0)
        return rc;
    return veld_rekeys_add(c, &id, 1, req, diag);
}

static int on_netcheck(void *ctx, struct veld_api_request *req, struct veld_diag *diag)
{
    return veld_netcheck_begin(ctx, req, diag);
}

static int need_mesh(const struct veld_control *c, struct veld_diag *diag)
{
    if (!c->mesh)
        return veld_fail(diag, VELD_E_STATE,
                         "this daemon goes by a config file, %s; change it there, then: veld "
                         "down, veld up",
                         c->config->path);
    return 0;
}

/* Is there anything that the user trusts, or does not? */
static int need_trust(const struct veld_control *c, struct veld_diag *diag)
{
    if (!c->timer)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if (!c->mesh && !c->lan_mode)
        return veld_fail(
            diag, VELD_E_STATE,
            "this daemon trusts the keys of its config file, %s; change them there",
            c->config->path);
    return 0;
}

static int on_trust(void *ctx, json_t **out, struct veld_diag *diag)
{
    const struct veld_control *c = ctx;
    int rc = need_trust(c, diag);
    if (rc == 0 &&
        !(*out = c->mesh ? veld_mesh_trust(c->mesh) : veld_lan_mode_trust(c->lan_mode)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return rc;
}

static int on_trust_accept(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    const struct veld_control *c = ctx;
    char key[VELD_PUBKEY_STRLEN];
    int rc = need_trust(c, diag);
    if (rc == 0)
        rc = c->mesh ? veld_mesh_trust_accept(c->mesh, name, key, diag)
                     : veld_lan_mode_trust_accept(c->lan_mode, name, key, diag);
    if (rc == 0 && !(*out = json_pack("{s:s, s:s}", "name", name, "pubkey", key)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return rc;
}

static int on_trust_forget(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    const struct veld_control *c = ctx;
    int rc = need_trust(c, diag);
    if (rc == 0)
        rc = c->mesh ? veld_mesh_trust_forget(c->mesh, name, diag)
                     : veld_lan_mode_trust_forget(c->lan_mode, name, diag);
    if (rc == 0 && !(*out = json_pack("{s:s, s:b}", "name", name, "pending",
                                      c->lan_mode && !c->config->has_psk)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return rc;
}

static int on_reload(void *ctx, json_t **out, struct veld_diag *diag)
{
    const struct veld_control *c = ctx;
    int rc = need_trust(c, diag);
    if (rc == 0)
        rc = need_mesh(c, diag);
    if (rc == 0)
        rc = veld_mesh_reload(c->mesh, diag);
    if (rc == 0 && !(*out = json_pack("{s:b}", "reloaded", 1)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return rc;
}

static const char *own_pubkey(void *ctx)
{
    static char text[VELD_PUBKEY_STRLEN];
    const struct veld_control *c = ctx;
    veld_pubkey_format(c->identity->pub, text);
    return text;
}

/* The engine's timer: one source whose ready time follows the engine's deadline. */
static gboolean dispatch_ready(GSource *source, GSourceFunc callback, gpointer data)
{
    return callback(data);
}

static GSourceFuncs ready_time_source = {.dispatch = dispatch_ready};

static void add_sources(struct veld_control *c)
{
    c->timer = g_source_new(&ready_time_source, sizeof(GSource));
    g_source_set_callback(c->timer, on_timer, c, NULL);
    g_source_attach(c->timer, NULL);

    guint *s = c->sources;
    s[c->n_sources++] =
        g_unix_fd_add(veld_dataplane_event_fd(c->dataplane), G_IO_IN, on_dataplane, c);
    s[c->n_sources++] = g_timeout_add(ACTIVITY_EVERY_MS, on_activity_tick, c);
    s[c->n_sources++] = g_unix_signal_add(SIGTERM, on_stop_signal, c);
    s[c->n_sources++] = g_unix_signal_add(SIGINT, on_stop_signal, c);
    veld_calls_begin(c);
    veld_control_rearm(c);
}

/* ---- Start, in this order; veld_control_close undoes it from any point ---- */

/* One for each core that this process may run on, which `taskset` or a cgroup can lessen. */
static unsigned choose_workers(const struct veld_config *config)
{
    cpu_set_t cores;
    if (config->workers)
        return config->workers;
    if (sched_getaffinity(0, sizeof cores, &cores) < 0)
        return VELD_WORKERS_MAX; /* more cores than a cpu_set_t names */
    return (unsigned)VELD_MIN(CPU_COUNT(&cores), VELD_WORKERS_MAX);
}

static int open_dataplane(struct veld_control *c, struct veld_diag *diag)
{
    struct veld_dataplane_config cfg = {
        .interface = c->config->interface,
        .listen = c->config->listen,
        .workers = choose_workers(c->config),
        .mtu = c->config->mtu,
        .engine = c->config->engine,
        .aead = c->config->aead ? c->config->aead : "auto",
        .addrs = c->config->addrs,
        .n_addrs = c->config->n_addrs,
    };
    return veld_dataplane_open(&c->dataplane, &cfg, diag);
}

static void random_bytes(void *ctx, void *out, size_t len)
{
    veld_random(out, len);
}

static int make_peer_list(struct veld_control *c, const struct veld_control_network *network)
{
    size_t max = VELD_MAX(c->config->n_peers, 1) + (network ? MEMBERS_MAX : 0) +
                 (c->lan_mode ? veld_lan_mode_peers_max() : 0);
    return veld_peer_list_init(&c->peers, (uint32_t)max, network ? network->name : NULL);
}

static int open_engine(struct veld_control *c, const struct veld_control_network *network,
                       struct veld_diag *diag)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    struct veld_engine_config cfg = {
        .identity = c->identity,
        .lanes = (uint8_t)info.lanes,
        .max_peers = c->peers.max,
        .mtu = (uint16_t)c->config->mtu,
        .random = random_bytes,
    };
    memcpy(cfg.psk, c->config->psk, sizeof cfg.psk);
    if (network)
        memcpy(cfg.network_id, network->id, sizeof cfg.network_id);
    else if (c->lan_mode)
        memcpy(cfg.network_id, veld_lan_mode_handshake_id(c->lan_mode), sizeof cfg.network_id);
    int rc = veld_state_timestamp_load(c->state, &cfg.timestamp_floor_ns, diag);
    if (rc == 0 && !(c->engine = veld_engine_new(&cfg)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    if (rc == 0 && veld_dataplane_set_cookies(c->dataplane, veld_engine_cookies(c->engine)) < 0)
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    veld_wipe(&cfg, sizeof cfg);
    return rc;
}

static int open_netif(struct veld_control *c, struct veld_diag *diag)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    struct veld_netif_config cfg = {
        .ifindex = info.ifindex,
        .name = info.interface,
        .mtu = c->config->mtu,
        .tx_queue_len = TX_QUEUE_LEN,
        .gso_max_size = GSO_MAX_SIZE,
        .addrs = c->config->addrs,
        .n_addrs = c->config->n_addrs,
    };
    int rc = veld_netif_open(&c->netif, &cfg, diag);
    if (rc == 0)
        rc = veld_netif_watch_start(&c->watch, info.ifindex, veld_control_on_address_change, c,
                                    diag);
    return rc == 0 ? veld_control_offer_routes(c, diag) : rc;
}

/* The stub needs a privileged port, so it is bound before privileges are dropped. */
static void start_dns(struct veld_control *c)
{
    struct veld_diag diag = {""};
    if (c->config->dns_mode == VELD_DNS_OFF)
        return;
    struct veld_dns_table *table = veld_publish_names(c);
    if (!table)
        veld_fail(&diag, VELD_E_NOMEM, "out of memory");
    else if (veld_dns_server_start(&c->dns, table, &diag) < 0)
        veld_dns_table_free(table);
    if (!c->dns)
        snprintf(c->names_problem, sizeof c->names_problem, "%s", diag.text);
}

/* Names are a convenience: without them the tunnel still works, and status says why. */
static void apply_resolver(struct veld_control *c)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    if (c->dns) {
        struct veld_diag diag = {""};
        struct veld_resolver_config cfg = {
            .mode = c->config->dns_mode,
            .ifindex = info.ifindex,
            .interface = info.interface,
            .server = veld_dns_server_address(c->dns),
            .journal = c->journal,
        };
        if (veld_resolver_apply(&c->resolver, &cfg, &diag) < 0)
            snprintf(c->names_problem, sizeof c->names_problem, "%s", diag.text);
    }
    if (c->names_problem[0])
        veld_warn("names do not resolve: %s", c->names_problem);
}

/* Where this machine may be reached is another: told to all who are told of it. */
static void on_self_change(void *ctx)
{
    struct veld_control *c = ctx;
    veld_exchange_on_self_change(c);
    if (c->mesh)
        veld_mesh_on_self_change(c->mesh);
}

static void open_self(struct veld_control *c)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    c->self = veld_self_new(&(struct veld_self_config){
        .interface = info.interface,
        .listen = c->config->listen,
        .port = info.listen_port,
        .networks = c->config->addrs,
        .n_networks = c->config->n_addrs,
        .on_change = on_self_change,
        .ctx = c,
    });
    veld_exchange_on_self_change(c);
}

/* Last: it begins at once to make peers, and it starts threads. */
static int start_mesh(struct veld_control *c, struct veld_diag *diag)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    struct veld_mesh_host host = {.self = c->self, .port = info.listen_port};
    return veld_mesh_start(c->mesh, c, &host, diag);
}

int veld_control_offer_routes(struct veld_control *c, struct veld_diag *diag)
{
    return c->config->n_routes ? veld_netif_enable_forwarding(c->journal, c->config->routes,
                                                              c->config->n_routes, diag)
                               : 0;
}

static int start_all(struct veld_control *c, const struct veld_control_options *o,
                     struct veld_diag *diag)
{
    struct veld_api_ops ops = {.ctx = c,
                               .status = veld_control_status,
                               .pubkey = own_pubkey,
                               .ping = on_ping,
                               .rekey = on_rekey,
                               .netcheck = on_netcheck,
                               .trust = on_trust,
                               .trust_accept = on_trust_accept,
                               .trust_forget = on_trust_forget,
                               .network_reload = on_reload,
                               .down = on_down};
    const struct veld_control_network *network =
        c->mesh ? veld_mesh_network(c->mesh) : o->network;
    int rc;
    if (make_peer_list(c, network) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    /* First what needs more than is kept; nothing of it starts a thread (privileges.h). */
    if ((rc = veld_journal_open(&c->journal, veld_state_dir(c->state), diag)) < 0 ||
        (rc = open_dataplane(c, diag)) < 0 ||
        (rc = veld_api_start(&c->api, o->socket_path, &ops, diag)) < 0)
        return rc;
    open_self(c);
    veld_relaying_start(c);
    start_dns(c);
    if ((rc = veld_privileges_drop(diag)) < 0 || (rc = open_engine(c, network, diag)) < 0 ||
        (rc = veld_peers_add_configured(c, diag)) < 0 || (rc = open_netif(c, diag)) < 0 ||
        (rc = veld_publish_start(c, diag)) < 0)
        return rc;
    if (veld_calls_plan(c) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    apply_resolver(c);
    add_sources(c);
    veld_memory_give_back(); /* what only reading the config needed */
    if ((rc = veld_dataplane_start(c->dataplane, diag)) < 0)
        return rc;
    veld_self_stun_start(c);
    veld_relays_start(c);
    if (c->lan_mode && (rc = veld_lan_mode_start(c->lan_mode, c, diag)) < 0)
        return rc;
    if ((rc = veld_lan_start(c, diag)) < 0)
        return rc;
    veld_portmap_start(c);
    return c->mesh ? start_mesh(c, diag) : 0;
}

int veld_control_open(struct veld_control **out, const struct veld_control_options *o,
                      struct veld_diag *diag)
{
    struct veld_control *c = calloc(1, sizeof *c);
    if (!c)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    c->config = o->config;
    c->state = o->state;
    c->identity = o->identity;
    c->mesh = o->mesh;
    c->lan_mode = o->lan_mode;
    c->to_block = UINT32_MAX;
    c->started_wall_ns = veld_clock_now().wall_ns;
    c->loop = g_main_loop_new(NULL, FALSE);
    c->lane_proofs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    c->known = veld_known_new();
    c->candidates = veld_candidates_new();
    int rc = start_all(c, o, diag);
    if (rc < 0) {
        veld_control_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

void veld_control_run(struct veld_control *c)
{
    g_main_loop_run(c->loop);
}

/* ---- Stop ---- */

/* So that peers start a handshake with their next packet instead of talking to nobody. */
static void say_goodbye(struct veld_control *c)
{
    veld_control_save_endpoints(c);
    while (c->peers.n_live > 0) {
        size_t before = c->peers.n_live;
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_GOODBYE,
                                                  .peer = c->peers.live[c->peers.n_live - 1]});
        if (c->peers.n_live >= before)
            break; /* the engine did not retire it: never loop on that */
    }
}

void veld_control_close(struct veld_control *c)
{
    if (!c)
        return;
    veld_relaying_stop(c);
    if (c->timer)
        say_goodbye(c);
    veld_netcheck_end(c);
    veld_portmap_stop(c);
    veld_self_stun_stop(c);
    veld_relays_stop(c);
    veld_lan_stop(c);
    if (c->lan_mode)
        veld_lan_mode_stop(c->lan_mode);
    if (c->mesh)
        veld_mesh_stop(c->mesh);
    for (size_t i = 0; i < c->n_sources; i++)
        g_source_remove(c->sources[i]);
    if (c->save_source)
        g_source_remove(c->save_source);
    veld_calls_stop(c);
    veld_publish_stop(c);
    if (c->timer) {
        g_source_destroy(c->timer);
        g_source_unref(c->timer);
    }
    veld_resolver_undo(c->resolver);
    veld_dns_server_stop(c->dns);
    veld_pings_expire(c, UINT64_MAX);
    veld_rekeys_end(c);
    veld_api_stop(c->api);
    if (c->dataplane)
        veld_dataplane_stop(c->dataplane);
    veld_netif_watch_stop(c->watch);
    veld_netif_close(c->netif);
    veld_dataplane_close(c->dataplane);
    veld_engine_free(c->engine);
    veld_journal_close(c->journal);
    g_main_loop_unref(c->loop);
    g_hash_table_unref(c->lane_proofs);
    veld_self_free(c->self);
    veld_candidates_free(c->candidates);
    veld_known_free(c->known);
    veld_relaying_free(c);
    veld_peer_list_free(&c->peers);
    free(c);
}

char *veld_control_describe(const struct veld_control *c)
{
    struct veld_dataplane_info info;
    char pub[VELD_PUBKEY_STRLEN], prefix[VELD_PREFIX_STRLEN];
    veld_dataplane_get_info(c->dataplane, &info);
    veld_pubkey_format(c->identity->pub, pub);
    GString *s = g_string_new(NULL);
    g_string_append_printf(s, "%s is up:", info.interface);
    for (size_t i = 0; i < c->config->n_addrs; i++)
        g_string_append_printf(s, " %s", veld_prefix_format(&c->config->addrs[i], prefix));
    if (c->mesh)
        g_string_append_printf(s, ", UDP port %u, in network %s\n", info.listen_port,
                               veld_mesh_network(c->mesh)->name);
    else
        g_string_append_printf(s, ", UDP port %u, %zu peer%s\n", info.listen_port, c->peers.n,
                               c->peers.n == 1 ? "" : "s");
    g_string_append_printf(s, "public key: %s\n", pub);
    if (c->config->n_peers && c->config->peers[0].name[0] && !c->names_problem[0] && c->dns)
        g_string_append_printf(s, "try: ping %s." VELD_DNS_DOMAIN "\n",
                               c->config->peers[0].name);
    return g_string_free(s, FALSE);
}

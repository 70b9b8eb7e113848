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
#define CALLS_EVERY_MS    10
#define TX_QUEUE_LEN      4096
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
    veld_pings_expire(c, veld_clock_mono_ns());
    return G_SOURCE_CONTINUE;
}

static gboolean on_calls_tick(gpointer data)
{
    struct veld_control *c = data;
    veld_control_call_some(c);
    return c->n_to_call > 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
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

static int on_ping(void *ctx, const char *peer, struct veld_api_request *req,
                   struct veld_diag *diag)
{
    struct veld_control *c = ctx;
    uint32_t id;
    if (!c->timer)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if (!veld_control_peer_find(c, peer, &id))
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s; 'veld peers' lists them",
                         peer);
    int rc = veld_pings_add(c, id, req, diag);
    if (rc == 0)
        veld_control_step(c, &(struct veld_event){.type = VELD_EV_PING, .peer = id});
    return rc;
}

static int on_rekey(void *ctx, const char *peer, struct veld_api_request *req,
                    struct veld_diag *diag)
{
    struct veld_control *c = ctx;
    uint32_t id;
    if (!c->timer)
        return veld_fail(diag, VELD_E_STATE, "veld-daemon is not up yet; try again");
    if (!peer)
        return veld_rekeys_add(c, c->live, c->n_live, req, diag);
    if (!veld_control_peer_find(c, peer, &id))
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s; 'veld peers' lists them",
                         peer);
    return veld_rekeys_add(c, &id, 1, req, diag);
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
    g_timeout_add(CALLS_EVERY_MS, on_calls_tick, c); /* removes itself */
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

static int open_engine(struct veld_control *c, struct veld_diag *diag)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(c->dataplane, &info);
    struct veld_engine_config cfg = {
        .identity = c->identity,
        .lanes = (uint8_t)info.lanes,
        .max_peers = (uint32_t)(c->config->n_peers ? c->config->n_peers : 1),
        .mtu = (uint16_t)c->config->mtu,
        .random = random_bytes,
    };
    memcpy(cfg.psk, c->config->psk, sizeof cfg.psk);
    int rc = veld_state_timestamp_load(c->state, &cfg.timestamp_floor_ns, diag);
    if (rc == 0 && !(c->engine = veld_engine_new(&cfg)))
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    if (rc == 0 && veld_dataplane_set_cookies(c->dataplane, veld_engine_cookies(c->engine)) < 0)
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    veld_wipe(&cfg, sizeof cfg);
    return rc;
}

static int add_peer(struct veld_control *c, size_t i, struct veld_diag *diag)
{
    const struct veld_config_peer *peer = &c->config->peers[i];
    struct veld_engine_peer_config cfg = {.endpoint = peer->endpoint,
                                          .keepalive_s = peer->keepalive_s};
    memcpy(cfg.pub, peer->pub, sizeof cfg.pub);
    uint32_t id;
    int rc = veld_engine_peer_add(c->engine, &cfg, &id);
    if (rc == VELD_E_KEY && memcmp(peer->pub, c->identity->pub, sizeof peer->pub) == 0)
        return veld_fail(diag, VELD_E_CONFIG,
                         "%s:%u: peers.pubkey: this is this machine's own key; put the other "
                         "machine's here ('veld pubkey' there prints it)",
                         c->config->path, peer->pub_line);
    if (rc < 0)
        return veld_fail(
            diag, VELD_E_CONFIG, "%s:%u: peers.pubkey: %s", c->config->path, peer->pub_line,
            rc == VELD_E_KEY ? "the key is unusable beside another peer's" : veld_strerror(rc));
    c->by_config[i] = id;
    c->peers[id].config_index = (uint32_t)i;
    rc = veld_dataplane_peer_add(c->dataplane, id);
    if (rc == 0 && peer->endpoint.ip.family)
        rc = veld_dataplane_peer_set_endpoint(c->dataplane, id, &peer->endpoint);
    if (rc < 0)
        return veld_fail(diag, rc, "%s:%u: cannot add the peer: %s", c->config->path,
                         peer->line, veld_strerror(rc));
    c->peers[id].endpoint = peer->endpoint;
    return 0;
}

static int add_peers(struct veld_control *c, struct veld_diag *diag)
{
    size_t n = c->config->n_peers + 1;
    c->peers = calloc(n, sizeof *c->peers);
    c->by_config = calloc(n, sizeof *c->by_config);
    c->live = calloc(n, sizeof *c->live);
    c->to_call = calloc(n, sizeof *c->to_call);
    if (!c->peers || !c->by_config || !c->live || !c->to_call)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    for (size_t i = 0; i < c->config->n_peers; i++) {
        int rc = add_peer(c, i, diag);
        if (rc < 0)
            return rc;
    }
    if (veld_control_plan_calls(c) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    return 0;
}

static size_t peer_prefixes(const struct veld_config *config,
                            const struct veld_config_peer *peer)
{
    return peer->n_addrs + (config->accept_routes ? peer->n_routes : 0);
}

/* Has this machine, or a network behind it, an address of this family to speak from? */
static bool has_family(const struct veld_config *config, uint8_t family)
{
    bool has = false;
    for (size_t i = 0; i < config->n_addrs; i++)
        has |= config->addrs[i].ip.family == family;
    for (size_t i = 0; i < config->n_routes; i++)
        has |= config->routes[i].ip.family == family;
    return has;
}

/* Each peer's addresses and accepted routes: what is sent to it, and what it may send. */
static int publish_routes(struct veld_control *c, struct veld_diag *diag)
{
    const struct veld_config *config = c->config;
    size_t total = 0, n = 0;
    for (size_t i = 0; i < config->n_peers; i++)
        total += peer_prefixes(config, &config->peers[i]);
    struct veld_route *routes = calloc(total + 1, sizeof *routes);
    struct veld_prefix *prefixes = calloc(total + 1, sizeof *prefixes);
    int rc = VELD_E_NOMEM;
    if (!routes || !prefixes) {
        veld_fail(diag, rc, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < config->n_peers; i++) {
        const struct veld_config_peer *peer = &config->peers[i];
        for (size_t a = 0; a < peer->n_addrs; a++)
            routes[n++] =
                (struct veld_route){veld_prefix_host(&peer->addrs[a]), c->by_config[i]};
        for (size_t r = 0; config->accept_routes && r < peer->n_routes; r++)
            routes[n++] = (struct veld_route){peer->routes[r], c->by_config[i]};
    }
    size_t usable = 0;
    for (size_t i = 0; i < n; i++) {
        if (has_family(config, routes[i].prefix.ip.family))
            prefixes[usable++] = routes[i].prefix;
    }
    if (usable < n)
        veld_warn("%zu of %zu addresses and routes of peers are left out: this machine has no "
                  "vpn_ip of their family to speak from",
                  n - usable, n);
    rc = veld_dataplane_routes_publish(c->dataplane, routes, n);
    if (rc < 0)
        veld_fail(diag, rc, "cannot publish %zu routes: %s", n, veld_strerror(rc));
    else
        rc = veld_netif_set_routes(c->netif, prefixes, usable, diag);
out:
    free(routes);
    free(prefixes);
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
    if (rc == 0 && c->config->n_routes)
        rc = veld_netif_enable_forwarding(c->journal, c->config->routes, c->config->n_routes,
                                          diag);
    return rc;
}

static void add_record(GArray *records, const char *name, const struct veld_ip *ip)
{
    struct veld_dns_record record = {.name = name, .ip = *ip};
    if (name[0])
        g_array_append_val(records, record);
}

static struct veld_dns_table *names_table(const struct veld_config *config)
{
    GArray *records = g_array_new(FALSE, FALSE, sizeof(struct veld_dns_record));
    for (size_t i = 0; i < config->n_addrs; i++)
        add_record(records, config->name, &config->addrs[i].ip);
    for (size_t i = 0; i < config->n_peers; i++) {
        for (size_t a = 0; a < config->peers[i].n_addrs; a++)
            add_record(records, config->peers[i].name, &config->peers[i].addrs[a]);
    }
    struct veld_dns_table *table =
        veld_dns_table_new(NULL, (struct veld_dns_record *)(void *)records->data, records->len);
    g_array_free(records, TRUE);
    return table;
}

/* The stub needs a privileged port, so it is bound before privileges are dropped. */
static void start_dns(struct veld_control *c)
{
    struct veld_diag diag = {""};
    if (c->config->dns_mode == VELD_DNS_OFF)
        return;
    struct veld_dns_table *table = names_table(c->config);
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

static int start_all(struct veld_control *c, const struct veld_control_options *o,
                     struct veld_diag *diag)
{
    struct veld_api_ops ops = {.ctx = c,
                               .status = veld_control_status,
                               .pubkey = own_pubkey,
                               .ping = on_ping,
                               .rekey = on_rekey,
                               .down = on_down};
    int rc;
    /* First what needs more than is kept; nothing of it starts a thread (privileges.h). */
    if ((rc = veld_journal_open(&c->journal, veld_state_dir(c->state), diag)) < 0 ||
        (rc = open_dataplane(c, diag)) < 0 ||
        (rc = veld_api_start(&c->api, o->socket_path, &ops, diag)) < 0)
        return rc;
    start_dns(c);
    if ((rc = veld_privileges_drop(diag)) < 0 || (rc = open_engine(c, diag)) < 0 ||
        (rc = add_peers(c, diag)) < 0 || (rc = open_netif(c, diag)) < 0 ||
        (rc = publish_routes(c, diag)) < 0)
        return rc;
    apply_resolver(c);
    add_sources(c);
    veld_memory_give_back(); /* what only reading the config needed */
    return veld_dataplane_start(c->dataplane, diag);
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
    c->started_wall_ns = veld_clock_now().wall_ns;
    c->loop = g_main_loop_new(NULL, FALSE);
    c->lane_proofs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
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
    while (c->n_live > 0) {
        size_t before = c->n_live;
        veld_control_step(
            c, &(struct veld_event){.type = VELD_EV_GOODBYE, .peer = c->live[c->n_live - 1]});
        if (c->n_live >= before)
            break; /* the engine did not retire it: never loop on that */
    }
}

void veld_control_close(struct veld_control *c)
{
    if (!c)
        return;
    if (c->timer)
        say_goodbye(c);
    for (size_t i = 0; i < c->n_sources; i++)
        g_source_remove(c->sources[i]);
    if (c->save_source)
        g_source_remove(c->save_source);
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
    free(c->peers);
    free(c->by_config);
    free(c->live);
    free(c->to_call);
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
    g_string_append_printf(s, ", UDP port %u, %zu peer%s\n", info.listen_port,
                           c->config->n_peers, c->config->n_peers == 1 ? "" : "s");
    g_string_append_printf(s, "public key: %s\n", pub);
    if (c->config->n_peers && c->config->peers[0].name[0] && !c->names_problem[0] && c->dns)
        g_string_append_printf(s, "try: ping %s." VELD_DNS_DOMAIN "\n",
                               c->config->peers[0].name);
    return g_string_free(s, FALSE);
}

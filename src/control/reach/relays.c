/*
 * The members that relay, for this machine: circuits to peers that are not reached directly, and
 * the homes where it can be found itself. What follows is decided in own_circuits.h,
 * relay_choice.h and homing.h.
 */
#include "control/control_impl.h"

#include "base/log.h"
#include "control/reach/homing.h"
#include "control/reach/own_circuits.h"
#include "control/reach/relay_choice.h"

#include <stdio.h>
#include <string.h>

/* A direct path that can be had is there by then, and relays are left in peace. */
#define DIRECT_FIRST_NS (200 * VELD_NS_PER_MS)
#define CONSIDERED_MAX  256 /* relays of a network that are looked at for one choice */

struct veld_relays {
    struct veld_own_circuits *circuits;
    struct veld_homing *homing;
    guint source; /* runs the circuits; 0: none of them is due before the next tick */
    uint64_t due_ns;
};

static bool get_info(const struct veld_control *c, uint32_t id, struct veld_peer_info *out)
{
    return veld_engine_peer_get(c->engine, id, out) == 0;
}

static bool may_relay(const struct veld_control *c, uint32_t id)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, id);
    return p && p->about->relay && !p->blocked;
}

bool veld_relays_is_connected(const struct veld_control *c, uint32_t id,
                              struct veld_peer_info *info)
{
    return get_info(c, id, info) && info->state == VELD_PEER_ACTIVE &&
           info->endpoint.ip.family && !veld_endpoint_is_circuit(&info->endpoint);
}

/* ---- Whom to ask ---- */

static bool is_named(const struct veld_config_peer *about, const uint8_t pub[32])
{
    for (size_t i = 0; i < about->n_relays; i++) {
        if (memcmp(about->relays[i], pub, 32) == 0)
            return true;
    }
    return false;
}

static enum veld_relay_standing standing_of(const struct veld_control *c, uint32_t id,
                                            struct veld_peer_info *info)
{
    if (veld_relays_is_connected(c, id, info))
        return VELD_RELAY_CONNECTED;
    bool failing = info->state == VELD_PEER_OFFLINE || info->attempts > 1 ||
                   (c->mesh && veld_mesh_says_offline(c->mesh, info->pub));
    return failing ? VELD_RELAY_FAILING : VELD_RELAY_UNKNOWN;
}

/* The relays there are, but for `peer`. Returns how many. */
static size_t list_relays(const struct veld_control *c, uint32_t peer,
                          struct veld_relay_candidate out[CONSIDERED_MAX])
{
    const struct control_peer *sought = veld_peer_list_get(&c->peers, peer);
    size_t n = 0;
    for (size_t i = 0; n < CONSIDERED_MAX && i < c->peers.n_relays; i++) {
        struct veld_peer_info info;
        uint32_t id = c->peers.relays[i];
        if (id == peer || !may_relay(c, id) || !get_info(c, id, &info))
            continue;
        struct veld_relay_candidate *r = &out[n++];
        *r = (struct veld_relay_candidate){.id = id, .rtt_ns = info.rtt_ns};
        r->named = sought && is_named(sought->about, info.pub);
        r->standing = standing_of(c, id, &info);
        if (c->relays && veld_own_circuits_is_refused(c->relays->circuits, peer, id))
            r->standing = VELD_RELAY_FAILING; /* one that is full leaves its place to others */
        /* Keys are as good as random. */
        memcpy(&r->lot, info.pub, sizeof r->lot);
        uint32_t own;
        memcpy(&own, c->identity->pub, sizeof own);
        r->lot ^= own;
    }
    return n;
}

/*
 * For a relay that is sought itself nobody is called, or two that cannot be reached would be sought
 * through each other for ever.
 */
static size_t choose(const struct veld_control *c, uint32_t peer,
                     struct veld_relay_candidate list[CONSIDERED_MAX])
{
    size_t n = list_relays(c, peer, list);
    if (may_relay(c, peer)) {
        size_t connected = 0;
        for (size_t i = 0; i < n; i++) {
            if (list[i].standing == VELD_RELAY_CONNECTED)
                list[connected++] = list[i];
        }
        n = connected;
    }
    return veld_relay_choose(list, n, VELD_OWN_CIRCUITS_RELAYS_MAX);
}

/* ---- Circuits ---- */

static void run(struct veld_control *c)
{
    veld_own_circuits_run(c->relays->circuits, veld_clock_mono_ns());
}

static void schedule(struct veld_control *c);

static gboolean on_due(gpointer data)
{
    struct veld_control *c = data;
    c->relays->source = 0;
    run(c);
    schedule(c);
    return G_SOURCE_REMOVE;
}

static void schedule(struct veld_control *c)
{
    struct veld_relays *r = c->relays;
    uint64_t due_ns = veld_own_circuits_deadline(r->circuits), now_ns = veld_clock_mono_ns();
    if (r->source && due_ns >= r->due_ns)
        return;
    if (r->source)
        g_source_remove(r->source);
    r->source = 0;
    if (due_ns == UINT64_MAX)
        return;
    r->due_ns = due_ns;
    uint64_t wait_ms = veld_ns_since(due_ns, now_ns) / VELD_NS_PER_MS;
    r->source = g_timeout_add((guint)wait_ms + (wait_ms > 0), on_due, c);
}

static void want(struct veld_control *c, uint32_t peer, uint32_t relay, uint64_t from_ns)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, peer);
    int rc = veld_own_circuits_want(c->relays->circuits, peer, p->about->pub, relay, from_ns,
                                    veld_clock_mono_ns());
    if (rc < 0)
        veld_debug("no circuit to peer %u through peer %u: %s", peer, relay, veld_strerror(rc));
}

void veld_relays_on_wanted(struct veld_control *c, uint32_t peer)
{
    struct veld_relay_candidate list[CONSIDERED_MAX];
    struct veld_peer_info info;
    if (!c->relays || !get_info(c, peer, &info))
        return;
    uint64_t from_ns = veld_clock_mono_ns();
    if (!info.current_index) /* else its path is dead, and every moment counts */
        from_ns += DIRECT_FIRST_NS;
    size_t n = choose(c, peer, list);
    for (size_t i = 0; i < n; i++)
        want(c, peer, list[i].id, from_ns);
    schedule(c);
}

void veld_relays_on_use(struct veld_control *c, uint32_t relay)
{
    if (!c->relays)
        return;
    veld_own_circuits_on_session(c->relays->circuits, relay, veld_clock_mono_ns());
    schedule(c);
}

/* A member wants to talk to us through this relay. */
static void on_offer(struct veld_control *c, uint32_t relay, const uint8_t pub[32])
{
    uint32_t id;
    if (may_relay(c, relay) && veld_control_peer_find_pub(c, pub, &id) && id != relay &&
        !veld_control_peer_is_blocked(c, id))
        want(c, id, relay, veld_clock_mono_ns());
}

void veld_relays_on_message(struct veld_control *c, uint32_t relay,
                            const struct veld_message *m)
{
    if (!c->relays)
        return;
    if (m->type == VELD_MSG_CIRCUIT_OFFER)
        on_offer(c, relay, m->pub);
    else
        veld_own_circuits_on_message(c->relays->circuits, relay, m, veld_clock_mono_ns());
    run(c);
    schedule(c);
}

/* ---- What circuits need ---- */

static enum veld_reached reached(void *ctx, uint32_t peer)
{
    struct veld_peer_info info;
    if (!get_info(ctx, peer, &info))
        return VELD_REACHED_UNUSED;
    switch (info.state) {
    case VELD_PEER_ACTIVE:
        return veld_endpoint_is_circuit(&info.endpoint) ? VELD_REACHED_RELAYED
                                                        : VELD_REACHED_DIRECT;
    case VELD_PEER_CONNECTING: return VELD_REACHED_NOT_YET;
    default: return VELD_REACHED_UNUSED;
    }
}

static bool is_relay(void *ctx, uint32_t id)
{
    return may_relay(ctx, id);
}

static bool is_direct(void *ctx, uint32_t relay)
{
    struct veld_peer_info info;
    return veld_relays_is_connected(ctx, relay, &info);
}

static int send_message(void *ctx, uint32_t relay, const struct veld_message *m)
{
    return veld_control_peer_send(ctx, relay, m);
}

static void call(void *ctx, uint32_t relay)
{
    (void)!veld_control_peer_call(ctx, relay); /* asked again while it is wanted */
}

static int circuit_set(void *ctx, const struct veld_circuit *circuit)
{
    struct veld_control *c = ctx;
    int rc = veld_dataplane_circuit_set(c->dataplane, circuit);
    if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "cannot use a circuit: %s",
                         veld_strerror(rc));
    return rc;
}

static void circuit_remove(void *ctx, uint32_t number)
{
    struct veld_control *c = ctx;
    veld_dataplane_circuit_remove(c->dataplane, number);
}

static void on_ready(void *ctx, uint32_t peer, const struct veld_endpoint *list, size_t n)
{
    int rc = veld_control_peer_known(ctx, peer, VELD_KNOWN_CIRCUITS, list, n);
    if (rc < 0 && rc != VELD_E_NOENT)
        veld_debug("circuits to peer %u: %s", peer, veld_strerror(rc));
}

/* ---- Homes ---- */

size_t veld_relays_list(const struct veld_control *c, uint32_t *out, size_t max)
{
    struct veld_relay_candidate list[CONSIDERED_MAX];
    size_t n = veld_relay_choose(list, list_relays(c, UINT32_MAX, list), max);
    for (size_t i = 0; i < n; i++)
        out[i] = list[i].id;
    return n;
}

static size_t look(void *ctx, uint32_t out[VELD_HOMING_LOOK_MAX])
{
    return veld_relays_list(ctx, out, VELD_HOMING_LOOK_MAX);
}

static uint64_t rtt_ns(void *ctx, uint32_t relay)
{
    struct veld_peer_info info;
    if (!veld_relays_is_connected(ctx, relay, &info))
        return 0;
    return info.rtt_ns ? info.rtt_ns : 1; /* answered by us: not measured */
}

static void keep(void *ctx, uint32_t relay)
{
    veld_peers_set_home(ctx, relay, VELD_HOMING_KEEPALIVE_S);
}

static void leave(void *ctx, uint32_t relay)
{
    veld_peers_set_home(ctx, relay, 0);
}

static void on_homes_change(void *ctx)
{
    const struct veld_control *c = ctx;
    if (c->mesh)
        veld_mesh_on_self_change(c->mesh);
}

/* Peers may not get through to us. */
static enum veld_homing_need need_homes(const struct veld_control *c)
{
    bool reachable = veld_self_public(c->self).ip.family &&
                     !veld_self_is_behind_nat(c->self, 4) &&
                     !veld_self_is_behind_nat(c->self, 6);
    return reachable || c->config->relay ? VELD_HOMING_NOT_NEEDED : VELD_HOMING_NEEDED;
}

size_t veld_control_homes(const struct veld_control *c, uint8_t out[VELD_MEMBER_RELAYS_MAX][32])
{
    _Static_assert(VELD_HOMES_MAX <= VELD_MEMBER_RELAYS_MAX, "they fit a record");
    uint32_t homes[VELD_HOMES_MAX];
    size_t n = c->relays ? veld_homing_get(c->relays->homing, homes) : 0;
    for (size_t i = 0; i < n; i++)
        memcpy(out[i], c->peers.peers[homes[i]].about->pub, 32);
    return n;
}

/* ---- Begin, end, and what the control tells ---- */

void veld_relays_start(struct veld_control *c)
{
    c->relays = g_new0(struct veld_relays, 1);
    c->relays->circuits =
        veld_own_circuits_new(c->circuit_numbers, &(struct veld_own_circuits_ops){
                                                      .ctx = c,
                                                      .reached = reached,
                                                      .is_relay = is_relay,
                                                      .is_direct = is_direct,
                                                      .send = send_message,
                                                      .call = call,
                                                      .circuit_set = circuit_set,
                                                      .circuit_remove = circuit_remove,
                                                      .on_ready = on_ready,
                                                  });
    c->relays->homing = veld_homing_new(&(struct veld_homing_ops){
        .ctx = c,
        .look = look,
        .rtt_ns = rtt_ns,
        .is_relay = is_relay,
        .call = call,
        .keep = keep,
        .leave = leave,
        .on_change = on_homes_change,
    });
}

void veld_relays_stop(struct veld_control *c)
{
    if (!c->relays)
        return;
    if (c->relays->source)
        g_source_remove(c->relays->source);
    veld_own_circuits_free(c->relays->circuits);
    veld_homing_free(c->relays->homing);
    g_free(c->relays);
    c->relays = NULL;
}

void veld_relays_tick(struct veld_control *c)
{
    run(c);
    schedule(c);
    veld_homing_run(c->relays->homing, need_homes(c), veld_clock_mono_ns());
}

void veld_relays_peer_gone(struct veld_control *c, uint32_t id)
{
    if (!c->relays)
        return;
    veld_own_circuits_peer_gone(c->relays->circuits, id);
    veld_homing_peer_gone(c->relays->homing, id);
    veld_peers_set_home(c, id, 0); /* should it come back, it may be none */
    run(c);                        /* whoever was reached through it learns that it is not */
}

void veld_relays_look(const struct veld_control *c, uint32_t peer, struct veld_why_facts *out)
{
    out->relays = false;
    for (size_t i = 0; !out->relays && i < c->peers.n_relays; i++)
        out->relays = c->peers.relays[i] != peer && may_relay(c, c->peers.relays[i]);
    if (!c->relays)
        return;
    struct veld_own_circuits_counts n = veld_own_circuits_count(c->relays->circuits, peer);
    out->asked = n.asked;
    out->ready = n.ready;
    out->refused = n.refused;
    out->refusal = n.refusal;
}

const char *veld_relays_name(const struct veld_control *c, const struct veld_endpoint *at)
{
    uint32_t relay;
    if (!veld_endpoint_is_circuit(at))
        return NULL;
    return veld_control_circuit_relay(c, at->scope, &relay)
               ? veld_control_peer_about(c, relay)->name
               : "-"; /* it has just ended */
}

void veld_relays_describe(const struct veld_control *c, json_t *reach)
{
    uint32_t homes[VELD_HOMES_MAX];
    char name[64];
    json_t *names = json_array();
    size_t n = c->relays ? veld_homing_get(c->relays->homing, homes) : 0;
    size_t circuits = c->relays ? veld_own_circuits_total(c->relays->circuits) : 0;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(names, json_string(veld_control_peer_name(c, homes[i], name)));
    json_object_set_new(reach, "homes", names);
    json_object_set_new(reach, "circuits", json_integer((json_int_t)circuits));
}

const char *veld_relays_path(const struct veld_control *c, const struct veld_endpoint *at,
                             char out[VELD_RELAYS_PATH_STRLEN])
{
    char text[VELD_ENDPOINT_STRLEN];
    const char *relay = veld_relays_name(c, at);
    if (relay)
        snprintf(out, VELD_RELAYS_PATH_STRLEN, "relay %s", relay);
    else
        snprintf(out, VELD_RELAYS_PATH_STRLEN, "direct %s", veld_endpoint_format(at, text));
    return out;
}

bool veld_control_circuit_relay(const struct veld_control *c, uint32_t number, uint32_t *relay)
{
    return c->relays && veld_own_circuits_relay(c->relays->circuits, number, relay);
}

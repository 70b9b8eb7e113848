/*
 * Between the engine, which decides, and the dataplane, which does: events one
 * way, actions the other.
 */
#include "control/control_impl.h"

#include "base/bytes.h"
#include "base/log.h"
#include "crypto/primitives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_WAKE 256 /* then the main loop's other sources have their turn */
#define SAVE_AFTER_MS   100 /* a killed daemon should remember who it talked to */

/* ---- Where peers are, for the next run ---- */

void veld_control_save_endpoints(struct veld_control *c)
{
    struct veld_state_endpoint *list = calloc(c->peers.n_live + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < c->peers.n_live; i++) {
        struct veld_peer_info info;
        if (veld_engine_peer_get(c->engine, c->peers.live[i], &info) < 0 ||
            !info.endpoint.ip.family || veld_endpoint_is_circuit(&info.endpoint))
            continue;
        memcpy(list[n].pub, info.pub, sizeof list[n].pub);
        list[n++].endpoint = info.endpoint;
    }
    int rc = list ? veld_state_endpoints_store(c->state, list, n) : VELD_E_NOMEM;
    free(list);
    if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                         "cannot remember where peers are: %s", veld_strerror(rc));
}

static gboolean on_save_due(gpointer data)
{
    struct veld_control *c = data;
    c->save_source = 0;
    veld_control_save_endpoints(c);
    return G_SOURCE_REMOVE;
}

static void save_soon(struct veld_control *c)
{
    if (!c->save_source)
        c->save_source = g_timeout_add(SAVE_AFTER_MS, on_save_due, c);
}

/* ---- Actions ---- */

static void persist_timestamp(struct veld_control *c, uint64_t floor_ns)
{
    int rc = veld_state_timestamp_store(c->state, floor_ns);
    c->unsaved_timestamp_ns = rc < 0 ? floor_ns : 0;
    if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(),
                         "cannot write the handshake timestamp to %s: %s; no handshake is "
                         "started until it can be written",
                         veld_state_dir(c->state), veld_strerror(rc));
}

/* Of a member's addresses some are of networks that this machine is not in. */
static bool is_one_of_many(const struct veld_control *c, const struct veld_action *a)
{
    const struct control_peer *p = veld_peer_list_get(&c->peers, a->peer);
    return p && p->owned && !veld_endpoint_equal(&p->endpoint, &a->to);
}

static void send_datagram(struct veld_control *c, const struct veld_action *a)
{
    /* An initiation whose timestamp could repeat after a crash must not leave. */
    if (c->unsaved_timestamp_ns && a->bytes[0] == VELD_INITIATION) {
        persist_timestamp(c, c->unsaved_timestamp_ns);
        if (c->unsaved_timestamp_ns)
            return;
    }
    int rc = veld_dataplane_send_datagram(c->dataplane, &a->to, a->bytes, a->len);
    char to[VELD_ENDPOINT_STRLEN];
    if (rc < 0 && is_one_of_many(c, a))
        veld_debug("cannot send to %s: %s", veld_endpoint_format(&a->to, to),
                   veld_strerror(rc));
    else if (rc < 0)
        VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "cannot send to %s: %s",
                         veld_endpoint_format(&a->to, to), veld_strerror(rc));
}

static void install(struct veld_control *c, const struct veld_action *a)
{
    struct veld_session_params p = {
        .peer = a->peer,
        .local_index = a->index,
        .remote_index = a->session.remote_index,
        .lanes = a->session.lanes,
        .reject_at_ns = a->session.reject_at_ns,
    };
    memcpy(p.send_key, a->session.send_key, sizeof p.send_key);
    memcpy(p.recv_key, a->session.recv_key, sizeof p.recv_key);
    int rc = veld_dataplane_session_install(c->dataplane, &p);
    veld_wipe(&p, sizeof p);
    if (rc < 0) {
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(), "cannot install a session: %s",
                         veld_strerror(rc));
        return;
    }
    veld_peer_list_session(&c->peers, a->peer);
}

static void retire(struct veld_control *c, const struct veld_action *a)
{
    veld_dataplane_session_retire(c->dataplane, a->index);
    if (!veld_peer_list_session_end(&c->peers, a->peer))
        return;
    veld_lane_ports_forget(c, a->peer);
    veld_relaying_peer_left(c, a->peer);
}

static void tell_connected(struct veld_control *c, uint32_t id)
{
    struct veld_peer_info info;
    char name[64], path[VELD_RELAYS_PATH_STRLEN];
    if (veld_engine_peer_get(c->engine, id, &info) == 0)
        VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(), "%s: connected, %s",
                         veld_control_peer_name(c, id, name),
                         veld_relays_path(c, &info.endpoint, path));
}

static bool may_use(const struct veld_control *c, uint32_t id)
{
    return !c->hooks.may_use || c->hooks.may_use(c->hooks.ctx, id);
}

static void use(struct veld_control *c, const struct veld_action *a)
{
    struct control_peer *peer = &c->peers.peers[a->peer];
    if (!may_use(c, a->peer)) {
        c->to_block = a->peer; /* what waits for the session stays where it is */
        return;
    }
    int rc = veld_dataplane_session_use(c->dataplane, a->index);
    if (rc < 0) {
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(), "cannot use a session: %s",
                         veld_strerror(rc));
        return;
    }
    save_soon(c);
    veld_rekeys_on_use(c, a->peer);
    if (!peer->connected)
        tell_connected(c, a->peer);
    peer->connected = true;
    veld_exchange_on_use(c, a->peer);
    veld_relaying_on_use(c, a->peer);
    veld_relays_on_use(c, a->peer);
    if (c->hooks.on_use)
        c->hooks.on_use(c->hooks.ctx, a->peer);
}

static void send_message(struct veld_control *c, const struct veld_action *a)
{
    const struct veld_endpoint *to = a->to.ip.family ? &a->to : NULL;
    int rc = veld_dataplane_send_message(c->dataplane, a->index, to, a->bytes, a->len);
    if (rc < 0 && rc != VELD_E_FULL)
        veld_debug("cannot send a control message: %s", veld_strerror(rc));
}

static void set_endpoint(struct veld_control *c, const struct veld_action *a)
{
    struct control_peer *peer = &c->peers.peers[a->peer];
    char name[64], at[VELD_ENDPOINT_STRLEN], path[VELD_RELAYS_PATH_STRLEN];
    veld_lane_ports_forget(c, a->peer);
    int rc = veld_dataplane_peer_set_endpoint(c->dataplane, a->peer, &a->to);
    if (rc < 0) {
        veld_warn("%s: cannot use endpoint %s: %s", veld_control_peer_name(c, a->peer, name),
                  veld_endpoint_format(&a->to, at), veld_strerror(rc));
        return;
    }
    bool moved = peer->endpoint.ip.family && !veld_endpoint_equal(&peer->endpoint, &a->to);
    if (peer->connected && moved)
        VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(), "%s: moved to %s",
                         veld_control_peer_name(c, a->peer, name),
                         veld_relays_path(c, &a->to, path));
    peer->endpoint = a->to;
    veld_relaying_on_move(c, a->peer);
    save_soon(c);
}

static void wanted(struct veld_control *c, const struct veld_action *a)
{
    veld_self_stun_on_wanted(c);
    /* Else one request would go on from relay to relay, and all of them would call the peer. */
    if (!a->called)
        veld_relays_on_wanted(c, a->peer);
    if (c->hooks.on_wanted)
        c->hooks.on_wanted(c->hooks.ctx, a->peer);
}

static void gave_up(struct veld_control *c, const struct veld_action *a)
{
    char name[64];
    c->peers.peers[a->peer].connected = false;
    veld_dataplane_peer_drop_held(c->dataplane, a->peer);
    VELD_LOG_LIMITED(VELD_LOG_INFO, veld_clock_mono_ns(),
                     "%s: no answer for %d s; trying again when there is something to send",
                     veld_control_peer_name(c, a->peer, name), VELD_HANDSHAKE_GIVE_UP_S);
}

static void bad_key(struct veld_control *c, const struct veld_action *a)
{
    char name[64];
    const struct control_peer *peer = &c->peers.peers[a->peer];
    veld_control_peer_name(c, a->peer, name);
    veld_dataplane_peer_drop_held(c->dataplane, a->peer);
    if (peer->unproven) /* a stranger's word, and anybody's */
        veld_debug("the key of %s is no usable Ed25519 public key", name);
    else if (peer->owned)
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(),
                         "the key of %s is no usable Ed25519 public key", name);
    else
        VELD_LOG_LIMITED(VELD_LOG_ERROR, veld_clock_mono_ns(),
                         "%s:%u: peers.pubkey: the key of %s is no usable Ed25519 public key; "
                         "copy what `veld pubkey` prints there",
                         c->config->path, peer->about->pub_line, name);
}

/* One datagram a size, the smallest first; what our own kernel refuses is an answer too. */
static void probe(struct veld_control *c, const struct veld_action *a)
{
    for (unsigned i = 0; i < a->probes.n; i++) {
        uint8_t bytes[VELD_MESSAGE_MAX];
        uint16_t size = a->probes.size[i];
        const struct veld_message m = {.type = VELD_MSG_PROBE, .id = a->probe_id, .size = size};
        size_t len = veld_message_write(bytes, &m);
        int rc = veld_dataplane_send_probe(c->dataplane, a->index, bytes, len, size);
        if (rc == VELD_E_LIMIT) { /* and all that are larger */
            c->refused =
                (struct veld_event){.type = VELD_EV_TOO_BIG, .peer = a->peer, .len = size};
            return;
        }
        if (rc < 0 && rc != VELD_E_FULL)
            veld_debug("cannot send a probe of %u bytes: %s", size, veld_strerror(rc));
    }
}

static void set_mtu(struct veld_control *c, const struct veld_action *a)
{
    struct veld_path_size size = {.mtu = a->mtu, .known = a->mtu_known};
    char name[64];
    int rc = veld_dataplane_peer_set_mtu(c->dataplane, a->peer, size);
    if (rc < 0)
        veld_debug("cannot set a path's MTU: %s", veld_strerror(rc));
    veld_debug("%s: packets of %u bytes pass%s", veld_control_peer_name(c, a->peer, name),
               size.mtu, size.known ? "" : ", as far as is known");
}

static const char *const action_names[] = {
    [VELD_ACT_PERSIST_TIMESTAMP] = "persist timestamp",
    [VELD_ACT_SEND] = "send handshake",
    [VELD_ACT_INSTALL] = "install session",
    [VELD_ACT_USE] = "use session",
    [VELD_ACT_RETIRE] = "retire session",
    [VELD_ACT_SEND_MESSAGE] = "send message",
    [VELD_ACT_SET_ENDPOINT] = "set endpoint",
    [VELD_ACT_WANTED] = "want a session",
    [VELD_ACT_GAVE_UP] = "give up",
    [VELD_ACT_BAD_KEY] = "give up a key",
    [VELD_ACT_PONG] = "pong",
    [VELD_ACT_PROBE] = "probe",
    [VELD_ACT_SET_MTU] = "set path MTU",
};

static void carry_out(struct veld_control *c, const struct veld_action *a)
{
    char to[VELD_ENDPOINT_STRLEN];
    veld_debug("%s: peer %u, session %08x, to %s", action_names[a->type], a->peer, a->index,
               veld_endpoint_format(&a->to, to));
    switch (a->type) {
    case VELD_ACT_PERSIST_TIMESTAMP: persist_timestamp(c, a->timestamp_floor_ns); break;
    case VELD_ACT_SEND: send_datagram(c, a); break;
    case VELD_ACT_INSTALL: install(c, a); break;
    case VELD_ACT_USE: use(c, a); break;
    case VELD_ACT_RETIRE: retire(c, a); break;
    case VELD_ACT_SEND_MESSAGE: send_message(c, a); break;
    case VELD_ACT_SET_ENDPOINT: set_endpoint(c, a); break;
    case VELD_ACT_WANTED: wanted(c, a); break;
    case VELD_ACT_GAVE_UP: gave_up(c, a); break;
    case VELD_ACT_BAD_KEY: bad_key(c, a); break;
    case VELD_ACT_PONG: veld_pings_on_pong(c, a); break;
    case VELD_ACT_PROBE: probe(c, a); break;
    case VELD_ACT_SET_MTU: set_mtu(c, a); break;
    }
}

/* ---- Steps ---- */

void veld_control_rearm(struct veld_control *c)
{
    if (!c->timer)
        return; /* the start arms it */
    uint64_t deadline = veld_engine_deadline(c->engine), now = veld_clock_mono_ns();
    if (deadline == UINT64_MAX)
        g_source_set_ready_time(c->timer, -1);
    else
        g_source_set_ready_time(
            c->timer, g_get_monotonic_time() +
                          (gint64)(deadline > now ? (deadline - now + 999) / 1000 : 0));
}

/* Workers check macs as the engine does. */
static void share_cookies(struct veld_control *c)
{
    const struct veld_cookie_checker *checker = veld_engine_cookies(c->engine);
    if (checker->secret_made_ns == c->cookies_made_ns)
        return;
    if (veld_dataplane_set_cookies(c->dataplane, checker) == 0)
        c->cookies_made_ns = checker->secret_made_ns;
}

static int one_step(struct veld_control *c, const struct veld_event *ev)
{
    struct veld_now now = veld_clock_now();
    struct veld_actions actions;
    int rc = veld_engine_step(c->engine, ev, &now, &actions);
    share_cookies(c); /* before the reply that needs it leaves */
    c->in_step = true;
    for (size_t i = 0; i < actions.n; i++)
        carry_out(c, &actions.a[i]);
    c->in_step = false;
    veld_actions_wipe(&actions);
    return rc;
}

static int step(struct veld_control *c, const struct veld_event *ev)
{
    int rc = one_step(c, ev);
    /* Ends: each refusal is of a smaller size than the one before. */
    while (c->refused.type == VELD_EV_TOO_BIG) {
        struct veld_event refused = c->refused;
        c->refused = (struct veld_event){0};
        one_step(c, &refused);
    }
    if (c->to_block != UINT32_MAX) {
        uint32_t id = c->to_block;
        c->to_block = UINT32_MAX;
        (void)!veld_control_peer_block(c, id); /* it is there: it had a session */
    }
    return rc;
}

int veld_control_step(struct veld_control *c, const struct veld_event *ev)
{
    int rc = step(c, ev);
    veld_control_rearm(c);
    return rc;
}

void veld_control_run_timers(struct veld_control *c)
{
    struct veld_event ev = {.type = VELD_EV_TIMER};
    for (int i = 0; i < EVENTS_PER_WAKE; i++) {
        if (veld_engine_deadline(c->engine) > veld_clock_mono_ns())
            break;
        step(c, &ev);
    }
    veld_control_rearm(c);
}

static enum veld_event_type engine_event(enum veld_dataplane_event_type type)
{
    switch (type) {
    case VELD_DP_HANDSHAKE: return VELD_EV_DATAGRAM;
    case VELD_DP_CONFIRMED: return VELD_EV_CONFIRMED;
    case VELD_DP_NEED_SESSION: return VELD_EV_NEED_SESSION;
    case VELD_DP_REKEY_DUE: return VELD_EV_REKEY_DUE;
    case VELD_DP_MOVED: return VELD_EV_MOVED;
    case VELD_DP_MESSAGE: return VELD_EV_MESSAGE;
    case VELD_DP_TOO_BIG: return VELD_EV_TOO_BIG;
    case VELD_DP_STUN: break; /* never the engine's */
    }
    g_assert_not_reached();
}

/* The peer answered our initiation, which only it could read, and still we cannot read the answer. */
static void tell_refused(const struct veld_dataplane_event *in, int rc)
{
    char from[VELD_ENDPOINT_STRLEN];
    if (rc <= 0)
        return;
    const char *why = veld_drop_text((enum veld_drop)(rc - 1));
    veld_endpoint_format(&in->from, from);
    if (rc == 1 + VELD_DROP_HANDSHAKE && in->bytes[0] == VELD_RESPONSE)
        VELD_LOG_LIMITED(
            VELD_LOG_WARN, veld_clock_mono_ns(),
            "the answer of %s cannot be read: does it have the same network secret?", from);
    else
        veld_debug("handshake datagram from %s dropped: %s", from, why);
}

/* As a relay, and as one end. */
static void on_circuit_message(struct veld_control *c, uint32_t peer,
                               const struct veld_endpoint *from, const struct veld_message *m)
{
    veld_relaying_on_message(c, peer, from, m);
    veld_relays_on_message(c, peer, m);
}

/*
 * What the engine took as authentic, and leaves to others. It may come before a
 * session is used, while its path is sought.
 */
static void pass_on(struct veld_control *c, const struct veld_dataplane_event *in)
{
    struct veld_message m;
    struct veld_peer_info info;
    if (veld_message_parse(in->bytes, in->len, &m) < 0 || !veld_message_is_passed_on(m.type) ||
        veld_engine_peer_get(c->engine, in->peer, &info) < 0 || info.state == VELD_PEER_BLOCKED)
        return;
    if (!info.current_index && !may_use(c, in->peer))
        (void)!veld_control_peer_block(c, in->peer); /* it is there */
    else if (m.type == VELD_MSG_CANDIDATES)
        veld_exchange_on_message(c, in->peer, &m);
    else if (m.type >= VELD_MSG_CIRCUIT_OPEN && m.type <= VELD_MSG_CIRCUIT_CLOSE)
        on_circuit_message(c, in->peer, &in->from, &m);
    else if (c->hooks.on_message)
        c->hooks.on_message(c->hooks.ctx, in->peer, &m);
}

void veld_control_take_events(struct veld_control *c)
{
    struct veld_dataplane_event in;
    for (int i = 0; i < EVENTS_PER_WAKE && veld_dataplane_next_event(c->dataplane, &in); i++) {
        if (in.type == VELD_DP_STUN) {
            veld_self_stun_on_event(c, &in);
            continue;
        }
        if (in.type == VELD_DP_MESSAGE)
            veld_lane_ports_on_message(c, &in);
        struct veld_event ev = {
            .type = engine_event(in.type),
            .peer = in.peer,
            .index = in.local_index,
            .from = in.from,
            .data = in.bytes,
            .len = in.len,
            .under_load = in.under_load,
        };
        int rc = step(c, &ev);
        if (in.type == VELD_DP_HANDSHAKE)
            tell_refused(&in, rc);
        else if (in.type == VELD_DP_MESSAGE && rc == 0)
            pass_on(c, &in);
        else if (in.type == VELD_DP_NEED_SESSION && rc == VELD_E_PERM)
            veld_dataplane_peer_drop_held(c->dataplane,
                                          in.peer); /* blocked, and routed still */
    }
    veld_control_rearm(c);
}

void veld_control_feed_activity(struct veld_control *c)
{
    /* Backwards: a step may retire a peer's last session and so shorten the list. */
    for (size_t i = c->peers.n_live; i-- > 0;) {
        if (i >= c->peers.n_live)
            continue;
        struct veld_activity seen;
        uint32_t id = c->peers.live[i];
        if (veld_dataplane_peer_activity(c->dataplane, id, &seen) < 0)
            continue;
        struct veld_event ev = {
            .type = VELD_EV_ACTIVITY,
            .peer = id,
            .last_sent_ns = seen.last_sent_ns,
            .last_sent_data_ns = seen.last_sent_data_ns,
            .last_received_ns = seen.last_received_ns,
            .last_received_data_ns = seen.last_received_data_ns,
        };
        step(c, &ev);
    }
    veld_control_rearm(c);
}

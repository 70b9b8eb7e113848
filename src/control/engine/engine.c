#include "control/engine/engine_impl.h"

#include "crypto/primitives.h"

#include <stdlib.h>

#define INDICES_MIN      1024
#define INDICES_PER_PEER 4 /* three sessions and a handshake */

static uint32_t index_slots(uint32_t max_peers)
{
    uint64_t want = (uint64_t)max_peers * INDICES_PER_PEER;
    return (uint32_t)VELD_MIN(VELD_MAX(want, INDICES_MIN), 1u << VELD_INDEX_SLOT_BITS);
}

struct veld_engine *veld_engine_new(const struct veld_engine_config *cfg)
{
    struct veld_engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    uint8_t seed[2][16];
    cfg->random(cfg->random_ctx, seed, sizeof seed);
    e->cfg = *cfg;
    e->timestamp = (struct veld_timestamp){cfg->timestamp_floor_ns, cfg->timestamp_floor_ns};
    veld_cookie_checker_init(&e->checker, cfg->identity->pub);
    e->peers = veld_peer_table_new(cfg->max_peers, seed[0]);
    e->indices = veld_index_table_new(index_slots(cfg->max_peers));
    e->deadlines = veld_deadlines_new(cfg->max_peers);
    e->limiter = veld_ratelimit_new(seed[1]);
    if (!e->peers || !e->indices || !e->deadlines || !e->limiter) {
        veld_engine_free(e);
        return NULL;
    }
    return e;
}

void veld_engine_free(struct veld_engine *e)
{
    if (!e)
        return;
    veld_peer_table_free(e->peers);
    veld_index_table_free(e->indices);
    veld_deadlines_free(e->deadlines);
    veld_ratelimit_free(e->limiter);
    veld_wipe(e, sizeof *e);
    free(e);
}

/* ---- Peers ---- */

/* Its earliest timer is the one the heap has. */
static void update_deadline(struct veld_engine *e, const struct veld_engine_peer *p)
{
    const struct veld_engine_link *l = p->link;
    uint64_t at_ns = l ? VELD_MIN(l->handshake_at_ns, l->confirm_at_ns) : VELD_NEVER;
    if (l)
        at_ns = VELD_MIN(at_ns, l->seek.at_ns);
    if (l && veld_path_mtu_started(&l->mtu))
        at_ns = VELD_MIN(at_ns, l->mtu.due_ns);
    for (size_t i = 0; l && i < VELD_SLOTS; i++) {
        if (veld_slot_used(&l->slots[i]))
            at_ns = VELD_MIN(at_ns, l->slots[i].reject_at_ns);
    }
    veld_deadlines_set(e->deadlines, p->id, at_ns);
}

/* Who is to be kept alive, and is not, is called at once. */
static int call_if_kept_alive(struct veld_engine_peer *p)
{
    const struct veld_engine_link *l = p->link;
    if (p->blocked || !p->keepalive_s || !p->endpoint.ip.family ||
        (l && (l->attempting || veld_slot_used(&l->current))))
        return 0;
    int rc = veld_peer_wake(p);
    if (rc == 0)
        p->link->handshake_at_ns = 0;
    return rc;
}

static bool is_sound(const struct veld_engine_peer_config *cfg)
{
    bool sound = cfg->n_candidates <= VELD_CANDIDATES_MAX &&
                 (!cfg->endpoint.ip.family || veld_endpoint_usable(&cfg->endpoint));
    for (size_t i = 0; sound && i < cfg->n_candidates; i++)
        sound = veld_endpoint_usable(&cfg->candidates[i]);
    return sound;
}

/* Where a peer that has not shown itself yet is sought. */
static struct veld_endpoint best_guess(const struct veld_engine_peer_config *cfg)
{
    if (cfg->endpoint.ip.family)
        return cfg->endpoint;
    /* A circuit that was is none now, unless it is a candidate. */
    if (cfg->last_known.ip.family && !veld_endpoint_is_circuit(&cfg->last_known) &&
        veld_endpoint_usable(&cfg->last_known))
        return cfg->last_known;
    return cfg->n_candidates ? cfg->candidates[0] : (struct veld_endpoint){0};
}

/* VELD_E_NOMEM: as they were. */
static int set_candidates(struct veld_engine_peer *p, const struct veld_engine_peer_config *cfg)
{
    struct veld_endpoint *copy = NULL;
    if (cfg->n_candidates && !(copy = calloc(cfg->n_candidates, sizeof *copy)))
        return VELD_E_NOMEM;
    for (size_t i = 0; i < cfg->n_candidates; i++)
        copy[i] = cfg->candidates[i];
    free(p->candidates);
    p->candidates = copy;
    p->n_candidates = (uint8_t)cfg->n_candidates;
    return 0;
}

static bool has_new_candidates(const struct veld_engine_peer *p,
                               const struct veld_engine_peer_config *cfg)
{
    for (size_t i = 0; i < cfg->n_candidates; i++) {
        bool known = false;
        for (size_t k = 0; k < p->n_candidates; k++)
            known |= veld_endpoint_equal(&p->candidates[k], &cfg->candidates[i]);
        if (!known)
            return true;
    }
    return false;
}

int veld_engine_peer_add(struct veld_engine *e, const struct veld_engine_peer_config *cfg,
                         uint32_t *id)
{
    if (!is_sound(cfg))
        return VELD_E_INVAL;
    if (veld_ed25519_same_but_for_sign(cfg->pub, e->cfg.identity->pub))
        return VELD_E_KEY; /* ourselves, or our sign twin */
    struct veld_engine_peer *p;
    int rc = veld_peer_table_add(e->peers, cfg->pub, &p);
    if (rc < 0)
        return rc;
    p->we_lead = memcmp(e->cfg.identity->pub, p->pub, sizeof p->pub) < 0;
    p->keepalive_s = cfg->keepalive_s;
    p->configured = cfg->endpoint;
    p->endpoint = best_guess(cfg);
    rc = set_candidates(p, cfg);
    if (rc == 0)
        rc = call_if_kept_alive(p);
    if (rc < 0) {
        veld_peer_table_remove(e->peers, p);
        return rc;
    }
    update_deadline(e, p);
    *id = p->id;
    return 0;
}

static bool is_at_a_known_circuit(const struct veld_engine_peer *p)
{
    bool known = false;
    for (size_t i = 0; i < p->n_candidates; i++)
        known |= veld_endpoint_equal(&p->candidates[i], &p->endpoint);
    return known && veld_endpoint_is_circuit(&p->endpoint);
}

/* What is sent there from now on goes nowhere. */
static void leave_circuit(struct veld_engine_peer *p, const struct veld_engine_peer_config *cfg)
{
    if (p->link && veld_slot_used(&p->link->current)) {
        veld_seek_ended(p);
        return;
    }
    p->endpoint = best_guess(cfg);
    p->endpoint_proved_ns = 0;
}

int veld_engine_peer_set(struct veld_engine *e, uint32_t id,
                         const struct veld_engine_peer_config *cfg)
{
    struct veld_engine_peer *p = veld_peer_table_get(e->peers, id);
    if (!p)
        return VELD_E_NOENT;
    bool has_endpoint = cfg->endpoint.ip.family != 0;
    if (memcmp(cfg->pub, p->pub, sizeof p->pub) != 0 || !is_sound(cfg))
        return VELD_E_INVAL;
    bool news = has_new_candidates(p, cfg), by_circuit = is_at_a_known_circuit(p);
    int rc = set_candidates(p, cfg);
    if (rc < 0)
        return rc;
    if (by_circuit && !is_at_a_known_circuit(p))
        leave_circuit(p, cfg);
    p->keepalive_s = cfg->keepalive_s;
    /* Saying the same again does not call back a peer that has moved on since. */
    bool moved = has_endpoint && !veld_endpoint_equal(&cfg->endpoint, &p->configured);
    p->configured = cfg->endpoint;
    if (moved) {
        p->endpoint = cfg->endpoint;
        p->endpoint_proved_ns = 0;
    }
    /* A handshake proves the new address; until then a session stays on the old one. */
    if (moved && p->link && (veld_slot_used(&p->link->current) || p->link->attempting))
        p->link->handshake_at_ns = 0;
    /* Nobody has been there: what is said now is as good as what was said before. */
    bool unseen = !p->endpoint_proved_ns && !(p->link && veld_slot_used(&p->link->current));
    if (unseen && !has_endpoint && best_guess(cfg).ip.family)
        p->endpoint = best_guess(cfg);
    if (news && p->link && p->link->attempting)
        veld_attempt_hurry(p);
    rc = call_if_kept_alive(p);
    update_deadline(e, p);
    return rc;
}

static enum veld_peer_state state_of(const struct veld_engine_peer *p)
{
    if (p->blocked)
        return VELD_PEER_BLOCKED;
    if (p->offline)
        return VELD_PEER_OFFLINE;
    if (!p->link)
        return VELD_PEER_IDLE;
    if (p->link->waiting)
        return VELD_PEER_CONNECTING;
    if (p->link->silent && veld_slot_used(&p->link->current)) /* there is nobody at its end */
        return p->link->attempting ? VELD_PEER_CONNECTING : VELD_PEER_OFFLINE;
    if (veld_slot_used(&p->link->current))
        return VELD_PEER_ACTIVE;
    return p->link->attempts ? VELD_PEER_CONNECTING : VELD_PEER_IDLE;
}

bool veld_engine_peer_find(const struct veld_engine *e, const uint8_t pub[32], uint32_t *id)
{
    const struct veld_engine_peer *p = veld_peer_table_find(e->peers, pub);
    if (p)
        *id = p->id;
    return p;
}

int veld_engine_peer_get(const struct veld_engine *e, uint32_t id, struct veld_peer_info *out)
{
    const struct veld_engine_peer *p = veld_peer_table_get(e->peers, id);
    if (!p)
        return VELD_E_NOENT;
    *out = (struct veld_peer_info){
        .state = state_of(p),
        .endpoint = p->endpoint,
        .last_handshake_wall_ns = p->last_handshake_wall_ns,
        .last_handshake_mono_ns = p->last_handshake_mono_ns,
        .rtt_ns = p->rtt_ns,
        .current_index = p->link && !p->link->waiting ? p->link->current.local_index : 0,
        .attempts = p->link ? p->link->attempts : 0,
    };
    if (p->link && veld_path_mtu_started(&p->link->mtu)) {
        out->mtu = p->link->mtu.mtu;
        out->mtu_known = p->link->mtu.known;
    }
    memcpy(out->pub, p->pub, sizeof out->pub);
    return 0;
}

/* ---- Steps ---- */

int veld_step_touch(struct veld_step *s, struct veld_engine_peer *p)
{
    int rc = veld_peer_wake(p);
    if (rc < 0)
        return rc;
    s->touched = p;
    veld_session_expire(s, p);
    return 0;
}

void veld_step_random(struct veld_step *s, void *out, size_t len)
{
    s->e->cfg.random(s->e->cfg.random_ctx, out, len);
}

static int on_datagram(struct veld_step *s, const struct veld_event *ev)
{
    struct veld_header h;
    enum veld_drop reason;
    if (!veld_header_parse(ev->data, ev->len, &h, &reason))
        return veld_step_drop(s, reason);
    switch (h.type) {
    case VELD_INITIATION: return veld_initiation_receive(s, ev, h.index);
    case VELD_RESPONSE: return veld_response_receive(s, ev, &h);
    case VELD_COOKIE_REPLY: return veld_cookie_reply_receive(s, ev, h.index);
    default: return veld_step_drop(s, VELD_DROP_TYPE); /* data is the dataplane's */
    }
}

/* What is told of a session: find its peer, and do nothing if either is gone. */
static int on_session_event(struct veld_step *s, const struct veld_event *ev)
{
    uint32_t id;
    struct veld_engine_peer *p = NULL;
    if (veld_index_table_find(s->e->indices, ev->index, &id)) {
        p = veld_peer_table_get(s->e->peers, id);
        int rc = veld_step_touch(s, p);
        if (rc < 0)
            return rc;
    }
    struct veld_engine_session *session = p ? veld_session_find(p, ev->index) : NULL;
    if (!session)
        return veld_step_drop(s, VELD_DROP_INDEX);
    switch (ev->type) {
    case VELD_EV_CONFIRMED:
    case VELD_EV_MOVED:
        veld_session_heard(s, p, session, &ev->from);
        veld_path_challenge(s, p, &ev->from);
        return 0;
    case VELD_EV_REKEY_DUE: return session == &p->link->current ? veld_attempt_start(s, p) : 0;
    default: return veld_message_receive(s, p, ev);
    }
}

static void goodbye(struct veld_step *s, struct veld_engine_peer *p)
{
    if (veld_slot_used(&p->link->current))
        veld_step_message(s, p, NULL, &(struct veld_message){.type = VELD_MSG_GOODBYE});
    veld_session_retire_all(s, p);
    veld_attempt_abandon(s, p);
}

/* Somebody wants new keys: a handshake, whether or not a session is in use. */
static int rekey(struct veld_step *s, struct veld_engine_peer *p)
{
    const struct veld_engine_session *c = &p->link->current;
    if (veld_slot_used(c) &&
        veld_ns_since(s->now.mono_ns, c->born_ns) < VELD_REKEY_GAP_MS * VELD_NS_PER_MS)
        return VELD_E_LIMIT;
    /* What an attempt is still open for, the peer's own handshake has done already. */
    if (p->link->attempting && p->last_handshake_mono_ns > p->link->attempt_started_ns)
        veld_attempt_end(s->e, p);
    return veld_attempt_wanted(s, p);
}

/* What leaves towards the peer lets it in, where a NAT before us had closed. */
static int called(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!veld_session_is_made(p))
        return veld_attempt_called(s, p);
    veld_seek_called(s, p);
    return 0;
}

static void block(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_session_retire_all(s, p);
    veld_attempt_abandon(s, p);
    p->blocked = true;
}

static int unblock(struct veld_engine_peer *p)
{
    p->blocked = false;
    return call_if_kept_alive(p);
}

static void remove_peer(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_session_retire_all(s, p);
    veld_attempt_end(s->e, p);
    veld_deadlines_set(s->e->deadlines, p->id, VELD_NEVER);
    veld_peer_table_remove(s->e->peers, p);
    s->touched = NULL;
}

static int on_peer_event(struct veld_step *s, const struct veld_event *ev)
{
    struct veld_engine_peer *p = veld_peer_table_get(s->e->peers, ev->peer);
    if (!p)
        return VELD_E_NOENT;
    int rc = veld_step_touch(s, p);
    if (rc < 0)
        return rc;
    bool ends = ev->type == VELD_EV_UNBLOCK || ev->type == VELD_EV_REMOVE_PEER;
    if (p->blocked && !ends)
        return VELD_E_PERM;
    switch (ev->type) {
    case VELD_EV_NEED_SESSION: return veld_session_is_made(p) ? 0 : veld_attempt_wanted(s, p);
    case VELD_EV_CALLED: return called(s, p);
    case VELD_EV_TOO_BIG: veld_probe_refused(s, p, ev->len); return 0;
    case VELD_EV_ACTIVITY: return veld_activity_seen(s, p, ev);
    case VELD_EV_PING: return veld_path_ping(s, p);
    case VELD_EV_SEEK: veld_seek_start(s, p); return 0;
    case VELD_EV_NETWORK: veld_seek_network(s, p, ev); return 0;
    case VELD_EV_REKEY: return rekey(s, p);
    case VELD_EV_GOODBYE: goodbye(s, p); return 0;
    case VELD_EV_BLOCK: block(s, p); return 0;
    case VELD_EV_UNBLOCK: return unblock(p);
    default: remove_peer(s, p); return 0;
    }
}

static int on_timer(struct veld_step *s)
{
    uint32_t id = 0;
    if (veld_deadlines_first(s->e->deadlines, &id) > s->now.mono_ns)
        return 0;
    struct veld_engine_peer *p = veld_peer_table_get(s->e->peers, id);
    int rc = veld_step_touch(s, p);
    if (rc < 0)
        return rc;
    if (p->link->confirm_at_ns <= s->now.mono_ns)
        rc = veld_session_confirm_due(s, p);
    if (p->link->handshake_at_ns <= s->now.mono_ns)
        rc = veld_attempt_due(s, p);
    veld_seek_due(s, p);
    veld_probe_due(s, p);
    return rc < 0 ? rc : 1;
}

int veld_engine_step(struct veld_engine *e, const struct veld_event *ev,
                     const struct veld_now *now, struct veld_actions *out)
{
    struct veld_step s = {.e = e, .now = *now, .out = out};
    int rc = VELD_E_INVAL;
    out->n = 0;
    switch (ev->type) {
    case VELD_EV_DATAGRAM: rc = on_datagram(&s, ev); break;
    case VELD_EV_CONFIRMED:
    case VELD_EV_REKEY_DUE:
    case VELD_EV_MOVED:
    case VELD_EV_MESSAGE: rc = on_session_event(&s, ev); break;
    case VELD_EV_NEED_SESSION:
    case VELD_EV_CALLED:
    case VELD_EV_ACTIVITY:
    case VELD_EV_PING:
    case VELD_EV_SEEK:
    case VELD_EV_NETWORK:
    case VELD_EV_REKEY:
    case VELD_EV_TOO_BIG:
    case VELD_EV_BLOCK:
    case VELD_EV_UNBLOCK:
    case VELD_EV_REMOVE_PEER:
    case VELD_EV_GOODBYE: rc = on_peer_event(&s, ev); break;
    case VELD_EV_TIMER: rc = on_timer(&s); break;
    }
    if (s.touched) {
        veld_probe_follow(&s, s.touched);
        veld_peer_rest(s.touched);
        update_deadline(e, s.touched);
    }
    return rc;
}

uint64_t veld_engine_deadline(const struct veld_engine *e)
{
    uint32_t id;
    return veld_deadlines_first(e->deadlines, &id);
}

const struct veld_cookie_checker *veld_engine_cookies(const struct veld_engine *e)
{
    return &e->checker;
}

void veld_engine_get_stats(const struct veld_engine *e, struct veld_engine_stats *out)
{
    *out = e->stats;
}

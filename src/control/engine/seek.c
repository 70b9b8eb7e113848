/*
 * Is there a better path than the one in use, and is that one alive? A search asks by pings, in
 * rounds; each address has a token of its own, so that a pong proves that its sender
 * receives there.
 *
 * Asked are those of a better class (preference.h); and when the endpoint is suspected, since
 * data left and nothing came back for a second, first it alone, and when it does not answer all
 * that are known. A better one that answers is the endpoint from then on, any that answers when
 * the endpoint did not. Both ends search when they hear of candidates: that opens the NATs
 * between them from both sides.
 *
 * Who is called by a peer that it has a session with asks everywhere too: the peer does not get
 * through, perhaps since a NAT before us has closed.
 *
 * A path that is dead in our direction alone is noticed by the peer, which sends and hears nothing:
 * we follow it to the next. One in use is suspected when this machine's ways out have changed, and
 * dead when there is no route to it any more.
 *
 * A circuit that has ended is dead at once; when no path is found instead, its session ends. One in use, while data is sent, is compared with
 * the peer's addresses again every VELD_SEEK_AGAIN_S.
 *
 * Bounds: a search is VELD_SEEK_ROUNDS rounds in under 4 s, and the next begins
 * VELD_SEEK_GAP_NS after the last began; all searches together send VELD_SEEK_PINGS_PER_S.
 */
#include "control/engine/engine_impl.h"
#include "control/engine/preference.h"
#include "crypto/primitives.h"

/* Before each round. */
static const uint16_t wait_ms[VELD_SEEK_ROUNDS] = {0, 250, 500, 1000, 2000};
/* Unanswered for so many rounds the endpoint is taken for dead. */
#define MUTE_AFTER 2
/* An endpoint that answered so lately is not asked again because the peer sends by a circuit. */
#define FRESH_NS (2 * VELD_NS_PER_S)

static bool is_mute(const struct veld_engine_seek *k)
{
    return k->suspect && !k->answered && k->round >= MUTE_AFTER;
}

/* May one more ping leave, of all searches? */
static bool may_ping(struct veld_step *s)
{
    struct veld_engine *e = s->e;
    if (!e->seek_window_ns ||
        veld_ns_since(s->now.mono_ns, e->seek_window_ns) >= VELD_NS_PER_S) {
        e->seek_window_ns = s->now.mono_ns;
        e->seek_pings = 0;
    }
    return e->seek_pings++ < VELD_SEEK_PINGS_PER_S;
}

static void ask(struct veld_step *s, struct veld_engine_peer *p, const struct veld_endpoint *to)
{
    struct veld_message ping = {.type = VELD_MSG_PING};
    if (!may_ping(s))
        return;
    veld_path_token(p->link->seek.secret, to, ping.token);
    veld_step_message(s, p, to, &ping);
}

/* A circuit that has ended: nothing leaves by it, so that nothing is missed either. */
static bool is_gone(const struct veld_engine_peer *p)
{
    bool known = !veld_endpoint_is_circuit(&p->endpoint);
    for (size_t i = 0; i < p->n_candidates; i++)
        known |= veld_endpoint_equal(&p->candidates[i], &p->endpoint);
    return !known;
}

static bool is_better(const struct veld_engine_peer *p, const struct veld_endpoint *to)
{
    return veld_path_is_better(to, &p->endpoint) ||
           (is_gone(p) && !veld_endpoint_equal(to, &p->endpoint));
}

static bool has_better(const struct veld_engine_peer *p)
{
    struct veld_endpoint to[VELD_TARGETS_MAX];
    size_t n = veld_path_targets(p, to);
    for (size_t i = 0; i < n; i++) {
        if (is_better(p, &to[i]))
            return true;
    }
    return false;
}

static void ask_others(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_endpoint to[VELD_TARGETS_MAX];
    size_t n = veld_path_targets(p, to);
    for (size_t i = 0; i < n; i++) {
        bool here = veld_endpoint_equal(&to[i], &p->endpoint);
        if (!here && (is_mute(&p->link->seek) || is_better(p, &to[i])))
            ask(s, p, &to[i]);
    }
}

static void next_round(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_seek *k = &p->link->seek;
    bool is_done = !has_better(p) && (!k->suspect || k->answered);
    if (is_done) {
        k->at_ns = VELD_NEVER;
        return;
    }
    if (is_mute(k) && k->round == MUTE_AFTER)
        veld_step_act(s, VELD_ACT_WANTED, p->id); /* it may have new addresses by now */
    ask_others(s, p);
    if (k->suspect && !k->answered)
        ask(s, p, &p->endpoint);
    k->round++;
    if (k->round < VELD_SEEK_ROUNDS)
        k->at_ns = s->now.mono_ns + wait_ms[k->round] * VELD_NS_PER_MS;
    else /* when nothing is left, the last answers are waited for */
        k->at_ns = is_gone(p) ? s->now.mono_ns + VELD_NS_PER_S : VELD_NEVER;
}

/* Nothing led to it in a whole search: its session is over, and who wants to talk begins anew. */
static void lose(struct veld_step *s, struct veld_engine_peer *p)
{
    p->link->seek.at_ns = VELD_NEVER;
    veld_session_retire_all(s, p);
    p->endpoint = p->configured;
    if (!p->endpoint.ip.family && p->n_candidates)
        p->endpoint = p->candidates[0];
    p->endpoint_proved_ns = 0;
    if (p->keepalive_s)
        (void)!veld_attempt_start(s, p);
}

static void begin(struct veld_step *s, struct veld_engine_peer *p, uint8_t round)
{
    struct veld_engine_seek *k = &p->link->seek;
    veld_step_random(s, k->secret, sizeof k->secret);
    k->began_ns = s->now.mono_ns;
    k->round = round;
    k->answered = k->ended = false;
    next_round(s, p);
}

/* A search that may not begin yet waits for its time. */
static void want(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_seek *k = &p->link->seek;
    if (k->at_ns != VELD_NEVER) /* under way, or about to begin */
        return;
    k->round = VELD_SEEK_ROUNDS;
    k->at_ns = k->began_ns ? k->began_ns + VELD_SEEK_GAP_NS : s->now.mono_ns;
    veld_seek_due(s, p);
}

static bool has_session(const struct veld_engine_peer *p)
{
    return veld_slot_used(&p->link->current) && !p->link->waiting && !p->link->seeking;
}

void veld_seek_start(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!has_better(p))
        return;
    if (!is_gone(p) || !has_session(p)) {
        want(s, p);
        return;
    }
    p->link->seek.suspect = true; /* what is new is asked before the session is given up */
    begin(s, p, MUTE_AFTER);
}

void veld_seek_suspect(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_seek *k = &p->link->seek;
    if (!has_session(p) || (k->suspect && k->at_ns != VELD_NEVER))
        return;
    k->suspect = true; /* at once: a dead path is worse than a ping too many */
    begin(s, p, 0);
}

void veld_seek_called(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_seek *k = &p->link->seek;
    if (!has_session(p) ||
        (k->began_ns && veld_ns_since(s->now.mono_ns, k->began_ns) < VELD_SEEK_GAP_NS))
        return;
    k->suspect = true;
    begin(s, p, MUTE_AFTER + 1); /* everywhere; and the peer is not called for having called */
}

void veld_seek_network(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_event *ev)
{
    uint64_t sent_ns = p->link->sent_data_ns;
    bool in_use =
        sent_ns && veld_ns_since(s->now.mono_ns, sent_ns) < VELD_SILENCE_S * VELD_NS_PER_S;
    if (!in_use || !has_session(p)) {
        veld_seek_start(s, p);
        return;
    }
    p->link->seek.suspect = true; /* anew: what was asked before the change went elsewhere */
    begin(s, p, ev->no_route ? MUTE_AFTER : 0);
}

void veld_seek_ended(struct veld_engine_peer *p)
{
    p->link->seek.ended = true;
    p->link->seek.at_ns = 0;
}

void veld_seek_strayed(struct veld_step *s, struct veld_engine_peer *p)
{
    const uint64_t answered_ns = p->link->seek.answered_ns;
    if (!answered_ns || veld_ns_since(s->now.mono_ns, answered_ns) >= FRESH_NS)
        veld_seek_suspect(s, p);
}

bool veld_seek_is_mute(const struct veld_engine_peer *p)
{
    return is_mute(&p->link->seek);
}

void veld_seek_activity(struct veld_step *s, struct veld_engine_peer *p, uint64_t sent_data_ns)
{
    const uint64_t again_ns = VELD_SEEK_AGAIN_S * VELD_NS_PER_S;
    bool in_use = sent_data_ns && veld_ns_since(s->now.mono_ns, sent_data_ns) < again_ns;
    if (in_use && veld_endpoint_is_circuit(&p->endpoint) && has_session(p) &&
        veld_ns_since(s->now.mono_ns, p->link->seek.began_ns) >= again_ns)
        veld_seek_start(s, p);
}

void veld_seek_due(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_seek *k = &p->link->seek;
    if (k->at_ns > s->now.mono_ns)
        return;
    if (!has_session(p)) {
        k->at_ns = VELD_NEVER;
        k->ended = false;
    } else if (k->ended) {
        k->suspect = true;
        begin(s, p, MUTE_AFTER);
    } else if (k->round == VELD_SEEK_ROUNDS && k->suspect && is_gone(p)) {
        lose(s, p);
    } else if (k->round == VELD_SEEK_ROUNDS) { /* wanted, and its time has come */
        k->suspect = false;
        begin(s, p, 0);
    } else {
        next_round(s, p);
    }
}

bool veld_seek_pong(struct veld_step *s, struct veld_engine_peer *p,
                    const uint8_t token[VELD_PING_TOKEN_SIZE], const struct veld_endpoint *from)
{
    struct veld_engine_seek *k = &p->link->seek;
    uint8_t expected[VELD_PING_TOKEN_SIZE];
    if (!k->began_ns || !from->ip.family ||
        veld_ns_since(s->now.mono_ns, k->began_ns) >= VELD_SEEK_GAP_NS)
        return false;
    veld_path_token(k->secret, from, expected);
    if (!veld_equal(expected, token, sizeof expected))
        return false;
    bool here = veld_endpoint_equal(from, &p->endpoint);
    bool moves = !here && (is_mute(k) || is_better(p, from));
    if (here || moves) {
        k->answered = true;
        k->suspect = false;
        k->answered_ns = s->now.mono_ns;
    }
    if (moves)
        veld_path_proved(s, p, from);
    return true;
}

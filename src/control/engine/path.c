/*
 * Endpoints: an address becomes a peer's endpoint when it has shown that it
 * receives what we send there, never because something came from it.
 */
#include "control/engine/engine_impl.h"
#include "control/engine/preference.h"

#include "crypto/primitives.h"

bool veld_endpoint_usable(const struct veld_endpoint *ep)
{
    static const struct veld_ip loopback6 = {.family = 6, .b = {[15] = 1}};
    bool loopback =
        (ep->ip.family == 4 && ep->ip.b[0] == 127) || veld_ip_equal(&ep->ip, &loopback6);
    return veld_endpoint_is_circuit(ep) ||
           (ep->port != 0 && (loopback || veld_ip_is_unicast(&ep->ip)));
}

void veld_path_proved(struct veld_step *s, struct veld_engine_peer *p,
                      const struct veld_endpoint *to)
{
    bool news = !p->endpoint_proved_ns || !veld_endpoint_equal(&p->endpoint, to);
    p->endpoint_proved_ns = s->now.mono_ns;
    if (news) {
        p->link->left = p->endpoint;
        p->link->left_ns = s->now.mono_ns;
        p->endpoint = *to;
        veld_probe_forget(p);
        veld_step_act(s, VELD_ACT_SET_ENDPOINT, p->id)->to = *to;
    }
    veld_session_found(s, p);
    if (news)
        veld_seek_start(s, p); /* it may have moved away from where it was reached better */
}

void veld_path_answered(struct veld_step *s, struct veld_engine_peer *p,
                        const struct veld_endpoint *to, uint64_t sent_ns)
{
    if (p->endpoint_proved_ns <= sent_ns) /* else the peer has been seen elsewhere since */
        veld_path_proved(s, p, to);
}

void veld_path_confirmed(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_endpoint *from)
{
    bool unknown = from->ip.family == 0; /* lane 0 will tell if it has moved */
    if (p->endpoint_proved_ns && (unknown || veld_endpoint_equal(&p->endpoint, from)))
        return;
    veld_path_proved(s, p,
                     &p->link->answered_to); /* the response went there, and was received */
}

size_t veld_path_targets(const struct veld_engine_peer *p,
                         struct veld_endpoint out[VELD_TARGETS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < 2u + p->n_candidates; i++) {
        const struct veld_endpoint *e = i == 0   ? &p->endpoint
                                        : i == 1 ? &p->configured
                                                 : &p->candidates[i - 2];
        bool twice = false;
        for (size_t k = 0; k < n; k++)
            twice |= veld_endpoint_equal(&out[k], e);
        if (e->ip.family && !twice)
            out[n++] = *e;
    }
    return n;
}

void veld_path_token(const uint8_t secret[32], const struct veld_endpoint *to,
                     uint8_t token[VELD_PING_TOKEN_SIZE])
{
    uint8_t at[1 + sizeof to->ip.b + 2 + 4];
    at[0] = to->ip.family;
    memcpy(at + 1, to->ip.b, sizeof to->ip.b);
    veld_store_be16(at + 17, to->port);
    veld_store_be32(at + 19, to->scope);
    veld_mac16(token, secret, &(struct veld_bytes){at, sizeof at}, 1);
}

static void ask(struct veld_step *s, struct veld_engine_peer *p, const struct veld_endpoint *to)
{
    struct veld_message ping = {.type = VELD_MSG_PING};
    veld_path_token(p->link->challenge.secret, to, ping.token);
    veld_step_message(s, p, to, &ping);
}

static bool is_old(const struct veld_step *s, const struct veld_engine_challenge *c)
{
    return veld_ns_since(s->now.mono_ns, c->made_ns) >=
           VELD_CHALLENGE_TIMEOUT_S * VELD_NS_PER_S;
}

static void renew(struct veld_step *s, struct veld_engine_challenge *c,
                  const struct veld_endpoint *to)
{
    veld_step_random(s, c->secret, sizeof c->secret);
    c->to = *to;
    c->to_all = false;
    c->made_ns = s->now.mono_ns;
}

void veld_path_seek(struct veld_step *s, struct veld_engine_peer *p,
                    const struct veld_endpoint *via)
{
    struct veld_engine_challenge *c = &p->link->challenge;
    struct veld_endpoint to[VELD_TARGETS_MAX];
    size_t n = veld_path_targets(p, to);
    c->sent_ns = s->now.mono_ns;
    if (via) {
        renew(s, c, veld_endpoint_usable(via) ? via : &to[0]);
        ask(s, p, &c->to);
        return;
    }
    c->to_all = true;
    for (size_t i = 0; i < n; i++) {
        if (!veld_endpoint_equal(&to[i], &c->to))
            ask(s, p, &to[i]);
    }
    ask(s, p, &c->to);
}

/* Each end follows the other: when both do at once they swap paths, for ever. One of them stays. */
static bool swings(const struct veld_step *s, const struct veld_engine_peer *p,
                   const struct veld_endpoint *to)
{
    return p->we_lead && veld_endpoint_equal(to, &p->link->left) &&
           veld_ns_since(s->now.mono_ns, p->link->left_ns) < VELD_SWING_S * VELD_NS_PER_S &&
           !veld_path_is_better(to, &p->endpoint) && !veld_seek_is_mute(p);
}

void veld_path_challenge(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_endpoint *to)
{
    struct veld_engine_challenge *c = &p->link->challenge;
    uint64_t now_ns = s->now.mono_ns;
    bool known = veld_endpoint_equal(&p->endpoint, to) && !p->link->seeking;
    if (!veld_slot_used(&p->link->current) || !veld_endpoint_usable(to) || known)
        return;
    bool worse = veld_endpoint_is_circuit(to) && !veld_endpoint_is_circuit(&p->endpoint);
    if (worse || swings(s, p, to)) {
        /* It has not found our path yet, or has lost it: does it still lead there? */
        veld_seek_strayed(s, p);
        return;
    }
    if (c->sent_ns &&
        veld_ns_since(now_ns, c->sent_ns) < VELD_CHALLENGE_GAP_MS * VELD_NS_PER_MS)
        return;
    if (is_old(s, c) || !c->to.ip.family) {
        renew(s, c, to);
    } else if (!veld_endpoint_equal(&c->to, to)) {
        c->to =
            *to; /* what was asked before may be on its way: it answers by a token of its own */
        c->to_all = true;
    }
    c->sent_ns = now_ns;
    ask(s, p, to);
}

static bool answers_challenge(const struct veld_step *s, const struct veld_engine_challenge *c,
                              const uint8_t token[VELD_PING_TOKEN_SIZE],
                              const struct veld_endpoint *from)
{
    uint8_t expected[VELD_PING_TOKEN_SIZE];
    veld_path_token(c->secret, from, expected);
    return c->to.ip.family != 0 && (c->to_all || veld_endpoint_equal(&c->to, from)) &&
           !is_old(s, c) && veld_equal(expected, token, VELD_PING_TOKEN_SIZE);
}

void veld_path_pong(struct veld_step *s, struct veld_engine_peer *p,
                    const uint8_t token[VELD_PING_TOKEN_SIZE], const struct veld_endpoint *from)
{
    if (answers_challenge(s, &p->link->challenge, token, from)) {
        p->link->challenge.to = (struct veld_endpoint){0};
        veld_path_proved(s, p, from);
        return;
    }
    if (veld_seek_pong(s, p, token, from))
        return;
    for (size_t i = 0; i < VELD_PINGS_MAX; i++) {
        struct veld_engine_ping *ping = &p->link->pings[i];
        uint64_t rtt_ns = veld_ns_since(s->now.mono_ns, ping->sent_ns);
        if (!ping->sent_ns || rtt_ns >= VELD_PING_TIMEOUT_NS ||
            !veld_equal(ping->token, token, VELD_PING_TOKEN_SIZE))
            continue;
        *ping = (struct veld_engine_ping){0};
        p->rtt_ns = rtt_ns;
        struct veld_action *a = veld_step_act(s, VELD_ACT_PONG, p->id);
        a->to = *from;
        a->rtt_ns = rtt_ns;
        return;
    }
}

static void send_ping(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_engine_ping *slot = &p->link->pings[0];
    for (size_t i = 1; i < VELD_PINGS_MAX; i++) {
        if (p->link->pings[i].sent_ns < slot->sent_ns)
            slot = &p->link->pings[i];
    }
    struct veld_message ping = {.type = VELD_MSG_PING};
    veld_step_random(s, ping.token, sizeof ping.token);
    memcpy(slot->token, ping.token, sizeof slot->token);
    slot->sent_ns = s->now.mono_ns;
    veld_step_message(s, p, NULL, &ping);
}

int veld_path_ping(struct veld_step *s, struct veld_engine_peer *p)
{
    bool found = !p->link->waiting;
    if (veld_slot_used(&p->link->current) && found) {
        send_ping(s, p);
        return 0;
    }
    p->link->ping_wanted_until_ns = s->now.mono_ns + VELD_PING_TIMEOUT_NS;
    if (!found)
        return 0;
    return veld_attempt_wanted(s, p);
}

void veld_path_ping_waiting(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->link->waiting)
        return;
    if (p->link->ping_wanted_until_ns > s->now.mono_ns)
        send_ping(s, p);
    p->link->ping_wanted_until_ns = 0;
}

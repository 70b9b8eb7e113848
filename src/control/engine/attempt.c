/*
 * An attempt to make a session: initiations every VELD_HANDSHAKE_RETRY_S until
 * one is answered, the peer makes a session itself, or the attempt is given up.
 */
#include "control/engine/engine_impl.h"

static uint64_t jitter(struct veld_step *s)
{
    uint32_t r;
    veld_step_random(s, &r, sizeof r);
    return r % VELD_JITTER_NS;
}

void veld_attempt_forget(struct veld_engine *e, struct veld_engine_peer *p)
{
    if (!p->handshake)
        return;
    veld_index_table_release(e->indices, p->handshake->local_index);
    veld_engine_handshake_free(p->handshake);
    p->handshake = NULL;
}

void veld_attempt_end(struct veld_engine *e, struct veld_engine_peer *p)
{
    veld_attempt_forget(e, p);
    p->attempting = false;
    p->attempts = 0;
    p->handshake_at_ns = VELD_NEVER;
}

void veld_attempt_abandon(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->attempting)
        veld_step_act(s, VELD_ACT_GAVE_UP, p->id);
    veld_attempt_end(s->e, p);
}

/*
 * Of two handshakes that cross, the smaller P's survives. For both sides to
 * agree on what crossed, the other side, having answered, starts nothing of its
 * own until the answer is confirmed or the initiation it answered can be
 * outstanding no more: then whatever it sends later is later for both.
 * Bounded, so that initiations replayed to a device that has just started
 * cannot keep it from starting its own.
 */
static bool holds_off(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->we_lead || !veld_slot_used(&p->next))
        return false;
    uint64_t until =
        VELD_MIN(p->next.born_ns + VELD_HOLD_OFF_NS, p->send_due_ns + 2 * VELD_HOLD_OFF_NS);
    if (s->now.mono_ns >= until)
        return false;
    p->handshake_at_ns = until;
    return true;
}

static int send_initiation(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_attempt_forget(s->e, p);
    p->send_due_ns = s->now.mono_ns + VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S + jitter(s);
    p->handshake_at_ns = p->send_due_ns;
    p->attempts++;
    return veld_initiation_send(s, p);
}

/* True when the attempt goes on all the same. */
static bool give_up(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_step_act(s, VELD_ACT_GAVE_UP, p->id);
    bool has_endpoint = p->endpoint.ip.family != 0;
    p->offline = has_endpoint && p->heard_ns <= p->attempt_started_ns;
    if (has_endpoint && p->keepalive_s) {
        p->attempt_started_ns = s->now.mono_ns;
        return true;
    }
    veld_attempt_end(s->e, p);
    return false;
}

/* Send, wait, or end the attempt, as things stand. */
static int step_attempt(struct veld_step *s, struct veld_engine_peer *p)
{
    const uint64_t give_up_ns = VELD_HANDSHAKE_GIVE_UP_S * VELD_NS_PER_S;
    if (p->last_handshake_mono_ns > p->attempt_started_ns) {
        veld_attempt_end(s->e, p); /* the peer's own attempt made a session meanwhile */
        return 0;
    }
    if (veld_ns_since(s->now.mono_ns, p->attempt_started_ns) >= give_up_ns && !give_up(s, p))
        return 0;
    if (p->endpoint.ip.family == 0) {
        p->handshake_at_ns = p->attempt_started_ns + give_up_ns;
        return 0;
    }
    return holds_off(s, p) ? 0 : send_initiation(s, p);
}

int veld_attempt_start(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->attempting)
        return 0;
    p->attempting = true;
    p->offline = false;
    p->attempts = 0;
    p->attempt_started_ns = p->send_due_ns = s->now.mono_ns;
    p->cookie_retried = p->hurried = false;
    return step_attempt(s, p);
}

int veld_attempt_wanted(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!p->attempting)
        return veld_attempt_start(s, p);
    if (p->hurried || !p->handshake)
        return 0;
    p->hurried = true;
    uint64_t earliest = p->handshake->sent_ns + VELD_HURRY_GAP_NS;
    if (s->now.mono_ns >= earliest)
        return step_attempt(s, p);
    p->handshake_at_ns = VELD_MIN(p->handshake_at_ns, earliest);
    return 0;
}

int veld_attempt_due(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!p->attempting)
        return veld_attempt_start(s, p);
    p->cookie_retried = false;
    return step_attempt(s, p);
}

int veld_attempt_cookie(struct veld_step *s, struct veld_engine_peer *p)
{
    /* Cookies can be forged by who sees our initiations: one answer to them per retry. */
    if (p->cookie_retried)
        return 0;
    p->cookie_retried = true;
    p->send_due_ns = s->now.mono_ns;
    return step_attempt(s, p);
}

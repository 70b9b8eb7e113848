/*
 * An attempt to make a session: initiations every VELD_HANDSHAKE_RETRY_S until
 * one is answered, the peer makes a session itself, or the attempt is given up.
 */
#include "control/engine/engine_impl.h"

#define SLEPT_NS (30 * VELD_NS_PER_S)

static uint64_t jitter(struct veld_step *s)
{
    uint32_t r;
    veld_step_random(s, &r, sizeof r);
    return r % VELD_JITTER_NS;
}

void veld_attempt_forget(struct veld_engine *e, struct veld_engine_peer *p)
{
    if (!p->link->handshake)
        return;
    veld_index_table_release(e->indices, p->link->handshake->local_index);
    veld_engine_handshake_free(p->link->handshake);
    p->link->handshake = NULL;
}

void veld_attempt_end(struct veld_engine *e, struct veld_engine_peer *p)
{
    veld_attempt_forget(e, p);
    p->link->attempting = false;
    p->link->attempts = 0;
    p->link->handshake_at_ns = VELD_NEVER;
}

void veld_attempt_abandon(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->link->attempting)
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
    if (p->we_lead || !veld_slot_used(&p->link->next))
        return false;
    uint64_t until = VELD_MIN(p->link->next.born_ns + VELD_HOLD_OFF_NS,
                              p->link->send_due_ns + 2 * VELD_HOLD_OFF_NS);
    if (s->now.mono_ns >= until)
        return false;
    p->link->handshake_at_ns = until;
    return true;
}

/* What is on its way when a circuit begins may be lost: its ends do not know yet where all are. */
static bool is_young_by_circuit(const struct veld_engine_peer *p)
{
    bool by_circuit = false;
    for (size_t i = 0; i < p->n_candidates; i++)
        by_circuit |= veld_endpoint_is_circuit(&p->candidates[i]);
    return by_circuit && p->link->attempts < VELD_HANDSHAKE_SOON_RETRIES;
}

static uint64_t next_retry(struct veld_step *s, const struct veld_engine_peer *p)
{
    uint64_t wait_ns = is_young_by_circuit(p) ? VELD_HANDSHAKE_SOON_MS * VELD_NS_PER_MS
                                              : VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S;
    return s->now.mono_ns + wait_ns + jitter(s);
}

/* Who has a session is told the endpoint by it, unless it is silent. */
static void call_otherwise(struct veld_step *s, const struct veld_engine_peer *p)
{
    if (!veld_slot_used(&p->link->current) || p->link->attempts > 1)
        veld_step_act(s, VELD_ACT_WANTED, p->id)->called = p->link->called && !p->keepalive_s;
}

static int send_initiation(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_attempt_forget(s->e, p);
    p->link->handshake_at_ns = p->link->send_due_ns = next_retry(s, p);
    p->link->attempts++;
    int rc = veld_initiation_send(s, p);
    if (rc == VELD_E_KEY) {
        veld_step_act(s, VELD_ACT_BAD_KEY, p->id);
        veld_attempt_end(s->e, p);
        p->offline = true;
        return 0;
    }
    if (rc == 0)
        call_otherwise(s, p);
    return rc;
}

/* True when the attempt goes on all the same. */
static bool give_up(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_step_act(s, VELD_ACT_GAVE_UP, p->id);
    bool has_endpoint = p->endpoint.ip.family != 0;
    p->offline = has_endpoint && p->link->heard_ns <= p->link->attempt_started_ns;
    if (has_endpoint && p->keepalive_s) {
        p->link->attempt_started_ns = s->now.mono_ns;
        return true;
    }
    veld_attempt_end(s->e, p);
    return false;
}

/* A timer is so late only when the machine slept. The attempt has had no chance meanwhile. */
static bool has_slept(const struct veld_step *s, const struct veld_engine_peer *p)
{
    return p->link->handshake_at_ns &&
           veld_ns_since(s->now.mono_ns, p->link->handshake_at_ns) >= SLEPT_NS;
}

/* Send, wait, or end the attempt, as things stand. */
static int step_attempt(struct veld_step *s, struct veld_engine_peer *p)
{
    const uint64_t give_up_ns = VELD_HANDSHAKE_GIVE_UP_S * VELD_NS_PER_S;
    if (has_slept(s, p))
        p->link->attempt_started_ns = s->now.mono_ns;
    if (p->last_handshake_mono_ns > p->link->attempt_started_ns) {
        veld_attempt_end(s->e, p); /* the peer's own attempt made a session meanwhile */
        return 0;
    }
    if (veld_ns_since(s->now.mono_ns, p->link->attempt_started_ns) >= give_up_ns &&
        !give_up(s, p))
        return 0;
    if (p->endpoint.ip.family != 0)
        return holds_off(s, p) ? 0 : send_initiation(s, p);
    p->link->handshake_at_ns =
        VELD_MIN(p->link->attempt_started_ns + give_up_ns, next_retry(s, p));
    call_otherwise(s, p);
    return 0;
}

static int start(struct veld_step *s, struct veld_engine_peer *p)
{
    p->link->attempting = true;
    p->offline = false;
    p->link->attempts = 0;
    p->link->attempt_started_ns = p->link->send_due_ns = s->now.mono_ns;
    p->link->cookie_retried = p->link->hurried = false;
    p->link->hurries = 0;
    return step_attempt(s, p);
}

int veld_attempt_start(struct veld_step *s, struct veld_engine_peer *p)
{
    bool was_called = p->link->attempting && p->link->called;
    p->link->called = false;
    if (was_called)
        call_otherwise(s, p);
    return p->link->attempting ? 0 : start(s, p);
}

static int hurry(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->link->hurried || !p->link->handshake)
        return 0;
    p->link->hurried = true;
    uint64_t earliest = p->link->handshake->sent_ns + VELD_HURRY_GAP_NS;
    if (s->now.mono_ns >= earliest)
        return step_attempt(s, p);
    p->link->handshake_at_ns = VELD_MIN(p->link->handshake_at_ns, earliest);
    return 0;
}

int veld_attempt_wanted(struct veld_step *s, struct veld_engine_peer *p)
{
    bool goes_on = p->link->attempting;
    int rc = veld_attempt_start(s, p);
    return rc == 0 && goes_on ? hurry(s, p) : rc;
}

int veld_attempt_called(struct veld_step *s, struct veld_engine_peer *p)
{
    if (p->link->attempting)
        return hurry(s, p);
    p->link->called = true;
    return start(s, p);
}

void veld_attempt_hurry(struct veld_engine_peer *p)
{
    struct veld_engine_link *l = p->link;
    if (l->hurries >= VELD_HURRIES_MAX)
        return;
    l->hurries++;
    uint64_t earliest = l->handshake ? l->handshake->sent_ns + VELD_HURRY_GAP_NS : 0;
    l->handshake_at_ns = VELD_MIN(l->handshake_at_ns, earliest);
}

int veld_attempt_due(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!p->link->attempting)
        return veld_attempt_start(s, p);
    p->link->cookie_retried = false;
    return step_attempt(s, p);
}

int veld_attempt_cookie(struct veld_step *s, struct veld_engine_peer *p)
{
    /* Cookies can be forged by who sees our initiations: one answer to them per retry. */
    if (p->link->cookie_retried)
        return 0;
    p->link->cookie_retried = true;
    p->link->send_due_ns = s->now.mono_ns;
    return step_attempt(s, p);
}

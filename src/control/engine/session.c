/*
 * The three slots: which sessions with a peer are kept, and which one sends.
 *
 * `current` sends. `next` is one the peer initiated and has not used yet.
 * `previous` only receives, since the peer may still send on it.
 *
 * Of two handshakes that cross, the one initiated by the smaller P becomes
 * current on both sides and the other is left in `previous`. What crossed is
 * decided so that both sides see it alike, whatever was lost or overtaken:
 *  - the smaller side's session is newer than any of the peer's that it answered
 *    before its own was answered, or while its own was fresh and unheard;
 *  - the larger side starts nothing between answering and knowing what became of
 *    the answer (holds_off in attempt.c), so what it answered before it sent is
 *    older than its own, and what it answered after is newer.
 */
#include "control/engine/engine_impl.h"

#include "crypto/primitives.h"

static void retire(struct veld_step *s, const struct veld_engine_peer *p,
                   struct veld_engine_session *slot)
{
    if (!veld_slot_used(slot))
        return;
    veld_step_act(s, VELD_ACT_RETIRE, p->id)->index = slot->local_index;
    veld_index_table_release(s->e->indices, slot->local_index);
    *slot = (struct veld_engine_session){0};
    if (slot != &p->link->current)
        return;
    if (p->link->waiting && !p->link->attempting) /* whoever waits for its use waits in vain */
        veld_step_act(s, VELD_ACT_GAVE_UP, p->id);
    p->link->seeking = p->link->waiting = false;
}

bool veld_session_is_made(const struct veld_engine_peer *p)
{
    return veld_slot_used(&p->link->current) &&
           (!p->link->waiting || p->link->confirm_at_ns != VELD_NEVER);
}

struct veld_engine_session *veld_session_find(struct veld_engine_peer *p, uint32_t index)
{
    for (size_t i = 0; index != 0 && i < VELD_SLOTS; i++) {
        if (p->link->slots[i].local_index == index)
            return &p->link->slots[i];
    }
    return NULL;
}

void veld_session_install(struct veld_step *s, const struct veld_engine_peer *p,
                          const struct veld_engine_session *session, uint8_t lanes,
                          struct veld_noise_keys *keys)
{
    struct veld_action *a = veld_step_act(s, VELD_ACT_INSTALL, p->id);
    a->index = session->local_index;
    a->session.remote_index = session->remote_index;
    a->session.lanes = lanes;
    a->session.reject_at_ns = session->reject_at_ns;
    memcpy(a->session.send_key, keys->send, sizeof a->session.send_key);
    memcpy(a->session.recv_key, keys->recv, sizeof a->session.recv_key);
    veld_wipe(keys, sizeof *keys);
}

/* Both sides have the session now. */
static void on_established(struct veld_step *s, struct veld_engine_peer *p)
{
    s->e->stats.handshakes_completed++;
    p->last_handshake_mono_ns = s->now.mono_ns;
    p->last_handshake_wall_ns = s->now.wall_ns;
    p->link->heard_ns = s->now.mono_ns;
    p->link->silent = p->offline = false;
    p->link->said_since_ns = p->link->heard_since_ns = 0;
}

static void use(struct veld_step *s, struct veld_engine_peer *p,
                const struct veld_engine_session *session)
{
    bool anew = !veld_slot_used(&p->link->current) || p->link->waiting;
    p->link->current = *session;
    p->link->seeking = p->link->waiting = false;
    veld_step_act(s, VELD_ACT_USE, p->id)->index = session->local_index;
    if (anew) /* whichever address answered first is in use */
        veld_seek_start(s, p);
}

/* Ask for a sign of life on the session we initiated; it confirms the session to the peer. */
static void send_confirmation(struct veld_step *s, struct veld_engine_peer *p,
                              const struct veld_endpoint *via)
{
    struct veld_message ping = {.type = VELD_MSG_PING};
    if (p->link->seeking) {
        veld_path_seek(s, p, via);
    } else {
        veld_step_random(s, ping.token, sizeof ping.token);
        veld_step_message(s, p, NULL, &ping);
    }
    p->link->confirm_at_ns = s->now.mono_ns + VELD_CONFIRM_GAP_NS;
}

void veld_session_completed(struct veld_step *s, struct veld_engine_peer *p,
                            const struct veld_engine_session *session,
                            const struct veld_endpoint *via)
{
    if (veld_slot_used(&p->link->next))
        p->link->next.yields = p->we_lead || p->link->next.born_ns < session->initiated_ns;

    struct veld_engine_session old = p->link->current;
    /* What is sent already goes on to where it went; what waits does so until it is known where to. */
    bool waits = via && (!veld_slot_used(&old) || p->link->waiting);
    if (waits)
        p->link->current = *session;
    else
        use(s, p, session);
    p->link->seeking = via != NULL;
    p->link->waiting = waits;
    /* What was never heard of does not displace what the peer is known to use. */
    if (veld_slot_used(&old) && !old.heard_ns && p->link->previous.heard_ns) {
        retire(s, p, &old);
    } else if (veld_slot_used(&old)) {
        retire(s, p, &p->link->previous);
        p->link->previous = old;
    }
    on_established(s, p);
    send_confirmation(s, p, via);
    veld_path_ping_waiting(s, p);
}

void veld_session_found(struct veld_step *s, struct veld_engine_peer *p)
{
    if (!p->link->seeking)
        return;
    const struct veld_engine_session found = p->link->current;
    p->link->seeking = false;
    if (!p->link->waiting)
        return;
    use(s, p, &found);
    veld_path_ping_waiting(s, p);
}

/* It answers initiations, and nowhere that we know of do we reach it: as if it did not. */
static void lose(struct veld_step *s, struct veld_engine_peer *p)
{
    veld_attempt_end(s->e, p);
    retire(s, p, &p->link->current);
    p->offline = true;
    if (p->keepalive_s)
        p->link->handshake_at_ns = s->now.mono_ns + VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S;
}

void veld_session_answered(struct veld_step *s, struct veld_engine_peer *p,
                           const struct veld_engine_session *session,
                           const struct veld_endpoint *answered_to)
{
    const struct veld_engine_session *c = &p->link->current;
    bool fresh =
        veld_ns_since(s->now.mono_ns, c->initiated_ns) < VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S;
    bool crossed = veld_slot_used(c) && c->initiator && !c->heard_ns && fresh;
    retire(s, p, &p->link->next);
    p->link->next = *session;
    p->link->next.yields = p->we_lead && crossed;
    p->link->answered_to = *answered_to;
}

/* The peer has used `next`: it has our response, so nothing older is its current. */
static void confirm(struct veld_step *s, struct veld_engine_peer *p,
                    const struct veld_endpoint *from)
{
    struct veld_engine_session n = p->link->next;
    p->link->next = (struct veld_engine_session){0};
    if (n.yields && veld_slot_used(&p->link->current)) {
        retire(s, p, &p->link->previous);
        p->link->previous = n;
    } else {
        struct veld_engine_session old = p->link->current;
        veld_path_confirmed(s, p, from);
        use(s, p, &n);
        if (veld_slot_used(&old)) {
            retire(s, p, &p->link->previous);
            p->link->previous = old;
        }
    }
    on_established(s, p);
    /* The smaller P's own initiation may still be answered, and then takes over. */
    if (!p->we_lead)
        veld_attempt_end(s->e, p);
    veld_path_ping_waiting(s, p);
}

void veld_session_heard(struct veld_step *s, struct veld_engine_peer *p,
                        struct veld_engine_session *session, const struct veld_endpoint *from)
{
    p->link->heard_ns = s->now.mono_ns;
    p->link->silent = p->offline = false;
    session->heard_ns = s->now.mono_ns;
    if (session == &p->link->next)
        confirm(s, p, from);
}

int veld_session_confirm_due(struct veld_step *s, struct veld_engine_peer *p)
{
    const struct veld_engine_session *c = &p->link->current;
    p->link->confirm_at_ns = VELD_NEVER;
    if (!veld_slot_used(c) || !c->initiator || (c->heard_ns && !p->link->seeking))
        return 0;
    if (veld_ns_since(s->now.mono_ns, c->born_ns) < VELD_CONFIRM_FOR_NS) {
        send_confirmation(s, p, NULL);
        return 0;
    }
    p->link->seeking = p->link->waiting;
    if (p->link->waiting && !c->heard_ns) {
        lose(s, p);
        return 0;
    }
    if (p->link->waiting)
        return veld_attempt_start(s, p);
    /* The peer is there, but not on this session: it has lost it, or never had it. */
    return p->link->previous.heard_ns > c->born_ns ? veld_attempt_start(s, p) : 0;
}

void veld_session_goodbye(struct veld_step *s, struct veld_engine_peer *p,
                          const struct veld_engine_session *session)
{
    /* One that was used after this session came to be belongs to the peer's next life. */
    uint64_t born_ns = session->born_ns;
    for (size_t i = 0; i < VELD_SLOTS; i++) {
        struct veld_engine_session *slot = &p->link->slots[i];
        if (slot->born_ns <= born_ns || !slot->heard_ns)
            retire(s, p, slot);
    }
    veld_attempt_abandon(s, p);
    if (p->keepalive_s)
        p->link->handshake_at_ns = s->now.mono_ns + VELD_HANDSHAKE_RETRY_S * VELD_NS_PER_S;
}

void veld_session_retire_all(struct veld_step *s, struct veld_engine_peer *p)
{
    retire(s, p, &p->link->current);
    retire(s, p, &p->link->previous);
    retire(s, p, &p->link->next);
}

void veld_session_expire(struct veld_step *s, struct veld_engine_peer *p)
{
    bool had_current = veld_slot_used(&p->link->current);
    for (size_t i = 0; i < VELD_SLOTS; i++) {
        struct veld_engine_session *slot = &p->link->slots[i];
        if (veld_slot_used(slot) && slot->reject_at_ns <= s->now.mono_ns)
            retire(s, p, slot);
    }
    /* Who wants to be kept alive is sent for without being asked for. */
    if (had_current && !veld_slot_used(&p->link->current) && p->keepalive_s &&
        !p->link->attempting && p->endpoint.ip.family != 0)
        p->link->handshake_at_ns = s->now.mono_ns;
}

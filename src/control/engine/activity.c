/*
 * What follows from the traffic the dataplane saw: keepalives, a handshake
 * after silence, rekeying. All of it is decided when a fresh report is at hand,
 * never by a timer that would have to trust an old one.
 */
#include "control/engine/engine_impl.h"

/* Data came in and nothing has gone out since: the peer must hear that we live. */
static bool owes_keepalive(struct veld_engine_peer *p, uint64_t received_data_ns,
                           uint64_t now_ns)
{
    if (p->link->heard_since_ns && p->link->sent_ns >= p->link->heard_since_ns)
        p->link->heard_since_ns = 0;
    if (!p->link->heard_since_ns && received_data_ns > p->link->sent_ns)
        p->link->heard_since_ns = received_data_ns;
    return p->link->heard_since_ns &&
           veld_ns_since(now_ns, p->link->heard_since_ns) >= VELD_KEEPALIVE_S * VELD_NS_PER_S;
}

/* Data went out and nothing has come back since: the session may be dead. */
static bool is_silent(struct veld_engine_peer *p, uint64_t sent_data_ns, uint64_t now_ns)
{
    if (p->link->said_since_ns && p->link->heard_ns >= p->link->said_since_ns)
        p->link->said_since_ns = 0;
    if (!p->link->said_since_ns &&
        sent_data_ns > VELD_MAX(p->link->heard_ns, p->link->said_done_ns))
        p->link->said_since_ns = sent_data_ns;
    if (!p->link->said_since_ns ||
        veld_ns_since(now_ns, p->link->said_since_ns) < VELD_SILENCE_S * VELD_NS_PER_S)
        return false;
    p->link->said_since_ns = 0;
    p->link->said_done_ns = sent_data_ns;
    p->link->silent = true;
    return true;
}

static bool needs_rekey(const struct veld_engine_peer *p)
{
    const struct veld_engine_session *c = &p->link->current;
    return c->initiator && p->link->sent_ns >= c->born_ns + VELD_REKEY_AFTER_S * VELD_NS_PER_S;
}

int veld_activity_seen(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_event *ev)
{
    uint64_t now_ns = s->now.mono_ns;
    p->link->sent_ns = VELD_MAX(p->link->sent_ns, ev->last_sent_ns);
    p->link->sent_data_ns = VELD_MAX(p->link->sent_data_ns, ev->last_sent_data_ns);
    if (ev->last_received_ns > p->link->heard_ns) {
        p->link->heard_ns = ev->last_received_ns;
        p->link->silent = false;
        p->offline = false;
    }
    if (!veld_slot_used(&p->link->current) || p->link->waiting)
        return 0;

    bool stay_known = p->keepalive_s &&
                      veld_ns_since(now_ns, p->link->sent_ns) >= p->keepalive_s * VELD_NS_PER_S;
    if (owes_keepalive(p, ev->last_received_data_ns, now_ns) || stay_known)
        veld_step_keepalive(s, p);
    bool silent = is_silent(p, ev->last_sent_data_ns, now_ns);
    if (!silent && !p->link->silent && p->link->said_since_ns &&
        veld_ns_since(now_ns, p->link->said_since_ns) >= VELD_SUSPECT_S * VELD_NS_PER_S)
        veld_seek_suspect(s, p);
    veld_seek_activity(s, p, ev->last_sent_data_ns);
    veld_probe_activity(s, p, ev->last_sent_data_ns);
    return silent || needs_rekey(p) ? veld_attempt_start(s, p) : 0;
}

/*
 * The search for a path's MTU (path_mtu.h), for each peer that has a session:
 * it begins with the session and anew with each new endpoint.
 */
#include "control/engine/engine_impl.h"

/* How long a probe may take: two round trips and some patience. */
#define WAIT_UNKNOWN_NS (500 * VELD_NS_PER_MS)
#define WAIT_MORE_NS    (100 * VELD_NS_PER_MS)
#define WAIT_MIN_NS     (200 * VELD_NS_PER_MS)
#define WAIT_MAX_NS     (2 * VELD_NS_PER_S)

static uint64_t wait_ns(const struct veld_engine_peer *p)
{
    if (!p->rtt_ns)
        return WAIT_UNKNOWN_NS;
    uint64_t wait = 2 * VELD_MIN(p->rtt_ns, WAIT_MAX_NS) + WAIT_MORE_NS;
    return VELD_MIN(VELD_MAX(wait, WAIT_MIN_NS), WAIT_MAX_NS);
}

static void tell(struct veld_step *s, const struct veld_engine_peer *p)
{
    struct veld_action *a = veld_step_act(s, VELD_ACT_SET_MTU, p->id);
    a->mtu = p->link->mtu.mtu;
    a->mtu_known = p->link->mtu.known;
}

/* Carry out what a call of the search came to; it was `before`. */
static void carry_out(struct veld_step *s, struct veld_engine_peer *p,
                      const struct veld_path_mtu *before, const struct veld_probes *probes)
{
    const struct veld_path_mtu *m = &p->link->mtu;
    if (m->mtu != before->mtu || m->known != before->known)
        tell(s, p);
    if (probes->n)
        veld_step_probe(s, p, m->id, probes);
}

void veld_probe_forget(struct veld_engine_peer *p)
{
    if (p->link)
        veld_path_mtu_stop(&p->link->mtu);
}

void veld_probe_follow(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_probes probes;
    if (!p->link || !s->e->cfg.mtu)
        return;
    struct veld_path_mtu *m = &p->link->mtu;
    if (!veld_slot_used(&p->link->current) || p->link->waiting || !p->endpoint_proved_ns) {
        veld_path_mtu_stop(m);
        return;
    }
    if (veld_path_mtu_started(m))
        return;
    veld_path_mtu_start(m, p->endpoint.ip.family, s->e->cfg.mtu, s->now.mono_ns, wait_ns(p),
                        &probes);
    tell(s, p);
    veld_step_probe(s, p, m->id, &probes);
}

void veld_probe_due(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_path_mtu *m = &p->link->mtu, before = *m;
    struct veld_probes probes;
    if (!veld_path_mtu_started(m) || m->due_ns > s->now.mono_ns ||
        !veld_slot_used(&p->link->current))
        return;
    veld_path_mtu_due(m, s->now.mono_ns, wait_ns(p), &probes);
    carry_out(s, p, &before, &probes);
}

void veld_probe_answered(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_message *m)
{
    struct veld_path_mtu before = p->link->mtu;
    struct veld_probes probes;
    if (!veld_slot_used(&p->link->current))
        return;
    veld_path_mtu_answered(&p->link->mtu, m->id, m->size, s->now.mono_ns, wait_ns(p), &probes);
    carry_out(s, p, &before, &probes);
}

void veld_probe_activity(struct veld_step *s, struct veld_engine_peer *p, uint64_t sent_data_ns)
{
    struct veld_path_mtu before = p->link->mtu;
    struct veld_probes probes;
    uint64_t since_ns = p->link->said_since_ns;
    veld_path_mtu_traffic(&p->link->mtu, sent_data_ns,
                          since_ns ? veld_ns_since(s->now.mono_ns, since_ns) : 0,
                          s->now.mono_ns, wait_ns(p), &probes);
    carry_out(s, p, &before, &probes);
}

void veld_probe_refused(struct veld_step *s, struct veld_engine_peer *p, size_t size)
{
    struct veld_path_mtu before = p->link->mtu;
    struct veld_probes probes;
    if (!veld_slot_used(&p->link->current))
        return;
    veld_path_mtu_refused(&p->link->mtu, (uint16_t)VELD_MIN(size, UINT16_MAX), s->now.mono_ns,
                          wait_ns(p), &probes);
    carry_out(s, p, &before, &probes);
}

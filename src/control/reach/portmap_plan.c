#include "control/reach/portmap_plan.h"

#include "base/bytes.h"
#include "control/mesh/policy.h"

void veld_portmap_plan_init(struct veld_portmap_plan *p)
{
    *p = (struct veld_portmap_plan){
        .net.why = VELD_PORTMAP_WHY_OFF, .why = VELD_PORTMAP_WHY_OFF, .next_ns = UINT64_MAX};
}

bool veld_portmap_plan_holds(const struct veld_portmap_plan *p)
{
    return p->held.result == VELD_PORTMAP_MAPPED;
}

static void drop(struct veld_portmap_plan *p, enum veld_portmap_why why)
{
    p->held = (struct veld_portmap_answer){0};
    p->why = why;
}

static bool is_same(const struct veld_portmap_net *a, const struct veld_portmap_net *b)
{
    return a->why == b->why && veld_gateway_equal(&a->gateway, &b->gateway);
}

void veld_portmap_plan_on_net(struct veld_portmap_plan *p, const struct veld_portmap_net *net,
                              uint64_t now_ns)
{
    if (is_same(&p->net, net)) {
        uint64_t again = VELD_MAX(now_ns, p->asked_ns + VELD_PORTMAP_AGAIN_NS);
        if (net->why == VELD_PORTMAP_WHY_ASKING && !p->asking)
            p->next_ns = VELD_MIN(p->next_ns, again);
        return;
    }
    p->net = *net;
    drop(p, net->why);
    p->number++; /* what is under way is another network's */
    p->asking = false;
    p->failures = 0;
    p->asked_ns = 0;
    p->next_ns = net->why == VELD_PORTMAP_WHY_ASKING ? now_ns : UINT64_MAX;
}

bool veld_portmap_plan_is_due(struct veld_portmap_plan *p, uint64_t now_ns)
{
    if (veld_portmap_plan_holds(p) && now_ns >= p->expires_ns)
        drop(p, p->failures ? VELD_PORTMAP_WHY_SILENT : VELD_PORTMAP_WHY_ASKING);
    return !p->asking && now_ns >= p->next_ns;
}

uint64_t veld_portmap_plan_deadline(const struct veld_portmap_plan *p)
{
    uint64_t next = p->asking ? UINT64_MAX : p->next_ns;
    return veld_portmap_plan_holds(p) ? VELD_MIN(next, p->expires_ns) : next;
}

uint32_t veld_portmap_plan_begin(struct veld_portmap_plan *p, uint64_t now_ns)
{
    p->asking = true;
    p->asked_ns = now_ns;
    return ++p->number;
}

static void hold(struct veld_portmap_plan *p, const struct veld_portmap_answer *answer,
                 uint64_t now_ns)
{
    uint64_t lease_ns =
        answer->lease_s ? answer->lease_s * VELD_NS_PER_S : VELD_PORTMAP_PERMANENT_NS;
    p->held = *answer;
    p->failures = 0;
    p->expires_ns = now_ns + lease_ns;
    p->next_ns = now_ns + VELD_MAX(lease_ns / 2, VELD_PORTMAP_GAP_NS);
}

static void fail(struct veld_portmap_plan *p, enum veld_portmap_why why, uint64_t now_ns)
{
    uint64_t pause_ns = VELD_PORTMAP_PAUSE_NS << VELD_MIN(p->failures, 6u);
    p->failures++;
    p->next_ns = now_ns + VELD_MIN(pause_ns, VELD_PORTMAP_PAUSE_MAX_NS);
    /* Silence leaves a mapping that is there where it is: the answer may be lost. */
    if (why != VELD_PORTMAP_WHY_SILENT || !veld_portmap_plan_holds(p))
        drop(p, why);
}

enum veld_portmap_do veld_portmap_plan_on_answer(struct veld_portmap_plan *p, uint32_t number,
                                                 const struct veld_portmap_answer *answer,
                                                 uint64_t now_ns)
{
    static const enum veld_portmap_why whys[] = {
        [VELD_PORTMAP_SILENT] = VELD_PORTMAP_WHY_SILENT,
        [VELD_PORTMAP_REFUSED] = VELD_PORTMAP_WHY_REFUSED,
        [VELD_PORTMAP_NO_ADDRESS] = VELD_PORTMAP_WHY_NO_ADDRESS};
    if (!p->asking || number != p->number)
        return VELD_PORTMAP_DO_NOTHING;
    p->asking = false;
    if (!answer || answer->result != VELD_PORTMAP_MAPPED) {
        fail(p, answer ? whys[answer->result] : VELD_PORTMAP_WHY_NO_PROGRAM, now_ns);
        return VELD_PORTMAP_DO_NOTHING;
    }
    if (!veld_ip_is_global(&answer->mapped.ip)) {
        p->outside = answer->mapped.ip;
        fail(p, VELD_PORTMAP_WHY_DOUBLE_NAT, now_ns);
        return VELD_PORTMAP_DO_UNMAP;
    }
    hold(p, answer, now_ns);
    return VELD_PORTMAP_DO_NOTHING;
}

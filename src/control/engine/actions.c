#include "control/engine/engine_impl.h"

#include "crypto/primitives.h"

#include <assert.h>

struct veld_action *veld_step_act(struct veld_step *s, enum veld_action_type type,
                                  uint32_t peer)
{
    assert(s->out->n < VELD_ACTIONS_MAX);
    struct veld_action *a = &s->out->a[s->out->n++];
    *a = (struct veld_action){.type = type, .peer = peer};
    return a;
}

int veld_step_drop(struct veld_step *s, enum veld_drop reason)
{
    s->e->stats.drops[reason]++;
    return 1 + (int)reason;
}

void veld_step_send(struct veld_step *s, uint32_t peer, const struct veld_endpoint *to,
                    const uint8_t *datagram, size_t len)
{
    struct veld_action *a = veld_step_act(s, VELD_ACT_SEND, peer);
    a->to = *to;
    a->len = (uint16_t)len;
    memcpy(a->bytes, datagram, len);
}

static struct veld_action *in_session(struct veld_step *s, struct veld_engine_peer *p)
{
    struct veld_action *a = veld_step_act(s, VELD_ACT_SEND_MESSAGE, p->id);
    a->index = p->link->current.local_index;
    p->link->sent_ns = s->now.mono_ns;
    return a;
}

void veld_step_message(struct veld_step *s, struct veld_engine_peer *p,
                       const struct veld_endpoint *to, const struct veld_message *m)
{
    struct veld_action *a = in_session(s, p);
    if (to)
        a->to = *to;
    a->len = (uint16_t)veld_message_write(a->bytes, m);
}

void veld_step_keepalive(struct veld_step *s, struct veld_engine_peer *p)
{
    in_session(s, p);
}

void veld_step_probe(struct veld_step *s, struct veld_engine_peer *p, uint32_t id,
                     const struct veld_probes *probes)
{
    struct veld_action *a = in_session(s, p);
    a->type = VELD_ACT_PROBE;
    a->probe_id = id;
    a->probes = *probes;
}

void veld_actions_wipe(struct veld_actions *actions)
{
    veld_wipe(actions->a, actions->n * sizeof actions->a[0]);
    actions->n = 0;
}

#include "control/engine/engine_impl.h"

/*
 * A ping or probe is answered to where it came from, which is what its sender
 * wants to know; one on a lane above 0 comes from a port that receives nothing,
 * and is answered to the endpoint. Never longer than what is answered.
 */
static void answer(struct veld_step *s, struct veld_engine_peer *p,
                   const struct veld_message *m, enum veld_message_type by,
                   const struct veld_endpoint *from)
{
    bool known = from->ip.family != 0; /* else it goes to the endpoint */
    if (!veld_slot_used(&p->link->current) || (known && !veld_endpoint_usable(from)))
        return;
    struct veld_message said = *m;
    said.type = (uint8_t)by;
    veld_step_message(s, p, from, &said);
}

int veld_message_receive(struct veld_step *s, struct veld_engine_peer *p,
                         const struct veld_event *ev)
{
    veld_session_heard(s, p, veld_session_find(p, ev->index), &ev->from);

    struct veld_message m;
    int rc = veld_message_parse(ev->data, ev->len, &m);
    if (rc == VELD_E_UNSUPPORTED)
        return 0; /* of a later version */
    if (rc < 0)
        return veld_step_drop(s, VELD_DROP_MESSAGE);
    switch (m.type) { /* what is passed on is for whoever knows the network */
    case VELD_MSG_PING: answer(s, p, &m, VELD_MSG_PONG, &ev->from); break;
    case VELD_MSG_PROBE: answer(s, p, &m, VELD_MSG_PROBED, &ev->from); break;
    case VELD_MSG_PROBED: veld_probe_answered(s, p, &m); break;
    case VELD_MSG_PONG: veld_path_pong(s, p, m.token, &ev->from); break;
    case VELD_MSG_GOODBYE: veld_session_goodbye(s, p, veld_session_find(p, ev->index)); break;
    }
    return 0;
}

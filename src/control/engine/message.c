#include "control/engine/engine_impl.h"

/*
 * To where the ping came from, which is what its sender wants to know; one on a
 * lane above 0 comes from a port that receives nothing, and is answered to the
 * endpoint. Never longer than the ping.
 */
static void answer_ping(struct veld_step *s, struct veld_engine_peer *p,
                        const struct veld_message *ping, const struct veld_endpoint *from)
{
    bool known = from->ip.family != 0; /* else it goes to the endpoint */
    if (!veld_slot_used(&p->link->current) || (known && !veld_endpoint_usable(from)))
        return;
    struct veld_message pong = *ping;
    pong.type = VELD_MSG_PONG;
    veld_step_message(s, p, from, &pong);
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
    switch (m.type) {
    case VELD_MSG_PING: answer_ping(s, p, &m, &ev->from); break;
    case VELD_MSG_PONG: veld_path_pong(s, p, m.token, &ev->from); break;
    case VELD_MSG_GOODBYE: veld_session_goodbye(s, p, veld_session_find(p, ev->index)); break;
    }
    return 0;
}

#include "coord/service/methods.h"

#include "coord/service/watch.h"
#include "trust/signal.h"

#include <veld/coord/v1/coord.pb-c.h>

typedef Veld__Coord__V1__SendSignalRequest pb_signal;

static void send_signal(struct veld_coord_call *c, const pb_signal *request)
{
    Veld__Coord__V1__SendSignalReply reply = VELD__COORD__V1__SEND_SIGNAL_REPLY__INIT;
    struct veld_membership from;
    struct veld_blob sealed = veld_pb_blob(&request->sealed);
    if (request->to.len != 32 || sealed.len == 0 || sealed.len > VELD_SIGNAL_MAX) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT,
                       "a signal goes to a key of 32 bytes and has 1 to %d bytes",
                       VELD_SIGNAL_MAX);
        return;
    }
    veld_member_membership(c->member, &from);
    if (!veld_call_allow(c, VELD_COORD_SIGNAL, &from))
        return;
    struct veld_member *to = veld_member_by_key(c->net, request->to.data);
    switch (to ? veld_watch_signal(c->s, to, c->caller, &sealed) : VELD_E_NOENT) {
    case 0: break;
    case VELD_E_FULL:
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "too many signals wait for that member; try again in a while");
        return;
    default:
        veld_call_fail(c, VELD_CODE_UNAVAILABLE, "that member is not connected to this server");
        return;
    }
    c->s->stats.signals++;
    veld_call_audit(c, VELD_COORD_SIGNAL, &from);
    veld_call_reply(c, &reply);
}

void veld_rpc_send_signal(struct veld_coord_call *c)
{
    pb_signal *request = veld_call_unpack(c, &veld__coord__v1__send_signal_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        send_signal(c, request);
    veld_call_free(request);
}

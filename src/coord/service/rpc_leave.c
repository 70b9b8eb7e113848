#include "coord/service/methods.h"

#include "coord/service/watch.h"

#include <veld/coord/v1/coord.pb-c.h>

static void leave(struct veld_coord_call *c, bool forget)
{
    Veld__Coord__V1__LeaveReply reply = VELD__COORD__V1__LEAVE_REPLY__INIT;
    enum veld_coord_act act = forget ? VELD_COORD_LEAVE : VELD_COORD_OFFLINE;
    struct veld_membership m;
    veld_member_membership(c->member, &m);
    if (!veld_call_allow(c, act, &m))
        return;
    veld_watch_end(c->s, c->member, VELD_CODE_ABORTED, "this member has left");
    if (forget)
        veld_member_remove(c->s->registry, c->member, c->now);
    else
        veld_member_set_offline(c->s->registry, c->member, veld_call_now_s(c), c->now);
    veld_call_audit(c, act, &m);
    veld_call_reply(c, &reply);
}

void veld_rpc_leave(struct veld_coord_call *c)
{
    Veld__Coord__V1__LeaveRequest *request =
        veld_call_unpack(c, &veld__coord__v1__leave_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        leave(c, request->forget);
    veld_call_free(request);
}

#include "coord/service/methods.h"

#include "coord/service/watch.h"

#include <veld/coord/v1/coord.pb-c.h>

void veld_rpc_watch(struct veld_coord_call *c)
{
    struct veld_membership m;
    Veld__Coord__V1__WatchRequest *request =
        veld_call_unpack(c, &veld__coord__v1__watch_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id)) {
        veld_member_membership(c->member, &m);
        if (veld_call_allow(c, VELD_COORD_WATCH, &m)) {
            veld_watch_begin(c, request->from_revision, request->revocation_epoch);
            veld_call_audit(c, VELD_COORD_WATCH, &m);
        }
    }
    veld_call_free(request);
}

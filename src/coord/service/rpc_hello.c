#include "coord/service/methods.h"

#include <veld/coord/v1/coord.pb-c.h>

#define PROTOCOL 1

void veld_rpc_hello(struct veld_coord_call *c)
{
    static char version[] = VELD_VERSION;
    Veld__Coord__V1__HelloReply reply = VELD__COORD__V1__HELLO_REPLY__INIT;
    void *request = veld_call_unpack(c, &veld__coord__v1__hello_request__descriptor);
    if (!request)
        return;
    veld_call_free(request);
    reply.version = version;
    reply.protocol = PROTOCOL;
    reply.time_ns = c->now->wall_ns;
    reply.members_max = c->s->cfg.limits.members;
    veld_call_reply(c, &reply);
}

#include "coord/service/methods.h"

#include "coord/service/watch.h"

#include <veld/coord/v1/coord.pb-c.h>
#include <veld/coord/v1/inside.pb-c.h>

typedef Veld__Coord__Inside__PublishRevocationsRequest pb_publish;

/* ---- PublishRevocations ---- */

static void fail_list(struct veld_coord_call *c, int rc)
{
    switch (rc) {
    case VELD_E_FORMAT:
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "the list of revocations is malformed");
        break;
    case VELD_E_REPLAY:
        veld_call_fail(c, VELD_CODE_FAILED_PRECONDITION,
                       "another list of revocations was published first; get it, add to it and "
                       "publish again");
        break;
    case VELD_E_NOMEM:
        veld_call_fail(c, VELD_CODE_INTERNAL, "the server is out of memory");
        break;
    default:
        veld_call_fail(
            c, VELD_CODE_PERMISSION_DENIED,
            "this list of revocations is not signed by who may sign it, or leaves out "
            "what was revoked before");
    }
}

/* Those whom the list, now the network's, takes away. */
static void remove_revoked(struct veld_coord_call *c)
{
    struct veld_net *net = c->net;
    struct veld_membership m;
    GPtrArray *gone = g_ptr_array_new();
    for (size_t i = 0; i < net->changed.n; i++) {
        struct veld_member *member = net->changed.at[i].what;
        if (!member)
            continue;
        veld_member_membership(member, &m);
        if (veld_membership_check(&m, net->revocations, 0) < 0)
            g_ptr_array_add(gone, member);
    }
    for (guint i = 0; i < gone->len; i++)
        veld_watch_remove_member(c->s, gone->pdata[i], VELD_CODE_PERMISSION_DENIED,
                                 "this device's membership was revoked");
    g_ptr_array_free(gone, TRUE);
}

/*
 * Each new list costs a look at every member. Of lists that prove alone, so that nobody
 * who may not sign one uses up the network's; and the owner's apart, so that no admin
 * keeps the owner from putting him out.
 */
static bool is_not_too_often(struct veld_coord_call *c)
{
    uint8_t key[33];
    memcpy(key, c->net->id, 32);
    key[32] = veld_call_is_owner(c);
    if (veld_rates_take(c->s->revocations_by_network, key, sizeof key, c->now->mono_ns))
        return true;
    veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                   "the network %s revokes too often; try again in a second",
                   c->net->descriptor.name);
    return false;
}

static void publish(struct veld_coord_call *c, const pb_publish *request)
{
    Veld__Coord__V1__PublishRevocationsReply reply =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REPLY__INIT;
    struct veld_revocations *list;
    struct veld_blob before = veld_revocations_bytes(c->net->revocations);
    if (before.len != 0 && before.len == request->revocations.len &&
        memcmp(before.p, request->revocations.data, before.len) == 0) {
        veld_call_reply(c, &reply); /* it was, already */
        return;
    }
    int rc = veld_revocations_read(request->revocations.data, request->revocations.len,
                                   c->net->id, c->net->revocations, &list);
    if (rc < 0) {
        fail_list(c, rc);
        return;
    }
    if (!veld_call_allow(c, VELD_COORD_REVOKE, NULL) || !is_not_too_often(c)) {
        veld_revocations_free(list);
        return;
    }
    veld_net_revoke(c->s->registry, c->net, list);
    remove_revoked(c);
    veld_call_audit(c, VELD_COORD_REVOKE, NULL);
    veld_call_reply(c, &reply);
}

void veld_rpc_publish_revocations(struct veld_coord_call *c)
{
    pb_publish *request =
        veld_call_unpack(c, &veld__coord__inside__publish_revocations_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id))
        publish(c, request);
    veld_call_free(request);
}

/* ---- GetRevocations ---- */

void veld_rpc_get_revocations(struct veld_coord_call *c)
{
    Veld__Coord__Inside__GetRevocationsReply reply =
        VELD__COORD__INSIDE__GET_REVOCATIONS_REPLY__INIT;
    Veld__Coord__V1__GetRevocationsRequest *request =
        veld_call_unpack(c, &veld__coord__v1__get_revocations_request__descriptor);
    if (request && veld_call_enter(c, &request->network_id)) {
        struct veld_blob list = veld_revocations_bytes(c->net->revocations);
        reply.revocations = veld_pb_bytes(list.p, list.len);
        veld_call_reply(c, &reply);
    }
    veld_call_free(request);
}

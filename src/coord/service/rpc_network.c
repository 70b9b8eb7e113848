#include "coord/service/methods.h"

#include "base/bytes.h"

#include <veld/coord/v1/coord.pb-c.h>
#include <veld/coord/v1/inside.pb-c.h>

typedef Veld__Coord__Inside__CreateNetworkRequest pb_create;

/* ---- CreateNetwork ---- */

/* The owner itself, or a member that shows its chain. */
static bool may_put(struct veld_coord_call *c, const struct veld_network *n,
                    const pb_create *request)
{
    struct veld_membership m;
    if (request->chain.len == 0) {
        if (memcmp(c->caller, n->owner, sizeof n->owner) == 0)
            return true;
        veld_call_fail(
            c, VELD_CODE_PERMISSION_DENIED,
            "a network is put here by its owner's key, or by a member that shows its "
            "membership");
        return false;
    }
    int rc = veld_membership_read(request->chain.data, request->chain.len, n->id, NULL,
                                  veld_call_now_s(c), &m);
    if (rc == 0 && memcmp(m.member, c->caller, sizeof m.member) != 0)
        rc = VELD_E_AUTH;
    if (rc < 0)
        veld_call_fail_membership(c, rc);
    return rc == 0;
}

/* It is here already: as it was asked to be, or it cannot be. */
static void already_here(struct veld_coord_call *c, const struct veld_net *net,
                         const pb_create *request)
{
    Veld__Coord__V1__CreateNetworkReply reply = VELD__COORD__V1__CREATE_NETWORK_REPLY__INIT;
    if (net->signed_descriptor.len == request->network.len &&
        memcmp(net->signed_descriptor.p, request->network.data, request->network.len) == 0)
        veld_call_reply(c, &reply);
    else
        veld_call_fail(
            c, VELD_CODE_ALREADY_EXISTS,
            "this network is here already, as %s; name and range of a network stay as "
            "they are. Make another with an owner's key of its own",
            net->descriptor.name);
}

static bool there_is_room(struct veld_coord_call *c, const struct veld_network *n)
{
    uint8_t key[VELD_ADDRESS_KEY];
    char text[VELD_NETWORK_TEXT_STRLEN];
    const struct veld_net *other = veld_net_by_name(c->s->registry, n->name);
    uint32_t max = c->s->cfg.limits.networks;
    if (other) {
        veld_call_fail(c, VELD_CODE_ALREADY_EXISTS,
                       "the name %s is taken on this server by the network %s; choose another "
                       "name",
                       n->name, veld_network_text(other->id, text));
        return false;
    }
    if (max != 0 && g_hash_table_size(c->s->registry->nets) >= max) {
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "this server has %u networks and takes no more", max);
        return false;
    }
    veld_address_key(&c->request->from, key);
    if (!veld_rates_take(c->s->networks_by_address, key, sizeof key, c->now->mono_ns)) {
        veld_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                       "too many networks were made from this address; try again in a while");
        return false;
    }
    return true;
}

static void create(struct veld_coord_call *c, const pb_create *request)
{
    Veld__Coord__V1__CreateNetworkReply reply = VELD__COORD__V1__CREATE_NETWORK_REPLY__INIT;
    struct veld_network n;
    if (veld_network_read(request->network.data, request->network.len, &n) < 0) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT,
                       "the network's descriptor is malformed, or not signed by its owner");
        return;
    }
    if (!may_put(c, &n, request))
        return;
    const struct veld_net *here = veld_net_by_id(c->s->registry, n.id);
    if (here) {
        already_here(c, here, request);
        return;
    }
    if (!there_is_room(c, &n))
        return;
    if (!veld_call_allow_in(c, VELD_COORD_CREATE_NETWORK, &n, NULL))
        return;
    c->net =
        veld_net_add(c->s->registry, &n, request->network.data, request->network.len, c->now);
    if (!c->net) {
        veld_call_fail(c, VELD_CODE_INTERNAL, "the server is out of memory");
        return;
    }
    veld_call_audit(c, VELD_COORD_CREATE_NETWORK, NULL);
    veld_call_reply(c, &reply);
}

void veld_rpc_create_network(struct veld_coord_call *c)
{
    pb_create *request =
        veld_call_unpack(c, &veld__coord__inside__create_network_request__descriptor);
    if (request)
        create(c, request);
    veld_call_free(request);
}

/* ---- LookupNetwork ---- */

void veld_rpc_lookup_network(struct veld_coord_call *c)
{
    Veld__Coord__Inside__LookupNetworkReply reply =
        VELD__COORD__INSIDE__LOOKUP_NETWORK_REPLY__INIT;
    Veld__Coord__V1__LookupNetworkRequest *request =
        veld_call_unpack(c, &veld__coord__v1__lookup_network_request__descriptor);
    if (!request)
        return;
    const struct veld_net *net = NULL;
    if (request->network_id.len == 0)
        net = veld_net_by_name(c->s->registry, request->name);
    else if (request->network_id.len == VELD_NETWORK_ID_SIZE)
        net = veld_net_by_id(c->s->registry, request->network_id.data);
    if (net) {
        reply.network = veld_pb_bytes(net->signed_descriptor.p, net->signed_descriptor.len);
        veld_call_reply(c, &reply);
    } else {
        veld_call_fail(c, VELD_CODE_NOT_FOUND, "this server has no such network");
    }
    veld_call_free(request);
}

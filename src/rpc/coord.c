#include "rpc/coord.h"

#include "base/clock.h"
#include "rpc/coord_reply.h"
#include "trust/wire.h"

#include <stdlib.h>
#include <veld/coord/v1/coord.pb-c.h>

#define CALL_MS    15000
#define LISTING_NS (120 * VELD_NS_PER_S) /* all pages */

/* ---- One call ---- */

struct ask {
    struct veld_rpc_client *c;
    const struct veld_rpc_key *key;
    const char *method;
    struct veld_diag *diag;
};

/* `reply` NULL: nothing of it is of interest. */
static int ask(const struct ask *a, const void *request, struct veld_blob *reply)
{
    struct veld_blob body = {0}, unread = {0};
    int rc = veld_wire_pack(&body, request, VELD_RPC_MESSAGE_MAX);
    if (rc < 0)
        return veld_fail(a->diag, rc, "the request %s cannot be made: %s", a->method,
                         veld_strerror(rc));
    rc = veld_rpc_call_wait(a->c, a->key, a->method, body.p, body.len, CALL_MS,
                            reply ? reply : &unread, a->diag);
    veld_blob_clear(&unread);
    veld_blob_clear(&body);
    return rc;
}

/* What reading the reply said, as a sentence. Gives the reply back. */
static int answered(const struct ask *a, int rc, struct veld_blob *reply)
{
    veld_blob_clear(reply);
    if (rc == VELD_E_NOMEM)
        return veld_fail(a->diag, rc, "out of memory for the reply to %s", a->method);
    if (rc < 0)
        return veld_fail(
            a->diag, rc,
            "the coord server at %s sent a reply to %s that is none: check that its "
            "version goes with this one's (" VELD_VERSION ")",
            veld_rpc_address(a->c), a->method);
    return 0;
}

/* An encoded message that becomes part of a request. NULL with a sentence when it is none. */
static void *part(const struct ask *a, const ProtobufCMessageDescriptor *type,
                  const struct veld_blob *from, size_t max)
{
    void *m = veld_wire_unpack(type, from->p, from->len, max);
    if (!m)
        (void)veld_fail(a->diag, VELD_E_FORMAT, "what %s is to send is no %s", a->method,
                        type->short_name);
    return m;
}

/* ---- Who is there ---- */

int veld_coord_hello(struct veld_rpc_client *c, struct veld_coord_hello *out,
                     struct veld_diag *diag)
{
    const struct ask a = {c, NULL, "Hello", diag};
    Veld__Coord__V1__HelloRequest m = VELD__COORD__V1__HELLO_REQUEST__INIT;
    struct veld_blob reply = {0};
    uint64_t sent_ns = veld_clock_now().wall_ns, went_ns = veld_clock_mono_ns();
    int rc = ask(&a, &m, &reply);
    if (rc < 0)
        return rc;
    uint64_t half_ns = (veld_clock_mono_ns() - went_ns) / 2;
    rc = veld_coord_read_hello(reply.p, reply.len, sent_ns + half_ns, out);
    return answered(&a, rc, &reply);
}

/* ---- Networks ---- */

int veld_coord_create_network(struct veld_rpc_client *c, const struct veld_rpc_key *owner,
                              const struct veld_blob *network, struct veld_diag *diag)
{
    const struct ask a = {c, owner, "CreateNetwork", diag};
    Veld__Coord__V1__CreateNetworkRequest m = VELD__COORD__V1__CREATE_NETWORK_REQUEST__INIT;
    m.network = part(&a, &veld__trust__v1__signed__descriptor, network, VELD_SIGNED_MAX);
    int rc = m.network ? ask(&a, &m, NULL) : VELD_E_FORMAT;
    veld_wire_free(m.network);
    return rc;
}

int veld_coord_lookup_network(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                              const char *name, struct veld_blob *network,
                              struct veld_diag *diag)
{
    const struct ask a = {c, key, "LookupNetwork", diag};
    Veld__Coord__V1__LookupNetworkRequest m = VELD__COORD__V1__LOOKUP_NETWORK_REQUEST__INIT;
    struct veld_blob reply = {0};
    m.name = (char *)(uintptr_t)name; /* only read */
    int rc = ask(&a, &m, &reply);
    if (rc < 0)
        return rc;
    return answered(&a, veld_coord_read_network(reply.p, reply.len, network), &reply);
}

/* ---- Joining ---- */

int veld_coord_request_join(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                            const struct veld_blob *request, enum veld_coord_join *state,
                            struct veld_blob *chain, struct veld_diag *diag)
{
    const struct ask a = {c, key, "RequestJoin", diag};
    Veld__Coord__V1__RequestJoinRequest m = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    struct veld_blob reply = {0};
    m.request = part(&a, &veld__trust__v1__signed__descriptor, request, VELD_SIGNED_MAX);
    int rc = m.request ? ask(&a, &m, &reply) : VELD_E_FORMAT;
    veld_wire_free(m.request);
    if (rc < 0)
        return rc;
    return answered(&a, veld_coord_read_join(reply.p, reply.len, state, chain), &reply);
}

int veld_coord_list_joins(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                          const uint8_t network_id[32], struct veld_blob **requests, size_t *n,
                          struct veld_diag *diag)
{
    const struct ask a = {c, key, "ListJoins", diag};
    Veld__Coord__V1__ListJoinsRequest m = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
    struct veld_blob reply = {0};
    *requests = NULL;
    *n = 0;
    m.network_id = veld_wire_bytes(network_id, 32);
    int rc = ask(&a, &m, &reply);
    if (rc < 0)
        return rc;
    return answered(&a, veld_coord_read_joins(reply.p, reply.len, requests, n), &reply);
}

void veld_blobs_free(struct veld_blob *blobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        veld_blob_clear(&blobs[i]);
    free(blobs);
}

int veld_coord_answer_join(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                           const uint8_t network_id[32], const uint8_t member[32],
                           const struct veld_blob *chain, struct veld_diag *diag)
{
    const struct ask a = {c, key, "AnswerJoin", diag};
    Veld__Coord__V1__AnswerJoinRequest m = VELD__COORD__V1__ANSWER_JOIN_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.member = veld_wire_bytes(member, 32);
    if (chain)
        m.chain = part(&a, &veld__trust__v1__chain__descriptor, chain, VELD_CHAIN_MAX);
    int rc = m.chain || !chain ? ask(&a, &m, NULL) : VELD_E_FORMAT;
    veld_wire_free(m.chain);
    return rc;
}

/* ---- Members ---- */

int veld_coord_lease(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                     const uint8_t network_id[32], const struct veld_blob *chain,
                     const struct veld_ip *want, struct veld_ip *ipv4, struct veld_diag *diag)
{
    const struct ask a = {c, key, "RegisterMember", diag};
    Veld__Coord__V1__RegisterRequest m = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    struct veld_blob reply = {0};
    m.network_id = veld_wire_bytes(network_id, 32);
    if (want->family == 4)
        m.want_ipv4 = veld_wire_bytes(want->b, 4);
    m.chain = part(&a, &veld__trust__v1__chain__descriptor, chain, VELD_CHAIN_MAX);
    int rc = m.chain ? ask(&a, &m, &reply) : VELD_E_FORMAT;
    veld_wire_free(m.chain);
    if (rc < 0)
        return rc;
    return answered(&a, veld_coord_read_lease(reply.p, reply.len, ipv4), &reply);
}

int veld_coord_leave(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                     const uint8_t network_id[32], bool forget, struct veld_diag *diag)
{
    const struct ask a = {c, key, "Leave", diag};
    Veld__Coord__V1__LeaveRequest m = VELD__COORD__V1__LEAVE_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.forget = forget;
    return ask(&a, &m, NULL);
}

static int next_page(const struct ask *a, const uint8_t network_id[32],
                     struct veld_coord_peers *all)
{
    Veld__Coord__V1__ListPeersRequest m = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
    struct veld_blob reply = {0};
    m.network_id = veld_wire_bytes(network_id, 32);
    m.after_revision = all->after;
    int rc = ask(a, &m, &reply);
    if (rc < 0)
        return rc;
    return answered(a, veld_coord_read_peers(reply.p, reply.len, all), &reply);
}

int veld_coord_list_peers(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                          const uint8_t network_id[32], struct veld_blob **records, size_t *n,
                          struct veld_diag *diag)
{
    const struct ask a = {c, key, "ListPeers", diag};
    struct veld_coord_peers all = {0};
    uint64_t until_ns = veld_clock_mono_ns() + LISTING_NS;
    *records = NULL;
    *n = 0;
    int rc;
    do {
        rc = next_page(&a, network_id, &all);
        if (rc == 0 && all.more && veld_clock_mono_ns() > until_ns)
            rc = veld_fail(
                diag, VELD_E_IO,
                "the coord server at %s takes too long to list all members: try again "
                "later",
                veld_rpc_address(c));
    } while (rc == 0 && all.more);
    if (rc < 0) {
        veld_blobs_free(all.records, all.n);
        return rc;
    }
    *records = all.records;
    *n = all.n;
    return 0;
}

/* ---- Revocations ---- */

int veld_coord_get_revocations(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                               const uint8_t network_id[32], struct veld_blob *list,
                               struct veld_diag *diag)
{
    const struct ask a = {c, key, "GetRevocations", diag};
    Veld__Coord__V1__GetRevocationsRequest m = VELD__COORD__V1__GET_REVOCATIONS_REQUEST__INIT;
    struct veld_blob reply = {0};
    m.network_id = veld_wire_bytes(network_id, 32);
    int rc = ask(&a, &m, &reply);
    if (rc < 0)
        return rc;
    return answered(&a, veld_coord_read_revocations(reply.p, reply.len, list), &reply);
}

int veld_coord_publish_revocations(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                   const uint8_t network_id[32], const struct veld_blob *list,
                                   struct veld_diag *diag)
{
    const struct ask a = {c, key, "PublishRevocations", diag};
    Veld__Coord__V1__PublishRevocationsRequest m =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.revocations =
        part(&a, &veld__trust__v1__revocation_list__descriptor, list, VELD_REVOCATIONS_MAX);
    int rc = m.revocations ? ask(&a, &m, NULL) : VELD_E_FORMAT;
    veld_wire_free(m.revocations);
    return rc;
}

#include "rpc/coord_reply.h"

#include "base/bytes.h"
#include "trust/wire.h"

#include <stdlib.h>
#include <string.h>
#include <veld/coord/v1/coord.pb-c.h>

typedef Veld__Coord__V1__HelloReply pb_hello;
typedef Veld__Coord__V1__LookupNetworkReply pb_lookup;
typedef Veld__Coord__V1__RequestJoinReply pb_join;
typedef Veld__Coord__V1__ListJoinsReply pb_joins;
typedef Veld__Coord__V1__RegisterReply pb_register;
typedef Veld__Coord__V1__ListPeersReply pb_peers;
typedef Veld__Coord__V1__GetRevocationsReply pb_get_revocations;

static void *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len)
{
    return veld_wire_unpack(type, p, len, VELD_RPC_MESSAGE_MAX);
}

/* A message within a reply, as bytes. What is longer than it may be is no such message. */
static int pack(struct veld_blob *out, const void *message, size_t max)
{
    int rc = message ? veld_wire_pack(out, message, max) : VELD_E_FORMAT;
    return rc == VELD_E_RANGE ? VELD_E_FORMAT : rc;
}

/* As much of a version as is letters of versions. */
static void take_version(const char *from, char out[32])
{
    static const char letters[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-_";
    size_t n = VELD_MIN(strspn(from, letters), 31u);
    memcpy(out, from, n);
    out[n] = '\0';
}

int veld_coord_read_hello(const uint8_t *p, size_t len, uint64_t now_ns,
                          struct veld_coord_hello *out)
{
    pb_hello *m = unpack(&veld__coord__v1__hello_reply__descriptor, p, len);
    if (!m)
        return VELD_E_FORMAT;
    take_version(m->version, out->version);
    out->protocol = m->protocol;
    out->clock_ahead_ns = (int64_t)(m->time_ns - now_ns);
    veld_wire_free(m);
    return 0;
}

int veld_coord_read_network(const uint8_t *p, size_t len, struct veld_blob *network)
{
    pb_lookup *m = unpack(&veld__coord__v1__lookup_network_reply__descriptor, p, len);
    veld_blob_clear(network);
    int rc = m ? pack(network, m->network, VELD_SIGNED_MAX) : VELD_E_FORMAT;
    veld_wire_free(m);
    return rc;
}

/* Of the message's states ours; false when it is none. */
static bool state_of(const pb_join *m, enum veld_coord_join *state)
{
    switch (m->state) {
    case VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING:
        *state = VELD_JOIN_WAITING;
        return true;
    case VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED:
        *state = VELD_JOIN_APPROVED;
        return true;
    case VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_REFUSED:
        *state = VELD_JOIN_REFUSED;
        return true;
    default: return false;
    }
}

int veld_coord_read_join(const uint8_t *p, size_t len, enum veld_coord_join *state,
                         struct veld_blob *chain)
{
    pb_join *m = unpack(&veld__coord__v1__request_join_reply__descriptor, p, len);
    enum veld_coord_join said = VELD_JOIN_WAITING;
    veld_blob_clear(chain);
    int rc = m && state_of(m, &said) ? 0 : VELD_E_FORMAT;
    if (rc == 0 && said == VELD_JOIN_APPROVED)
        rc = pack(chain, m->chain, VELD_CHAIN_MAX);
    if (rc == 0)
        *state = said;
    veld_wire_free(m);
    return rc;
}

static int take_requests(const pb_joins *m, struct veld_blob **requests)
{
    struct veld_blob *list = calloc(m->n_requests ? m->n_requests : 1, sizeof *list);
    int rc = list ? 0 : VELD_E_NOMEM;
    for (size_t i = 0; i < m->n_requests && rc == 0; i++)
        rc = pack(&list[i], m->requests[i], VELD_SIGNED_MAX);
    if (rc == 0)
        *requests = list;
    else if (list)
        veld_blobs_free(list, m->n_requests);
    return rc;
}

int veld_coord_read_joins(const uint8_t *p, size_t len, struct veld_blob **requests, size_t *n)
{
    pb_joins *m = unpack(&veld__coord__v1__list_joins_reply__descriptor, p, len);
    *requests = NULL;
    *n = 0;
    int rc = VELD_E_FORMAT;
    if (m && m->n_requests <= VELD_COORD_JOINS_MAX)
        rc = take_requests(m, requests);
    if (rc == 0)
        *n = m->n_requests;
    veld_wire_free(m);
    return rc;
}

int veld_coord_read_lease(const uint8_t *p, size_t len, struct veld_ip *ipv4)
{
    pb_register *m = unpack(&veld__coord__v1__register_reply__descriptor, p, len);
    struct veld_ip ip;
    bool is = m && veld_wire_take_ip(&m->ipv4, &ip) && ip.family == 4;
    if (is)
        *ipv4 = ip;
    veld_wire_free(m);
    return is ? 0 : VELD_E_FORMAT;
}

int veld_coord_read_revocations(const uint8_t *p, size_t len, struct veld_blob *list)
{
    pb_get_revocations *m = unpack(&veld__coord__v1__get_revocations_reply__descriptor, p, len);
    veld_blob_clear(list);
    int rc = m ? 0 : VELD_E_FORMAT;
    if (m && m->revocations)
        rc = pack(list, m->revocations, VELD_REVOCATIONS_MAX);
    veld_wire_free(m);
    return rc;
}

/* ---- Peers, page by page ---- */

static int make_room(struct veld_coord_peers *all)
{
    if (all->n < all->room)
        return 0;
    size_t room = all->room ? 2 * all->room : 64;
    struct veld_blob *records = reallocarray(all->records, room, sizeof *records);
    if (!records)
        return VELD_E_NOMEM;
    all->records = records;
    all->room = room;
    return 0;
}

static int take_member(struct veld_coord_peers *all, const Veld__Coord__V1__Member *m)
{
    /* In the order of their last change: so a server cannot tell of one for ever. */
    if (m->revision <= all->after)
        return VELD_E_FORMAT;
    if (!m->peer) { /* it has published nothing yet */
        all->after = m->revision;
        return 0;
    }
    int rc = all->n < VELD_COORD_PEERS_MAX ? make_room(all) : VELD_E_FORMAT;
    struct veld_blob record = {0};
    if (rc == 0)
        rc = pack(&record, m->peer, VELD_RECORD_MAX);
    if (rc == 0 && record.len > VELD_COORD_PEER_BYTES_MAX - all->bytes)
        rc = VELD_E_FORMAT;
    if (rc < 0) {
        veld_blob_clear(&record);
        return rc;
    }
    all->records[all->n++] = record;
    all->bytes += record.len;
    all->after = m->revision;
    return 0;
}

int veld_coord_read_peers(const uint8_t *p, size_t len, struct veld_coord_peers *all)
{
    pb_peers *m = unpack(&veld__coord__v1__list_peers_reply__descriptor, p, len);
    /* More to come after nothing new would go on for ever. */
    int rc = m && !(m->more && m->n_members == 0) ? 0 : VELD_E_FORMAT;
    for (size_t i = 0; rc == 0 && i < m->n_members; i++)
        rc = take_member(all, m->members[i]);
    all->more = rc == 0 && m->more;
    veld_wire_free(m);
    return rc;
}

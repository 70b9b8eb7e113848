#include "control/mesh/requests.h"

#include "trust/wire.h"

#include <veld/coord/v1/coord.pb-c.h>

#define REQUEST_MAX (1u << 20)

static void *part(const ProtobufCMessageDescriptor *type, const struct veld_blob *bytes,
                  size_t max)
{
    return veld_wire_unpack(type, bytes->p, bytes->len, max);
}

static pb_chain *chain_part(const struct veld_blob *chain)
{
    return part(&veld__trust__v1__chain__descriptor, chain, VELD_CHAIN_MAX);
}

static pb_signed *signed_part(const struct veld_blob *bytes)
{
    return part(&veld__trust__v1__signed__descriptor, bytes, VELD_SIGNED_MAX);
}

int veld_request_register(struct veld_blob *out, const uint8_t network_id[32],
                          const struct veld_blob *chain, const struct veld_blob *signed_record,
                          const struct veld_ip *want_ipv4)
{
    Veld__Coord__V1__RegisterRequest m = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.chain = chain_part(chain);
    m.record = signed_part(signed_record);
    if (want_ipv4->family == 4)
        m.want_ipv4 = veld_wire_bytes(want_ipv4->b, 4);
    *out = (struct veld_blob){0};
    int rc = m.chain && m.record ? veld_wire_pack(out, &m, REQUEST_MAX) : VELD_E_FORMAT;
    veld_wire_free(m.chain);
    veld_wire_free(m.record);
    return rc;
}

int veld_request_restore(struct veld_blob *out, const struct veld_blob *signed_network,
                         const struct veld_blob *chain)
{
    Veld__Coord__V1__CreateNetworkRequest m = VELD__COORD__V1__CREATE_NETWORK_REQUEST__INIT;
    m.network = signed_part(signed_network);
    m.chain = chain_part(chain);
    *out = (struct veld_blob){0};
    int rc = m.network && m.chain ? veld_wire_pack(out, &m, REQUEST_MAX) : VELD_E_FORMAT;
    veld_wire_free(m.network);
    veld_wire_free(m.chain);
    return rc;
}

int veld_request_join(struct veld_blob *out, const struct veld_blob *signed_request)
{
    Veld__Coord__V1__RequestJoinRequest m = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    m.request = signed_part(signed_request);
    *out = (struct veld_blob){0};
    int rc = m.request ? veld_wire_pack(out, &m, REQUEST_MAX) : VELD_E_FORMAT;
    veld_wire_free(m.request);
    return rc;
}

int veld_request_watch(struct veld_blob *out, const uint8_t network_id[32],
                       uint64_t from_revision, uint64_t revocation_epoch)
{
    Veld__Coord__V1__WatchRequest m = VELD__COORD__V1__WATCH_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.from_revision = from_revision;
    m.revocation_epoch = revocation_epoch;
    *out = (struct veld_blob){0};
    return veld_wire_pack(out, &m, REQUEST_MAX);
}

int veld_request_signal(struct veld_blob *out, const uint8_t network_id[32],
                        const uint8_t to[32], const struct veld_blob *sealed)
{
    Veld__Coord__V1__SendSignalRequest m = VELD__COORD__V1__SEND_SIGNAL_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.to = veld_wire_bytes(to, 32);
    m.sealed = veld_wire_bytes(sealed->p, sealed->len);
    *out = (struct veld_blob){0};
    return veld_wire_pack(out, &m, REQUEST_MAX);
}

int veld_request_revocations(struct veld_blob *out, const uint8_t network_id[32],
                             const struct veld_blob *list)
{
    Veld__Coord__V1__PublishRevocationsRequest m =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    m.revocations =
        part(&veld__trust__v1__revocation_list__descriptor, list, VELD_REVOCATIONS_MAX);
    *out = (struct veld_blob){0};
    int rc = m.revocations ? veld_wire_pack(out, &m, REQUEST_MAX) : VELD_E_FORMAT;
    veld_wire_free(m.revocations);
    return rc;
}

int veld_request_get_revocations(struct veld_blob *out, const uint8_t network_id[32])
{
    Veld__Coord__V1__GetRevocationsRequest m = VELD__COORD__V1__GET_REVOCATIONS_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    *out = (struct veld_blob){0};
    return veld_wire_pack(out, &m, REQUEST_MAX);
}

int veld_request_leave(struct veld_blob *out, const uint8_t network_id[32])
{
    Veld__Coord__V1__LeaveRequest m = VELD__COORD__V1__LEAVE_REQUEST__INIT;
    m.network_id = veld_wire_bytes(network_id, 32);
    *out = (struct veld_blob){0};
    return veld_wire_pack(out, &m, REQUEST_MAX);
}

int veld_reply_registered(const uint8_t *p, size_t len, struct veld_registered *out)
{
    *out = (struct veld_registered){0};
    Veld__Coord__V1__RegisterReply *m =
        veld_wire_unpack(&veld__coord__v1__register_reply__descriptor, p, len, REQUEST_MAX);
    if (!m)
        return VELD_E_FORMAT;
    bool right = m->ipv4.len == 4 && veld_wire_take_ip(&m->ipv4, &out->ipv4) &&
                 veld_ip_is_unicast(&out->ipv4);
    /* Only a hint of where we are: one that is none is no error. */
    if (!veld_wire_take_ip(&m->seen_address, &out->seen) || !veld_ip_is_unicast(&out->seen))
        out->seen = (struct veld_ip){0};
    out->published = m->published;
    veld_wire_free(m);
    if (!right)
        *out = (struct veld_registered){0};
    return right ? 0 : VELD_E_FORMAT;
}

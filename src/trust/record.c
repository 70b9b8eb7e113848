#include "trust/record.h"

#include "trust/chain.h"

#include <string.h>

/* ---- read ---- */

static bool take_ipv4(const ProtobufCBinaryData *b, const struct veld_network *network,
                      struct veld_ip *out)
{
    return b->len == 0 || (veld_wire_take_ip(b, out) && veld_network_may_lease(network, out));
}

/* A route into the members' own addresses would take one of them away from its owner. */
static bool cuts_into(const struct veld_prefix *route, const struct veld_record *r,
                      const struct veld_prefix *ipv4)
{
    struct veld_prefix ipv6 = {.ip = r->ipv6, .len = VELD_NETWORK_IPV6_LEN};
    veld_prefix_mask(&ipv6);
    return (route->len >= ipv4->len && veld_prefix_contains(ipv4, &route->ip)) ||
           (route->len >= ipv6.len && veld_prefix_contains(&ipv6, &route->ip));
}

static int check_rights(const struct veld_record *r, const struct veld_network *network)
{
    const struct veld_membership *m = &r->membership;
    if (!veld_routes_are_within(r->routes, r->n_routes, m->routes, m->n_routes) ||
        (r->relay && !(m->flags & VELD_MEMBER_RELAY)))
        return VELD_E_AUTH;
    for (size_t i = 0; i < r->n_routes; i++)
        if (cuts_into(&r->routes[i], r, &network->ipv4))
            return VELD_E_AUTH;
    return 0;
}

static int from_body(const pb_record *b, const struct veld_network *network,
                     struct veld_record *r)
{
    const struct veld_membership *m = &r->membership;
    uint8_t id[32], member[32];
    char name[VELD_LABEL_MAX + 1];
    if (!veld_wire_take(&b->network_id, id, 32) || !veld_wire_take(&b->member, member, 32) ||
        !veld_wire_take_label(b->name, name) || !take_ipv4(&b->ipv4, network, &r->ipv4) ||
        !veld_wire_take_routes(b->routes, b->n_routes, r->routes, &r->n_routes) ||
        !veld_wire_take_endpoints(b->endpoints, b->n_endpoints, r->endpoints,
                                  &r->n_endpoints) ||
        !veld_wire_take_relays(b->relays, b->n_relays, m->member, r->relays, &r->n_relays))
        return VELD_E_FORMAT;
    if (memcmp(id, m->network_id, 32) != 0 || memcmp(member, m->member, 32) != 0 ||
        strcmp(name, m->name) != 0 || b->serial != m->serial)
        return VELD_E_AUTH;
    veld_network_ipv6(m->network_id, m->member, &r->ipv6);
    r->relay = b->relay;
    r->features = b->features;
    r->sequence = b->sequence;
    return check_rights(r, network);
}

static int read_record(const pb_signed *s, const struct veld_network *network,
                       struct veld_record *r)
{
    if (memcmp(s->signer.data, r->membership.member, 32) != 0)
        return VELD_E_AUTH;
    int rc = veld_signed_verify(s, VELD_PURPOSE_RECORD);
    if (rc < 0)
        return rc;
    pb_record *b = veld_wire_unpack(&veld__trust__v1__record__descriptor, s->body.data,
                                    s->body.len, VELD_SIGNED_MAX);
    rc = b ? from_body(b, network, r) : VELD_E_FORMAT;
    veld_wire_free(b);
    return rc;
}

static int read_chain(const pb_chain *c, const struct veld_network *network,
                      const struct veld_membership *known, struct veld_membership *out)
{
    uint8_t digest[32];
    if (!known || memcmp(known->network_id, network->id, 32) != 0)
        return veld_chain_read(c, network->id, out);
    veld_chain_digest(c, digest);
    if (memcmp(digest, known->chain_digest, sizeof digest) != 0)
        return veld_chain_read(c, network->id, out);
    *out = *known;
    return 0;
}

int veld_record_read_known(const uint8_t *p, size_t len, const struct veld_network *network,
                           const struct veld_membership *known,
                           const struct veld_revocations *revoked, uint64_t now_s,
                           struct veld_record *out)
{
    struct veld_record r = {0};
    memset(out, 0, sizeof *out);
    pb_peer_record *peer =
        veld_wire_unpack(&veld__trust__v1__peer_record__descriptor, p, len, VELD_RECORD_MAX);
    int rc = VELD_E_FORMAT;
    if (peer && veld_wire_is_plain(peer) && peer->chain && veld_chain_is_shaped(peer->chain) &&
        veld_signed_is_shaped(peer->record, VELD_SIGNED_MAX))
        rc = read_chain(peer->chain, network, known, &r.membership);
    if (rc == 0)
        rc = veld_membership_check(&r.membership, revoked, now_s);
    if (rc == 0)
        rc = read_record(peer->record, network, &r);
    if (rc == 0)
        *out = r;
    veld_wire_free(peer);
    return rc;
}

int veld_record_read(const uint8_t *p, size_t len, const struct veld_network *network,
                     const struct veld_revocations *revoked, uint64_t now_s,
                     struct veld_record *out)
{
    return veld_record_read_known(p, len, network, NULL, revoked, now_s, out);
}

/* ---- make ---- */

int veld_record_sign(struct veld_blob *out, const uint8_t seed[32], const struct veld_record *r)
{
    const struct veld_membership *m = &r->membership;
    struct veld_wire_routes routes;
    struct veld_wire_endpoints endpoints;
    struct veld_record read; /* as others will */
    ProtobufCBinaryData relays[VELD_MEMBER_RELAYS_MAX];
    char name[VELD_LABEL_MAX + 1];
    pb_record body = VELD__TRUST__V1__RECORD__INIT;
    veld_blob_clear(out);
    if (r->n_relays > VELD_MEMBER_RELAYS_MAX || r->n_routes > VELD_MEMBER_ROUTES_MAX ||
        r->n_endpoints > VELD_MEMBER_ENDPOINTS_MAX || r->ipv4.family == 6 ||
        !veld_wire_take_label(m->name, name))
        return VELD_E_FORMAT;
    body.network_id = veld_wire_bytes(m->network_id, 32);
    body.member = veld_wire_bytes(m->member, 32);
    body.name = name;
    if (r->ipv4.family == 4)
        body.ipv4 = veld_wire_bytes(r->ipv4.b, 4);
    body.n_routes = r->n_routes;
    body.routes = veld_wire_put_routes(&routes, r->routes, r->n_routes);
    body.n_endpoints = r->n_endpoints;
    body.endpoints = veld_wire_put_endpoints(&endpoints, r->endpoints, r->n_endpoints);
    body.relay = r->relay;
    body.n_relays = r->n_relays;
    body.relays = veld_wire_put_relays(relays, (const uint8_t(*)[32])r->relays, r->n_relays);
    body.features = r->features;
    body.sequence = r->sequence;
    body.serial = m->serial;
    if (!veld_wire_take_routes(body.routes, body.n_routes, read.routes, &read.n_routes) ||
        !veld_wire_take_endpoints(body.endpoints, body.n_endpoints, read.endpoints,
                                  &read.n_endpoints) ||
        !veld_wire_take_relays(body.relays, body.n_relays, m->member, read.relays,
                               &read.n_relays))
        return VELD_E_FORMAT;
    return veld_signed_make(out, VELD_PURPOSE_RECORD, seed, &body);
}

int veld_record_join(struct veld_blob *out, const struct veld_blob *signed_record,
                     const struct veld_blob *chain)
{
    pb_peer_record peer = VELD__TRUST__V1__PEER_RECORD__INIT;
    veld_blob_clear(out);
    peer.record = veld_wire_unpack(&veld__trust__v1__signed__descriptor, signed_record->p,
                                   signed_record->len, VELD_SIGNED_MAX);
    peer.chain = veld_chain_unpack(chain->p, chain->len);
    int rc = peer.chain && veld_signed_is_shaped(peer.record, VELD_SIGNED_MAX)
                 ? veld_wire_pack(out, &peer, VELD_RECORD_MAX)
                 : VELD_E_FORMAT;
    veld_wire_free(peer.record);
    veld_wire_free(peer.chain);
    return rc;
}

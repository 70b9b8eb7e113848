/*
 * What a member says of itself: addresses, endpoints, routes.
 *
 * Messages: proto/veld/trust/v1/trust.proto. trust.h has what holds for all.
 * Pure; any thread.
 */
#ifndef VELD_TRUST_RECORD_H
#define VELD_TRUST_RECORD_H

#include "trust/membership.h"
#include "trust/network.h"

enum veld_record_feature { VELD_RECORD_NO_IPV6 = 1 }; /* as enum Feature of the message */

struct veld_record {
    struct veld_membership membership;
    struct veld_ip ipv4; /* family 0: none yet */
    struct veld_ip ipv6; /* derived */
    struct veld_prefix
        routes[VELD_MEMBER_ROUTES_MAX]; /* offered and allowed by the membership */
    size_t n_routes;
    struct veld_endpoint endpoints[VELD_MEMBER_ENDPOINTS_MAX];
    size_t n_endpoints;
    bool relay;                                 /* it offers to relay for others */
    uint8_t relays[VELD_MEMBER_RELAYS_MAX][32]; /* it is found through; P each */
    size_t n_relays;
    uint64_t features; /* enum veld_record_feature, or-ed */
    uint64_t sequence;
};

/*
 * The encoded Signed record; of `r` the membership's network_id, member, name and
 * serial are used. VELD_E_FORMAT when a route, endpoint or relay is none that others will take.
 */
VELD_MUST_USE int veld_record_sign(struct veld_blob *out, const uint8_t seed[32],
                                   const struct veld_record *r);
/* Put together an encoded PeerRecord. */
VELD_MUST_USE int veld_record_join(struct veld_blob *out, const struct veld_blob *signed_record,
                                   const struct veld_blob *chain);
/*
 * Verify an encoded PeerRecord: the chain as above, then that the member signed
 * the record, that network, member, name and serial agree, IPv4 lies in `network`'s
 * range (not its first or last address), every route is within one the
 * membership allows, is no default route and not inside the members' own addresses,
 * endpoints are unicast with a port, only one with the flag offers to relay, and it names no
 * relay twice, nor itself.
 * Errors as of veld_membership_read.
 */
VELD_MUST_USE int veld_record_read(const uint8_t *p, size_t len,
                                   const struct veld_network *network,
                                   const struct veld_revocations *revoked, uint64_t now_s,
                                   struct veld_record *out);
/*
 * The same for one whose chain was verified before: when it is still that of `known`
 * (NULL: none), which veld_membership_read or veld_record_read gave, its signatures
 * are not verified anew; revocations and times are. Saves one to three signatures of
 * two to four.
 */
VELD_MUST_USE int veld_record_read_known(const uint8_t *p, size_t len,
                                         const struct veld_network *network,
                                         const struct veld_membership *known,
                                         const struct veld_revocations *revoked, uint64_t now_s,
                                         struct veld_record *out);

#endif

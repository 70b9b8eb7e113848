/*
 * From trust.proto's messages to Veld's values and back: the only use of
 * protobuf-c's own functions in src/trust.
 *
 * Invariants: nothing is unpacked that is longer than its bound, and unpacking
 * takes at most VELD_WIRE_ROOM bytes of memory; memory of messages is wiped when
 * it is freed; a value that a veld_wire_take_* function gave is canonical.
 *
 * Inside src/trust, and for who carries its messages (src/rpc, src/coord). Pure; any thread.
 */
#ifndef VELD_TRUST_WIRE_H
#define VELD_TRUST_WIRE_H

#include "trust/trust.h"

#include <veld/trust/v1/trust.pb-c.h>

#define VELD_WIRE_ROOM (4u << 20)

typedef Veld__Trust__V1__Signed pb_signed;
typedef Veld__Trust__V1__Prefix pb_prefix;
typedef Veld__Trust__V1__Endpoint pb_endpoint;
typedef Veld__Trust__V1__Membership pb_membership;
typedef Veld__Trust__V1__Token pb_token;
typedef Veld__Trust__V1__Chain pb_chain;
typedef Veld__Trust__V1__Revocations pb_revocations;
typedef Veld__Trust__V1__Revoked pb_revoked;
typedef Veld__Trust__V1__RevocationList pb_revocation_list;
typedef Veld__Trust__V1__Record pb_record;
typedef Veld__Trust__V1__PeerRecord pb_peer_record;

/* NULL when it is longer than `max`, malformed, too much, or not as it would be packed. Free with veld_wire_free. */
void *veld_wire_unpack(const ProtobufCMessageDescriptor *type, const void *p, size_t len,
                       size_t max);
void veld_wire_free(void *message); /* NULL is allowed */
/* `out` is cleared first. VELD_E_NOMEM; VELD_E_RANGE when it would be longer than `max`. */
VELD_MUST_USE int veld_wire_pack(struct veld_blob *out, const void *message, size_t max);
/* Has a message fields that this version does not know? Wrappers must not. */
bool veld_wire_is_plain(const void *message);

/* ---- from a message; false when it is not one, and `out` is then not to be used ---- */

bool veld_wire_take(const ProtobufCBinaryData *b, uint8_t *out, size_t len); /* exactly `len` */
bool veld_wire_take_label(const char *text, char out[VELD_LABEL_MAX + 1]);
/* A canonical Ed25519 key; veld_ed25519_public_to_x25519 proves the rest when it is used. */
bool veld_wire_take_member(const ProtobufCBinaryData *b, uint8_t out[32]);
/* 4 or 16 bytes, not IPv4-mapped. */
bool veld_wire_take_ip(const ProtobufCBinaryData *b, struct veld_ip *out);
/* Host bits zero. NULL `p`: false. */
bool veld_wire_take_prefix(const pb_prefix *p, struct veld_prefix *out);
/* As veld_route_is_valid says. */
bool veld_wire_take_routes(pb_prefix *const *p, size_t n,
                           struct veld_prefix out[VELD_MEMBER_ROUTES_MAX], size_t *n_out);
/* Keys of members, each once and none that of `self`; at most VELD_MEMBER_RELAYS_MAX. */
bool veld_wire_take_relays(const ProtobufCBinaryData *b, size_t n, const uint8_t self[32],
                           uint8_t out[VELD_MEMBER_RELAYS_MAX][32], size_t *n_out);
/* Unicast, with a port. */
bool veld_wire_take_endpoints(pb_endpoint *const *e, size_t n,
                              struct veld_endpoint out[VELD_MEMBER_ENDPOINTS_MAX],
                              size_t *n_out);

/* ---- to a message, which borrows from what is given ---- */

ProtobufCBinaryData veld_wire_bytes(const void *p, size_t len);
void veld_wire_put_prefix(const struct veld_prefix *p, pb_prefix *out);

struct veld_wire_routes {
    pb_prefix prefix[VELD_MEMBER_ROUTES_MAX];
    pb_prefix *list[VELD_MEMBER_ROUTES_MAX];
};
/* Returns `room->list`; `n` is at most VELD_MEMBER_ROUTES_MAX. */
pb_prefix **veld_wire_put_routes(struct veld_wire_routes *room, const struct veld_prefix *p,
                                 size_t n);
struct veld_wire_endpoints {
    pb_endpoint endpoint[VELD_MEMBER_ENDPOINTS_MAX];
    pb_endpoint *list[VELD_MEMBER_ENDPOINTS_MAX];
};
pb_endpoint **veld_wire_put_endpoints(struct veld_wire_endpoints *room,
                                      const struct veld_endpoint *e, size_t n);
/* Returns `room`; `n` is at most VELD_MEMBER_RELAYS_MAX. */
ProtobufCBinaryData *veld_wire_put_relays(ProtobufCBinaryData room[VELD_MEMBER_RELAYS_MAX],
                                          const uint8_t (*relays)[32], size_t n);

#endif

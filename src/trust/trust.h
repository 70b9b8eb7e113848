/*
 * Who may be believed about what: networks, memberships, tokens, revocations
 * and records, as everybody checks them (docs/TRUST.md). The messages are those
 * of proto/veld/trust/v1/trust.proto.
 *
 * Invariants:
 *  - nothing of a message is used before its signature and the right of its
 *    signer are proved; a function that fails leaves its outputs zeroed;
 *  - every count and length has a bound, checked before anything is allocated;
 *  - what was signed travels as the bytes that were signed.
 *
 * A value type below (veld_network, veld_membership, ...) is plain data without
 * pointers, copied by assignment. A `struct veld_blob` owns its bytes.
 *
 * Pure: no clock, no randomness but what is passed in, no I/O. Any thread.
 */
#ifndef VELD_TRUST_TRUST_H
#define VELD_TRUST_TRUST_H

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_LABEL_MAX            63 /* characters of a name */
#define VELD_MEMBER_ROUTES_MAX    32 /* of one membership, token or record */
#define VELD_MEMBER_ENDPOINTS_MAX 8
#define VELD_MEMBER_RELAYS_MAX    2     /* that a member names in its record */
#define VELD_SIGNED_MAX           4096  /* encoded bytes of one Signed, revocations aside */
#define VELD_CHAIN_MAX            12288 /* of a Chain */
#define VELD_RECORD_MAX           16384 /* of a PeerRecord */
#define VELD_REVOKED_MAX          4096  /* keys of one list */
#define VELD_KEPT_MAX             4096  /* members kept, of all its keys together */
/* The same of an admin's list, the owner's under it included: the rest is the owner's to overrule it. */
#define VELD_REVOKED_BY_ADMIN_MAX 3072
#define VELD_KEPT_BY_ADMIN_MAX    2048
#define VELD_REVOCATIONS_MAX      (1u << 19) /* encoded bytes of a RevocationList */
#define VELD_COORD_TEXT_MAX       256        /* HOST:PORT of a coord server, and NUL */
#define VELD_NETWORK_ID_SIZE      32

/* Bytes on the heap. Zeroed: none. */
struct veld_blob {
    uint8_t *p;
    size_t len;
};
void veld_blob_clear(struct veld_blob *b);
/* Copies; `out` is cleared first. VELD_E_NOMEM. */
VELD_MUST_USE int veld_blob_set(struct veld_blob *out, const void *p, size_t len);

/* A DNS label in lower case: 1..63 of a-z 0-9 -, no - at either end. */
bool veld_label_is_valid(const char *name);

/*
 * May it be a route at all? Masked, unicast, not IPv4-mapped, and no default route
 * nor the half of one: at least this long.
 */
#define VELD_ROUTE_LENGTH_MIN 8
bool veld_route_is_valid(const struct veld_prefix *p);
/* Is each route inside one that is allowed? */
bool veld_routes_are_within(const struct veld_prefix *routes, size_t n,
                            const struct veld_prefix *allowed, size_t n_allowed);

#endif

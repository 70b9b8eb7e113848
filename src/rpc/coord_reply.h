/*
 * Replies of the coord server, read: bytes of somebody who need not be trusted.
 *
 * Invariants: every count, length and sum has a bound, checked before it is
 * kept; a list that comes in pages gets on with each page, or is refused.
 * What comes out is shaped as it should be and NOT verified (src/trust does).
 *
 * Each returns 0, VELD_E_FORMAT or VELD_E_NOMEM. Pure; any thread.
 */
#ifndef VELD_RPC_COORD_REPLY_H
#define VELD_RPC_COORD_REPLY_H

#include "rpc/coord.h"

#define VELD_COORD_JOINS_MAX      256
#define VELD_COORD_PEERS_MAX      100000
#define VELD_COORD_PEER_BYTES_MAX (128u << 20) /* of all records */

/* `clock_ahead_ns` is the difference to `now_ns`, our time when it was on its way. */
VELD_MUST_USE int veld_coord_read_hello(const uint8_t *p, size_t len, uint64_t now_ns,
                                        struct veld_coord_hello *out);
VELD_MUST_USE int veld_coord_read_network(const uint8_t *p, size_t len,
                                          struct veld_blob *network);
/* `chain` is set when approved, cleared otherwise. */
VELD_MUST_USE int veld_coord_read_join(const uint8_t *p, size_t len,
                                       enum veld_coord_join *state, struct veld_blob *chain);
VELD_MUST_USE int veld_coord_read_joins(const uint8_t *p, size_t len,
                                        struct veld_blob **requests, size_t *n);
VELD_MUST_USE int veld_coord_read_lease(const uint8_t *p, size_t len, struct veld_ip *ipv4);
/* Absent: `list` is cleared. */
VELD_MUST_USE int veld_coord_read_revocations(const uint8_t *p, size_t len,
                                              struct veld_blob *list);

/* A list of peers as it grows, page by page. Zeroed: nothing yet. */
struct veld_coord_peers {
    struct veld_blob *records;
    size_t n, room, bytes;
    uint64_t after; /* the revision to go on from */
    bool more;
};
VELD_MUST_USE int veld_coord_read_peers(const uint8_t *p, size_t len,
                                        struct veld_coord_peers *all);

#endif

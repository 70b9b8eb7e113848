/*
 * The daemon's requests to the coord server, and what it says to them, as messages
 * of coord.proto.
 *
 * What is read is shaped as it should be, and not to be believed for that: an
 * address is one of the network's only when its record is verified.
 * Pure; any thread.
 */
#ifndef VELD_CONTROL_MESH_REQUESTS_H
#define VELD_CONTROL_MESH_REQUESTS_H

#include "base/addr.h"
#include "trust/trust.h"

/* Encoded; the caller clears `out`. VELD_E_FORMAT when what becomes a part is not what it should be; VELD_E_NOMEM. */
VELD_MUST_USE int veld_request_register(struct veld_blob *out, const uint8_t network_id[32],
                                        const struct veld_blob *chain,
                                        const struct veld_blob *signed_record,
                                        const struct veld_ip *want_ipv4);
VELD_MUST_USE int veld_request_restore(struct veld_blob *out,
                                       const struct veld_blob *signed_network,
                                       const struct veld_blob *chain);
VELD_MUST_USE int veld_request_watch(struct veld_blob *out, const uint8_t network_id[32],
                                     uint64_t from_revision, uint64_t revocation_epoch);
VELD_MUST_USE int veld_request_signal(struct veld_blob *out, const uint8_t network_id[32],
                                      const uint8_t to[32], const struct veld_blob *sealed);
VELD_MUST_USE int veld_request_revocations(struct veld_blob *out, const uint8_t network_id[32],
                                           const struct veld_blob *list);
VELD_MUST_USE int veld_request_get_revocations(struct veld_blob *out,
                                               const uint8_t network_id[32]);
VELD_MUST_USE int veld_request_join(struct veld_blob *out,
                                    const struct veld_blob *signed_request);
/* Go offline; membership, name and address stay. */
VELD_MUST_USE int veld_request_leave(struct veld_blob *out, const uint8_t network_id[32]);

/* What registering brought. */
struct veld_registered {
    struct veld_ip ipv4; /* leased */
    bool published;
    struct veld_ip seen; /* where the call came from; family 0: not told */
};
/* VELD_E_FORMAT. */
VELD_MUST_USE int veld_reply_registered(const uint8_t *p, size_t len,
                                        struct veld_registered *out);

#endif

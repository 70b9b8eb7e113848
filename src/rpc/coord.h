/*
 * The calls of veld.coord.v1.Coord, as waiting functions: what the command line
 * tool asks for. The daemon, which must not wait, makes its own by client.h.
 *
 * Each returns 0, or a veld_err with the sentence for people in `diag`: what
 * the server said, or why it could not be asked, and what to do. Outputs that are blobs are
 * encoded messages of trust.proto, NOT yet verified.
 * Any thread but the client's.
 */
#ifndef VELD_RPC_COORD_H
#define VELD_RPC_COORD_H

#include "rpc/client.h"

struct veld_coord_hello {
    char version[32];
    uint32_t protocol;
    int64_t
        clock_ahead_ns; /* the server's clock against ours, half the round trip allowed for */
};
VELD_MUST_USE int veld_coord_hello(struct veld_rpc_client *c, struct veld_coord_hello *out,
                                   struct veld_diag *diag);

/* Signed by the owner's key. VELD_E_EXIST when the name is another network's. */
VELD_MUST_USE int veld_coord_create_network(struct veld_rpc_client *c,
                                            const struct veld_rpc_key *owner,
                                            const struct veld_blob *network,
                                            struct veld_diag *diag);
/* By name. VELD_E_NOENT when there is none. */
VELD_MUST_USE int veld_coord_lookup_network(struct veld_rpc_client *c,
                                            const struct veld_rpc_key *key, const char *name,
                                            struct veld_blob *network, struct veld_diag *diag);

enum veld_coord_join { VELD_JOIN_WAITING, VELD_JOIN_APPROVED, VELD_JOIN_REFUSED };
VELD_MUST_USE int veld_coord_request_join(struct veld_rpc_client *c,
                                          const struct veld_rpc_key *key,
                                          const struct veld_blob *request,
                                          enum veld_coord_join *state, struct veld_blob *chain,
                                          struct veld_diag *diag);
/* `*requests` is an array of `*n` blobs; veld_blobs_free. */
VELD_MUST_USE int veld_coord_list_joins(struct veld_rpc_client *c,
                                        const struct veld_rpc_key *key,
                                        const uint8_t network_id[32],
                                        struct veld_blob **requests, size_t *n,
                                        struct veld_diag *diag);
void veld_blobs_free(struct veld_blob *blobs, size_t n);
/* `chain` NULL: refuse. */
VELD_MUST_USE int veld_coord_answer_join(struct veld_rpc_client *c,
                                         const struct veld_rpc_key *key,
                                         const uint8_t network_id[32], const uint8_t member[32],
                                         const struct veld_blob *chain, struct veld_diag *diag);

/*
 * Prove and lease, without a record. `want` family 0: any. VELD_E_EXIST when the name is
 * another member's, VELD_E_LIMIT when the token is used up or the network full, VELD_E_PERM when
 * the membership is revoked or has ended.
 */
VELD_MUST_USE int veld_coord_lease(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                   const uint8_t network_id[32], const struct veld_blob *chain,
                                   const struct veld_ip *want, struct veld_ip *ipv4,
                                   struct veld_diag *diag);
VELD_MUST_USE int veld_coord_leave(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                                   const uint8_t network_id[32], bool forget,
                                   struct veld_diag *diag);
/*
 * Every member's PeerRecord, all pages; veld_blobs_free. Who changed meanwhile may be there
 * twice, the later one newer. VELD_E_FORMAT past 100,000 records, or when pages lead nowhere.
 */
VELD_MUST_USE int veld_coord_list_peers(struct veld_rpc_client *c,
                                        const struct veld_rpc_key *key,
                                        const uint8_t network_id[32],
                                        struct veld_blob **records, size_t *n,
                                        struct veld_diag *diag);

/* Absent: `list` is empty. */
VELD_MUST_USE int veld_coord_get_revocations(struct veld_rpc_client *c,
                                             const struct veld_rpc_key *key,
                                             const uint8_t network_id[32],
                                             struct veld_blob *list, struct veld_diag *diag);
/* VELD_E_STATE when another list came first: get, merge, try again. */
VELD_MUST_USE int veld_coord_publish_revocations(struct veld_rpc_client *c,
                                                 const struct veld_rpc_key *key,
                                                 const uint8_t network_id[32],
                                                 const struct veld_blob *list,
                                                 struct veld_diag *diag);

#endif

/*
 * The registry's keys and values in the store.
 *
 *   "v"                      magic and version of the format
 *   "n" network              StoredNetwork
 *   "h" network              StoredHead
 *   "r" network              an encoded RevocationList, as published
 *   "m" network P            StoredMember
 *   "s" network P            StoredState
 *   "t" network revision     StoredRemoval (revision big-endian)
 *   "u" network token P      StoredTokenUse
 *   "j" network P            StoredJoin
 *   "c"                      the server's own certificate and key (tls.h), not of the registry
 *
 * where "network" is its id, 32 bytes, and the values are those of
 * proto/veld/coord/v1/inside.proto.
 *
 * Invariant: each of these puts the whole new value, or removes it.
 * Inside src/coord/registry.
 */
#ifndef VELD_COORD_REGISTRY_PERSIST_H
#define VELD_COORD_REGISTRY_PERSIST_H

#include "coord/registry/registry.h"

#define VELD_DATABASE_VERSION 1

void veld_persist_network(struct veld_batch *b, const struct veld_net *net);
void veld_persist_head(struct veld_batch *b, const struct veld_net *net);
void veld_persist_revocations(struct veld_batch *b, const struct veld_net *net);
/* Network, head and revocations. */
void veld_persist_network_gone(struct veld_batch *b, const struct veld_net *net);

void veld_persist_facts(struct veld_batch *b, const struct veld_member *m);
void veld_persist_state(struct veld_batch *b, const struct veld_member *m);
void veld_persist_member_gone(struct veld_batch *b, const struct veld_member *m);

void veld_persist_removal(struct veld_batch *b, const struct veld_net *net,
                          const struct veld_removal *r);
void veld_persist_removal_gone(struct veld_batch *b, const struct veld_net *net,
                               const struct veld_removal *r);
void veld_persist_token_use(struct veld_batch *b, const struct veld_net *net,
                            const struct veld_token_use *u);
void veld_persist_token_use_gone(struct veld_batch *b, const struct veld_net *net,
                                 const struct veld_token_use *u);
void veld_persist_join(struct veld_batch *b, const struct veld_net *net,
                       const struct veld_join *j);
void veld_persist_join_gone(struct veld_batch *b, const struct veld_net *net,
                            const struct veld_join *j);

/* Into an empty registry, whose batch then has the version if the store had none. */
VELD_MUST_USE int veld_persist_load(struct veld_registry *r, struct veld_store *store,
                                    struct veld_diag *diag);

#endif

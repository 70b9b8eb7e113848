/*
 * What the files of src/coord/registry share: objects made and put into their
 * tables, without a batch. Used by the changes themselves, by their way back, and by what
 * reads the store.
 */
#ifndef VELD_COORD_REGISTRY_INTERNAL_H
#define VELD_COORD_REGISTRY_INTERNAL_H

#include "coord/registry/registry.h"

/* ---- registry.c ---- */

/* Owns copies; in no table. NULL: out of memory. */
struct veld_net *veld_net_new(struct veld_registry *r, const struct veld_network *network,
                              const void *p, size_t len);
void veld_net_free(struct veld_net *net);
void veld_net_link(struct veld_net *net);
void veld_net_unlink(struct veld_net *net);
/* A revision for a change now. `moved_from`: the revision before of what changed; UINT64_MAX: it is new. */
uint64_t veld_net_next_revision(struct veld_net *net, uint64_t moved_from,
                                const struct veld_now *now);
/* Undone: back to `revision`, which was the one before. */
void veld_net_take_back_revision(struct veld_net *net, uint64_t revision);

/* In a table that is made when something is in it. */
void *veld_table_find(GHashTable *table, const void *key);
/* What stood under this key before; NULL. */
void *veld_table_put(GHashTable **table, GHashTable *(*make)(void), void *key, void *value);
void *veld_table_take(GHashTable *table, const void *key);

/* ---- members.c ---- */

/* In no table, without facts. */
struct veld_member *veld_member_new(struct veld_net *net, const uint8_t p[32]);
/* With facts, online and revision set: into all tables and the list of changes, or out of the tables. */
void veld_member_link(struct veld_member *m);
void veld_member_unlink(struct veld_member *m);
/* At the end of the list of removals; returns what rested at this address before. */
struct veld_removal *veld_removal_link(struct veld_net *net, struct veld_removal *r);
/* The oldest `n`. */
void veld_removals_drop(struct veld_net *net, size_t n);
struct veld_facts *veld_facts_build(const struct veld_facts *like,
                                    const struct veld_prefix *routes,
                                    const struct veld_blob *chain,
                                    const struct veld_blob *peer);

/* ---- tokens.c, joins.c ---- */

void veld_token_use_link(struct veld_net *net, struct veld_token_use *u);
void veld_token_use_unlink(struct veld_net *net, struct veld_token_use *u);
void veld_tokens_free(struct veld_net *net);
struct veld_join *veld_join_build(const struct veld_join *like, const struct veld_blob *request,
                                  const struct veld_blob *chain);
void veld_join_link(struct veld_net *net, struct veld_join *j);
void veld_join_unlink(struct veld_net *net, struct veld_join *j);

#endif

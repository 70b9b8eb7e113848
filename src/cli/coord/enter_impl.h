/*
 * Inside of enter: what asking to be let in (enter_request.c) shares with the rest.
 *
 * Not for others: include cli/coord/enter.h.
 */
#ifndef VELD_CLI_COORD_ENTER_IMPL_H
#define VELD_CLI_COORD_ENTER_IMPL_H

#include "cli/coord/enter.h"

uint64_t veld_enter_now_s(void);
struct veld_rpc_key veld_enter_key(const struct veld_entry *e);
/* Verify the membership, lease an address under it, and keep all of it. */
VELD_MUST_USE int veld_enter_finish(struct veld_entry *e, const struct veld_blob *chain,
                                    struct veld_diag *diag);
/* File a request, or go on with the one that waits, until it is answered. */
VELD_MUST_USE int veld_enter_by_request(struct veld_entry *e, struct veld_diag *diag);

#endif

/*
 * Addresses of a host, within a time: getaddrinfo has none of its own.
 *
 * Any thread. A lookup that takes longer is left to a thread of its own, which
 * frees what is its when it ends.
 */
#ifndef VELD_RPC_PROBE_LOOKUP_H
#define VELD_RPC_PROBE_LOOKUP_H

#include "rpc/address.h"

#include <netdb.h>

/* `*list` is the caller's (freeaddrinfo). VELD_E_IO: no such name, or not in time. */
VELD_MUST_USE int veld_rpc_lookup(const struct veld_rpc_address *a, uint64_t until_ns,
                                  struct addrinfo **list, struct veld_diag *diag);

#endif

/*
 * HOST:PORT of a coord server, taken apart.
 *
 * Pure; any thread.
 */
#ifndef VELD_RPC_ADDRESS_H
#define VELD_RPC_ADDRESS_H

#include "trust/trust.h"

struct veld_rpc_address {
    char host[VELD_COORD_TEXT_MAX]; /* a name, or an address without brackets */
    char port[6];
    bool is_literal; /* an IP address: no name to look up, none to ask for in TLS */
};

/*
 * "name:50051", "192.0.2.1:50051", "[2001:db8::1]:50051". VELD_E_FORMAT with a
 * sentence that says what would be right.
 */
VELD_MUST_USE int veld_rpc_address_parse(const char *text, struct veld_rpc_address *out,
                                         struct veld_diag *diag);

#endif

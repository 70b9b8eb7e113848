/*
 * Asking a coord server whether it serves: grpc.health.v1.Health/Check over TLS.
 *
 * Whose certificate it shows is not looked at: this is for the machine or container
 * that the server runs on, and nothing is said but the question. Blocks.
 */
#ifndef VELD_COORD_SERVER_PROBE_H
#define VELD_COORD_SERVER_PROBE_H

#include "base/err.h"

/* `address` HOST:PORT. 0: it serves; VELD_E_STATE: it says it does not; VELD_E_IO: no answer. */
VELD_MUST_USE int veld_server_probe(const char *address, int timeout_ms,
                                    struct veld_diag *diag);

#endif

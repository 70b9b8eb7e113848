/*
 * From what is known of a coord server to a connection.
 *
 * Main thread.
 */
#ifndef VELD_CLI_COORD_CONNECT_H
#define VELD_CLI_COORD_CONNECT_H

#include "cli/launch.h"
#include "profile/server.h"
#include "rpc/coord.h"

#define VELD_COORD_PORT        50051
#define VELD_CONNECT_PROBE_MS  10000
#define VELD_CONNECT_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* The value of a call that waits for the server, with a sign of life on a terminal. */
#define VELD_ASKING(call)                                                                      \
    ({                                                                                         \
        veld_waiting_begin("waiting for the coord server");                                    \
        __auto_type asked_ = (call);                                                           \
        veld_waiting_end();                                                                    \
        asked_;                                                                                \
    })

/* The CAs of a file, in PEM; the caller frees `*pem`. */
VELD_MUST_USE int veld_ca_read(const char *path, char **pem, struct veld_diag *diag);
/*
 * Which certificate the server shows; `ca_path` NULL: any. Errors as of veld_rpc_probe.
 */
VELD_MUST_USE int veld_connect_probe(const char *address, const char *ca_path,
                                     uint8_t certificate[32], struct veld_diag *diag);
/* Open a client for a server that is known. Close it with veld_rpc_close. */
VELD_MUST_USE int veld_connect(struct veld_rpc_client **out,
                               const struct veld_profile_coord *coord, struct veld_diag *diag);
/*
 * Say Hello: proves that it is a coord server whose protocol this veld speaks.
 * A clock that differs is told on standard error.
 */
VELD_MUST_USE int veld_connect_hello(struct veld_rpc_client *c, struct veld_coord_hello *hello,
                                     struct veld_diag *diag);

#endif

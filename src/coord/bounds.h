/*
 * What the server's network side bounds. Each has a default and an option of
 * veld-coord; what a network or an account may have is the host's (host.h).
 */
#ifndef VELD_COORD_BOUNDS_H
#define VELD_COORD_BOUNDS_H

#include <stdint.h>

struct veld_coord_limits {
    uint32_t connections;             /* in all; fewer where fewer files may be open */
    uint32_t connections_per_address; /* of one IPv4 address or IPv6 /64 */
    uint32_t streams;                 /* calls open at once on one connection */
};
#define VELD_COORD_LIMITS_DEFAULT                                                              \
    ((struct veld_coord_limits){                                                               \
        .connections = 16384, .connections_per_address = 1024, .streams = 32})

#define VELD_COORD_MESSAGE_MAX    (1u << 20) /* bytes, as proto/veld/coord/v1 says */
#define VELD_COORD_METADATA_MAX   4096       /* bytes, as HTTP/2 counts a list of headers */
#define VELD_COORD_CALLS_MAX      4096       /* being received or answered, watches aside */
#define VELD_COORD_RECEIVE_S      15         /* in which a call's request must be there */
#define VELD_COORD_TAKE_S         20         /* in which a watcher must take what it is sent */
#define VELD_COORD_TAKE_PRESSED_S 5          /* the same while much waits to be taken */
#define VELD_COORD_HANDSHAKE_S    10         /* in which TLS and HTTP/2 must be up */
#define VELD_COORD_KEEPALIVE_S    30         /* a connection silent for so long is asked */
#define VELD_COORD_DEAD_S         15         /* and gone when it does not answer in so long */
#define VELD_COORD_STOP_S         5          /* for a graceful stop */
#define VELD_COORD_PATIENCE_MS    2000       /* for a predecessor to be gone, at start */

#endif

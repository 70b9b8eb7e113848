/*
 * The gate: accepts connections, bounded in all and per address, and hands them
 * to whoever speaks TLS and HTTP/2 on them, and closes them.
 *
 * An address is an IPv4 address or an IPv6 /64. Each may have so many
 * connections open, and open so many at once after a quiet time, a tenth of
 * that a second on and on; fewer when connections from there had to be cut.
 *
 * Nobody tells the gate when a connection is closed. It knows each by its
 * descriptor and the kernel's cookie of its socket, and looks once a second, and
 * before it refuses one, whether that is still what the descriptor stands for.
 *
 * Invariants:
 *  - there are never more connections than limits.connections, nor of one
 *    address than limits.connections_per_address; what is over is closed unread;
 *  - the table of connections is as large as descriptors may be, and that of addresses as
 *    twice the connections.
 *
 * Threads: one of its own accepts; open, shut and close are main's; the rest is
 * for any thread.
 */
#ifndef VELD_COORD_GATE_H
#define VELD_COORD_GATE_H

#include "coord/bounds.h"
#include "coord/listen.h"

#include <stdbool.h>

struct veld_gate;

/* Takes over `fd`, connected and non-blocking. On the gate's thread. */
typedef void veld_gate_take_fn(void *ctx, int fd, const struct veld_endpoint *peer);

/* `listeners` is borrowed until close, and stays open. */
VELD_MUST_USE int veld_gate_open(struct veld_gate **out, const struct veld_listeners *listeners,
                                 const struct veld_coord_limits *limits,
                                 veld_gate_take_fn *take, void *ctx, struct veld_diag *diag);
/* Accepts no more; nothing is handed over once it has returned. What is open stays. */
void veld_gate_shut(struct veld_gate *g);
/* After shut. NULL is allowed. */
void veld_gate_close(struct veld_gate *g);

/* A call on a connection; zeroed: none. */
struct veld_gate_call {
    int fd;
    uint64_t cookie;
};
/* False, and the connection is cut, when many more calls are open on it than it may have. */
bool veld_gate_call_begin(struct veld_gate *g, const struct veld_endpoint *peer,
                          struct veld_gate_call *out);
enum veld_gate_end {
    VELD_GATE_ANSWERED,
    VELD_GATE_WASTED, /* given up by the caller, or never whole: too many and it is cut */
};
void veld_gate_call_end(struct veld_gate *g, struct veld_gate_call call,
                        enum veld_gate_end how);

/* TLS is up on the connection from `peer`: the next may begin (rising.h). */
void veld_gate_up(struct veld_gate *g, const struct veld_endpoint *peer);
/* A connection from `peer` was broken off for what came on it: its address may open fewer. */
void veld_gate_blame(struct veld_gate *g, const struct veld_ip *peer);

struct veld_gate_stats {
    uint64_t open, accepted;
    uint64_t refused_full, refused_address, refused_rate; /* closed unread */
    uint64_t cut;                                         /* for what was done on them */
};
void veld_gate_get_stats(struct veld_gate *g, struct veld_gate_stats *out);

#endif

/*
 * Answers STUN Binding requests (stun/stun.h), so that members learn what address they have
 * seen from outside without asking a third party. On the addresses and the port of the TCP
 * listeners, over UDP, unless told another; by a thread of its own.
 *
 * Invariants: what is no request of that kind, comes too often from its address, or is
 * shorter than its answer, is dropped without a word. Memory is fixed. An answer leaves from
 * the address that was asked.
 *
 * Order of calls: open, get_stats*, close. Thread: main, but for get_stats: any.
 */
#ifndef VELD_COORD_STUN_SERVER_H
#define VELD_COORD_STUN_SERVER_H

#include "coord/listen.h"

/* Of one IPv4 address or IPv6 /64: many machines may be behind it, and each asks once in minutes. */
#define VELD_STUN_PER_S   10u
#define VELD_STUN_BURST   100u
#define VELD_STUN_ALL_S   5000u /* in all */
#define VELD_STUN_ALL_MAX 5000u

struct veld_stun_server;
struct veld_stun_stats {
    uint64_t answered, dropped, limited; /* limited: too often */
};

enum veld_stun_bounds { VELD_STUN_BOUNDED, VELD_STUN_UNBOUNDED /* for a lab */ };

/* `at` is taken over, also on failure: bound UDP sockets. */
VELD_MUST_USE int veld_stun_server_open(struct veld_stun_server **out,
                                        struct veld_listeners *at, enum veld_stun_bounds bounds,
                                        struct veld_diag *diag);
void veld_stun_server_close(struct veld_stun_server *s); /* NULL is allowed */
void veld_stun_server_get_stats(const struct veld_stun_server *s, struct veld_stun_stats *out);

#endif

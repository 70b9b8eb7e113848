/*
 * How many connections each address has, and how fast it opens them. An address
 * is an IPv4 address or an IPv6 /64.
 *
 * Invariant: no more than `max` addresses are remembered; one with a connection
 * open is never forgotten, and one without is once its allowance is whole again,
 * or when its place is needed.
 * Pure but for the secret of its hash; thread: whoever holds the lock.
 */
#ifndef VELD_COORD_ADDRESSES_H
#define VELD_COORD_ADDRESSES_H

#include "base/addr.h"

struct veld_addresses;

/* `per_address`: connections open at once, and opened at once after a quiet time. */
VELD_MUST_USE int veld_addresses_new(struct veld_addresses **out, size_t max,
                                     uint32_t per_address);
void veld_addresses_free(struct veld_addresses *a); /* NULL is allowed */

/* One more of `ip`: 0; VELD_E_FULL: it has as many as it may; VELD_E_LIMIT: too fast, or no place. */
VELD_MUST_USE int veld_addresses_take(struct veld_addresses *a, const struct veld_ip *ip,
                                      uint64_t now_ns);
/* One less of what take gave. */
void veld_addresses_give(struct veld_addresses *a, const struct veld_ip *ip);
/* What it may open at once is less by a sixteenth: somebody there did what nobody should. */
void veld_addresses_blame(struct veld_addresses *a, const struct veld_ip *ip, uint64_t now_ns);
/* Forget who need not be remembered. Every few seconds. */
void veld_addresses_sweep(struct veld_addresses *a, uint64_t now_ns);
size_t veld_addresses_count(const struct veld_addresses *a);

#endif

/*
 * How many initiations an address may have answered: a token bucket for each
 * IPv4 address, IPv6 /64 or circuit, of VELD_INITIATIONS_BURST, refilled at
 * VELD_INITIATIONS_PER_S.
 *
 * Invariant: the table has a fixed size. An address that has been quiet long
 * enough to have its bucket full again leaves its place to others; when no
 * place can be had, the newcomer is refused. Which addresses share places is
 * decided by a seeded hash, so nobody outside can aim at somebody's place.
 *
 * Order of calls: new, allow*, free. Control thread.
 */
#ifndef VELD_CONTROL_ENGINE_RATELIMIT_H
#define VELD_CONTROL_ENGINE_RATELIMIT_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_RATELIMIT_SETS 1024 /* a power of two */
#define VELD_RATELIMIT_WAYS 8

struct veld_ratelimit;

/* NULL when out of memory. `seed` is copied. */
struct veld_ratelimit *veld_ratelimit_new(const uint8_t seed[16]);
void veld_ratelimit_free(struct veld_ratelimit *r); /* NULL is allowed */

/* Take one token of this address, whatever its port; false when it has none left. */
bool veld_ratelimit_allow(struct veld_ratelimit *r, const struct veld_endpoint *from,
                          uint64_t now_ns);

#endif

/*
 * How often somebody may do something: a token bucket for each address or key.
 *
 * Invariant: the table has a fixed size. Who has been quiet long enough to have
 * a full bucket again leaves its place to others; when no place can be had, the
 * newcomer is refused. Which of them share places is decided by a seeded hash,
 * so that nobody can aim at somebody's place.
 *
 * Order of calls: new, take*, free. The server's loop.
 */
#ifndef VELD_COORD_SERVICE_RATES_H
#define VELD_COORD_SERVICE_RATES_H

#include "base/addr.h"
#include "coord/service.h"

#define VELD_RATES_SETS 1024 /* a power of two */
#define VELD_RATES_WAYS 8

struct veld_rates;

/* NULL when `rate` is no bound. `seed` is copied. */
struct veld_rates *veld_rates_new(struct veld_rate rate, const uint8_t seed[16]);
void veld_rates_free(struct veld_rates *r); /* NULL is allowed */

/* One more by `key`: false when that is too often. `r` NULL: true. */
bool veld_rates_take(struct veld_rates *r, const void *key, size_t len, uint64_t now_ns);

/* What of an address counts: all of an IPv4 address, the /64 of an IPv6 one. */
#define VELD_ADDRESS_KEY 9
void veld_address_key(const struct veld_ip *ip, uint8_t out[VELD_ADDRESS_KEY]);

#endif

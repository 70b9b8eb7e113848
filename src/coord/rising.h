/*
 * Connections that were accepted and are not up yet: TLS is still spoken on them.
 *
 * When thousands come back at once, each handshake makes all others slower, until
 * none is done before its time is over. So only as many are begun as a
 * processor is done with soon; the rest wait in the kernel's queue, in the order they came.
 *
 * Invariant: at most VELD_RISING_MAX count at a time, each for VELD_RISING_NS at most: who
 * connects and says nothing delays others by that, and no longer.
 *
 * Pure. The caller's lock.
 */
#ifndef VELD_COORD_RISING_H
#define VELD_COORD_RISING_H

#include "base/clock.h"

#include <stdbool.h>

#define VELD_RISING_MAX 64
#define VELD_RISING_NS  (2 * VELD_NS_PER_S)

struct veld_rising;
struct veld_rising *veld_rising_new(void);
void veld_rising_free(struct veld_rising *r); /* NULL is allowed */

/* `cookie` is the kernel's of its socket. */
void veld_rising_add(struct veld_rising *r, uint64_t cookie, uint64_t now_ns);
/* It has said something over TLS, or is closed. Nothing when it does not count any more. */
void veld_rising_end(struct veld_rising *r, uint64_t cookie);
bool veld_rising_is_full(struct veld_rising *r, uint64_t now_ns);

#endif

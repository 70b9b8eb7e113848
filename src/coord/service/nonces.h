/*
 * Nonces of calls that were answered, so that a recorded call cannot be made
 * again while its time would still be accepted.
 *
 * Two generations: what is new goes into the younger; when that is
 * VELD_NONCES_AGE_S old, or full, it becomes the elder, and the elder is forgotten.
 *
 * Invariant: a nonce is remembered for VELD_NONCES_AGE_S at least, which is
 * longer than a call's time is good for (VELD_CALL_TIME_S either way); when that
 * would need more than two times VELD_NONCES_MAX places, new calls are refused.
 * The memory is of this process: the calls of the last VELD_CALL_TIME_S before a
 * start could be made again after it by whoever read them inside TLS, which is the
 * server alone.
 *
 * Order of calls: new, add*, free. The server's loop.
 */
#ifndef VELD_COORD_SERVICE_NONCES_H
#define VELD_COORD_SERVICE_NONCES_H

#include "base/err.h"
#include "trust/rpc_auth.h"

#define VELD_CALL_TIME_S  90
#define VELD_NONCES_AGE_S (2 * VELD_CALL_TIME_S + 10)
#define VELD_NONCES_MAX   (1u << 20) /* of one generation */

struct veld_nonces;

/* `max` nonces a generation; `seed` is copied. */
struct veld_nonces *veld_nonces_new(size_t max, const uint8_t seed[16]);
void veld_nonces_free(struct veld_nonces *n); /* NULL is allowed */
/* VELD_E_REPLAY when this key has used this nonce before, VELD_E_FULL. */
VELD_MUST_USE int veld_nonces_add(struct veld_nonces *n, const struct veld_rpc_auth *auth,
                                  uint64_t mono_ns);

#endif

/*
 * The numbers of circuits and forwards (dataplane.h): one allocator for both, since they share
 * the dataplane's table.
 *
 * Invariants:
 *  - no two numbers that are taken have the same slot, and none is 0;
 *  - the slot that has been free for longest is taken next, and the 20 bits above it are random: a
 *    datagram that is late with an old number finds nothing, and so does a stranger who guesses.
 *
 * Pure but for random bits; control thread.
 */
#ifndef VELD_CONTROL_REACH_CIRCUIT_NUMBERS_H
#define VELD_CONTROL_REACH_CIRCUIT_NUMBERS_H

#include "base/err.h"

#include <stdint.h>

struct veld_circuit_numbers;
struct veld_circuit_numbers *veld_circuit_numbers_new(void);
void veld_circuit_numbers_free(struct veld_circuit_numbers *n); /* NULL is allowed */

/* VELD_E_FULL: VELD_CIRCUITS_MAX are taken. */
VELD_MUST_USE int veld_circuit_numbers_take(struct veld_circuit_numbers *n, uint32_t *out);
/* One that is taken. */
void veld_circuit_numbers_give(struct veld_circuit_numbers *n, uint32_t number);
/* How many are taken. */
unsigned veld_circuit_numbers_taken(const struct veld_circuit_numbers *n);

#endif

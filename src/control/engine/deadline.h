/*
 * Which peer's timers run out first: a binary heap over peer ids.
 *
 * Invariant: a peer is in the heap at most once, under its earliest deadline;
 * one without a deadline (VELD_NEVER) is not in it.
 *
 * Order of calls: new, set*, free. Control thread. Room for every id below
 * `max_peers` is reserved at once and touched as it is used.
 */
#ifndef VELD_CONTROL_ENGINE_DEADLINE_H
#define VELD_CONTROL_ENGINE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#define VELD_NEVER UINT64_MAX

struct veld_deadlines;

struct veld_deadlines *veld_deadlines_new(uint32_t max_peers); /* NULL when out of memory */
void veld_deadlines_free(struct veld_deadlines *d);            /* NULL is allowed */

/* `id` < max_peers. VELD_NEVER takes it out. */
void veld_deadlines_set(struct veld_deadlines *d, uint32_t id, uint64_t at_ns);
/* The earliest; VELD_NEVER, and `id` unchanged, when there is none. */
uint64_t veld_deadlines_first(const struct veld_deadlines *d, uint32_t *id);

#endif

/*
 * The timestamps of our own initiations: wall clock when it runs forward, and
 * one more than the last one when it does not.
 *
 * Invariant: strictly increasing over the life of the device. What was
 * persisted (the floor) is always ahead of what was used, so a restart goes on
 * from the floor and cannot repeat a timestamp, whatever the clock says then.
 *
 * Pure; control thread.
 */
#ifndef VELD_CONTROL_ENGINE_TIMESTAMP_H
#define VELD_CONTROL_ENGINE_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

struct veld_timestamp {
    uint64_t last_ns;  /* last one used; at start the floor as persisted */
    uint64_t floor_ns; /* durable: all used so far are below it */
};

/* The next one. True when `t->floor_ns` moved and must be durable before it is used. */
bool veld_timestamp_next(struct veld_timestamp *t, uint64_t wall_ns, uint64_t *timestamp_ns);

#endif

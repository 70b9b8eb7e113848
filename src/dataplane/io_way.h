/*
 * A way in, the TUN queue or the UDP socket, when it fails: what an error means
 * to an engine, and how long to leave the way alone.
 *
 * Invariant: an error that repeats is tried again every VELD_IO_REST_NS and no
 * more often, so that a broken way neither spins nor stalls the other one.
 *
 * The worker.
 */
#ifndef VELD_DATAPLANE_IO_WAY_H
#define VELD_DATAPLANE_IO_WAY_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define VELD_IO_REST_NS (100 * VELD_NS_PER_MS)

struct veld_io_way {
    const char *what; /* for the log: "reading from the interface"; static */
    unsigned errors;  /* in a row */
    uint64_t rest_until_ns;
};

/* `error` is an errno. Those that are the kernel's way of saying "not now" count as none. */
void veld_io_way_failed(struct veld_io_way *w, int error, uint64_t now_ns);

/* Something came: errors are no longer in a row. */
static inline void veld_io_way_works(struct veld_io_way *w)
{
    w->errors = 0;
}

/* Looks at the clock only after errors. */
static inline bool veld_io_way_rests(const struct veld_io_way *w)
{
    return w->errors > 1 && veld_clock_mono_ns() < w->rest_until_ns;
}

#endif

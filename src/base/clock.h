/*
 * Time, in nanoseconds. Protocol code never calls these: it is given the time
 * (`struct veld_now`), so that tests can run it on a clock of their own.
 *
 * Any thread.
 */
#ifndef VELD_BASE_CLOCK_H
#define VELD_BASE_CLOCK_H

#include <stdint.h>

#define VELD_NS_PER_S  1000000000ull
#define VELD_NS_PER_MS 1000000ull
#define VELD_NS_PER_US 1000ull

/* One instant on both clocks. */
struct veld_now {
    uint64_t mono_ns; /* CLOCK_BOOTTIME: counts through suspend, never steps back */
    uint64_t wall_ns; /* since the Unix epoch; may step either way */
};

/* 0 when `then_ns` is still to come. */
static inline uint64_t veld_ns_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

uint64_t veld_clock_mono_ns(void);
struct veld_now veld_clock_now(void);

#endif

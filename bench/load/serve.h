/*
 * The receiving side: counts what comes on one socket, sends pings back, and
 * answers what came of a trial.
 */
#ifndef VELD_BENCH_SERVE_H
#define VELD_BENCH_SERVE_H

#include "load/probe.h"

#include <signal.h>
#include <stdint.h>

struct serve_result {
    uint64_t trials;               /* begun */
    uint64_t last[PROBE_COUNTERS]; /* of the last trial */
    uint64_t pings;                /* answered */
};

/*
 * Runs until *stop (set by a signal handler; signals must interrupt) or, when
 * `seconds` is not 0, for that long.
 */
void serve(int fd, uint64_t key, double seconds, const volatile sig_atomic_t *stop,
           struct serve_result *result);

#endif

/*
 * Round trips, one after another: a ping, its answer, and the time between.
 */
#ifndef VELD_BENCH_PING_H
#define VELD_BENCH_PING_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct ping_plan {
    double seconds;
    double interval_us; /* from one ping to the next, at least */
    size_t size;        /* UDP payload */
};

struct ping_result {
    uint64_t sent, lost;                                     /* not answered within a second */
    double min_us, mean_us, p50_us, p99_us, p999_us, max_us; /* 0 when none was answered */
};

/* `fd` is connected to a receiver. Ends early when *stop is set. */
void ping_run(int fd, uint64_t key, const struct ping_plan *plan,
              const volatile sig_atomic_t *stop, struct ping_result *result);

#endif

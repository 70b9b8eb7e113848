/*
 * Repeated measurements of one figure on one thread: its own CPU time, so that
 * others on the machine cost less of the result, and the median.
 */
#ifndef VELD_BENCH_SAMPLES_H
#define VELD_BENCH_SAMPLES_H

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX 15

struct samples {
    double v[ROUNDS_MAX];
    size_t n;
};

static inline void add(struct samples *s, double v)
{
    if (s->n < ROUNDS_MAX)
        s->v[s->n++] = v;
}

static inline int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(struct samples *s)
{
    qsort(s->v, s->n, sizeof s->v[0], compare);
    return s->n ? s->v[s->n / 2] : 0;
}

static inline uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * VELD_NS_PER_S + (uint64_t)t.tv_nsec;
}

#endif

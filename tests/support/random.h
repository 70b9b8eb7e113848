/*
 * Repeatable randomness for tests: splitmix64 from a seed. Not for keys.
 */
#ifndef VELD_TESTS_RANDOM_H
#define VELD_TESTS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_random {
    uint64_t state;
};

static inline uint64_t test_random_u64(struct test_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* 0 .. limit - 1 */
static inline uint64_t test_random_below(struct test_random *r, uint64_t limit)
{
    return test_random_u64(r) % limit;
}

static inline void test_random_fill(struct test_random *r, void *out, size_t len)
{
    uint8_t *p = out;
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)test_random_u64(r);
}

/* True `per_mille` times in a thousand. */
static inline bool test_random_chance(struct test_random *r, unsigned per_mille)
{
    return test_random_below(r, 1000) < per_mille;
}

/* A veld_random_fn whose context is the generator. */
static inline void test_random_fn(void *ctx, void *out, size_t len)
{
    test_random_fill(ctx, out, len);
}

#endif

/*
 * Unaligned loads and stores in a stated byte order, and small arithmetic of sizes.
 *
 * Invariant: no function here reads or writes beyond the width in its name.
 * Pure; any thread.
 */
#ifndef VELD_BASE_BYTES_H
#define VELD_BASE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VELD_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define VELD_CACHE_LINE   64
#define VELD_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define VELD_MAX(a, b)    ((a) > (b) ? (a) : (b))
/* The struct whose `member` is at `ptr`. */
#define VELD_CONTAINER_OF(ptr, type, member)                                                   \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define VELD_LOAD_STORE(order, bits)                                                           \
    static inline uint##bits##_t veld_load_##order##bits(const void *p)                        \
    {                                                                                          \
        uint##bits##_t v;                                                                      \
        memcpy(&v, p, sizeof v);                                                               \
        return order##bits##toh(v);                                                            \
    }                                                                                          \
    static inline void veld_store_##order##bits(void *p, uint##bits##_t v)                     \
    {                                                                                          \
        v = hto##order##bits(v);                                                               \
        memcpy(p, &v, sizeof v);                                                               \
    }
VELD_LOAD_STORE(be, 16)
VELD_LOAD_STORE(be, 32)
VELD_LOAD_STORE(be, 64)
VELD_LOAD_STORE(le, 32)
VELD_LOAD_STORE(le, 64)
#undef VELD_LOAD_STORE

#endif

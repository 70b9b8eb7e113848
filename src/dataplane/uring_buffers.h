/*
 * Receive buffers the kernel picks from (a provided-buffer ring, Linux 5.19).
 *
 * The kernel takes them in the order they were put in, so it walks through all
 * the memory there is: full buffers of 64 KiB would never be found in a cache
 * again. So the ring holds only as many as the usual arrival fills a cache's
 * worth of (VELD_URING_WORKING_SET), the last used first; small packets get all.
 *
 * Invariant: each buffer is in the ring, where the kernel may take it; or taken:
 * ours from its completion until it is put back; or spare.
 *
 * Control thread makes and frees; the worker does the rest.
 */
#ifndef VELD_DATAPLANE_URING_BUFFERS_H
#define VELD_DATAPLANE_URING_BUFFERS_H

#include "base/err.h"

#include <liburing.h>
#include <stdint.h>

#define VELD_URING_BUFFERS_MAX 64
#define VELD_URING_WORKING_SET (256u * 1024) /* bytes; half of the L2 cache of common servers */
#define VELD_URING_RING_MIN    4

struct veld_uring_buffers {
    struct io_uring_buf_ring *ring;
    uint8_t *memory;
    uint32_t size; /* of one */
    uint16_t count, group;
    uint16_t in_ring;
    uint16_t n_spare;
    uint16_t spare[VELD_URING_BUFFERS_MAX]; /* a stack */
    uint32_t mean_x8; /* eight times the moving mean of an arrival's length */
};

/*
 * `count` a power of two, at most VELD_URING_BUFFERS_MAX. All are spare until
 * the first fill. 0 or a negative errno. Free also after failure.
 */
VELD_MUST_USE int veld_uring_buffers_init(struct veld_uring_buffers *b, struct io_uring *ring,
                                          uint16_t group, uint16_t count, uint32_t size);
/* After the ring is gone. */
void veld_uring_buffers_free(struct veld_uring_buffers *b);

static inline uint8_t *veld_uring_buffer(const struct veld_uring_buffers *b, uint16_t i)
{
    return b->memory + (size_t)i * b->size;
}

/* The kernel took one and wrote `len` bytes to it. */
static inline void veld_uring_buffers_taken(struct veld_uring_buffers *b, uint32_t len)
{
    b->in_ring--;
    b->mean_x8 += len - b->mean_x8 / 8;
}

static inline void veld_uring_buffers_put(struct veld_uring_buffers *b, uint16_t i)
{
    b->spare[b->n_spare++] = i;
}

/* Hand spare buffers to the kernel; once a turn. */
void veld_uring_buffers_fill(struct veld_uring_buffers *b);

#endif

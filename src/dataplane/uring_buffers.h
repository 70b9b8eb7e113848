/*
 * Receive buffers the kernel picks from (a provided-buffer ring, Linux 5.19).
 *
 * Invariant: each buffer is either in the ring, where the kernel may take it, or
 * taken: ours from its completion until it is put back.
 *
 * Control thread makes and frees; the worker does the rest.
 */
#ifndef VELD_DATAPLANE_URING_BUFFERS_H
#define VELD_DATAPLANE_URING_BUFFERS_H

#include "base/err.h"

#include <liburing.h>
#include <stdint.h>

struct veld_uring_buffers {
    struct io_uring_buf_ring *ring;
    uint8_t *memory;
    uint32_t size; /* of one */
    uint16_t count, group;
    uint16_t in_ring;
};

/* `count` a power of two. 0 or a negative errno. Free also after failure. */
VELD_MUST_USE int veld_uring_buffers_init(struct veld_uring_buffers *b, struct io_uring *ring,
                                          uint16_t group, uint16_t count, uint32_t size);
/* After the ring is gone. */
void veld_uring_buffers_free(struct veld_uring_buffers *b);

static inline uint8_t *veld_uring_buffer(const struct veld_uring_buffers *b, uint16_t i)
{
    return b->memory + (size_t)i * b->size;
}

/* The kernel took one. */
static inline void veld_uring_buffers_taken(struct veld_uring_buffers *b)
{
    b->in_ring--;
}

void veld_uring_buffers_put(struct veld_uring_buffers *b, uint16_t i);

#endif

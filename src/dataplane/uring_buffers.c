#include "dataplane/uring_buffers.h"

#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

static void *map(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t ring_len(const struct veld_uring_buffers *b)
{
    return b->count * sizeof(struct io_uring_buf);
}

int veld_uring_buffers_init(struct veld_uring_buffers *b, struct io_uring *ring, uint16_t group,
                            uint16_t count, uint32_t size)
{
    assert(count <= VELD_URING_BUFFERS_MAX);
    *b = (struct veld_uring_buffers){.count = count, .size = size, .group = group};
    b->ring = map(ring_len(b));
    b->memory = map((size_t)count * size);
    if (!b->ring || !b->memory)
        return -ENOMEM;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)b->ring, .ring_entries = count, .bgid = group};
    int rc = io_uring_register_buf_ring(ring, &reg, 0);
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(b->ring);
    b->mean_x8 = 8 * size; /* few at first: what is never touched costs no memory */
    for (uint16_t i = count; i-- > 0;)
        veld_uring_buffers_put(b, i);
    return 0;
}

void veld_uring_buffers_free(struct veld_uring_buffers *b)
{
    if (b->ring)
        munmap(b->ring, ring_len(b));
    if (b->memory)
        munmap(b->memory, (size_t)b->count * b->size);
    b->ring = NULL;
    b->memory = NULL;
}

static unsigned wanted(const struct veld_uring_buffers *b)
{
    unsigned n = VELD_URING_WORKING_SET / (b->mean_x8 / 8 + 1);
    return VELD_MIN(VELD_MAX(n, VELD_URING_RING_MIN), b->count);
}

void veld_uring_buffers_fill(struct veld_uring_buffers *b)
{
    unsigned n = wanted(b), added = 0;
    for (; b->in_ring + added < n && b->n_spare > 0; added++) {
        uint16_t i = b->spare[--b->n_spare];
        io_uring_buf_ring_add(b->ring, veld_uring_buffer(b, i), b->size, i,
                              io_uring_buf_ring_mask(b->count), (int)added);
    }
    if (added)
        io_uring_buf_ring_advance(b->ring, (int)added); /* a release store of the ring's tail */
    b->in_ring = (uint16_t)(b->in_ring + added);
}

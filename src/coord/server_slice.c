/* One slice a piece of shared bytes, however many watchers it is sent to. */
#include "coord/server_impl.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>

struct held_slice {
    struct slice_pool *pool;
    struct veld_shared_bytes *bytes; /* with one reference */
    struct held_slice *next;
};

void slice_pool_init(struct slice_pool *p)
{
    *p = (struct slice_pool){.last = NULL};
    pthread_mutex_init(&p->lock, NULL);
}

/* gRPC's last reference is gone. Any thread. */
static void release(void *ctx)
{
    struct held_slice *h = ctx;
    pthread_mutex_lock(&h->pool->lock);
    h->next = h->pool->released;
    h->pool->released = h;
    pthread_mutex_unlock(&h->pool->lock);
}

static void drop_last(struct slice_pool *p)
{
    if (p->last)
        grpc_slice_unref(p->last_slice);
    p->last = NULL;
}

void slice_pool_collect(struct slice_pool *p)
{
    drop_last(p);
    pthread_mutex_lock(&p->lock);
    struct held_slice *h = p->released;
    p->released = NULL;
    pthread_mutex_unlock(&p->lock);
    while (h) {
        struct held_slice *next = h->next;
        p->held -= h->bytes->len;
        veld_shared_unref(h->bytes);
        gpr_free(h);
        h = next;
    }
}

void slice_pool_destroy(struct slice_pool *p)
{
    slice_pool_collect(p); /* the last slice's release comes within */
    slice_pool_collect(p);
    pthread_mutex_destroy(&p->lock);
}

grpc_byte_buffer *slice_pool_buffer(struct slice_pool *p, struct veld_shared_bytes *b)
{
    if (p->last == b) {
        veld_shared_unref(b); /* the slice has one of its own */
        return grpc_raw_byte_buffer_create(&p->last_slice, 1);
    }
    drop_last(p);
    struct held_slice *h = gpr_malloc(sizeof *h); /* never NULL */
    *h = (struct held_slice){.pool = p, .bytes = b};
    p->held += b->len;
    p->last = b;
    p->last_slice = grpc_slice_new_with_user_data(b->bytes, b->len, release, h);
    return grpc_raw_byte_buffer_create(&p->last_slice, 1);
}

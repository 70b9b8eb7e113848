#include "rpc/client_impl.h"

#include <signal.h>
#include <string.h>

static void *run(void *ctx)
{
    struct veld_rpc_client *c = ctx;
    for (;;) {
        grpc_event e = veld_grpc.grpc_completion_queue_next(
            c->queue, veld_grpc.gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        /* What the starting thread did, it did under the lock. */
        pthread_mutex_lock(&c->lock);
        struct veld_rpc_tag tag = *(struct veld_rpc_tag *)e.tag;
        pthread_mutex_unlock(&c->lock);
        tag.done(tag.op);
    }
}

int veld_rpc_thread_start(struct veld_rpc_client *c, struct veld_diag *diag)
{
    int rc = pthread_create(&c->thread, NULL, run, c);
    if (rc != 0)
        return veld_fail(diag, VELD_E_IO, "cannot start the coord client's thread: %s",
                         strerror(rc));
    (void)pthread_setname_np(c->thread, "veld-rpc");
    return 0;
}

void veld_rpc_thread_stop(struct veld_rpc_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    for (struct veld_rpc_op *op = c->ops; op; op = op->next)
        veld_grpc.grpc_call_cancel(op->call, NULL);
    while (c->n_ops > 0)
        pthread_cond_wait(&c->idle, &c->lock);
    pthread_mutex_unlock(&c->lock);
    veld_grpc.grpc_completion_queue_shutdown(c->queue);
    pthread_join(c->thread, NULL);
}

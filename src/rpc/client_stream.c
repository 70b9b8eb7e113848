/* One request, and messages until the server or the caller ends it. */
#include "rpc/client_impl.h"

#include <stdlib.h>
#include <string.h>

struct stream {
    struct veld_rpc_op op; /* first: freed as one */
    veld_rpc_message_fn *message;
    struct veld_rpc_tag next; /* of the batch that receives one message */
    unsigned batches;         /* under way; at 0 it is over */
};

static void on_batch_over(struct stream *s)
{
    if (--s->batches == 0)
        veld_rpc_op_end(&s->op);
}

static int ask_next(struct stream *s)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &s->op.received;
    return veld_rpc_op_batch(&s->op, &op, 1, &s->next);
}

static void on_status(struct veld_rpc_op *op)
{
    on_batch_over((struct stream *)op);
}

static void on_message(struct veld_rpc_op *op)
{
    struct stream *s = (struct stream *)op;
    grpc_slice whole;
    int rc = veld_rpc_op_take(op, &whole);
    if (rc == 0) {
        s->message(op->ctx, GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole));
        veld_grpc.grpc_slice_unref(whole);
        rc = ask_next(s);
    }
    if (rc == 0)
        return;
    if (rc != VELD_E_NOENT) { /* not the end, but no message either */
        op->broken = true;
        veld_grpc.grpc_call_cancel(op->call, NULL);
    }
    on_batch_over(s);
}

static int begin(struct veld_rpc_op *op)
{
    struct stream *s = (struct stream *)op;
    grpc_op ops[VELD_RPC_SENDS + 2];
    memset(ops, 0, sizeof ops);
    veld_rpc_op_sends(op, ops);
    grpc_op *r = ops + VELD_RPC_SENDS;
    r[0].op = GRPC_OP_RECV_INITIAL_METADATA;
    r[0].data.recv_initial_metadata.recv_initial_metadata = &op->initial;
    r[1].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    r[1].data.recv_status_on_client.trailing_metadata = &op->trailing;
    r[1].data.recv_status_on_client.status = &op->status;
    r[1].data.recv_status_on_client.status_details = &op->details;
    op->whole.done = on_status;
    s->next.done = on_message;
    int rc = veld_rpc_op_batch(op, ops, VELD_RPC_SENDS + 2, &op->whole);
    if (rc < 0)
        return rc;
    s->batches = 1;
    if (ask_next(s) == 0)
        s->batches = 2;
    return 0;
}

int veld_rpc_stream(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                    const char *method, const void *body, size_t len,
                    veld_rpc_message_fn *message, veld_rpc_done_fn *done, void *ctx,
                    uint64_t *stream)
{
    const struct veld_rpc_plan plan = {
        .key = key, .method = method, .body = body, .len = len, .begin = begin};
    struct stream *s = calloc(1, sizeof *s);
    if (!s)
        return VELD_E_NOMEM;
    s->op.done = done;
    s->op.ctx = ctx;
    s->message = message;
    return veld_rpc_op_start(c, &s->op, &plan, stream);
}

void veld_rpc_stream_cancel(struct veld_rpc_client *c, uint64_t stream)
{
    pthread_mutex_lock(&c->lock);
    for (struct veld_rpc_op *op = c->ops; op; op = op->next)
        if (op->id == stream)
            veld_grpc.grpc_call_cancel(op->call, NULL);
    pthread_mutex_unlock(&c->lock);
}

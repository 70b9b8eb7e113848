/* One request, one reply. */
#include "rpc/client_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- Asked, and told later ---- */

static void on_whole(struct veld_rpc_op *op)
{
    op->broken = op->status == GRPC_STATUS_OK && !op->received;
    veld_rpc_op_end(op);
}

static int begin(struct veld_rpc_op *op)
{
    grpc_op ops[VELD_RPC_SENDS + 3];
    memset(ops, 0, sizeof ops);
    veld_rpc_op_sends(op, ops);
    grpc_op *r = ops + VELD_RPC_SENDS;
    r[0].op = GRPC_OP_RECV_INITIAL_METADATA;
    r[0].data.recv_initial_metadata.recv_initial_metadata = &op->initial;
    r[1].op = GRPC_OP_RECV_MESSAGE;
    r[1].data.recv_message.recv_message = &op->received;
    r[2].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    r[2].data.recv_status_on_client.trailing_metadata = &op->trailing;
    r[2].data.recv_status_on_client.status = &op->status;
    r[2].data.recv_status_on_client.status_details = &op->details;
    op->whole.done = on_whole;
    return veld_rpc_op_batch(op, ops, VELD_RPC_SENDS + 3, &op->whole);
}

int veld_rpc_call(struct veld_rpc_client *c, const struct veld_rpc_key *key, const char *method,
                  const void *body, size_t len, int timeout_ms, veld_rpc_done_fn *done,
                  void *ctx)
{
    const struct veld_rpc_plan plan = {.key = key,
                                       .method = method,
                                       .body = body,
                                       .len = len,
                                       .timeout_ms = timeout_ms,
                                       .begin = begin};
    if (timeout_ms <= 0)
        return VELD_E_INVAL;
    struct veld_rpc_op *op = calloc(1, sizeof *op);
    if (!op)
        return VELD_E_NOMEM;
    op->done = done;
    op->ctx = ctx;
    return veld_rpc_op_start(c, op, &plan, NULL);
}

/* ---- Asked, and waited for ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool over;
    int status, err;
    struct veld_blob reply;
    struct veld_diag diag;
};

static void on_done(void *ctx, const struct veld_rpc_result *r)
{
    struct waiter *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->status = r->status;
    w->err = r->err;
    if (r->err < 0)
        (void)veld_fail(&w->diag, r->err, "%s", r->text);
    else if (veld_blob_set(&w->reply, r->reply, r->len) < 0)
        w->err = veld_fail(&w->diag, VELD_E_NOMEM, "out of memory for a reply");
    w->over = true;
    pthread_cond_signal(&w->told);
    pthread_mutex_unlock(&w->lock);
}

static int wait_once(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                     const char *method, const void *body, size_t len, int timeout_ms,
                     struct waiter *w)
{
    *w = (struct waiter){.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    int rc = veld_rpc_call(c, key, method, body, len, timeout_ms, on_done, w);
    if (rc < 0)
        return veld_fail(&w->diag, rc, "cannot call %s at %s: %s", method, c->address,
                         veld_strerror(rc));
    pthread_mutex_lock(&w->lock);
    while (!w->over)
        pthread_cond_wait(&w->told, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return w->err;
}

int veld_rpc_call_wait(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                       const char *method, const void *body, size_t len, int timeout_ms,
                       struct veld_blob *reply, struct veld_diag *diag)
{
    struct waiter w;
    veld_blob_clear(reply);
    if (pthread_equal(pthread_self(), c->thread))
        return veld_fail(diag, VELD_E_STATE,
                         "the coord client's thread cannot wait for itself");
    int rc = wait_once(c, key, method, body, len, timeout_ms, &w);
    /* The server's certificate was renewed since login: sign for the new one, once. */
    if (rc == VELD_E_IO && w.status == GRPC_STATUS_UNAUTHENTICATED)
        rc = wait_once(c, key, method, body, len, timeout_ms, &w);
    if (rc < 0)
        return veld_fail(diag, rc, "%s", w.diag.text);
    *reply = w.reply;
    return 0;
}

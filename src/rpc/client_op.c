#include "rpc/client_impl.h"

#include "base/clock.h"
#include "crypto/primitives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE    "/veld.coord.v1.Coord/"
#define METHOD_MAX 96

/* ---- Start ---- */

static void sign(struct veld_rpc_op *op, const struct veld_rpc_plan *plan, const char *method)
{
    struct veld_rpc_auth auth = {.time_ns = veld_clock_now().wall_ns};
    uint8_t encoded[VELD_RPC_AUTH_MAX];
    memcpy(auth.key, plan->key->pub, sizeof auth.key);
    veld_random(auth.nonce, sizeof auth.nonce);
    veld_rpc_pin_certificate(op->client->pin, op->certificate);
    size_t len = veld_rpc_sign(encoded, plan->key->seed, &auth, method, op->certificate,
                               plan->body, plan->len);
    op->auth.key = veld_grpc.grpc_slice_from_copied_string("veld-auth-bin");
    op->auth.value = veld_grpc.grpc_slice_from_copied_buffer((const char *)encoded, len);
    op->is_signed = true;
}

static void set_body(struct veld_rpc_op *op, const struct veld_rpc_plan *plan)
{
    grpc_slice body = veld_grpc.grpc_slice_from_copied_buffer(plan->body, plan->len);
    op->body = veld_grpc.grpc_raw_byte_buffer_create(&body, 1);
    veld_grpc.grpc_slice_unref(body);
}

static gpr_timespec deadline(int timeout_ms)
{
    if (timeout_ms == 0)
        return veld_grpc.gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return veld_grpc.gpr_time_add(veld_grpc.gpr_now(GPR_CLOCK_MONOTONIC),
                                  veld_grpc.gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

/* After a failure gRPC waits before it tries again; somebody wants to call now. */
static void hurry(struct veld_rpc_client *c)
{
    if (veld_grpc.grpc_channel_check_connectivity_state(c->channel, 0) ==
        GRPC_CHANNEL_TRANSIENT_FAILURE)
        veld_grpc.grpc_channel_reset_connect_backoff(c->channel);
}

static void make_call(struct veld_rpc_op *op, const char *method, int timeout_ms)
{
    grpc_slice name = veld_grpc.grpc_slice_from_copied_string(method);
    op->call =
        veld_grpc.grpc_channel_create_call(op->client->channel, NULL, 0, op->client->queue,
                                           name, NULL, deadline(timeout_ms), NULL);
    veld_grpc.grpc_slice_unref(name);
}

static void release(struct veld_rpc_op *op)
{
    if (op->call)
        veld_grpc.grpc_call_unref(op->call);
    if (op->is_signed) {
        veld_grpc.grpc_slice_unref(op->auth.key);
        veld_grpc.grpc_slice_unref(op->auth.value);
    }
    veld_grpc.grpc_byte_buffer_destroy(op->body);
    veld_grpc.grpc_byte_buffer_destroy(op->received);
    veld_grpc.grpc_slice_unref(op->details);
    veld_grpc.grpc_metadata_array_destroy(&op->initial);
    veld_grpc.grpc_metadata_array_destroy(&op->trailing);
    free(op);
}

static void link_op(struct veld_rpc_client *c, struct veld_rpc_op *op)
{
    op->id = c->next_id++;
    op->next = c->ops;
    if (c->ops)
        c->ops->prev = op;
    c->ops = op;
    c->n_ops++;
}

static void unlink_op(struct veld_rpc_client *c, struct veld_rpc_op *op)
{
    if (op->prev)
        op->prev->next = op->next;
    else
        c->ops = op->next;
    if (op->next)
        op->next->prev = op->prev;
}

/* Under the lock. */
static int begin(struct veld_rpc_client *c, struct veld_rpc_op *op,
                 int (*begin_batches)(struct veld_rpc_op *op), uint64_t *id)
{
    if (c->closing)
        return VELD_E_STATE;
    if (c->n_ops >= VELD_RPC_OPS_MAX)
        return VELD_E_FULL;
    int rc = begin_batches(op);
    if (rc < 0)
        return rc;
    link_op(c, op);
    if (id)
        *id = op->id;
    return 0;
}

int veld_rpc_op_start(struct veld_rpc_client *c, struct veld_rpc_op *op,
                      const struct veld_rpc_plan *plan, uint64_t *id)
{
    char method[METHOD_MAX];
    int n = snprintf(method, sizeof method, SERVICE "%s", plan->method);
    op->client = c;
    veld_grpc.grpc_metadata_array_init(&op->initial);
    veld_grpc.grpc_metadata_array_init(&op->trailing);
    op->details = veld_grpc.grpc_slice_from_copied_string("");
    int rc = VELD_E_INVAL;
    if (n > 0 && n < (int)sizeof method && plan->len <= VELD_RPC_MESSAGE_MAX) {
        if (plan->key)
            sign(op, plan, method);
        set_body(op, plan);
        hurry(c);
        make_call(op, method, plan->timeout_ms);
        pthread_mutex_lock(&c->lock);
        rc = begin(c, op, plan->begin, id);
        pthread_mutex_unlock(&c->lock);
    }
    if (rc < 0)
        release(op);
    return rc;
}

void veld_rpc_op_sends(struct veld_rpc_op *op, grpc_op ops[VELD_RPC_SENDS])
{
    memset(ops, 0, VELD_RPC_SENDS * sizeof ops[0]);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = op->is_signed;
    ops[0].data.send_initial_metadata.metadata = &op->auth;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = op->body;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
}

int veld_rpc_op_batch(struct veld_rpc_op *op, const grpc_op *ops, size_t n,
                      struct veld_rpc_tag *tag)
{
    tag->op = op;
    return veld_grpc.grpc_call_start_batch(op->call, ops, n, tag, NULL) == GRPC_CALL_OK
               ? 0
               : VELD_E_INVAL;
}

/* ---- End ---- */

int veld_rpc_op_take(struct veld_rpc_op *op, grpc_slice *whole)
{
    grpc_byte_buffer_reader reader;
    if (!op->received)
        return VELD_E_NOENT;
    int rc = VELD_E_FORMAT;
    if (veld_grpc.grpc_byte_buffer_reader_init(&reader, op->received)) {
        *whole = veld_grpc.grpc_byte_buffer_reader_readall(&reader);
        veld_grpc.grpc_byte_buffer_reader_destroy(&reader);
        rc = 0;
    }
    veld_grpc.grpc_byte_buffer_destroy(op->received);
    op->received = NULL;
    return rc;
}

void veld_rpc_op_end(struct veld_rpc_op *op)
{
    struct veld_rpc_client *c = op->client;
    struct veld_rpc_result r = {.reply = NULL};
    struct veld_diag diag = {.text = ""};
    grpc_slice whole = {.refcount = NULL};
    bool is_reply = op->received && op->status == GRPC_STATUS_OK;
    op->broken |= is_reply && veld_rpc_op_take(op, &whole) < 0;
    veld_rpc_status(op, &r, &diag);
    if (is_reply && r.err == 0) {
        r.reply = GRPC_SLICE_START_PTR(whole);
        r.len = GRPC_SLICE_LENGTH(whole);
    }
    op->done(op->ctx, &r);
    veld_grpc.grpc_slice_unref(whole);

    pthread_mutex_lock(&c->lock);
    unlink_op(c, op);
    pthread_mutex_unlock(&c->lock);
    release(op);
    pthread_mutex_lock(&c->lock);
    if (--c->n_ops == 0)
        pthread_cond_signal(&c->idle);
    pthread_mutex_unlock(&c->lock);
}

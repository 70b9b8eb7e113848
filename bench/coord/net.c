#include "coord/net.h"

#include "base/clock.h"
#include "crypto/primitives.h"
#include "rpc/client.h"
#include "trust/rpc_auth.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_TIMEOUT_S 120

struct net {
    char address[VELD_COORD_TEXT_MAX];
    uint8_t certificate[32];
    char *pem;
    grpc_completion_queue *queue;
};

struct connection {
    struct net *net;
    grpc_channel *channel;
};

/* A batch under way: what came of it goes to `handle`. */
struct step {
    void (*handle)(struct step *s, bool ok);
    struct op *op;
};

struct op {
    grpc_call *call;
    struct step began, received, ended;
    net_done_fn *done;
    net_event_fn *event; /* NULL: a single reply */
    void *ctx;
    grpc_byte_buffer *body, *message;
    grpc_metadata auth;
    bool is_signed;
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice text;
    unsigned open; /* batches */
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench-coord: %s\n", what);
    exit(1);
}

struct net *net_open(const char *address)
{
    struct veld_diag diag;
    struct net *n = calloc(1, sizeof *n);
    must(n != NULL, "out of memory");
    snprintf(n->address, sizeof n->address, "%s", address);
    int rc = veld_rpc_probe(address, NULL, 5000, n->certificate, &n->pem, &diag);
    must(rc == 0, diag.text);
    grpc_init();
    n->queue = grpc_completion_queue_create_for_next(NULL);
    return n;
}

void net_close(struct net *n)
{
    grpc_completion_queue_shutdown(n->queue);
    while (net_turn(n, 1000))
        ;
    grpc_completion_queue_destroy(n->queue);
    grpc_shutdown_blocking();
    free(n->pem);
    free(n);
}

struct connection *net_connect(struct net *n)
{
    static const char name[] = "veld-coord"; /* of the certificate that a server makes itself */
    grpc_arg args[] = {
        {.type = GRPC_ARG_STRING,
         .key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG,
         .value.string = (char *)(uintptr_t)name},
        /* A connection of its own. */
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
         .value.integer = 1},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
         .value.integer = 1000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
         .value.integer = 10000},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_ENABLE_CHANNELZ,
         .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)(uintptr_t)GRPC_ARG_ENABLE_RETRIES,
         .value.integer = 0},
    };
    const grpc_channel_args all = {.num_args = sizeof args / sizeof args[0], .args = args};
    struct connection *c = calloc(1, sizeof *c);
    must(c != NULL, "out of memory");
    c->net = n;
    grpc_channel_credentials *credentials =
        grpc_ssl_credentials_create(n->pem, NULL, NULL, NULL);
    c->channel = grpc_channel_create(n->address, credentials, &all);
    grpc_channel_credentials_release(credentials);
    return c;
}

void net_disconnect(struct connection *c)
{
    grpc_channel_destroy(c->channel);
    free(c);
}

/* ---- Calls ---- */

static void op_free(struct op *op)
{
    grpc_metadata_array_destroy(&op->initial);
    grpc_metadata_array_destroy(&op->trailing);
    grpc_byte_buffer_destroy(op->body);
    if (op->is_signed) {
        grpc_slice_unref(op->auth.key);
        grpc_slice_unref(op->auth.value);
    }
    grpc_slice_unref(op->text);
    grpc_call_unref(op->call);
    free(op);
}

/* The message that came, in one piece; the caller unrefs. */
static bool take_message(struct op *op, grpc_slice *out)
{
    grpc_byte_buffer_reader reader;
    if (!op->message)
        return false;
    must(grpc_byte_buffer_reader_init(&reader, op->message), "a message cannot be read");
    *out = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(op->message);
    op->message = NULL;
    return true;
}

/* The last batch of a call: tell how it ended. */
static void leave(struct op *op)
{
    grpc_slice reply;
    if (--op->open > 0)
        return;
    bool has = take_message(op, &reply);
    char *text = grpc_slice_to_c_string(op->text);
    op->done(op->ctx, op->code, text, has ? GRPC_SLICE_START_PTR(reply) : NULL,
             has ? GRPC_SLICE_LENGTH(reply) : 0);
    gpr_free(text);
    if (has)
        grpc_slice_unref(reply);
    op_free(op);
}

static void on_began(struct step *s, bool ok)
{
    leave(s->op);
}

static void on_ended(struct step *s, bool ok)
{
    leave(s->op);
}

static void receive(struct op *op)
{
    grpc_op r = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &op->message};
    op->open++;
    must(grpc_call_start_batch(op->call, &r, 1, &op->received, NULL) == GRPC_CALL_OK,
         "a batch cannot be started");
}

static void on_received(struct step *s, bool ok)
{
    struct op *op = s->op;
    grpc_slice event;
    if (op->event && take_message(op, &event)) {
        receive(op); /* the next one may come while this one is looked at */
        op->event(op->ctx, GRPC_SLICE_START_PTR(event), GRPC_SLICE_LENGTH(event));
        grpc_slice_unref(event);
    }
    leave(op);
}

static void sign(struct op *op, const struct net *n, const struct bench_member *who,
                 const char *method, const void *body, size_t len)
{
    struct veld_rpc_auth auth = {.time_ns = veld_clock_now().wall_ns};
    uint8_t encoded[VELD_RPC_AUTH_MAX];
    memcpy(auth.key, who->pub, sizeof auth.key);
    veld_random(auth.nonce, sizeof auth.nonce);
    size_t size = veld_rpc_sign(encoded, who->seed, &auth, method, n->certificate, body, len);
    op->auth.key = grpc_slice_from_static_string("veld-auth-bin");
    op->auth.value = grpc_slice_from_copied_buffer((const char *)encoded, size);
    op->is_signed = true;
}

static struct op *begin(struct connection *c, const struct bench_member *who, const char *name,
                        const void *body, size_t len)
{
    char method[96];
    struct op *op = calloc(1, sizeof *op);
    must(op != NULL, "out of memory");
    snprintf(method, sizeof method, "/veld.coord.v1.Coord/%s", name);
    if (who)
        sign(op, c->net, who, method, body, len);
    grpc_slice bytes = grpc_slice_from_copied_buffer(body, len);
    op->body = grpc_raw_byte_buffer_create(&bytes, 1);
    grpc_slice_unref(bytes);
    grpc_metadata_array_init(&op->initial);
    grpc_metadata_array_init(&op->trailing);
    op->began = (struct step){on_began, op};
    op->received = (struct step){on_received, op};
    op->ended = (struct step){on_ended, op};
    op->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                        c->net->queue, grpc_slice_from_copied_string(method),
                                        NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    return op;
}

static void start(struct op *op)
{
    const grpc_op sends[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                  GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET,
         .data.send_initial_metadata = {.count = op->is_signed, .metadata = &op->auth}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = op->body},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &op->initial},
    };
    const grpc_op end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                         .data.recv_status_on_client = {.trailing_metadata = &op->trailing,
                                                        .status = &op->code,
                                                        .status_details = &op->text}};
    op->open = 2;
    must(grpc_call_start_batch(op->call, sends, 4, &op->began, NULL) == GRPC_CALL_OK &&
             grpc_call_start_batch(op->call, &end, 1, &op->ended, NULL) == GRPC_CALL_OK,
         "a batch cannot be started");
    receive(op);
}

void net_call(struct connection *c, const struct bench_member *who, const char *method,
              const void *body, size_t len, net_done_fn *done, void *ctx)
{
    struct op *op = begin(c, who, method, body, len);
    op->done = done;
    op->ctx = ctx;
    start(op);
}

void net_watch(struct connection *c, const struct bench_member *who, const void *body,
               size_t len, net_event_fn *event, net_done_fn *done, void *ctx)
{
    struct op *op = begin(c, who, "Watch", body, len);
    op->done = done;
    op->event = event;
    op->ctx = ctx;
    start(op);
}

bool net_turn(struct net *n, int timeout_ms)
{
    gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                      gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    grpc_event ev = grpc_completion_queue_next(n->queue, until, NULL);
    if (ev.type != GRPC_OP_COMPLETE)
        return false;
    struct step *s = ev.tag;
    s->handle(s, ev.success);
    return true;
}

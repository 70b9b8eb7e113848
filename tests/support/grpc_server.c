#include "grpc_server.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct call;
struct tag {
    struct call *call;
    void (*done)(struct call *c, bool ok);
};

struct call {
    struct grpc_test_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *body;
    struct grpc_test_answer answer;
    int cancelled;
    unsigned under_way;   /* batches */
    bool ended;           /* the status is sent, or not to be */
    grpc_metadata packed; /* "compress by this" */
    struct tag come, read, sent, closed;
};

struct grpc_test_server {
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
    int port;
    grpc_test_answer_fn *answer;
    void *ctx;
    atomic_bool stopping;
    atomic_uint open_calls;
    unsigned calls; /* also those to come; of the server's thread, once that runs */
};

static void ask_for_next(struct grpc_test_server *s);

static void require(bool is, const char *what)
{
    if (!is) {
        fprintf(stderr, "the test's server: %s failed\n", what);
        abort();
    }
}

static void free_call(struct call *c)
{
    if (c->call) {
        grpc_call_unref(c->call);
        atomic_fetch_sub(&c->server->open_calls, 1);
    }
    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_destroy(&c->metadata);
    grpc_byte_buffer_destroy(c->body);
    veld_blob_clear(&c->answer.message);
    c->server->calls--;
    free(c);
}

static void batch(struct call *c, const grpc_op *ops, size_t n, struct tag *tag)
{
    c->under_way++;
    require(grpc_call_start_batch(c->call, ops, n, tag, NULL) == GRPC_CALL_OK, "a batch");
}

static void over(struct call *c)
{
    if (--c->under_way == 0)
        free_call(c);
}

/* ---- Answer ---- */

static grpc_byte_buffer *message_of(struct call *c)
{
    grpc_slice s =
        grpc_slice_from_copied_buffer((const char *)c->answer.message.p, c->answer.message.len);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);
    return b;
}

/* The next message, or the status. */
static void send_next(struct call *c, bool first)
{
    grpc_op ops[2];
    size_t n = 0;
    grpc_byte_buffer *message = NULL;
    grpc_slice text = grpc_slice_from_copied_string(c->answer.text);
    memset(ops, 0, sizeof ops);
    if (first) {
        ops[n].data.send_initial_metadata.count = c->answer.compress;
        ops[n].data.send_initial_metadata.metadata = &c->packed;
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    if (c->answer.times > 0) {
        c->answer.times -= c->answer.times != UINT_MAX;
        message = message_of(c);
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = message;
    } else if (!c->answer.hang) {
        c->ended = true;
        ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[n].data.send_status_from_server.status = c->answer.code;
        ops[n++].data.send_status_from_server.status_details = &text;
    }
    if (n > 0)
        batch(c, ops, n, &c->sent);
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(text);
}

static void on_sent(struct call *c, bool ok)
{
    if (ok && !c->ended && !(c->answer.times == 0 && c->answer.hang))
        send_next(c, false);
    over(c);
}

static void on_closed(struct call *c, bool ok)
{
    over(c);
}

static void on_read(struct call *c, bool ok)
{
    grpc_byte_buffer_reader reader;
    char method[128] = "";
    grpc_slice name = c->details.method, body = grpc_empty_slice();
    if (c->body && grpc_byte_buffer_reader_init(&reader, c->body)) {
        body = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    snprintf(method, sizeof method, "%.*s", (int)GRPC_SLICE_LENGTH(name),
             (const char *)GRPC_SLICE_START_PTR(name));
    struct grpc_test_call call = {
        .method = method, .body = GRPC_SLICE_START_PTR(body), .len = GRPC_SLICE_LENGTH(body)};
    for (size_t i = 0; i < c->metadata.count; i++)
        if (grpc_slice_str_cmp(c->metadata.metadata[i].key, "veld-auth-bin") == 0) {
            call.auth = GRPC_SLICE_START_PTR(c->metadata.metadata[i].value);
            call.auth_len = GRPC_SLICE_LENGTH(c->metadata.metadata[i].value);
        }
    c->server->answer(c->server->ctx, &call, &c->answer);
    grpc_slice_unref(body);
    send_next(c, true);
    over(c);
}

/* ---- Calls come ---- */

static void on_come(struct call *c, bool ok)
{
    if (!ok) {
        free_call(c);
        return;
    }
    atomic_fetch_add(&c->server->open_calls, 1);
    ask_for_next(c->server);
    grpc_op read = {.op = GRPC_OP_RECV_MESSAGE}, closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    read.data.recv_message.recv_message = &c->body;
    closed.data.recv_close_on_server.cancelled = &c->cancelled;
    batch(c, &read, 1, &c->read);
    batch(c, &closed, 1, &c->closed);
}

static void ask_for_next(struct grpc_test_server *s)
{
    if (atomic_load(&s->stopping))
        return;
    struct call *c = calloc(1, sizeof *c);
    c->server = s;
    s->calls++;
    c->come = (struct tag){c, on_come};
    c->read = (struct tag){c, on_read};
    c->sent = (struct tag){c, on_sent};
    c->closed = (struct tag){c, on_closed};
    c->packed.key = grpc_slice_from_static_string("grpc-internal-encoding-request");
    c->packed.value = grpc_slice_from_static_string("gzip");
    grpc_call_details_init(&c->details);
    grpc_metadata_array_init(&c->metadata);
    if (grpc_server_request_call(s->server, &c->call, &c->details, &c->metadata, s->queue,
                                 s->queue, &c->come) != GRPC_CALL_OK)
        free_call(c);
}

static void *run(void *ctx)
{
    struct grpc_test_server *s = ctx;
    bool down = false, shut = false;
    for (;;) {
        grpc_event e =
            grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        struct tag *t = e.tag;
        if (e.tag == s)
            down = true;
        else
            t->done(t->call, e.success);
        /* A batch that is started on a queue which was shut down ends the process. */
        if (down && s->calls == 0 && !shut) {
            shut = true;
            grpc_completion_queue_shutdown(s->queue);
        }
    }
}

struct grpc_test_server *grpc_test_server_start(const struct test_certificate *certificate,
                                                int port, grpc_test_answer_fn *answer,
                                                void *ctx)
{
    struct grpc_test_server *s = calloc(1, sizeof *s);
    grpc_ssl_pem_key_cert_pair pair = {certificate->key, certificate->pem};
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ALLOW_REUSEPORT, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
         .value.integer = 1 << 22}};
    const grpc_channel_args all = {2, args};
    char address[32];
    s->answer = answer;
    s->ctx = ctx;
    setenv("GRPC_DNS_RESOLVER", "native", 0); /* as the client, which comes second here */
    grpc_init();
    grpc_server_credentials *tls = grpc_ssl_server_credentials_create_ex(
        NULL, &pair, 1, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL);
    s->server = grpc_server_create(&all, NULL);
    s->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    s->port = grpc_server_add_http2_port(s->server, address, tls);
    grpc_server_credentials_release(tls);
    grpc_server_start(s->server);
    ask_for_next(s);
    require(pthread_create(&s->thread, NULL, run, s) == 0, "a thread");
    if (s->port > 0)
        return s;
    grpc_test_server_stop(s, false);
    return NULL;
}

void grpc_test_server_stop(struct grpc_test_server *s, bool is_last)
{
    atomic_store(&s->stopping, true);
    grpc_server_shutdown_and_notify(s->server, s->queue, s);
    grpc_server_cancel_all_calls(s->server);
    pthread_join(s->thread, NULL);
    grpc_server_destroy(s->server);
    grpc_completion_queue_destroy(s->queue);
    grpc_shutdown_blocking();
    free(s);
    /* Nothing of gRPC outlives the test. */
    for (int ms = 0; is_last && grpc_is_initialized() && ms < 5000; ms++)
        usleep(1000);
}

int grpc_test_server_port(const struct grpc_test_server *s)
{
    return s->port;
}

unsigned grpc_test_server_open_calls(struct grpc_test_server *s)
{
    return atomic_load(&s->open_calls);
}

/* ---- What it answers by itself ---- */

static void say(struct grpc_test_answer *a, unsigned times, const void *p, size_t len)
{
    a->times = times;
    require(veld_blob_set(&a->message, p, len) == 0, "memory");
}

static void big(struct grpc_test_answer *a, const struct grpc_test_call *call)
{
    uint32_t size = 0;
    memcpy(&size, call->body, sizeof size);
    uint8_t *p = calloc(1, size);
    say(a, 1, p, size);
    free(p);
}

static void fail(struct grpc_test_answer *a, const struct grpc_test_call *call)
{
    a->code = (grpc_status_code)call->body[0];
    snprintf(a->text, sizeof a->text, "%.*s", (int)call->len - 1, (const char *)call->body + 1);
}

void grpc_test_answer(void *ctx, const struct grpc_test_call *call, struct grpc_test_answer *a)
{
    static const char zeros[65536];
    const char *name = strrchr(call->method, '/') + 1;
    if (strcmp(name, "Echo") == 0)
        say(a, 1, call->body, call->len);
    else if (strcmp(name, "Auth") == 0)
        say(a, 1, call->auth, call->auth_len);
    else if (strcmp(name, "Empty") == 0)
        say(a, 1, "", 0);
    else if (strcmp(name, "Big") == 0)
        big(a, call);
    else if (strcmp(name, "Fail") == 0)
        fail(a, call);
    else if (strcmp(name, "Three") == 0)
        say(a, 3, call->body, call->len);
    else if (strcmp(name, "Endless") == 0)
        say(a, UINT_MAX, "again", 5);
    else if (strcmp(name, "Slow") == 0)
        a->hang = true;
    else if (strcmp(name, "Packed") == 0) {
        say(a, 1, zeros, sizeof zeros);
        a->compress = true;
    } else if (strcmp(name, "Broken") == 0) {
        say(a, 2, call->body, call->len);
        a->code = GRPC_STATUS_ABORTED;
        strcpy(a->text, "no more");
    } else if (strcmp(name, "Nothing") != 0)
        a->code = GRPC_STATUS_UNIMPLEMENTED;
}

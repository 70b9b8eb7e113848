/* A call from its arrival to its answer; watches leave this way at server_watch.c. */
#include "coord/server_impl.h"

#include "base/bytes.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>

void server_call_set_stage(struct server_call *c, enum call_stage stage, uint64_t now_ns)
{
    struct veld_server *s = c->server;
    bool counted = c->stage != CALL_ASKED && c->stage != CALL_WATCHING;
    bool counts = stage != CALL_ASKED && stage != CALL_WATCHING;
    TAILQ_REMOVE(&s->calls[c->stage], c, entry);
    TAILQ_INSERT_TAIL(&s->calls[stage], c, entry);
    s->n_calls = s->n_calls - counted + counts;
    c->stage = stage;
    c->since_ns = now_ns;
}

void server_call_forget_request(struct server_call *c)
{
    if (c->message)
        grpc_byte_buffer_destroy(c->message);
    c->message = NULL;
    grpc_metadata_array_destroy(&c->metadata);
    grpc_call_details_destroy(&c->details);
    grpc_metadata_array_init(&c->metadata);
    grpc_call_details_init(&c->details);
}

void server_call_free(struct server_call *c)
{
    struct veld_server *s = c->server;
    TAILQ_REMOVE(&s->calls[c->stage], c, entry);
    if (c->stage != CALL_ASKED && c->stage != CALL_WATCHING)
        s->n_calls--;
    veld_gate_call_end(s->gate, c->gate, c->wasted ? VELD_GATE_WASTED : VELD_GATE_ANSWERED);
    veld_blob_clear(&c->reply);
    server_call_forget_request(c);
    if (c->grpc)
        grpc_call_unref(c->grpc);
    free(c);
}

/* ---- Received ---- */

/* "ipv4:192.0.2.1:5", "ipv6:[2001:db8::1]:5", the brackets perhaps as %5B and %5D. */
static int parse_peer(const char *text, struct veld_endpoint *out)
{
    char plain[VELD_ENDPOINT_STRLEN + 8];
    size_t n = 0;
    const char *p = strchr(text, ':');
    if (!p || strncmp(text, "ipv", 3) != 0)
        return VELD_E_FORMAT;
    for (p++; *p && n < sizeof plain - 1; p++) {
        if (p[0] == '%' && p[1] == '5' && (p[2] == 'B' || p[2] == 'D')) {
            plain[n++] = p[2] == 'B' ? '[' : ']';
            p += 2;
        } else {
            plain[n++] = *p;
        }
    }
    plain[n] = '\0';
    return *p ? VELD_E_FORMAT : veld_endpoint_parse(plain, out);
}

static void learn_peer(struct server_call *c, struct veld_endpoint *peer)
{
    char *text = grpc_call_get_peer(c->grpc);
    if (!text || parse_peer(text, peer) < 0)
        *peer = (struct veld_endpoint){.port = 0};
    gpr_free(text);
    c->from = peer->ip;
}

static void on_received(void *ctx, bool ok)
{
    struct server_call *c = ctx;
    struct veld_now now = veld_clock_now();
    c->wasted = !ok || !c->message;
    server_request_handle(c, &now);
}

static void receive(struct server_call *c, uint64_t now_ns)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->message};
    server_call_set_stage(c, CALL_RECEIVING, now_ns);
    if (grpc_call_start_batch(c->grpc, &op, 1, &c->received, NULL) != GRPC_CALL_OK)
        server_call_fail(c, VELD_CODE_INTERNAL, "the request cannot be received");
}

/* gRPC has filled it, or is at its end. */
static void on_asked(void *ctx, bool ok)
{
    struct server_call *c = ctx;
    struct veld_server *s = c->server;
    struct veld_endpoint peer;
    if (!ok) {
        server_call_free(c);
        return;
    }
    server_call_ask(s);
    s->stats.calls++;
    learn_peer(c, &peer);
    bool may = veld_gate_call_begin(s->gate, &peer, &c->gate);
    if (may && s->n_calls < VELD_COORD_CALLS_MAX) {
        receive(c, veld_clock_mono_ns());
        return;
    }
    s->stats.calls_refused++;
    server_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED,
                     "the server has too many calls at once; try again in a few seconds");
}

/* ---- Answered ---- */

void server_call_decide(struct server_call *c)
{
    server_call_set_stage(c, CALL_DECIDED, veld_clock_mono_ns());
}

void server_status_set(struct veld_coord_status *status, enum veld_coord_code code,
                       const char *text)
{
    status->code = code;
    snprintf(status->text, sizeof status->text, "%s", text);
}

void server_call_fail(struct server_call *c, enum veld_coord_code code, const char *text)
{
    server_status_set(&c->status, code, text);
    server_call_decide(c);
}

static void on_answered(void *ctx, bool ok)
{
    struct server_call *c = ctx;
    c->wasted |= c->cancelled != 0;
    server_call_free(c);
}

static void free_blob(void *p)
{
    free(p);
}

/* The reply's bytes, given away to gRPC. */
static grpc_byte_buffer *take_reply(struct server_call *c)
{
    grpc_slice slice = grpc_empty_slice();
    if (c->reply.len > 0) {
        slice = grpc_slice_new(c->reply.p, c->reply.len, free_blob);
        c->reply = (struct veld_blob){0};
    }
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

void server_call_answer(struct server_call *c, uint64_t now_ns)
{
    bool ok = c->status.code == VELD_CODE_OK;
    grpc_byte_buffer *reply = ok ? take_reply(c) : NULL;
    grpc_slice text = grpc_slice_from_copied_string(ok ? "" : c->status.text);
    grpc_op ops[4] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)c->status.code,
                                          .status_details = ok ? NULL : &text}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &c->cancelled},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = reply},
    };
    server_call_set_stage(c, CALL_ANSWERING, now_ns);
    grpc_call_error e = grpc_call_start_batch(c->grpc, ops, reply ? 4 : 3, &c->answered, NULL);
    grpc_slice_unref(text);
    if (reply)
        grpc_byte_buffer_destroy(reply);
    if (e != GRPC_CALL_OK)
        server_call_free(c); /* dropping the last reference cancels it */
}

/* ---- Asked for, and late ---- */

void server_call_ask(struct veld_server *s)
{
    struct server_call *c;
    if (s->state >= SERVER_SHUTTING || !(c = calloc(1, sizeof *c)))
        return;
    c->server = s;
    c->stage = CALL_ASKED;
    c->asked = (struct server_tag){on_asked, c};
    c->received = (struct server_tag){on_received, c};
    c->answered = (struct server_tag){on_answered, c};
    grpc_metadata_array_init(&c->metadata);
    grpc_call_details_init(&c->details);
    TAILQ_INSERT_TAIL(&s->calls[CALL_ASKED], c, entry);
    if (grpc_server_request_call(s->grpc, &c->grpc, &c->details, &c->metadata, s->queue,
                                 s->queue, &c->asked) != GRPC_CALL_OK)
        server_call_free(c);
}

void server_calls_end_late(struct veld_server *s, uint64_t now_ns)
{
    static const enum call_stage stages[] = {CALL_RECEIVING, CALL_ANSWERING};
    for (size_t i = 0; i < VELD_ARRAY_LEN(stages); i++) {
        struct server_call *c;
        TAILQ_FOREACH(c, &s->calls[stages[i]], entry)
        {
            if (now_ns - c->since_ns < VELD_COORD_RECEIVE_S * VELD_NS_PER_S)
                break;
            if (c->is_late)
                continue;
            /* What it waits for fails, and ends it. */
            c->is_late = true;
            s->stats.calls_late++;
            grpc_call_cancel_with_status(c->grpc, GRPC_STATUS_DEADLINE_EXCEEDED,
                                         "the call took too long", NULL);
        }
    }
}

/* Watches: what the service has to tell, to each stream one message at a time. */
#include "coord/server_impl.h"

#include <grpc/byte_buffer.h>

static void be_ready(struct server_call *c)
{
    if (c->is_ready || c->is_sending || !c->watcher)
        return;
    c->is_ready = true;
    TAILQ_INSERT_TAIL(&c->server->ready, c, ready_entry);
}

/* The service has something for it; while a message is on its way, that one's end asks for it. */
static void on_ready(void *ctx)
{
    be_ready(ctx);
}

static void close_watcher(struct server_call *c)
{
    struct veld_now now = veld_clock_now();
    if (c->is_ready)
        TAILQ_REMOVE(&c->server->ready, c, ready_entry);
    c->is_ready = false;
    if (!c->watcher)
        return;
    veld_watch_close(c->watcher, &now);
    c->watcher = NULL;
    c->server->stats.watches_open--;
}

static void free_if_over(struct server_call *c)
{
    if (c->is_gone && !c->is_sending)
        server_call_free(c);
}

/* The stream is gone: ended by either side, or its connection is. */
static void on_gone(void *ctx, bool ok)
{
    struct server_call *c = ctx;
    c->is_gone = true;
    close_watcher(c);
    free_if_over(c);
}

/* The network has taken the message, or the status that ends the stream. */
static void on_sent(void *ctx, bool ok)
{
    struct server_call *c = ctx;
    c->is_sending = false;
    if (ok)
        be_ready(c);
    free_if_over(c);
}

static void start(struct server_call *c, grpc_op *ops, size_t n)
{
    struct veld_now now = veld_clock_now();
    c->headers_sent = true;
    c->is_sending = true;
    c->since_ns = now.mono_ns;
    if (grpc_call_start_batch(c->grpc, ops, n, &c->answered, NULL) == GRPC_CALL_OK)
        return;
    c->is_sending = false;
    grpc_call_cancel(c->grpc, NULL); /* `gone` comes */
}

static void send_event(struct server_call *c, struct veld_shared_bytes *event)
{
    grpc_byte_buffer *buffer = slice_pool_buffer(&c->server->slices, event);
    grpc_op ops[2] = {
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer},
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
    };
    start(c, ops, c->headers_sent ? 1 : 2);
    grpc_byte_buffer_destroy(buffer);
}

/* With `c->status`. */
static void send_end(struct server_call *c)
{
    close_watcher(c);
    grpc_slice text = grpc_slice_from_copied_string(c->status.text);
    grpc_op ops[2] = {
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)c->status.code,
                                          .status_details = &text}},
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
    };
    start(c, ops, c->headers_sent ? 1 : 2);
    grpc_slice_unref(text);
}

static void send_next(struct server_call *c, const struct veld_now *now)
{
    struct veld_shared_bytes *event = NULL;
    if (veld_watch_next(c->watcher, now, &event, &c->status))
        send_event(c, event);
    else if (c->status.code != VELD_CODE_OK)
        send_end(c);
}

bool server_watches_may_send(const struct veld_server *s)
{
    return !TAILQ_EMPTY(&s->ready) && s->slices.held < HELD_MAX;
}

void server_watches_send(struct veld_server *s, const struct veld_now *now)
{
    for (int i = 0; i < TURN_SENDS_MAX && server_watches_may_send(s); i++) {
        struct server_call *c = TAILQ_FIRST(&s->ready);
        TAILQ_REMOVE(&s->ready, c, ready_entry);
        c->is_ready = false;
        send_next(c, now);
    }
}

void server_watch_begin(struct server_call *c, const struct veld_service_request *r,
                        const struct veld_now *now)
{
    struct veld_server *s = c->server;
    if (s->state != SERVER_SERVING) {
        server_call_fail(c, VELD_CODE_UNAVAILABLE, "the server is stopping; reconnect");
        return;
    }
    c->watcher = veld_service_watch_open(s->service, r, now, on_ready, c, &c->status);
    if (!c->watcher) {
        server_call_decide(c);
        return;
    }
    s->stats.watches_open++;
    server_call_set_stage(c, CALL_WATCHING, 0);
    server_call_forget_request(c);
    c->gone = (struct server_tag){on_gone, c};
    c->answered = (struct server_tag){on_sent, c};
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                  .data.recv_close_on_server.cancelled = &c->cancelled};
    if (grpc_call_start_batch(c->grpc, &op, 1, &c->gone, NULL) != GRPC_CALL_OK) {
        close_watcher(c);
        server_call_free(c);
    }
}

void server_watches_end_late(struct veld_server *s, uint64_t now_ns)
{
    struct server_call *c;
    /* Who does not read takes much memory for a short while only. */
    uint64_t take_s =
        s->slices.held > HELD_MAX / 2 ? VELD_COORD_TAKE_PRESSED_S : VELD_COORD_TAKE_S;
    TAILQ_FOREACH(c, &s->calls[CALL_WATCHING], entry)
    {
        if (!c->is_sending || c->is_late || now_ns - c->since_ns < take_s * VELD_NS_PER_S)
            continue;
        c->is_late = true;
        s->stats.watches_slow++;
        grpc_call_cancel_with_status(c->grpc, GRPC_STATUS_UNAVAILABLE,
                                     "events were not taken in time; watch again", NULL);
    }
}

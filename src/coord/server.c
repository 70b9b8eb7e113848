/* Start, the loop, and end. */
#include "coord/server_impl.h"

#include "base/bytes.h"
#include "coord/log.h"
#include "coord/server_handover.h"
#include "coord/tls_filter.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS      VELD_NS_PER_S          /* between looks at what is late, and the numbers */
#define WAIT_MAX_NS  (200 * VELD_NS_PER_MS) /* in which a stop is noticed */
#define DRAIN_NS     (500 * VELD_NS_PER_MS) /* in which health says what comes */
#define SHUT_NS      ((VELD_COORD_STOP_S - 1) * VELD_NS_PER_S - DRAIN_NS) /* for calls to end */
#define GOODBYE_NS   (100 * VELD_NS_PER_MS) /* for clients to hear that connections end */
#define EMPTY_POLLS  16 /* each looks at one connection: how many may have had no event */
#define BUFFER_BYTES 4096
#define MIN_PING_MS  10000 /* a client may ask so often whether the server lives */

/* Most of what gRPC says, as an error too, is of clients that were never let in. */
static void grpc_said(gpr_log_func_args *args)
{
    VELD_LOG_LIMITED(VELD_LOG_DEBUG, veld_clock_mono_ns(), "grpc: %s", args->message);
}

/* ---- Start ---- */

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static void *keep(void *p)
{
    return p;
}
static void leave(void *p)
{
}
static int compare(void *a, void *b)
{
    return a < b ? -1 : a > b;
}

static grpc_server *create(struct veld_server *s)
{
    static const grpc_arg_pointer_vtable vtable = {keep, leave, compare};
    grpc_arg args[] = {
        {.type = GRPC_ARG_POINTER,
         .key = (char *)(uintptr_t)VELD_HANDOVER_PORT,
         .value.pointer = {.p = &s->handler, .vtable = &vtable}},
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, VELD_COORD_MESSAGE_MAX),
        int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, VELD_COORD_MESSAGE_MAX),
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)s->limits.streams),
        int_arg(GRPC_ARG_MAX_METADATA_SIZE, VELD_COORD_METADATA_MAX),
        int_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, VELD_COORD_HANDSHAKE_S * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, VELD_COORD_KEEPALIVE_S * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, VELD_COORD_DEAD_S * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, MIN_PING_MS),
        int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        /* A small message can unpack to any size: server_request.c refuses what is packed. */
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        /* A connection is idle most of the time: its buffers are small. */
        int_arg(GRPC_ARG_TSI_MAX_FRAME_SIZE, BUFFER_BYTES),
        int_arg(GRPC_ARG_TCP_READ_CHUNK_SIZE, BUFFER_BYTES),
    };
    grpc_channel_args all = {.num_args = VELD_ARRAY_LEN(args), .args = args};
    return grpc_server_create(&all, NULL);
}

static int listen_with(struct veld_server *s, const struct veld_tls *tls,
                       struct veld_diag *diag)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = tls->key_pem,
                                       .cert_chain = tls->cert_pem};
    grpc_server_credentials *credentials = grpc_ssl_server_credentials_create_ex(
        NULL, &pair, 1, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL);
    if (credentials) {
        (void)grpc_server_add_http2_port(s->grpc, VELD_HANDOVER_PORT, credentials);
        grpc_server_credentials_release(credentials);
    }
    if (!credentials || !s->handler)
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "gRPC %s does not take the certificate, or no connections from "
                         "outside; veld-coord needs 1.51",
                         grpc_version_string());
    grpc_server_start(s->grpc);
    return 0;
}

static void take_connection(void *ctx, int fd, const struct veld_endpoint *peer)
{
    struct veld_server *s = ctx;
    veld_tls_filter_peer(peer);
    veld_handover(s->handler, fd);
    veld_tls_filter_peer(NULL);
}

static void on_up(void *ctx, const struct veld_endpoint *peer)
{
    struct veld_server *s = ctx;
    veld_gate_up(s->gate, peer);
}

/* What came on a connection ends it. */
static void on_fault(void *ctx, const struct veld_ip *peer)
{
    struct veld_server *s = ctx;
    veld_gate_blame(s->gate, peer);
}

static void init(struct veld_server *s, const struct veld_server_config *cfg)
{
    *s = (struct veld_server){.service = cfg->service, .limits = cfg->limits};
    for (size_t i = 0; i < CALL_STAGES; i++)
        TAILQ_INIT(&s->calls[i]);
    TAILQ_INIT(&s->ready);
    pthread_mutex_init(&s->stats_lock, NULL);
    slice_pool_init(&s->slices);
    gpr_set_log_function(grpc_said);
    grpc_init();
    s->queue = grpc_completion_queue_create_for_next(NULL);
}

int veld_server_open(struct veld_server **out, const struct veld_server_config *cfg,
                     struct veld_diag *diag)
{
    struct veld_server *s = calloc(1, sizeof *s);
    if (!s)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    const struct veld_tls_filter_ops filter = {.ctx = s, .up = on_up, .fault = on_fault};
    int rc = veld_tls_filter_install(&filter, diag);
    if (rc < 0) {
        free(s);
        return rc;
    }
    init(s, cfg);
    s->grpc = create(s);
    grpc_server_register_completion_queue(s->grpc, s->queue, NULL);
    rc = listen_with(s, cfg->tls, diag);
    if (rc == 0)
        rc = veld_gate_open(&s->gate, cfg->listeners, &s->limits, take_connection, s, diag);
    if (rc < 0) {
        veld_server_close(s);
        return rc;
    }
    for (int i = 0; i < ASKED_CALLS; i++)
        server_call_ask(s);
    *out = s;
    return 0;
}

/* ---- A turn ---- */

/* What the queue has, waiting for the first of it until `deadline`. */
static void take_events(struct veld_server *s, gpr_timespec deadline)
{
    int empty = 0;
    for (int i = 0; i < TURN_EVENTS_MAX && empty < EMPTY_POLLS; i++) {
        grpc_event e = grpc_completion_queue_next(s->queue, deadline, NULL);
        deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
        if (e.type == GRPC_OP_COMPLETE) {
            struct server_tag *tag = e.tag;
            tag->done(tag->ctx, e.success);
            empty = 0;
        } else if (e.type == GRPC_QUEUE_SHUTDOWN) {
            return;
        } else {
            empty++;
        }
    }
}

static void commit(struct veld_server *s)
{
    struct veld_coord_status failed;
    struct server_call *c;
    if (veld_service_commit(s->service, &failed) == 0)
        return;
    s->stats.commits_failed++;
    TAILQ_FOREACH(c, &s->calls[CALL_DECIDED], entry)
    {
        if (c->of_service)
            c->status = failed;
    }
}

static void send_all(struct veld_server *s)
{
    struct veld_now now = veld_clock_now();
    struct server_call *c;
    while ((c = TAILQ_FIRST(&s->calls[CALL_DECIDED])))
        server_call_answer(c, now.mono_ns);
    server_watches_send(s, &now);
    slice_pool_collect(&s->slices);
}

static void publish_stats(struct veld_server *s)
{
    s->stats.calls_open = s->n_calls;
    veld_service_get_stats(s->service, &s->stats.service);
    veld_gate_get_stats(s->gate, &s->stats.gate);
    veld_tls_filter_get_faults(s->stats.faults);
    pthread_mutex_lock(&s->stats_lock);
    s->published = s->stats;
    pthread_mutex_unlock(&s->stats_lock);
}

/*
 * What came is made durable, and then what is due is done; only after the commit is it known
 * when that is. What is found due (leases that ran out) is made durable, too.
 */
static void serve_what_came(struct veld_server *s)
{
    struct veld_now now = veld_clock_now();
    commit(s);
    s->next_tick_ns = veld_service_tick(s->service, &now);
    commit(s);
}

static void look_after(struct veld_server *s)
{
    uint64_t now_ns = veld_clock_mono_ns();
    if (now_ns < s->next_look_ns)
        return;
    s->next_look_ns = now_ns + LOOK_NS;
    server_calls_end_late(s, now_ns);
    server_watches_end_late(s, now_ns);
    publish_stats(s);
}

static gpr_timespec next_deadline(const struct veld_server *s)
{
    uint64_t now_ns = veld_clock_mono_ns(), wait_ns = WAIT_MAX_NS;
    if (server_watches_may_send(s) || s->next_tick_ns <= now_ns)
        return gpr_inf_past(GPR_CLOCK_MONOTONIC);
    wait_ns = VELD_MIN(wait_ns, s->next_tick_ns - now_ns);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos((int64_t)wait_ns, GPR_TIMESPAN));
}

static void turn(struct veld_server *s)
{
    take_events(s, next_deadline(s));
    serve_what_came(s);
    send_all(s);
    look_after(s);
    s->stats.turns++;
}

/* ---- End ---- */

static void on_down(void *ctx, bool ok)
{
    struct veld_server *s = ctx;
    s->state = SERVER_DOWN;
}

static void enter(struct veld_server *s, enum server_state state)
{
    s->state = state;
    s->state_since_ns = veld_clock_mono_ns();
}

static void shut_down(struct veld_server *s)
{
    enter(s, SERVER_SHUTTING);
    if (s->gate)
        veld_gate_shut(s->gate); /* hands over nothing to a server that is shut */
    s->down = (struct server_tag){on_down, s};
    grpc_server_shutdown_and_notify(s->grpc, s->queue, &s->down);
}

static bool has_calls(const struct veld_server *s)
{
    return s->n_calls > 0 || !TAILQ_EMPTY(&s->calls[CALL_WATCHING]);
}

/*
 * DRAINING: health says NOT_SERVING, watches are over, calls are answered.
 * SHUTTING: no new calls or connections; what was begun is answered.
 */
static void step_towards_end(struct veld_server *s)
{
    uint64_t in_state_ns = veld_clock_mono_ns() - s->state_since_ns;
    switch (s->state) {
    case SERVER_SERVING:
        if (!atomic_load_explicit(&s->stop, memory_order_relaxed))
            return;
        enter(s, SERVER_DRAINING);
        veld_service_stop(s->service);
        return;
    case SERVER_DRAINING:
        if (in_state_ns < DRAIN_NS)
            return;
        shut_down(s);
        return;
    case SERVER_SHUTTING:
        if (in_state_ns > (has_calls(s) ? SHUT_NS : GOODBYE_NS))
            grpc_server_cancel_all_calls(s->grpc); /* and connections, without calls too */
        return;
    case SERVER_DOWN: return;
    }
}

void veld_server_run(struct veld_server *s)
{
    while (s->state != SERVER_DOWN) {
        turn(s);
        step_towards_end(s);
    }
}

void veld_server_stop(struct veld_server *s)
{
    atomic_store_explicit(&s->stop, true, memory_order_relaxed);
}

static void drain_queue(grpc_completion_queue *queue)
{
    grpc_event e;
    grpc_completion_queue_shutdown(queue);
    while ((e = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL))
               .type != GRPC_QUEUE_SHUTDOWN) {
        struct server_tag *tag = e.tag;
        tag->done(tag->ctx, false);
    }
}

void veld_server_close(struct veld_server *s)
{
    if (!s)
        return;
    if (s->state != SERVER_DOWN) {
        shut_down(s);
        grpc_server_cancel_all_calls(s->grpc);
        while (s->state != SERVER_DOWN)
            take_events(s, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    }
    grpc_server_destroy(s->grpc);
    drain_queue(s->queue);
    grpc_completion_queue_destroy(s->queue);
    grpc_shutdown_blocking();
    veld_gate_close(s->gate);
    slice_pool_destroy(&s->slices);
    pthread_mutex_destroy(&s->stats_lock);
    free(s);
}

void veld_server_get_stats(struct veld_server *s, struct veld_server_stats *out)
{
    pthread_mutex_lock(&s->stats_lock);
    *out = s->published;
    pthread_mutex_unlock(&s->stats_lock);
}

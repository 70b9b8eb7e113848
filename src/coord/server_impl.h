/*
 * The inside of server.h, shared by server*.c. Thread: the loop's, but for what
 * says otherwise.
 *
 * A call's way: ASKED (gRPC is to fill it with the next that comes) -> RECEIVING
 * (its message) -> DECIDED (reply or status known, not durable yet) -> ANSWERING
 * (on its way) -> freed. A watch goes from RECEIVING to WATCHING, and from there
 * to ENDED when its stream is gone. Each stage but ASKED is a list, oldest first.
 */
#ifndef VELD_COORD_SERVER_IMPL_H
#define VELD_COORD_SERVER_IMPL_H

#include "coord/server.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define TURN_EVENTS_MAX 1024                /* completions taken in a turn */
#define TURN_SENDS_MAX  512                 /* watch messages begun in a turn */
#define HELD_MAX        ((size_t)128 << 20) /* bytes on their way to watches */
#define ASKED_CALLS     64 /* calls gRPC may hand over before the loop comes back */

/* What a completion queue's event points at. */
struct server_tag {
    void (*done)(void *ctx, bool ok);
    void *ctx;
};

enum call_stage { CALL_ASKED, CALL_RECEIVING, CALL_DECIDED, CALL_ANSWERING, CALL_WATCHING };
#define CALL_STAGES 5

struct server_call {
    struct veld_server *server;
    enum call_stage stage;
    TAILQ_ENTRY(server_call) entry; /* of its stage's list */
    uint64_t since_ns;              /* in this stage; WATCHING: of the message on its way */
    grpc_call *grpc;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message; /* the request */
    int cancelled;
    struct server_tag asked, received, answered, gone;
    struct veld_gate_call gate;
    struct veld_ip from;
    bool wasted;     /* the caller gave it up */
    bool is_late;    /* was cancelled for it */
    bool of_service; /* its status is the commit's when that fails */
    struct veld_blob reply;
    struct veld_coord_status status;

    /* A watch. */
    struct veld_watcher *watcher; /* NULL once closed */
    TAILQ_ENTRY(server_call) ready_entry;
    bool is_ready, is_sending, headers_sent, is_gone;
};
TAILQ_HEAD(call_list, server_call);

struct held_slice;
/* Event bytes as slices (server_slice.c). */
struct slice_pool {
    pthread_mutex_t lock;
    struct held_slice *released; /* under the lock: gRPC lets go on any thread */
    struct veld_shared_bytes *last;
    grpc_slice last_slice; /* of `last` */
    size_t held;           /* bytes that gRPC has, each piece once */
};

enum server_state { SERVER_SERVING, SERVER_DRAINING, SERVER_SHUTTING, SERVER_DOWN };

struct veld_server {
    struct veld_service *service;
    struct veld_coord_limits limits;
    struct veld_gate *gate;
    grpc_server *grpc;
    grpc_completion_queue *queue;
    void *handler; /* of server_handover.h; written by gRPC at start */

    atomic_bool stop; /* written by stop, read by the loop */
    enum server_state state;
    uint64_t state_since_ns, next_tick_ns, next_look_ns;
    struct server_tag down;

    struct call_list calls[CALL_STAGES];
    size_t n_calls;         /* RECEIVING, DECIDED or ANSWERING */
    struct call_list ready; /* watches that may have something to send */
    struct slice_pool slices;

    pthread_mutex_t stats_lock;
    struct veld_server_stats published; /* under the lock */
    struct veld_server_stats stats;     /* the loop's */
};

/* ---- server_call.c ---- */

/* Have gRPC fill one more call, unless the server stops. */
void server_call_ask(struct veld_server *s);
void server_call_set_stage(struct server_call *c, enum call_stage stage, uint64_t now_ns);
/* Its status and reply are there; both are sent after the commit. */
void server_call_decide(struct server_call *c);
void server_call_fail(struct server_call *c, enum veld_coord_code code, const char *text);
/* Send what was decided. */
void server_call_answer(struct server_call *c, uint64_t now_ns);
void server_call_free(struct server_call *c);
/* Of a call that stays open: what it came with. */
void server_call_forget_request(struct server_call *c);
void server_status_set(struct veld_coord_status *status, enum veld_coord_code code,
                       const char *text);
/* Those that were too long in a stage. */
void server_calls_end_late(struct veld_server *s, uint64_t now_ns);

/* ---- server_request.c: what a call asks for ---- */

/* Its message is there (or never will be: NULL). Decides it, or makes it a watch. */
void server_request_handle(struct server_call *c, const struct veld_now *now);

/* ---- server_watch.c ---- */

/* The request is for a watch: opened, or decided with the status why not. */
void server_watch_begin(struct server_call *c, const struct veld_service_request *r,
                        const struct veld_now *now);
/* Is there something to send, and memory for it? Else what is on its way has to arrive first. */
bool server_watches_may_send(const struct veld_server *s);
/* Send what there is, TURN_SENDS_MAX messages at most. */
void server_watches_send(struct veld_server *s, const struct veld_now *now);
/* Those that do not take what they are sent. */
void server_watches_end_late(struct veld_server *s, uint64_t now_ns);

/* ---- server_slice.c ---- */

void slice_pool_init(struct slice_pool *p);
void slice_pool_destroy(struct slice_pool *p);
/* A buffer of `b`, without a copy; takes over the caller's reference. */
grpc_byte_buffer *slice_pool_buffer(struct slice_pool *p, struct veld_shared_bytes *b);
/* Give back what gRPC let go. Once a turn. */
void slice_pool_collect(struct slice_pool *p);

#endif

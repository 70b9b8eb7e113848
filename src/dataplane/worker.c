#include "dataplane/worker.h"

#include "base/clock.h"
#include "dataplane/inbound.h"
#include "dataplane/outbound.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How often waiting packets are checked for their time. */
#define HOLD_CHECK_NS VELD_NS_PER_S

struct veld_worker {
    struct veld_counters counters;
    struct veld_context ctx;
    struct veld_event_queue events, handshakes;
    struct veld_outbound outbound;
    struct veld_inbound inbound;
    unsigned number;
    int wake_fd;
    /* Set by control before it writes wake_fd; `look` is cleared by the worker as it looks. */
    atomic_bool look, stop;
    pthread_t thread;
    bool running;
    sem_t started;
    int start_result; /* written before `started` is posted */
};

static void on_sent(void *ctx, uint32_t token, int result)
{
    struct veld_worker *w = ctx;
    if (token & VELD_FORWARD_TOKEN)
        veld_inbound_forwarded(&w->inbound, token, result);
    else
        veld_outbound_sent(&w->outbound, token, result);
}

static void on_written(void *ctx, uint32_t token, int result)
{
    struct veld_worker *w = ctx;
    if (token & VELD_TOO_BIG_TOKEN)
        veld_too_big_written(&w->outbound.too_big, &w->ctx, token, result);
    else
        veld_inbound_written(&w->inbound, token, result);
}

static_assert(VELD_RUNS_MAX + VELD_FORWARDS_MAX <= VELD_IO_SENDS_MAX &&
                  VELD_JOINS_MAX <= VELD_IO_WRITES_MAX,
              "io.h's bounds");

/* ---- The loop ---- */

static uint64_t wait_limit(const struct veld_worker *w)
{
    if (w->outbound.look_again)
        return 0;
    return w->outbound.hold.count ? HOLD_CHECK_NS : VELD_IO_FOREVER;
}

static void turn_outbound(struct veld_worker *w)
{
    struct veld_outbound *out = &w->outbound;
    struct veld_io *io = w->ctx.io;
    veld_outbound_begin(out);
    veld_drop_count(&w->counters, VELD_DROP_HOLD_TIMEOUT,
                    veld_hold_expire(&out->hold, w->ctx.now_ns));
    /* Acquire pairs with the release in wake: what control changed before is seen. */
    if (atomic_exchange_explicit(&w->look, false, memory_order_acquire) || out->look_again)
        veld_outbound_look(out);
    struct veld_tun_read r;
    while (veld_outbound_has_room(out) && io->ops->next_read(io, &r)) {
        veld_outbound_packet(out, r.data, r.len);
        io->ops->done_read(io, r.buffer);
    }
    veld_outbound_flush(out);
}

static void turn_inbound(struct veld_worker *w)
{
    struct veld_inbound *in = &w->inbound;
    struct veld_io *io = w->ctx.io;
    veld_inbound_begin(in);
    struct veld_udp_receive r;
    while (veld_inbound_has_room(in) && io->ops->next_receive(io, &r))
        veld_inbound_receive(in, &r);
    veld_inbound_flush(in);
}

static void loop(struct veld_worker *w)
{
    struct veld_io *io = w->ctx.io;
    while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
        /* Nothing of the tables is in hand here: the wait is the quiescent state. */
        veld_rcu_offline();
        io->ops->wait(io, wait_limit(w));
        veld_rcu_online();
        w->ctx.now_ns = veld_clock_mono_ns();
        io->ops->reap(io, w->ctx.now_ns);
        turn_outbound(w);
        turn_inbound(w);
    }
}

static void *run(void *arg)
{
    struct veld_worker *w = arg;
    veld_rcu_reader_begin();
    w->start_result = w->ctx.io->ops->start(w->ctx.io);
    bool started = w->start_result == 0;
    sem_post(&w->started);
    if (started)
        loop(w);
    w->ctx.io->ops->stop(w->ctx.io);
    veld_rcu_reader_end();
    return NULL;
}

/* ---- Life ---- */

static int open_parts(struct veld_worker *w, const struct veld_worker_config *cfg,
                      struct veld_diag *diag)
{
    w->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (w->wake_fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot make an eventfd: %s", strerror(errno));
    w->ctx.aead_ctx = cfg->aead->new_ctx();
    if (!w->ctx.aead_ctx ||
        veld_event_queue_init(&w->events, VELD_EVENT_QUEUE_SIZE, cfg->event_fd) < 0 ||
        veld_event_queue_init(&w->handshakes, VELD_HANDSHAKE_QUEUE_SIZE, cfg->event_fd) < 0 ||
        veld_outbound_init(&w->outbound, &w->ctx, cfg->mtu) < 0)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a worker's buffers");
    veld_outbound_set_offload(&w->outbound, cfg->udp_segment);
    veld_inbound_init(&w->inbound, &w->ctx, cfg->udp_segments_max);
    w->inbound.forwarder.segment_offload = cfg->udp_segment;
    struct veld_io_config io = {.tun_fd = cfg->tun_fd,
                                .udp_fd = cfg->udp_fd,
                                .lane_fd = cfg->lane_fd,
                                .wake_fd = w->wake_fd};
    int rc = veld_io_engine_open(cfg->engine, &w->ctx.io, &io, diag);
    if (rc == 0)
        w->ctx.io->sink =
            (struct veld_io_sink){.ctx = w, .sent = on_sent, .written = on_written};
    return rc;
}

int veld_worker_open(struct veld_worker **out, const struct veld_worker_config *cfg,
                     struct veld_diag *diag)
{
    struct veld_worker *w = aligned_alloc(VELD_CACHE_LINE, sizeof *w);
    if (!w)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a worker");
    memset(w, 0, sizeof *w);
    w->number = cfg->number;
    w->wake_fd = -1;
    sem_init(&w->started, 0, 0);
    w->ctx = (struct veld_context){.tables = cfg->tables,
                                   .stats = &w->counters,
                                   .events = &w->events,
                                   .handshakes = &w->handshakes,
                                   .aead = cfg->aead,
                                   .thread = cfg->number};
    int rc = open_parts(w, cfg, diag);
    if (rc < 0) {
        veld_worker_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

/* Signals are the control thread's. */
static int spawn(struct veld_worker *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int veld_worker_start(struct veld_worker *w, struct veld_diag *diag)
{
    int rc = spawn(w);
    if (rc != 0)
        return veld_fail(diag, VELD_E_IO, "cannot start a worker thread: %s", strerror(rc));
    w->running = true;
    char name[16];
    snprintf(name, sizeof name, "veld-worker-%u", w->number);
    (void)pthread_setname_np(w->thread, name);
    while (sem_wait(&w->started) < 0)
        ; /* a signal */
    if (w->start_result < 0) {
        veld_worker_stop(w);
        return veld_fail(diag, VELD_E_IO, "cannot start a worker's engine: %s",
                         strerror(-w->start_result));
    }
    return 0;
}

void veld_worker_wake(struct veld_worker *w)
{
    if (!atomic_exchange_explicit(&w->look, true, memory_order_release))
        eventfd_write(w->wake_fd, 1);
}

void veld_worker_stop(struct veld_worker *w)
{
    if (!w->running)
        return;
    atomic_store_explicit(&w->stop, true, memory_order_release);
    eventfd_write(w->wake_fd, 1);
    pthread_join(w->thread, NULL);
    w->running = false;
}

void veld_worker_close(struct veld_worker *w)
{
    if (!w)
        return;
    assert(!w->running);
    if (w->ctx.io)
        w->ctx.io->ops->close(w->ctx.io);
    if (w->ctx.aead_ctx)
        w->ctx.aead->free_ctx(w->ctx.aead_ctx);
    veld_outbound_free(&w->outbound);
    veld_event_queue_free(&w->events);
    veld_event_queue_free(&w->handshakes);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    sem_destroy(&w->started);
    free(w);
}

struct veld_event_queue *veld_worker_events(struct veld_worker *w)
{
    return &w->events;
}

struct veld_event_queue *veld_worker_handshakes(struct veld_worker *w)
{
    return &w->handshakes;
}

const struct veld_counters *veld_worker_counters(const struct veld_worker *w)
{
    return &w->counters;
}

bool veld_worker_segments(const struct veld_worker *w)
{
    const atomic_bool *on = w->outbound.segment_offload;
    return atomic_load_explicit(&on[VELD_IO_MAIN], memory_order_relaxed) &&
           atomic_load_explicit(&on[VELD_IO_LANE], memory_order_relaxed);
}

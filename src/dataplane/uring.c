#include "dataplane/uring.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dataplane/io_way.h"
#include "dataplane/udp.h"
#include "dataplane/uring_buffers.h"
#include "dataplane/uring_ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define SQ_ENTRIES   1024
#define CQ_ENTRIES   2048
#define STUCK_US     1000 /* a rest while the kernel takes no requests */
#define STOP_WAIT_NS (10 * VELD_NS_PER_MS)
#define STOP_WAITS   100

/* What a request is: the high half of its user_data; the low half is its token. */
enum op { OP_READ, OP_POLL, OP_RECEIVE, OP_SEND, OP_WRITE, OP_WAKE, OP_CANCEL };

/* Beside sends and writes: each direction, the wake, the cancel, once each. */
static_assert(VELD_IO_SENDS_MAX + VELD_IO_WRITES_MAX + 4 <= SQ_ENTRIES,
              "whatever is queued finds room though the kernel takes nothing");
static_assert(SQ_ENTRIES + 2 * VELD_IO_BUFFERS <= CQ_ENTRIES,
              "no completion finds the ring full");

/* Where a file is registered. */
enum file { FILE_TUN, FILE_UDP, FILE_LANE, FILE_WAKE, FILES };

/* Arrivals not taken yet; never more than there are buffers. */
struct fifo {
    unsigned head, count;
    struct {
        uint32_t len;
        uint16_t buffer;
    } items[VELD_IO_BUFFERS];
};

/* A multishot request that is armed anew whenever it ends. */
struct direction {
    struct veld_io_way way;
    bool armed;
};

struct uring {
    struct veld_io io; /* first */
    struct io_uring ring;
    bool ring_made;
    int fds[FILES];
    bool files_registered;
    bool read_multishot;
    struct veld_uring_buffers reads, receives;
    struct fifo read_fifo, receive_fifo;
    struct direction read, receive;
    struct msghdr receive_shape; /* sizes of name and control in a receive buffer */
    unsigned n_reads;            /* of this turn, without multishot read */
    bool readable; /* without multishot read: poll said so, and no read has said EAGAIN since */
    bool wake_armed, cancelling;
    uint64_t wake_count; /* where the eventfd's value goes */
};

static struct uring *of(struct veld_io *io)
{
    return (struct uring *)io;
}

/* ---- Requests ---- */

/* There is room by io.h's bounds, whatever the kernel does (SQ_ENTRIES). */
static struct io_uring_sqe *request(struct uring *u, enum op op, uint32_t token)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    assert(sqe);
    /* prep functions of liburing do not touch user_data */
    sqe->user_data = (uint64_t)op << 32 | token;
    return sqe;
}

/* After prep. */
static void on_file(const struct uring *u, struct io_uring_sqe *sqe, enum file file)
{
    sqe->fd = u->files_registered ? (int)file : u->fds[file];
    if (u->files_registered)
        sqe->flags |= IOSQE_FIXED_FILE;
}

static void arm_read(struct uring *u)
{
    if (u->read_multishot) {
        struct io_uring_sqe *sqe = request(u, OP_READ, 0);
        veld_uring_prep_read_multishot(sqe, -1, u->reads.group);
        on_file(u, sqe, FILE_TUN);
    } else {
        struct io_uring_sqe *sqe = request(u, OP_POLL, 0);
        io_uring_prep_poll_multishot(sqe, -1, POLLIN);
        on_file(u, sqe, FILE_TUN);
    }
}

static void arm_receive(struct uring *u)
{
    struct io_uring_sqe *sqe = request(u, OP_RECEIVE, 0);
    io_uring_prep_recvmsg_multishot(sqe, -1, &u->receive_shape, 0);
    on_file(u, sqe, FILE_UDP);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = u->receives.group;
}

static void arm_wake(struct uring *u)
{
    struct io_uring_sqe *sqe = request(u, OP_WAKE, 0);
    io_uring_prep_read(sqe, -1, &u->wake_count, sizeof u->wake_count, 0);
    on_file(u, sqe, FILE_WAKE);
}

/* ---- Completions ---- */

static void put(struct fifo *f, uint16_t buffer, uint32_t len)
{
    assert(f->count < VELD_IO_BUFFERS);
    unsigned i = (f->head + f->count++) % VELD_IO_BUFFERS;
    f->items[i].buffer = buffer;
    f->items[i].len = len;
}

static void arrived(struct veld_uring_buffers *b, struct fifo *f,
                    const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return;
    uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    veld_uring_buffers_taken(b, cqe->res > 0 ? (uint32_t)cqe->res : 0);
    if (cqe->res > 0)
        put(f, buffer, (uint32_t)cqe->res);
    else
        veld_uring_buffers_put(b, buffer);
}

/* A multishot request came to its end: it is armed again before the next wait. */
__attribute__((cold)) static void ended(struct direction *d, int result, uint64_t now_ns)
{
    d->armed = false;
    if (result < 0)
        veld_io_way_failed(&d->way, -result, now_ns);
}

static void on_read(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    arrived(&u->reads, &u->read_fifo, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    ended(&u->read, cqe->res ? cqe->res : -EIO, now_ns); /* 0: a queue at its end */
}

static void on_poll(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    if (cqe->res > 0)
        u->readable = true;
    if (!(cqe->flags & IORING_CQE_F_MORE))
        ended(&u->read, cqe->res, now_ns);
}

static void on_receive(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    arrived(&u->receives, &u->receive_fifo, cqe);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        ended(&u->receive, cqe->res, now_ns);
}

static void on_send(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    u->io.sink.sent(u->io.sink.ctx, (uint32_t)cqe->user_data, cqe->res);
}

static void on_write(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    u->io.sink.written(u->io.sink.ctx, (uint32_t)cqe->user_data, cqe->res);
}

static void on_wake(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    u->wake_armed = false; /* the worker looks at its flags every turn anyway */
}

static void on_cancel(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    u->cancelling = false;
}

static void (*const handlers[])(struct uring *, const struct io_uring_cqe *, uint64_t) = {
    [OP_READ] = on_read,   [OP_POLL] = on_poll, [OP_RECEIVE] = on_receive, [OP_SEND] = on_send,
    [OP_WRITE] = on_write, [OP_WAKE] = on_wake, [OP_CANCEL] = on_cancel,
};

/* ---- A turn ---- */

/* Arm what has ended; a direction without buffers waits for its worker to give some back. */
static void rearm(struct uring *u)
{
    veld_uring_buffers_fill(&u->reads);
    veld_uring_buffers_fill(&u->receives);
    bool read_ready = !u->read_multishot || u->reads.in_ring > 0;
    if (!u->read.armed && read_ready && !veld_io_way_rests(&u->read.way)) {
        arm_read(u);
        u->read.armed = true;
    }
    if (!u->receive.armed && u->receives.in_ring > 0 && !veld_io_way_rests(&u->receive.way)) {
        arm_receive(u);
        u->receive.armed = true;
    }
    if (!u->wake_armed) {
        arm_wake(u);
        u->wake_armed = true;
    }
}

/* The kernel took nothing, for want of memory or for what else; all stays queued. */
__attribute__((cold)) static void stuck(int error)
{
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                     "the kernel takes no io_uring requests: %s; trying again",
                     strerror(-error));
    usleep(STUCK_US);
}

/* Hand over what is queued and wait for one completion. */
static void enter(struct uring *u, uint64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / VELD_NS_PER_S),
                                   .tv_nsec = (int64_t)(timeout_ns % VELD_NS_PER_S)};
    int rc = timeout_ns == 0
                 ? io_uring_submit_and_get_events(&u->ring)
                 : io_uring_submit_and_wait_timeout(
                       &u->ring, &cqe, 1, timeout_ns == VELD_IO_FOREVER ? NULL : &ts, NULL);
    if (rc < 0 && rc != -ETIME && rc != -EINTR)
        stuck(rc);
}

static void uring_wait(struct veld_io *io, uint64_t timeout_ns)
{
    struct uring *u = of(io);
    rearm(u);
    if (u->read_fifo.count || u->receive_fifo.count || u->readable)
        timeout_ns = 0; /* there is work already; only hand over and look */
    else if (!u->read.armed || !u->receive.armed)
        timeout_ns = VELD_MIN(timeout_ns, VELD_IO_REST_NS);
    enter(u, timeout_ns);
}

static void uring_reap(struct veld_io *io, uint64_t now_ns)
{
    struct uring *u = of(io);
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    u->n_reads = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        handlers[cqe->user_data >> 32](u, cqe, now_ns);
        n++;
    }
    io_uring_cq_advance(&u->ring, n);
}

/* ---- Arrivals ---- */

/* Without multishot read: one read at a time, into the first buffer, until the queue is empty. */
static bool read_now(struct uring *u, struct veld_tun_read *out)
{
    if (!u->readable || u->n_reads == VELD_IO_BUFFERS)
        return false;
    ssize_t n = read(u->fds[FILE_TUN], u->reads.memory, u->reads.size);
    if (n <= 0) {
        u->readable = false;
        return false;
    }
    veld_io_way_works(&u->read.way);
    u->n_reads++;
    *out = (struct veld_tun_read){.data = u->reads.memory, .len = (uint32_t)n};
    return true;
}

static bool take(struct fifo *f, uint16_t *buffer, uint32_t *len)
{
    if (f->count == 0)
        return false;
    *buffer = f->items[f->head].buffer;
    *len = f->items[f->head].len;
    f->head = (f->head + 1) % VELD_IO_BUFFERS;
    f->count--;
    return true;
}

static bool uring_next_read(struct veld_io *io, struct veld_tun_read *out)
{
    struct uring *u = of(io);
    if (!take(&u->read_fifo, &out->buffer, &out->len))
        return !u->read_multishot && read_now(u, out);
    veld_io_way_works(&u->read.way);
    out->data = veld_uring_buffer(&u->reads, out->buffer);
    return true;
}

static bool uring_next_receive(struct veld_io *io, struct veld_udp_receive *out)
{
    struct uring *u = of(io);
    uint16_t buffer;
    uint32_t len;
    if (!take(&u->receive_fifo, &buffer, &len))
        return false;
    veld_io_way_works(&u->receive.way);
    uint8_t *at = veld_uring_buffer(&u->receives, buffer);
    struct io_uring_recvmsg_out *o = io_uring_recvmsg_validate(at, (int)len, &u->receive_shape);
    *out = (struct veld_udp_receive){.buffer = buffer, .data = at, .truncated = !o};
    if (!o)
        return true;
    out->data = io_uring_recvmsg_payload(o, &u->receive_shape);
    out->len = io_uring_recvmsg_payload_length(o, (int)len, &u->receive_shape);
    out->truncated = o->flags & MSG_TRUNC;
    out->from = io_uring_recvmsg_name(o);
    out->from_len = VELD_MIN(o->namelen, u->receive_shape.msg_namelen);
    const uint8_t *control = (const uint8_t *)(o + 1) + u->receive_shape.msg_namelen;
    size_t control_len = VELD_MIN(o->controllen, u->receive_shape.msg_controllen);
    struct veld_udp_meta meta = veld_udp_meta_read(control, control_len);
    out->segment = meta.segment ? meta.segment : out->len;
    out->ecn = meta.ecn;
    return true;
}

static void uring_done_read(struct veld_io *io, uint16_t buffer)
{
    struct uring *u = of(io);
    if (u->read_multishot) /* else it never left the first buffer */
        veld_uring_buffers_put(&u->reads, buffer);
}

static void uring_done_receive(struct veld_io *io, uint16_t buffer)
{
    veld_uring_buffers_put(&of(io)->receives, buffer);
}

/* ---- Departures ---- */

static enum file file_of(enum veld_io_socket from)
{
    return from == VELD_IO_LANE ? FILE_LANE : FILE_UDP;
}

static void uring_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                       uint32_t token)
{
    struct uring *u = of(io);
    struct io_uring_sqe *sqe = request(u, OP_SEND, token);
    io_uring_prep_sendmsg(sqe, -1, msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    on_file(u, sqe, file_of(from));
}

static void uring_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct uring *u = of(io);
    struct io_uring_sqe *sqe = request(u, OP_WRITE, token);
    io_uring_prep_writev(sqe, -1, iov, n, 0);
    on_file(u, sqe, FILE_TUN);
}

static int uring_send_now(struct veld_io *io, enum veld_io_socket from,
                          const struct msghdr *msg)
{
    ssize_t n = sendmsg(of(io)->fds[file_of(from)], msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : (int)n;
}

/* ---- Life ---- */

static int uring_start(struct veld_io *io)
{
    struct uring *u = of(io);
    int rc = veld_uring_ring_enable(&u->ring);
    if (rc == 0)
        (void)io_uring_register_ring_fd(&u->ring); /* saves a lookup a turn, where known */
    return rc;
}

/* A ring is taken apart some time after its end: what it holds until then must not be ours. */
static void let_go_of_files(struct uring *u)
{
    if (u->files_registered)
        (void)io_uring_unregister_files(&u->ring);
    u->files_registered = false;
}

/* Take back every request; those that complete instead are told as ever. */
static void cancel_all(struct uring *u)
{
    io_uring_prep_cancel64(request(u, OP_CANCEL, 0), 0,
                           IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    u->cancelling = true;
    for (unsigned i = 0; i < STOP_WAITS; i++) {
        enter(u, STOP_WAIT_NS);
        uring_reap(&u->io, veld_clock_mono_ns());
        if (!u->cancelling && !u->read.armed && !u->receive.armed && !u->wake_armed)
            return;
    }
}

static void uring_stop(struct veld_io *io)
{
    struct uring *u = of(io);
    if (u->read.armed || u->receive.armed || u->wake_armed)
        cancel_all(u);
    let_go_of_files(u);
    (void)io_uring_unregister_ring_fd(&u->ring); /* which holds the ring itself */
}

static void uring_close(struct veld_io *io)
{
    struct uring *u = of(io);
    if (u->ring_made) {
        let_go_of_files(u); /* when it never ran */
        io_uring_queue_exit(&u->ring);
    }
    veld_uring_buffers_free(&u->reads);
    veld_uring_buffers_free(&u->receives);
    free(u);
}

static const struct veld_io_ops uring_ops = {
    .name = "io_uring",
    .start = uring_start,
    .stop = uring_stop,
    .wait = uring_wait,
    .reap = uring_reap,
    .next_read = uring_next_read,
    .next_receive = uring_next_receive,
    .done_read = uring_done_read,
    .done_receive = uring_done_receive,
    .send = uring_send,
    .write = uring_write,
    .send_now = uring_send_now,
    .close = uring_close,
};

static int setup(struct uring *u, const struct veld_uring_features *use)
{
    int rc = veld_uring_ring_make(&u->ring, SQ_ENTRIES, CQ_ENTRIES, use->defer_taskrun);
    if (rc < 0)
        return rc;
    u->ring_made = true;
    u->read_multishot = use->read_multishot;
    u->receive_shape.msg_namelen = sizeof(struct sockaddr_in6);
    u->receive_shape.msg_controllen = VELD_UDP_CONTROL_SIZE;
    uint32_t read_size = sizeof(struct virtio_net_hdr) + VELD_IO_PACKET_MAX;
    uint32_t receive_size =
        (uint32_t)(sizeof(struct io_uring_recvmsg_out) + u->receive_shape.msg_namelen +
                   u->receive_shape.msg_controllen + VELD_IO_PACKET_MAX);
    uint32_t line = VELD_CACHE_LINE - 1;
    rc = veld_uring_buffers_init(&u->reads, &u->ring, 0, VELD_IO_BUFFERS,
                                 (read_size + line) & ~line);
    if (rc == 0)
        rc = veld_uring_buffers_init(&u->receives, &u->ring, 1, VELD_IO_BUFFERS,
                                     (receive_size + line) & ~line);
    if (rc == 0 && use->fixed_files) {
        rc = io_uring_register_files(&u->ring, u->fds, FILES);
        u->files_registered = rc == 0;
    }
    return rc;
}

int veld_uring_open(struct veld_io **out, const struct veld_io_config *cfg,
                    const struct veld_uring_features *use, struct veld_diag *diag)
{
    struct uring *u = calloc(1, sizeof *u);
    if (!u)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    u->io.ops = &uring_ops;
    u->fds[FILE_TUN] = cfg->tun_fd;
    u->fds[FILE_UDP] = cfg->udp_fd;
    u->fds[FILE_LANE] = cfg->lane_fd;
    u->fds[FILE_WAKE] = cfg->wake_fd;
    u->read.way.what = "reading from the interface";
    u->receive.way.what = "receiving on the UDP socket";
    int rc = setup(u, use);
    if (rc < 0) {
        uring_close(&u->io);
        return veld_uring_explain(rc, diag);
    }
    *out = &u->io;
    return 0;
}

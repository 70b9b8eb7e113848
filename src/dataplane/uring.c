#include "dataplane/uring.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dataplane/udp.h"
#include "dataplane/uring_buffers.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than liburing 2.3: Linux 6.7. */
#define OP_READ_MULTISHOT 49

#define SQ_ENTRIES     256
#define CQ_ENTRIES     2048
#define RETRY_AFTER_NS (100 * VELD_NS_PER_MS)
#define PACKET_MAX     (40u + 65535u) /* an IPv6 payload length and its header */

/* What a request is: the high half of its user_data; the low half is its token. */
enum op { OP_READ, OP_POLL, OP_RECEIVE, OP_SEND, OP_WRITE, OP_WAKE };

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
    bool armed;
    unsigned errors; /* in a row */
    uint64_t retry_at_ns;
};

struct uring {
    struct veld_io io; /* first */
    struct io_uring ring;
    bool ring_made;
    struct veld_io_config cfg;
    struct veld_uring_buffers reads, receives;
    struct fifo read_fifo, receive_fifo;
    struct direction read, receive;
    struct msghdr receive_shape; /* sizes of name and control in a receive buffer */
    bool read_multishot;
    bool readable; /* without multishot read: poll said so, and no read has said EAGAIN since */
    bool wake_armed;
    uint64_t wake_count; /* where the eventfd's value goes */
};

static struct uring *of(struct veld_io *io)
{
    return (struct uring *)io;
}

/* ---- Requests ---- */

static struct io_uring_sqe *request(struct uring *u, enum op op, uint32_t token)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) { /* full: hand over what is there; completions wait in their ring */
        io_uring_submit(&u->ring);
        sqe = io_uring_get_sqe(&u->ring);
        assert(sqe);
    }
    /* prep functions of this liburing do not touch user_data */
    sqe->user_data = (uint64_t)op << 32 | token;
    return sqe;
}

static void arm_read(struct uring *u)
{
    if (u->read_multishot) {
        struct io_uring_sqe *sqe = request(u, OP_READ, 0);
        io_uring_prep_rw(OP_READ_MULTISHOT, sqe, u->cfg.tun_fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = u->reads.group;
    } else {
        struct io_uring_sqe *sqe = request(u, OP_POLL, 0);
        io_uring_prep_poll_multishot(sqe, u->cfg.tun_fd, POLLIN);
    }
}

static void arm_receive(struct uring *u)
{
    struct io_uring_sqe *sqe = request(u, OP_RECEIVE, 0);
    io_uring_prep_recvmsg_multishot(sqe, u->cfg.udp_fd, &u->receive_shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = u->receives.group;
}

static void arm_wake(struct uring *u)
{
    struct io_uring_sqe *sqe = request(u, OP_WAKE, 0);
    io_uring_prep_read(sqe, u->cfg.wake_fd, &u->wake_count, sizeof u->wake_count, 0);
}

/* ---- Completions ---- */

static void put(struct fifo *f, uint16_t buffer, uint32_t len)
{
    assert(f->count < VELD_IO_BUFFERS);
    unsigned i = (f->head + f->count++) % VELD_IO_BUFFERS;
    f->items[i].buffer = buffer;
    f->items[i].len = len;
}

/*
 * A multishot ended. ENOBUFS and the kernel's own reasons are no errors. Others
 * are told, and from the second in a row on, the direction rests a while.
 */
static void ended(struct direction *d, const char *what, int result, uint64_t now_ns)
{
    if (result >= 0 || result == -ENOBUFS || result == -EINTR || result == -ECANCELED) {
        d->errors = 0;
        return;
    }
    VELD_LOG_LIMITED(VELD_LOG_WARN, now_ns, "%s failed: %s", what, strerror(-result));
    if (d->errors++ > 0)
        d->retry_at_ns = now_ns + RETRY_AFTER_NS;
}

static void arrived(struct veld_uring_buffers *b, struct fifo *f,
                    const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_BUFFER))
        return;
    uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    veld_uring_buffers_taken(b);
    if (cqe->res > 0)
        put(f, buffer, (uint32_t)cqe->res);
    else
        veld_uring_buffers_put(b, buffer);
}

static void on_read(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    arrived(&u->reads, &u->read_fifo, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    u->read.armed = false;
    if (cqe->res == -EINVAL || cqe->res == -EOPNOTSUPP)
        u->read_multishot = false; /* the kernel knows the request but not for this file */
    else
        ended(&u->read, "reading from the interface", cqe->res, now_ns);
}

static void on_poll(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    if (cqe->res > 0)
        u->readable = true;
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    u->read.armed = false;
    ended(&u->read, "polling the interface", cqe->res, now_ns);
}

static void on_receive(struct uring *u, const struct io_uring_cqe *cqe, uint64_t now_ns)
{
    arrived(&u->receives, &u->receive_fifo, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    u->receive.armed = false;
    ended(&u->receive, "receiving on the UDP socket", cqe->res, now_ns);
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

static void (*const handlers[])(struct uring *, const struct io_uring_cqe *, uint64_t) = {
    [OP_READ] = on_read, [OP_POLL] = on_poll,   [OP_RECEIVE] = on_receive,
    [OP_SEND] = on_send, [OP_WRITE] = on_write, [OP_WAKE] = on_wake,
};

/* ---- A turn ---- */

/* Arm what has ended; a direction without buffers waits for its worker to give some back. */
static void rearm(struct uring *u)
{
    uint64_t now = u->read.errors > 1 || u->receive.errors > 1 ? veld_clock_mono_ns() : 0;
    bool read_ready = !u->read_multishot || u->reads.in_ring > 0;
    if (!u->read.armed && read_ready && (u->read.errors < 2 || now >= u->read.retry_at_ns)) {
        arm_read(u);
        u->read.armed = true;
    }
    if (!u->receive.armed && u->receives.in_ring > 0 &&
        (u->receive.errors < 2 || now >= u->receive.retry_at_ns)) {
        arm_receive(u);
        u->receive.armed = true;
    }
    if (!u->wake_armed) {
        arm_wake(u);
        u->wake_armed = true;
    }
}

static void uring_wait(struct veld_io *io, uint64_t timeout_ns)
{
    struct uring *u = of(io);
    rearm(u);
    if (u->read_fifo.count || u->receive_fifo.count || u->readable)
        timeout_ns = 0; /* there is work already; only hand over and look */
    else if (!u->read.armed || !u->receive.armed)
        timeout_ns = VELD_MIN(timeout_ns, RETRY_AFTER_NS);
    struct io_uring_cqe *cqe;
    if (timeout_ns == 0) {
        (void)io_uring_submit_and_get_events(&u->ring);
    } else if (timeout_ns == VELD_IO_FOREVER) {
        (void)io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, NULL, NULL);
    } else {
        struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / VELD_NS_PER_S),
                                       .tv_nsec = (int64_t)(timeout_ns % VELD_NS_PER_S)};
        (void)io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
    }
}

static void uring_reap(struct veld_io *io, uint64_t now_ns)
{
    struct uring *u = of(io);
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
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
    if (!u->readable)
        return false;
    ssize_t n = read(u->cfg.tun_fd, u->reads.memory, u->reads.size);
    if (n <= 0) {
        u->readable = false;
        return false;
    }
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
    u->read.errors = 0;
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
    u->receive.errors = 0;
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

static int socket_of(const struct uring *u, enum veld_io_socket from)
{
    return from == VELD_IO_LANE ? u->cfg.lane_fd : u->cfg.udp_fd;
}

static void uring_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                       uint32_t token)
{
    struct uring *u = of(io);
    struct io_uring_sqe *sqe = request(u, OP_SEND, token);
    io_uring_prep_sendmsg(sqe, socket_of(u, from), msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void uring_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct uring *u = of(io);
    struct io_uring_sqe *sqe = request(u, OP_WRITE, token);
    io_uring_prep_writev(sqe, u->cfg.tun_fd, iov, n, 0);
}

static int uring_send_now(struct veld_io *io, enum veld_io_socket from,
                          const struct msghdr *msg)
{
    ssize_t n = sendmsg(socket_of(of(io), from), msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : (int)n;
}

/* ---- Life ---- */

static int uring_start(struct veld_io *io)
{
    struct uring *u = of(io);
    /* Makes this thread the single issuer. liburing 2.3 declares a call for it, but lacks it. */
    if (syscall(__NR_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
                0) < 0)
        return -errno;
    (void)io_uring_register_ring_fd(&u->ring); /* saves a lookup a turn, where known */
    return 0;
}

static void uring_close(struct veld_io *io)
{
    struct uring *u = of(io);
    if (u->ring_made)
        io_uring_queue_exit(&u->ring);
    veld_uring_buffers_free(&u->reads);
    veld_uring_buffers_free(&u->receives);
    free(u);
}

static const struct veld_io_ops uring_ops = {
    .name = "io_uring",
    .start = uring_start,
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

static int make_ring(struct io_uring *ring)
{
    /* Disabled until the worker enables it: it shall be the single issuer, not we. */
    unsigned base = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER;
    const unsigned flags[] = {base | IORING_SETUP_DEFER_TASKRUN,
                              base | IORING_SETUP_COOP_TASKRUN};
    int rc = -EINVAL;
    for (size_t i = 0; i < VELD_ARRAY_LEN(flags) && rc == -EINVAL; i++) {
        struct io_uring_params p = {.flags = flags[i], .cq_entries = CQ_ENTRIES};
        rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &p);
    }
    return rc;
}

static bool has_read_multishot(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool has = probe && io_uring_opcode_supported(probe, OP_READ_MULTISHOT);
    io_uring_free_probe(probe);
    return has;
}

static int setup(struct uring *u)
{
    int rc = make_ring(&u->ring);
    if (rc < 0)
        return rc;
    u->ring_made = true;
    u->read_multishot = has_read_multishot(&u->ring);
    u->receive_shape.msg_namelen = sizeof(struct sockaddr_in6);
    u->receive_shape.msg_controllen = VELD_UDP_CONTROL_SIZE;
    uint32_t read_size = sizeof(struct virtio_net_hdr) + PACKET_MAX;
    uint32_t receive_size =
        (uint32_t)(sizeof(struct io_uring_recvmsg_out) + u->receive_shape.msg_namelen +
                   u->receive_shape.msg_controllen + PACKET_MAX);
    uint32_t line = VELD_CACHE_LINE - 1;
    rc = veld_uring_buffers_init(&u->reads, &u->ring, 0, VELD_IO_BUFFERS,
                                 (read_size + line) & ~line);
    if (rc == 0)
        rc = veld_uring_buffers_init(&u->receives, &u->ring, 1, VELD_IO_BUFFERS,
                                     (receive_size + line) & ~line);
    return rc;
}

static int explain(int error, struct veld_diag *diag)
{
    switch (-error) {
    case ENOSYS:
    case EINVAL:
        return veld_fail(diag, VELD_E_UNSUPPORTED,
                         "this kernel's io_uring is missing or too old; Linux 6.0 or newer is "
                         "needed");
    case EPERM:
    case EACCES:
        return veld_fail(diag, VELD_E_PERM,
                         "io_uring is disabled here; allow it with `sysctl "
                         "kernel.io_uring_disabled=0`, and in a container with a seccomp "
                         "profile that lets io_uring through");
    case ENOMEM:
        return veld_fail(diag, VELD_E_NOMEM,
                         "not enough memory for io_uring; raise the memory or locked-memory "
                         "limit (ulimit -l)");
    default: return veld_fail(diag, VELD_E_IO, "cannot set up io_uring: %s", strerror(-error));
    }
}

int veld_uring_open(struct veld_io **out, const struct veld_io_config *cfg,
                    struct veld_diag *diag)
{
    struct uring *u = calloc(1, sizeof *u);
    if (!u)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    u->io.ops = &uring_ops;
    u->cfg = *cfg;
    int rc = setup(u);
    if (rc < 0) {
        uring_close(&u->io);
        return explain(rc, diag);
    }
    *out = &u->io;
    return 0;
}

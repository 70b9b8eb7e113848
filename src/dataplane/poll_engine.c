#include "dataplane/poll_engine.h"

#include "base/bytes.h"
#include "dataplane/io_way.h"
#include "dataplane/udp.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Receives of one call. Each may hold 64 KB, and a turn takes in little more than
 * four such: more would push each other out of the cache before they are opened.
 */
#define RECEIVE_BATCH 8
#define READ_SIZE     (sizeof(struct virtio_net_hdr) + VELD_IO_PACKET_MAX)

struct way_in {
    struct veld_io_way way;
    bool ready; /* ppoll said so, and it has not been found empty since */
};

/* Where the kernel puts one receive. */
struct receive {
    struct sockaddr_in6 from;
    _Alignas(struct cmsghdr) uint8_t control[VELD_UDP_CONTROL_SIZE];
    uint8_t data[VELD_IO_PACKET_MAX];
};

/* A send or write that was queued: what becomes of it is told in reap. */
struct queued {
    uint32_t token;
    int result;
    enum veld_io_socket from; /* of a send */
};

struct poll_io {
    struct veld_io io; /* first */
    struct veld_io_config cfg;
    uint64_t now_ns; /* of this turn */
    struct way_in tun, udp;
    /* One read at a time: the next when the buffer has come back. */
    uint8_t *read_buffer;
    bool read_taken;
    unsigned n_reads; /* of this turn */
    /* Receives: free buffers, and those of the last call not taken yet. */
    struct receive *receives;
    unsigned n_free;
    uint16_t free_buffers[VELD_IO_BUFFERS];
    unsigned batch_at, batch_n;
    uint16_t batch_buffers[RECEIVE_BATCH];
    struct mmsghdr batch[RECEIVE_BATCH];
    struct iovec batch_iov[RECEIVE_BATCH];
    /* Out. */
    unsigned n_sends, n_writes;
    bool flushed; /* the sends have their results */
    struct queued sends[VELD_IO_SENDS_MAX], writes[VELD_IO_WRITES_MAX];
    struct mmsghdr messages[VELD_IO_SENDS_MAX]; /* of the sends */
};

static struct poll_io *of(struct veld_io *io)
{
    return (struct poll_io *)io;
}

static int socket_of(const struct poll_io *p, enum veld_io_socket from)
{
    return from == VELD_IO_LANE ? p->cfg.lane_fd : p->cfg.udp_fd;
}

/* ---- Out ---- */

static void poll_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                      uint32_t token)
{
    struct poll_io *p = of(io);
    assert(p->n_sends < VELD_IO_SENDS_MAX && !p->flushed);
    p->messages[p->n_sends].msg_hdr = *msg;
    p->sends[p->n_sends++] = (struct queued){.token = token, .from = from};
}

/* The sends [i, end), by one socket: each gets its result; one that fails holds up no other. */
static void flush_socket(struct poll_io *p, unsigned i, unsigned end)
{
    int fd = socket_of(p, p->sends[i].from);
    while (i < end) {
        int n = sendmmsg(fd, &p->messages[i], end - i, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0) {
            p->sends[i++].result = n < 0 ? -errno : -EIO;
            continue;
        }
        for (; n > 0; n--, i++)
            p->sends[i].result = (int)p->messages[i].msg_len;
    }
}

static void flush(struct poll_io *p)
{
    for (unsigned i = 0, end; i < p->n_sends && !p->flushed; i = end) {
        end = i + 1;
        while (end < p->n_sends && p->sends[end].from == p->sends[i].from)
            end++;
        flush_socket(p, i, end);
    }
    p->flushed = true;
}

static void poll_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct poll_io *p = of(io);
    assert(p->n_writes < VELD_IO_WRITES_MAX);
    ssize_t done = writev(p->cfg.tun_fd, iov, (int)n);
    p->writes[p->n_writes++] =
        (struct queued){.token = token, .result = done < 0 ? -errno : (int)done};
}

static int poll_send_now(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg)
{
    ssize_t n = sendmsg(socket_of(of(io), from), msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : (int)n;
}

/* ---- A turn ---- */

/* Ask about the ways in that are not known to hold anything. */
static void ask(struct poll_io *p, uint64_t timeout_ns)
{
    bool tun_rests = veld_io_way_rests(&p->tun.way), udp_rests = veld_io_way_rests(&p->udp.way);
    struct pollfd fds[] = {{.fd = tun_rests ? -1 : p->cfg.tun_fd, .events = POLLIN},
                           {.fd = udp_rests ? -1 : p->cfg.udp_fd, .events = POLLIN},
                           {.fd = p->cfg.wake_fd, .events = POLLIN}};
    if (tun_rests || udp_rests)
        timeout_ns = VELD_MIN(timeout_ns, VELD_IO_REST_NS);
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / VELD_NS_PER_S),
                          .tv_nsec = (long)(timeout_ns % VELD_NS_PER_S)};
    if (ppoll(fds, VELD_ARRAY_LEN(fds), timeout_ns == VELD_IO_FOREVER ? NULL : &ts, NULL) <= 0)
        return;
    p->tun.ready |= fds[0].revents != 0; /* an error is for the read to tell */
    p->udp.ready |= fds[1].revents != 0;
    eventfd_t unused;
    if (fds[2].revents)
        (void)eventfd_read(p->cfg.wake_fd, &unused);
}

static void poll_wait(struct veld_io *io, uint64_t timeout_ns)
{
    struct poll_io *p = of(io);
    flush(p);
    bool untold = p->n_sends || p->n_writes;
    bool arrivals = p->tun.ready || p->udp.ready || p->batch_at < p->batch_n;
    if (p->tun.ready && p->udp.ready)
        return; /* all there is to know */
    if (untold && !arrivals)
        return; /* what became of them is told without a call; the next wait sleeps */
    ask(p, arrivals ? 0 : timeout_ns);
}

static void poll_reap(struct veld_io *io, uint64_t now_ns)
{
    struct poll_io *p = of(io);
    p->now_ns = now_ns;
    p->n_reads = 0;
    for (unsigned i = 0; i < p->n_sends; i++)
        io->sink.sent(io->sink.ctx, p->sends[i].token, p->sends[i].result);
    for (unsigned i = 0; i < p->n_writes; i++)
        io->sink.written(io->sink.ctx, p->writes[i].token, p->writes[i].result);
    p->n_sends = p->n_writes = 0;
    p->flushed = false;
}

/* ---- Arrivals ---- */

static void found_empty(struct poll_io *p, struct way_in *w, int error)
{
    w->ready = false;
    if (error != EAGAIN)
        veld_io_way_failed(&w->way, error, p->now_ns);
}

static bool poll_next_read(struct veld_io *io, struct veld_tun_read *out)
{
    struct poll_io *p = of(io);
    if (!p->tun.ready || p->read_taken || p->n_reads == VELD_IO_BUFFERS)
        return false;
    ssize_t n = read(p->cfg.tun_fd, p->read_buffer, READ_SIZE);
    if (n <= 0) { /* 0: a queue that has come to its end */
        found_empty(p, &p->tun, n < 0 ? errno : EIO);
        return false;
    }
    veld_io_way_works(&p->tun.way);
    p->read_taken = true;
    p->n_reads++;
    *out = (struct veld_tun_read){.data = p->read_buffer, .len = (uint32_t)n};
    return true;
}

static void poll_done_read(struct veld_io *io, uint16_t buffer)
{
    of(io)->read_taken = false;
}

/* As many receives as there are, up to a batch, into free buffers. */
static void receive_batch(struct poll_io *p)
{
    unsigned room = VELD_MIN(p->n_free, RECEIVE_BATCH);
    for (unsigned i = 0; i < room; i++) {
        p->batch_buffers[i] = p->free_buffers[p->n_free - 1 - i];
        struct receive *r = &p->receives[p->batch_buffers[i]];
        p->batch_iov[i] = (struct iovec){.iov_base = r->data, .iov_len = sizeof r->data};
        p->batch[i].msg_hdr = (struct msghdr){.msg_name = &r->from,
                                              .msg_namelen = sizeof r->from,
                                              .msg_iov = &p->batch_iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = r->control,
                                              .msg_controllen = sizeof r->control};
    }
    int n = room ? recvmmsg(p->cfg.udp_fd, p->batch, room, MSG_DONTWAIT, NULL) : 0;
    if (n < 0) {
        found_empty(p, &p->udp, errno);
        return;
    }
    if (n > 0)
        veld_io_way_works(&p->udp.way);
    if ((unsigned)n < room)
        p->udp.ready = false;
    p->n_free -= (unsigned)n;
    p->batch_at = 0;
    p->batch_n = (unsigned)n;
}

static bool poll_next_receive(struct veld_io *io, struct veld_udp_receive *out)
{
    struct poll_io *p = of(io);
    if (p->batch_at == p->batch_n && p->udp.ready)
        receive_batch(p);
    if (p->batch_at == p->batch_n)
        return false;
    unsigned i = p->batch_at++;
    const struct msghdr *m = &p->batch[i].msg_hdr;
    struct veld_udp_meta meta = veld_udp_meta_read(m->msg_control, m->msg_controllen);
    *out =
        (struct veld_udp_receive){.data = m->msg_iov->iov_base,
                                  .len = p->batch[i].msg_len,
                                  .segment = meta.segment ? meta.segment : p->batch[i].msg_len,
                                  .buffer = p->batch_buffers[i],
                                  .truncated = m->msg_flags & MSG_TRUNC,
                                  .ecn = meta.ecn,
                                  .from = m->msg_name,
                                  .from_len = m->msg_namelen};
    return true;
}

static void poll_done_receive(struct veld_io *io, uint16_t buffer)
{
    struct poll_io *p = of(io);
    assert(p->n_free < VELD_IO_BUFFERS);
    p->free_buffers[p->n_free++] = buffer;
}

/* ---- Life ---- */

/* The kernel holds nothing of ours between two calls: there is nothing to make or to take back. */
static int poll_start(struct veld_io *io)
{
    return 0;
}

static void poll_stop(struct veld_io *io)
{
    flush(of(io)); /* what the last turn queued leaves */
}

static void poll_close(struct veld_io *io)
{
    struct poll_io *p = of(io);
    free(p->read_buffer);
    free(p->receives);
    free(p);
}

static const struct veld_io_ops poll_ops = {
    .name = "poll",
    .start = poll_start,
    .stop = poll_stop,
    .wait = poll_wait,
    .reap = poll_reap,
    .next_read = poll_next_read,
    .next_receive = poll_next_receive,
    .done_read = poll_done_read,
    .done_receive = poll_done_receive,
    .send = poll_send,
    .write = poll_write,
    .send_now = poll_send_now,
    .close = poll_close,
};

int veld_poll_open(struct veld_io **out, const struct veld_io_config *cfg,
                   struct veld_diag *diag)
{
    struct poll_io *p = calloc(1, sizeof *p);
    if (!p)
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a worker's engine");
    p->io.ops = &poll_ops;
    p->cfg = *cfg;
    p->tun.way.what = "reading from the interface";
    p->udp.way.what = "receiving on the UDP socket";
    p->read_buffer = malloc(READ_SIZE);
    p->receives = calloc(VELD_IO_BUFFERS, sizeof *p->receives);
    if (!p->read_buffer || !p->receives) {
        poll_close(&p->io);
        return veld_fail(diag, VELD_E_NOMEM, "out of memory for a worker's buffers");
    }
    while (p->n_free < VELD_IO_BUFFERS) {
        p->free_buffers[p->n_free] = (uint16_t)p->n_free;
        p->n_free++;
    }
    *out = &p->io;
    return 0;
}

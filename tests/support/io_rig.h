/*
 * An engine (dataplane/io.h) with the descriptors of one worker. The TUN queue
 * is one end of a pair of datagram sockets, read and written like it, packet by
 * packet, and by anybody; `far` is who is talked to over UDP.
 */
#ifndef VELD_TESTS_IO_RIG_H
#define VELD_TESTS_IO_RIG_H

#include "base/bytes.h"
#include "base/clock.h"
#include "dataplane/poll_engine.h"
#include "dataplane/uring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum kind { POLL, URING, URING_PLAIN, KINDS };

static struct veld_diag diag;

static inline struct veld_io *open_engine(enum kind kind, const struct veld_io_config *cfg)
{
    struct veld_io *io = NULL;
    struct veld_uring_features use;
    if (kind == POLL) {
        cr_assert_eq(veld_poll_open(&io, cfg, &diag), 0, "%s", diag.text);
        return io;
    }
    if (veld_uring_probe(&use, &diag) < 0)
        cr_skip_test("no io_uring here");
    if (kind == URING_PLAIN)
        use = (struct veld_uring_features){0};
    cr_assert_eq(veld_uring_open(&io, cfg, &use, &diag), 0, "%s", diag.text);
    return io;
}

struct rig {
    struct veld_io *io;
    int tun, tun_far, udp, lane, far, wake;
    struct sockaddr_in far_at, udp_at;
    /* What the sink was told, in order. */
    struct {
        uint32_t token;
        int result;
    } sent[2 * VELD_IO_SENDS_MAX], written[2 * VELD_IO_WRITES_MAX];
    unsigned n_sent, n_written;
    struct iovec iov[VELD_IO_SENDS_MAX];
    struct msghdr msg[VELD_IO_SENDS_MAX];
};

static struct rig rig;

static inline void on_sent(void *ctx, uint32_t token, int result)
{
    struct rig *r = ctx;
    r->sent[r->n_sent].token = token;
    r->sent[r->n_sent++].result = result;
}

static inline void on_written(void *ctx, uint32_t token, int result)
{
    struct rig *r = ctx;
    r->written[r->n_written].token = token;
    r->written[r->n_written++].result = result;
}

static inline int udp_socket(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_port = at->sin_port,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)at, sizeof *at), 0, "%s", strerror(errno));
    cr_assert_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* With tun_fd -1, a pair of sockets in its place; with lane_fd -1, a UDP socket. */
static inline struct rig *rig_start_with(int kind, int tun_fd, int lane_fd)
{
    struct rig *r = &rig;
    struct sockaddr_in lane_at = {0};
    int pair[2] = {tun_fd, -1}, on = 1;
    *r = (struct rig){0};
    if (tun_fd < 0)
        cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                     0);
    r->tun = pair[0];
    r->tun_far = pair[1];
    r->udp = udp_socket(&r->udp_at);
    r->lane = lane_fd < 0 ? udp_socket(&lane_at) : lane_fd;
    r->far = udp_socket(&r->far_at);
    cr_assert_eq(setsockopt(r->udp, SOL_UDP, UDP_GRO, &on, sizeof on), 0);
    cr_assert_eq(setsockopt(r->udp, IPPROTO_IP, IP_RECVTOS, &on, sizeof on), 0);
    r->wake = eventfd(0, EFD_CLOEXEC);
    struct veld_io_config cfg = {
        .tun_fd = r->tun, .udp_fd = r->udp, .lane_fd = r->lane, .wake_fd = r->wake};
    r->io = open_engine((enum kind)kind, &cfg);
    r->io->sink = (struct veld_io_sink){.ctx = r, .sent = on_sent, .written = on_written};
    cr_assert_eq(r->io->ops->start(r->io), 0);
    return r;
}

static inline struct rig *rig_start(int kind, int tun_fd)
{
    return rig_start_with(kind, tun_fd, -1);
}

static inline void rig_end(struct rig *r)
{
    r->io->ops->stop(r->io);
    r->io->ops->close(r->io);
    close(r->tun);
    if (r->tun_far >= 0)
        close(r->tun_far);
    close(r->udp);
    close(r->lane);
    close(r->far);
    close(r->wake);
}

static inline void turn(struct rig *r, uint64_t timeout_ns)
{
    r->io->ops->wait(r->io, timeout_ns);
    r->io->ops->reap(r->io, veld_clock_mono_ns());
}

static inline void send_text(struct rig *r, enum veld_io_socket from, const char *text,
                             uint32_t token)
{
    unsigned i = token % VELD_IO_SENDS_MAX;
    r->iov[i] = (struct iovec){(void *)(uintptr_t)text, strlen(text)};
    r->msg[i] = (struct msghdr){.msg_name = &r->far_at,
                                .msg_namelen = sizeof r->far_at,
                                .msg_iov = &r->iov[i],
                                .msg_iovlen = 1};
    r->io->ops->send(r->io, from, &r->msg[i], token);
}

static inline void far_expects(struct rig *r, const char *text, struct sockaddr_in *from)
{
    char got[100];
    socklen_t len = sizeof *from;
    ssize_t n = recvfrom(r->far, got, sizeof got, 0, (struct sockaddr *)from, &len);
    cr_assert_eq(n, (ssize_t)strlen(text), "%s: %s", text, n < 0 ? strerror(errno) : "length");
    cr_assert_arr_eq(got, text, (size_t)n);
}

static inline void far_says(struct rig *r, const char *text)
{
    cr_assert_eq(
        sendto(r->far, text, strlen(text), 0, (struct sockaddr *)&r->udp_at, sizeof r->udp_at),
        (ssize_t)strlen(text));
}

#endif

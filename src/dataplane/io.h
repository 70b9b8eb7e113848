/*
 * The engine under a worker: how packets enter and leave the process, by
 * io_uring (uring.h) or by poll(2) (poll_engine.h), as io_engine.h chose. The packet
 * path (outbound, inbound) and the worker know only this.
 *
 * Order of calls, each turn: wait (hands everything queued to the kernel and
 * sleeps until something happens), reap (tells completions through the sink and
 * collects arrivals), then next_read / next_receive as long as there is room
 * for what they give, and send / write for what comes of it. Once: start before
 * the first turn, stop after the last.
 *
 * Ownership: an arrival's buffer is the caller's until done_read /
 * done_receive. Memory given to send and write must stay until the sink has
 * been told its token, and is told in reap alone. Sends by one socket leave in
 * the order they were queued.
 *
 * Bounds: a turn gives at most VELD_IO_BUFFERS reads, however many there are, so
 * that what comes of them leaves soon. Of sends and of writes, at most VELD_IO_SENDS_MAX and
 * VELD_IO_WRITES_MAX are queued and not told. Hence every queue inside has
 * room, also while the kernel takes nothing.
 *
 * Thread: the worker's, but for open and close (control, while it does not run).
 */
#ifndef VELD_DATAPLANE_IO_H
#define VELD_DATAPLANE_IO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define VELD_IO_BUFFERS    32 /* each way; a power of two */
#define VELD_IO_SENDS_MAX  448
#define VELD_IO_WRITES_MAX 256
#define VELD_IO_PACKET_MAX (40u + 65535u) /* an IPv6 payload length and its header */
#define VELD_IO_FOREVER    UINT64_MAX

/*
 * Descriptors are borrowed: close the engine first. `wake_fd` is a blocking
 * eventfd: what is written to it ends a wait.
 */
struct veld_io_config {
    int tun_fd, wake_fd;
    int udp_fd;  /* received on, and sent from */
    int lane_fd; /* sent from only: the worker's own source port. -1: there is none */
};

/* Which socket a send leaves by. */
enum veld_io_socket { VELD_IO_MAIN, VELD_IO_LANE, VELD_IO_SOCKETS };

/* One read of the TUN queue: virtio header, packet. */
struct veld_tun_read {
    uint8_t *data;
    uint32_t len;
    uint16_t buffer;
};

/*
 * One receive: datagrams of one sender and one ECN field, all `segment` long but
 * the last, which may be shorter.
 */
struct veld_udp_receive {
    uint8_t *data;
    uint32_t len;
    uint32_t segment;
    uint16_t buffer;
    bool truncated;
    uint8_t ecn;                 /* of the outer IP header, RFC 3168 */
    const struct sockaddr *from; /* in the buffer */
    socklen_t from_len;
};

/* Whom completions are told; `result` is bytes or a negative errno. */
struct veld_io_sink {
    void *ctx;
    void (*sent)(void *ctx, uint32_t token, int result);
    void (*written)(void *ctx, uint32_t token, int result);
};

struct veld_io {
    const struct veld_io_ops *ops;
    struct veld_io_sink sink; /* set by the worker before start */
};

struct veld_io_ops {
    const char *name;
    /* On the worker's own thread, before the first turn. 0 or a negative errno. */
    int (*start)(struct veld_io *io);
    /*
     * On the worker's own thread, after the last turn, also when start failed:
     * nothing of the kernel's holds the descriptors any more. What was queued
     * and is not told by then never is.
     */
    void (*stop)(struct veld_io *io);
    void (*wait)(struct veld_io *io, uint64_t timeout_ns);
    void (*reap)(struct veld_io *io, uint64_t now_ns);
    bool (*next_read)(struct veld_io *io, struct veld_tun_read *out);
    bool (*next_receive)(struct veld_io *io, struct veld_udp_receive *out);
    void (*done_read)(struct veld_io *io, uint16_t buffer);
    void (*done_receive)(struct veld_io *io, uint16_t buffer);
    /* Queue one; never blocks. */
    void (*send)(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                 uint32_t token);
    void (*write)(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token);
    /* At once, for the rare case that must not wait: bytes or a negative errno. */
    int (*send_now)(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg);
    void (*close)(struct veld_io *io);
};

#endif

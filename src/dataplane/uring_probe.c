#include "dataplane/uring.h"

#include "dataplane/uring_buffers.h"
#include "dataplane/uring_ring.h"

#include <errno.h>
#include <unistd.h>

/*
 * Newer than liburing 2.3's list. Multishot read came with 6.7 and is sound from
 * 6.8, the first to have this request, which we never make.
 */
#define OP_FIXED_FD_INSTALL 54

#define BUFFERS     4
#define BUFFER_SIZE 256
#define PROBE_S     2 /* what is sent is there at once; a kernel that loses it is not waited for */

static const char word[] = "veld";

/* Send by `from`, and see a request that is queued receive it as ours are to. */
static int try_request(struct io_uring *ring, int from)
{
    struct __kernel_timespec ts = {.tv_sec = PROBE_S};
    struct io_uring_cqe *cqe = NULL;
    if (send(from, word, sizeof word, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    int rc = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &ts, NULL);
    if (rc < 0 || !cqe)
        return rc < 0 ? rc : -ETIME;
    bool multishot = cqe->flags & IORING_CQE_F_MORE,
         provided = cqe->flags & IORING_CQE_F_BUFFER;
    rc = cqe->res < 0 ? cqe->res : multishot && provided ? 0 : -EINVAL;
    io_uring_cqe_seen(ring, cqe);
    return rc;
}

/* `fds`: a pair of datagram sockets, registered if `fixed`. */
static int try_receive(struct io_uring *ring, const int fds[2], bool fixed)
{
    struct msghdr shape = {0};
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_recvmsg_multishot(sqe, fixed ? 0 : fds[0], &shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT | (fixed ? IOSQE_FIXED_FILE : 0);
    return try_request(ring, fds[1]);
}

static int try_read(struct io_uring *ring, const int fds[2])
{
    veld_uring_prep_read_multishot(io_uring_get_sqe(ring), fds[1], 0);
    return try_request(ring, fds[0]);
}

static bool knows_request(struct io_uring *ring, int op)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool knows = probe && io_uring_opcode_supported(probe, op);
    io_uring_free_probe(probe);
    return knows;
}

static int try_ring(struct io_uring *ring, struct veld_uring_buffers *buffers,
                    struct veld_uring_features *out)
{
    int fds[2];
    int rc = veld_uring_buffers_init(buffers, ring, 0, BUFFERS, BUFFER_SIZE);
    if (rc < 0)
        return rc;
    veld_uring_buffers_fill(buffers);
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    out->fixed_files = io_uring_register_files(ring, fds, 2) == 0;
    rc = veld_uring_ring_enable(ring);
    if (rc == 0)
        rc = try_receive(ring, fds, out->fixed_files);
    if (rc == 0)
        out->read_multishot =
            knows_request(ring, OP_FIXED_FD_INSTALL) && try_read(ring, fds) == 0;
    close(fds[0]);
    close(fds[1]);
    return rc;
}

int veld_uring_probe(struct veld_uring_features *out, struct veld_diag *diag)
{
    struct io_uring ring;
    struct veld_uring_buffers buffers = {0};
    struct veld_uring_features found = {.defer_taskrun = true};
    int rc = veld_uring_ring_make(&ring, BUFFERS, 2 * BUFFERS, true);
    if (rc == -EINVAL) {
        found.defer_taskrun = false;
        rc = veld_uring_ring_make(&ring, BUFFERS, 2 * BUFFERS, false);
    }
    if (rc < 0)
        return veld_uring_explain(rc, diag);
    rc = try_ring(&ring, &buffers, &found);
    io_uring_queue_exit(&ring);
    veld_uring_buffers_free(&buffers);
    if (rc < 0)
        return veld_uring_explain(rc, diag);
    *out = found;
    return 0;
}

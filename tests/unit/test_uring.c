/* What is io_uring's alone (test_io.c has the rest): a kernel that takes no requests. */
#include "support/io_rig.h"

#include "dataplane/uring_buffers.h"

#include <liburing.h>
#include <stdio.h>

/* Linked in place of liburing's: what the kernel answers instead; 0: what it does. */
static int refusal;
static unsigned refused;

int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                            unsigned n, struct __kernel_timespec *ts,
                                            sigset_t *mask)
{
    refused += refusal != 0;
    return refusal ? refusal : __real_io_uring_submit_and_wait_timeout(ring, cqe, n, ts, mask);
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
    refused += refusal != 0;
    return refusal ? refusal : __real_io_uring_submit_and_get_events(ring);
}

/* All that may be queued waits, in order, and leaves when the kernel takes it again. */
static void queue_while_refused(int error)
{
    static char texts[VELD_IO_SENDS_MAX][8];
    struct rig *r = rig_start(URING, -1);
    struct sockaddr_in from;
    int bytes = 4 << 20;
    setsockopt(r->far, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    turn(r, 0);
    refusal = error;
    for (unsigned i = 0; i < VELD_IO_SENDS_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "%u", i);
        send_text(r, VELD_IO_MAIN, texts[i], i);
    }
    struct iovec iov = {texts[0], 1};
    for (unsigned i = 0; i < VELD_IO_WRITES_MAX; i++)
        r->io->ops->write(r->io, &iov, 1, i);
    uint64_t before = veld_clock_mono_ns();
    refused = 0;
    for (unsigned i = 0; i < 50; i++)
        turn(r, i % 2 ? 0 : VELD_IO_FOREVER);
    cr_assert_eq(refused, 50);
    cr_assert_geq(veld_clock_mono_ns() - before, 40 * VELD_NS_PER_MS, "it does not spin");
    cr_assert_eq(r->n_sent + r->n_written, 0, "nothing is told of what was not taken");
    refusal = 0;
    while (r->n_sent < VELD_IO_SENDS_MAX)
        turn(r, VELD_NS_PER_S);
    for (unsigned i = 0; i < VELD_IO_SENDS_MAX; i++) {
        cr_assert_eq(r->sent[i].token, i);
        cr_assert_eq(r->sent[i].result, (int)strlen(texts[i]));
        far_expects(r, texts[i], &from);
    }
    rig_end(r);
}

Test(uring, requests_wait_while_the_kernel_is_busy, .timeout = 20)
{
    queue_while_refused(-EBUSY);
}

Test(uring, requests_wait_while_the_kernel_has_no_memory, .timeout = 20)
{
    queue_while_refused(-EAGAIN);
}

/* Not even a stop waits for ever for such a kernel. */
Test(uring, stop_is_bounded, .timeout = 20)
{
    struct rig *r = rig_start(URING, -1);
    turn(r, 0);
    refusal = -EBUSY;
    uint64_t before = veld_clock_mono_ns();
    rig_end(r);
    cr_assert_lt(veld_clock_mono_ns() - before, 5 * VELD_NS_PER_S);
}

Test(uring, the_probe_tells_what_this_kernel_has)
{
    struct veld_uring_features f;
    if (veld_uring_probe(&f, &diag) < 0)
        cr_skip_test("no io_uring here");
    cr_assert(f.fixed_files, "every kernel with multishot recvmsg has them");
    refusal = -EPERM;
    cr_assert_eq(veld_uring_probe(&f, &diag), VELD_E_PERM);
    refusal = -EINVAL;
    cr_assert_eq(veld_uring_probe(&f, &diag), VELD_E_UNSUPPORTED);
    refusal = -ETIME;
    cr_assert_eq(veld_uring_probe(&f, &diag), VELD_E_IO);
}

/* The kernel takes each of the ring's buffers once, writes `len` bytes, and gets all back. */
static unsigned pass(struct veld_uring_buffers *b, uint32_t len)
{
    static uint16_t taken; /* which ones is all the same here */
    unsigned n = b->in_ring;
    for (unsigned i = 0; i < n; i++)
        veld_uring_buffers_taken(b, len);
    for (unsigned i = 0; i < n; i++)
        veld_uring_buffers_put(b, taken++ % b->count);
    veld_uring_buffers_fill(b);
    return b->in_ring;
}

Test(uring, as_many_buffers_as_a_cache_holds_and_never_too_few)
{
    struct io_uring ring;
    struct veld_uring_buffers b;
    if (io_uring_queue_init(4, &ring, 0) < 0)
        cr_skip_test("no io_uring here");
    cr_assert_eq(veld_uring_buffers_init(&b, &ring, 0, VELD_IO_BUFFERS, 65536), 0);
    cr_assert_eq(b.in_ring, 0);
    veld_uring_buffers_fill(&b);
    cr_assert_eq(b.in_ring, VELD_URING_RING_MIN, "what is never touched costs no memory");
    unsigned n = 0;
    for (int i = 0; i < 20; i++)
        n = pass(&b, 100);
    cr_assert_eq(n, VELD_IO_BUFFERS);
    for (int i = 0; i < 20; i++)
        n = pass(&b, 65536);
    cr_assert_eq(n, VELD_URING_RING_MIN);
    for (int i = 0; i < 20; i++)
        n = pass(&b, 20000);
    cr_assert_eq(n, VELD_URING_WORKING_SET / 20001);
    cr_assert_eq(b.in_ring + b.n_spare, VELD_IO_BUFFERS);
    io_uring_queue_exit(&ring);
    veld_uring_buffers_free(&b);
}

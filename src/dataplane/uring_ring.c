#include "dataplane/uring_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int veld_uring_ring_make(struct io_uring *ring, unsigned sq_entries, unsigned cq_entries,
                         bool defer_taskrun)
{
    /* Disabled until the worker enables it: it shall be the single issuer, not its maker. */
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED |
                                         IORING_SETUP_SINGLE_ISSUER,
                                .cq_entries = cq_entries};
    p.flags |= defer_taskrun ? IORING_SETUP_DEFER_TASKRUN : IORING_SETUP_COOP_TASKRUN;
    return io_uring_queue_init_params(sq_entries, ring, &p);
}

int veld_uring_ring_enable(struct io_uring *ring)
{
    /* liburing 2.3 declares a call for it, but lacks it. */
    long rc =
        syscall(__NR_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    return rc < 0 ? -errno : 0;
}

int veld_uring_explain(int error, struct veld_diag *diag)
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

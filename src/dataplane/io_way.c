#include "dataplane/io_way.h"

#include "base/bytes.h"
#include "base/log.h"

#include <errno.h>

/* Nothing there, no buffer, a signal, taken back: no fault of the way. */
static const int harmless[] = {EAGAIN, ENOBUFS, EINTR, ECANCELED};

void veld_io_way_failed(struct veld_io_way *w, int error, uint64_t now_ns)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(harmless); i++) {
        if (error == harmless[i]) {
            w->errors = 0;
            return;
        }
    }
    VELD_LOG_LIMITED(VELD_LOG_WARN, now_ns, "%s failed: %s", w->what, strerror(error));
    if (w->errors++ > 0)
        w->rest_until_ns = now_ns + VELD_IO_REST_NS;
}

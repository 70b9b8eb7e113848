#include "dataplane/io_engine.h"

#include "base/bytes.h"
#include "base/log.h"
#include "dataplane/poll_engine.h"

#include <stdio.h>

static const char *const names[] = {
#define X(name, text) [VELD_DP_ENGINE_##name] = (text),
    VELD_DP_ENGINES(X)
#undef X
};

const char *veld_dataplane_engine_name(enum veld_dataplane_engine engine)
{
    return names[engine];
}

int veld_dataplane_engine_parse(const char *text, enum veld_dataplane_engine *out)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum veld_dataplane_engine)i;
            return 0;
        }
    }
    return VELD_E_FORMAT;
}

static void use_poll(struct veld_io_engine *e)
{
    e->kind = VELD_DP_ENGINE_POLL;
    snprintf(e->features, sizeof e->features, "recvmmsg, sendmmsg");
}

static void use_uring(struct veld_io_engine *e)
{
    e->kind = VELD_DP_ENGINE_IO_URING;
    snprintf(e->features, sizeof e->features, "%s%s%s",
             e->uring.read_multishot ? "multishot read" : "poll and read",
             e->uring.defer_taskrun ? ", deferred task work" : "",
             e->uring.fixed_files ? ", fixed files" : "");
}

int veld_io_engine_choose(struct veld_io_engine *out, enum veld_dataplane_engine wanted,
                          struct veld_diag *diag)
{
    struct veld_diag why;
    *out = (struct veld_io_engine){0};
    if (wanted == VELD_DP_ENGINE_POLL) {
        use_poll(out);
        return 0;
    }
    int rc = veld_uring_probe(&out->uring, &why);
    if (rc == 0) {
        use_uring(out);
        return 0;
    }
    if (wanted == VELD_DP_ENGINE_IO_URING)
        return veld_fail(diag, rc, "%s; or use the other engine: --engine poll", why.text);
    veld_info("packets are carried by poll, not by io_uring: %s", why.text);
    use_poll(out);
    return 0;
}

int veld_io_engine_open(const struct veld_io_engine *e, struct veld_io **out,
                        const struct veld_io_config *cfg, struct veld_diag *diag)
{
    return e->kind == VELD_DP_ENGINE_IO_URING ? veld_uring_open(out, cfg, &e->uring, diag)
                                              : veld_poll_open(out, cfg, diag);
}

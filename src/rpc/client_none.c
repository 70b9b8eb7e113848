/* The client of a build without gRPC: none is opened, so the rest is never reached. */
#include "rpc/client.h"

int veld_rpc_open(struct veld_rpc_client **out, const struct veld_rpc_server *server,
                  struct veld_diag *diag)
{
    *out = NULL;
    return veld_fail(diag, VELD_E_UNSUPPORTED,
                     "this build of veld talks to no coord server, since it was made without "
                     "gRPC: install one with it, or give the peers in a config file");
}

void veld_rpc_close(struct veld_rpc_client *c)
{
}

const char *veld_rpc_address(const struct veld_rpc_client *c)
{
    return "";
}

int veld_rpc_call(struct veld_rpc_client *c, const struct veld_rpc_key *key, const char *method,
                  const void *body, size_t len, int timeout_ms, veld_rpc_done_fn *done,
                  void *ctx)
{
    return VELD_E_UNSUPPORTED;
}

int veld_rpc_call_wait(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                       const char *method, const void *body, size_t len, int timeout_ms,
                       struct veld_blob *reply, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_UNSUPPORTED, "this build has no gRPC");
}

int veld_rpc_stream(struct veld_rpc_client *c, const struct veld_rpc_key *key,
                    const char *method, const void *body, size_t len,
                    veld_rpc_message_fn *message, veld_rpc_done_fn *done, void *ctx,
                    uint64_t *stream)
{
    return VELD_E_UNSUPPORTED;
}

void veld_rpc_stream_cancel(struct veld_rpc_client *c, uint64_t stream)
{
}

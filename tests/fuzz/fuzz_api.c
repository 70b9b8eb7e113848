/* Routing and argument checks: "METHOD URL\n", then the body. */
#include "control/api/api.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *status(void *ctx)
{
    return json_object();
}

static const char *pubkey(void *ctx)
{
    return "key";
}

static int ping(void *ctx, const char *peer, struct veld_api_request *req,
                struct veld_diag *diag)
{
    return peer[0] == 'b' ? 0 : veld_fail(diag, VELD_E_NOENT, "no peer %s", peer);
}

static int rekey(void *ctx, const char *peer, struct veld_api_request *req,
                 struct veld_diag *diag)
{
    return peer ? ping(ctx, peer, req, diag) : 0;
}

static int netcheck(void *ctx, struct veld_api_request *req, struct veld_diag *diag)
{
    return 0;
}

static int trust(void *ctx, json_t **out, struct veld_diag *diag)
{
    *out = json_object();
    return 0;
}

static int change_trust(void *ctx, const char *name, json_t **out, struct veld_diag *diag)
{
    struct veld_diag unused;
    return ping(ctx, name, NULL, &unused) < 0 ? VELD_E_NOENT : trust(ctx, out, diag);
}

static void down(void *ctx)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct veld_api_ops ops = {.status = status,
                                            .pubkey = pubkey,
                                            .ping = ping,
                                            .rekey = rekey,
                                            .netcheck = netcheck,
                                            .trust = trust,
                                            .trust_accept = change_trust,
                                            .trust_forget = change_trust,
                                            .network_reload = trust,
                                            .down = down};
    char line[64], method[64] = "", url[64] = "";
    const uint8_t *end = memchr(data, '\n', size);
    size_t len = end ? (size_t)(end - data) : size;
    snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line),
             (const char *)data);
    sscanf(line, "%63s %63s", method, url);
    const char *body = end ? (const char *)end + 1 : "";
    size_t body_len = end ? size - len - 1 : 0;
    json_t *out;
    unsigned code = veld_api_handle(&ops, method, url, body, body_len, NULL, &out);
    if (code == 202 ? out != NULL : !json_is_object(out))
        abort();
    json_decref(out);
    return 0;
}

#include "control/api/api.h"

#include "base/bytes.h"
#include "wire/datagram.h"

#include <microhttpd.h>
#include <string.h>

#define PEER_TEXT_MAX 64 /* a name, an address or a public key */

struct call {
    const struct veld_api_ops *ops;
    const char *body;
    size_t len;
    struct veld_api_request *req;
};

static unsigned refuse(json_t **out, unsigned status, const char *what)
{
    *out = json_pack("{s:s}", "error", what);
    return status;
}

static unsigned answer(json_t **out, json_t *body)
{
    if (!body)
        return refuse(out, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    *out = body;
    return MHD_HTTP_OK;
}

static unsigned get_status(const struct call *c, json_t **out)
{
    return answer(out, c->ops->status(c->ops->ctx));
}

static unsigned get_version(const struct call *c, json_t **out)
{
    return answer(out, json_pack("{s:s, s:i}", "version", VELD_VERSION, "protocol",
                                 VELD_PROTOCOL_VERSION));
}

static unsigned get_pubkey(const struct call *c, json_t **out)
{
    return answer(out, json_pack("{s:s}", "pubkey", c->ops->pubkey(c->ops->ctx)));
}

static unsigned status_of(int err)
{
    switch (err) {
    case VELD_E_NOENT: return MHD_HTTP_NOT_FOUND;
    case VELD_E_STATE: return MHD_HTTP_CONFLICT;
    case VELD_E_FULL:
    case VELD_E_LIMIT: return MHD_HTTP_SERVICE_UNAVAILABLE;
    default: return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

/* The object {`key`: TEXT} and nothing else; NULL when it is not that. Borrowed from `body`. */
static const char *only_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    bool right =
        text && json_object_size(body) == 1 && text[0] && strlen(text) <= PEER_TEXT_MAX;
    return right ? text : NULL;
}

/* Answered later, or refused at once with `rc`. */
static unsigned accepted(json_t **out, int rc, const struct veld_diag *diag)
{
    return rc == 0 ? MHD_HTTP_ACCEPTED
                   : refuse(out, status_of(rc), diag->text[0] ? diag->text : veld_strerror(rc));
}

static unsigned post_ping(const struct call *c, json_t **out)
{
    struct veld_diag diag = {.text = ""};
    json_t *body = json_loadb(c->body, c->len, JSON_REJECT_DUPLICATES, NULL);
    const char *peer = only_of(body, "peer");
    unsigned status =
        peer ? accepted(out, c->ops->ping(c->ops->ctx, peer, c->req, &diag), &diag)
             : refuse(out, MHD_HTTP_BAD_REQUEST, "the body must be {\"peer\": \"NAME\"}");
    json_decref(body);
    return status;
}

static unsigned post_rekey(const struct call *c, json_t **out)
{
    struct veld_diag diag = {.text = ""};
    json_t *body = json_loadb(c->body, c->len, JSON_REJECT_DUPLICATES, NULL);
    const char *peer = only_of(body, "peer");
    bool all = json_is_object(body) && json_object_size(body) == 0;
    unsigned status =
        peer || all ? accepted(out, c->ops->rekey(c->ops->ctx, peer, c->req, &diag), &diag)
                    : refuse(out, MHD_HTTP_BAD_REQUEST,
                             "the body must be {\"peer\": \"NAME\"}, or {} for all");
    json_decref(body);
    return status;
}

static unsigned post_netcheck(const struct call *c, json_t **out)
{
    struct veld_diag diag = {.text = ""};
    return accepted(out, c->ops->netcheck(c->ops->ctx, c->req, &diag), &diag);
}

/* Answered at once, or refused with `rc`. */
static unsigned answered(json_t **out, int rc, json_t *body, const struct veld_diag *diag)
{
    return rc == 0 ? answer(out, body)
                   : refuse(out, status_of(rc), diag->text[0] ? diag->text : veld_strerror(rc));
}

static unsigned get_trust(const struct call *c, json_t **out)
{
    struct veld_diag diag = {.text = ""};
    json_t *body = NULL;
    int rc = c->ops->trust(c->ops->ctx, &body, &diag);
    return answered(out, rc, body, &diag);
}

static unsigned change_trust(const struct call *c, json_t **out,
                             int (*change)(void *ctx, const char *name, json_t **out,
                                           struct veld_diag *diag))
{
    struct veld_diag diag = {.text = ""};
    json_t *body = json_loadb(c->body, c->len, JSON_REJECT_DUPLICATES, NULL), *reply = NULL;
    const char *name = only_of(body, "name");
    int rc = name ? change(c->ops->ctx, name, &reply, &diag) : 0;
    unsigned status =
        name ? answered(out, rc, reply, &diag)
             : refuse(out, MHD_HTTP_BAD_REQUEST, "the body must be {\"name\": \"NAME\"}");
    json_decref(body);
    return status;
}

static unsigned post_trust_accept(const struct call *c, json_t **out)
{
    return change_trust(c, out, c->ops->trust_accept);
}

static unsigned post_trust_forget(const struct call *c, json_t **out)
{
    return change_trust(c, out, c->ops->trust_forget);
}

static unsigned post_network_reload(const struct call *c, json_t **out)
{
    struct veld_diag diag = {.text = ""};
    json_t *reply = NULL;
    int rc = c->ops->network_reload(c->ops->ctx, &reply, &diag);
    return answered(out, rc, reply, &diag);
}

static unsigned post_down(const struct call *c, json_t **out)
{
    c->ops->down(c->ops->ctx);
    return answer(out, json_pack("{s:b}", "stopping", 1));
}

static const struct {
    const char *method, *url;
    unsigned (*handle)(const struct call *c, json_t **out);
} routes[] = {
    {"GET", "/v1/status", get_status},
    {"GET", "/v1/version", get_version},
    {"GET", "/v1/pubkey", get_pubkey},
    {"POST", "/v1/ping", post_ping},
    {"POST", "/v1/rekey", post_rekey},
    {"POST", "/v1/netcheck", post_netcheck},
    {"POST", "/v1/down", post_down},
    {"GET", "/v1/trust", get_trust},
    {"POST", "/v1/trust/accept", post_trust_accept},
    {"POST", "/v1/trust/forget", post_trust_forget},
    {"POST", "/v1/network/reload", post_network_reload},
};

unsigned veld_api_handle(const struct veld_api_ops *ops, const char *method, const char *url,
                         const char *body, size_t len, struct veld_api_request *req,
                         json_t **out)
{
    const struct call c = {.ops = ops, .body = body, .len = len, .req = req};
    bool known = false;
    *out = NULL;
    if (len > VELD_API_BODY_MAX)
        return refuse(out, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
    for (size_t i = 0; i < VELD_ARRAY_LEN(routes); i++) {
        if (strcmp(url, routes[i].url) != 0)
            continue;
        known = true;
        if (strcmp(method, routes[i].method) == 0)
            return routes[i].handle(&c, out);
    }
    if (known)
        return refuse(out, MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes another method");
    return refuse(out, MHD_HTTP_NOT_FOUND, "no such path");
}

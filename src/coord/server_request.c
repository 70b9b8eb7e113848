/* What a call asks for: the coord service, the health service, or nothing there is. */
#include "coord/server_impl.h"

#include "base/bytes.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/health/v1/health.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define COORD_PATH  "/veld.coord.v1.Coord/"
#define HEALTH_PATH "/grpc.health.v1.Health/Check"
#define COORD_NAME  "veld.coord.v1.Coord"
#define METHOD_MAX  64 /* characters of a method's name, and NUL */
#define AUTH_KEY    "veld-auth-bin"
#define HEALTH_MAX  256 /* bytes of a HealthCheckRequest: a name; nobody signs them */

static bool slice_is(grpc_slice s, const char *text)
{
    return grpc_slice_str_cmp(s, text) == 0;
}

/* The name behind COORD_PATH; false when it is another service's, or too long to be one of ours. */
static bool coord_method(grpc_slice path, char out[METHOD_MAX])
{
    size_t prefix = strlen(COORD_PATH), len = GRPC_SLICE_LENGTH(path);
    if (len <= prefix || len - prefix >= METHOD_MAX ||
        !grpc_slice_buf_start_eq(path, COORD_PATH, prefix))
        return false;
    memcpy(out, GRPC_SLICE_START_PTR(path) + prefix, len - prefix);
    out[len - prefix] = '\0';
    return true;
}

static void find_auth(const struct server_call *c, struct veld_service_request *r)
{
    for (size_t i = 0; i < c->metadata.count; i++) {
        const grpc_metadata *m = &c->metadata.metadata[i];
        if (slice_is(m->key, AUTH_KEY)) {
            r->auth = GRPC_SLICE_START_PTR(m->value);
            r->auth_len = GRPC_SLICE_LENGTH(m->value);
            return;
        }
    }
}

/* ---- Health ---- */

static void answer_health(struct server_call *c, const uint8_t *body, size_t len)
{
    Grpc__Health__V1__HealthCheckRequest *q =
        len > HEALTH_MAX ? NULL
                         : grpc__health__v1__health_check_request__unpack(NULL, len, body);
    if (!q) {
        server_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "malformed HealthCheckRequest");
        return;
    }
    bool known = q->service[0] == '\0' || strcmp(q->service, COORD_NAME) == 0;
    grpc__health__v1__health_check_request__free_unpacked(q, NULL);
    if (!known) {
        server_call_fail(c, VELD_CODE_NOT_FOUND, "no such service; there is " COORD_NAME);
        return;
    }
    Grpc__Health__V1__HealthCheckResponse a = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    a.status = c->server->state == SERVER_SERVING
                   ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                   : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    uint8_t bytes[16];
    size_t n = grpc__health__v1__health_check_response__pack(&a, bytes);
    if (veld_blob_set(&c->reply, bytes, n) < 0)
        server_call_fail(c, VELD_CODE_RESOURCE_EXHAUSTED, "out of memory");
    else
        server_call_decide(c);
}

/* ---- All ---- */

static void ask_service(struct server_call *c, const struct veld_service_request *r,
                        const struct veld_now *now)
{
    struct veld_server *s = c->server;
    if (strcmp(r->method, "Watch") == 0) {
        server_watch_begin(c, r, now);
        return;
    }
    veld_service_call(s->service, r, now, &c->reply, &c->status);
    c->of_service = strcmp(r->method, "Hello") != 0;
    server_call_decide(c);
}

static void dispatch(struct server_call *c, const uint8_t *body, size_t len,
                     const struct veld_now *now)
{
    char method[METHOD_MAX];
    if (slice_is(c->details.method, HEALTH_PATH)) {
        answer_health(c, body, len);
    } else if (coord_method(c->details.method, method)) {
        struct veld_service_request r = {
            .method = method, .from = c->from, .body = body, .len = len};
        find_auth(c, &r);
        ask_service(c, &r, now);
    } else {
        server_call_fail(c, VELD_CODE_UNIMPLEMENTED, "no such method; there is " COORD_NAME);
    }
}

void server_request_handle(struct server_call *c, const struct veld_now *now)
{
    grpc_byte_buffer_reader reader;
    if (!c->message) {
        server_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "the request has no message");
        return;
    }
    /* What unpacks to much more than was sent is not unpacked. */
    if (c->message->data.raw.compression != GRPC_COMPRESS_NONE ||
        !grpc_byte_buffer_reader_init(&reader, c->message)) {
        server_call_fail(c, VELD_CODE_UNIMPLEMENTED,
                         "the message is compressed; send it as it is");
        return;
    }
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(c->message);
    c->message = NULL;
    dispatch(c, GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole), now);
    grpc_slice_unref(whole);
}

#include "coord/call.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/primitives.h"
#include "trust/rpc_auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_HEAD  5 /* compressed 1, length 4 */
#define MESSAGE_MAX (4u << 20)
#define UNAVAILABLE 14

static void sign(struct call *c, const struct bench_member *who, const uint8_t certificate[32],
                 const struct veld_blob *body)
{
    struct veld_rpc_auth auth = {.time_ns = veld_clock_now().wall_ns};
    uint8_t encoded[VELD_RPC_AUTH_MAX];
    _Static_assert(sizeof c->auth > 4 * (VELD_RPC_AUTH_MAX / 3 + 1), "in base64");
    memcpy(auth.key, who->pub, sizeof auth.key);
    veld_random(auth.nonce, sizeof auth.nonce);
    size_t size =
        veld_rpc_sign(encoded, who->seed, &auth, c->path, certificate, body->p, body->len);
    EVP_EncodeBlock((unsigned char *)c->auth, encoded, (int)size);
}

struct call *call_new(const struct bench_member *who, const uint8_t certificate[32],
                      const char *method, const struct veld_blob *body,
                      const struct call_handler *handler)
{
    struct call *c = calloc(1, sizeof *c);
    uint8_t *framed = malloc(FRAME_HEAD + body->len);
    if (!c || !framed) {
        free(c);
        free(framed);
        return NULL;
    }
    c->handler = *handler;
    c->code = -1;
    snprintf(c->path, sizeof c->path, "/veld.coord.v1.Coord/%s", method);
    if (who)
        sign(c, who, certificate, body);
    framed[0] = 0;
    veld_store_be32(framed + 1, (uint32_t)body->len);
    if (body->len)
        memcpy(framed + FRAME_HEAD, body->p, body->len);
    c->out = (struct veld_blob){.p = framed, .len = FRAME_HEAD + body->len};
    return c;
}

void call_link(struct call *c, struct call **list)
{
    c->next = *list;
    c->at = list;
    if (c->next)
        c->next->at = &c->next;
    *list = c;
}

static void unlink_call(struct call *c)
{
    if (!c->at)
        return;
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
}

static ssize_t read_body(nghttp2_session *h2, int32_t stream, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct call *c = source->ptr;
    size_t n = VELD_MIN(room, c->out.len - c->sent);
    memcpy(to, c->out.p + c->sent, n);
    c->sent += n;
    if (c->sent == c->out.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = strlen(value)};
}

void call_submit(struct call *c, nghttp2_session *h2, const char *authority)
{
    const nghttp2_nv fields[] = {
        field(":method", "POST"),        field(":scheme", "https"),
        field(":path", c->path),         field(":authority", authority),
        field("te", "trailers"),         field("content-type", "application/grpc"),
        field("veld-auth-bin", c->auth),
    };
    nghttp2_data_provider body = {.source.ptr = c, .read_callback = read_body};
    (void)nghttp2_submit_request(h2, NULL, fields, VELD_ARRAY_LEN(fields) - !c->auth[0], &body,
                                 c);
}

static bool is(const uint8_t *name, size_t len, const char *what)
{
    return len == strlen(what) && memcmp(name, what, len) == 0;
}

void call_header(struct call *c, const uint8_t *name, size_t name_len, const uint8_t *value,
                 size_t value_len)
{
    if (is(name, name_len, "grpc-status"))
        c->code = atoi((const char *)value); /* nghttp2 ends it with a zero */
    else if (is(name, name_len, "grpc-message"))
        snprintf(c->text, sizeof c->text, "%.*s", (int)value_len, value);
}

static void whole_message(struct call *c, const uint8_t *p, size_t len)
{
    if (c->handler.event) {
        c->handler.event(c->handler.ctx, p, len);
        return;
    }
    free(c->reply.p);
    c->reply.p = malloc(len ? len : 1);
    c->reply.len = len;
    if (c->reply.p)
        memcpy(c->reply.p, p, len);
}

/* Whole messages that stand in `p`; how much of it they were. */
static size_t take_whole(struct call *c, const uint8_t *p, size_t len)
{
    size_t at = 0;
    while (len - at >= FRAME_HEAD) {
        size_t size = veld_load_be32(p + at + 1);
        if (size > MESSAGE_MAX || len - at - FRAME_HEAD < size)
            break;
        whole_message(c, p + at + FRAME_HEAD, size);
        at += FRAME_HEAD + size;
    }
    return at;
}

static void keep(struct call *c, const uint8_t *data, size_t len)
{
    if (c->got + len > c->room) {
        c->room = 2 * (c->got + len);
        c->in.p = realloc(c->in.p, c->room);
        if (!c->in.p)
            abort();
    }
    memcpy(c->in.p + c->got, data, len);
    c->got += len;
}

void call_data(struct call *c, const uint8_t *data, size_t len)
{
    if (c->got == 0) { /* mostly a message comes whole */
        size_t done = take_whole(c, data, len);
        if (done < len)
            keep(c, data + done, len - done);
        return;
    }
    keep(c, data, len);
    size_t done = take_whole(c, c->in.p, c->got);
    memmove(c->in.p, c->in.p + done, c->got - done);
    c->got -= done;
    if (c->got > 0)
        return;
    free(c->in.p); /* ten thousand calls keep nothing between messages */
    c->in.p = NULL;
    c->room = 0;
}

void call_end(struct call *c, const char *trouble)
{
    unlink_call(c);
    int code = c->code >= 0 ? c->code : UNAVAILABLE;
    const char *text = c->text[0] ? c->text : trouble ? trouble : "";
    c->handler.done(c->handler.ctx, code, text, code == 0 ? c->reply.p : NULL,
                    code == 0 ? c->reply.len : 0);
    free(c->out.p);
    free(c->in.p);
    free(c->reply.p);
    free(c);
}

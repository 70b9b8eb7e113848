#include "coord/http2_filter.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <stdbool.h>

/* RFC 9113, section 6 */
enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_RST_STREAM = 3, FRAME_CONTINUATION = 9 };
enum { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8, FLAG_PRIORITY = 0x20 };
#define PRIORITY_LEN 5

/* Section 3.4 */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof preface - 1)

const char *veld_http2_fault_name(enum veld_http2_fault fault)
{
    static const char *const names[VELD_HTTP2_FAULTS] = {"none",    "preface", "frame",
                                                         "headers", "data",    "too_many"};
    return names[fault];
}

/* One frame more of an allowance of `burst` at once and `rate` a second. */
static enum veld_http2_fault spend(struct veld_http2_spent *s, uint32_t burst, uint32_t rate,
                                   uint64_t now_ns)
{
    uint64_t earned = (now_ns - s->as_of_ns) * rate / VELD_NS_PER_S;
    if (s->as_of_ns == 0 || earned >= s->n) {
        s->n = 0;
        s->as_of_ns = now_ns;
    } else {
        s->n -= (uint32_t)earned;
        s->as_of_ns += earned * VELD_NS_PER_S / rate;
    }
    return s->n++ < burst ? VELD_HTTP2_OK : VELD_HTTP2_TOO_MANY;
}

/* One of the frames that cost their sender nothing. */
static enum veld_http2_fault spend_idle(struct veld_http2_filter *f, uint64_t now_ns)
{
    return spend(&f->idle, VELD_HTTP2_IDLE_BURST, VELD_HTTP2_IDLE_RATE, now_ns);
}

/* "A field block ... MUST be transmitted as a contiguous sequence of frames" (section 4.3). */
static enum veld_http2_fault take_headers(struct veld_http2_filter *f, uint8_t type,
                                          uint8_t flags)
{
    if (f->in_block != (type == FRAME_CONTINUATION))
        return VELD_HTTP2_FRAME;
    if (type == FRAME_HEADERS) {
        if (flags & FLAG_PADDED) /* gRPC 1.51 takes the padding for headers */
            return VELD_HTTP2_FRAME;
        f->block = 0;
        f->fields = (struct veld_hpack_count){0};
        f->skip = flags & FLAG_PRIORITY ? VELD_MIN(PRIORITY_LEN, f->left) : 0;
    }
    f->block += f->left;
    f->in_block = !(flags & FLAG_END_HEADERS);
    f->is_block = 1;
    return f->block > VELD_HTTP2_HEADERS_MAX ? VELD_HTTP2_HEADERS : VELD_HTTP2_OK;
}

/* The next `n` bytes of a frame of a block. */
static enum veld_http2_fault count_fields(struct veld_http2_filter *f, const uint8_t *p,
                                          size_t n)
{
    size_t skip = VELD_MIN(n, f->skip);
    f->skip -= (uint32_t)skip;
    return veld_hpack_count(&f->fields, p + skip, n - skip) &&
                   f->fields.fields <= VELD_HTTP2_FIELDS_MAX
               ? VELD_HTTP2_OK
               : VELD_HTTP2_HEADERS;
}

/* The stream's place, or one that is free (stream 0). */
static size_t find_stream(const struct veld_http2_filter *f, uint32_t stream)
{
    for (size_t i = 0; i < VELD_HTTP2_STREAMS_MAX; i++)
        if (f->open[i].stream == stream)
            return i;
    return VELD_HTTP2_STREAMS_MAX;
}

/* Its request is whole, or given up. */
static void end_stream(struct veld_http2_filter *f, uint32_t stream)
{
    size_t i = find_stream(f, stream);
    if (stream == 0 || i == VELD_HTTP2_STREAMS_MAX)
        return;
    f->gathered -= f->open[i].bytes;
    f->open[i].stream = f->open[i].bytes = 0;
}

/* A part of a request, and not its last. */
static enum veld_http2_fault gather(struct veld_http2_filter *f, uint32_t stream)
{
    size_t i = find_stream(f, stream);
    if (i == VELD_HTTP2_STREAMS_MAX)
        i = find_stream(f, 0);
    if (stream == 0 || i == VELD_HTTP2_STREAMS_MAX)
        return VELD_HTTP2_DATA;
    f->open[i].stream = stream;
    f->open[i].bytes += f->left;
    f->gathered += f->left;
    return f->gathered > VELD_HTTP2_DATA_MAX ? VELD_HTTP2_DATA : VELD_HTTP2_OK;
}

static enum veld_http2_fault take_data(struct veld_http2_filter *f, uint32_t stream,
                                       uint64_t now_ns)
{
    if (f->in_block)
        return VELD_HTTP2_FRAME;
    if (f->head[4] & FLAG_END_STREAM) {
        end_stream(f, stream);
        f->idle.n -= VELD_MIN(f->idle.n, VELD_HTTP2_IDLE_CALL);
    } else if (f->left > 0) {
        return gather(f, stream);
    }
    return f->left > 0 ? VELD_HTTP2_OK : spend_idle(f, now_ns);
}

static enum veld_http2_fault take_head(struct veld_http2_filter *f, uint64_t now_ns)
{
    uint8_t type = f->head[3], flags = f->head[4];
    uint32_t stream = veld_load_be32(f->head + 5) & INT32_MAX;
    enum veld_http2_fault fault = VELD_HTTP2_OK;
    f->left = veld_load_be32(f->head) >> 8;
    f->is_block = 0;
    if (f->left > VELD_HTTP2_FRAME_MAX)
        return VELD_HTTP2_FRAME;
    if (type == FRAME_DATA)
        return take_data(f, stream, now_ns);
    if (type == FRAME_HEADERS || type == FRAME_CONTINUATION)
        fault = take_headers(f, type, flags);
    else if (f->in_block)
        return VELD_HTTP2_FRAME;
    if (type == FRAME_RST_STREAM || (type == FRAME_HEADERS && (flags & FLAG_END_STREAM)))
        end_stream(f, stream);
    if (fault)
        return fault;
    return type == FRAME_HEADERS
               ? spend(&f->calls, VELD_HTTP2_CALLS_BURST, VELD_HTTP2_CALLS_RATE, now_ns)
               : spend_idle(f, now_ns);
}

/* How many of `len` bytes are taken: of preface, head or payload. */
static size_t take(struct veld_http2_filter *f, const uint8_t *p, size_t len, uint64_t now_ns)
{
    if (f->preface < PREFACE_LEN) {
        if (*p != (uint8_t)preface[f->preface++])
            f->fault = VELD_HTTP2_PREFACE;
        return 1;
    }
    if (f->left > 0) {
        size_t n = VELD_MIN(len, f->left);
        f->left -= (uint32_t)n;
        if (f->is_block)
            f->fault = count_fields(f, p, n);
        return n;
    }
    f->head[f->have++] = *p;
    if (f->have == sizeof f->head) {
        f->have = 0;
        f->fault = take_head(f, now_ns);
    }
    return 1;
}

enum veld_http2_fault veld_http2_filter(struct veld_http2_filter *f, const uint8_t *p,
                                        size_t len, uint64_t now_ns)
{
    while (len > 0 && !f->fault) {
        size_t n = take(f, p, len, now_ns);
        p += n;
        len -= n;
    }
    return f->fault;
}

#include "coord/http2_filter.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <stdbool.h>

/* RFC 9113, section 6 */
enum { FRAME_DATA = 0, FRAME_HEADERS = 1, FRAME_CONTINUATION = 9 };
enum { FLAG_END_HEADERS = 4 };

/* Section 3.4 */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof preface - 1)

const char *veld_http2_fault_name(enum veld_http2_fault fault)
{
    static const char *const names[VELD_HTTP2_FAULTS] = {"none", "preface", "frame", "headers",
                                                         "too_many"};
    return names[fault];
}

/* One of the frames that cost their sender nothing. */
static enum veld_http2_fault spend(struct veld_http2_filter *f, uint64_t now_ns)
{
    uint64_t earned = (now_ns - f->as_of_ns) * VELD_HTTP2_IDLE_RATE / VELD_NS_PER_S;
    if (f->as_of_ns == 0 || earned >= f->spent) {
        f->spent = 0;
        f->as_of_ns = now_ns;
    } else {
        f->spent -= (uint32_t)earned;
        f->as_of_ns += earned * VELD_NS_PER_S / VELD_HTTP2_IDLE_RATE;
    }
    return f->spent++ < VELD_HTTP2_IDLE_BURST ? VELD_HTTP2_OK : VELD_HTTP2_TOO_MANY;
}

/* "A field block ... MUST be transmitted as a contiguous sequence of frames" (section 4.3). */
static enum veld_http2_fault take_headers(struct veld_http2_filter *f, uint8_t type,
                                          uint8_t flags)
{
    if (f->in_block != (type == FRAME_CONTINUATION))
        return VELD_HTTP2_FRAME;
    f->block = type == FRAME_HEADERS ? f->left : f->block + f->left;
    f->in_block = !(flags & FLAG_END_HEADERS);
    return f->block > VELD_HTTP2_HEADERS_MAX ? VELD_HTTP2_HEADERS : VELD_HTTP2_OK;
}

static enum veld_http2_fault take_head(struct veld_http2_filter *f, uint64_t now_ns)
{
    uint8_t type = f->head[3], flags = f->head[4];
    f->left = veld_load_be32(f->head) >> 8;
    if (f->left > VELD_HTTP2_FRAME_MAX)
        return VELD_HTTP2_FRAME;
    if (type == FRAME_HEADERS)
        return take_headers(f, type, flags);
    if (type == FRAME_CONTINUATION) {
        enum veld_http2_fault fault = take_headers(f, type, flags);
        return fault ? fault : spend(f, now_ns);
    }
    if (f->in_block)
        return VELD_HTTP2_FRAME;
    return type == FRAME_DATA && f->left > 0 ? VELD_HTTP2_OK : spend(f, now_ns);
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

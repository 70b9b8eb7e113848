#include "base/bytes.h"
#include "base/clock.h"
#include "coord/http2_filter.h"

#include <criterion/criterion.h>
#include <string.h>

#define T0 (1000 * VELD_NS_PER_S)

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING = 6, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static struct veld_http2_filter open_connection(void)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct veld_http2_filter f = {.fault = VELD_HTTP2_OK};
    cr_assert_eq(veld_http2_filter(&f, (const uint8_t *)preface, sizeof preface - 1, T0),
                 VELD_HTTP2_OK);
    return f;
}

static enum veld_http2_fault frame_of(struct veld_http2_filter *f, uint32_t stream,
                                      uint8_t type, uint8_t flags, uint32_t len,
                                      uint64_t now_ns)
{
    /* Of headers: one field, whose value goes on to the end of the block and beyond. */
    static uint8_t payload[VELD_HTTP2_FRAME_MAX + 1] = {0, 1, 'a', 0x7f, 0xff, 0xff, 0x7f};
    uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags};
    veld_store_be32(head + 5, stream);
    enum veld_http2_fault fault = veld_http2_filter(f, head, sizeof head, now_ns);
    return fault ? fault : veld_http2_filter(f, payload, len, now_ns);
}

static enum veld_http2_fault frame(struct veld_http2_filter *f, uint8_t type, uint8_t flags,
                                   uint32_t len, uint64_t now_ns)
{
    return frame_of(f, 1, type, flags, len, now_ns);
}

Test(http2_filter, calls_pass)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, SETTINGS, 0, 18, T0), VELD_HTTP2_OK);
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t now = T0 + i * VELD_NS_PER_S / VELD_HTTP2_CALLS_RATE;
        cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 600, now), VELD_HTTP2_OK);
        cr_assert_eq(frame(&f, DATA, 1, VELD_HTTP2_FRAME_MAX, now), VELD_HTTP2_OK);
    }
}

Test(http2_filter, another_protocol_is_none)
{
    struct veld_http2_filter f = {.fault = VELD_HTTP2_OK};
    static const char request[] = "PRI * HTTP/1.1\r\n\r\n";
    cr_assert_eq(veld_http2_filter(&f, (const uint8_t *)request, sizeof request - 1, T0),
                 VELD_HTTP2_PREFACE);
}

Test(http2_filter, a_fault_is_not_forgotten)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, DATA, 0, VELD_HTTP2_FRAME_MAX + 1, T0), VELD_HTTP2_FRAME);
    f.left = f.have = 0; /* wherever it stood */
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 100, T0), VELD_HTTP2_FRAME);
}

Test(http2_filter, a_block_of_headers_is_bounded_however_it_is_cut)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS, VELD_HTTP2_HEADERS_MAX, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS, VELD_HTTP2_HEADERS_MAX + 1, T0),
                 VELD_HTTP2_HEADERS);
    f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, 0, VELD_HTTP2_HEADERS_MAX - 1, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, CONTINUATION, 0, 1, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, CONTINUATION, 0, 1, T0), VELD_HTTP2_HEADERS);
    f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, 0, 100, T0), VELD_HTTP2_OK);
    enum veld_http2_fault fault = VELD_HTTP2_OK;
    for (int i = 0; i <= VELD_HTTP2_IDLE_BURST && !fault; i++)
        fault = frame(&f, CONTINUATION, 0, 0, T0);
    cr_assert_eq(fault, VELD_HTTP2_TOO_MANY, "empty ones go on for ever");
}

Test(http2_filter, the_end_of_a_block_begins_the_count_anew)
{
    struct veld_http2_filter f = open_connection();
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(frame(&f, HEADERS, 0, 2000, T0), VELD_HTTP2_OK);
        cr_assert_eq(frame(&f, CONTINUATION, END_HEADERS, 2000, T0), VELD_HTTP2_OK);
    }
}

Test(http2_filter, nothing_comes_between_headers_and_their_continuation)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, 0, 10, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, DATA, 0, 10, T0), VELD_HTTP2_FRAME);
    f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, 0, 10, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 10, T0), VELD_HTTP2_FRAME);
    f = open_connection();
    cr_assert_eq(frame(&f, CONTINUATION, END_HEADERS, 10, T0), VELD_HTTP2_FRAME);
}

Test(http2_filter, a_frame_is_no_longer_than_all_must_take)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, DATA, 0, VELD_HTTP2_FRAME_MAX + 1, T0), VELD_HTTP2_FRAME);
}

Test(http2_filter, frames_that_cost_nothing_are_counted)
{
    static const uint8_t types[] = {PRIORITY, RST_STREAM, SETTINGS, PING, 0x7f};
    for (size_t i = 0; i < sizeof types; i++) {
        struct veld_http2_filter f = open_connection();
        for (int n = 0; n < VELD_HTTP2_IDLE_BURST; n++)
            cr_assert_eq(frame(&f, types[i], 0, 8, T0), VELD_HTTP2_OK, "%d of type %d", n,
                         types[i]);
        cr_assert_eq(frame(&f, types[i], 0, 8, T0), VELD_HTTP2_TOO_MANY);
    }
    struct veld_http2_filter f = open_connection();
    for (int n = 0; n < VELD_HTTP2_IDLE_BURST; n++)
        cr_assert_eq(frame(&f, DATA, 0, 0, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, DATA, 0, 0, T0), VELD_HTTP2_TOO_MANY, "data without any");
}

Test(http2_filter, the_allowance_comes_back_with_time)
{
    struct veld_http2_filter f = open_connection();
    uint64_t now = T0;
    /* A little slower than the rate, for ten minutes; then the burst is there as well. */
    for (int n = 0; n < 600 * VELD_HTTP2_IDLE_RATE; n++) {
        now += VELD_NS_PER_S / VELD_HTTP2_IDLE_RATE + 1000;
        cr_assert_eq(frame(&f, PING, 0, 8, now), VELD_HTTP2_OK, "frame %d", n);
    }
    for (int n = 0; n < VELD_HTTP2_IDLE_BURST - 1; n++)
        cr_assert_eq(frame(&f, PING, 0, 8, now), VELD_HTTP2_OK, "frame %d of the burst", n);
    /* A little faster: it ends. */
    f = open_connection();
    enum veld_http2_fault fault = VELD_HTTP2_OK;
    int passed = 0;
    for (now = T0; !fault && passed < 100000; passed++) {
        now += VELD_NS_PER_S / (2 * VELD_HTTP2_IDLE_RATE);
        fault = frame(&f, PING, 0, 8, now);
    }
    cr_assert_eq(fault, VELD_HTTP2_TOO_MANY);
    cr_assert(passed > 2 * VELD_HTTP2_IDLE_BURST - 10 &&
                  passed < 2 * VELD_HTTP2_IDLE_BURST + 10,
              "%d", passed);
}

Test(http2_filter, a_request_is_gathered_to_a_bound)
{
    struct veld_http2_filter f = open_connection();
    uint32_t frames = VELD_HTTP2_DATA_MAX / VELD_HTTP2_FRAME_MAX;
    for (uint32_t i = 0; i < frames; i++)
        cr_assert_eq(frame(&f, DATA, 0, VELD_HTTP2_FRAME_MAX, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, DATA, 0, 1, T0), VELD_HTTP2_DATA);
}

Test(http2_filter, requests_of_many_frames_follow_one_another_for_ever)
{
    for (int how = 0; how < 3; how++) {
        struct veld_http2_filter f = open_connection();
        for (uint32_t stream = 1; stream < 1000; stream += 2) {
            uint64_t now = T0 + stream * VELD_NS_PER_S;
            for (int i = 0; i < 64; i++)
                cr_assert_eq(frame_of(&f, stream, DATA, 0, VELD_HTTP2_FRAME_MAX, now),
                             VELD_HTTP2_OK);
            if (how == 0)
                cr_assert_eq(frame_of(&f, stream, DATA, END_STREAM, 100, now), VELD_HTTP2_OK);
            else if (how == 1)
                cr_assert_eq(frame_of(&f, stream, RST_STREAM, 0, 4, now), VELD_HTTP2_OK);
            else
                cr_assert_eq(frame_of(&f, stream, HEADERS, END_HEADERS | END_STREAM, 10, now),
                             VELD_HTTP2_OK);
            cr_assert_eq(f.gathered, 0);
        }
    }
}

Test(http2_filter, streams_with_parts_of_requests_are_bounded)
{
    struct veld_http2_filter f = open_connection();
    uint32_t stream = 1;
    for (int i = 0; i < VELD_HTTP2_STREAMS_MAX; i++, stream += 2)
        cr_assert_eq(frame_of(&f, stream, DATA, 0, 5, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame_of(&f, 1, DATA, 0, 5, T0), VELD_HTTP2_OK, "one of them goes on");
    cr_assert_eq(frame_of(&f, stream, DATA, END_STREAM, 5, T0), VELD_HTTP2_OK, "a whole one");
    cr_assert_eq(frame_of(&f, stream + 2, DATA, 0, 5, T0), VELD_HTTP2_DATA);
    f = open_connection();
    cr_assert_eq(frame_of(&f, 0, DATA, 0, 5, T0), VELD_HTTP2_DATA, "of no stream");
}

Test(http2_filter, calls_at_once_are_bounded)
{
    struct veld_http2_filter f = open_connection();
    for (int i = 0; i < VELD_HTTP2_CALLS_BURST; i++)
        cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 600, T0), VELD_HTTP2_OK);
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 600, T0), VELD_HTTP2_TOO_MANY);
}

/* A block of `fields` fields of one byte each, in a frame. */
static enum veld_http2_fault fields(struct veld_http2_filter *f, uint8_t flags, uint32_t n)
{
    uint8_t p[9 + 256] = {0, (uint8_t)(n >> 8), (uint8_t)n, HEADERS, flags, 0, 0, 0, 1};
    memset(p + 9, 0x82, n);
    return veld_http2_filter(f, p, 9 + n, T0);
}

Test(http2_filter, fields_of_a_block_are_bounded)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(fields(&f, END_HEADERS, VELD_HTTP2_FIELDS_MAX), VELD_HTTP2_OK);
    cr_assert_eq(fields(&f, END_HEADERS, VELD_HTTP2_FIELDS_MAX), VELD_HTTP2_OK,
                 "the next block");
    cr_assert_eq(fields(&f, END_HEADERS, VELD_HTTP2_FIELDS_MAX + 1), VELD_HTTP2_HEADERS);
    /* In pieces, and behind a priority. */
    f = open_connection();
    cr_assert_eq(fields(&f, 0, VELD_HTTP2_FIELDS_MAX), VELD_HTTP2_OK);
    static const uint8_t one_more[] = {0, 0, 1, CONTINUATION, END_HEADERS, 0, 0, 0, 1, 0x82};
    cr_assert_eq(veld_http2_filter(&f, one_more, sizeof one_more, T0), VELD_HTTP2_HEADERS);
    f = open_connection();
    cr_assert_eq(fields(&f, END_HEADERS | 0x20, VELD_HTTP2_FIELDS_MAX + 5), VELD_HTTP2_OK);
    cr_assert_eq(fields(&f, END_HEADERS | 0x20, 3), VELD_HTTP2_OK, "less than a priority");
    cr_assert_eq(fields(&f, END_HEADERS | 0x20, VELD_HTTP2_FIELDS_MAX + 6), VELD_HTTP2_HEADERS);
}

Test(http2_filter, padded_headers_are_none_of_ours)
{
    struct veld_http2_filter f = open_connection();
    cr_assert_eq(frame(&f, HEADERS, END_HEADERS | 8, 10, T0), VELD_HTTP2_FRAME);
}

Test(http2_filter, each_request_may_have_a_few_idle_frames)
{
    struct veld_http2_filter f = open_connection();
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t now = T0 + i * VELD_NS_PER_S / VELD_HTTP2_CALLS_RATE;
        cr_assert_eq(frame(&f, HEADERS, END_HEADERS, 600, now), VELD_HTTP2_OK);
        cr_assert_eq(frame(&f, DATA, END_STREAM, 100, now), VELD_HTTP2_OK);
        for (int n = 0; n < VELD_HTTP2_IDLE_CALL; n++)
            cr_assert_eq(frame(&f, PING, 0, 8, now), VELD_HTTP2_OK, "call %llu",
                         (unsigned long long)i);
    }
    enum veld_http2_fault fault = VELD_HTTP2_OK;
    for (int i = 0; !fault && i < 10000; i++) {
        cr_assert_eq(frame(&f, DATA, END_STREAM, 100, T0), VELD_HTTP2_OK);
        for (int n = 0; !fault && n < VELD_HTTP2_IDLE_CALL + 1; n++)
            fault = frame(&f, PING, 0, 8, T0);
    }
    cr_assert_eq(fault, VELD_HTTP2_TOO_MANY);
}

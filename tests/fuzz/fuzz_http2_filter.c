/*
 * Any bytes as what a client sends, cut anywhere: the same fault as in one piece,
 * and what passes has no block of headers and no frame that is too long. What is
 * gathered is the sum of its streams.
 */
#include "base/bytes.h"
#include "coord/http2_filter.h"

#include <stdbool.h>
#include <stdlib.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whole frames one after another, as they passed. */
static void check(const uint8_t *p, size_t len)
{
    size_t block = 0;
    bool open = false;
    for (size_t at = 24; at + 9 <= len;) {
        size_t n = veld_load_be32(p + at) >> 8;
        uint8_t type = p[at + 3], flags = p[at + 4];
        REQUIRE(n <= VELD_HTTP2_FRAME_MAX);
        REQUIRE(open == (type == 9));
        if (type == 1 || type == 9) {
            block = type == 1 ? n : block + n;
            open = !(flags & 4);
            REQUIRE(block <= VELD_HTTP2_HEADERS_MAX);
        }
        at += 9 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct veld_http2_filter whole = {.fault = VELD_HTTP2_OK}, cut = {.fault = VELD_HTTP2_OK};
    if (size < 1)
        return 0;
    size_t step = data[0] % 32 + 1u;
    data++;
    size--;
    if (veld_http2_filter(&whole, data, size, 1) == VELD_HTTP2_OK)
        check(data, size);
    for (size_t at = 0; at < size; at += step)
        veld_http2_filter(&cut, data + at, VELD_MIN(step, size - at), 1);
    REQUIRE(cut.fault == whole.fault && cut.gathered == whole.gathered);
    for (size_t i = 0; i < VELD_HTTP2_STREAMS_MAX; i++)
        cut.gathered -= cut.open[i].bytes;
    REQUIRE(cut.gathered == 0);
    return 0;
}

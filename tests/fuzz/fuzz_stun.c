/*
 * Any bytes as a STUN message: nothing beyond them is read; a response names an address that
 * can be sent to; a request is answered by nothing longer, which reads as its answer.
 */
#include "stun/stun.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct veld_stun m, back;
    if (veld_stun_parse(data, size, &m) < 0)
        return 0;
    REQUIRE(veld_stun_is(data, size) && memcmp(m.id, data + 8, sizeof m.id) == 0);
    if (m.kind == VELD_STUN_RESPONSE) {
        REQUIRE((m.mapped.ip.family == 4 || m.mapped.ip.family == 6) && m.mapped.port != 0);
        return 0;
    }
    struct veld_endpoint from = {.ip = {.family = size % 2 ? 4 : 6, .b = {1, 2, 3, 4}},
                                 .port = 7};
    uint8_t answer[VELD_STUN_RESPONSE_MAX];
    size_t len;
    if (veld_stun_response_write(answer, &len, &m, size, &from) < 0)
        return 0;
    REQUIRE(len <= size && veld_stun_parse(answer, len, &back) == 0);
    REQUIRE(veld_endpoint_equal(&back.mapped, &from) &&
            memcmp(back.id, m.id, sizeof m.id) == 0);
    return 0;
}

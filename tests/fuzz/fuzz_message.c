/*
 * Any bytes as an in-session control message: what is accepted, written again,
 * comes to the same bytes (of a probe: but for its padding), and a part lies within
 * the message and within its list.
 */
#include "wire/message.h"

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
    struct veld_message m;
    uint8_t again[VELD_MESSAGE_MAX];
    if (veld_message_parse(data, size, &m) < 0)
        return 0;
    if (m.type == VELD_MSG_REVOKED_PART)
        REQUIRE(m.part >= data && m.part + m.part_len == data + size && m.part_len > 0 &&
                m.offset + (uint64_t)m.part_len <= m.total);
    size_t len = veld_message_write(again, &m);
    REQUIRE(len == size || (m.type == VELD_MSG_PROBE && len < size));
    REQUIRE(memcmp(again, data, len) == 0);
    return 0;
}

/* Any bytes as what a server says: what comes out is printable UTF-8 of a bounded length. */
#include "rpc/text.h"

#include <glib.h>
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
    char out[VELD_RPC_TEXT_MAX + 1], again[VELD_RPC_TEXT_MAX + 1];
    size_t len = veld_rpc_text_clean(out, data, size);
    REQUIRE(len <= VELD_RPC_TEXT_MAX && strlen(out) == len);
    REQUIRE(g_utf8_validate(out, (gssize)len, NULL));
    for (const char *p = out; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        REQUIRE(!g_unichar_iscntrl(c) && c != 0x202e && c != 0x200b);
        REQUIRE(c != ' ' || (p > out && p[1] != ' ' && p[1] != '\0'));
    }
    REQUIRE(veld_rpc_text_clean(again, out, len) == len && memcmp(again, out, len) == 0);
    return 0;
}

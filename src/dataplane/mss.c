#include "dataplane/mss.h"

#include "base/bytes.h"

#define TCP_HEADER 20
#define DATA_AT    12

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_MSS_LEN = 4 };

/* A word at an odd offset counts byte-swapped in the sum (RFC 1071, 2 B). */
static uint16_t as_summed(uint16_t word, size_t at)
{
    return at & 1 ? (uint16_t)(word << 8 | word >> 8) : word;
}

static bool lower(uint8_t *tcp, size_t at, size_t mss, enum veld_tcp_csum csum)
{
    uint16_t before = veld_load_be16(tcp + at);
    if (before <= mss)
        return false;
    veld_store_be16(tcp + at, (uint16_t)mss);
    if (csum == VELD_TCP_CSUM_COMPLETE)
        veld_store_be16(tcp + VELD_TCP_CSUM_OFFSET,
                        veld_csum_update(veld_load_be16(tcp + VELD_TCP_CSUM_OFFSET),
                                         as_summed(before, at), as_summed((uint16_t)mss, at)));
    return true;
}

bool veld_mss_clamp(uint8_t *tcp, size_t len, uint8_t family, size_t mtu,
                    enum veld_tcp_csum csum)
{
    size_t headers = (family == 4 ? 20u : 40u) + TCP_HEADER;
    if (len < TCP_HEADER || mtu <= headers)
        return false;
    size_t end = VELD_MIN((size_t)(tcp[DATA_AT] >> 4) * 4, len);
    bool changed = false;
    for (size_t at = TCP_HEADER; at < end && tcp[at] != OPTION_END;) {
        if (tcp[at] == OPTION_NOP) {
            at++;
            continue;
        }
        if (at + 1 >= end || tcp[at + 1] < 2 || at + tcp[at + 1] > end)
            break; /* no option: the receiver will say so */
        if (tcp[at] == OPTION_MSS && tcp[at + 1] == OPTION_MSS_LEN)
            changed |= lower(tcp, at + 2, mtu - headers, csum);
        at += tcp[at + 1];
    }
    return changed;
}

/*
 * How a STUN message (RFC 8489, 5) is told from Veld's own datagrams on one port: by its first
 * byte, the magic cookie, and a length that fits. What is inside is stun/stun.h's.
 *
 * Pure; any thread.
 */
#ifndef VELD_WIRE_STUN_H
#define VELD_WIRE_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VELD_STUN_HEADER_SIZE 20
#define VELD_STUN_MAX         256 /* longer ones are not for us */

static inline bool veld_stun_is(const uint8_t *datagram, size_t len)
{
    static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};
    if (len < VELD_STUN_HEADER_SIZE || len > VELD_STUN_MAX || datagram[0] > 3)
        return false;
    size_t attributes = (size_t)datagram[2] << 8 | datagram[3];
    return attributes % 4 == 0 && VELD_STUN_HEADER_SIZE + attributes == len &&
           datagram[4] == cookie[0] && datagram[5] == cookie[1] && datagram[6] == cookie[2] &&
           datagram[7] == cookie[3];
}

#endif

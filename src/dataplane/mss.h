/*
 * The maximum segment size that TCP connections announce, lowered to what the
 * path between the two hosts carries (RFC 9293, 3.7.1; the size itself is that
 * of RFC 6691: MTU less 40 or 60, whatever options there are).
 *
 * Only ever lowered, only in SYN and SYN-ACK, and only where the option is
 * there already. Pure; any thread.
 */
#ifndef VELD_DATAPLANE_MSS_H
#define VELD_DATAPLANE_MSS_H

#include "dataplane/super_headers.h"

/* `tcp` is a TCP header, 20 bytes of which are there. */
static inline bool veld_tcp_is_syn(const uint8_t *tcp)
{
    return tcp[VELD_TCP_FLAGS_OFFSET] & VELD_TCP_SYN;
}

enum veld_tcp_csum {
    VELD_TCP_CSUM_COMPLETE, /* follows the option */
    VELD_TCP_CSUM_PARTIAL,  /* covers the pseudo-header alone: stays */
};

/*
 * `tcp`, of `len` bytes, is a SYN's header and what is behind it; `family` (4 or
 * 6) its IP version; `mtu` the largest packet of the path. True when it was changed.
 */
bool veld_mss_clamp(uint8_t *tcp, size_t len, uint8_t family, size_t mtu,
                    enum veld_tcp_csum csum);

#endif

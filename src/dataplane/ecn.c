#include "dataplane/ecn.h"

#include "dataplane/super_headers.h"

#include "base/bytes.h"

#define IPV4_CSUM 10

enum { DROP = 4 };

/* RFC 6040, figure 4: by inner, then by outer field, in the order of enum veld_ecn. */
static const uint8_t combined[4][4] = {
    [VELD_ECN_NOT_ECT] = {VELD_ECN_NOT_ECT, VELD_ECN_NOT_ECT, VELD_ECN_NOT_ECT, DROP},
    [VELD_ECN_ECT1] = {VELD_ECN_ECT1, VELD_ECN_ECT1, VELD_ECN_ECT1, VELD_ECN_CE},
    [VELD_ECN_ECT0] = {VELD_ECN_ECT0, VELD_ECN_ECT1, VELD_ECN_ECT0, VELD_ECN_CE},
    [VELD_ECN_CE] = {VELD_ECN_CE, VELD_ECN_CE, VELD_ECN_CE, VELD_ECN_CE},
};

bool veld_ecn_decapsulate(uint8_t *packet, enum veld_ecn outer)
{
    enum veld_ecn inner = veld_ecn_of(packet);
    uint8_t ecn = combined[inner][outer];
    if (ecn == inner)
        return true;
    if (ecn == DROP)
        return false;
    if (packet[0] >> 4 == 6) {
        packet[1] = (uint8_t)((packet[1] & 0xcf) | ecn << 4);
        return true;
    }
    uint16_t before = veld_load_be16(packet);
    packet[1] = (uint8_t)((packet[1] & 0xfc) | ecn);
    uint16_t csum =
        veld_csum_update(veld_load_be16(packet + IPV4_CSUM), before, veld_load_be16(packet));
    veld_store_be16(packet + IPV4_CSUM, csum);
    return true;
}

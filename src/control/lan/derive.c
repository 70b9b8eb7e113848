#include "control/lan/derive.h"

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"

#include <string.h>

void veld_lan_network_id(uint8_t id[32], const uint8_t secret[32])
{
    static const uint8_t none[32];
    const struct veld_bytes label = {"veld lan network", strlen("veld lan network")};
    veld_hmac(id, secret ? secret : none, 32, &label, 1);
}

struct veld_ip veld_lan_ipv4(const uint8_t pub[32])
{
    const struct veld_bytes parts[] = {{"veld lan address", strlen("veld lan address")},
                                       {pub, 32}};
    uint8_t hash[32];
    veld_sha256(hash, parts, VELD_ARRAY_LEN(parts));
    unsigned host = 1 + veld_load_be16(hash) % 65534; /* 1..65534 */
    return (struct veld_ip){.family = 4,
                            .b = {10, 100, (uint8_t)(host >> 8), (uint8_t)(host & 0xff)}};
}

const char *veld_lan_name(const uint8_t pub[32], char out[VELD_LAN_NAME_STRLEN])
{
    char digits[VELD_FINGERPRINT_STRLEN];
    veld_pubkey_fingerprint(pub, digits);
    size_t n = 0;
    out[n++] = 'k';
    for (size_t i = 0; i < 4 * VELD_LAN_NAME_GROUPS; i++) {
        if (i > 0 && i % 4 == 0)
            out[n++] = '-';
        out[n++] = digits[i];
    }
    out[n] = '\0';
    return out;
}

bool veld_lan_name_is_derived(const char *name)
{
    if (strlen(name) != VELD_LAN_NAME_STRLEN - 1 || name[0] != 'k')
        return false;
    for (size_t i = 1; name[i]; i++) {
        if (i % 5 == 0 ? name[i] != '-' : !strchr("0123456789abcdef", name[i]))
            return false;
    }
    return true;
}

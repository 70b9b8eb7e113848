#include "wire/inner.h"

#include "base/bytes.h"

#define IPV4_HEADER_MIN    20
#define IPV6_HEADER        40
#define IPV6_NEXT_FRAGMENT 44

static int parse_v4(const uint8_t *p, size_t len, struct veld_inner *out)
{
    if (len < IPV4_HEADER_MIN)
        return VELD_E_FORMAT;
    size_t header = (size_t)(p[0] & 0x0f) * 4;
    if (header < IPV4_HEADER_MIN || header > len || veld_load_be16(p + 2) != len)
        return VELD_E_FORMAT;
    *out = (struct veld_inner){
        .src.family = 4,
        .dst.family = 4,
        .proto = p[9],
        .l4_offset = (uint16_t)header,
        .fragment = (veld_load_be16(p + 6) & 0x3fff) != 0, /* MF or an offset */
    };
    memcpy(out->src.b, p + 12, 4);
    memcpy(out->dst.b, p + 16, 4);
    return 0;
}

static bool is_v4_mapped(const uint8_t a[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(a, prefix, sizeof prefix) == 0;
}

static int parse_v6(const uint8_t *p, size_t len, struct veld_inner *out)
{
    if (len < IPV6_HEADER || (size_t)veld_load_be16(p + 4) + IPV6_HEADER != len)
        return VELD_E_FORMAT;
    if (is_v4_mapped(p + 8) || is_v4_mapped(p + 24))
        return VELD_E_FORMAT;
    *out = (struct veld_inner){
        .src.family = 6,
        .dst.family = 6,
        .proto = p[6],
        .l4_offset = IPV6_HEADER,
        .fragment = p[6] == IPV6_NEXT_FRAGMENT,
    };
    memcpy(out->src.b, p + 8, 16);
    memcpy(out->dst.b, p + 24, 16);
    return 0;
}

int veld_inner_parse(const uint8_t *packet, size_t len, struct veld_inner *out)
{
    if (len == 0)
        return VELD_E_FORMAT;
    switch (packet[0] >> 4) {
    case 4: return parse_v4(packet, len, out);
    case 6: return parse_v6(packet, len, out);
    default: return VELD_E_FORMAT;
    }
}

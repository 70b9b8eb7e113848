#include "stun/stun.h"

#include "base/bytes.h"

#include <string.h>

/* RFC 8489, 5: class and method in one number. */
#define BINDING_REQUEST 0x0001
#define BINDING_SUCCESS 0x0101
#define COOKIE          0x2112a442u
#define ID_OFFSET       8

/* RFC 8489, 14 and 18.3: below 0x8000 an attribute must be understood. */
#define ATTRIBUTE_HEAD      4
#define XOR_MAPPED_ADDRESS  0x0020
#define MESSAGE_INTEGRITY   0x0008
#define MESSAGE_INTEGRITY_2 0x001c /* -SHA256 */
#define SOFTWARE            0x8022
#define OPTIONAL_FROM       0x8000

#define ADDRESS_HEAD 4 /* zero, family, port */
#define FAMILY_IPV4  1
#define FAMILY_IPV6  2

static void write_head(uint8_t *out, uint16_t type, size_t attributes,
                       const uint8_t id[VELD_STUN_ID_SIZE])
{
    veld_store_be16(out, type);
    veld_store_be16(out + 2, (uint16_t)attributes);
    veld_store_be32(out + 4, COOKIE);
    memcpy(out + ID_OFFSET, id, VELD_STUN_ID_SIZE);
}

void veld_stun_request_write(uint8_t out[VELD_STUN_REQUEST_SIZE],
                             const uint8_t id[VELD_STUN_ID_SIZE])
{
    static const char software[] = "veld, as long as the longest answer is. ";
    uint8_t *attribute = out + VELD_STUN_HEADER_SIZE;
    _Static_assert(VELD_STUN_HEADER_SIZE + ATTRIBUTE_HEAD + sizeof software - 1 ==
                       VELD_STUN_REQUEST_SIZE,
                   "it pads the request");
    write_head(out, BINDING_REQUEST, VELD_STUN_REQUEST_SIZE - VELD_STUN_HEADER_SIZE, id);
    veld_store_be16(attribute, SOFTWARE);
    veld_store_be16(attribute + 2, sizeof software - 1);
    memcpy(attribute + ATTRIBUTE_HEAD, software, sizeof software - 1);
}

/* RFC 8489, 14.2: the port with the cookie's first half, the address with cookie and id. */
static void xor_address(uint8_t *address, size_t len, const uint8_t *message)
{
    for (size_t i = 0; i < len; i++)
        address[i] ^= message[4 + i];
}

static int read_mapped(const uint8_t *value, size_t len, const uint8_t *message,
                       struct veld_endpoint *out)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct veld_endpoint e = {0};
    if (len < ADDRESS_HEAD)
        return VELD_E_FORMAT;
    size_t size = value[1] == FAMILY_IPV4 ? 4 : value[1] == FAMILY_IPV6 ? 16 : 0;
    if (size == 0 || len != ADDRESS_HEAD + size)
        return VELD_E_FORMAT;
    e.ip.family = size == 4 ? 4 : 6;
    e.port = veld_load_be16(value + 2) ^ (uint16_t)(COOKIE >> 16);
    memcpy(e.ip.b, value + ADDRESS_HEAD, size);
    xor_address(e.ip.b, size, message);
    if (e.port == 0 || (size == 16 && memcmp(e.ip.b, v4_mapped, sizeof v4_mapped) == 0))
        return VELD_E_FORMAT;
    *out = e;
    return 0;
}

static int read_attribute(struct veld_stun *m, uint16_t type, const uint8_t *value, size_t len,
                          const uint8_t *message)
{
    bool response = m->kind == VELD_STUN_RESPONSE;
    if (response && type == XOR_MAPPED_ADDRESS) /* of several the first (RFC 8489, 14) */
        return m->mapped.ip.family ? 0 : read_mapped(value, len, message, &m->mapped);
    /* Whose answer it is, its id says: nobody else knew it. */
    bool credential = type == MESSAGE_INTEGRITY || type == MESSAGE_INTEGRITY_2;
    return type >= OPTIONAL_FROM || (response && credential) ? 0 : VELD_E_UNSUPPORTED;
}

static int read_attributes(struct veld_stun *m, const uint8_t *message, size_t len)
{
    size_t at = VELD_STUN_HEADER_SIZE;
    while (at < len) {
        if (len - at < ATTRIBUTE_HEAD)
            return VELD_E_FORMAT;
        uint16_t type = veld_load_be16(message + at);
        size_t size = veld_load_be16(message + at + 2), padded = (size + 3) & ~(size_t)3;
        at += ATTRIBUTE_HEAD;
        if (len - at < padded)
            return VELD_E_FORMAT;
        int rc = read_attribute(m, type, message + at, size, message);
        if (rc < 0)
            return rc;
        at += padded;
    }
    return m->kind == VELD_STUN_RESPONSE && !m->mapped.ip.family ? VELD_E_FORMAT : 0;
}

int veld_stun_parse(const uint8_t *in, size_t len, struct veld_stun *out)
{
    struct veld_stun m = {0};
    if (!veld_stun_is(in, len))
        return VELD_E_FORMAT;
    switch (veld_load_be16(in)) {
    case BINDING_REQUEST: m.kind = VELD_STUN_REQUEST; break;
    case BINDING_SUCCESS: m.kind = VELD_STUN_RESPONSE; break;
    default: return VELD_E_UNSUPPORTED;
    }
    memcpy(m.id, in + ID_OFFSET, sizeof m.id);
    int rc = read_attributes(&m, in, len);
    if (rc == 0)
        *out = m;
    return rc;
}

int veld_stun_response_write(uint8_t out[VELD_STUN_RESPONSE_MAX], size_t *len,
                             const struct veld_stun *request, size_t request_len,
                             const struct veld_endpoint *from)
{
    size_t size = from->ip.family == 4 ? 4 : from->ip.family == 6 ? 16 : 0;
    size_t attributes = ATTRIBUTE_HEAD + ADDRESS_HEAD + size;
    uint8_t *attribute = out + VELD_STUN_HEADER_SIZE, *value = attribute + ATTRIBUTE_HEAD;
    *len = 0;
    if (size == 0)
        return VELD_E_INVAL;
    if (VELD_STUN_HEADER_SIZE + attributes > request_len)
        return VELD_E_LIMIT;
    write_head(out, BINDING_SUCCESS, attributes, request->id);
    veld_store_be16(attribute, XOR_MAPPED_ADDRESS);
    veld_store_be16(attribute + 2, (uint16_t)(ADDRESS_HEAD + size));
    value[0] = 0;
    value[1] = size == 4 ? FAMILY_IPV4 : FAMILY_IPV6;
    veld_store_be16(value + 2, from->port ^ (uint16_t)(COOKIE >> 16));
    memcpy(value + ADDRESS_HEAD, from->ip.b, size);
    xor_address(value + ADDRESS_HEAD, size, out);
    *len = VELD_STUN_HEADER_SIZE + attributes;
    return 0;
}

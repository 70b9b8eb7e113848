#include "wire/message.h"

#include "base/bytes.h"

#define MESSAGE_VERSION 1

/* Body length of a known type, or -1. */
static int body_size(uint8_t type)
{
    switch (type) {
    case VELD_MSG_PING:
    case VELD_MSG_PONG: return VELD_PING_TOKEN_SIZE;
    case VELD_MSG_GOODBYE: return 0;
    default: return -1;
    }
}

size_t veld_message_write(uint8_t out[VELD_MESSAGE_MAX], const struct veld_message *m)
{
    size_t body = (size_t)body_size(m->type);
    out[0] = m->type;
    out[1] = MESSAGE_VERSION;
    veld_store_be16(out + 2, (uint16_t)body);
    memcpy(out + VELD_MESSAGE_HEADER_SIZE, m->token, body);
    return VELD_MESSAGE_HEADER_SIZE + body;
}

int veld_message_parse(const uint8_t *in, size_t len, struct veld_message *out)
{
    if (len < VELD_MESSAGE_HEADER_SIZE || len > VELD_MESSAGE_MAX || in[1] != MESSAGE_VERSION ||
        len - VELD_MESSAGE_HEADER_SIZE != veld_load_be16(in + 2))
        return VELD_E_FORMAT;
    int body = body_size(in[0]);
    if (body < 0)
        return VELD_E_UNSUPPORTED;
    if ((size_t)body != len - VELD_MESSAGE_HEADER_SIZE)
        return VELD_E_FORMAT;
    struct veld_message m = {.type = in[0]};
    memcpy(m.token, in + VELD_MESSAGE_HEADER_SIZE, (size_t)body);
    *out = m;
    return 0;
}

#include "wire/message.h"

#include "base/bytes.h"

#include <stdbool.h>

#define MESSAGE_VERSION 1

/* Body length of a known type, without a probe's padding, or -1. */
static int body_size(uint8_t type)
{
    switch (type) {
    case VELD_MSG_PROBE:
    case VELD_MSG_PROBED: return VELD_PROBE_SIZE - VELD_MESSAGE_HEADER_SIZE;
    case VELD_MSG_PING:
    case VELD_MSG_PONG: return VELD_PING_TOKEN_SIZE;
    case VELD_MSG_GOODBYE: return 0;
    default: return -1;
    }
}

static bool is_probe(uint8_t type)
{
    return type == VELD_MSG_PROBE || type == VELD_MSG_PROBED;
}

size_t veld_message_write(uint8_t out[VELD_MESSAGE_MAX], const struct veld_message *m)
{
    uint8_t *body = out + VELD_MESSAGE_HEADER_SIZE;
    size_t len = VELD_MESSAGE_HEADER_SIZE + (size_t)body_size(m->type);
    out[0] = m->type;
    out[1] = MESSAGE_VERSION;
    size_t whole = m->type == VELD_MSG_PROBE ? m->size : len;
    veld_store_be16(out + 2, (uint16_t)(whole - VELD_MESSAGE_HEADER_SIZE));
    if (is_probe(m->type)) {
        veld_store_be32(body, m->id);
        veld_store_be16(body + 4, m->size);
    } else {
        memcpy(body, m->token, len - VELD_MESSAGE_HEADER_SIZE);
    }
    return len;
}

/* A probe is as long as it says, an answer tells of one that can have been. */
static int parse_probe(const uint8_t *body, size_t len, struct veld_message *m)
{
    m->id = veld_load_be32(body);
    m->size = veld_load_be16(body + 4);
    bool right = m->type == VELD_MSG_PROBE ? m->size == len : m->size >= VELD_PROBE_SIZE;
    return right ? 0 : VELD_E_FORMAT;
}

int veld_message_parse(const uint8_t *in, size_t len, struct veld_message *out)
{
    if (len < VELD_MESSAGE_HEADER_SIZE || in[1] != MESSAGE_VERSION ||
        len - VELD_MESSAGE_HEADER_SIZE != veld_load_be16(in + 2))
        return VELD_E_FORMAT;
    struct veld_message m = {.type = in[0]};
    bool padded = m.type == VELD_MSG_PROBE;
    if (len > VELD_MESSAGE_MAX && !padded)
        return VELD_E_FORMAT;
    int body = body_size(m.type);
    if (body < 0)
        return VELD_E_UNSUPPORTED;
    size_t whole = VELD_MESSAGE_HEADER_SIZE + (size_t)body;
    if (len < whole || (len > whole && !padded))
        return VELD_E_FORMAT;
    if (!is_probe(m.type))
        memcpy(m.token, in + VELD_MESSAGE_HEADER_SIZE, (size_t)body);
    else if (parse_probe(in + VELD_MESSAGE_HEADER_SIZE, len, &m) < 0)
        return VELD_E_FORMAT;
    *out = m;
    return 0;
}

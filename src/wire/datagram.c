#include "wire/datagram.h"

#include "base/bytes.h"

void veld_header_write(uint8_t out[VELD_HEADER_SIZE], const struct veld_header *h)
{
    bool data = h->type == VELD_DATA;
    memset(out, 0, VELD_HEADER_SIZE);
    out[0] = h->type;
    out[1] = data ? h->flags : 0;
    out[2] = data ? h->lane : 0;
    out[3] = VELD_PROTOCOL_VERSION;
    veld_store_be32(out + 4, h->index);
    if (data)
        veld_store_be64(out + 8, h->counter);
    else if (h->type == VELD_RESPONSE)
        veld_store_be32(out + 8, h->responder_index);
}

static bool refuse(enum veld_drop *drop, enum veld_drop reason)
{
    *drop = reason;
    return false;
}

/* The exact length of a fixed-size type, 0 for data. */
static size_t fixed_size(uint8_t type)
{
    switch (type) {
    case VELD_INITIATION: return VELD_INITIATION_SIZE;
    case VELD_RESPONSE: return VELD_RESPONSE_SIZE;
    case VELD_COOKIE_REPLY: return VELD_COOKIE_REPLY_SIZE;
    default: return 0;
    }
}

bool veld_header_parse(const uint8_t *d, size_t len, struct veld_header *out,
                       enum veld_drop *drop)
{
    if (len < VELD_HEADER_SIZE)
        return refuse(drop, VELD_DROP_RUNT);
    uint8_t type = d[0];
    if (type < VELD_INITIATION || type > VELD_DATA)
        return refuse(drop, VELD_DROP_TYPE);
    if (d[3] != VELD_PROTOCOL_VERSION)
        return refuse(drop, VELD_DROP_VERSION);

    if (type == VELD_DATA) {
        if (len < VELD_DATA_OVERHEAD)
            return refuse(drop, VELD_DROP_RUNT);
        if (d[1] & ~VELD_FLAGS_KNOWN)
            return refuse(drop, VELD_DROP_HEADER);
        if (d[2] >= VELD_LANES_MAX)
            return refuse(drop, VELD_DROP_LANE);
        *out = (struct veld_header){.type = type,
                                    .flags = d[1],
                                    .lane = d[2],
                                    .index = veld_load_be32(d + 4),
                                    .counter = veld_load_be64(d + 8)};
        return true;
    }

    if (len < fixed_size(type))
        return refuse(drop, VELD_DROP_RUNT);
    if (len > fixed_size(type))
        return refuse(drop, VELD_DROP_OVERSIZED);
    uint32_t responder_index = veld_load_be32(d + 8);
    bool has_responder_index = type == VELD_RESPONSE;
    if (d[1] || d[2] || veld_load_be32(d + 12) || (responder_index && !has_responder_index))
        return refuse(drop, VELD_DROP_HEADER);
    *out = (struct veld_header){
        .type = type, .index = veld_load_be32(d + 4), .responder_index = responder_index};
    return true;
}

void veld_relayed_write(uint8_t out[VELD_RELAYED_OVERHEAD], const struct veld_relayed *h)
{
    memset(out, 0, VELD_RELAYED_OVERHEAD);
    out[0] = VELD_RELAYED;
    out[2] = h->lane;
    out[3] = VELD_PROTOCOL_VERSION;
    veld_store_be32(out + 4, h->index);
}

bool veld_relayed_parse(const uint8_t *d, size_t len, struct veld_relayed *out,
                        enum veld_drop *drop)
{
    if (len < VELD_RELAYED_MIN)
        return refuse(drop, VELD_DROP_RUNT);
    if (d[0] != VELD_RELAYED)
        return refuse(drop, VELD_DROP_TYPE);
    if (d[3] != VELD_PROTOCOL_VERSION)
        return refuse(drop, VELD_DROP_VERSION);
    if (d[1] || veld_load_be64(d + 8))
        return refuse(drop, VELD_DROP_HEADER);
    if (d[2] >= VELD_LANES_MAX)
        return refuse(drop, VELD_DROP_LANE);
    *out = (struct veld_relayed){.lane = d[2], .index = veld_load_be32(d + 4)};
    return true;
}

/* The tail both handshake payloads share: lanes, three zero bytes, features. */
static void write_offer(uint8_t out[8], uint8_t lanes, uint32_t features)
{
    memset(out, 0, 4);
    out[0] = lanes;
    veld_store_be32(out + 4, features);
}

static int parse_offer(const uint8_t in[8], uint8_t *lanes, uint32_t *features)
{
    if (in[0] < 1 || in[0] > VELD_LANES_MAX || in[1] || in[2] || in[3])
        return VELD_E_FORMAT;
    *lanes = in[0];
    *features = veld_load_be32(in + 4);
    return 0;
}

void veld_initiation_payload_write(uint8_t out[VELD_INITIATION_PAYLOAD_SIZE],
                                   const struct veld_initiation_payload *p)
{
    memcpy(out, p->identity, VELD_KEY_SIZE);
    veld_store_be64(out + 32, p->timestamp_ns);
    write_offer(out + 40, p->lanes, p->features);
}

int veld_initiation_payload_parse(const uint8_t in[VELD_INITIATION_PAYLOAD_SIZE],
                                  struct veld_initiation_payload *out)
{
    struct veld_initiation_payload p = {.timestamp_ns = veld_load_be64(in + 32)};
    int rc = parse_offer(in + 40, &p.lanes, &p.features);
    if (rc < 0)
        return rc;
    memcpy(p.identity, in, VELD_KEY_SIZE);
    *out = p;
    return 0;
}

void veld_response_payload_write(uint8_t out[VELD_RESPONSE_PAYLOAD_SIZE],
                                 const struct veld_response_payload *p)
{
    write_offer(out, p->lanes, p->features);
}

int veld_response_payload_parse(const uint8_t in[VELD_RESPONSE_PAYLOAD_SIZE],
                                struct veld_response_payload *out)
{
    struct veld_response_payload p;
    int rc = parse_offer(in, &p.lanes, &p.features);
    if (rc == 0)
        *out = p;
    return rc;
}

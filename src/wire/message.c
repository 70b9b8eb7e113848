#include "wire/message.h"

#include "base/bytes.h"

#define MESSAGE_VERSION 1
#define PART_HEAD       16 /* epoch, total, offset */
#define PUB_SIZE        32
#define IPV4_SIZE       4
#define ENDPOINT_HEAD   3 /* family, port */

/* Body length of a known type, without what a probe or a part has of its own, or -1. */
static int body_size(uint8_t type)
{
    switch (type) {
    case VELD_MSG_PROBE:
    case VELD_MSG_PROBED: return VELD_PROBE_SIZE - VELD_MESSAGE_HEADER_SIZE;
    case VELD_MSG_PING:
    case VELD_MSG_PONG: return VELD_PING_TOKEN_SIZE;
    case VELD_MSG_GOODBYE: return 0;
    case VELD_MSG_REVOKED_EPOCH: return 8;
    case VELD_MSG_REVOKED_GET: return 12;
    case VELD_MSG_REVOKED_PART: return PART_HEAD;
    case VELD_MSG_CANDIDATES: return 8;
    case VELD_MSG_CIRCUIT_OPEN: return PUB_SIZE + 4;
    case VELD_MSG_CIRCUIT_OPENED: return PUB_SIZE + 4 + 1;
    case VELD_MSG_CIRCUIT_REFUSED: return PUB_SIZE + 1;
    case VELD_MSG_CIRCUIT_OFFER:
    case VELD_MSG_CIRCUIT_CLOSE: return PUB_SIZE;
    case VELD_MSG_HELLO: return IPV4_SIZE;
    default: return -1;
    }
}

bool veld_message_is_passed_on(uint8_t type)
{
    return type >= VELD_MSG_REVOKED_EPOCH && type <= VELD_MSG_HELLO;
}

/* ---- Write ---- */

/* Bytes of one endpoint's address by its family; 0: there is no such family. */
static size_t address_size(uint8_t family)
{
    return family == 4 ? 4 : family == 6 ? 16 : 0;
}

static size_t write_endpoints(uint8_t *to, const struct veld_message *m)
{
    size_t len = 0;
    for (uint8_t i = 0; i < m->n_endpoints; i++) {
        const struct veld_endpoint *e = &m->endpoints[i];
        size_t size = address_size(e->ip.family);
        to[len] = e->ip.family;
        veld_store_be16(to + len + 1, e->port);
        memcpy(to + len + ENDPOINT_HEAD, e->ip.b, size);
        len += ENDPOINT_HEAD + size;
    }
    return len;
}

static void write_circuit(uint8_t *body, const struct veld_message *m)
{
    memcpy(body, m->pub, PUB_SIZE);
    if (m->type == VELD_MSG_CIRCUIT_OPEN || m->type == VELD_MSG_CIRCUIT_OPENED)
        veld_store_be32(body + PUB_SIZE, m->index);
    if (m->type == VELD_MSG_CIRCUIT_OPENED)
        body[PUB_SIZE + 4] = m->state;
    if (m->type == VELD_MSG_CIRCUIT_REFUSED)
        body[PUB_SIZE] = m->state;
}

static size_t write_hello(uint8_t *body, const struct veld_message *m)
{
    size_t len = strlen(m->name);
    if (m->ipv4.family == 4)
        memcpy(body, m->ipv4.b, IPV4_SIZE);
    else
        memset(body, 0, IPV4_SIZE);
    memcpy(body + IPV4_SIZE, m->name, len);
    return IPV4_SIZE + len;
}

/* What follows the header; the bytes of it that were written. */
static size_t write_body(uint8_t *body, const struct veld_message *m)
{
    size_t len = (size_t)body_size(m->type);
    switch (m->type) {
    case VELD_MSG_PROBE:
    case VELD_MSG_PROBED:
        veld_store_be32(body, m->id);
        veld_store_be16(body + 4, m->size);
        break;
    case VELD_MSG_PING:
    case VELD_MSG_PONG: memcpy(body, m->token, len); break;
    case VELD_MSG_REVOKED_EPOCH: veld_store_be64(body, m->epoch); break;
    case VELD_MSG_REVOKED_GET:
        veld_store_be64(body, m->epoch);
        veld_store_be32(body + 8, m->offset);
        break;
    case VELD_MSG_REVOKED_PART:
        veld_store_be64(body, m->epoch);
        veld_store_be32(body + 8, m->total);
        veld_store_be32(body + 12, m->offset);
        memcpy(body + PART_HEAD, m->part, m->part_len);
        len += m->part_len;
        break;
    case VELD_MSG_CANDIDATES:
        veld_store_be64(body, m->sequence);
        len += write_endpoints(body + 8, m);
        break;
    case VELD_MSG_CIRCUIT_OPEN:
    case VELD_MSG_CIRCUIT_OPENED:
    case VELD_MSG_CIRCUIT_OFFER:
    case VELD_MSG_CIRCUIT_REFUSED:
    case VELD_MSG_CIRCUIT_CLOSE: write_circuit(body, m); break;
    case VELD_MSG_HELLO: len = write_hello(body, m); break;
    default: break;
    }
    return len;
}

size_t veld_message_write(uint8_t out[VELD_MESSAGE_MAX], const struct veld_message *m)
{
    size_t len = VELD_MESSAGE_HEADER_SIZE + write_body(out + VELD_MESSAGE_HEADER_SIZE, m);
    size_t whole = m->type == VELD_MSG_PROBE ? m->size : len;
    out[0] = m->type;
    out[1] = MESSAGE_VERSION;
    veld_store_be16(out + 2, (uint16_t)(whole - VELD_MESSAGE_HEADER_SIZE));
    return len;
}

/* ---- Parse ---- */

/* May a body of `size` bytes and more be `len` bytes long? */
static bool fits(uint8_t type, size_t size, size_t len)
{
    if (type == VELD_MSG_PROBE)
        return len >= size;
    if (type == VELD_MSG_REVOKED_PART)
        return len > size && len - size <= VELD_REVOKED_PART_MAX;
    if (type == VELD_MSG_CANDIDATES)
        return len >= size;
    if (type == VELD_MSG_HELLO)
        return len > size && len - size <= VELD_MESSAGE_NAME_MAX;
    return len == size;
}

/* A probe is as long as it says, an answer tells of one that can have been. */
static int parse_probe(const uint8_t *body, size_t len, struct veld_message *m)
{
    m->id = veld_load_be32(body);
    m->size = veld_load_be16(body + 4);
    size_t whole = VELD_MESSAGE_HEADER_SIZE + len;
    bool right = m->type == VELD_MSG_PROBE ? m->size == whole : m->size >= VELD_PROBE_SIZE;
    return right ? 0 : VELD_E_FORMAT;
}

static int parse_part(const uint8_t *body, size_t len, struct veld_message *m)
{
    m->epoch = veld_load_be64(body);
    m->total = veld_load_be32(body + 8);
    m->offset = veld_load_be32(body + 12);
    m->part = body + PART_HEAD;
    m->part_len = (uint8_t)(len - PART_HEAD);
    bool within = m->offset <= m->total && m->total - m->offset >= m->part_len;
    return within ? 0 : VELD_E_FORMAT;
}

/* Each in the form the kernel gives: IPv4 is never written as IPv6. */
static int parse_endpoints(const uint8_t *in, size_t len, struct veld_message *m)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    while (len > 0) {
        size_t size = address_size(in[0]);
        if (size == 0 || len < ENDPOINT_HEAD + size ||
            m->n_endpoints == VELD_MESSAGE_ENDPOINTS_MAX)
            return VELD_E_FORMAT;
        struct veld_endpoint *e = &m->endpoints[m->n_endpoints++];
        e->ip.family = in[0];
        e->port = veld_load_be16(in + 1);
        memcpy(e->ip.b, in + ENDPOINT_HEAD, size);
        if (e->port == 0 || memcmp(e->ip.b, v4_mapped, sizeof v4_mapped) == 0)
            return VELD_E_FORMAT;
        in += ENDPOINT_HEAD + size;
        len -= ENDPOINT_HEAD + size;
    }
    return 0;
}

static int parse_circuit(const uint8_t *body, struct veld_message *m)
{
    memcpy(m->pub, body, PUB_SIZE);
    if (m->type == VELD_MSG_CIRCUIT_OPEN || m->type == VELD_MSG_CIRCUIT_OPENED)
        m->index = veld_load_be32(body + PUB_SIZE);
    if (m->type == VELD_MSG_CIRCUIT_OPENED)
        m->state = body[PUB_SIZE + 4];
    if (m->type == VELD_MSG_CIRCUIT_REFUSED)
        m->state = body[PUB_SIZE];
    return m->type == VELD_MSG_CIRCUIT_OPENED && m->state > 1 ? VELD_E_FORMAT : 0;
}

static int parse_hello(const uint8_t *body, size_t len, struct veld_message *m)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    memcpy(m->ipv4.b, body, IPV4_SIZE);
    m->ipv4.family = veld_load_be32(body) ? 4 : 0;
    memcpy(m->name, body + IPV4_SIZE, len - IPV4_SIZE);
    return strspn(m->name, letters) == len - IPV4_SIZE ? 0 : VELD_E_FORMAT;
}

static int parse_body(const uint8_t *body, size_t len, struct veld_message *m)
{
    switch (m->type) {
    case VELD_MSG_PROBE:
    case VELD_MSG_PROBED: return parse_probe(body, len, m);
    case VELD_MSG_PING:
    case VELD_MSG_PONG: memcpy(m->token, body, sizeof m->token); return 0;
    case VELD_MSG_REVOKED_EPOCH: m->epoch = veld_load_be64(body); return 0;
    case VELD_MSG_REVOKED_GET:
        m->epoch = veld_load_be64(body);
        m->offset = veld_load_be32(body + 8);
        return 0;
    case VELD_MSG_REVOKED_PART: return parse_part(body, len, m);
    case VELD_MSG_CANDIDATES:
        m->sequence = veld_load_be64(body);
        return parse_endpoints(body + 8, len - 8, m);
    case VELD_MSG_CIRCUIT_OPEN:
    case VELD_MSG_CIRCUIT_OPENED:
    case VELD_MSG_CIRCUIT_OFFER:
    case VELD_MSG_CIRCUIT_REFUSED:
    case VELD_MSG_CIRCUIT_CLOSE: return parse_circuit(body, m);
    case VELD_MSG_HELLO: return parse_hello(body, len, m);
    default: return 0;
    }
}

int veld_message_parse(const uint8_t *in, size_t len, struct veld_message *out)
{
    if (len < VELD_MESSAGE_HEADER_SIZE || in[1] != MESSAGE_VERSION ||
        len - VELD_MESSAGE_HEADER_SIZE != veld_load_be16(in + 2))
        return VELD_E_FORMAT;
    struct veld_message m = {.type = in[0]};
    if (len > VELD_MESSAGE_MAX && m.type != VELD_MSG_PROBE)
        return VELD_E_FORMAT;
    int size = body_size(m.type);
    if (size < 0)
        return VELD_E_UNSUPPORTED;
    size_t body = len - VELD_MESSAGE_HEADER_SIZE;
    if (!fits(m.type, (size_t)size, body) ||
        parse_body(in + VELD_MESSAGE_HEADER_SIZE, body, &m) < 0)
        return VELD_E_FORMAT;
    *out = m;
    return 0;
}

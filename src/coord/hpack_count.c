#include "coord/hpack_count.h"

#include "base/bytes.h"

#define NUMBER_BYTES_MAX 4 /* behind the first */

/* ---- RFC 7541, section 5.2: strings ---- */

/* What comes when an index or a string is at its end. */
static void next_part(struct veld_hpack_count *c)
{
    c->at = c->strings > 0 ? HPACK_LENGTH : HPACK_FIELD;
}

static void begin_string(struct veld_hpack_count *c)
{
    c->strings--;
    c->at = HPACK_STRING;
    if (c->length == 0)
        next_part(c);
}

static void take_length(struct veld_hpack_count *c, uint8_t byte)
{
    c->length =
        byte & 0x7f; /* the upper bit: Huffman's code, as long as it says all the same */
    c->bytes = 0;
    if (c->length == 0x7f)
        c->at = HPACK_LENGTH_MORE;
    else
        begin_string(c);
}

/* ---- Section 6: fields ---- */

/* The first byte: which kind, and an index with a prefix of so many bits. */
static void take_field(struct veld_hpack_count *c, uint8_t byte)
{
    uint8_t mask = 0x0f; /* 6.2.2, 6.2.3: 0000xxxx, 0001xxxx, a literal that is not kept */
    bool is_literal = true;
    if (byte & 0x80) { /* 6.1: 1xxxxxxx, all by its index */
        mask = 0x7f;
        is_literal = false;
    } else if (byte & 0x40) { /* 6.2.1: 01xxxxxx, a literal that is kept */
        mask = 0x3f;
    } else if (byte & 0x20) { /* 6.3: 001xxxxx, the table's size */
        mask = 0x1f;
        is_literal = false;
    }
    uint8_t index = byte & mask;
    c->fields++;
    c->strings =
        is_literal ? 1 + (index == 0) : 0; /* a value; and a name, where no index has it */
    c->bytes = 0;
    if (index == mask)
        c->at = HPACK_INDEX_MORE;
    else
        next_part(c);
}

/* A number's next byte (section 5.1); false: it is too long. */
static bool take_more(struct veld_hpack_count *c, uint8_t byte, bool *ended)
{
    if (c->bytes == NUMBER_BYTES_MAX)
        return false;
    c->length += (uint32_t)(byte & 0x7f) << (7 * c->bytes);
    c->bytes++;
    *ended = !(byte & 0x80);
    return true;
}

static bool take_byte(struct veld_hpack_count *c, uint8_t byte)
{
    bool ended = false;
    switch (c->at) {
    case HPACK_FIELD: take_field(c, byte); return true;
    case HPACK_LENGTH: take_length(c, byte); return true;
    case HPACK_INDEX_MORE:
        if (!take_more(c, byte, &ended))
            return false;
        if (ended)
            next_part(c);
        return true;
    case HPACK_LENGTH_MORE:
        if (!take_more(c, byte, &ended))
            return false;
        if (ended)
            begin_string(c);
        return true;
    case HPACK_STRING: break;
    }
    return true;
}

bool veld_hpack_count(struct veld_hpack_count *c, const uint8_t *p, size_t len)
{
    while (len > 0) {
        size_t n = 1;
        if (c->at == HPACK_STRING) {
            n = VELD_MIN(len, c->length);
            c->length -= (uint32_t)n;
            if (c->length == 0)
                next_part(c);
        } else if (!take_byte(c, *p)) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

#include "rpc/text.h"

#include <string.h>

struct reader {
    const uint8_t *p, *end;
};

/* How many bytes a character takes by its first one; 0: no first byte. */
static size_t length_of(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* RFC 3629: shortest form, no surrogates, nothing past U+10FFFF. */
static bool in_range(uint32_t c, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* The next character, or 0 for a byte that is part of none. */
static uint32_t next_character(struct reader *r)
{
    size_t n = length_of(*r->p);
    uint32_t c = n == 1 ? *r->p : *r->p & (0x7fu >> n);
    if (n == 0 || n > (size_t)(r->end - r->p)) {
        r->p++;
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((r->p[i] & 0xc0) != 0x80) {
            r->p++;
            return 0;
        }
        c = c << 6 | (r->p[i] & 0x3f);
    }
    if (!in_range(c, n)) {
        r->p++;
        return 0;
    }
    r->p += n;
    return c;
}

/* ECMA-48: what follows ESC [ (or its one-byte form) up to its final byte. */
static void skip_control_sequence(struct reader *r)
{
    while (r->p < r->end && *r->p >= 0x20 && *r->p <= 0x3f)
        r->p++;
    if (r->p < r->end && *r->p >= 0x40 && *r->p <= 0x7e)
        r->p++;
}

/* A string for the terminal (a title, a clipboard), up to BEL or ESC \. */
static void skip_string(struct reader *r)
{
    while (r->p < r->end && *r->p != 0x07 && *r->p != 0x1b)
        r->p++;
    if (r->p < r->end && *r->p == 0x07)
        r->p++;
}

static void skip_escape(struct reader *r)
{
    if (r->p == r->end)
        return;
    uint8_t kind = *r->p;
    if (kind >= 0x20 && kind <= 0x7e)
        r->p++;
    if (kind == '[')
        skip_control_sequence(r);
    else if (strchr("]PX^_", kind) && kind != 0)
        skip_string(r);
    else if (kind >= 0x20 && kind <= 0x2f && r->p < r->end && *r->p >= 0x30 && *r->p <= 0x7e)
        r->p++; /* ESC ( B and the like */
}

/* Characters that are not seen, or change how others are. */
static bool is_invisible(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},         {0x34f, 0x34f},
        {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},     {0x180b, 0x180f},
        {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},     {0x3164, 0x3164},
        {0xd800, 0xf8ff},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},     {0xffa0, 0xffa0},
        {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x1bca0, 0x1bca3},   {0x1d173, 0x1d17a},
        {0xe0000, 0xe0fff}, {0xf0000, 0xfffff}, {0x100000, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xa0 || c == 0x3000;
}

size_t veld_rpc_text_clean(char out[VELD_RPC_TEXT_MAX + 1], const void *p, size_t len)
{
    struct reader r = {.p = p, .end = (const uint8_t *)p + len};
    size_t n = 0;
    bool space = false; /* owed before the next character */
    while (r.p < r.end) {
        const uint8_t *start = r.p;
        uint32_t c = next_character(&r);
        size_t taken = (size_t)(r.p - start);
        if (c == 0x1b)
            skip_escape(&r);
        else if (c == 0x9b)
            skip_control_sequence(&r);
        else if (is_space(c))
            space = n > 0;
        else if (!is_invisible(c)) {
            if (n + space + taken > VELD_RPC_TEXT_MAX)
                break;
            if (space)
                out[n++] = ' ';
            memcpy(out + n, start, taken);
            n += taken;
            space = false;
        }
    }
    out[n] = '\0';
    return n;
}

/*
 * Hexadecimal text to bytes, for test vectors.
 */
#ifndef VELD_TESTS_HEX_H
#define VELD_TESTS_HEX_H

#include <stddef.h>
#include <stdint.h>

static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Exactly `text_len` digits into text_len / 2 bytes of `out`. -1 when they are not pairs of digits. */
static inline int hex_decode(const char *text, size_t text_len, uint8_t *out)
{
    if (text_len % 2 != 0)
        return -1;
    for (size_t i = 0; i < text_len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

#endif

/*
 * How many fields a block of compressed headers has (RFC 7541, section 6),
 * without a table and without unpacking anything.
 *
 * One byte can stand for a field of any size that was sent before; so what a
 * block becomes is bounded by its fields, not by its bytes.
 *
 * Invariant: no number is read that takes more than 5 bytes. Pure; any thread.
 */
#ifndef VELD_COORD_HPACK_COUNT_H
#define VELD_COORD_HPACK_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: the beginning of a block. */
struct veld_hpack_count {
    uint32_t fields; /* begun so far; changes of the table's size count as well */
    enum {
        HPACK_FIELD,
        HPACK_INDEX_MORE,
        HPACK_LENGTH,
        HPACK_LENGTH_MORE,
        HPACK_STRING,
    } at;
    uint8_t strings; /* that the field still has */
    uint8_t bytes;   /* of the number that is being read */
    uint32_t length; /* of the string that is being read or skipped */
};

/* The block's next bytes. False: it is none. */
bool veld_hpack_count(struct veld_hpack_count *c, const uint8_t *p, size_t len);

#endif

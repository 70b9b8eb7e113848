/*
 * Numbers and tables as people read them.
 *
 * Pure, but for printing to the stream it is given.
 */
#ifndef VELD_CLI_FORMAT_H
#define VELD_CLI_FORMAT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VELD_FORMAT_SIZE 32

/* "7s", "3m 5s", "2h 0m", "4d 3h": two units at most. Returns `out`. */
char *veld_format_age(uint64_t seconds, char out[VELD_FORMAT_SIZE]);
/* "999 B", "1.0 KiB", "12.3 GiB". Returns `out`. */
char *veld_format_bytes(uint64_t bytes, char out[VELD_FORMAT_SIZE]);
/* "0.4ms", "1.2ms", "153ms". Returns `out`. */
char *veld_format_rtt(uint64_t us, char out[VELD_FORMAT_SIZE]);

enum veld_colour { VELD_PLAIN, VELD_DIM, VELD_RED, VELD_GREEN, VELD_YELLOW };

/* Whether to colour what goes to `stream`: a terminal that is no "dumb" one, and NO_COLOR is not set. */
bool veld_wants_colour(FILE *stream);
/* Escape sequences around a coloured text; "" when `on` is false or the colour is plain. */
const char *veld_colour_start(enum veld_colour colour, bool on);
const char *veld_colour_end(enum veld_colour colour, bool on);

/* Rows of cells whose columns line up, each as wide as its widest cell. */
#define VELD_COLUMNS_MAX 8

struct veld_table_cell {
    const char *text; /* copied when added */
    enum veld_colour colour;
};
struct veld_table;

struct veld_table *
veld_table_new(size_t columns); /* <= VELD_COLUMNS_MAX; NULL: out of memory */
VELD_MUST_USE int veld_table_add(struct veld_table *t, const struct veld_table_cell *cells);
/* Two spaces between columns, none at a line's end. */
void veld_table_print(const struct veld_table *t, FILE *stream, bool colour);
void veld_table_free(struct veld_table *t); /* NULL is allowed */

#endif

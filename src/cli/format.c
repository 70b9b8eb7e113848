#include "cli/format.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *veld_format_age(uint64_t seconds, char out[VELD_FORMAT_SIZE])
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < VELD_ARRAY_LEN(units) && seconds < units[i].seconds)
        i++;
    int n = snprintf(out, VELD_FORMAT_SIZE, "%" PRIu64 "%c", seconds / units[i].seconds,
                     units[i].unit);
    if (i + 1 < VELD_ARRAY_LEN(units))
        snprintf(out + n, VELD_FORMAT_SIZE - (size_t)n, " %" PRIu64 "%c",
                 seconds % units[i].seconds / units[i + 1].seconds, units[i + 1].unit);
    return out;
}

char *veld_format_bytes(uint64_t bytes, char out[VELD_FORMAT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t i = 0;
    /* 1023.95 would be rounded to 1024.0 */
    for (; value >= 1023.95 && i + 1 < VELD_ARRAY_LEN(units); i++)
        value /= 1024;
    snprintf(out, VELD_FORMAT_SIZE, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
    return out;
}

char *veld_format_rtt(uint64_t us, char out[VELD_FORMAT_SIZE])
{
    snprintf(out, VELD_FORMAT_SIZE, us < 99950 ? "%.1fms" : "%.0fms", (double)us / 1000);
    return out;
}

bool veld_wants_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(stream)) && !(no_color && no_color[0]) && term && term[0] &&
           strcmp(term, "dumb") != 0;
}

const char *veld_colour_start(enum veld_colour colour, bool on)
{
    static const char *const codes[] = {[VELD_PLAIN] = "",
                                        [VELD_DIM] = "\033[2m",
                                        [VELD_RED] = "\033[31m",
                                        [VELD_GREEN] = "\033[32m",
                                        [VELD_YELLOW] = "\033[33m"};
    return on ? codes[colour] : "";
}

const char *veld_colour_end(enum veld_colour colour, bool on)
{
    return on && colour != VELD_PLAIN ? "\033[0m" : "";
}

struct row {
    char *text[VELD_COLUMNS_MAX];
    enum veld_colour colour[VELD_COLUMNS_MAX];
};

struct veld_table {
    size_t columns, n, room;
    struct row *rows;
    size_t width[VELD_COLUMNS_MAX];
};

struct veld_table *veld_table_new(size_t columns)
{
    struct veld_table *t = calloc(1, sizeof *t);
    if (t)
        t->columns = columns;
    return t;
}

static void row_free(struct row *row)
{
    for (size_t c = 0; c < VELD_COLUMNS_MAX; c++)
        free(row->text[c]);
}

int veld_table_add(struct veld_table *t, const struct veld_table_cell *cells)
{
    if (t->n == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        struct row *rows = realloc(t->rows, room * sizeof *rows);
        if (!rows)
            return VELD_E_NOMEM;
        t->rows = rows;
        t->room = room;
    }
    struct row row = {0};
    for (size_t c = 0; c < t->columns; c++) {
        row.text[c] = strdup(cells[c].text);
        row.colour[c] = cells[c].colour;
        if (!row.text[c]) {
            row_free(&row);
            return VELD_E_NOMEM;
        }
        t->width[c] = VELD_MAX(t->width[c], strlen(row.text[c]));
    }
    t->rows[t->n++] = row;
    return 0;
}

static void print_row(const struct veld_table *t, const struct row *row, FILE *stream,
                      bool colour)
{
    size_t last = t->columns;
    while (last > 0 && row->text[last - 1][0] == '\0')
        last--;
    for (size_t c = 0; c < last; c++) {
        size_t pad = c + 1 < last ? t->width[c] - strlen(row->text[c]) + 2 : 0;
        fprintf(stream, "%s%s%s%*s", veld_colour_start(row->colour[c], colour), row->text[c],
                veld_colour_end(row->colour[c], colour), (int)pad, "");
    }
    fputc('\n', stream);
}

void veld_table_print(const struct veld_table *t, FILE *stream, bool colour)
{
    for (size_t i = 0; i < t->n; i++)
        print_row(t, &t->rows[i], stream, colour);
}

void veld_table_free(struct veld_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        row_free(&t->rows[i]);
    free(t->rows);
    free(t);
}

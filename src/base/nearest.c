#include "base/nearest.h"

#include "base/bytes.h"

#include <ctype.h>
#include <string.h>

static int lower(char c)
{
    return tolower((unsigned char)c);
}

/* Optimal string alignment distance, three rows at a time. Both at most VELD_NEAREST_MAX long. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][VELD_NEAREST_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned differs = lower(a[i - 1]) != lower(b[j - 1]);
            unsigned d = VELD_MIN(above[j], row[j - 1]) + 1;
            d = VELD_MIN(d, above[j - 1] + differs);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                d = VELD_MIN(d, before[j - 2] + 1);
            row[j] = d;
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_len];
}

const char *veld_nearest(const char *word, const char *const *words, size_t n)
{
    size_t len = strlen(word);
    if (len == 0 || len > VELD_NEAREST_MAX)
        return NULL;
    const char *best = NULL;
    unsigned best_distance = VELD_MAX((unsigned)len / 3, 1u) + 1;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(words[i]);
        if (other > VELD_NEAREST_MAX)
            continue;
        unsigned d = distance(word, len, words[i], other);
        if (d < best_distance) {
            best = words[i];
            best_distance = d;
        }
    }
    return best;
}

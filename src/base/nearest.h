/*
 * "Did you mean": the word of a list that a mistyped word most resembles.
 *
 * Pure; any thread.
 */
#ifndef VELD_BASE_NEAREST_H
#define VELD_BASE_NEAREST_H

#include <stddef.h>

/* Longer words are never suggested for, nor suggested. */
#define VELD_NEAREST_MAX 64

/*
 * The entry of `words` (`n` of them) nearest to `word` by edits (insert,
 * delete, replace, swap of neighbours), letter case ignored; NULL when none is
 * near enough to be meant: at most a third of the letters, and one edit always.
 */
const char *veld_nearest(const char *word, const char *const *words, size_t n);

#endif

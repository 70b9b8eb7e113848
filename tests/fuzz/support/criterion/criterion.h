/*
 * Criterion's assertions as aborts, so that the unit tests' fixtures serve the
 * fuzzers too.
 */
#ifndef VELD_FUZZ_CRITERION_H
#define VELD_FUZZ_CRITERION_H

#include <stdlib.h>

#define cr_assert(condition, ...)     ((condition) ? (void)0 : abort())
#define cr_assert_not(condition, ...) cr_assert(!(condition))
#define cr_assert_eq(a, b, ...)       cr_assert((a) == (b))
#define cr_assert_lt(a, b, ...)       cr_assert((a) < (b))
#define cr_assert_leq(a, b, ...)      cr_assert((a) <= (b))
#define cr_assert_not_null(p, ...)    cr_assert((p) != NULL)

#endif

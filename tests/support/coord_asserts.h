/*
 * How calls to the coord server end, as assertions: on `r`, the test's coord_rig.
 */
#ifndef VELD_TESTS_COORD_ASSERTS_H
#define VELD_TESTS_COORD_ASSERTS_H

#include "coord_rig.h"

#include <criterion/criterion.h>

#define ok(call)                                                                               \
    do {                                                                                       \
        enum veld_coord_code code_ = (call);                                                   \
        cr_assert_eq(code_, VELD_CODE_OK, "%d: %s", (int)code_, r.status.text);                \
    } while (0)
/* With this code, and this in the sentence for people. */
#define refused(call, wanted, part)                                                            \
    do {                                                                                       \
        enum veld_coord_code code_ = (call);                                                   \
        cr_assert_eq(code_, wanted, "%d: %s", (int)code_, r.status.text);                      \
        cr_assert_not_null(strstr(r.status.text, part), "%s", r.status.text);                  \
        cr_assert_eq(r.reply.len, 0);                                                          \
        cr_assert_null(r.reply.p);                                                             \
    } while (0)

#endif

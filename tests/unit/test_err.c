#include "base/drop.h"
#include "base/err.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, every_code_has_a_text_of_its_own)
{
    static const int codes[] = {
#define X(name, num, text) VELD_E_##name,
        VELD_ERRORS(X)
#undef X
    };
    size_t n = sizeof codes / sizeof *codes;
    for (size_t i = 0; i < n; i++) {
        cr_assert_lt(codes[i], 0);
        cr_assert_str_neq(veld_strerror(codes[i]), "unknown error");
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(codes[i], codes[j]);
    }
    cr_assert_str_eq(veld_strerror(0), "success");
    cr_assert_str_eq(veld_strerror(-999), "unknown error");
}

Test(err, fail_fills_the_diagnosis_and_returns_the_code)
{
    struct veld_diag d = {""};
    cr_assert_eq(veld_fail(&d, VELD_E_IO, "%s: %d", "x", 7), VELD_E_IO);
    cr_assert_str_eq(d.text, "x: 7");
    cr_assert_eq(veld_fail(NULL, VELD_E_IO, "ignored"), VELD_E_IO);
}

Test(err, drop_names_are_unique)
{
    for (int i = 0; i < VELD_DROP_COUNT; i++) {
        cr_assert_gt(strlen(veld_drop_text(i)), 0);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(veld_drop_name(i), veld_drop_name(j));
    }
}

#include "base/bytes.h"
#include "base/label.h"

#include <criterion/criterion.h>

Test(label, from_host)
{
    static const char *const cases[][2] = {
        {"server1", "server1"},
        {"Server1.example.org", "server1"},
        {"my_box", "my-box"},
        {"-x-", "x"},
        {"__a__b__", "a--b"},
        {"", "machine"},
        {".x", "machine"},
        {"\xc3\xa4", "machine"},
        {"localhost", "localhost"},
        {"a123456789b123456789c123456789d123456789e123456789f123456789-12-45",
         "a123456789b123456789c123456789d123456789e123456789f123456789-12"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        char out[VELD_HOST_LABEL_MAX + 1];
        veld_label_from_host(cases[i][0], out);
        cr_expect_str_eq(out, cases[i][1], "%s", cases[i][0]);
    }
}

Test(label, of_machine_is_one)
{
    char out[VELD_HOST_LABEL_MAX + 1];
    veld_label_of_machine(out);
    cr_assert_gt(strlen(out), 0);
    cr_assert_eq(strspn(out, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(out));
}

Test(label, interface_names)
{
    static const char *const good[] = {"veld0", "v", "veld%d", "a.b-c_d", "123456789012345"};
    static const char *const bad[] = {"",    ".",   "..", "lo",   "all",    "default",
                                      "a/b", "a b", "%d", "a%d0", "veld%s", "1234567890123456"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(good); i++)
        cr_expect(veld_interface_name_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++)
        cr_expect_not(veld_interface_name_is_valid(bad[i]), "%s", bad[i]);
}

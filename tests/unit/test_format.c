#include "cli/format.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(format, ages)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {{0, "0s"},          {59, "59s"},
                 {60, "1m 0s"},      {185, "3m 5s"},
                 {3599, "59m 59s"},  {3600, "1h 0m"},
                 {86399, "23h 59m"}, {86400, "1d 0h"},
                 {356400, "4d 3h"},  {UINT64_MAX, "213503982334601d 7h"}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        char out[VELD_FORMAT_SIZE];
        cr_expect_str_eq(veld_format_age(cases[i].seconds, out), cases[i].text);
    }
}

Test(format, bytes)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {1048575, "1.0 MiB"}, /* not 1024.0 KiB */
                 {1ull << 30, "1.0 GiB"},
                 {13207024435ull, "12.3 GiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        char out[VELD_FORMAT_SIZE];
        cr_expect_str_eq(veld_format_bytes(cases[i].bytes, out), cases[i].text);
    }
}

Test(format, round_trips)
{
    char out[VELD_FORMAT_SIZE];
    cr_expect_str_eq(veld_format_rtt(0, out), "0.0ms");
    cr_expect_str_eq(veld_format_rtt(1234, out), "1.2ms");
    cr_expect_str_eq(veld_format_rtt(99949, out), "99.9ms");
    cr_expect_str_eq(veld_format_rtt(99950, out), "100ms");
    cr_expect_str_eq(veld_format_rtt(5000000, out), "5000ms");
}

static char *printed(const struct veld_table *t, bool colour)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    veld_table_print(t, f, colour);
    fclose(f);
    return text;
}

Test(format, columns_line_up_and_lines_have_no_tail)
{
    struct veld_table *t = veld_table_new(3);
    const struct veld_table_cell one[] = {
        {"10.0.0.2", VELD_PLAIN}, {"b", VELD_GREEN}, {"idle", VELD_PLAIN}};
    const struct veld_table_cell two[] = {
        {"1", VELD_PLAIN}, {"longer", VELD_PLAIN}, {"", VELD_PLAIN}};
    cr_assert_eq(veld_table_add(t, one), 0);
    cr_assert_eq(veld_table_add(t, two), 0);
    char *plain = printed(t, false), *coloured = printed(t, true);
    cr_assert_str_eq(plain, "10.0.0.2  b       idle\n1         longer\n");
    cr_assert_str_eq(coloured, "10.0.0.2  \033[32mb\033[0m       idle\n1         longer\n");
    free(plain);
    free(coloured);
    veld_table_free(t);
}

Test(format, colour_only_where_it_is_wanted)
{
    FILE *file = tmpfile();
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    cr_assert_not(veld_wants_colour(file), "a file is no terminal");
    fclose(file);
    int master = posix_openpt(2); /* O_RDWR */
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        cr_skip_test("no pseudo-terminals");
    FILE *terminal = fopen(ptsname(master), "w");
    cr_assert_not_null(terminal);
    cr_assert(veld_wants_colour(terminal));
    setenv("NO_COLOR", "1", 1);
    cr_assert_not(veld_wants_colour(terminal));
    setenv("NO_COLOR", "", 1); /* empty counts as unset: no-color.org */
    cr_assert(veld_wants_colour(terminal));
    setenv("TERM", "dumb", 1);
    cr_assert_not(veld_wants_colour(terminal));
    fclose(terminal);
}

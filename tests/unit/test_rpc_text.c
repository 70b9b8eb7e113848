#include "rpc/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *clean(const char *text)
{
    static char out[VELD_RPC_TEXT_MAX + 1];
    cr_assert_eq(veld_rpc_text_clean(out, text, strlen(text)), strlen(out));
    return out;
}

Test(rpc_text, leaves_plain_words)
{
    cr_expect_str_eq(clean("the name \"mynet\" is taken: choose another"),
                     "the name \"mynet\" is taken: choose another");
    cr_expect_str_eq(clean("das Netz hei\xc3\x9ft \xe7\xb6\xb2 \xf0\x9f\x90\x9d"),
                     "das Netz hei\xc3\x9ft \xe7\xb6\xb2 \xf0\x9f\x90\x9d");
    cr_expect_str_eq(clean(""), "");
}

Test(rpc_text, makes_one_line)
{
    cr_expect_str_eq(clean("\n two\r\n\tlines \xc2\xa0 and \n"), "two lines and");
    cr_expect_str_eq(clean(" \n "), "");
    cr_expect_str_eq(clean("a\xe2\x80\xa8"
                           "b"),
                     "ab"); /* U+2028 */
}

Test(rpc_text, drops_what_steers_a_terminal)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\x1b[31mred\x1b[0m", "red"},
        {"\x1b[38;5;1;1mred", "red"},
        {"\x1b[?1049hscreen", "screen"},
        {"\x1b]0;title\x07"
         "after",
         "after"},
        {"\x1b]52;c;ZXZpbA==\x1b\\after", "after"},
        {"\x1bPdevice\x1b\\after", "after"},
        {"\x1b]0;never ends", ""},
        {"\x1b(0lines", "lines"},
        {"\x1b"
         "creset",
         "reset"},
        {"\xc2\x9b"
         "31mred",
         "red"},
        {"a\x08\x07\x7f\x01z", "az"},
        {"a\x1b", "a"},
        {"a\x1b[", "a"},
        {"a\x1b[12", "a"},
        {"a\x1b\x1b[1mz", "az"},
        {"a\x1b\nz", "a z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(clean(cases[i].in), cases[i].out, "%zu: %s", i, clean(cases[i].in));
}

Test(rpc_text, drops_what_is_not_seen)
{
    cr_expect_str_eq(clean("a\xe2\x80\xae"
                           "b"),
                     "ab"); /* U+202E turns the rest around */
    cr_expect_str_eq(clean("a\xe2\x81\xa6"
                           "b"),
                     "ab"); /* U+2066 */
    cr_expect_str_eq(clean("a\xe2\x80\x8b"
                           "b"),
                     "ab"); /* U+200B takes no place */
    cr_expect_str_eq(clean("a\xef\xbb\xbf"
                           "b"),
                     "ab"); /* U+FEFF */
    cr_expect_str_eq(clean("a\xf3\xa0\x81\x81"
                           "b"),
                     "ab"); /* U+E0041, a tag */
    cr_expect_str_eq(clean("a\xee\x80\x80"
                           "b"),
                     "ab"); /* U+E000 */
}

Test(rpc_text, drops_what_is_no_utf8)
{
    static const char *const bad[] = {
        "a\xff"
        "b",
        "a\x80"
        "b",
        "a\xc3"
        "b",
        "a\xc0\xaf"
        "b",
        "a\xc1\xbf"
        "b",
        "a\xe0\x80\xaf"
        "b",
        "a\xed\xa0\x80"
        "b",
        "a\xf4\x90\x80\x80"
        "b",
        "a\xf0\x80\x80\xaf"
        "b",
        "a\xe2\x80"
        "b",
        "ab\xe2\x80",
        "ab\xf0",
        "a\xf8\x88\x80\x80\x80"
        "b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_str_eq(clean(bad[i]), "ab", "%zu: %s", i, clean(bad[i]));
    char out[VELD_RPC_TEXT_MAX + 1];
    cr_expect_eq(veld_rpc_text_clean(out, "a\0b", 3), 2);
    cr_expect_str_eq(out, "ab");
    cr_expect_eq(veld_rpc_text_clean(out, "ab\xe2\x82\xac", 4), 2,
                 "the last byte is another's");
}

Test(rpc_text, is_cut_between_characters)
{
    char text[2 * VELD_RPC_TEXT_MAX + 1] = "";
    memset(text, 'a', sizeof text - 1);
    cr_expect_eq(strlen(clean(text)), VELD_RPC_TEXT_MAX);
    memcpy(text + VELD_RPC_TEXT_MAX - 1, "\xc3\xa4", 2);
    cr_expect_eq(strlen(clean(text)), VELD_RPC_TEXT_MAX - 1);
    memset(text, 'a', sizeof text - 1);
    text[VELD_RPC_TEXT_MAX - 1] = ' ';
    cr_expect_eq(strlen(clean(text)), VELD_RPC_TEXT_MAX - 1);
    /* exactly as long: read no further */
    char *exact = malloc(3);
    char out[VELD_RPC_TEXT_MAX + 1];
    memcpy(exact, "a\x1b[", 3);
    cr_expect_eq(veld_rpc_text_clean(out, exact, 3), 1);
    memcpy(exact, "ab\xe2", 3);
    cr_expect_eq(veld_rpc_text_clean(out, exact, 3), 2);
    free(exact);
}

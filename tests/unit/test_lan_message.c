#include "base/bytes.h"
#include "control/lan/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNTS(q, an, ns, ar) "\0\0\x84\0\0" q "\0" an "\0" ns "\0" ar
#define NAME                  "\x05_veld\x04_udp\x05local\0"
#define TYPE_A                "\0\x01\x80\x01\0\0\0\x78\0\x04\x01\x02\x03\x04"
#define PLAIN(bytes)          veld_lan_message_is_plain((const uint8_t *)(bytes), sizeof(bytes) - 1)

Test(lan_message, plain)
{
    cr_assert(PLAIN(COUNTS("\0", "\0", "\0", "\0")));
    cr_assert(PLAIN(COUNTS("\x01", "\0", "\0", "\0") NAME "\0\x0c\0\x01"));
    cr_assert(PLAIN(COUNTS("\x01", "\x01", "\x01", "\x01") NAME "\0\xff\0\x01\xc0\x0c" TYPE_A
                                                                "\xc0\x0c" TYPE_A "\x01"
                                                                "a\xc0\x0c" TYPE_A));
}

Test(lan_message, no_alias_in_any_section)
{
    cr_assert_not(
        PLAIN(COUNTS("\0", "\x01", "\0", "\0") NAME "\0\x05\x80\x01\0\0\0\x78\0\x02\xc0\x0c"));
    cr_assert_not(PLAIN(COUNTS("\0", "\x01", "\x01", "\0") NAME TYPE_A
                        "\xc0\x0c\0\x05\x80\x01\0\0\0\x78\0\x02\xc0\x0c"));
    cr_assert_not(PLAIN(COUNTS("\0", "\x01", "\0", "\x01") NAME TYPE_A
                        "\xc0\x0c\0\x27\x80\x01\0\0\0\x78\0\x02\xc0\x0c"));
    cr_assert(PLAIN(COUNTS("\x01", "\0", "\0", "\0") NAME "\0\x05\0\x01"), "only asked for");
}

Test(lan_message, no_name_that_is_none)
{
    cr_assert_not(PLAIN(COUNTS("\x01", "\0", "\0", "\0") "\x41"
                                                         "a\0\0\x0c\0\x01"));
    cr_assert_not(PLAIN(COUNTS("\x01", "\0", "\0", "\0") "\x80\0\0\x0c\0\x01"));
    cr_assert_not(PLAIN(COUNTS("\x01", "\0", "\0", "\0") "\xc0"));
    cr_assert_not(PLAIN(COUNTS("\x01", "\0", "\0", "\0") "\x3f"
                                                         "abc"));
}

/* Each beginning of a message in memory of its own, so that a sanitizer sees what is read beyond. */
Test(lan_message, cut_off_anywhere)
{
    static const char whole[] = COUNTS("\x01", "\x01", "\0", "\x01") NAME
        "\0\xff\0\x01\xc0\x0c" TYPE_A "\xc0\x0c" TYPE_A;
    cr_assert(PLAIN(whole));
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        uint8_t *p = malloc(n + 1);
        memcpy(p + 1, whole, n);
        cr_assert_not(veld_lan_message_is_plain(p + 1, n), "%zu", n);
        free(p);
    }
}

Test(lan_message, counts_and_lengths_beyond_the_end)
{
    static uint8_t large[VELD_LAN_MESSAGE_MAX + 1];
    cr_assert_not(PLAIN("\0\0\x84\0\xff\xff\xff\xff\xff\xff\xff\xff"));
    cr_assert_not(PLAIN("\0\0\x84\0\0\0\xff\xff\0\0\0\0" NAME TYPE_A));
    cr_assert_not(
        PLAIN(COUNTS("\0", "\x01", "\0", "\0") NAME "\0\x01\x80\x01\0\0\0\x78\xff\xff\x01"));
    cr_assert(veld_lan_message_is_plain(large, VELD_LAN_MESSAGE_MAX));
    cr_assert_not(veld_lan_message_is_plain(large, sizeof large));
}

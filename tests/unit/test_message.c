#include "wire/message.h"

#include <criterion/criterion.h>
#include <string.h>

Test(message, round_trip)
{
    uint8_t buf[VELD_MESSAGE_MAX];
    struct veld_message in = {.type = VELD_MSG_PING}, out;
    memset(in.token, 0x5a, sizeof in.token);
    size_t len = veld_message_write(buf, &in);
    cr_assert_eq(len, 20);
    cr_assert_eq(veld_message_parse(buf, len, &out), 0);
    cr_assert_eq(out.type, VELD_MSG_PING);
    cr_assert_arr_eq(out.token, in.token, sizeof in.token);
    in.type = VELD_MSG_GOODBYE;
    cr_assert_eq(veld_message_write(buf, &in), 4);
    cr_assert_eq(veld_message_parse(buf, 4, &out), 0);
}

Test(message, refuses_wrong_lengths_and_versions)
{
    uint8_t buf[VELD_MESSAGE_MAX + 1] = {0};
    struct veld_message in = {.type = VELD_MSG_PONG}, out;
    size_t len = veld_message_write(buf, &in);
    for (size_t l = 0; l < sizeof buf; l++) {
        if (l != len)
            cr_assert_eq(veld_message_parse(buf, l, &out), VELD_E_FORMAT, "%zu", l);
    }
    buf[3] = 15;
    cr_assert_eq(veld_message_parse(buf, len - 1, &out), VELD_E_FORMAT);
    veld_message_write(buf, &in);
    buf[1] = 2;
    cr_assert_eq(veld_message_parse(buf, len, &out), VELD_E_FORMAT);
}

Test(message, unknown_types_are_to_be_ignored)
{
    uint8_t buf[] = {99, 1, 0, 3, 1, 2, 3};
    struct veld_message out;
    cr_assert_eq(veld_message_parse(buf, sizeof buf, &out), VELD_E_UNSUPPORTED);
}

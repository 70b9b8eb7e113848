#include "wire/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
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

Test(message, a_probe_is_as_long_as_it_says)
{
    uint8_t buf[9001] = {0};
    const struct veld_message probe = {.type = VELD_MSG_PROBE, .id = 0xdeadbeef, .size = 1420};
    struct veld_message out;
    cr_assert_eq(veld_message_write(buf, &probe), VELD_PROBE_SIZE);
    cr_assert_eq(veld_message_parse(buf, 1420, &out), 0);
    cr_assert_eq(out.type, VELD_MSG_PROBE);
    cr_assert_eq(out.id, 0xdeadbeef);
    cr_assert_eq(out.size, 1420);
    for (size_t l = 0; l < sizeof buf; l++) {
        if (l != 1420)
            cr_assert_eq(veld_message_parse(buf, l, &out), VELD_E_FORMAT, "%zu", l);
    }
    buf[9] ^= 1; /* its size and its length disagree */
    cr_assert_eq(veld_message_parse(buf, 1420, &out), VELD_E_FORMAT);
}

/* From a copy of the first VELD_MESSAGE_MAX bytes, which is all an event has. */
Test(message, padding_is_not_read)
{
    uint8_t *head = malloc(VELD_MESSAGE_MAX);
    const struct veld_message probe = {.type = VELD_MSG_PROBE, .id = 1, .size = 8968};
    struct veld_message out;
    memset(head, 0xee, VELD_MESSAGE_MAX);
    veld_message_write(head, &probe);
    cr_assert_eq(veld_message_parse(head, 8968, &out), 0);
    free(head);
}

Test(message, an_answer_is_as_long_as_the_shortest_probe)
{
    uint8_t buf[VELD_MESSAGE_MAX] = {0};
    struct veld_message in = {.type = VELD_MSG_PROBED, .id = 7, .size = 1500}, out;
    size_t len = veld_message_write(buf, &in);
    cr_assert_eq(len, VELD_PROBE_SIZE);
    cr_assert_eq(veld_message_parse(buf, len, &out), 0);
    cr_assert_eq(out.id, 7);
    cr_assert_eq(out.size, 1500);
    for (size_t l = 0; l < sizeof buf; l++) {
        if (l != len)
            cr_assert_eq(veld_message_parse(buf, l, &out), VELD_E_FORMAT, "%zu", l);
    }
    in.size = VELD_PROBE_SIZE - 1;
    veld_message_write(buf, &in);
    cr_assert_eq(veld_message_parse(buf, len, &out), VELD_E_FORMAT);
    in = (struct veld_message){.type = VELD_MSG_PROBE, .size = VELD_PROBE_SIZE};
    cr_assert_eq(veld_message_write(buf, &in), VELD_PROBE_SIZE);
    cr_assert_eq(veld_message_parse(buf, VELD_PROBE_SIZE, &out), 0);
}

Test(message, unknown_types_are_to_be_ignored)
{
    uint8_t buf[] = {99, 1, 0, 3, 1, 2, 3};
    struct veld_message out;
    cr_assert_eq(veld_message_parse(buf, sizeof buf, &out), VELD_E_UNSUPPORTED);
}

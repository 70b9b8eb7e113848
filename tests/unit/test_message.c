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

/* ---- Lists of revoked keys ---- */

static const struct veld_message revoked[] = {
    {.type = VELD_MSG_REVOKED_EPOCH, .epoch = 0x0102030405060708},
    {.type = VELD_MSG_REVOKED_GET, .epoch = 9, .offset = 1000},
    {.type = VELD_MSG_REVOKED_PART,
     .epoch = 9,
     .total = 1003,
     .offset = 1000,
     .part = (const uint8_t *)"abc",
     .part_len = 3},
};

Test(message, what_is_said_of_revocations)
{
    static const size_t sizes[] = {12, 16, 23};
    uint8_t buf[VELD_MESSAGE_MAX + 1];
    for (unsigned i = 0; i < sizeof revoked / sizeof revoked[0]; i++) {
        const struct veld_message *in = &revoked[i];
        struct veld_message out;
        memset(buf, 0, sizeof buf);
        size_t len = veld_message_write(buf, in);
        cr_assert_eq(len, sizes[i]);
        cr_assert_eq(veld_message_parse(buf, len, &out), 0);
        cr_assert_eq(out.type, in->type);
        cr_assert_eq(out.epoch, in->epoch);
        cr_assert_eq(out.offset, in->offset);
        cr_assert_eq(out.total, in->total);
        cr_assert_eq(out.part_len, in->part_len);
        cr_assert(in->part_len == 0 || memcmp(out.part, in->part, in->part_len) == 0);
        for (size_t l = 0; l < sizeof buf; l++) { /* also where the header tells that length */
            struct veld_message other;
            if (l == len)
                continue;
            cr_assert_eq(veld_message_parse(buf, l, &other), VELD_E_FORMAT, "%zu", l);
            uint8_t longer[sizeof buf];
            memcpy(longer, buf, sizeof longer);
            if (in->type == VELD_MSG_REVOKED_PART && l > 20 && l < len)
                continue; /* a shorter part of the same */
            if (l >= VELD_MESSAGE_HEADER_SIZE)
                longer[3] = (uint8_t)(l - VELD_MESSAGE_HEADER_SIZE);
            cr_assert_eq(veld_message_parse(longer, l, &other), VELD_E_FORMAT, "%u: %zu", i, l);
        }
    }
}

/* Where a part ends is told three times over: by its length, and by what it says of the whole. */
Test(message, a_part_lies_within_its_list)
{
    uint8_t buf[VELD_MESSAGE_MAX], list[VELD_REVOKED_PART_MAX] = {0};
    struct veld_message out, part = {.type = VELD_MSG_REVOKED_PART, .epoch = 1, .part = list};
    for (unsigned n = 1; n <= VELD_REVOKED_PART_MAX; n++) {
        part.part_len = (uint8_t)n;
        part.total = n;
        size_t len = veld_message_write(buf, &part);
        cr_assert_leq(len, sizeof buf);
        cr_assert_eq(veld_message_parse(buf, len, &out), 0, "%u", n);
        cr_assert_eq(out.part_len, n);
    }
    static const struct {
        uint32_t total, offset;
    } wrong[] = {{0, 0},     {199, 0},          {200, 1},
                 {200, 200}, {200, UINT32_MAX}, {100, UINT32_MAX - 50}};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        part.total = wrong[i].total;
        part.offset = wrong[i].offset;
        size_t len = veld_message_write(buf, &part);
        cr_assert_eq(veld_message_parse(buf, len, &out), VELD_E_FORMAT, "%u", i);
    }
    part.total = UINT32_MAX;
    part.offset = UINT32_MAX - VELD_REVOKED_PART_MAX;
    cr_assert_eq(veld_message_parse(buf, veld_message_write(buf, &part), &out), 0);
}

Test(message, which_types_are_for_others)
{
    for (unsigned type = 0; type < 256; type++)
        cr_assert_eq(veld_message_is_passed_on((uint8_t)type), type >= 6 && type <= 15, "%u",
                     type);
}

/* ---- Candidates ---- */

static struct veld_endpoint endpoint(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0);
    return e;
}

Test(message, candidates_of_both_families)
{
    uint8_t buf[VELD_MESSAGE_MAX];
    struct veld_message out, in = {.type = VELD_MSG_CANDIDATES, .sequence = 0x0102030405060708};
    cr_assert_eq(veld_message_write(buf, &in), 12);
    cr_assert_eq(veld_message_parse(buf, 12, &out), 0);
    cr_assert_eq(out.n_endpoints, 0);
    for (unsigned i = 0; i < VELD_MESSAGE_ENDPOINTS_MAX; i++)
        in.endpoints[i] = endpoint(i % 2 ? "[2001:db8::7]:51820" : "192.0.2.1:4096");
    in.n_endpoints = VELD_MESSAGE_ENDPOINTS_MAX;
    size_t len = veld_message_write(buf, &in);
    cr_assert_eq(len, 12 + 4 * 7 + 4 * 19);
    cr_assert_eq(veld_message_parse(buf, len, &out), 0);
    cr_assert_eq(out.sequence, in.sequence);
    cr_assert_eq(out.n_endpoints, in.n_endpoints);
    for (unsigned i = 0; i < in.n_endpoints; i++)
        cr_assert(veld_endpoint_equal(&out.endpoints[i], &in.endpoints[i]), "%u", i);
}

/* `body`: what follows the sequence. */
static int parse_endpoints(const uint8_t *body, size_t len)
{
    uint8_t buf[VELD_MESSAGE_MAX] = {VELD_MSG_CANDIDATES, 1};
    struct veld_message out;
    buf[3] = (uint8_t)(8 + len);
    memcpy(buf + 12, body, len);
    return veld_message_parse(buf, 12 + len, &out);
}

Test(message, a_list_of_candidates_is_bounded_and_whole)
{
    uint8_t nine[9 * 7];
    for (unsigned i = 0; i < 9; i++)
        memcpy(nine + i * 7, (uint8_t[]){4, 1, 2, 192, 0, 2, 1}, 7);
    cr_assert_eq(parse_endpoints(nine, 8 * 7), 0);
    cr_assert_eq(parse_endpoints(nine, 9 * 7), VELD_E_FORMAT);
    cr_assert_eq(parse_endpoints(nine, 8 * 7 - 1), VELD_E_FORMAT);
    nine[0] = VELD_FAMILY_CIRCUIT;
    cr_assert_eq(parse_endpoints(nine, 7), VELD_E_FORMAT,
                 "a circuit is nobody else's business");
    cr_assert_eq(parse_endpoints((uint8_t[]){4, 0, 0, 192, 0, 2, 1}, 7), VELD_E_FORMAT,
                 "port 0");
    uint8_t mapped[19] = {6, 1, 2, [13] = 0xff, [14] = 0xff, 192, 0, 2, 1};
    cr_assert_eq(parse_endpoints(mapped, sizeof mapped), VELD_E_FORMAT, "IPv4 as IPv6");
}

/* ---- Circuits ---- */

Test(message, what_is_said_of_circuits)
{
    static const struct {
        uint8_t type, len;
    } kinds[] = {{VELD_MSG_CIRCUIT_OPEN, 40},
                 {VELD_MSG_CIRCUIT_OPENED, 41},
                 {VELD_MSG_CIRCUIT_OFFER, 36},
                 {VELD_MSG_CIRCUIT_REFUSED, 37},
                 {VELD_MSG_CIRCUIT_CLOSE, 36}};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t buf[VELD_MESSAGE_MAX + 1] = {0};
        struct veld_message out, in = {.type = kinds[i].type, .index = 0xa1b2c3d4, .state = 1};
        memset(in.pub, 0x77, sizeof in.pub);
        size_t len = veld_message_write(buf, &in);
        cr_assert_eq(len, kinds[i].len);
        cr_assert_eq(veld_message_parse(buf, len, &out), 0);
        cr_assert_arr_eq(out.pub, in.pub, sizeof in.pub);
        bool indexed = in.type == VELD_MSG_CIRCUIT_OPEN || in.type == VELD_MSG_CIRCUIT_OPENED;
        cr_assert_eq(out.index, indexed ? in.index : 0);
        for (size_t l = VELD_MESSAGE_HEADER_SIZE; l < sizeof buf; l++) {
            buf[3] = (uint8_t)(l - VELD_MESSAGE_HEADER_SIZE);
            cr_assert_eq(veld_message_parse(buf, l, &out) == 0, l == len, "%u: %zu", i, l);
        }
    }
}

Test(message, a_circuit_is_joined_or_not)
{
    uint8_t buf[VELD_MESSAGE_MAX];
    struct veld_message out, in = {.type = VELD_MSG_CIRCUIT_OPENED, .state = 2};
    size_t len = veld_message_write(buf, &in);
    cr_assert_eq(veld_message_parse(buf, len, &out), VELD_E_FORMAT);
}

/* ---- Hello ---- */

Test(message, a_name_and_an_address)
{
    uint8_t buf[VELD_MESSAGE_MAX] = {0};
    struct veld_message out, in = {.type = VELD_MSG_HELLO, .name = "laptop-2"};
    size_t len = veld_message_write(buf, &in);
    cr_assert_eq(len, 16);
    cr_assert_eq(veld_message_parse(buf, len, &out), 0);
    cr_assert_str_eq(out.name, "laptop-2");
    cr_assert_eq(out.ipv4.family, 0);
    cr_assert_eq(veld_ip_parse("10.100.7.1", &in.ipv4), 0);
    veld_message_write(buf, &in);
    cr_assert_eq(veld_message_parse(buf, len, &out), 0);
    cr_assert(veld_ip_equal(&out.ipv4, &in.ipv4));
    cr_assert(veld_message_is_passed_on(VELD_MSG_HELLO));
}

Test(message, a_name_is_of_1_to_63_letters)
{
    uint8_t buf[VELD_MESSAGE_MAX] = {VELD_MSG_HELLO, 1};
    struct veld_message out;
    memset(buf + 8, 'a', 80);
    for (size_t l = 0; l <= 80; l++) {
        buf[3] = (uint8_t)(4 + l);
        cr_assert_eq(veld_message_parse(buf, 8 + l, &out) == 0, l >= 1 && l <= 63, "%zu", l);
    }
    buf[3] = 4 + 3;
    for (unsigned c = 0; c < 256; c++) {
        buf[9] = (uint8_t)c;
        bool right = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        cr_assert_eq(veld_message_parse(buf, 11, &out) == 0, right, "%u", c);
    }
}

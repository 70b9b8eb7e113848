#include "wire/datagram.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t buf[256];

static enum veld_drop refused(size_t len)
{
    struct veld_header h;
    enum veld_drop drop = VELD_DROP_COUNT;
    cr_assert_not(veld_header_parse(buf, len, &h, &drop));
    return drop;
}

static void header(struct veld_header h)
{
    memset(buf, 0, sizeof buf);
    veld_header_write(buf, &h);
}

Test(datagram, data_header_round_trip)
{
    struct veld_header in = {.type = VELD_DATA,
                             .flags = VELD_FLAG_SEGMENT,
                             .lane = 3,
                             .index = 0x01020304,
                             .counter = 0x1122334455667788},
                       out;
    enum veld_drop drop;
    header(in);
    static const uint8_t wire[16] = {0xC4, 2,    3,    1,    1,    2,    3,    4,
                                     0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    cr_assert_arr_eq(buf, wire, 16);
    cr_assert(veld_header_parse(buf, VELD_DATA_OVERHEAD, &out, &drop));
    cr_assert_eq(out.flags, in.flags);
    cr_assert_eq(out.lane, in.lane);
    cr_assert_eq(out.index, in.index);
    cr_assert_eq(out.counter, in.counter);
}

Test(datagram, response_carries_both_indexes)
{
    struct veld_header out;
    enum veld_drop drop;
    header((struct veld_header){.type = VELD_RESPONSE, .index = 7, .responder_index = 9});
    cr_assert(veld_header_parse(buf, VELD_RESPONSE_SIZE, &out, &drop));
    cr_assert_eq(out.index, 7);
    cr_assert_eq(out.responder_index, 9);
}

Test(datagram, each_fixed_type_has_one_length)
{
    static const struct {
        uint8_t type;
        size_t size;
    } types[] = {{VELD_INITIATION, VELD_INITIATION_SIZE},
                 {VELD_RESPONSE, VELD_RESPONSE_SIZE},
                 {VELD_COOKIE_REPLY, VELD_COOKIE_REPLY_SIZE}};
    for (size_t i = 0; i < 3; i++) {
        struct veld_header h;
        enum veld_drop drop;
        header((struct veld_header){.type = types[i].type});
        cr_assert(veld_header_parse(buf, types[i].size, &h, &drop));
        cr_assert_eq(refused(types[i].size - 1), VELD_DROP_RUNT);
        cr_assert_eq(refused(types[i].size + 1), VELD_DROP_OVERSIZED);
    }
}

Test(datagram, refuses_by_reason)
{
    header((struct veld_header){.type = VELD_DATA});
    cr_assert_eq(refused(0), VELD_DROP_RUNT);
    cr_assert_eq(refused(15), VELD_DROP_RUNT);
    cr_assert_eq(refused(31), VELD_DROP_RUNT);
    buf[0] = 0x00; /* STUN */
    cr_assert_eq(refused(32), VELD_DROP_TYPE);
    buf[0] = VELD_RELAYED;
    cr_assert_eq(refused(32), VELD_DROP_TYPE);
    buf[0] = VELD_DATA;
    buf[3] = 2;
    cr_assert_eq(refused(32), VELD_DROP_VERSION);
    buf[3] = 1;
    buf[1] = 0x10;
    cr_assert_eq(refused(32), VELD_DROP_HEADER);
    buf[1] = 0;
    buf[2] = VELD_LANES_MAX;
    cr_assert_eq(refused(32), VELD_DROP_LANE);
}

Test(datagram, reserved_bytes_of_handshakes_must_be_zero)
{
    static const int reserved[] = {1, 2, 8, 11, 12, 15};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        header((struct veld_header){.type = VELD_INITIATION, .index = 5});
        buf[reserved[i]] = 1;
        cr_assert_eq(refused(VELD_INITIATION_SIZE), VELD_DROP_HEADER, "byte %d", reserved[i]);
    }
}

Test(datagram, payloads_round_trip_and_refuse)
{
    struct veld_initiation_payload i = {.timestamp_ns = 42, .lanes = 64, .features = 5}, i2;
    memset(i.identity, 0xab, 32);
    veld_initiation_payload_write(buf, &i);
    cr_assert_eq(veld_initiation_payload_parse(buf, &i2), 0);
    cr_assert_eq(i2.timestamp_ns, 42);
    cr_assert_eq(i2.lanes, 64);
    cr_assert_eq(i2.features, 5);
    cr_assert_arr_eq(i2.identity, i.identity, 32);
    buf[40] = 65;
    cr_assert_eq(veld_initiation_payload_parse(buf, &i2), VELD_E_FORMAT);

    struct veld_response_payload r = {.lanes = 1}, r2;
    veld_response_payload_write(buf, &r);
    cr_assert_eq(veld_response_payload_parse(buf, &r2), 0);
    buf[1] = 1;
    cr_assert_eq(veld_response_payload_parse(buf, &r2), VELD_E_FORMAT);
    memset(buf, 0, 8);
    cr_assert_eq(veld_response_payload_parse(buf, &r2), VELD_E_FORMAT);
}

Test(datagram, relayed_header)
{
    uint8_t d[VELD_RELAYED_MIN] = {0};
    struct veld_relayed h = {.lane = 63, .index = 0x12345678}, got;
    enum veld_drop drop;
    veld_relayed_write(d, &h);
    static const uint8_t want[] = {0xC5, 0, 63, 1, 0x12, 0x34, 0x56, 0x78};
    cr_assert_arr_eq(d, want, sizeof want);
    cr_assert(veld_relayed_parse(d, sizeof d, &got, &drop));
    cr_assert_eq(got.lane, 63);
    cr_assert_eq(got.index, 0x12345678);
    cr_assert_not(veld_relayed_parse(d, sizeof d - 1, &got, &drop));
    cr_assert_eq(drop, VELD_DROP_RUNT);
    for (unsigned i = 0; i < VELD_RELAYED_OVERHEAD; i++) {
        enum veld_drop want_drop = i == 0   ? VELD_DROP_TYPE
                                   : i == 2 ? VELD_DROP_LANE
                                   : i == 3 ? VELD_DROP_VERSION
                                            : VELD_DROP_HEADER;
        if (i >= 4 && i < 8)
            continue; /* any number is one */
        d[i] ^= 0x41;
        cr_assert_not(veld_relayed_parse(d, sizeof d, &got, &drop), "byte %u", i);
        cr_assert_eq(drop, want_drop, "byte %u", i);
        d[i] ^= 0x41;
    }
    for (unsigned type = 0; type < 256; type++)
        cr_assert_eq(veld_is_relayable((uint8_t)type), type >= 0xC1 && type <= 0xC4);
}

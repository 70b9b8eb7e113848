#include "../support/hex.h"
#include "coord/hpack_count.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *from; /* RFC 7541, appendix C */
    const char *block;
    uint32_t fields;
} examples[] = {
    {"C.2.1", "400a637573746f6d2d6b65790d637573746f6d2d686561646572", 1},
    {"C.2.2", "040c2f73616d706c652f70617468", 1},
    {"C.2.3", "100870617373776f726406736563726574", 1},
    {"C.2.4", "82", 1},
    {"C.3.1", "828684410f7777772e6578616d706c652e636f6d", 4},
    {"C.3.2", "828684be58086e6f2d6361636865", 5},
    {"C.3.3", "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", 5},
    {"C.4.1", "828684418cf1e3c2e5f23a6ba0ab90f4ff", 4},
    {"C.6.1",
     "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c7"
     "8f0b97c8e9ae82ae43d3",
     4},
    {"a size of the table, then an index", "3fe11f82", 2},
    {"an index of two bytes", "ff8001", 1},
    {"a literal whose name has an index of two bytes",
     "7f8001"
     "0161",
     1},
    {"names and values of no bytes", "000000000000", 2},
};

Test(hpack_count, the_examples_of_the_standard)
{
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        uint8_t block[128] = {0};
        size_t len = strlen(examples[i].block) / 2;
        cr_assert_eq(hex_decode(examples[i].block, 2 * len, block), 0);
        struct veld_hpack_count whole = {0}, cut = {0};
        cr_assert(veld_hpack_count(&whole, block, len), "%s", examples[i].from);
        cr_assert_eq(whole.fields, examples[i].fields, "%s: %u", examples[i].from,
                     whole.fields);
        cr_assert_eq(whole.at, HPACK_FIELD, "%s does not end", examples[i].from);
        for (size_t at = 0; at < len; at++)
            cr_assert(veld_hpack_count(&cut, block + at, 1));
        cr_assert_eq(cut.fields, whole.fields);
        cr_assert_eq(cut.at, HPACK_FIELD);
    }
}

Test(hpack_count, a_number_has_an_end)
{
    static const uint8_t starts[] = {0xff, 0x7f, 0x3f, 0x0f, 0x1f};
    uint8_t block[16];
    for (size_t i = 0; i < sizeof starts; i++) {
        struct veld_hpack_count c = {0};
        memset(block, 0x80, sizeof block);
        block[0] = starts[i];
        cr_assert(veld_hpack_count(&c, block, 5));
        cr_assert_not(veld_hpack_count(&c, block + 5, 1), "after %#x", starts[i]);
    }
    /* And the length of a string. */
    struct veld_hpack_count c = {0};
    memset(block, 0x80, sizeof block);
    block[0] = 0x00;
    block[1] = 0x7f;
    cr_assert_not(veld_hpack_count(&c, block, sizeof block));
}

Test(hpack_count, a_string_is_skipped_and_not_read)
{
    struct veld_hpack_count c = {0};
    uint8_t block[2 + 1 + 130];
    memset(block, 0x82, sizeof block); /* each would be a field */
    block[0] = 0x04;
    block[1] = 0x7f;
    block[2] = 3;
    cr_assert(veld_hpack_count(&c, block, sizeof block));
    cr_assert_eq(c.fields, 1);
    cr_assert_eq(c.at, HPACK_FIELD);
}

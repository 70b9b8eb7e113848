#include "stun/stun.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t id[VELD_STUN_ID_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static struct veld_endpoint endpoint(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0);
    return e;
}

static size_t answer(uint8_t out[VELD_STUN_RESPONSE_MAX], const char *from)
{
    struct veld_stun request = {.kind = VELD_STUN_REQUEST};
    struct veld_endpoint e = endpoint(from);
    size_t len;
    memcpy(request.id, id, sizeof id);
    cr_assert_eq(veld_stun_response_write(out, &len, &request, VELD_STUN_REQUEST_SIZE, &e), 0);
    return len;
}

/* ---- RFC 5769, test vectors ---- */

/* 2.1: a request with credentials: an ICE check, which is not for us. */
static const uint8_t rfc5769_request[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
    0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e,
    0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24,
    0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1,
    0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68,
    0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
    0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
    0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};
/* 2.2 */
static const uint8_t rfc5769_ipv4[] = {
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
    0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
    0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
    0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99,
    0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
    0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};
/* 2.3 */
static const uint8_t rfc5769_ipv6[] = {
    0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
    0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
    0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02,
    0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
    0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6,
    0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41,
    0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};

Test(stun, published_vectors)
{
    struct veld_stun m;
    char text[VELD_ENDPOINT_STRLEN];
    cr_assert_eq(veld_stun_parse(rfc5769_ipv4, sizeof rfc5769_ipv4, &m), 0);
    cr_assert_eq(m.kind, VELD_STUN_RESPONSE);
    cr_assert_arr_eq(m.id, rfc5769_ipv4 + 8, sizeof m.id);
    cr_assert_str_eq(veld_endpoint_format(&m.mapped, text), "192.0.2.1:32853");
    cr_assert_eq(veld_stun_parse(rfc5769_ipv6, sizeof rfc5769_ipv6, &m), 0);
    cr_assert_str_eq(veld_endpoint_format(&m.mapped, text),
                     "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
    cr_assert_eq(veld_stun_parse(rfc5769_request, sizeof rfc5769_request, &m),
                 VELD_E_UNSUPPORTED);
}

/* Cut anywhere, with a header that tells the new length. */
Test(stun, what_is_cut_is_malformed)
{
    for (size_t len = 0; len < sizeof rfc5769_ipv4; len++) {
        struct veld_stun m;
        uint8_t *cut = malloc(len ? len : 1);
        memcpy(cut, rfc5769_ipv4, len);
        cr_assert_eq(veld_stun_parse(cut, len, &m), VELD_E_FORMAT, "%zu", len);
        if (len >= VELD_STUN_HEADER_SIZE && len % 4 == 0) {
            veld_store_be16(cut + 2, (uint16_t)(len - VELD_STUN_HEADER_SIZE));
            /* After the address it is whole wherever an attribute ends. */
            bool whole = len == 48 || len == 72;
            cr_assert_eq(veld_stun_parse(cut, len, &m), whole ? 0 : VELD_E_FORMAT, "%zu", len);
        }
        free(cut);
    }
}

/* ---- Ours ---- */

Test(stun, round_trip)
{
    static const char *const from[] = {"192.0.2.1:1", "255.1.2.3:65535", "[2001:db8::7]:4096"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(from); i++) {
        uint8_t out[VELD_STUN_RESPONSE_MAX];
        struct veld_stun m;
        struct veld_endpoint e = endpoint(from[i]);
        size_t len = answer(out, from[i]);
        cr_assert_eq(veld_stun_parse(out, len, &m), 0);
        cr_assert_eq(m.kind, VELD_STUN_RESPONSE);
        cr_assert_arr_eq(m.id, id, sizeof id);
        cr_assert(veld_endpoint_equal(&m.mapped, &e), "%s", from[i]);
    }
}

Test(stun, a_request_is_read_as_one)
{
    uint8_t out[VELD_STUN_REQUEST_SIZE];
    struct veld_stun m;
    veld_stun_request_write(out, id);
    cr_assert(veld_stun_is(out, sizeof out));
    cr_assert_eq(veld_stun_parse(out, sizeof out, &m), 0);
    cr_assert_eq(m.kind, VELD_STUN_REQUEST);
    cr_assert_arr_eq(m.id, id, sizeof id);
}

Test(stun, no_answer_is_longer_than_the_question)
{
    static const struct {
        const char *from;
        size_t len;
    } answers[] = {{"192.0.2.1:1", 32}, {"[2001:db8::7]:1", 44}};
    for (size_t i = 0; i < VELD_ARRAY_LEN(answers); i++) {
        uint8_t out[VELD_STUN_RESPONSE_MAX];
        struct veld_stun request = {.kind = VELD_STUN_REQUEST};
        struct veld_endpoint from = endpoint(answers[i].from);
        size_t len;
        for (size_t asked = VELD_STUN_HEADER_SIZE; asked <= VELD_STUN_REQUEST_SIZE; asked++) {
            int rc = veld_stun_response_write(out, &len, &request, asked, &from);
            cr_assert_eq(rc, asked < answers[i].len ? VELD_E_LIMIT : 0, "%zu", asked);
            cr_assert_leq(len, asked);
        }
        cr_assert_eq(len, answers[i].len);
    }
    cr_assert_leq(VELD_STUN_RESPONSE_MAX, VELD_STUN_REQUEST_SIZE);
}

Test(stun, a_circuit_is_no_address)
{
    uint8_t out[VELD_STUN_RESPONSE_MAX];
    struct veld_stun request = {.kind = VELD_STUN_REQUEST};
    struct veld_endpoint circuit = veld_endpoint_circuit(7);
    size_t len;
    cr_assert_eq(veld_stun_response_write(out, &len, &request, 64, &circuit), VELD_E_INVAL);
}

Test(stun, other_methods_and_classes_are_not_for_us)
{
    uint8_t out[VELD_STUN_REQUEST_SIZE];
    struct veld_stun m;
    veld_stun_request_write(out, id);
    for (unsigned type = 0; type < 0x400; type++) {
        veld_store_be16(out, (uint16_t)type);
        int rc = veld_stun_parse(out, sizeof out, &m);
        cr_assert_eq(rc,
                     type == 0x0001   ? 0
                     : type == 0x0101 ? VELD_E_FORMAT /* without an address */
                                      : VELD_E_UNSUPPORTED,
                     "%x", type);
    }
}

Test(stun, what_must_be_understood)
{
    uint8_t out[VELD_STUN_REQUEST_SIZE], got[VELD_STUN_RESPONSE_MAX + 8] = {0};
    struct veld_stun m;
    for (unsigned type = 0; type < 0x10000; type += 0x11) {
        veld_stun_request_write(out, id);
        veld_store_be16(out + 20, (uint16_t)type);
        cr_assert_eq(veld_stun_parse(out, sizeof out, &m),
                     type < 0x8000 ? VELD_E_UNSUPPORTED : 0, "%x", type);
        size_t len = answer(got, "192.0.2.1:1");
        veld_store_be16(got + 2, (uint16_t)(len + 4 - 20));
        veld_store_be16(got + len, (uint16_t)type);
        veld_store_be16(got + len + 2, 0);
        bool known = type == 0x0008 || type == 0x001c || type == 0x0020;
        cr_assert_eq(veld_stun_parse(got, len + 4, &m),
                     type < 0x8000 && !known ? VELD_E_UNSUPPORTED : 0, "%x", type);
    }
}

Test(stun, an_address_that_is_none)
{
    struct veld_stun m;
    uint8_t out[VELD_STUN_RESPONSE_MAX];
    size_t len = answer(out, "192.0.2.1:1");
    out[25] = 3; /* family */
    cr_assert_eq(veld_stun_parse(out, len, &m), VELD_E_FORMAT);
    out[25] = 2;
    cr_assert_eq(veld_stun_parse(out, len, &m), VELD_E_FORMAT, "too short for it");
    len = answer(out, "192.0.2.1:1");
    out[26] = 0x21; /* port 0 */
    out[27] = 0x12;
    cr_assert_eq(veld_stun_parse(out, len, &m), VELD_E_FORMAT);
    len = answer(out, "[2001:db8::7]:1");
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    for (size_t i = 0; i < sizeof mapped; i++)
        out[28 + i] = mapped[i] ^ out[4 + i];
    cr_assert_eq(veld_stun_parse(out, len, &m), VELD_E_FORMAT, "IPv4 as IPv6");
}

Test(stun, is_told_from_veld_by_its_first_byte)
{
    uint8_t out[VELD_STUN_REQUEST_SIZE];
    for (unsigned first = 0; first < 256; first++) {
        veld_stun_request_write(out, id);
        out[0] = (uint8_t)first;
        cr_assert_eq(veld_stun_is(out, sizeof out), first < 4, "%u", first);
    }
    veld_stun_request_write(out, id);
    out[5] ^= 1;
    cr_assert_not(veld_stun_is(out, sizeof out), "another cookie");
    out[5] ^= 1;
    cr_assert_not(veld_stun_is(out, sizeof out - 4), "another length");
}

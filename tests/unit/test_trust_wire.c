#include "trust/wire.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>

TestSuite(trust_wire, .timeout = 60);

Test(trust_wire, unpacks_what_was_packed)
{
    pb_endpoint e = VELD__TRUST__V1__ENDPOINT__INIT, *out;
    struct veld_blob b = {0};
    e.address = veld_wire_bytes("\xc0\x00\x02\x01", 4);
    e.port = 65535;
    cr_assert_eq(veld_wire_pack(&b, &e, 10), 0);
    cr_assert_eq(b.len, 10);
    cr_assert_eq(veld_wire_pack(&b, &e, 9), VELD_E_RANGE);
    cr_assert_null(b.p);
    cr_assert_eq(veld_wire_pack(&b, &e, 10), 0);
    out = veld_wire_unpack(&veld__trust__v1__endpoint__descriptor, b.p, b.len, b.len);
    cr_assert(out && out->port == 65535 && out->address.len == 4 && veld_wire_is_plain(out));
    veld_wire_free(out);
    cr_assert_null(
        veld_wire_unpack(&veld__trust__v1__endpoint__descriptor, b.p, b.len, b.len - 1));
    cr_assert_null(
        veld_wire_unpack(&veld__trust__v1__endpoint__descriptor, b.p, b.len - 1, b.len));
    out = veld_wire_unpack(&veld__trust__v1__endpoint__descriptor, NULL, 0, 0);
    cr_assert(out && out->port == 0);
    veld_wire_free(out);
    veld_wire_free(NULL);
    veld_blob_clear(&b);
}

/* What others could read otherwise than we do. */
Test(trust_wire, unpacks_what_is_said_in_one_way_only)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
        bool ok;
    } networks[] = {
        {"a name",
         "\x12\x03"
         "abc",
         5, true},
        {"a name with a NUL in it",
         "\x12\x03"
         "a\0c",
         5, false},
        {"two names",
         "\x12\x01"
         "a"
         "\x12\x01"
         "b",
         6, false},
        {"a number longer than it need be", "\x20\x81\x00", 3, false},
        {"a field of a later version",
         "\x12\x01"
         "a"
         "\xfa\x01\x01"
         "x",
         7, true},
    };
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        void *m = veld_wire_unpack(&veld__trust__v1__network__descriptor, networks[i].bytes,
                                   networks[i].len, 100);
        cr_expect_eq(m != NULL, networks[i].ok, "%s", networks[i].what);
        veld_wire_free(m);
    }
}

/* Two bytes of message are a hundred of memory: no more of them than there is room for. */
Test(trust_wire, unpacks_into_bounded_room)
{
    size_t len = VELD_REVOCATIONS_MAX;
    uint8_t *bytes = malloc(len);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < len; i += 2) {
        bytes[i] = 4 << 3 | 2; /* Revocations.revoked */
        bytes[i + 1] = 0;
    }
    cr_assert_null(
        veld_wire_unpack(&veld__trust__v1__revocations__descriptor, bytes, len, len));
    pb_revocations *r =
        veld_wire_unpack(&veld__trust__v1__revocations__descriptor, bytes, 2000, len);
    cr_assert(r && r->n_revoked == 1000);
    veld_wire_free(r);
    free(bytes);
}

Test(trust_wire, takes_bytes_of_one_length)
{
    uint8_t out[32], canonical[32] = {1}, not_canonical[32];
    ProtobufCBinaryData b = veld_wire_bytes(canonical, 32), none = {0};
    cr_assert(veld_wire_take(&b, out, 32) && out[0] == 1);
    cr_assert_not(veld_wire_take(&b, out, 31));
    cr_assert_not(veld_wire_take(&none, out, 32));
    cr_assert(veld_wire_take_member(&b, out));
    memset(not_canonical, 0xff, 32);
    b = veld_wire_bytes(not_canonical, 32);
    cr_assert_not(veld_wire_take_member(&b, out));
}

static bool takes_ip(const char *bytes, size_t len, uint8_t family)
{
    struct veld_ip ip;
    ProtobufCBinaryData b = veld_wire_bytes(bytes, len);
    return veld_wire_take_ip(&b, &ip) && ip.family == family && memcmp(ip.b, bytes, len) == 0;
}

Test(trust_wire, takes_addresses_that_have_one_form)
{
    cr_assert(takes_ip("\x0a\0\0\1", 4, 4));
    cr_assert(takes_ip("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, 6));
    cr_assert(takes_ip("\0\0\0\0\0\0\0\0\0\0\xff\xfe\x0a\0\0\1", 16, 6));
    cr_assert_not(takes_ip("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16, 6));
    for (size_t len = 0; len <= 17; len++)
        cr_assert(len == 4 || len == 16 ||
                  !takes_ip("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0", len, len < 16 ? 4 : 6));
}

Test(trust_wire, takes_prefixes_that_are_masked)
{
    const char *text[] = {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "fd00::/48", "::/0"};
    struct veld_prefix out;
    pb_prefix p;
    for (size_t i = 0; i < VELD_ARRAY_LEN(text); i++) {
        struct veld_prefix in = test_prefix(text[i]);
        veld_wire_put_prefix(&in, &p);
        cr_assert(veld_wire_take_prefix(&p, &out), "%s", text[i]);
        cr_assert(veld_ip_equal(&in.ip, &out.ip) && in.len == out.len, "%s", text[i]);
        p.length = 129;
        cr_assert_not(veld_wire_take_prefix(&p, &out));
        p.length = UINT32_MAX;
        cr_assert_not(veld_wire_take_prefix(&p, &out));
        p.length = 256 + in.len;
        cr_assert_not(veld_wire_take_prefix(&p, &out));
    }
    struct veld_prefix host_bits = test_prefix("10.0.0.1/31"), v4 = test_prefix("10.0.0.0/8");
    veld_wire_put_prefix(&host_bits, &p);
    cr_assert_not(veld_wire_take_prefix(&p, &out));
    veld_wire_put_prefix(&v4, &p);
    p.length = 33;
    cr_assert_not(veld_wire_take_prefix(&p, &out));
    cr_assert_not(veld_wire_take_prefix(NULL, &out));
}

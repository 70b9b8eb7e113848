#include "dataplane/own.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <netinet/in.h>

#define OWN_PORT 51820

static const uint8_t own4[4] = {10, 0, 0, 1}, far4[4] = {10, 0, 0, 2};
static const uint8_t own6[16] = {0xfd, [15] = 1}, far6[16] = {0xfd, [15] = 2};

static struct veld_own own = {
    .port = OWN_PORT,
    .n = 2,
    .addrs = {{.family = 4, .b = {10, 0, 0, 1}}, {.family = 6, .b = {0xfd, [15] = 1}}}};
static const struct veld_endpoint endpoint = {.ip = {.family = 4, .b = {10, 0, 0, 2}},
                                              .port = 7000};

/* UDP from `port` to 7000, behind `before` bytes of IPv6 extension headers; returns its length. */
static size_t make(uint8_t out[128], unsigned family, uint16_t port, size_t before)
{
    size_t header = family == 4 ? 20 : 40, len = header + before + 8 + 20;
    memset(out, 0, 128);
    if (family == 4) {
        out[0] = 0x45;
        veld_store_be16(out + 2, (uint16_t)len);
        out[9] = IPPROTO_UDP;
        memcpy(out + 12, own4, 4);
        memcpy(out + 16, far4, 4);
    } else {
        out[0] = 0x60;
        veld_store_be16(out + 4, (uint16_t)(len - 40));
        out[6] = IPPROTO_UDP;
        memcpy(out + 8, own6, 16);
        memcpy(out + 24, far6, 16);
    }
    veld_store_be16(out + header + before, port);
    veld_store_be16(out + header + before + 2, 7000);
    return len;
}

static bool ours(const uint8_t *packet, size_t len, const struct veld_endpoint *ep)
{
    struct veld_inner inner;
    cr_assert_eq(veld_inner_parse(packet, len, &inner), 0);
    return veld_own_datagram(&own, packet, len, &inner, ep);
}

Test(own, is_known_by_address_and_port)
{
    uint8_t p[128];
    for (unsigned family = 4; family <= 6; family += 2) {
        cr_assert(ours(p, make(p, family, OWN_PORT, 0), NULL));
        cr_assert_not(ours(p, make(p, family, OWN_PORT + 1, 0), NULL));
    }
    size_t len = make(p, 4, OWN_PORT, 0);
    p[15] = 9; /* a host behind us, with a Veld of its own */
    cr_assert_not(ours(p, len, NULL));
    len = make(p, 4, OWN_PORT, 0);
    p[9] = IPPROTO_TCP;
    cr_assert_not(ours(p, len, NULL));
}

Test(own, is_known_by_a_lanes_port)
{
    uint8_t p[128];
    struct veld_own before = own;
    size_t len = make(p, 4, OWN_PORT + 9, 0);
    cr_assert_not(ours(p, len, NULL));
    own.n_lane_ports = 2;
    own.lane_ports[1] = OWN_PORT + 9;
    cr_assert(ours(p, len, NULL));
    cr_assert(ours(p, make(p, 4, OWN_PORT, 0), NULL));
    cr_assert_not(ours(p, make(p, 4, OWN_PORT + 8, 0), NULL));
    own = before;
}

/* Without an address of that family inside the tunnel, the kernel takes one from elsewhere. */
Test(own, is_known_by_where_it_goes)
{
    uint8_t p[128];
    size_t len = make(p, 4, OWN_PORT, 0);
    p[15] = 9;
    cr_assert(ours(p, len, &endpoint));
    veld_store_be16(p + 22, 7001);
    cr_assert_not(ours(p, len, &endpoint));
    veld_store_be16(p + 22, 7000);
    p[19] = 3;
    cr_assert_not(ours(p, len, &endpoint));
}

Test(own, is_known_by_its_first_fragment)
{
    uint8_t p[128];
    size_t len = make(p, 4, OWN_PORT, 0);
    veld_store_be16(p + 6, 0x2000); /* more fragments */
    cr_assert(ours(p, len, NULL));
    veld_store_be16(p + 6, 0x2001); /* not the first: what stands there is no UDP header */
    cr_assert_not(ours(p, len, NULL));

    len = make(p, 6, OWN_PORT, 8);
    p[6] = 44;
    p[40] = IPPROTO_UDP;
    veld_store_be16(p + 42, 1);
    cr_assert(ours(p, len, NULL));
    veld_store_be16(p + 42, 9);
    cr_assert_not(ours(p, len, NULL));
}

Test(own, nothing_is_read_beyond_the_packet)
{
    uint8_t p[128];
    make(p, 4, OWN_PORT, 0);
    veld_store_be16(p + 2, 27);
    cr_assert_not(ours(p, 27, NULL));
    make(p, 6, OWN_PORT, 8);
    p[6] = 44;
    p[40] = IPPROTO_UDP;
    veld_store_be16(p + 4, 15);
    cr_assert_not(ours(p, 55, NULL));
    veld_store_be16(p + 4, 7);
    cr_assert_not(ours(p, 47, NULL));
}

Test(own, nothing_is_ours_before_the_port_is_known)
{
    uint8_t p[128];
    own.port = 0;
    cr_assert_not(ours(p, make(p, 4, 0, 0), &endpoint));
}

/* What the kernel tells beside a receive, and what it never would. */
#include "base/bytes.h"
#include "dataplane/udp.h"

#include <criterion/criterion.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

static uint8_t buffer[256] __attribute__((aligned(16)));
static size_t used;

static void put_from(size_t at, int level, int type, const void *value, size_t len)
{
    struct cmsghdr c = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(buffer + at + used, &c, sizeof c);
    memcpy(buffer + at + used + CMSG_LEN(0), value, len);
    used += CMSG_SPACE(len);
}

static void put(int level, int type, const void *value, size_t len)
{
    put_from(0, level, type, value, len);
}

static void expect(uint32_t segment, uint8_t ecn)
{
    struct veld_udp_meta m = veld_udp_meta_read(buffer, used);
    cr_assert_eq(m.segment, segment, "%u", m.segment);
    cr_assert_eq(m.ecn, ecn, "%u", m.ecn);
}

Test(udp_meta, nothing_told)
{
    expect(0, 0);
}

Test(udp_meta, each_kind)
{
    int gro = 1400, tclass = 0x8d;
    uint8_t tos = 0xb9;
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
    expect(1400, 0);
    used = 0;
    put(IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    expect(0, 1);
    used = 0;
    put(IPPROTO_IPV6, IPV6_TCLASS, &tclass, sizeof tclass);
    expect(0, 1);
    tos = 0xff;
    used = 0;
    put(IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
    expect(1400, 3);
    used = 0;
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
    put(IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    expect(1400, 3);
}

Test(udp_meta, the_room_holds_what_a_socket_of_ours_is_told)
{
    int number = 2;
    put(SOL_UDP, UDP_GRO, &number, sizeof number);
    put(IPPROTO_IPV6, IPV6_TCLASS, &number, sizeof number);
    cr_assert_leq(used, VELD_UDP_CONTROL_SIZE);
    expect(2, 2);
}

Test(udp_meta, others_are_passed_over)
{
    int gro = 1400;
    uint8_t other[24] = {3, 3, 3};
    put(SOL_SOCKET, SCM_TIMESTAMP, other, sizeof other);
    put(IPPROTO_IP, IP_TTL, other, 4);
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
    expect(1400, 0);
}

/* A buffer of the ring is aligned for nothing. */
Test(udp_meta, at_any_alignment)
{
    int gro = 1400, tclass = 2;
    for (size_t at = 0; at < 16; at++) {
        used = 0;
        put_from(at, SOL_UDP, UDP_GRO, &gro, sizeof gro);
        put_from(at, IPPROTO_IPV6, IPV6_TCLASS, &tclass, sizeof tclass);
        struct veld_udp_meta m = veld_udp_meta_read(buffer + at, used);
        cr_assert_eq(m.segment, 1400);
        cr_assert_eq(m.ecn, 2);
    }
}

Test(udp_meta, what_does_not_fit_is_not_read)
{
    int gro = 1400, negative = -1;
    uint8_t tos = 1;
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
    size_t whole = CMSG_LEN(sizeof gro);
    for (used = 0; used < whole; used++)
        expect(0, 0);
    used = whole; /* without padding behind the last */
    expect(1400, 0);
    used = 0;
    put(SOL_UDP, UDP_GRO, &gro, sizeof gro - 1);
    expect(0, 0);
    used = 0;
    put(SOL_UDP, UDP_GRO, &negative, sizeof negative);
    expect(0, 0);
    used = 0;
    put(IPPROTO_IP, IP_TOS, &tos, 0);
    expect(0, 0);
}

Test(udp_meta, lengths_that_lie_end_the_walk)
{
    static const size_t lies[] = {0,    1,        sizeof(struct cmsghdr) - 1,
                                  1000, SIZE_MAX, SIZE_MAX - 7};
    int gro = 1400;
    for (size_t i = 0; i < VELD_ARRAY_LEN(lies); i++) {
        used = 0;
        put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
        put(SOL_UDP, UDP_GRO, &gro, sizeof gro);
        memcpy(buffer, &lies[i], sizeof lies[i]); /* cmsg_len comes first */
        expect(0, 0);
    }
}

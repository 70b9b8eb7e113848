#include "wire/inner.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t p[128];

static void v4(size_t total)
{
    memset(p, 0, sizeof p);
    p[0] = 0x45;
    p[3] = (uint8_t)total;
    p[9] = 6;
    memcpy(p + 12, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
}

static void v6(size_t payload)
{
    memset(p, 0, sizeof p);
    p[0] = 0x60;
    p[5] = (uint8_t)payload;
    p[6] = 17;
    p[8] = 0xfd;
    p[24] = 0xfd;
}

Test(inner, v4_whole_packet)
{
    struct veld_inner in;
    v4(40);
    cr_assert_eq(veld_inner_parse(p, 40, &in), 0);
    cr_assert_eq(in.src.family, 4);
    cr_assert_arr_eq(in.src.b, ((uint8_t[]){10, 0, 0, 1}), 4);
    cr_assert_eq(in.proto, 6);
    cr_assert_eq(in.l4_offset, 20);
    cr_assert_not(in.fragment);
}

Test(inner, v4_refuses_what_is_not_whole)
{
    struct veld_inner in;
    v4(40);
    cr_assert_eq(veld_inner_parse(p, 39, &in), VELD_E_FORMAT);
    cr_assert_eq(veld_inner_parse(p, 41, &in), VELD_E_FORMAT);
    cr_assert_eq(veld_inner_parse(p, 19, &in), VELD_E_FORMAT);
    cr_assert_eq(veld_inner_parse(p, 0, &in), VELD_E_FORMAT);
    p[0] = 0x44; /* header shorter than 20 */
    cr_assert_eq(veld_inner_parse(p, 40, &in), VELD_E_FORMAT);
    p[0] = 0x4f; /* header longer than the packet */
    cr_assert_eq(veld_inner_parse(p, 40, &in), VELD_E_FORMAT);
    p[0] = 0x55;
    cr_assert_eq(veld_inner_parse(p, 40, &in), VELD_E_FORMAT);
}

Test(inner, v4_fragments_are_marked)
{
    struct veld_inner in;
    v4(40);
    p[6] = 0x40; /* DF alone is no fragment */
    cr_assert_eq(veld_inner_parse(p, 40, &in), 0);
    cr_assert_not(in.fragment);
    p[6] = 0x20;
    cr_assert_eq(veld_inner_parse(p, 40, &in), 0);
    cr_assert(in.fragment);
    p[6] = 0, p[7] = 1;
    cr_assert_eq(veld_inner_parse(p, 40, &in), 0);
    cr_assert(in.fragment);
}

Test(inner, v6_whole_packet_only)
{
    struct veld_inner in;
    v6(8);
    cr_assert_eq(veld_inner_parse(p, 48, &in), 0);
    cr_assert_eq(in.src.family, 6);
    cr_assert_eq(in.l4_offset, 40);
    cr_assert_eq(veld_inner_parse(p, 47, &in), VELD_E_FORMAT);
    cr_assert_eq(veld_inner_parse(p, 49, &in), VELD_E_FORMAT);
    cr_assert_eq(veld_inner_parse(p, 39, &in), VELD_E_FORMAT);
}

Test(inner, v4_mapped_v6_is_refused)
{
    struct veld_inner in;
    v6(8);
    memset(p + 8, 0, 16);
    p[18] = p[19] = 0xff;
    cr_assert_eq(veld_inner_parse(p, 48, &in), VELD_E_FORMAT);
}

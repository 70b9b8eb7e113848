#include "dataplane/mss.h"
#include "base/bytes.h"
#include "super_packets.h"

#include <criterion/criterion.h>

static struct packet p;

/* A SYN of `family` with these option bytes, which end padded with zeros. */
static void make_syn(int family, const uint8_t *options, size_t n, enum veld_tcp_csum csum)
{
    size_t padded = (n + 3) / 4 * 4;
    make_packet(&p, &(struct shape){.family = family,
                                    .proto = IPPROTO_TCP,
                                    .tcp_options = padded,
                                    .tcp_flags = 0x02,
                                    .payload = rnd_in(0, 3),
                                    .gso_size = 100});
    memset(p.b + p.l4 + 20, 0, padded);
    memcpy(p.b + p.l4 + 20, options, n);
    if (csum == VELD_TCP_CSUM_COMPLETE) {
        uint8_t *at = p.b + p.l4 + 16;
        veld_store_be16(at, (uint16_t)~ref_sum(p.b + p.l4, p.len - p.l4, 0));
    }
}

static bool clamp(size_t mtu, enum veld_tcp_csum csum)
{
    return veld_mss_clamp(p.b + p.l4, p.len - p.l4, (uint8_t)p.shape.family, mtu, csum);
}

static void check_csum(enum veld_tcp_csum csum, const uint8_t before[2])
{
    if (csum == VELD_TCP_CSUM_PARTIAL)
        cr_assert_arr_eq(p.b + p.l4 + 16, before, 2);
    else
        cr_assert_eq(ref_sum(p.b + p.l4, p.len - p.l4, ref_pseudo(&p, p.len - p.l4)), 0xffff);
}

/* Behind any number of one-byte options: at even and odd offsets. */
Test(mss, lowered_with_the_checksum_right)
{
    for (unsigned run = 0; run < 4000; run++) {
        int family = run % 2 ? 4 : 6;
        enum veld_tcp_csum csum = run % 3 ? VELD_TCP_CSUM_COMPLETE : VELD_TCP_CSUM_PARTIAL;
        uint8_t options[24], before[2];
        size_t at = rnd_in(0, 9), mtu = rnd_in(200, 1500);
        uint16_t mss = (uint16_t)rnd_in(0, 65535);
        memset(options, 1, at);
        options[at] = 2;
        options[at + 1] = 4;
        veld_store_be16(options + at + 2, mss);
        memcpy(options + at + 4, (uint8_t[]){3, 3, 7}, 3);
        make_syn(family, options, at + 7, csum);
        memcpy(before, p.b + p.l4 + 16, 2);
        size_t most = mtu - (family == 4 ? 40 : 60);
        cr_assert_eq(clamp(mtu, csum), mss > most);
        cr_assert_eq(veld_load_be16(p.b + p.l4 + 20 + at + 2), VELD_MIN(mss, most));
        check_csum(csum, before);
        cr_assert_not(clamp(mtu, csum), "once is enough");
    }
}

Test(mss, only_a_syn_is_one)
{
    for (unsigned flags = 0; flags < 256; flags++) {
        uint8_t tcp[20] = {[13] = (uint8_t)flags};
        cr_assert_eq(veld_tcp_is_syn(tcp), !!(flags & 2));
    }
}

/* Options that lie about their lengths: nothing outside is read or changed. */
Test(mss, bounds)
{
    const struct {
        uint8_t bytes[8];
        size_t n;
        bool changed;
    } cases[] = {
        {{0}, 0, false},                              /* none */
        {{0, 2, 4, 0xff, 0xff}, 5, false},            /* after the end */
        {{2}, 1, false},                              /* cut short */
        {{1, 1, 1, 2}, 4, false},                     /* at the very end */
        {{2, 6, 0xff, 0xff}, 4, false},               /* beyond the header */
        {{2, 3, 0xff, 1}, 4, false},                  /* not 4 long */
        {{5, 0, 2, 4, 0xff, 0xff}, 6, false},         /* length 0 would never end */
        {{5, 1, 2, 4, 0xff, 0xff}, 6, false},         /* nor 1 */
        {{8, 2, 2, 4, 0xff, 0xff}, 6, true},          /* behind another */
        {{2, 4, 5, 0xdc, 2, 4, 0xff, 0xff}, 8, true}, /* twice */
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        make_syn(4, cases[i].bytes, cases[i].n, VELD_TCP_CSUM_COMPLETE);
        size_t header = p.header - p.l4;
        uint8_t *exact = malloc(header); /* a sanitizer sees a step outside */
        memcpy(exact, p.b + p.l4, header);
        cr_assert_eq(veld_mss_clamp(exact, header, 4, 1240, VELD_TCP_CSUM_COMPLETE),
                     cases[i].changed, "case %zu", i);
        free(exact);
    }
    /* A data offset beyond the packet, one inside the header, and a path smaller than headers. */
    const uint8_t mss[] = {2, 4, 0xff, 0xff};
    make_syn(4, mss, 4, VELD_TCP_CSUM_COMPLETE);
    cr_assert_not(veld_mss_clamp(p.b + p.l4, 20, 4, 1240, VELD_TCP_CSUM_COMPLETE));
    cr_assert_not(veld_mss_clamp(p.b + p.l4, 24, 4, 40, VELD_TCP_CSUM_COMPLETE));
    p.b[p.l4 + 12] = 0x10;
    cr_assert_not(veld_mss_clamp(p.b + p.l4, 24, 4, 1240, VELD_TCP_CSUM_COMPLETE));
}

/* Fragments joined again by RFC 791 and RFC 8200 give the packet that was cut. */
#include "dataplane/fragment.h"
#include "base/bytes.h"
#include "super_packets.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define FRAGMENTS_MAX 300

/* Each in an allocation of its own length, so that a sanitizer sees a step outside. */
struct cut {
    unsigned n;
    uint8_t *b[FRAGMENTS_MAX];
    size_t len[FRAGMENTS_MAX];
};

static void cut(struct cut *c, const uint8_t *packet, size_t len, size_t mtu, uint32_t id)
{
    struct veld_fragments f;
    cr_assert_eq(veld_fragments_plan(&f, packet, len, mtu, id), 0);
    for (uint32_t i = 0; i < f.n; i++) {
        cr_assert_lt(c->n, FRAGMENTS_MAX);
        size_t n = veld_fragment_len(&f, i);
        cr_assert_leq(n, mtu);
        c->b[c->n] = malloc(n);
        c->len[c->n] = n;
        veld_fragment_write(&f, i, c->b[c->n++]);
    }
}

static void clear(struct cut *c)
{
    while (c->n)
        free(c->b[--c->n]);
}

/* Where the fragment header is: right behind what `l4` and the packet's own headers say. */
static size_t v6_fragment_at(const uint8_t *b, size_t len)
{
    size_t at = 40;
    uint8_t next = b[6];
    while (next != IPPROTO_FRAGMENT) {
        cr_assert_lt(at, len);
        next = b[at];
        at += (b[at + 1] + 1u) * 8;
    }
    return at;
}

/* The payloads in their places; every fragment is a whole packet. */
static size_t join(const struct cut *c, uint8_t *payload)
{
    size_t end = 0, covered = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < c->n; i++) {
        struct veld_inner inner;
        const uint8_t *b = c->b[i];
        cr_assert_eq(veld_inner_parse(b, c->len[i], &inner), 0);
        cr_assert(inner.fragment || (b[0] >> 4) == 6);
        size_t head, offset;
        bool more;
        if (b[0] >> 4 == 4) {
            head = (b[0] & 15) * 4u;
            cr_assert_eq(ref_sum(b, head, 0), 0xffff, "header checksum");
            offset = (veld_load_be16(b + 6) & 0x1fff) * 8u;
            more = b[6] & 0x20;
            cr_assert_eq(b[6] & 0x40, 0, "DF");
        } else {
            head = v6_fragment_at(b, c->len[i]) + 8;
            offset = veld_load_be16(b + head - 6) & 0xfff8;
            more = b[head - 5] & 1;
        }
        size_t len = c->len[i] - head;
        cr_assert(!more || len % 8 == 0);
        memcpy(payload + offset, b + head, len);
        covered += len;
        last += !more;
        if (!more)
            end = offset + len;
    }
    cr_assert_eq(last, 1);
    cr_assert_eq(covered, end, "every byte once");
    return end;
}

static uint8_t payload[65536];

Test(fragment, random_packets_come_together_again)
{
    static struct packet p;
    struct cut c = {0};
    for (unsigned run = 0; run < 3000; run++) {
        struct shape shape = random_shape(1);
        shape.payload = rnd_in(1400, 3000);
        shape.gso_size = 9000;
        make_packet(&p, &shape);
        if (shape.family == 4) {
            p.b[6] &= 0xbf;
            memset(p.b + 10, 0, 2);
            veld_store_be16(p.b + 10, (uint16_t)~ref_sum(p.b, p.l4, 0));
        }
        size_t mtu = rnd_in(200, 1400);
        cut(&c, p.b, p.len, mtu, 0xabcd0000 + run);
        /* Destination options go with what is cut, unless a routing header follows them. */
        size_t at = shape.family == 4      ? p.l4
                    : shape.ip_extra >= 24 ? 64
                    : shape.ip_extra       ? 48
                                           : 40;
        size_t len = join(&c, payload);
        cr_assert_eq(len, p.len - at);
        cr_assert_arr_eq(payload, p.b + at, len);
        for (unsigned i = 0; i < c.n; i++) {
            const uint8_t *b = c.b[i];
            if (shape.family == 4) {
                cr_assert_arr_eq(b + 4, p.b + 4, 2, "identification");
                cr_assert_arr_eq(b + 12, p.b + 12, 8);
            } else {
                size_t own = v6_fragment_at(b, c.len[i]);
                cr_assert_eq(own, at);
                cr_assert_eq(veld_load_be32(b + own + 4), 0xabcd0000 + run);
                cr_assert_eq(b[own], at == 40 ? p.b[6] : at == 48 ? p.b[40] : p.b[56]);
                cr_assert_arr_eq(b + 8, p.b + 8, 32);
            }
        }
        clear(&c);
    }
}

/* A fragment may be cut again, and all of them come together as if cut once. */
Test(fragment, fragments_of_fragments)
{
    static struct packet p;
    for (int family = 4; family <= 6; family += 2) {
        struct cut first = {0}, second = {0};
        make_packet(
            &p, &(struct shape){
                    .family = family, .proto = IPPROTO_UDP, .payload = 5000, .gso_size = 9000});
        if (family == 4)
            p.b[6] = 0;
        cut(&first, p.b, p.len, 1280, 1);
        for (unsigned i = 0; i < first.n; i++)
            cut(&second, first.b[i], first.len[i], 576, 2);
        cr_assert_gt(second.n, first.n);
        size_t len = join(&second, payload);
        cr_assert_eq(len, p.len - p.l4);
        cr_assert_arr_eq(payload, p.b + p.l4, len);
        for (unsigned i = 0; family == 6 && i < second.n; i++)
            cr_assert_eq(veld_load_be32(second.b[i] + 44), 1, "the first one's identification");
        clear(&first);
        clear(&second);
    }
}

Test(fragment, what_may_be_cut)
{
    uint8_t v4[1400] = {0x45}, v6[1400] = {0x60};
    cr_assert(veld_fragment_allowed(v4, 1400));
    v4[6] = 0x40;
    cr_assert_not(veld_fragment_allowed(v4, 1400));
    cr_assert(veld_fragment_allowed(v6, 1280));
    cr_assert_not(veld_fragment_allowed(v6, 1281));
}

/* RFC 791: only options whose copied flag is set are in every fragment. */
Test(fragment, options_are_copied_as_they_ask)
{
    uint8_t p[200] = {0x48, 0, 0, 200, 1, 2, 0, 0, 64, 17};
    const uint8_t options[12] = {7, 7, 4, 1, 2, 3, 4, 0x94, 4, 0, 0, 0};
    memcpy(p + 20, options, 12);
    struct cut c = {0};
    cut(&c, p, sizeof p, 120, 0);
    cr_assert_geq(c.n, 2);
    cr_assert_arr_eq(c.b[0] + 20, options, 12);
    const uint8_t later[12] = {1, 1, 1, 1, 1, 1, 1, 0x94, 4, 0, 0, 0};
    cr_assert_arr_eq(c.b[1] + 20, later, 12);
    cr_assert_eq(ref_sum(c.b[1], 32, 0), 0xffff);
    clear(&c);
}

Test(fragment, impossible_ones_are_refused)
{
    struct veld_fragments f;
    uint8_t v4[100] = {0x4f, 0, 0, 100}, v6[100] = {0x60, 0, 0, 0, 0, 60, IPPROTO_HOPOPTS, 64};
    cr_assert_eq(veld_fragments_plan(&f, v4, 100, 67, 0), VELD_E_RANGE, "no room");
    cr_assert_eq(veld_fragments_plan(&f, v4, 100, 68, 0), 0);
    cr_assert_eq(veld_fragments_plan(&f, v4, 60, 100, 0), VELD_E_RANGE, "nothing to cut");
    veld_store_be16(v4 + 6, 0x1fff);
    cr_assert_eq(veld_fragments_plan(&f, v4, 100, 90, 0), VELD_E_RANGE, "beyond 64 KiB");
    v6[41] = 200;
    cr_assert_eq(veld_fragments_plan(&f, v6, 100, 90, 0), VELD_E_RANGE, "header cut short");
    v6[6] = IPPROTO_FRAGMENT;
    cr_assert_eq(veld_fragments_plan(&f, v6, 44, 90, 0), VELD_E_RANGE);
}

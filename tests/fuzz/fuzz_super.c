/*
 * Super-packets from foreign bytes. Whatever is accepted must be sound: a
 * joined packet splits into the very segments it was joined from.
 *
 * Input: byte 0, then
 *   even: byte 1 edits (segment, offset 2, xor), a virtio header, a packet: split, edit, join;
 *   odd:  segments (flags, length 2, bytes): join.
 * Lengths and offsets are little-endian.
 */
#include "base/bytes.h"
#include "dataplane/super.h"
#include "wire/datagram.h"

#include <stdlib.h>

#define SEGMENTS_MAX 300
#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

/* Each in an allocation of its own, so that AddressSanitizer sees a step outside. */
struct segments {
    size_t n;
    uint8_t *b[SEGMENTS_MAX];
    size_t len[SEGMENTS_MAX];
    uint8_t flags[SEGMENTS_MAX];
};

static uint8_t *add(struct segments *s, const uint8_t *from, size_t len, uint8_t flags)
{
    uint8_t *b = malloc(len ? len : 1);
    if (from)
        memcpy(b, from, len);
    s->b[s->n] = b;
    s->len[s->n] = len;
    s->flags[s->n++] = flags;
    return b;
}

static void clear(struct segments *s)
{
    while (s->n)
        free(s->b[--s->n]);
}

/* False when the packet is refused. */
static bool split(const struct virtio_net_hdr *vh, const uint8_t *bytes, size_t len,
                  struct segments *out)
{
    struct veld_super s;
    struct veld_inner inner;
    uint8_t *packet = malloc(len ? len : 1);
    memcpy(packet, bytes, len);
    bool ok = veld_super_parse(vh, packet, len, &s) == 0;
    size_t n = ok ? VELD_MIN(veld_super_segments(&s), SEGMENTS_MAX) : 0;
    for (size_t i = 0; i < n; i++) {
        size_t seg_len = veld_super_segment_len(&s, i);
        uint8_t *b = add(out, NULL, seg_len, 0);
        out->flags[i] = veld_super_segment_write(&s, i, b);
        REQUIRE(veld_inner_parse(b, seg_len, &inner) == 0);
    }
    free(packet);
    return ok;
}

static void finish_and_invert(struct veld_join *j, const struct segments *before, size_t from)
{
    static uint8_t joined[40 + 65535];
    static struct segments again;
    size_t len = 0;
    veld_join_finish(j);
    for (unsigned i = 1; i < j->n_iov; i++) {
        REQUIRE(len + j->iov[i].iov_len <= sizeof joined);
        memcpy(joined + len, j->iov[i].iov_base, j->iov[i].iov_len);
        len += j->iov[i].iov_len;
    }
    REQUIRE(split(&j->hdr, joined, len, &again));
    REQUIRE(again.n == j->n_iov - 1);
    for (size_t i = 0; i < again.n; i++) {
        REQUIRE(again.len[i] == before->len[from + i]);
        REQUIRE(memcmp(again.b[i], before->b[from + i], again.len[i]) == 0);
    }
    clear(&again);
}

static void join_all(struct segments *s)
{
    static struct segments before;
    struct veld_join j = {.udp_segments_max = 64};
    struct veld_inner inner;
    size_t from = 0;

    for (size_t i = 0; i < s->n; i++)
        add(&before, s->b[i], s->len[i], s->flags[i]);
    for (size_t i = 0; i <= s->n; i++) {
        bool whole = i < s->n && veld_inner_parse(s->b[i], s->len[i], &inner) == 0;
        if (whole && j.n_iov && veld_join_append(&j, s->b[i], s->len[i], s->flags[i]))
            continue;
        if (j.n_iov)
            finish_and_invert(&j, &before, from);
        j.n_iov = 0;
        from = i;
        if (whole && veld_join_begin(&j, s->b[i], s->len[i], &inner, s->flags[i]) != 0)
            REQUIRE(j.n_iov == 0);
    }
    clear(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct segments s;
    struct virtio_net_hdr vh;

    if (size < 2)
        return 0;
    if (data[0] & 1) {
        for (data++, size--; size >= 3 && s.n < SEGMENTS_MAX;) {
            size_t len = VELD_MIN((size_t)(data[1] | data[2] << 8), size - 3);
            add(&s, data + 3, len, data[0]);
            data += 3 + len;
            size -= 3 + len;
        }
    } else {
        size_t edits = data[1];
        const uint8_t *edit = data + 2, *header = edit + 4 * edits;
        if (size < 2 + 4 * edits + sizeof vh)
            return 0;
        memcpy(&vh, header, sizeof vh);
        split(&vh, header + sizeof vh, size - 2 - 4 * edits - sizeof vh, &s);
        for (; s.n && edit < header; edit += 4) {
            size_t i = edit[0] % s.n;
            s.b[i][(size_t)(edit[1] | edit[2] << 8) % s.len[i]] ^= edit[3];
        }
    }
    join_all(&s);
    clear(&s);
    return 0;
}

/* Any bytes as a reply: by its first byte to one of the readers, peers as up to eight pages. */
#include "rpc/coord_reply.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRE(cond)                                                                          \
    do {                                                                                       \
        if (!(cond))                                                                           \
            abort();                                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hello(const uint8_t *p, size_t len)
{
    struct veld_coord_hello h;
    if (veld_coord_read_hello(p, len, 1, &h) == 0)
        REQUIRE(memchr(h.version, 0, sizeof h.version));
}

static void network(const uint8_t *p, size_t len)
{
    struct veld_blob b = {0};
    int rc = veld_coord_read_network(p, len, &b);
    REQUIRE(rc == 0 ? b.p && b.len <= VELD_SIGNED_MAX : !b.p);
    veld_blob_clear(&b);
}

static void join(const uint8_t *p, size_t len)
{
    struct veld_blob b = {0};
    enum veld_coord_join state = VELD_JOIN_WAITING;
    int rc = veld_coord_read_join(p, len, &state, &b);
    REQUIRE(b.len <= VELD_CHAIN_MAX && (rc == 0 || !b.p));
    REQUIRE((b.p != NULL) == (rc == 0 && state == VELD_JOIN_APPROVED));
    veld_blob_clear(&b);
}

static void joins(const uint8_t *p, size_t len)
{
    struct veld_blob *list;
    size_t n;
    int rc = veld_coord_read_joins(p, len, &list, &n);
    REQUIRE(n <= VELD_COORD_JOINS_MAX && (rc == 0 || (n == 0 && !list)));
    veld_blobs_free(list, n);
}

static void lease(const uint8_t *p, size_t len)
{
    struct veld_ip ip = {0};
    REQUIRE(veld_coord_read_lease(p, len, &ip) < 0 || ip.family == 4);
}

static void revocations(const uint8_t *p, size_t len)
{
    struct veld_blob b = {0};
    int rc = veld_coord_read_revocations(p, len, &b);
    REQUIRE(b.len <= VELD_REVOCATIONS_MAX && (rc == 0 || !b.p));
    veld_blob_clear(&b);
}

/* Each page is two bytes of length and what follows. */
static void peers(const uint8_t *p, size_t len)
{
    struct veld_coord_peers all = {.more = true};
    for (unsigned page = 0; page < 8 && all.more && len >= 2; page++) {
        size_t n = (size_t)p[0] << 8 | p[1];
        n = n < len - 2 ? n : len - 2;
        uint64_t before = all.after;
        int rc = veld_coord_read_peers(p + 2, n, &all);
        REQUIRE(rc < 0 ? !all.more : !all.more || all.after > before);
        p += 2 + n;
        len -= 2 + n;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < all.n; i++) {
        REQUIRE(all.records[i].len <= VELD_RECORD_MAX);
        bytes += all.records[i].len;
    }
    REQUIRE(bytes == all.bytes);
    veld_blobs_free(all.records, all.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *, size_t) = {hello, network,     join, joins,
                                                               lease, revocations, peers};
    if (size > 0 && data[0] < sizeof readers / sizeof readers[0])
        readers[data[0]](data + 1, size - 1);
    return 0;
}

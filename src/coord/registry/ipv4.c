#include "coord/registry/ipv4.h"

#include "base/bytes.h"
#include "coord/registry/internal.h"
#include "crypto/primitives.h"

#include <string.h>

/* The range without its first and last address. */
struct range {
    uint32_t first, n;
};

static struct range range_of(const struct veld_net *net)
{
    const struct veld_prefix *p = &net->descriptor.ipv4;
    return (struct range){.first = veld_load_be32(p->ip.b) + 1,
                          .n = (uint32_t)((1ull << (32 - p->len)) - 2)};
}

static bool is_free(const struct veld_net *net, uint32_t ipv4)
{
    return !veld_member_by_ipv4(net, ipv4);
}

static bool rests(const struct veld_net *net, uint32_t ipv4, const uint8_t p[32],
                  uint64_t now_s)
{
    const struct veld_removal *r = veld_table_find(net->resting, &ipv4);
    return r && memcmp(r->p, p, sizeof r->p) != 0 &&
           r->revision / 1000000 + VELD_IPV4_REST_S > now_s; /* revisions are microseconds */
}

/* Of the addresses that rest, the one that does so longest. */
static uint32_t oldest_resting(const struct veld_net *net)
{
    for (size_t i = 0; i < net->removed.n; i++) {
        const struct veld_removal *r = net->removed.at[i].what;
        if (r && is_free(net, r->ipv4) && veld_table_find(net->resting, &r->ipv4) == r)
            return r->ipv4;
    }
    return 0;
}

uint32_t veld_ipv4_pick(const struct veld_net *net, const uint8_t p[32], uint32_t wanted,
                        uint64_t now_s)
{
    struct range range = range_of(net);
    uint8_t hash[32];
    if (g_hash_table_size(net->by_ipv4) >= range.n)
        return 0;
    if (wanted - range.first < range.n && is_free(net, wanted) && !rests(net, wanted, p, now_s))
        return wanted;
    veld_sha256(hash, (struct veld_bytes[]){{"veld lease", 10}, {net->id, 32}, {p, 32}}, 3);
    uint32_t start = (uint32_t)(veld_load_be64(hash) % range.n);
    for (uint32_t i = 0; i < range.n; i++) {
        uint32_t ipv4 = range.first + (uint32_t)(((uint64_t)start + i) % range.n);
        if (is_free(net, ipv4) && !rests(net, ipv4, p, now_s))
            return ipv4;
    }
    return oldest_resting(net);
}

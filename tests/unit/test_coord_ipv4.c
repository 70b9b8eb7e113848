#include "../support/coord_asserts.h"

#include "coord/registry/ipv4.h"
#include "coord/service/impl.h"

static struct coord_rig r;
static struct veld_net *net;

static void use_range(const char *range)
{
    struct veld_prefix p = test_prefix(range);
    struct veld_blob bytes = {0};
    struct veld_network n;
    static unsigned nth;
    uint8_t seed[32];
    char name[16];
    test_trust_seed(seed, 9000 + nth);
    snprintf(name, sizeof name, "net%u", nth++);
    test_trust_must(veld_network_make(&bytes, seed, name, &p, 1), range);
    test_trust_must(veld_network_read(bytes.p, bytes.len, &n), range);
    net = veld_net_add(r.service->registry, &n, bytes.p, bytes.len, &r.now);
    veld_blob_clear(&bytes);
}

static void start(void)
{
    coord_open(&r, NULL);
    use_range("10.100.0.0/16");
}

static void stop(void)
{
    coord_commit(&r);
    coord_close(&r);
}

TestSuite(coord_ipv4, .init = start, .fini = stop);

static void key(unsigned n, uint8_t p[32])
{
    test_trust_seed(p, n);
}

static uint32_t pick(unsigned n, uint32_t wanted)
{
    uint8_t p[32];
    key(n, p);
    return veld_ipv4_pick(net, p, wanted, r.now.wall_ns / VELD_NS_PER_S);
}

/* Its member has the address from now on. */
static struct veld_member *take(unsigned n, uint32_t ipv4)
{
    uint8_t p[32], chain_bytes[1] = {1};
    struct veld_membership m = {.serial = 1};
    struct veld_blob chain = {.p = chain_bytes, .len = 1}, none = {0};
    key(n, p);
    snprintf(m.name, sizeof m.name, "m%u", n);
    return veld_member_register(r.service->registry, net, p,
                                veld_facts_new(&m, ipv4, 0, &chain, &none), &r.now);
}

static void drop(struct veld_member *m)
{
    veld_member_remove(r.service->registry, m, &r.now);
    coord_commit(&r);
}

Test(coord_ipv4, inside_the_range_but_for_its_ends)
{
    static const char *const ranges[] = {"10.0.0.0/8", "10.100.0.0/16", "192.168.7.128/25",
                                         "10.1.2.4/30"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(ranges); i++) {
        use_range(ranges[i]);
        uint32_t first = veld_load_be32(net->descriptor.ipv4.ip.b);
        uint32_t last = first + (uint32_t)((1ull << (32 - net->descriptor.ipv4.len)) - 1);
        for (unsigned n = 0; n < 200; n++) {
            uint32_t ipv4 = pick(n, 0);
            cr_assert(ipv4 > first && ipv4 < last, "%s: %08x", ranges[i], ipv4);
        }
    }
}

Test(coord_ipv4, the_same_for_the_same_key_and_spread)
{
    GHashTable *seen = g_hash_table_new(NULL, NULL);
    for (unsigned n = 0; n < 200; n++) {
        cr_assert_eq(pick(n, 0), pick(n, 0));
        g_hash_table_add(seen, GUINT_TO_POINTER(pick(n, 0)));
    }
    cr_assert_geq(g_hash_table_size(seen), 195);
    g_hash_table_destroy(seen);
}

Test(coord_ipv4, the_next_when_it_is_taken)
{
    uint32_t own = pick(1, 0);
    take(2, own);
    uint32_t next = own == 0x0a64fffe ? 0x0a640001 : own + 1;
    cr_assert_eq(pick(1, 0), next);
    take(3, next);
    cr_assert_neq(pick(1, 0), own);
    cr_assert_neq(pick(1, 0), next);
    cr_assert_eq(pick(1, 0x0a640505), 0x0a640505);
    take(4, 0x0a640505);
    cr_assert_neq(pick(1, 0x0a640505), 0x0a640505);
}

Test(coord_ipv4, all_of_a_range_and_no_more)
{
    use_range("10.1.2.0/26");
    uint64_t seen = 0;
    for (unsigned n = 0; n < 62; n++) {
        uint32_t ipv4 = pick(n, 0);
        cr_assert_neq(ipv4, 0);
        cr_assert_eq(seen >> (ipv4 & 63) & 1, 0);
        seen |= 1ull << (ipv4 & 63);
        take(n, ipv4);
    }
    cr_assert_eq(seen, 0x7ffffffffffffffe);
    cr_assert_eq(pick(100, 0), 0);
    cr_assert_eq(pick(100, 0x0a010205), 0);
}

/* For an hour nobody else is given it, unless there is nothing else. */
Test(coord_ipv4, what_was_given_up_rests)
{
    use_range("10.1.2.0/29");
    struct veld_member *m = take(1, 0x0a010203);
    coord_commit(&r);
    drop(m);
    cr_assert_neq(pick(2, 0x0a010203), 0x0a010203);
    cr_assert_eq(pick(1, 0x0a010203), 0x0a010203, "but its own");
    coord_pass(&r, 3599 * VELD_NS_PER_S);
    cr_assert_neq(pick(2, 0x0a010203), 0x0a010203);
    coord_pass(&r, 2 * VELD_NS_PER_S);
    cr_assert_eq(pick(2, 0x0a010203), 0x0a010203);
}

Test(coord_ipv4, the_one_that_rested_longest_when_there_is_no_other)
{
    use_range("10.1.2.0/29");
    struct veld_member *m[6];
    for (unsigned n = 0; n < 6; n++)
        m[n] = take(n, 0x0a010201 + n);
    coord_commit(&r);
    drop(m[3]);
    coord_pass(&r, VELD_NS_PER_S);
    drop(m[1]);
    drop(m[5]);
    cr_assert_eq(pick(20, 0), 0x0a010204);
    take(20, 0x0a010204);
    cr_assert_eq(pick(21, 0), 0x0a010202);
    cr_assert_eq(pick(21, 0x0a010206), 0x0a010202, "not the one it wishes for");
    uint8_t id[32];
    memcpy(id, net->id, sizeof id);
    coord_commit(&r);
    coord_reopen(&r);
    net = veld_net_by_id(r.service->registry, id);
    cr_assert_eq(pick(21, 0), 0x0a010202, "and so after a restart");
}

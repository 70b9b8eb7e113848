#include "trust/network.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

#include <criterion/criterion.h>

static struct test_trust t;

static void init(void)
{
    test_trust_make(&t);
}

static void fini(void)
{
    test_trust_free(&t);
}

TestSuite(trust_network, .init = init, .fini = fini, .timeout = 60);

Test(trust_network, is_read_as_it_was_made)
{
    uint8_t id[32];
    veld_network_id(id, t.owner);
    cr_assert_arr_eq(t.network.id, id, 32);
    cr_assert_arr_eq(t.network.owner, t.owner, 32);
    cr_assert_str_eq(t.network.name, "mynet");
    struct veld_prefix range = test_prefix("10.100.0.0/16");
    cr_assert(veld_ip_equal(&t.network.ipv4.ip, &range.ip) && t.network.ipv4.len == 16);
    cr_assert_eq(t.network.created_s, TEST_TRUST_NOW - 86400);
}

Test(trust_network, is_as_another_implementation_makes_it)
{
    uint8_t owner_seed[32], id[32];
    struct veld_prefix range = test_prefix("10.100.0.0/16");
    struct veld_blob expected = test_hex(VECTOR_NETWORK), made = {0};
    struct veld_blob owner = test_hex(VECTOR_OWNER), member = test_hex(VECTOR_MEMBER);
    struct veld_blob vector_id = test_hex(VECTOR_ID);
    struct veld_ip ipv6;
    char text[VELD_IP_STRLEN];
    memset(owner_seed, 1, 32);
    cr_assert_eq(veld_network_make(&made, owner_seed, "mynet", &range, 1800000000), 0);
    cr_assert_eq(made.len, expected.len);
    cr_assert_arr_eq(made.p, expected.p, made.len);
    veld_network_id(id, owner.p);
    cr_assert_arr_eq(id, vector_id.p, 32);
    veld_network_ipv6(id, member.p, &ipv6);
    cr_assert_str_eq(veld_ip_format(&ipv6, text), VECTOR_IPV6);
    struct veld_blob *all[] = {&expected, &made, &owner, &member, &vector_id};
    for (size_t i = 0; i < VELD_ARRAY_LEN(all); i++)
        veld_blob_clear(all[i]);
}

Test(trust_network, says_which_addresses_members_may_have)
{
    static const struct {
        const char *ip;
        bool may;
    } table[] = {
        {"10.100.0.1", true},     {"10.100.255.254", true},
        {"10.100.0.0", false},    {"10.100.255.255", false},
        {"10.99.255.255", false}, {"10.101.0.0", false},
        {"::1", false},
    };
    struct veld_ip ip = {0};
    cr_expect_not(veld_network_may_lease(&t.network, &ip), "none");
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        cr_assert_eq(veld_ip_parse(table[i].ip, &ip), 0, "%s", table[i].ip);
        cr_expect_eq(veld_network_may_lease(&t.network, &ip), table[i].may, "%s", table[i].ip);
    }
}

Test(trust_network, gives_each_member_an_address_of_its_own)
{
    struct veld_ip a, b;
    struct veld_prefix all;
    uint8_t member[32] = {1}, id[32] = {2};
    veld_network_ipv6(id, member, &a);
    all = (struct veld_prefix){.ip = a, .len = VELD_NETWORK_IPV6_LEN};
    veld_prefix_mask(&all);
    cr_assert(a.family == 6 && a.b[0] == 0xfd);
    member[31] = 1;
    veld_network_ipv6(id, member, &b);
    cr_assert(!veld_ip_equal(&a, &b) && veld_prefix_contains(&all, &b));
    id[31] = 1;
    veld_network_ipv6(id, member, &b);
    cr_assert_not(veld_prefix_contains(&all, &b));
}

Test(trust_network, has_a_text_that_people_compare)
{
    uint8_t id[32];
    char text[VELD_NETWORK_TEXT_STRLEN];
    for (size_t i = 0; i < 32; i++)
        id[i] = (uint8_t)(0xf0 + i);
    cr_assert_str_eq(veld_network_text(id, text), "f0f1-f2f3-f4f5-f6f7-f8f9-fafb-fcfd-feff");
}

/* ---- what is not to be made or taken ---- */

static const struct {
    const char *name, *range;
    int rc;
} table[] = {
    {"mynet", "10.0.0.0/8", 0},
    {"mynet", "192.168.1.0/30", 0},
    {"a", "100.64.0.0/10", 0},
    {"", "10.0.0.0/8", VELD_E_FORMAT},
    {"My", "10.0.0.0/8", VELD_E_FORMAT},
    {"a.b", "10.0.0.0/8", VELD_E_FORMAT},
    {"mynet", "10.0.0.0/7", VELD_E_FORMAT},
    {"mynet", "10.0.0.0/31", VELD_E_FORMAT},
    {"mynet", "10.0.0.1/32", VELD_E_FORMAT},
    {"mynet", "10.0.0.1/8", VELD_E_FORMAT},
    {"mynet", "0.0.0.0/8", VELD_E_FORMAT},
    {"mynet", "127.0.0.0/8", VELD_E_FORMAT},
    {"mynet", "224.0.0.0/8", VELD_E_FORMAT},
    {"mynet", "fd00::/16", VELD_E_FORMAT},
};

static struct veld_blob forge(const char *purpose, const uint8_t seed[32],
                              const uint8_t owner[32], const char *name, const char *range)
{
    Veld__Trust__V1__Network body = VELD__TRUST__V1__NETWORK__INIT;
    struct veld_prefix p;
    pb_prefix prefix;
    char copy[VELD_LABEL_MAX + 1];
    if (range) {
        p = test_prefix(range);
        veld_wire_put_prefix(&p, &prefix);
        body.ipv4 = &prefix;
    }
    snprintf(copy, sizeof copy, "%s", name);
    body.owner = veld_wire_bytes(owner, 32);
    body.name = copy;
    struct veld_blob b = test_signed(purpose, seed, &body);
    return b;
}

static int read_network(const struct veld_blob *b)
{
    static const struct veld_network zero;
    struct veld_network out;
    memset(&out, 0xaa, sizeof out);
    int rc = veld_network_read(b->p, b->len, &out);
    cr_assert(rc == 0 || memcmp(&out, &zero, sizeof out) == 0, "a refused one left something");
    return rc;
}

Test(trust_network, is_made_and_read_with_a_name_and_a_range)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        struct veld_prefix range = test_prefix(table[i].range);
        struct veld_blob b = {0};
        cr_expect_eq(veld_network_make(&b, t.owner_seed, table[i].name, &range, 1), table[i].rc,
                     "%s %s", table[i].name, table[i].range);
        cr_expect_eq(b.p != NULL, table[i].rc == 0);
        veld_blob_clear(&b);
        b = forge(VELD_PURPOSE_NETWORK, t.owner_seed, t.owner, table[i].name, table[i].range);
        cr_expect_eq(read_network(&b), table[i].rc, "%s %s", table[i].name, table[i].range);
        veld_blob_clear(&b);
    }
}

Test(trust_network, is_refused_when_forged)
{
    struct {
        struct veld_blob b;
        int rc;
    } c[] = {
        {forge(VELD_PURPOSE_NETWORK, t.owner_seed, t.owner, "mynet", "10.0.0.0/8"), 0},
        {forge(VELD_PURPOSE_NETWORK, t.owner_seed, t.owner, "mynet", NULL), VELD_E_FORMAT},
        {forge(VELD_PURPOSE_NETWORK, t.admin->seed, t.owner, "mynet", "10.0.0.0/8"),
         VELD_E_AUTH},
        {forge(VELD_PURPOSE_NETWORK, t.owner_seed, t.admin->pub, "mynet", "10.0.0.0/8"),
         VELD_E_AUTH},
        {forge(VELD_PURPOSE_MEMBERSHIP, t.owner_seed, t.owner, "mynet", "10.0.0.0/8"),
         VELD_E_AUTH},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        cr_assert_eq(read_network(&c[i].b), c[i].rc, "%zu", i);
        veld_blob_clear(&c[i].b);
    }
}

static bool is_network(const uint8_t *p, size_t len)
{
    struct veld_network out;
    return veld_network_read(p, len, &out) == 0;
}

Test(trust_network, is_refused_with_any_bit_wrong)
{
    cr_assert(is_network(t.network_bytes.p, t.network_bytes.len));
    cr_assert_eq(test_damage(&t.network_bytes, is_network), 0);
    uint8_t *room = calloc(1, VELD_SIGNED_MAX + 1);
    cr_assert_not(is_network(room, VELD_SIGNED_MAX + 1));
    free(room);
}

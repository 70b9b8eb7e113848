#include "trust/membership.h"

#include "../support/trust_forge.h"

#include <criterion/criterion.h>

static struct test_trust t, other;

static void init(void)
{
    test_trust_make(&t);
    test_trust_make_nth(&other, 1);
}

static void fini(void)
{
    test_trust_free(&t);
    test_trust_free(&other);
}

TestSuite(trust_membership, .init = init, .fini = fini, .timeout = 120);

static int read_at(const struct veld_blob *b, const struct veld_revocations *r, uint64_t now_s,
                   struct veld_membership *out)
{
    static const struct veld_membership zero;
    memset(out, 0xaa, sizeof *out);
    int rc = veld_membership_read(b->p, b->len, t.network.id, r, now_s, out);
    cr_assert(rc == 0 || memcmp(out, &zero, sizeof zero) == 0, "a refused one left something");
    return rc;
}

Test(trust_membership, is_proved_by_every_chain_there_is)
{
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        bool by_token = by == TEST_BY_TOKEN || by == TEST_BY_ADMINS_TOKEN;
        bool by_admin = by == TEST_BY_ADMIN || by == TEST_BY_ADMINS_TOKEN;
        uint8_t none[32] = {0}, seed[32], key[32];
        test_trust_seed(seed, 3000000 + by);
        veld_ed25519_keypair(seed, key);
        const uint8_t *signer = by_token ? key : by_admin ? t.admin->pub : t.owner;
        cr_assert_str_eq(m.membership.name, "server1");
        cr_assert_arr_eq(m.membership.member, m.id->pub, 32);
        cr_assert_arr_eq(m.membership.network_id, t.network.id, 32);
        cr_assert_eq(m.membership.not_before_s, t.now_s - 3600);
        cr_assert_eq(m.membership.by_token, by_token);
        cr_assert_eq(m.membership.token_expires_s, by_token ? t.now_s + 79200 : 0);
        cr_assert_arr_eq(m.membership.signer, signer, 32);
        cr_assert_arr_eq(m.membership.admin, by_admin ? t.admin->pub : none, 32);
        test_member_free(&m);
    }
}

Test(trust_membership, keeps_all_that_was_issued)
{
    struct veld_identity *id = test_trust_identity(1);
    struct veld_membership m = test_membership(&t, id->pub, "a-very-long-name"), out;
    struct veld_signer owner = test_owner(&t);
    struct veld_blob chain = {0};
    for (size_t i = 0; i < VELD_MEMBER_ROUTES_MAX; i++) {
        m.routes[i] = test_prefix(i % 2 ? "2001:db8::/32" : "192.0.2.0/24");
        m.routes[i].ip.b[2] = (uint8_t)i;
    }
    m.n_routes = VELD_MEMBER_ROUTES_MAX;
    m.flags = VELD_MEMBER_ADMIN | VELD_MEMBER_RELAY;
    m.not_after_s = t.now_s + 5;
    m.serial = UINT64_MAX;
    memset(m.name, 'x', VELD_LABEL_MAX);
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), 0);
    cr_assert_eq(read_at(&chain, NULL, t.now_s, &out), 0);
    cr_assert_str_eq(out.name, m.name);
    cr_assert_eq(out.n_routes, m.n_routes);
    for (size_t i = 0; i < m.n_routes; i++)
        cr_assert(veld_ip_equal(&out.routes[i].ip, &m.routes[i].ip) &&
                  out.routes[i].len == m.routes[i].len);
    cr_assert_eq(out.flags, m.flags);
    cr_assert_eq(out.serial, m.serial);
    cr_assert(out.not_after_s == m.not_after_s && out.ends_s == m.not_after_s);
    veld_blob_clear(&chain);
    veld_identity_free(id);
}

/* ---- what is forged ---- */

static uint8_t stranger_seed[32], stranger[32];

static void by_stranger(struct test_part *p)
{
    test_trust_seed(stranger_seed, 99);
    veld_ed25519_keypair(stranger_seed, stranger);
    p->by = stranger_seed;
}

#define SPOIL(name, ...)                                                                       \
    static void name(struct test_chain *c)                                                     \
    {                                                                                          \
        __VA_ARGS__;                                                                           \
    }
#define ROUTE(m, text) (m).routes[(m).n_routes++] = test_prefix(text)

SPOIL(nothing, (void)c)
SPOIL(member_by_stranger, by_stranger(&c->member_by))
SPOIL(member_by_itself, static uint8_t own[32]; test_trust_seed(own, 1); c->member_by.by = own)
SPOIL(member_by_owner, c->member_by.by = t.owner_seed)
SPOIL(member_by_admin, c->member_by.by = t.admin->seed)
SPOIL(member_by_other_owner, c->member_by.by = other.owner_seed)
SPOIL(member_as_token, c->member_by.purpose = VELD_PURPOSE_TOKEN)
SPOIL(member_as_record, c->member_by.purpose = VELD_PURPOSE_RECORD)
SPOIL(member_as_request, c->member_by.purpose = VELD_PURPOSE_JOIN_REQUEST)
SPOIL(member_as_network, c->member_by.purpose = VELD_PURPOSE_NETWORK)
SPOIL(member_as_revocations, c->member_by.purpose = VELD_PURPOSE_REVOCATIONS)
SPOIL(member_of_other_network, memcpy(c->member.network_id, other.network.id, 32))
SPOIL(member_is_admin, c->member.flags = VELD_MEMBER_ADMIN)
SPOIL(member_is_relay, c->member.flags = VELD_MEMBER_RELAY)
SPOIL(member_has_unknown_flag, c->member.flags = 0x80000000u)
SPOIL(member_has_route, ROUTE(c->member, "192.0.2.0/24"))
SPOIL(member_has_default_route, ROUTE(c->member, "0.0.0.0/0"))
SPOIL(member_has_default_route6, ROUTE(c->member, "::/0"))
SPOIL(member_has_half_of_all, ROUTE(c->member, "64.0.0.0/2"))
SPOIL(member_has_unmasked_route, ROUTE(c->member, "192.0.2.1/24"))
SPOIL(member_has_multicast_route, ROUTE(c->member, "224.0.0.0/24"))
SPOIL(member_has_loopback_route, ROUTE(c->member, "127.0.0.0/8"))
SPOIL(member_has_no_name, c->member.name[0] = '\0')
SPOIL(member_has_bad_name, strcpy(c->member.name, "Server1"))
SPOIL(member_has_no_canonical_key, memset(c->member.member, 0xff, 32))
SPOIL(member_ends_first, c->member.not_after_s = c->member.not_before_s - 1)
SPOIL(member_not_yet, c->member.not_before_s = t.now_s + VELD_CLOCK_SKEW_S + 1)
SPOIL(member_soon, c->member.not_before_s = t.now_s + VELD_CLOCK_SKEW_S)
SPOIL(member_over, c->member.not_after_s = t.now_s - 1)
SPOIL(member_nearly_over, c->member.not_after_s = t.now_s)
SPOIL(token_by_stranger, by_stranger(&c->token_by))
SPOIL(token_by_owner, c->token_by.by = t.owner_seed)
SPOIL(token_by_admin, c->token_by.by = t.admin->seed)
SPOIL(token_by_its_own_key, c->token_by.by = c->token_seed)
SPOIL(token_as_membership, c->token_by.purpose = VELD_PURPOSE_MEMBERSHIP)
SPOIL(token_of_other_network, memcpy(c->token_network, other.network.id, 32))
SPOIL(token_of_other_key, by_stranger(&c->token_by); c->token_by.by = t.owner_seed;
      memcpy(c->token.token_key, stranger, 32))
SPOIL(token_grants_admin, c->token.flags = c->member.flags = VELD_MEMBER_ADMIN)
SPOIL(token_grants_admin_unused, c->token.flags = VELD_MEMBER_ADMIN)
SPOIL(token_grants_relay, c->token.flags = c->member.flags = VELD_MEMBER_RELAY)
SPOIL(token_grants_route, ROUTE(c->token, "192.0.2.0/24"); ROUTE(c->member, "192.0.2.0/24");
      ROUTE(c->member, "192.0.2.128/25"))
SPOIL(token_grants_narrower_route, ROUTE(c->token, "192.0.2.0/25");
      ROUTE(c->member, "192.0.2.0/24"))
SPOIL(token_grants_one_route, ROUTE(c->token, "192.0.2.0/24"); ROUTE(c->member, "192.0.2.0/24");
      ROUTE(c->member, "192.0.3.0/24"))
SPOIL(token_grants_other_family, ROUTE(c->token, "2001:db8::/32");
      ROUTE(c->member, "32.1.13.184/32"))
SPOIL(token_grants_default_route, ROUTE(c->token, "0.0.0.0/0");
      ROUTE(c->member, "192.0.2.0/24"))
SPOIL(token_was_over, c->token.expires_s = c->member.not_before_s - 1)
SPOIL(token_was_just_not_over, c->token.expires_s = c->member.not_before_s)
SPOIL(token_is_over_by_now, c->token.expires_s = t.now_s - 1)
SPOIL(token_never_ends, c->token.expires_s = 0)
SPOIL(token_came_later, c->token.created_s = c->member.not_before_s + VELD_CLOCK_SKEW_S + 1)
SPOIL(token_came_with_other_clock,
      c->token.created_s = c->member.not_before_s + VELD_CLOCK_SKEW_S)
SPOIL(token_ends_first, c->token.expires_s = c->token.created_s - 1)
SPOIL(no_token, c->token_by.by = NULL)
SPOIL(admin_by_stranger, by_stranger(&c->admin_by))
SPOIL(admin_by_itself, c->admin_by.by = t.admin->seed)
SPOIL(admin_by_other_owner, c->admin_by.by = other.owner_seed)
SPOIL(admin_as_token, c->admin_by.purpose = VELD_PURPOSE_TOKEN)
SPOIL(admin_of_other_network, memcpy(c->admin.network_id, other.network.id, 32))
SPOIL(admin_is_none, c->admin.flags = VELD_MEMBER_RELAY)
SPOIL(admin_is_another, by_stranger(&c->admin_by); c->admin_by.by = t.owner_seed;
      memcpy(c->admin.member, stranger, 32))
SPOIL(admin_not_yet, c->admin.not_before_s = t.now_s + VELD_CLOCK_SKEW_S + 1)
SPOIL(admin_over, c->admin.not_after_s = t.now_s - 1)
SPOIL(admin_nearly_over, c->admin.not_after_s = t.now_s)
SPOIL(no_admin, c->admin_by.by = NULL)
/* What the owner signed, and an admin's membership beside it that has no part in it. */
SPOIL(needless_admin, struct test_chain more; test_chain_make(&more, &t, TEST_BY_ADMIN);
      c->admin = more.admin; c->admin_by = more.admin_by)
SPOIL(needless_token, struct test_chain more; test_chain_make(&more, &t, TEST_BY_TOKEN);
      c->token = more.token; c->token_by = more.token_by;
      memcpy(c->token_network, more.token_network, 32))
/* The owner's rights handed on twice: an admin made by an admin. */
SPOIL(admin_by_admin, struct veld_identity *second = test_trust_identity(5);
      memcpy(c->admin.member, second->pub, 32); c->admin_by.by = t.admin->seed;
      static uint8_t seed[32]; memcpy(seed, second->seed, 32); c->member_by.by = seed;
      veld_identity_free(second))

struct forged {
    const char *what;
    enum test_by by;
    void (*spoil)(struct test_chain *c);
    int rc;
};
#define F(by, spoil, rc)                                                                       \
    {                                                                                          \
#by " " #spoil, by, spoil, rc                                                          \
    }
#define OWNER TEST_BY_OWNER
#define ADMIN TEST_BY_ADMIN
#define TOKEN TEST_BY_TOKEN
#define BOTH  TEST_BY_ADMINS_TOKEN

static const struct forged table[] = {
    F(OWNER, nothing, 0),
    F(OWNER, member_by_stranger, VELD_E_AUTH),
    F(OWNER, member_by_itself, VELD_E_AUTH),
    F(OWNER, member_by_admin, VELD_E_AUTH),
    F(OWNER, member_by_other_owner, VELD_E_AUTH),
    F(OWNER, member_as_token, VELD_E_AUTH),
    F(OWNER, member_as_record, VELD_E_AUTH),
    F(OWNER, member_as_request, VELD_E_AUTH),
    F(OWNER, member_as_network, VELD_E_AUTH),
    F(OWNER, member_as_revocations, VELD_E_AUTH),
    F(OWNER, member_of_other_network, VELD_E_AUTH),
    F(OWNER, member_is_admin, 0),
    F(OWNER, member_is_relay, 0),
    F(OWNER, member_has_unknown_flag, 0),
    F(OWNER, member_has_route, 0),
    F(OWNER, member_has_default_route, VELD_E_FORMAT),
    F(OWNER, member_has_default_route6, VELD_E_FORMAT),
    F(OWNER, member_has_half_of_all, VELD_E_FORMAT),
    F(OWNER, member_has_unmasked_route, VELD_E_FORMAT),
    F(OWNER, member_has_multicast_route, VELD_E_FORMAT),
    F(OWNER, member_has_loopback_route, VELD_E_FORMAT),
    F(OWNER, member_has_no_name, VELD_E_FORMAT),
    F(OWNER, member_has_bad_name, VELD_E_FORMAT),
    F(OWNER, member_has_no_canonical_key, VELD_E_FORMAT),
    F(OWNER, member_ends_first, VELD_E_FORMAT),
    F(OWNER, member_not_yet, VELD_E_RANGE),
    F(OWNER, member_soon, 0),
    F(OWNER, member_over, VELD_E_RANGE),
    F(OWNER, member_nearly_over, 0),
    F(OWNER, needless_admin, VELD_E_AUTH),
    F(OWNER, needless_token, VELD_E_AUTH),
    F(ADMIN, nothing, 0),
    F(ADMIN, member_by_stranger, VELD_E_AUTH),
    F(ADMIN, member_by_owner, VELD_E_AUTH),
    F(ADMIN, member_as_token, VELD_E_AUTH),
    F(ADMIN, member_of_other_network, VELD_E_AUTH),
    F(ADMIN, member_is_admin, VELD_E_AUTH),
    F(ADMIN, member_is_relay, 0),
    F(ADMIN, member_has_route, 0),
    F(ADMIN, member_has_default_route, VELD_E_FORMAT),
    F(ADMIN, admin_by_stranger, VELD_E_AUTH),
    F(ADMIN, admin_by_itself, VELD_E_AUTH),
    F(ADMIN, admin_by_other_owner, VELD_E_AUTH),
    F(ADMIN, admin_as_token, VELD_E_AUTH),
    F(ADMIN, admin_of_other_network, VELD_E_AUTH),
    F(ADMIN, admin_is_none, VELD_E_AUTH),
    F(ADMIN, admin_is_another, VELD_E_AUTH),
    F(ADMIN, admin_not_yet, VELD_E_RANGE),
    F(ADMIN, admin_over, VELD_E_RANGE),
    F(ADMIN, admin_nearly_over, 0),
    F(ADMIN, admin_by_admin, VELD_E_AUTH),
    F(ADMIN, no_admin, VELD_E_AUTH),
    F(ADMIN, needless_token, VELD_E_AUTH),
    F(TOKEN, nothing, 0),
    F(TOKEN, member_by_stranger, VELD_E_AUTH),
    F(TOKEN, member_by_owner, VELD_E_AUTH),
    F(TOKEN, member_by_itself, VELD_E_AUTH),
    F(TOKEN, member_as_token, VELD_E_AUTH),
    F(TOKEN, member_of_other_network, VELD_E_AUTH),
    F(TOKEN, member_is_admin, VELD_E_AUTH),
    F(TOKEN, member_is_relay, VELD_E_AUTH),
    F(TOKEN, member_has_unknown_flag, VELD_E_AUTH),
    F(TOKEN, member_has_route, VELD_E_AUTH),
    F(TOKEN, token_by_stranger, VELD_E_AUTH),
    F(TOKEN, token_by_admin, VELD_E_AUTH),
    F(TOKEN, token_by_its_own_key, VELD_E_AUTH),
    F(TOKEN, token_as_membership, VELD_E_AUTH),
    F(TOKEN, token_of_other_network, VELD_E_AUTH),
    F(TOKEN, token_of_other_key, VELD_E_AUTH),
    F(TOKEN, token_grants_admin, VELD_E_AUTH),
    F(TOKEN, token_grants_admin_unused, VELD_E_AUTH),
    F(TOKEN, token_grants_relay, 0),
    F(TOKEN, token_grants_route, 0),
    F(TOKEN, token_grants_narrower_route, VELD_E_AUTH),
    F(TOKEN, token_grants_one_route, VELD_E_AUTH),
    F(TOKEN, token_grants_other_family, VELD_E_AUTH),
    F(TOKEN, token_grants_default_route, VELD_E_FORMAT),
    F(TOKEN, token_was_over, VELD_E_RANGE),
    F(TOKEN, token_was_just_not_over, 0),
    F(TOKEN, token_is_over_by_now, 0),
    F(TOKEN, token_never_ends, 0),
    F(TOKEN, token_came_later, VELD_E_RANGE),
    F(TOKEN, token_came_with_other_clock, 0),
    F(TOKEN, token_ends_first, VELD_E_FORMAT),
    F(TOKEN, no_token, VELD_E_AUTH),
    F(TOKEN, needless_admin, VELD_E_AUTH),
    F(BOTH, nothing, 0),
    F(BOTH, member_by_owner, VELD_E_AUTH),
    F(BOTH, member_by_admin, VELD_E_AUTH),
    F(BOTH, member_is_admin, VELD_E_AUTH),
    F(BOTH, member_has_route, VELD_E_AUTH),
    F(BOTH, token_by_owner, VELD_E_AUTH),
    F(BOTH, token_grants_admin, VELD_E_AUTH),
    F(BOTH, token_grants_relay, 0),
    F(BOTH, token_grants_route, 0),
    F(BOTH, token_of_other_network, VELD_E_AUTH),
    F(BOTH, admin_by_stranger, VELD_E_AUTH),
    F(BOTH, admin_is_none, VELD_E_AUTH),
    F(BOTH, admin_of_other_network, VELD_E_AUTH),
    F(BOTH, admin_over, VELD_E_RANGE),
    F(BOTH, admin_not_yet, VELD_E_RANGE),
    F(BOTH, no_admin, VELD_E_AUTH),
    F(BOTH, no_token, VELD_E_AUTH),
};

Test(trust_membership, is_refused_when_forged)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        struct test_chain c;
        struct veld_membership out;
        test_chain_make(&c, &t, table[i].by);
        table[i].spoil(&c);
        struct veld_blob b = test_chain_pack(&c);
        int rc = read_at(&b, NULL, t.now_s, &out);
        cr_expect_eq(rc, table[i].rc, "%s: %s", table[i].what, veld_strerror(rc));
        /* Times alone are not looked at without a clock; a token's are, which are relative. */
        bool by_clock = rc == VELD_E_RANGE && table[i].by != TOKEN;
        cr_expect_eq(read_at(&b, NULL, 0, &out), by_clock ? 0 : rc, "%s: without a clock",
                     table[i].what);
        veld_blob_clear(&b);
    }
}

Test(trust_membership, is_of_its_network_alone)
{
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        struct veld_membership out;
        cr_assert_eq(
            veld_membership_read(m.chain.p, m.chain.len, other.network.id, NULL, t.now_s, &out),
            VELD_E_AUTH);
        test_member_free(&m);
    }
}

/* ---- wrong bytes ---- */

static bool is_member(const uint8_t *p, size_t len)
{
    struct veld_membership out;
    return veld_membership_read(p, len, t.network.id, NULL, t.now_s, &out) == 0;
}

Test(trust_membership, is_refused_with_any_bit_wrong)
{
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        cr_assert(is_member(m.chain.p, m.chain.len));
        cr_assert_eq(test_damage(&m.chain, is_member), 0);
        test_member_free(&m);
    }
}

/* The same parts, each in another's place. */
Test(trust_membership, is_refused_with_parts_swapped)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_ADMINS_TOKEN);
    pb_chain *c = veld_chain_unpack(m.chain.p, m.chain.len);
    pb_signed *part[] = {c->membership, c->token, c->admin, NULL};
    size_t taken = 0, tried = 0;
    for (size_t i = 0; i < 64; i++) {
        pb_chain swapped = VELD__TRUST__V1__CHAIN__INIT;
        struct veld_blob b = {0};
        swapped.membership = part[i / 16];
        swapped.token = part[i / 4 % 4];
        swapped.admin = part[i % 4];
        cr_assert_eq(veld_wire_pack(&b, &swapped, VELD_CHAIN_MAX), 0);
        taken += is_member(b.p, b.len);
        tried++;
        /* The admin's membership is one of its own. */
        cr_assert(!is_member(b.p, b.len) || i == 0 * 16 + 1 * 4 + 2 || i == 2 * 16 + 3 * 4 + 3,
                  "%zu", i);
        veld_blob_clear(&b);
    }
    cr_assert(taken == 2 && tried == 64);
    veld_wire_free(c);
    test_member_free(&m);
}

Test(trust_membership, is_refused_with_more_around_it)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_OWNER);
    /* A field that no version knows, of the chain and inside its membership. */
    struct veld_blob more = {malloc(m.chain.len + 2), m.chain.len + 2};
    memcpy(more.p, m.chain.p, m.chain.len);
    memcpy(more.p + m.chain.len, "\x78\x01", 2);
    cr_assert_not(is_member(more.p, more.len));
    pb_chain *c = veld_chain_unpack(m.chain.p, m.chain.len);
    cr_assert_not_null(c);
    ProtobufCMessageUnknownField field = {
        .tag = 15, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = more.p};
    more.p[0] = 1;
    c->membership->base.n_unknown_fields = 1;
    c->membership->base.unknown_fields = &field;
    struct veld_blob inside = {0};
    cr_assert_eq(veld_wire_pack(&inside, c, VELD_CHAIN_MAX), 0);
    c->membership->base.n_unknown_fields = 0;
    c->membership->base.unknown_fields = NULL;
    cr_assert_eq(inside.len, m.chain.len + 2);
    cr_assert_not(is_member(inside.p, inside.len));
    veld_wire_free(c);
    veld_blob_clear(&inside);
    veld_blob_clear(&more);
    test_member_free(&m);
}

/* One that says more than there may be, signed by the owner itself. */
Test(trust_membership, is_bounded)
{
    struct veld_wire_routes room;
    struct veld_prefix route = test_prefix("192.0.2.0/24");
    pb_prefix *routes[VELD_MEMBER_ROUTES_MAX + 1];
    pb_membership body = VELD__TRUST__V1__MEMBERSHIP__INIT;
    char name[] = "server1";
    veld_wire_put_routes(&room, &route, 1);
    for (size_t i = 0; i < VELD_ARRAY_LEN(routes); i++)
        routes[i] = room.list[0];
    body.network_id = veld_wire_bytes(t.network.id, 32);
    body.member = veld_wire_bytes(t.admin->pub, 32);
    body.name = name;
    body.routes = routes;
    for (size_t n = VELD_MEMBER_ROUTES_MAX; n <= VELD_ARRAY_LEN(routes); n++) {
        struct veld_statement s;
        struct veld_blob b = {0};
        struct veld_membership out;
        pb_signed view;
        pb_chain c = VELD__TRUST__V1__CHAIN__INIT;
        body.n_routes = n;
        test_sign(&s, &(struct test_part){t.owner_seed, VELD_PURPOSE_MEMBERSHIP}, &body);
        veld_statement_view(&s, &view);
        c.membership = &view;
        cr_assert_eq(veld_wire_pack(&b, &c, VELD_CHAIN_MAX), 0);
        cr_assert_eq(read_at(&b, NULL, t.now_s, &out),
                     n > VELD_MEMBER_ROUTES_MAX ? VELD_E_FORMAT : 0);
        veld_statement_clear(&s);
        veld_blob_clear(&b);
    }
    uint8_t *long_one = calloc(1, VELD_CHAIN_MAX + 1);
    cr_assert_not(is_member(long_one, VELD_CHAIN_MAX + 1));
    cr_assert_not(is_member(NULL, 0));
    free(long_one);
}

/* ---- issuing ---- */

Test(trust_membership, is_issued_by_who_may)
{
    struct veld_identity *id = test_trust_identity(1);
    struct test_member plain = test_trust_join(&t, 2, "plain", TEST_BY_OWNER);
    struct test_member by_admin = test_trust_join(&t, 3, "second", TEST_BY_ADMIN);
    struct veld_membership m = test_membership(&t, id->pub, "server1"), out;
    struct veld_blob chain = {0};
    struct {
        const char *what;
        struct veld_signer by;
        uint32_t flags;
        int rc;
    } c[] = {
        {"owner", test_owner(&t), VELD_MEMBER_ADMIN, 0},
        {"admin", test_admin(&t), VELD_MEMBER_RELAY, 0},
        {"admin, an admin", test_admin(&t), VELD_MEMBER_ADMIN, VELD_E_AUTH},
        {"another network's owner", test_owner(&other), 0, VELD_E_AUTH},
        {"another network's admin", test_admin(&other), 0, VELD_E_AUTH},
        {"a member", {plain.id->seed, &plain.chain}, 0, VELD_E_AUTH},
        {"an admin's member", {by_admin.id->seed, &by_admin.chain}, 0, VELD_E_AUTH},
        {"the admin without its chain", {t.admin->seed, NULL}, 0, VELD_E_AUTH},
        {"the admin's chain with another key", {id->seed, &t.admin_chain}, 0, VELD_E_AUTH},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(c); i++) {
        m.flags = c[i].flags;
        int rc = veld_membership_issue(&chain, &c[i].by, &m);
        cr_expect_eq(rc, c[i].rc, "%s: %s", c[i].what, veld_strerror(rc));
        cr_expect_eq(chain.p == NULL, rc < 0);
        if (rc == 0)
            cr_expect_eq(read_at(&chain, NULL, t.now_s, &out), 0);
    }
    m.flags = 0;
    m.routes[0] = test_prefix("0.0.0.0/0");
    m.n_routes = 1;
    struct veld_signer owner = test_owner(&t);
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), VELD_E_FORMAT);
    m.n_routes = VELD_MEMBER_ROUTES_MAX + 1;
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), VELD_E_FORMAT);
    m.n_routes = 0;
    strcpy(m.name, "-");
    cr_assert_eq(veld_membership_issue(&chain, &owner, &m), VELD_E_FORMAT);
    cr_assert_null(chain.p);
    test_member_free(&plain);
    test_member_free(&by_admin);
    veld_identity_free(id);
}

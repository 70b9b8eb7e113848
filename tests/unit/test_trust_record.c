#include "trust/record.h"

#include "../support/trust_forge.h"
#include "../support/trust_vectors.h"

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

TestSuite(trust_record, .init = init, .fini = fini, .timeout = 120);

static int read_known(const struct veld_blob *b, const struct veld_membership *known,
                      const struct veld_revocations *revoked, struct veld_record *out)
{
    static const struct veld_record zero;
    memset(out, 0xaa, sizeof *out);
    int rc = veld_record_read_known(b->p, b->len, &t.network, known, revoked, t.now_s, out);
    cr_assert(rc == 0 || memcmp(out, &zero, sizeof zero) == 0, "a refused one left something");
    return rc;
}

Test(trust_record, is_read_as_it_was_signed)
{
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        struct veld_record r = test_record(&m, 7), out;
        struct veld_ip ipv6;
        cr_assert_eq(veld_ip_parse("10.100.0.2", &r.ipv4), 0);
        cr_assert_eq(veld_endpoint_parse("[2001:db8::1]:51820", &r.endpoints[0]), 0);
        cr_assert_eq(veld_endpoint_parse("192.0.2.1:65535", &r.endpoints[1]), 0);
        r.n_endpoints = 2;
        memcpy(r.relays[0], t.admin->pub, 32);
        r.n_relays = 1;
        r.features = UINT64_MAX;
        struct veld_blob b = test_peer_record(&m, &r);
        cr_assert_eq(veld_record_read(b.p, b.len, &t.network, NULL, t.now_s, &out), 0);
        veld_network_ipv6(t.network.id, m.id->pub, &ipv6);
        cr_assert_arr_eq(out.membership.chain_digest, m.membership.chain_digest, 32);
        cr_assert_arr_eq(out.membership.member, m.id->pub, 32);
        cr_assert(veld_ip_equal(&out.ipv4, &r.ipv4) && veld_ip_equal(&out.ipv6, &ipv6));
        cr_assert(out.n_endpoints == 2 &&
                  veld_endpoint_equal(&out.endpoints[0], &r.endpoints[0]) &&
                  veld_endpoint_equal(&out.endpoints[1], &r.endpoints[1]));
        cr_assert(out.n_relays == 1 && memcmp(out.relays[0], r.relays[0], 32) == 0);
        cr_assert(out.n_routes == 0 && !out.relay && out.features == UINT64_MAX &&
                  out.sequence == 7);
        veld_blob_clear(&b);
        test_member_free(&m);
    }
}

/* ---- what is forged ---- */

/* A record in the making: its body, its signer, its purpose, and the chain it goes with. */
struct forged {
    struct test_chain chain;
    struct test_part by;
    uint8_t network[32], member[32];
    char name[VELD_LABEL_MAX + 1];
    uint8_t ipv4[16];
    size_t ipv4_len;
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n_routes;
    uint8_t address[16];
    size_t address_len, n_endpoints;
    uint32_t port;
    bool relay;
    uint8_t relays[VELD_MEMBER_RELAYS_MAX + 1][32];
    size_t relay_len, n_relays;
    uint64_t serial;
};

static void make(struct forged *f)
{
    static uint8_t seed[32];
    memset(f, 0, sizeof *f);
    test_chain_make(&f->chain, &t, TEST_BY_OWNER);
    f->chain.member.routes[0] = test_prefix("10.0.0.0/8");
    f->chain.member.routes[1] = test_prefix("fc00::/7");
    f->chain.member.routes[1].len = 8;
    f->chain.member.n_routes = 2;
    test_trust_seed(seed, 1);
    f->by = (struct test_part){seed, VELD_PURPOSE_RECORD};
    memcpy(f->network, t.network.id, 32);
    memcpy(f->member, f->chain.member.member, 32);
    strcpy(f->name, "server1");
    memcpy(f->ipv4, (uint8_t[]){10, 100, 0, 2}, 4);
    f->ipv4_len = 4;
    memcpy(f->address, (uint8_t[]){192, 0, 2, 1}, 4);
    f->address_len = 4;
    f->n_endpoints = 1;
    f->port = 51820;
    for (uint8_t i = 0; i < VELD_ARRAY_LEN(f->relays); i++) {
        test_trust_seed(seed, 2);
        seed[1] = i;
        veld_ed25519_keypair(seed, f->relays[i]);
    }
    test_trust_seed(seed, 1);
    f->relay_len = 32;
    f->serial = f->chain.member.serial;
}

static struct veld_blob pack(const struct forged *f)
{
    struct veld_wire_routes routes;
    pb_endpoint endpoint = VELD__TRUST__V1__ENDPOINT__INIT;
    pb_endpoint *endpoints[VELD_MEMBER_ENDPOINTS_MAX + 1];
    pb_record body = VELD__TRUST__V1__RECORD__INIT;
    char name[VELD_LABEL_MAX + 1];
    strcpy(name, f->name);
    endpoint.address = veld_wire_bytes(f->address, f->address_len);
    endpoint.port = f->port;
    for (size_t i = 0; i < VELD_ARRAY_LEN(endpoints); i++)
        endpoints[i] = &endpoint;
    body.network_id = veld_wire_bytes(f->network, 32);
    body.member = veld_wire_bytes(f->member, 32);
    body.name = name;
    body.ipv4 = veld_wire_bytes(f->ipv4, f->ipv4_len);
    body.n_routes = f->n_routes;
    body.routes = veld_wire_put_routes(&routes, f->routes, f->n_routes);
    body.n_endpoints = f->n_endpoints;
    body.endpoints = endpoints;
    ProtobufCBinaryData relays[VELD_MEMBER_RELAYS_MAX + 1];
    for (size_t i = 0; i < f->n_relays; i++)
        relays[i] = veld_wire_bytes(f->relays[i], f->relay_len);
    body.relay = f->relay;
    body.relays = relays;
    body.n_relays = f->n_relays;
    body.serial = f->serial;
    struct veld_blob record = test_signed(f->by.purpose, f->by.by, &body), out = {0};
    struct veld_blob chain = test_chain_pack(&f->chain);
    cr_assert_eq(veld_record_join(&out, &record, &chain), 0);
    veld_blob_clear(&record);
    veld_blob_clear(&chain);
    return out;
}

#define SPOIL(name, ...)                                                                       \
    static void name(struct forged *f)                                                         \
    {                                                                                          \
        __VA_ARGS__;                                                                           \
    }
#define IPV4(a, b, c, d) memcpy(f->ipv4, (uint8_t[]){a, b, c, d}, 4)
#define ADDRESS(text)                                                                          \
    do {                                                                                       \
        struct veld_prefix p = test_prefix(text);                                              \
        f->address_len = p.ip.family == 4 ? 4 : 16;                                            \
        memcpy(f->address, p.ip.b, 16);                                                        \
    } while (0)
#define ROUTE(text) f->routes[f->n_routes++] = test_prefix(text)

SPOIL(nothing, (void)f)
SPOIL(by_owner, f->by.by = t.owner_seed)
SPOIL(by_admin, f->by.by = t.admin->seed)
SPOIL(by_another, f->by.by = other.admin->seed)
SPOIL(as_membership, f->by.purpose = VELD_PURPOSE_MEMBERSHIP)
SPOIL(as_request, f->by.purpose = VELD_PURPOSE_JOIN_REQUEST)
SPOIL(of_other_network, memcpy(f->network, other.network.id, 32))
SPOIL(of_other_member, memcpy(f->member, t.admin->pub, 32))
SPOIL(of_other_name, strcpy(f->name, "server2"))
SPOIL(of_no_name, f->name[0] = '\0')
SPOIL(of_other_membership, f->serial++)
SPOIL(chain_of_other_member, memcpy(f->chain.member.member, t.admin->pub, 32))
SPOIL(chain_of_other_name, strcpy(f->chain.member.name, "server2"))
SPOIL(chain_by_stranger, f->chain.member_by.by = other.owner_seed)
SPOIL(chain_over, f->chain.member.not_after_s = t.now_s - 1)
SPOIL(no_ipv4, f->ipv4_len = 0)
SPOIL(ipv4_is_first, IPV4(10, 100, 0, 0))
SPOIL(ipv4_is_second, IPV4(10, 100, 0, 1))
SPOIL(ipv4_is_last, IPV4(10, 100, 255, 255))
SPOIL(ipv4_is_before_last, IPV4(10, 100, 255, 254))
SPOIL(ipv4_is_elsewhere, IPV4(10, 101, 0, 2))
SPOIL(ipv4_is_short, f->ipv4_len = 3)
SPOIL(ipv4_is_long, f->ipv4_len = 5)
SPOIL(ipv4_is_ipv6, f->ipv4_len = 16; memset(f->ipv4, 0xfd, 16))
SPOIL(routes_allowed, ROUTE("10.0.0.0/8"); ROUTE("10.5.0.0/16"); ROUTE("fc00:5::/32"))
SPOIL(route_beyond, ROUTE("192.0.2.0/24"))
SPOIL(route_beyond_second, ROUTE("10.5.0.0/16"); ROUTE("2001:db8::/32"))
SPOIL(route_is_default, ROUTE("0.0.0.0/0"))
SPOIL(route_is_unmasked, ROUTE("10.5.0.1/16"))
SPOIL(route_is_the_network, ROUTE("10.100.0.0/16"))
SPOIL(route_is_a_members, ROUTE("10.100.0.3/32"))
SPOIL(route_is_twice_the_network, ROUTE("10.100.0.0/15"))
SPOIL(route_is_beside_the_network, ROUTE("10.101.0.0/16"))
SPOIL(route_is_round_the_network, ROUTE("10.96.0.0/12"))
/* The network's IPv6 addresses, and one of them: allowed by the membership, and refused all the same. */
SPOIL(route_is_the_network6, struct veld_prefix p = {.len = 48}; struct veld_ip a;
      veld_network_ipv6(t.network.id, f->member, &a); p.ip = a; veld_prefix_mask(&p);
      f->routes[f->n_routes++] = p; f->chain.member.routes[1] = p)
SPOIL(route_is_a_members6, struct veld_ip a; veld_network_ipv6(t.network.id, t.admin->pub, &a);
      f->routes[f->n_routes] = veld_prefix_host(&a);
      f->chain.member.routes[1] = f->routes[f->n_routes++])
SPOIL(route_is_round_the_network6, ROUTE("fd00::/8");
      f->chain.member.routes[1] = test_prefix("fd00::/8"))
SPOIL(relays, f->relay = true)
SPOIL(relays_by_right, f->relay = true; f->chain.member.flags = VELD_MEMBER_RELAY)
SPOIL(endpoint_without_port, f->port = 0)
SPOIL(endpoint_last_port, f->port = 65535)
SPOIL(endpoint_port_too_great, f->port = 65536)
SPOIL(endpoint_multicast, ADDRESS("224.0.0.1"))
SPOIL(endpoint_loopback, ADDRESS("127.0.0.1"))
SPOIL(endpoint_unspecified, ADDRESS("0.0.0.0"))
SPOIL(endpoint_broadcast, ADDRESS("255.255.255.255"))
SPOIL(endpoint6, ADDRESS("2001:db8::1"))
SPOIL(endpoint6_multicast, ADDRESS("ff02::1"))
SPOIL(endpoint6_loopback, ADDRESS("::1"))
SPOIL(endpoint6_mapped, ADDRESS("2001:db8::1"); memset(f->address, 0, 10);
      memset(f->address + 10, 0xff, 2))
SPOIL(endpoint_short, f->address_len = 3)
SPOIL(endpoint_none, f->address_len = 0)
SPOIL(found_through_all, f->n_relays = VELD_MEMBER_RELAYS_MAX)
SPOIL(found_through_too_many, f->n_relays = VELD_MEMBER_RELAYS_MAX + 1)
SPOIL(found_through_short, f->n_relays = 1; f->relay_len = 31)
SPOIL(found_through_twice, f->n_relays = 2; memcpy(f->relays[1], f->relays[0], 32))
SPOIL(found_through_itself, f->n_relays = 2; memcpy(f->relays[1], f->member, 32))
SPOIL(found_through_no_key, f->n_relays = 1; memset(f->relays[0], 0xff, 32))
SPOIL(endpoints_full, f->n_endpoints = VELD_MEMBER_ENDPOINTS_MAX)
SPOIL(endpoints_too_many, f->n_endpoints = VELD_MEMBER_ENDPOINTS_MAX + 1)

static const struct {
    const char *what;
    void (*spoil)(struct forged *f);
    int rc;
} table[] = {
#define F(spoil, rc)                                                                           \
    {                                                                                          \
#spoil, spoil, rc                                                                      \
    }
    F(nothing, 0),
    F(by_owner, VELD_E_AUTH),
    F(by_admin, VELD_E_AUTH),
    F(by_another, VELD_E_AUTH),
    F(as_membership, VELD_E_AUTH),
    F(as_request, VELD_E_AUTH),
    F(of_other_network, VELD_E_AUTH),
    F(of_other_member, VELD_E_AUTH),
    F(of_other_name, VELD_E_AUTH),
    F(of_no_name, VELD_E_FORMAT),
    F(of_other_membership, VELD_E_AUTH),
    F(chain_of_other_member, VELD_E_AUTH),
    F(chain_of_other_name, VELD_E_AUTH),
    F(chain_by_stranger, VELD_E_AUTH),
    F(chain_over, VELD_E_RANGE),
    F(no_ipv4, 0),
    F(ipv4_is_first, VELD_E_FORMAT),
    F(ipv4_is_second, 0),
    F(ipv4_is_last, VELD_E_FORMAT),
    F(ipv4_is_before_last, 0),
    F(ipv4_is_elsewhere, VELD_E_FORMAT),
    F(ipv4_is_short, VELD_E_FORMAT),
    F(ipv4_is_long, VELD_E_FORMAT),
    F(ipv4_is_ipv6, VELD_E_FORMAT),
    F(routes_allowed, 0),
    F(route_beyond, VELD_E_AUTH),
    F(route_beyond_second, VELD_E_AUTH),
    F(route_is_default, VELD_E_FORMAT),
    F(route_is_unmasked, VELD_E_FORMAT),
    F(route_is_the_network, VELD_E_AUTH),
    F(route_is_a_members, VELD_E_AUTH),
    F(route_is_twice_the_network, 0),
    F(route_is_beside_the_network, 0),
    F(route_is_round_the_network, 0),
    F(route_is_the_network6, VELD_E_AUTH),
    F(route_is_a_members6, VELD_E_AUTH),
    F(route_is_round_the_network6, 0),
    F(relays, VELD_E_AUTH),
    F(relays_by_right, 0),
    F(endpoint_without_port, VELD_E_FORMAT),
    F(endpoint_last_port, 0),
    F(endpoint_port_too_great, VELD_E_FORMAT),
    F(endpoint_multicast, VELD_E_FORMAT),
    F(endpoint_loopback, VELD_E_FORMAT),
    F(endpoint_unspecified, VELD_E_FORMAT),
    F(endpoint_broadcast, VELD_E_FORMAT),
    F(endpoint6, 0),
    F(endpoint6_multicast, VELD_E_FORMAT),
    F(endpoint6_loopback, VELD_E_FORMAT),
    F(endpoint6_mapped, VELD_E_FORMAT),
    F(endpoint_short, VELD_E_FORMAT),
    F(endpoint_none, VELD_E_FORMAT),
    F(found_through_all, 0),
    F(found_through_too_many, VELD_E_FORMAT),
    F(found_through_short, VELD_E_FORMAT),
    F(found_through_twice, VELD_E_FORMAT),
    F(found_through_itself, VELD_E_FORMAT),
    F(found_through_no_key, VELD_E_FORMAT),
    F(endpoints_full, 0),
    F(endpoints_too_many, VELD_E_FORMAT),
};

Test(trust_record, is_refused_when_forged)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        struct forged f;
        struct veld_record out;
        make(&f);
        table[i].spoil(&f);
        struct veld_blob b = pack(&f);
        int rc = read_known(&b, NULL, NULL, &out);
        cr_expect_eq(rc, table[i].rc, "%s: %s", table[i].what, veld_strerror(rc));
        veld_blob_clear(&b);
    }
}

/* ---- with a chain that was verified before ---- */

Test(trust_record, of_a_known_chain_is_held_to_all_the_rest)
{
    struct forged f;
    struct veld_membership known;
    struct veld_record out;
    make(&f);
    struct veld_blob chain = test_chain_pack(&f.chain);
    cr_assert_eq(veld_membership_read(chain.p, chain.len, t.network.id, NULL, t.now_s, &known),
                 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(table); i++) {
        make(&f);
        table[i].spoil(&f);
        struct veld_blob b = pack(&f);
        int rc = read_known(&b, &known, NULL, &out);
        cr_expect_eq(rc, table[i].rc, "%s: %s", table[i].what, veld_strerror(rc));
        veld_blob_clear(&b);
    }
    veld_blob_clear(&chain);
}

Test(trust_record, takes_the_known_for_the_same_chain_alone)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_ADMINS_TOKEN);
    struct test_member again = test_trust_join(&t, 1, "server1", TEST_BY_OWNER);
    struct veld_record r = test_record(&m, 1), out;
    struct veld_blob b = test_peer_record(&m, &r);
    struct veld_membership known = m.membership;
    /* That it is taken shows in what only the known says. */
    known.token_uses = 4711;
    cr_assert_eq(read_known(&b, &known, NULL, &out), 0);
    cr_assert_eq(out.membership.token_uses, 4711);
    cr_assert_eq(read_known(&b, &again.membership, NULL, &out), 0);
    cr_assert_arr_eq(out.membership.chain_digest, m.membership.chain_digest, 32);
    known.network_id[0] ^= 1;
    cr_assert_eq(read_known(&b, &known, NULL, &out), 0);
    cr_assert_eq(out.membership.token_uses, 0);
    /* Time and revocations go on. */
    known = m.membership;
    known.ends_s = t.now_s - 1;
    cr_assert_eq(read_known(&b, &known, NULL, &out), VELD_E_RANGE);
    struct veld_signer owner = test_owner(&t);
    struct veld_revoked_entry e = {0};
    struct veld_blob list = {0};
    struct veld_revocations *revoked;
    memcpy(e.key, m.id->pub, 32);
    cr_assert_eq(veld_revocations_add(&list, &owner, t.network.id, NULL, &e, t.now_s), 0);
    cr_assert_eq(veld_revocations_read(list.p, list.len, t.network.id, NULL, &revoked), 0);
    cr_assert_eq(read_known(&b, &m.membership, revoked, &out), VELD_E_PERM);
    cr_assert_eq(read_known(&b, NULL, revoked, &out), VELD_E_PERM);
    veld_revocations_free(revoked);
    veld_blob_clear(&list);
    veld_blob_clear(&b);
    test_member_free(&m);
    test_member_free(&again);
}

/* ---- wrong bytes ---- */

static struct veld_membership known_one;

static bool is_record(const uint8_t *p, size_t len)
{
    struct veld_record out;
    bool taken = veld_record_read(p, len, &t.network, NULL, t.now_s, &out) == 0;
    cr_assert_eq(veld_record_read_known(p, len, &t.network, &known_one, NULL, t.now_s, &out) ==
                     0,
                 taken);
    return taken;
}

Test(trust_record, is_refused_with_any_bit_wrong)
{
    for (enum test_by by = TEST_BY_OWNER; by <= TEST_BY_ADMINS_TOKEN; by++) {
        struct test_member m = test_trust_join(&t, 1, "server1", by);
        struct veld_record r = test_record(&m, 1);
        struct veld_blob b = test_peer_record(&m, &r);
        known_one = m.membership;
        cr_assert(is_record(b.p, b.len));
        cr_assert_eq(test_damage(&b, is_record), 0);
        veld_blob_clear(&b);
        test_member_free(&m);
    }
}

Test(trust_record, is_bounded)
{
    uint8_t *room = calloc(1, VELD_RECORD_MAX + 1);
    cr_assert_not(is_record(room, VELD_RECORD_MAX + 1));
    cr_assert_not(is_record(NULL, 0));
    free(room);
}

/* Parts of the wrong shape, and more parts than there are. */
Test(trust_record, is_refused_in_another_shape)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_ADMINS_TOKEN);
    struct veld_record r = test_record(&m, 1);
    struct veld_blob b = test_peer_record(&m, &r);
    pb_peer_record *peer = veld_wire_unpack(&veld__trust__v1__peer_record__descriptor, b.p,
                                            b.len, VELD_RECORD_MAX);
    cr_assert_not_null(peer);
    uint8_t one = 1;
    ProtobufCMessageUnknownField field = {
        .tag = 15, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = &one};
    ProtobufCMessage *with_more[] = {&peer->base, &peer->chain->base, &peer->record->base,
                                     &peer->chain->admin->base};
    for (size_t i = 0; i < VELD_ARRAY_LEN(with_more); i++) {
        with_more[i]->n_unknown_fields = 1;
        with_more[i]->unknown_fields = &field;
        cr_assert_eq(veld_wire_pack(&b, peer, VELD_RECORD_MAX), 0);
        with_more[i]->n_unknown_fields = 0;
        with_more[i]->unknown_fields = NULL;
        cr_assert_eq(read_known(&b, NULL, NULL, &r), VELD_E_FORMAT, "%zu", i);
    }
    pb_signed *parts[] = {peer->record, peer->chain->membership, peer->chain->token,
                          peer->chain->admin};
    for (size_t i = 0; i < VELD_ARRAY_LEN(parts); i++) {
        parts[i]->signature.len--;
        cr_assert_eq(veld_wire_pack(&b, peer, VELD_RECORD_MAX), 0);
        parts[i]->signature.len++;
        cr_assert_eq(read_known(&b, NULL, NULL, &r), VELD_E_FORMAT, "%zu", i);
    }
    cr_assert_eq(veld_wire_pack(&b, peer, VELD_RECORD_MAX), 0);
    cr_assert_eq(read_known(&b, NULL, NULL, &r), 0);
    veld_wire_free(peer);
    veld_blob_clear(&b);
    test_member_free(&m);
}

/* ---- making one ---- */

Test(trust_record, is_not_signed_when_others_would_not_take_it)
{
    struct test_member m = test_trust_join(&t, 1, "server1", TEST_BY_OWNER);
    struct veld_blob b = {0};
    struct veld_record r = test_record(&m, 1);
    r.routes[0] = test_prefix("10.0.0.1/8");
    r.n_routes = 1;
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r.n_routes = VELD_MEMBER_ROUTES_MAX + 1;
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r = test_record(&m, 1);
    r.n_endpoints = 1; /* of no family */
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r.n_endpoints = VELD_MEMBER_ENDPOINTS_MAX + 1;
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r = test_record(&m, 1);
    memcpy(r.relays[0], m.id->pub, 32);
    r.n_relays = 1; /* itself */
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r.n_relays = VELD_MEMBER_RELAYS_MAX + 1;
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    r = test_record(&m, 1);
    r.ipv4.family = 6;
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), VELD_E_FORMAT);
    cr_assert_null(b.p);
    r = test_record(&m, 1);
    cr_assert_eq(veld_record_sign(&b, m.id->seed, &r), 0);
    struct veld_blob out = {0}, cut = {b.p, b.len - 1}, empty = {0};
    cr_assert_eq(veld_record_join(&out, &cut, &m.chain), VELD_E_FORMAT);
    cr_assert_eq(veld_record_join(&out, &b, &empty), VELD_E_FORMAT);
    cr_assert_eq(veld_record_join(&out, &b, &b), VELD_E_FORMAT);
    cr_assert_null(out.p);
    veld_blob_clear(&b);
    test_member_free(&m);
}

/* PeerRecord of a member that a token let in, from another implementation. */
Test(trust_record, is_as_another_implementation_makes_it)
{
    struct veld_blob network = test_hex(VECTOR_NETWORK), peer = test_hex(VECTOR_PEER);
    struct veld_blob id = test_hex(VECTOR_ID), member = test_hex(VECTOR_MEMBER);
    struct veld_blob chain = {0}, record = {0}, made = {0};
    struct veld_network n;
    struct veld_record r;
    uint8_t seed[32];
    cr_assert_eq(veld_network_read(network.p, network.len, &n), 0);
    cr_assert_eq(veld_record_read(peer.p, peer.len, &n, NULL, 1800000060, &r), 0);
    cr_assert_str_eq(r.membership.name, "server1");
    cr_assert(r.relay && r.sequence == 9 && r.features == 1 && r.n_endpoints == 1);
    cr_assert(r.membership.by_token && r.membership.token_uses == 1);
    memset(seed, 2, 32);
    cr_assert_eq(veld_token_admit(&chain, VECTOR_TOKEN, member.p, "server1", 1800000060, 0), 0);
    cr_assert_eq(veld_record_sign(&record, seed, &r), 0);
    cr_assert_eq(veld_record_join(&made, &record, &chain), 0);
    cr_assert_eq(made.len, peer.len);
    cr_assert_arr_eq(made.p, peer.p, peer.len);
    struct veld_blob *all[] = {&network, &peer, &id, &member, &chain, &record, &made};
    for (size_t i = 0; i < VELD_ARRAY_LEN(all); i++)
        veld_blob_clear(all[i]);
}

/* RegisterMember and Leave: who gets in, under what name and address, and what stays of it. */
#include "../support/coord_asserts.h"

static struct coord_rig r;

static void start(void)
{
    coord_open(&r, NULL);
    ok(coord_create(&r));
}

static void stop(void)
{
    coord_close(&r);
}

TestSuite(coord_register, .init = start, .fini = stop);

static struct test_member join(unsigned n, const char *name)
{
    return test_trust_join(&r.trust, n, name, TEST_BY_OWNER);
}

/* The same device with another membership: serial and name as given, and `ends_s` (0: none). */
static struct test_member renew(const struct test_member *m, const char *name, uint64_t serial,
                                uint64_t ends_s)
{
    struct test_member n = {.id = veld_identity_from_seed(m->id->seed)};
    struct veld_membership wish = test_membership(&r.trust, n.id->pub, name);
    struct veld_signer owner = test_owner(&r.trust);
    wish.serial = serial;
    wish.not_after_s = ends_s;
    test_trust_must(veld_membership_issue(&n.chain, &owner, &wish), name);
    test_trust_must(veld_membership_read(n.chain.p, n.chain.len, r.trust.network.id, NULL, 0,
                                         &n.membership),
                    name);
    return n;
}

static const char *leased(void)
{
    static char text[VELD_IP_STRLEN];
    return veld_ip_format(&r.leased, text);
}

static struct veld_ip ip(const char *text)
{
    struct veld_ip a;
    test_trust_must(veld_ip_parse(text, &a), text);
    return a;
}

Test(coord_register, leases_before_it_publishes)
{
    struct test_member a = join(1, "server1");
    ok(coord_lease(&r, &a));
    cr_assert_not(r.published);
    struct veld_ip first = r.leased;
    cr_assert(veld_prefix_contains(&r.trust.network.ipv4, &first));
    ok(coord_lease(&r, &a));
    cr_assert(veld_ip_equal(&first, &r.leased));
    ok(coord_register(&r, &a, 1));
    cr_assert(r.published);
    cr_assert(veld_ip_equal(&first, &r.leased));
    cr_assert_gt(r.revision, 0);
    test_member_free(&a);
}

Test(coord_register, tells_where_the_call_came_from)
{
    static const char *const from[] = {"192.0.2.7", "2001:db8::7"};
    struct test_member a = join(1, "server1");
    for (size_t i = 0; i < 2; i++) {
        r.from = ip(from[i]);
        ok(coord_lease(&r, &a));
        Veld__Coord__V1__RegisterReply *reply =
            coord_reply(&r, &veld__coord__v1__register_reply__descriptor);
        cr_assert_eq(reply->seen_address.len, i == 0 ? 4 : 16);
        cr_assert_arr_eq(reply->seen_address.data, r.from.b, reply->seen_address.len);
        veld__coord__v1__register_reply__free_unpacked(reply, NULL);
    }
    test_member_free(&a);
}

Test(coord_register, wanted_address)
{
    struct test_member a = join(1, "server1"), b = join(2, "server2");
    struct veld_ip want = ip("10.100.7.7");
    ok(coord_register_with(&r, &a, NULL, &want));
    cr_assert_str_eq(leased(), "10.100.7.7");
    ok(coord_register_with(&r, &b, NULL, &want));
    cr_assert_str_neq(leased(), "10.100.7.7");
    static const char *const never[] = {"10.100.0.0", "10.100.255.255", "10.101.0.1",
                                        "10.99.255.255", "0.0.0.0"};
    for (unsigned i = 0; i < VELD_ARRAY_LEN(never); i++) {
        char name[16];
        snprintf(name, sizeof name, "other%u", i);
        struct test_member c = join(10 + i, name);
        want = ip(never[i]);
        ok(coord_register_with(&r, &c, NULL, &want));
        cr_assert_str_neq(leased(), never[i]);
        test_member_free(&c);
    }
    want.family = 4;
    Veld__Coord__V1__RegisterRequest q = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    q.network_id = coord_id(&r);
    q.chain = coord_parse(&veld__trust__v1__chain__descriptor, &a.chain);
    q.want_ipv4 = coord_bytes("abc", 3);
    refused(coord_call(&r, a.id->seed, "RegisterMember", &q), VELD_CODE_INVALID_ARGUMENT,
            "4 bytes");
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
    test_member_free(&a);
    test_member_free(&b);
}

/* It registers again with the address it had, not the one it wishes for. */
Test(coord_register, a_lease_is_kept)
{
    struct test_member a = join(1, "server1");
    struct veld_ip want = ip("10.100.7.7");
    ok(coord_lease(&r, &a));
    struct veld_ip first = r.leased;
    ok(coord_register_with(&r, &a, NULL, &want));
    cr_assert(veld_ip_equal(&first, &r.leased));
    coord_reopen(&r);
    ok(coord_register(&r, &a, 1));
    cr_assert(veld_ip_equal(&first, &r.leased));
    struct test_member b = renew(&a, "renamed", a.membership.serial + 1, 0);
    ok(coord_register(&r, &b, 2));
    cr_assert(veld_ip_equal(&first, &r.leased));
    test_member_free(&a);
    test_member_free(&b);
}

Test(coord_register, a_record_of_another_address_is_not_published)
{
    struct test_member a = join(1, "server1");
    struct veld_record record = test_record(&a, 1);
    ok(coord_lease(&r, &a));
    struct veld_ip first = r.leased;
    record.ipv4 = ip("10.100.9.9");
    ok(coord_publish(&r, &a, &record));
    cr_assert_not(r.published);
    record.ipv4 = (struct veld_ip){0};
    ok(coord_publish(&r, &a, &record));
    cr_assert_not(r.published);
    record.ipv4 = first;
    ok(coord_publish(&r, &a, &record));
    cr_assert(r.published);
    test_member_free(&a);
}

Test(coord_register, only_for_itself)
{
    struct test_member a = join(1, "server1"), b = join(2, "server2");
    struct test_member thief = {.id = b.id, .chain = a.chain};
    refused(coord_lease(&r, &thief), VELD_CODE_PERMISSION_DENIED, "not signed by");
    struct veld_record record = test_record(&a, 1);
    struct veld_blob bytes = {0};
    record.ipv4 = ip("10.100.1.1");
    test_trust_must(veld_record_sign(&bytes, b.id->seed, &record), "record");
    refused(coord_register_with(&r, &a, &bytes, NULL), VELD_CODE_PERMISSION_DENIED,
            "not signed by");
    test_trust_must(veld_record_sign(&bytes, a.id->seed, &record), "record");
    refused(coord_register_with(&r, &thief, &bytes, NULL), VELD_CODE_PERMISSION_DENIED,
            "not signed by");
    struct test_trust other;
    test_trust_make_nth(&other, 1);
    struct test_member c = test_trust_join(&other, 3, "stranger", TEST_BY_OWNER);
    refused(coord_lease(&r, &c), VELD_CODE_PERMISSION_DENIED, "not signed by");
    veld_blob_clear(&bytes);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
    test_trust_free(&other);
}

Test(coord_register, a_name_is_one_members)
{
    struct test_member a = join(1, "server1"), b = join(2, "server1");
    char key[VELD_PUBKEY_STRLEN];
    ok(coord_lease(&r, &a));
    refused(coord_lease(&r, &b), VELD_CODE_ALREADY_EXISTS, "choose another with --name");
    veld_pubkey_format(a.id->pub, key);
    cr_assert_not_null(strstr(r.status.text, key), "%s", r.status.text);
    cr_assert_lt(strlen(r.status.text) + VELD_LABEL_MAX - strlen("server1"),
                 VELD_CODE_TEXT_MAX - 1, "all of it, with the longest name too");
    /* By a new name of the first, the old one becomes free. */
    struct test_member renamed = renew(&a, "server2", a.membership.serial + 1, 0);
    ok(coord_lease(&r, &renamed));
    ok(coord_lease(&r, &b));
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&renamed);
}

Test(coord_register, the_longest_name_leaves_room_for_the_sentence)
{
    char name[VELD_LABEL_MAX + 1];
    memset(name, 'a', VELD_LABEL_MAX);
    name[VELD_LABEL_MAX] = '\0';
    struct test_member a = join(1, name), b = join(2, name);
    ok(coord_lease(&r, &a));
    refused(coord_lease(&r, &b), VELD_CODE_ALREADY_EXISTS, "--name");
    test_member_free(&a);
    test_member_free(&b);
}

Test(coord_register, older_memberships_are_replays)
{
    struct test_member a = join(1, "server1");
    uint64_t serial = a.membership.serial;
    struct test_member newer = renew(&a, "server1", serial + 5, 0);
    struct test_member same = renew(&a, "server9", serial + 5, 0);
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &newer, 2));
    refused(coord_lease(&r, &a), VELD_CODE_FAILED_PRECONDITION, "is not newer");
    refused(coord_lease(&r, &same), VELD_CODE_FAILED_PRECONDITION, "is not newer");
    ok(coord_register(&r, &newer, 3));
    test_member_free(&a);
    test_member_free(&newer);
    test_member_free(&same);
}

Test(coord_register, older_records_are_replays)
{
    struct test_member a = join(1, "server1");
    ok(coord_register(&r, &a, 5));
    uint64_t revision = r.revision;
    ok(coord_register(&r, &a, 5));
    cr_assert_eq(r.revision, revision, "the same changes nothing");
    refused(coord_register(&r, &a, 4), VELD_CODE_FAILED_PRECONDITION, "sequence 4");
    struct veld_record other = test_record(&a, 5);
    other.ipv4 = r.leased;
    ok(coord_lease(&r, &a));
    other.ipv4 = r.leased;
    other.features = 1;
    refused(coord_publish(&r, &a, &other), VELD_CODE_FAILED_PRECONDITION, "sequence 5");
    ok(coord_register(&r, &a, 6));
    cr_assert_gt(r.revision, revision);
    test_member_free(&a);
}

/* A membership that is new, without a record yet: what is published stays until there is one. */
Test(coord_register, what_is_published_stays_until_replaced)
{
    struct test_member a = join(1, "server1");
    struct test_member newer = renew(&a, "server9", a.membership.serial + 1, 0);
    struct coord_watch w = {0};
    ok(coord_register(&r, &a, 1));
    uint64_t revision = r.revision;
    ok(coord_lease(&r, &newer));
    cr_assert_eq(r.revision, revision);
    ok(coord_watch(&r, &w, &a));
    coord_drain(&r, &w);
    cr_assert_not_null(coord_knows(&w, &a));
    ok(coord_register(&r, &newer, 2));
    coord_drain(&r, &w);
    cr_assert_geq(coord_knows(&w, &a)->revision, r.revision);
    struct test_member b = join(2, "server1");
    ok(coord_lease(&r, &b));
    coord_watch_free(&r, &w);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&newer);
}

static void end_of(const struct test_member *m, struct test_member *ended, uint64_t in_s)
{
    *ended = renew(m, m->membership.name, m->membership.serial + 1,
                   r.now.wall_ns / VELD_NS_PER_S + in_s);
}

/* A membership that has ended: no calls at once, no watch soon, and neither name nor address held. */
Test(coord_register, memberships_end)
{
    struct test_member a = join(1, "server1"), b = join(2, "server1"), c = join(3, "server1");
    struct test_member ended;
    Veld__Coord__V1__ListPeersRequest q = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
    struct coord_watch w = {0};
    end_of(&a, &ended, 100);
    ok(coord_register(&r, &ended, 1));
    ok(coord_watch(&r, &w, &ended));
    coord_drain(&r, &w);
    q.network_id = coord_id(&r);
    ok(coord_call(&r, a.id->seed, "ListPeers", &q));
    refused(coord_lease(&r, &b), VELD_CODE_ALREADY_EXISTS, "is taken");
    coord_pass(&r, 101 * VELD_NS_PER_S);
    refused(coord_call(&r, a.id->seed, "ListPeers", &q), VELD_CODE_PERMISSION_DENIED,
            "has ended");
    refused(coord_register(&r, &ended, 2), VELD_CODE_PERMISSION_DENIED, "has ended");
    ok(coord_lease(&r, &b)); /* and the one who had the name is gone with that */
    struct veld_service_stats stats;
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.members, 1);
    coord_tick(&r);
    refused(coord_lease(&r, &c), VELD_CODE_ALREADY_EXISTS, "is taken");
    cr_assert_eq(w.ready, 1);
    coord_drain(&r, &w);
    cr_assert_eq(w.end.code, VELD_CODE_PERMISSION_DENIED);
    coord_watch_free(&r, &w);
    struct test_member again = renew(&a, "server7", a.membership.serial + 2, 0);
    ok(coord_register(&r, &again, 3));
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
    test_member_free(&ended);
    test_member_free(&again);
}

Test(coord_register, ended_memberships_are_removed)
{
    struct test_member a = join(1, "server1"), b = join(2, "server2"), ended;
    struct coord_watch w = {0};
    end_of(&a, &ended, 100);
    ok(coord_register(&r, &ended, 1));
    ok(coord_register(&r, &b, 1));
    ok(coord_watch(&r, &w, &b));
    coord_drain(&r, &w);
    coord_run(&r, 95 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &w);
    cr_assert_not_null(coord_knows(&w, &a));
    coord_run(&r, 20 * VELD_NS_PER_S, VELD_NS_PER_S);
    coord_drain(&r, &w);
    cr_assert_null(coord_knows(&w, &a));
    cr_assert_not_null(coord_knows(&w, &b));
    coord_watch_free(&r, &w);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&ended);
}

Test(coord_register, not_before_it_begins)
{
    struct test_member a = join(1, "server1");
    struct veld_membership wish = test_membership(&r.trust, a.id->pub, "server1");
    struct veld_signer owner = test_owner(&r.trust);
    wish.not_before_s = r.trust.now_s + 600;
    test_trust_must(veld_membership_issue(&a.chain, &owner, &wish), "chain");
    refused(coord_lease(&r, &a), VELD_CODE_PERMISSION_DENIED, "has not begun");
    test_member_free(&a);
}

/* ---- tokens ---- */

/* A thousand at once, in one batch and in many, with a one-use token: one wins. */
Test(coord_register, a_thousand_uses_of_a_one_use_token)
{
    static struct test_member m[1000];
    unsigned in = 0;
    for (unsigned i = 0; i < 1000; i++)
        m[i] = coord_join_by_token(&r, i, 1, 0);
    for (unsigned i = 0; i < 1000; i++) {
        r.hold = i % 10 != 9 && i < 500;
        if (coord_lease(&r, &m[i]) == VELD_CODE_OK)
            in++;
        else
            cr_assert(r.status.code == VELD_CODE_RESOURCE_EXHAUSTED &&
                          strstr(r.status.text, "used up (1 of 1)"),
                      "%s", r.status.text);
    }
    cr_assert_eq(in, 1);
    r.hold = false;
    ok(coord_register(&r, &m[0], 1));
    coord_reopen(&r);
    refused(coord_lease(&r, &m[1]), VELD_CODE_RESOURCE_EXHAUSTED, "used up");
    ok(coord_register(&r, &m[0], 2));
    ok(coord_leave(&r, &m[0], true));
    refused(coord_lease(&r, &m[1]), VELD_CODE_RESOURCE_EXHAUSTED, "used up");
    ok(coord_lease(&r, &m[0]));
    for (unsigned i = 0; i < 1000; i++)
        test_member_free(&m[i]);
}

Test(coord_register, a_token_of_some_uses)
{
    for (unsigned i = 0; i < 5; i++) {
        struct test_member m = coord_join_by_token(&r, i, 3, 0);
        enum veld_coord_code code = coord_register(&r, &m, 1);
        cr_assert_eq(code, i < 3 ? VELD_CODE_OK : VELD_CODE_RESOURCE_EXHAUSTED, "%s",
                     r.status.text);
        test_member_free(&m);
    }
}

Test(coord_register, a_token_of_any_number_of_uses)
{
    for (unsigned i = 0; i < 20; i++) {
        struct test_member m = coord_join_by_token(&r, i, 0, 0);
        ok(coord_lease(&r, &m));
        test_member_free(&m);
    }
}

/* The network is new here, so nobody can be on its way back. */
static void make_network_new(void)
{
    struct veld_prefix range = test_prefix("10.100.0.0/16");
    coord_close(&r);
    coord_open(&r, NULL);
    test_trust_must(veld_network_make(&r.trust.network_bytes, r.trust.owner_seed, "mynet",
                                      &range, r.trust.now_s),
                    "network");
    ok(coord_create(&r));
}

Test(coord_register, an_expired_token_admits_nobody_new)
{
    make_network_new();
    struct test_member a = coord_join_by_token(&r, 1, 0, r.trust.now_s + 100),
                       b = coord_join_by_token(&r, 2, 0, r.trust.now_s + 100);
    ok(coord_register(&r, &a, 1));
    coord_pass(&r, 99 * VELD_NS_PER_S);
    ok(coord_register(&r, &a, 2));
    coord_pass(&r, 2 * VELD_NS_PER_S);
    refused(coord_register(&r, &b, 1), VELD_CODE_PERMISSION_DENIED, "token has expired");
    ok(coord_register(&r, &a, 3));
    coord_reopen(&r);
    ok(coord_register(&r, &a, 4));
    coord_run(&r, 60 * VELD_NS_PER_S, 10 * VELD_NS_PER_S);
    ok(coord_register(&r, &a, 5));
    test_member_free(&a);
    test_member_free(&b);
}

/* Its uses are forgotten when nobody could use it any more, and not before. */
Test(coord_register, uses_of_expired_tokens_are_forgotten)
{
    make_network_new();
    GBytes *before = test_store_image(r.store);
    struct test_member a = coord_join_by_token(&r, 1, 1, r.trust.now_s + 100),
                       b = coord_join_by_token(&r, 2, 1, r.trust.now_s + 100);
    ok(coord_lease(&r, &a));
    coord_run(&r, 90 * VELD_NS_PER_S, 10 * VELD_NS_PER_S);
    refused(coord_lease(&r, &b), VELD_CODE_RESOURCE_EXHAUSTED, "used up");
    gint with = g_tree_nnodes(r.store->pairs);
    coord_run(&r, 30 * VELD_NS_PER_S, 10 * VELD_NS_PER_S);
    cr_assert_eq(g_tree_nnodes(r.store->pairs), with - 1);
    refused(coord_lease(&r, &b), VELD_CODE_PERMISSION_DENIED, "expired");
    coord_reopen(&r);
    refused(coord_lease(&r, &b), VELD_CODE_PERMISSION_DENIED, "expired");
    g_bytes_unref(before);
    test_member_free(&a);
    test_member_free(&b);
}

/* After a lost database they come back with what they have: tokens that expired, addresses they had. */
Test(coord_register, after_a_lost_database)
{
    struct test_member m[20];
    struct veld_ip had[20];
    struct coord_watch w = {0};
    for (unsigned i = 0; i < 20; i++) {
        m[i] = coord_join_by_token(&r, i, 20, r.trust.now_s + 100);
        ok(coord_register(&r, &m[i], 7));
        had[i] = r.leased;
    }
    ok(coord_watch(&r, &w, &m[0]));
    coord_drain(&r, &w);
    coord_unwatch(&r, &w);
    uint64_t revision = w.revision;
    coord_pass(&r, 30 * 86400 * VELD_NS_PER_S);
    g_tree_remove_all(r.store->pairs);
    coord_reopen(&r);
    refused(coord_register(&r, &m[0], 8), VELD_CODE_NOT_FOUND, "CreateNetwork");
    refused(coord_watch(&r, &w, &m[0]), VELD_CODE_NOT_FOUND, "CreateNetwork");
    ok(coord_create_by(&r, m[19].id->seed, &r.trust.network_bytes, &m[19].chain));
    for (unsigned i = 20; i-- > 0;) {
        struct veld_record record = test_record(&m[i], 8);
        record.ipv4 = had[i];
        ok(coord_publish(&r, &m[i], &record));
        cr_assert(r.published);
        cr_assert(veld_ip_equal(&r.leased, &had[i]));
    }
    ok(coord_watch(&r, &w, &m[0]));
    coord_drain(&r, &w);
    cr_assert_eq(w.resets, 2, "what it knew is of another server's memory");
    cr_assert_gt(w.revision, revision, "and revisions go on above");
    cr_assert_eq(g_hash_table_size(w.known), 20);
    coord_watch_free(&r, &w);
    /* Not for ever. */
    struct test_member late = coord_join_by_token(&r, 30, 0, r.trust.now_s + 100);
    coord_pass(&r, 8 * 86400 * VELD_NS_PER_S);
    refused(coord_lease(&r, &late), VELD_CODE_PERMISSION_DENIED, "expired");
    test_member_free(&late);
    for (unsigned i = 0; i < 20; i++)
        test_member_free(&m[i]);
}

/* ---- limits ---- */

Test(coord_register, a_network_may_be_full)
{
    struct veld_service_config cfg = {.limits.members = 2};
    coord_close(&r);
    coord_open(&r, &cfg);
    ok(coord_create(&r));
    struct test_member a = join(1, "server1"), b = join(2, "server2"), c = join(3, "server3");
    ok(coord_lease(&r, &a));
    ok(coord_lease(&r, &b));
    refused(coord_lease(&r, &c), VELD_CODE_RESOURCE_EXHAUSTED, "has 2 members");
    ok(coord_register(&r, &a, 1));
    ok(coord_leave(&r, &b, true));
    ok(coord_lease(&r, &c));
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
}

Test(coord_register, or_its_addresses_used_up)
{
    struct veld_prefix range = test_prefix("10.100.0.0/29");
    struct test_member m[8];
    coord_close(&r);
    coord_open(&r, NULL);
    test_trust_must(veld_network_make(&r.trust.network_bytes, r.trust.owner_seed, "mynet",
                                      &range, r.trust.now_s),
                    "network");
    ok(coord_create(&r));
    unsigned seen = 0;
    for (unsigned i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "server%u", i);
        m[i] = join(i, name);
        enum veld_coord_code code = coord_lease(&r, &m[i]);
        cr_assert_eq(code, i < 6 ? VELD_CODE_OK : VELD_CODE_RESOURCE_EXHAUSTED, "%s",
                     r.status.text);
        if (i < 6)
            seen |= 1u << r.leased.b[3];
    }
    cr_assert_eq(seen, 0x7e, "each of .1 to .6 once: %x", seen);
    cr_assert_not_null(strstr(r.status.text, "10.100.0.0/29"), "%s", r.status.text);
    ok(coord_leave(&r, &m[3], true));
    ok(coord_lease(&r, &m[6]));
    for (unsigned i = 0; i < 8; i++)
        test_member_free(&m[i]);
}

/* ---- leave ---- */

Test(coord_register, leave_and_forget)
{
    struct test_member a = join(1, "server1"), b = join(2, "server2"), c = join(3, "server1");
    struct coord_watch w = {0};
    ok(coord_register(&r, &a, 1));
    struct veld_ip had = r.leased;
    ok(coord_register(&r, &b, 1));
    ok(coord_watch(&r, &w, &b));
    coord_drain(&r, &w);
    ok(coord_leave(&r, &a, false));
    coord_drain(&r, &w);
    cr_assert_not_null(coord_knows(&w, &a));
    refused(coord_lease(&r, &c), VELD_CODE_ALREADY_EXISTS, "is taken");
    ok(coord_leave(&r, &a, true));
    coord_drain(&r, &w);
    cr_assert_null(coord_knows(&w, &a));
    refused(coord_leave(&r, &a, true), VELD_CODE_PERMISSION_DENIED,
            "once they have registered");
    ok(coord_register_with(&r, &c, NULL, &had));
    cr_assert_not(veld_ip_equal(&r.leased, &had), "its address rests");
    struct test_member again = renew(&a, "server5", a.membership.serial, 0);
    ok(coord_register_with(&r, &again, NULL, &had));
    cr_assert(veld_ip_equal(&r.leased, &had), "but not for itself");
    coord_watch_free(&r, &w);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
    test_member_free(&again);
}

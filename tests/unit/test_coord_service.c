/* Calls from the outside: who may make them, and that a network comes to life. */
#include "../support/coord_asserts.h"

static struct coord_rig r;

static void start(void)
{
    coord_open(&r, NULL);
}

static void stop(void)
{
    coord_close(&r);
}

TestSuite(coord_service, .init = start, .fini = stop);

Test(coord_service, hello_needs_no_signature)
{
    Veld__Coord__V1__HelloRequest q = VELD__COORD__V1__HELLO_REQUEST__INIT;
    ok(coord_call(&r, NULL, "Hello", &q));
    Veld__Coord__V1__HelloReply *h = coord_reply(&r, &veld__coord__v1__hello_reply__descriptor);
    cr_assert_str_eq(h->version, VELD_VERSION);
    cr_assert_eq(h->protocol, 1);
    cr_assert_eq(h->time_ns, r.now.wall_ns);
    veld__coord__v1__hello_reply__free_unpacked(h, NULL);
}

Test(coord_service, unknown_method)
{
    Veld__Coord__V1__HelloRequest q = VELD__COORD__V1__HELLO_REQUEST__INIT;
    refused(coord_call(&r, NULL, "Hallo", &q), VELD_CODE_UNIMPLEMENTED, "no such method");
    refused(coord_call(&r, NULL, "Watch", &q), VELD_CODE_UNIMPLEMENTED, "no such method");
}

Test(coord_service, two_members_meet)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_TOKEN);
    struct coord_watch w = {0};
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    cr_assert(r.published);
    ok(coord_watch(&r, &w, &a));
    cr_assert_eq(w.ready, 1);
    coord_drain(&r, &w);
    cr_assert(w.synced);
    cr_assert(coord_knows(&w, &a)->online);
    ok(coord_register(&r, &b, 1));
    cr_assert_eq(w.ready, 1);
    coord_drain(&r, &w);
    cr_assert_not_null(coord_knows(&w, &b));
    cr_assert_not(coord_knows(&w, &b)->online);
    coord_watch_free(&r, &w);
    test_member_free(&a);
    test_member_free(&b);
}

/* Whatever is asked, what is no request is told so. */
Test(coord_service, malformed_requests)
{
    static const char *const methods[] = {"CreateNetwork",  "LookupNetwork",     "RequestJoin",
                                          "ListJoins",      "AnswerJoin",        "Leave",
                                          "RegisterMember", "ListPeers",         "SendSignal",
                                          "GetRevocations", "PublishRevocations"};
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    for (size_t i = 0; i < VELD_ARRAY_LEN(methods); i++) {
        struct coord_call c;
        Veld__Coord__V1__LookupNetworkReply nothing =
            VELD__COORD__V1__LOOKUP_NETWORK_REPLY__INIT;
        Veld__Trust__V1__Signed cut = VELD__TRUST__V1__SIGNED__INIT;
        nothing.network = &cut;
        cut.body = coord_bytes("xxxx", 4);
        coord_sign(&r, &c, a.id->seed, methods[i], &nothing);
        c.body[1]++; /* longer than there is: field 1, cut short */
        struct veld_rpc_auth auth = {.time_ns = r.now.wall_ns, .nonce = {0xff, (uint8_t)i}};
        memcpy(auth.key, a.id->pub, 32);
        c.request.auth_len = veld_rpc_sign(c.auth, a.id->seed, &auth, c.method,
                                           r.cfg.certificate, c.body, c.request.len);
        refused(coord_send(&r, &c), VELD_CODE_INVALID_ARGUMENT, "the request is no");
        g_free(c.body);
    }
    test_member_free(&a);
}

Test(coord_service, requests_are_bounded)
{
    static uint8_t much[1 << 20];
    struct coord_call c = {.request = {.method = "Hello", .from = r.from, .body = much}};
    c.request.len = 1025;
    refused(coord_send(&r, &c), VELD_CODE_INVALID_ARGUMENT, "at most 1024 bytes");
}

/* Ids of a wrong length, everywhere; and of networks that are not here. */
Test(coord_service, networks_that_are_not_here)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    Veld__Coord__V1__ListPeersRequest q = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
    refused(coord_call(&r, a.id->seed, "ListPeers", &q), VELD_CODE_INVALID_ARGUMENT,
            "32 bytes");
    q.network_id = coord_id(&r);
    refused(coord_call(&r, a.id->seed, "ListPeers", &q), VELD_CODE_NOT_FOUND, "CreateNetwork");
    refused(coord_register(&r, &a, 1), VELD_CODE_NOT_FOUND, "CreateNetwork");
    ok(coord_create(&r));
    q.network_id.len = 31;
    refused(coord_call(&r, a.id->seed, "ListPeers", &q), VELD_CODE_INVALID_ARGUMENT,
            "32 bytes");
    test_member_free(&a);
}

/* The table's third column: each method, by each kind of caller. */
Test(coord_service, who_may_call)
{
    enum { STRANGER = 1, MEMBER = 2, ADMIN = 4, OWNER = 8 };
    static const struct {
        const char *method;
        unsigned may;
    } rows[] = {
        {"ListJoins", ADMIN | OWNER},
        {"AnswerJoin", ADMIN | OWNER},
        {"Leave", MEMBER | ADMIN},
        {"ListPeers", MEMBER | ADMIN | OWNER},
        {"SendSignal", MEMBER | ADMIN},
        {"PublishRevocations", MEMBER | ADMIN | OWNER},
        {"GetRevocations", STRANGER | MEMBER | ADMIN | OWNER},
    };
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member stranger = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    struct test_member admin = {.id = r.trust.admin, .chain = r.trust.admin_chain};
    const uint8_t *const seeds[] = {stranger.id->seed, a.id->seed, r.trust.admin->seed,
                                    r.trust.owner_seed};
    test_member_read(&r.trust, &admin);
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &admin, 1));
    for (size_t i = 0; i < VELD_ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < VELD_ARRAY_LEN(seeds); k++) {
            /* All of these requests have the network's id as their first field. */
            Veld__Coord__V1__ListJoinsRequest q = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
            q.network_id = coord_id(&r);
            r.hold = true; /* Leave is to be taken back */
            enum veld_coord_code code = coord_call(&r, seeds[k], rows[i].method, &q);
            r.store->fail_at = 1;
            coord_commit(&r);
            r.store->fail_at = 0;
            cr_assert_eq(code != VELD_CODE_PERMISSION_DENIED ||
                             !strstr(r.status.text, "may do that"),
                         (rows[i].may >> k & 1) == 1, "%s by %u: %s", rows[i].method, 1u << k,
                         r.status.text);
        }
    }
    test_member_free(&a);
    test_member_free(&stranger);
}

Test(coord_service, counts)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct veld_service_stats stats;
    struct coord_watch w = {0};
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    ok(coord_watch(&r, &w, &a));
    coord_drain(&r, &w);
    ok(coord_signal(&r, &a, a.id->pub, "x", 1));
    coord_drain(&r, &w);
    refused(coord_signal(&r, &a, a.id->pub, "", 0), VELD_CODE_INVALID_ARGUMENT, "bytes");
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.networks, 1);
    cr_assert_eq(stats.members, 1);
    cr_assert_eq(stats.online, 1);
    cr_assert_eq(stats.watchers, 1);
    cr_assert_eq(stats.calls_ok, 5, "%d", (int)stats.calls_ok);
    cr_assert_eq(stats.calls_refused, 1);
    cr_assert_eq(stats.registrations, 2);
    cr_assert_eq(stats.signals, 1);
    cr_assert_eq(stats.events_sent, 2);
    cr_assert_eq(stats.resyncs, 0);
    cr_assert_eq(stats.signatures_refused, 0);
    coord_unwatch(&r, &w);
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.watchers, 0);
    cr_assert_eq(stats.online, 1, "for a while");
    coord_watch_free(&r, &w);
    test_member_free(&a);
}

/* What the server's loop does when it ends. */
Test(coord_service, stop_ends_watches)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct coord_watch w = {0};
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    ok(coord_watch(&r, &w, &a));
    coord_drain(&r, &w);
    veld_service_stop(r.service);
    cr_assert_eq(w.ready, 1);
    cr_assert_not(coord_next(&r, &w));
    cr_assert_eq(w.end.code, VELD_CODE_UNAVAILABLE);
    coord_unwatch(&r, &w);
    coord_reopen(&r);
    ok(coord_watch(&r, &w, &a));
    coord_drain(&r, &w);
    cr_assert(coord_knows(&w, &a)->online);
    coord_watch_free(&r, &w);
    test_member_free(&a);
}

/* Signatures, times, nonces, and how often: all before anything is believed. */
#include "../support/coord_asserts.h"

static struct coord_rig r;
static struct test_member a;
static Veld__Coord__V1__GetRevocationsRequest query =
    VELD__COORD__V1__GET_REVOCATIONS_REQUEST__INIT;
static struct coord_call c;

static void start(void)
{
    coord_open(&r, NULL);
    a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    ok(coord_create(&r));
    query.network_id = coord_id(&r);
    coord_sign(&r, &c, a.id->seed, "GetRevocations", &query);
}

static void stop(void)
{
    g_free(c.body);
    test_member_free(&a);
    coord_close(&r);
}

TestSuite(coord_auth, .init = start, .fini = stop);

#define no_signature(part) refused(coord_send(&r, &c), VELD_CODE_UNAUTHENTICATED, part)

Test(coord_auth, a_signed_call)
{
    ok(coord_send(&r, &c));
}

Test(coord_auth, unsigned_call)
{
    c.request.auth = NULL;
    c.request.auth_len = 0;
    no_signature("veld-auth-bin is missing");
}

Test(coord_auth, each_byte_of_the_signature_counts)
{
    for (size_t i = 0; i < c.request.auth_len; i++) {
        c.auth[i] ^= 1;
        enum veld_coord_code code = coord_send(&r, &c);
        cr_assert_eq(code, VELD_CODE_UNAUTHENTICATED, "byte %d: %s", (int)i, r.status.text);
        c.auth[i] ^= 1;
    }
    for (size_t len = 0; len < c.request.auth_len; len++) {
        struct coord_call shorter = c;
        shorter.request.auth_len = len;
        shorter.request.auth = c.auth;
        refused(coord_send(&r, &shorter), VELD_CODE_UNAUTHENTICATED, "does not hold");
    }
    ok(coord_send(&r, &c));
    struct veld_service_stats stats;
    veld_service_get_stats(r.service, &stats);
    cr_assert_geq(stats.signatures_refused, c.request.auth_len);
}

Test(coord_auth, over_the_request)
{
    c.body[5] ^= 1;
    no_signature("does not hold");
}

Test(coord_auth, over_the_method)
{
    c.request.method = "ListPeers";
    no_signature("does not hold");
}

Test(coord_auth, over_the_server)
{
    struct coord_rig other;
    g_free(c.body);
    other = r;
    memset(other.cfg.certificate, 7, 32); /* whom the client took for the server */
    coord_sign(&other, &c, a.id->seed, "GetRevocations", &query);
    no_signature("veld login");
}

Test(coord_auth, a_clock_that_is_wrong_is_told_both_times)
{
    static const struct {
        int64_t ahead_s;
        const char *says; /* NULL: good */
    } rows[] = {
        {0, NULL},
        {89, NULL},
        {-89, NULL},
        {312, "yours is 312 s ahead"},
        {-312, "yours is 312 s behind"},
        {91, "yours is 91 s ahead"},
        {-91, "yours is 91 s behind"},
        {86400 * 365, "timedatectl"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(rows); i++) {
        r.client_clock_ns = rows[i].ahead_s * (int64_t)VELD_NS_PER_S;
        enum veld_coord_code code = coord_call(&r, a.id->seed, "GetRevocations", &query);
        cr_assert_eq(code == VELD_CODE_OK, rows[i].says == NULL, "%d s: %s",
                     (int)rows[i].ahead_s, r.status.text);
        if (rows[i].says) {
            cr_assert_eq(code, VELD_CODE_UNAUTHENTICATED);
            cr_assert_not_null(strstr(r.status.text, rows[i].says), "%s", r.status.text);
        }
    }
    /* 1800000000 is 2027-01-15 08:00:00 UTC. */
    r.client_clock_ns = -3600 * (int64_t)VELD_NS_PER_S;
    coord_call(&r, a.id->seed, "GetRevocations", &query);
    cr_assert_not_null(strstr(r.status.text, "2027-01-15 07:00:00 UTC"), "%s", r.status.text);
    cr_assert_not_null(strstr(r.status.text, "2027-01-15 08:00:00 UTC"), "%s", r.status.text);
    r.client_clock_ns = (int64_t)(UINT64_MAX / 2);
    refused(coord_call(&r, a.id->seed, "GetRevocations", &query), VELD_CODE_UNAUTHENTICATED,
            "ahead");
}

Test(coord_auth, a_call_is_made_once)
{
    ok(coord_send(&r, &c));
    no_signature("was made before");
    coord_pass(&r, 89 * VELD_NS_PER_S);
    no_signature("was made before");
    coord_pass(&r, 2 * VELD_NS_PER_S);
    no_signature("behind");
}

/* What failed for want of a right may not be tried again with the same signature either. */
Test(coord_auth, a_refused_call_is_used_up)
{
    struct coord_call list;
    Veld__Coord__V1__ListPeersRequest q = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
    q.network_id = coord_id(&r);
    coord_sign(&r, &list, a.id->seed, "ListPeers", &q);
    refused(coord_send(&r, &list), VELD_CODE_PERMISSION_DENIED, "once they have registered");
    ok(coord_register(&r, &a, 1));
    refused(coord_send(&r, &list), VELD_CODE_UNAUTHENTICATED, "was made before");
    g_free(list.body);
}

static void limited(struct veld_service_limits limits)
{
    struct veld_service_config cfg = {.limits = limits};
    coord_close(&r);
    coord_open(&r, &cfg);
    ok(coord_create(&r));
    coord_pass(&r, 3600 * VELD_NS_PER_S);
}

Test(coord_auth, calls_of_an_address_are_limited)
{
    Veld__Coord__V1__HelloRequest q = VELD__COORD__V1__HELLO_REQUEST__INIT;
    limited((struct veld_service_limits){.calls_per_address = {.burst = 5, .per_hour = 3600}});
    for (int i = 0; i < 5; i++)
        ok(coord_call(&r, NULL, "Hello", &q));
    refused(coord_call(&r, NULL, "Hello", &q), VELD_CODE_RESOURCE_EXHAUSTED, "this address");
    test_trust_must(veld_ip_parse("192.0.2.2", &r.from), "address");
    ok(coord_call(&r, NULL, "Hello", &q));
    test_trust_must(veld_ip_parse("192.0.2.1", &r.from), "address");
    coord_pass(&r, VELD_NS_PER_S);
    ok(coord_call(&r, NULL, "Hello", &q));
    refused(coord_call(&r, a.id->seed, "GetRevocations", &query), VELD_CODE_RESOURCE_EXHAUSTED,
            "this address");
}

/* Only its own calls count against a key: nobody else can use its allowance up. */
Test(coord_auth, calls_of_a_key_are_limited)
{
    limited((struct veld_service_limits){.calls_per_key = {.burst = 5, .per_hour = 3600}});
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    query.network_id = coord_id(&r);
    for (int i = 0; i < 20; i++) {
        struct coord_call forged;
        coord_sign(&r, &forged, a.id->seed, "GetRevocations", &query);
        forged.request.auth = forged.auth;
        forged.auth[forged.request.auth_len - 1] ^= 1;
        coord_send(&r, &forged);
        g_free(forged.body);
    }
    for (int i = 0; i < 5; i++)
        ok(coord_call(&r, a.id->seed, "GetRevocations", &query));
    refused(coord_call(&r, a.id->seed, "GetRevocations", &query), VELD_CODE_RESOURCE_EXHAUSTED,
            "this key");
    ok(coord_call(&r, b.id->seed, "GetRevocations", &query));
    test_member_free(&b);
}

/* A thousand registrations a second from one address, as a benchmark makes them. */
Test(coord_auth, the_defaults_leave_room)
{
    Veld__Coord__V1__HelloRequest q = VELD__COORD__V1__HELLO_REQUEST__INIT;
    limited(VELD_SERVICE_LIMITS_DEFAULT);
    for (int i = 0; i < 5000; i++)
        ok(coord_call(&r, NULL, "Hello", &q));
}

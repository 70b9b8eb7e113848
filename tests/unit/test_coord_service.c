/* Calls from the outside: who may make them, and that a network comes to life. */
#include "../support/coord_rig.h"

#include <criterion/criterion.h>

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

#define ok(call) cr_assert_eq((call), VELD_CODE_OK, "%d: %s", (int)r.status.code, r.status.text)
#define refused(call, wanted, part)                                                            \
    do {                                                                                       \
        cr_assert_eq((call), (wanted), "%d: %s", (int)r.status.code, r.status.text);           \
        cr_assert_not_null(strstr(r.status.text, (part)), "%s", r.status.text);                \
    } while (0)

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

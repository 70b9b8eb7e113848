/* CreateNetwork and LookupNetwork; networks that were lost, and those that were left. */
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

TestSuite(coord_network, .init = start, .fini = stop);

static enum veld_coord_code lookup(const char *name, const uint8_t *id)
{
    Veld__Coord__V1__LookupNetworkRequest q = VELD__COORD__V1__LOOKUP_NETWORK_REQUEST__INIT;
    q.name = (char *)(uintptr_t)name;
    if (id)
        q.network_id = coord_bytes(id, 32);
    return coord_call(&r, r.trust.owner_seed, "LookupNetwork", &q);
}

Test(coord_network, created_and_found)
{
    refused(lookup("mynet", NULL), VELD_CODE_NOT_FOUND, "no such network");
    ok(coord_create(&r));
    for (int by_id = 0; by_id < 2; by_id++) {
        ok(lookup(by_id ? "another" : "mynet", by_id ? r.trust.network.id : NULL));
        Veld__Coord__V1__LookupNetworkReply *reply =
            coord_reply(&r, &veld__coord__v1__lookup_network_reply__descriptor);
        uint8_t bytes[VELD_SIGNED_MAX];
        size_t len = veld__trust__v1__signed__pack(reply->network, bytes);
        cr_assert_eq(len, r.trust.network_bytes.len);
        cr_assert_arr_eq(bytes, r.trust.network_bytes.p, len);
        veld__coord__v1__lookup_network_reply__free_unpacked(reply, NULL);
    }
    refused(lookup("other", NULL), VELD_CODE_NOT_FOUND, "no such network");
    refused(lookup("", NULL), VELD_CODE_NOT_FOUND, "no such network");
    uint8_t other[32] = {1};
    refused(lookup("mynet", other), VELD_CODE_NOT_FOUND, "no such network");
}

Test(coord_network, again_changes_nothing)
{
    ok(coord_create(&r));
    GBytes *before = test_store_image(r.store);
    ok(coord_create(&r));
    GBytes *after = test_store_image(r.store);
    cr_assert(g_bytes_equal(before, after));
    g_bytes_unref(before);
    g_bytes_unref(after);
}

Test(coord_network, survives)
{
    ok(coord_create(&r));
    coord_reopen(&r);
    ok(lookup("mynet", NULL));
}

Test(coord_network, a_name_is_anothers)
{
    struct test_trust other;
    char text[VELD_NETWORK_TEXT_STRLEN];
    test_trust_make_nth(&other, 1);
    ok(coord_create(&r));
    refused(coord_create_by(&r, other.owner_seed, &other.network_bytes, NULL),
            VELD_CODE_ALREADY_EXISTS, "choose another name");
    cr_assert_not_null(strstr(r.status.text, veld_network_text(r.trust.network.id, text)), "%s",
                       r.status.text);
    test_trust_free(&other);
}

Test(coord_network, its_descriptor_stays)
{
    struct veld_blob other = {0};
    struct veld_prefix range = test_prefix("10.101.0.0/16");
    ok(coord_create(&r));
    test_trust_must(veld_network_make(&other, r.trust.owner_seed, "yournet", &range, 1), "net");
    refused(coord_create_by(&r, r.trust.owner_seed, &other, NULL), VELD_CODE_ALREADY_EXISTS,
            "as mynet");
    veld_blob_clear(&other);
}

Test(coord_network, by_its_owner)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    refused(coord_create_by(&r, a.id->seed, &r.trust.network_bytes, NULL),
            VELD_CODE_PERMISSION_DENIED, "by its owner");
    refused(lookup("mynet", NULL), VELD_CODE_NOT_FOUND, "no such network");
    r.trust.network_bytes.p[r.trust.network_bytes.len - 1] ^= 1;
    refused(coord_create(&r), VELD_CODE_INVALID_ARGUMENT, "not signed by its owner");
    test_member_free(&a);
}

/* The server has lost everything: any member carries the owner's descriptor back. */
Test(coord_network, or_a_member_brings_it_back)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_ADMINS_TOKEN);
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    struct test_trust other;
    test_trust_make_nth(&other, 1);
    struct test_member stranger = test_trust_join(&other, 3, "stranger", TEST_BY_OWNER);
    struct veld_blob *network = &r.trust.network_bytes;
    refused(coord_create_by(&r, b.id->seed, network, &a.chain), VELD_CODE_PERMISSION_DENIED,
            "not signed by");
    refused(coord_create_by(&r, stranger.id->seed, network, &stranger.chain),
            VELD_CODE_PERMISSION_DENIED, "not signed by");
    coord_pass(&r, 0);
    ok(coord_create_by(&r, a.id->seed, network, &a.chain));
    ok(lookup("mynet", NULL));
    ok(coord_register(&r, &a, 1));
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&stranger);
    test_trust_free(&other);
}

Test(coord_network, an_ended_membership_brings_nothing_back)
{
    struct veld_identity *id = test_trust_identity(1);
    struct veld_membership m = test_membership(&r.trust, id->pub, "server1");
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_blob chain = {0};
    m.not_after_s = r.trust.now_s - 100;
    test_trust_must(veld_membership_issue(&chain, &owner, &m), "chain");
    refused(coord_create_by(&r, id->seed, &r.trust.network_bytes, &chain),
            VELD_CODE_PERMISSION_DENIED, "has ended");
    veld_blob_clear(&chain);
    veld_identity_free(id);
}

/* A network of an owner of its own, by number. */
static enum veld_coord_code create_nth(unsigned n)
{
    uint8_t seed[32];
    char name[16];
    struct veld_blob network = {0};
    struct veld_prefix range = test_prefix("10.100.0.0/16");
    test_trust_seed(seed, 5000 + n);
    snprintf(name, sizeof name, "net%u", n);
    test_trust_must(
        veld_network_make(&network, seed, name, &range, r.now.wall_ns / VELD_NS_PER_S), name);
    enum veld_coord_code code = coord_create_by(&r, seed, &network, NULL);
    veld_blob_clear(&network);
    return code;
}

static void limited(struct veld_service_limits limits)
{
    struct veld_service_config cfg = {.limits = limits};
    coord_close(&r);
    coord_open(&r, &cfg);
}

Test(coord_network, a_server_may_have_enough)
{
    limited((struct veld_service_limits){.networks = 3});
    for (unsigned i = 0; i < 3; i++)
        ok(create_nth(i));
    refused(create_nth(3), VELD_CODE_RESOURCE_EXHAUSTED, "takes no more");
    ok(create_nth(1));
}

Test(coord_network, an_address_makes_so_many)
{
    limited((struct veld_service_limits){.networks_per_address = {.burst = 2, .per_hour = 60}});
    ok(create_nth(0));
    ok(create_nth(1));
    refused(create_nth(2), VELD_CODE_RESOURCE_EXHAUSTED, "from this address");
    ok(create_nth(1));
    coord_pass(&r, 61 * VELD_NS_PER_S);
    ok(create_nth(2));
}

/* Of a network whose members are gone for long nothing stays, and its name is free. */
Test(coord_network, abandoned)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_TOKEN);
    GBytes *empty = test_store_image(r.store);
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    coord_run(&r, 40 * 86400 * VELD_NS_PER_S, 86400 * VELD_NS_PER_S);
    ok(coord_leave(&r, &a, true));
    coord_run(&r, 29 * 86400 * VELD_NS_PER_S, 86400 * VELD_NS_PER_S);
    ok(lookup("mynet", NULL));
    /* Not while its removal cannot be written. */
    r.store->fail_at = 1;
    coord_run(&r, 3 * 86400 * VELD_NS_PER_S, 86400 * VELD_NS_PER_S);
    r.store->fail_at = 0;
    ok(lookup("mynet", r.trust.network.id));
    coord_run(&r, 86400 * VELD_NS_PER_S, 86400 * VELD_NS_PER_S);
    refused(lookup("mynet", NULL), VELD_CODE_NOT_FOUND, "no such network");
    refused(lookup("", r.trust.network.id), VELD_CODE_NOT_FOUND, "no such network");
    GBytes *after = test_store_image(r.store);
    cr_assert(g_bytes_equal(empty, after));
    ok(coord_create(&r));
    g_bytes_unref(empty);
    g_bytes_unref(after);
    test_member_free(&a);
}

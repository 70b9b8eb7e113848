/* PublishRevocations and GetRevocations: who is out is out at once, and stays so. */
#include "../support/coord_asserts.h"

static struct coord_rig r;
static struct veld_revocations *known; /* the list published last */

static void start(void)
{
    coord_open(&r, NULL);
    ok(coord_create(&r));
    known = NULL;
}

static void stop(void)
{
    veld_revocations_free(known);
    coord_close(&r);
}

TestSuite(coord_revocations, .init = start, .fini = stop);

/* The next list with `key`, keeping `kept` (NULL: nobody), signed and published by these. */
static struct veld_blob next_list(const struct veld_signer *signer, const uint8_t key[32],
                                  const uint8_t *kept)
{
    struct veld_revoked_entry e = {.n_kept = kept != NULL};
    struct veld_blob list = {0};
    memcpy(e.key, key, 32);
    e.kept = (const uint8_t(*)[32])(uintptr_t)kept;
    test_trust_must(
        veld_revocations_add(&list, signer, r.trust.network.id, known, &e, r.trust.now_s),
        "list");
    return list;
}

static enum veld_coord_code outlaw_by(const struct veld_signer *signer, const uint8_t *caller,
                                      const uint8_t key[32], const uint8_t *kept)
{
    struct veld_blob list = next_list(signer, key, kept);
    struct veld_revocations *now;
    enum veld_coord_code code = coord_publish_revocations(&r, caller, &list);
    if (code == VELD_CODE_OK) {
        test_trust_must(
            veld_revocations_read(list.p, list.len, r.trust.network.id, known, &now), "list");
        veld_revocations_free(known);
        known = now;
    }
    veld_blob_clear(&list);
    return code;
}

static enum veld_coord_code outlaw(const uint8_t key[32], const uint8_t *kept)
{
    struct veld_signer owner = test_owner(&r.trust);
    return outlaw_by(&owner, r.trust.owner_seed, key, kept);
}

/* What the server has, as bytes; empty: none. */
static struct veld_blob get(void)
{
    Veld__Coord__V1__GetRevocationsRequest q = VELD__COORD__V1__GET_REVOCATIONS_REQUEST__INIT;
    struct veld_blob b = {0};
    q.network_id = coord_id(&r);
    ok(coord_call(&r, r.trust.admin->seed, "GetRevocations", &q));
    Veld__Coord__V1__GetRevocationsReply *reply =
        coord_reply(&r, &veld__coord__v1__get_revocations_reply__descriptor);
    if (reply->revocations) {
        b.len = veld__trust__v1__revocation_list__get_packed_size(reply->revocations);
        b.p = malloc(b.len);
        veld__trust__v1__revocation_list__pack(reply->revocations, b.p);
    }
    veld__coord__v1__get_revocations_reply__free_unpacked(reply, NULL);
    return b;
}

static void assert_known(void)
{
    struct veld_blob has = get(), want = veld_revocations_bytes(known);
    cr_assert_eq(has.len, want.len);
    cr_assert(want.len == 0 || memcmp(has.p, want.p, want.len) == 0);
    veld_blob_clear(&has);
}

Test(coord_revocations, a_member_is_out_at_once)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    struct test_member c = test_trust_join(&r.trust, 3, "server1", TEST_BY_OWNER);
    struct coord_watch wa = {0}, wb = {0};
    assert_known();
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &b, 1));
    ok(coord_watch(&r, &wa, &a));
    ok(coord_watch(&r, &wb, &b));
    coord_drain(&r, &wa);
    coord_drain(&r, &wb);
    ok(outlaw(a.id->pub, NULL));
    cr_assert_eq(wa.ready, 1);
    cr_assert_eq(wb.ready, 1);
    cr_assert_not(coord_next(&r, &wa));
    cr_assert_eq(wa.end.code, VELD_CODE_PERMISSION_DENIED);
    cr_assert_not_null(strstr(wa.end.text, "revoked"));
    coord_drain(&r, &wb);
    cr_assert_eq(wb.epoch, 1, "it was told the list");
    cr_assert_null(coord_knows(&wb, &a));
    cr_assert_not_null(coord_knows(&wb, &b));
    assert_known();
    coord_unwatch(&r, &wa);
    for (int again = 0; again < 2; again++) {
        refused(coord_watch(&r, &wa, &a), VELD_CODE_PERMISSION_DENIED, "was revoked");
        refused(coord_register(&r, &a, 2), VELD_CODE_PERMISSION_DENIED, "was revoked");
        refused(coord_signal(&r, &a, b.id->pub, "x", 1), VELD_CODE_PERMISSION_DENIED,
                "was revoked");
        coord_unwatch(&r, &wb);
        coord_reopen(&r);
        assert_known();
    }
    ok(coord_lease(&r, &c)); /* its name is free */
    coord_watch_free(&r, &wa);
    coord_watch_free(&r, &wb);
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
}

/* A token, or an admin, and those it let in; those who are kept stay. */
Test(coord_revocations, signers_and_whom_they_let_in)
{
    static const enum test_by by[] = {TEST_BY_TOKEN, TEST_BY_ADMIN, TEST_BY_ADMINS_TOKEN};
    for (size_t i = 0; i < VELD_ARRAY_LEN(by); i++) {
        struct test_member a = test_trust_join(&r.trust, 1, "server1", by[i]);
        struct test_member b = test_trust_join(&r.trust, 2, "server2", by[i]);
        struct test_member c = test_trust_join(&r.trust, 3, "server3", TEST_BY_OWNER);
        ok(coord_register(&r, &a, 1));
        ok(coord_register(&r, &b, 1));
        ok(coord_register(&r, &c, 1));
        ok(outlaw(by[i] == TEST_BY_TOKEN ? a.membership.signer : r.trust.admin->pub,
                  b.id->pub));
        refused(coord_register(&r, &a, 2), VELD_CODE_PERMISSION_DENIED, "was revoked");
        ok(coord_register(&r, &b, 2));
        ok(coord_register(&r, &c, 2));
        struct veld_service_stats stats;
        veld_service_get_stats(r.service, &stats);
        cr_assert_eq(stats.members, 2);
        test_member_free(&a);
        test_member_free(&b);
        test_member_free(&c);
        stop();
        start();
    }
}

Test(coord_revocations, only_a_newer_list)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_blob first = next_list(&owner, a.id->pub, NULL);
    struct veld_blob other = next_list(&owner, r.trust.admin->pub, NULL);
    ok(outlaw(a.id->pub, NULL));
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &first)); /* the very same */
    refused(coord_publish_revocations(&r, r.trust.owner_seed, &other),
            VELD_CODE_FAILED_PRECONDITION, "get it, add to it");
    ok(outlaw(r.trust.admin->pub, NULL));
    refused(coord_publish_revocations(&r, r.trust.owner_seed, &first),
            VELD_CODE_FAILED_PRECONDITION, "get it, add to it");
    assert_known();
    veld_blob_clear(&first);
    veld_blob_clear(&other);
    test_member_free(&a);
}

Test(coord_revocations, signed_by_who_may)
{
    struct test_trust other;
    test_trust_make_nth(&other, 1);
    struct veld_signer owner = test_owner(&other);
    struct veld_revoked_entry e = {.key = {1}};
    struct veld_blob list = {0};
    test_trust_must(veld_revocations_add(&list, &owner, other.network.id, NULL, &e, 1), "list");
    refused(coord_publish_revocations(&r, r.trust.owner_seed, &list),
            VELD_CODE_PERMISSION_DENIED, "not signed by");
    Veld__Coord__V1__PublishRevocationsRequest q =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REQUEST__INIT;
    q.network_id = coord_id(&r);
    refused(coord_call(&r, r.trust.owner_seed, "PublishRevocations", &q),
            VELD_CODE_INVALID_ARGUMENT, "malformed");
    assert_known();
    veld_blob_clear(&list);
    test_trust_free(&other);
}

/* A server that lost the list is given it by any member; by nobody else. */
Test(coord_revocations, carried_by_any_member)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    struct veld_signer owner = test_owner(&r.trust);
    ok(coord_register(&r, &a, 1));
    refused(outlaw_by(&owner, b.id->seed, b.id->pub, NULL), VELD_CODE_PERMISSION_DENIED,
            "only members");
    ok(outlaw_by(&owner, a.id->seed, b.id->pub, NULL));
    assert_known();
    refused(coord_register(&r, &b, 1), VELD_CODE_PERMISSION_DENIED, "was revoked");
    test_member_free(&a);
    test_member_free(&b);
}

Test(coord_revocations, by_an_admin)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_TOKEN);
    struct test_member admin = {.id = r.trust.admin, .chain = r.trust.admin_chain};
    struct veld_signer by_admin = test_admin(&r.trust);
    test_member_read(&r.trust, &admin);
    ok(coord_register(&r, &a, 1));
    ok(coord_register(&r, &admin, 1));
    ok(outlaw_by(&by_admin, admin.id->seed, a.id->pub, NULL));
    refused(coord_register(&r, &a, 2), VELD_CODE_PERMISSION_DENIED, "was revoked");
    ok(coord_register(&r, &admin, 2));
    test_member_free(&a);
}

/* Told to each watcher once, and to one who has it already not at all. */
Test(coord_revocations, told_to_watchers)
{
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct coord_watch w = {0}, informed = {0};
    ok(coord_register(&r, &a, 1));
    ok(outlaw(r.trust.admin->pub, NULL));
    ok(coord_watch(&r, &w, &a));
    cr_assert(coord_next(&r, &w));
    cr_assert_eq(w.epoch, 1, "before the members it is about");
    cr_assert_eq(w.events, 1);
    cr_assert_not(w.synced);
    coord_drain(&r, &w);
    cr_assert_eq(w.events, 2);
    cr_assert(w.synced);
    coord_unwatch(&r, &w);
    informed.epoch = veld_revocations_epoch(known);
    ok(coord_watch(&r, &informed, &a));
    coord_drain(&r, &informed);
    cr_assert_eq(informed.events, 1);
    cr_assert_eq(informed.epoch, veld_revocations_epoch(known));
    coord_watch_free(&r, &w);
    coord_watch_free(&r, &informed);
    test_member_free(&a);
}

/* A list costs a look at every member; others' lists do not use up the owner's. */
Test(coord_revocations, so_often)
{
    struct veld_service_config cfg = {
        .limits.revocations_per_network = {.burst = 3, .per_hour = 3600}};
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct veld_signer owner = test_owner(&r.trust);
    uint8_t key[32] = {1}, wrong[3] = {8, 8, 8};
    struct veld_blob none = {.p = wrong, .len = 0};
    coord_close(&r);
    coord_open(&r, &cfg);
    ok(coord_create(&r));
    ok(coord_register(&r, &a, 1));
    for (key[1] = 0; key[1] < 10; key[1]++)
        cr_assert_neq(coord_publish_revocations(&r, a.id->seed, &none), VELD_CODE_OK);
    for (key[1] = 0; key[1] < 3; key[1]++)
        ok(outlaw_by(&owner, a.id->seed, key, NULL));
    refused(outlaw_by(&owner, a.id->seed, key, NULL), VELD_CODE_RESOURCE_EXHAUSTED,
            "too often");
    assert_known();
    for (unsigned i = 0; i < 3; i++, key[1]++)
        ok(outlaw(key, NULL));
    refused(outlaw(key, NULL), VELD_CODE_RESOURCE_EXHAUSTED, "too often");
    struct veld_blob same = veld_revocations_bytes(known);
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &same)); /* which is no news */
    coord_pass(&r, VELD_NS_PER_S);
    ok(outlaw(key, NULL));
    assert_known();
    test_member_free(&a);
}

/* More at once than removals are remembered: nobody misses one. */
Test(coord_revocations, of_everybody)
{
    static struct test_member m[64];
    struct coord_watch w = {0};
    struct test_member a = test_trust_join(&r.trust, 1000, "watcher", TEST_BY_OWNER);
    ok(coord_register(&r, &a, 1));
    for (unsigned i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        m[i] = test_trust_join(&r.trust, i, name, TEST_BY_TOKEN);
        ok(coord_register(&r, &m[i], 1));
    }
    ok(coord_watch(&r, &w, &a));
    coord_drain(&r, &w);
    cr_assert_eq(g_hash_table_size(w.known), 65);
    ok(outlaw(m[0].membership.signer, NULL));
    coord_drain(&r, &w);
    cr_assert_eq(g_hash_table_size(w.known), 1);
    coord_watch_free(&r, &w);
    test_member_free(&a);
    for (unsigned i = 0; i < 64; i++)
        test_member_free(&m[i]);
}

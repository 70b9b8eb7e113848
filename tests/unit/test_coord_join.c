/* RequestJoin, ListJoins, AnswerJoin: asking to be let in, and the answer. */
#include "../support/coord_asserts.h"

#include "coord/service/impl.h"

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

TestSuite(coord_join, .init = start, .fini = stop);

/* A device's request; `seed` signs the call. */
static enum veld_coord_code ask_by(const uint8_t *seed, const struct veld_identity *id,
                                   const char *name, uint64_t created_s)
{
    Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    struct veld_join_request j = {.created_s = created_s};
    struct veld_blob bytes = {0};
    memcpy(j.network_id, r.trust.network.id, 32);
    memcpy(j.member, id->pub, 32);
    snprintf(j.name, sizeof j.name, "%s", name);
    test_trust_must(veld_join_request_sign(&bytes, id->seed, &j), "request");
    q.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    enum veld_coord_code code = coord_call(&r, seed, "RequestJoin", &q);
    veld__trust__v1__signed__free_unpacked(q.request, NULL);
    veld_blob_clear(&bytes);
    return code;
}

typedef Veld__Coord__V1__RequestJoinReply reply_t;

static int state(struct veld_blob *chain)
{
    reply_t *reply = coord_reply(&r, &veld__coord__v1__request_join_reply__descriptor);
    int s = (int)reply->state;
    if (chain) {
        veld_blob_clear(chain);
        if (reply->chain) {
            chain->len = veld__trust__v1__chain__get_packed_size(reply->chain);
            chain->p = malloc(chain->len);
            veld__trust__v1__chain__pack(reply->chain, chain->p);
        }
    }
    veld__coord__v1__request_join_reply__free_unpacked(reply, NULL);
    return s;
}

enum { WAITING = 1, APPROVED, REFUSED };
#define asked(id, name, created_s, wanted)                                                     \
    do {                                                                                       \
        ok(ask_by((id)->seed, id, name, created_s));                                           \
        cr_assert_eq(state(NULL), wanted);                                                     \
    } while (0)

/* Names of those who wait, by the owner. */
static const char *listed(void)
{
    static char names[65536];
    Veld__Coord__V1__ListJoinsRequest q = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
    q.network_id = coord_id(&r);
    names[0] = '\0';
    ok(coord_call(&r, r.trust.owner_seed, "ListJoins", &q));
    Veld__Coord__V1__ListJoinsReply *reply =
        coord_reply(&r, &veld__coord__v1__list_joins_reply__descriptor);
    for (size_t i = 0; i < reply->n_requests; i++) {
        struct veld_join_request j;
        uint8_t bytes[VELD_SIGNED_MAX];
        size_t len = veld__trust__v1__signed__pack(reply->requests[i], bytes);
        test_trust_must(veld_join_request_read(bytes, len, &j), "listed");
        strcat(strcat(names, j.name), " ");
    }
    veld__coord__v1__list_joins_reply__free_unpacked(reply, NULL);
    return names;
}

static enum veld_coord_code answer_by(const uint8_t *seed, const uint8_t member[32],
                                      const struct veld_blob *chain)
{
    Veld__Coord__V1__AnswerJoinRequest q = VELD__COORD__V1__ANSWER_JOIN_REQUEST__INIT;
    q.network_id = coord_id(&r);
    q.member = coord_bytes(member, 32);
    if (chain)
        q.chain = coord_parse(&veld__trust__v1__chain__descriptor, chain);
    enum veld_coord_code code = coord_call(&r, seed, "AnswerJoin", &q);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
    return code;
}

#define answer(member, chain) answer_by(r.trust.owner_seed, member, chain)

Test(coord_join, asked_listed_approved_registered)
{
    struct veld_identity *id = test_trust_identity(1);
    struct test_member m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct veld_blob chain = {0};
    uint64_t now = r.trust.now_s;
    asked(id, "server1", now, WAITING);
    asked(id, "server1", now, WAITING);
    cr_assert_str_eq(listed(), "server1 ");
    coord_reopen(&r);
    cr_assert_str_eq(listed(), "server1 ");
    ok(answer(id->pub, &m.chain));
    cr_assert_str_eq(listed(), "");
    for (int again = 0; again < 2; again++) { /* it stays to be fetched */
        ok(ask_by(id->seed, id, "server1", now));
        cr_assert_eq(state(&chain), APPROVED);
        cr_assert_eq(chain.len, m.chain.len);
        cr_assert_arr_eq(chain.p, m.chain.p, chain.len);
        coord_reopen(&r);
    }
    ok(coord_lease(&r, &m));
    struct veld_service_stats stats;
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.joins_waiting, 0);
    /* A machine that lost its membership, but not its key. */
    ok(ask_by(id->seed, id, "server1", now + 5));
    cr_assert_eq(state(&chain), APPROVED);
    cr_assert_arr_eq(chain.p, m.chain.p, chain.len);
    ok(coord_register(&r, &m, 1));
    ok(ask_by(id->seed, id, "server1", now + 5));
    cr_assert_eq(state(&chain), APPROVED);
    cr_assert_eq(chain.len, m.chain.len);
    cr_assert_arr_eq(chain.p, m.chain.p, chain.len);
    veld_blob_clear(&chain);
    test_member_free(&m);
    veld_identity_free(id);
}

Test(coord_join, refused_until_it_asks_anew)
{
    struct veld_identity *id = test_trust_identity(1);
    uint64_t now = r.trust.now_s;
    asked(id, "server1", now, WAITING);
    ok(answer(id->pub, NULL));
    asked(id, "server1", now, REFUSED);
    coord_reopen(&r);
    asked(id, "server1", now, REFUSED);
    asked(id, "server1", now - 1, REFUSED);
    cr_assert_str_eq(listed(), "");
    asked(id, "server1", now + 1, WAITING);
    cr_assert_str_eq(listed(), "server1 ");
    veld_identity_free(id);
}

Test(coord_join, another_name_is_another_request)
{
    struct veld_identity *id = test_trust_identity(1);
    struct test_member m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    uint64_t now = r.trust.now_s;
    asked(id, "server1", now, WAITING);
    asked(id, "server2", now + 1, WAITING);
    cr_assert_str_eq(listed(), "server2 ");
    asked(id, "server1", now, WAITING);
    cr_assert_str_eq(listed(), "server2 ", "an older one changes nothing");
    ok(answer(id->pub, &m.chain));
    asked(id, "server2", now + 1, APPROVED);
    asked(id, "server1", now + 2, APPROVED);
    asked(id, "server3", now + 3, WAITING);
    cr_assert_str_eq(listed(), "server3 ");
    test_member_free(&m);
    veld_identity_free(id);
}

Test(coord_join, for_itself_alone)
{
    struct veld_identity *id = test_trust_identity(1), *other = test_trust_identity(2);
    refused(ask_by(other->seed, id, "server1", r.trust.now_s), VELD_CODE_PERMISSION_DENIED,
            "for itself");
    Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    refused(coord_call(&r, id->seed, "RequestJoin", &q), VELD_CODE_INVALID_ARGUMENT,
            "malformed");
    r.trust.network.id[0] ^= 1;
    refused(ask_by(id->seed, id, "server1", r.trust.now_s), VELD_CODE_NOT_FOUND,
            "does not know");
    veld_identity_free(id);
    veld_identity_free(other);
}

Test(coord_join, a_name_that_is_taken)
{
    struct veld_identity *id = test_trust_identity(2);
    struct test_member m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member late = test_trust_join(&r.trust, 2, "server1", TEST_BY_OWNER);
    ok(coord_lease(&r, &m));
    refused(ask_by(id->seed, id, "server1", r.trust.now_s), VELD_CODE_ALREADY_EXISTS, "--name");
    asked(id, "server2", r.trust.now_s, WAITING);
    refused(answer(id->pub, &late.chain), VELD_CODE_ALREADY_EXISTS, "--name");
    test_member_free(&m);
    test_member_free(&late);
    veld_identity_free(id);
}

Test(coord_join, answers_are_proved)
{
    struct veld_identity *id = test_trust_identity(1);
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    struct test_member b = test_trust_join(&r.trust, 2, "server2", TEST_BY_OWNER);
    struct test_trust other;
    test_trust_make_nth(&other, 1);
    struct test_member c = test_trust_join(&other, 1, "server1", TEST_BY_OWNER);
    refused(answer(id->pub, &a.chain), VELD_CODE_NOT_FOUND, "no request");
    asked(id, "server1", r.trust.now_s, WAITING);
    refused(answer(id->pub, &b.chain), VELD_CODE_PERMISSION_DENIED, "not signed by");
    refused(answer(id->pub, &c.chain), VELD_CODE_PERMISSION_DENIED, "not signed by");
    refused(answer_by(a.id->seed, id->pub, &a.chain), VELD_CODE_PERMISSION_DENIED,
            "only the owner or an admin");
    cr_assert_str_eq(listed(), "server1 ");
    ok(answer(id->pub, &a.chain));
    test_member_free(&a);
    test_member_free(&b);
    test_member_free(&c);
    test_trust_free(&other);
    veld_identity_free(id);
}

/* An admin may, once it has registered, and as long as it is one. */
Test(coord_join, by_an_admin)
{
    struct veld_identity *id = test_trust_identity(1);
    struct test_member a = test_trust_join(&r.trust, 1, "server1", TEST_BY_ADMIN);
    struct test_member admin = {.id = r.trust.admin, .chain = r.trust.admin_chain};
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry entry = {0};
    struct veld_blob list = {0};
    test_member_read(&r.trust, &admin);
    asked(id, "server1", r.trust.now_s, WAITING);
    refused(answer_by(admin.id->seed, id->pub, &a.chain), VELD_CODE_PERMISSION_DENIED,
            "only the owner or an admin");
    ok(coord_register(&r, &admin, 1));
    ok(answer_by(admin.id->seed, id->pub, &a.chain));
    ok(answer_by(admin.id->seed, id->pub, NULL));
    memcpy(entry.key, admin.id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &entry, r.trust.now_s),
        "list");
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &list));
    refused(answer_by(admin.id->seed, id->pub, &a.chain), VELD_CODE_PERMISSION_DENIED,
            "was revoked");
    refused(answer(id->pub, &a.chain), VELD_CODE_PERMISSION_DENIED, "was revoked");
    veld_blob_clear(&list);
    test_member_free(&a);
    veld_identity_free(id);
}

Test(coord_join, the_revoked_need_not_ask)
{
    struct veld_identity *id = test_trust_identity(1);
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry entry = {0};
    struct veld_blob list = {0};
    memcpy(entry.key, id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &entry, r.trust.now_s),
        "list");
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &list));
    refused(ask_by(id->seed, id, "server1", r.trust.now_s), VELD_CODE_PERMISSION_DENIED,
            "was revoked");
    veld_blob_clear(&list);
    veld_identity_free(id);
}

/* A day, and they are gone, from memory and store; an answer has a day from when it was given. */
Test(coord_join, expire)
{
    struct veld_identity *id = test_trust_identity(1), *other = test_trust_identity(2);
    struct test_member m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    uint64_t now = r.trust.now_s;
    GBytes *before = test_store_image(r.store);
    asked(id, "server1", now, WAITING);
    asked(other, "server2", now, WAITING);
    coord_run(&r, 80000 * VELD_NS_PER_S, 100 * VELD_NS_PER_S);
    ok(answer(id->pub, &m.chain));
    coord_run(&r, 6000 * VELD_NS_PER_S, 100 * VELD_NS_PER_S);
    cr_assert_str_eq(listed(), "server2 ");
    coord_pass(&r, 500 * VELD_NS_PER_S); /* past the day, before it was looked for */
    cr_assert_str_eq(listed(), "");
    refused(answer(other->pub, NULL), VELD_CODE_NOT_FOUND, "no request");
    coord_run(&r, 70000 * VELD_NS_PER_S, 100 * VELD_NS_PER_S);
    asked(id, "server1", now, APPROVED);
    coord_run(&r, 20000 * VELD_NS_PER_S, 100 * VELD_NS_PER_S);
    GBytes *after = test_store_image(r.store);
    cr_assert(g_bytes_equal(before, after));
    asked(id, "server1", now, WAITING);
    g_bytes_unref(before);
    g_bytes_unref(after);
    test_member_free(&m);
    veld_identity_free(id);
    veld_identity_free(other);
}

static enum veld_coord_code ask_nth(unsigned n)
{
    struct veld_identity *id = test_trust_identity(n);
    char name[16];
    snprintf(name, sizeof name, "m%u", n);
    enum veld_coord_code code = ask_by(id->seed, id, name, r.now.wall_ns / VELD_NS_PER_S);
    veld_identity_free(id);
    return code;
}

Test(coord_join, bounded_by_address_and_network)
{
    unsigned n = 0;
    for (unsigned address = 0; n < 256; address++) {
        r.from.b[3] = (uint8_t)address;
        for (unsigned i = 0; i < 32; i++)
            ok(ask_nth(n++));
        if (address == 0)
            refused(ask_nth(1000), VELD_CODE_RESOURCE_EXHAUSTED, "veld approve");
    }
    refused(ask_nth(1000), VELD_CODE_RESOURCE_EXHAUSTED, "veld approve");
    ok(ask_nth(7));
    r.from.b[3] = 0;
    ok(ask_nth(0));
    coord_run(&r, 86500 * VELD_NS_PER_S, 100 * VELD_NS_PER_S);
    ok(ask_nth(1000));
}

static bool is_listed(unsigned n)
{
    char name[16];
    snprintf(name, sizeof name, "m%u ", n);
    const char *names = listed(), *at = strstr(names, name);
    return at && (at == names || at[-1] == ' ');
}

/* Eight addresses fill the queue: each other one still gets a place, and keeps it. */
Test(coord_join, a_few_addresses_keep_nobody_away)
{
    for (unsigned n = 0; n < 256; n++) {
        r.from.b[3] = (uint8_t)(n / 32);
        ok(ask_nth(n));
        if (n == 0)
            coord_pass(&r, VELD_NS_PER_S); /* it is the oldest of all */
    }
    for (unsigned n = 0; n < 50; n++) {
        r.from.b[3] = (uint8_t)(100 + n);
        ok(ask_nth(1000 + n));
        cr_assert_not(is_listed(0), "the oldest of those who have the most");
    }
    for (unsigned n = 0; n < 256; n++) { /* they go on, each with the place it lost */
        r.from.b[3] = (uint8_t)(n / 32);
        ask_nth(n);
    }
    for (unsigned n = 0; n < 50; n++)
        cr_assert(is_listed(1000 + n), "%u", n);
    struct veld_service_stats stats;
    veld_service_get_stats(r.service, &stats);
    cr_assert_eq(stats.joins_waiting, 256);
    coord_reopen(&r);
    for (unsigned n = 0; n < 50; n++)
        cr_assert(is_listed(1000 + n), "%u", n);
}

/* What was approved and not yet fetched is nobody's to push out. */
Test(coord_join, an_approval_keeps_its_place)
{
    struct test_member m = test_trust_join(&r.trust, 0, "m0", TEST_BY_OWNER);
    for (unsigned n = 0; n < 256; n++) {
        r.from.b[3] = (uint8_t)(n / 32);
        ok(ask_nth(n));
        if (n == 0) {
            ok(answer(m.id->pub, &m.chain));
            coord_pass(&r, VELD_NS_PER_S); /* it is the oldest of all */
        }
    }
    for (unsigned n = 0; n < 100; n++) {
        r.from.b[3] = (uint8_t)(100 + n);
        ok(ask_nth(1000 + n));
    }
    ok(ask_nth(0));
    cr_assert_eq(state(NULL), APPROVED);
    test_member_free(&m);
}

/* Where each address has but one, the newcomer waits: else they would push out one another. */
Test(coord_join, many_addresses_fill_it)
{
    for (unsigned n = 0; n < 256; n++) {
        r.from.b[2] = (uint8_t)(n / 200);
        r.from.b[3] = (uint8_t)(n % 200);
        ok(ask_nth(n));
    }
    r.from.b[3] = 250;
    refused(ask_nth(1000), VELD_CODE_RESOURCE_EXHAUSTED, "veld approve");
    r.from.b[3] = 0;
    refused(ask_nth(1000), VELD_CODE_RESOURCE_EXHAUSTED, "veld approve");
}

/* The oldest first, and as many as there may be fit into one reply, however long they are. */
Test(coord_join, a_full_list_fits)
{
    for (unsigned n = 0; n < 256; n++) {
        struct veld_identity *id = test_trust_identity(n);
        struct veld_join_request j = {.created_s = r.trust.now_s, .n_routes = 32};
        Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
        struct veld_blob bytes = {0};
        r.from.b[3] = (uint8_t)(n / 32);
        memcpy(j.network_id, r.trust.network.id, 32);
        memcpy(j.member, id->pub, 32);
        snprintf(j.name, sizeof j.name, "m%03u%055u", 255 - n, 7);
        for (unsigned i = 0; i < 32; i++)
            j.routes[i] =
                (struct veld_prefix){.ip = {6, {0x20, 1, 0xd, 0xb8, (uint8_t)i}}, .len = 128};
        test_trust_must(veld_join_request_sign(&bytes, id->seed, &j), "request");
        q.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
        ok(coord_call(&r, id->seed, "RequestJoin", &q));
        veld__trust__v1__signed__free_unpacked(q.request, NULL);
        veld_blob_clear(&bytes);
        veld_identity_free(id);
        if (n % 64 == 63)
            coord_pass(&r, VELD_NS_PER_S);
    }
    const char *names = listed();
    cr_assert_lt(r.reply.len, 1u << 20);
    unsigned count = 0;
    int batch = 3; /* those of the first second have the greatest numbers */
    for (const char *p = names; *p; p = strchr(p, ' ') + 1, count++) {
        int of;
        cr_assert_eq(sscanf(p, "m%3d", &of), 1);
        of /= 64;
        cr_assert(of == batch || of == batch - 1, "%u: %.20s", count, p);
        batch = of;
    }
    cr_assert_eq(count, 256);
}

/* Nor do longer ones than anybody would write make it longer than a reply may be. */
Test(coord_join, a_list_is_a_reply)
{
    static uint8_t body[VELD_SIGNED_MAX - 3];
    Veld__Trust__V1__Signed said = VELD__TRUST__V1__SIGNED__INIT;
    Veld__Coord__V1__ListJoinsRequest q = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
    uint8_t bytes[VELD_SIGNED_MAX];
    said.body = coord_bytes(body, sizeof body);
    struct veld_blob request = {.p = bytes, .len = veld__trust__v1__signed__pack(&said, bytes)};
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    for (unsigned n = 0; n < 300; n++) {
        struct veld_join like = {.state = VELD_JOIN_IS_WAITING, .filed_s = r.trust.now_s};
        test_trust_seed(like.p, n);
        veld_join_set(r.service->registry, net, &like, &request, NULL);
    }
    cr_assert_eq(coord_commit(&r), 0);
    q.network_id = coord_id(&r);
    ok(coord_call(&r, r.trust.owner_seed, "ListJoins", &q));
    cr_assert_lt(r.reply.len, 1u << 20);
    Veld__Coord__V1__ListJoinsReply *reply =
        coord_reply(&r, &veld__coord__v1__list_joins_reply__descriptor);
    cr_assert_geq(reply->n_requests, 240);
    veld__coord__v1__list_joins_reply__free_unpacked(reply, NULL);
}

Test(coord_join, filed_so_often)
{
    struct veld_service_config cfg = {.limits.joins_per_address = {.burst = 2, .per_hour = 60}};
    coord_close(&r);
    coord_open(&r, &cfg);
    ok(coord_create(&r));
    ok(ask_nth(1));
    ok(ask_nth(2));
    refused(ask_nth(3), VELD_CODE_RESOURCE_EXHAUSTED, "from this address");
    for (int i = 0; i < 10; i++)
        ok(ask_nth(1)); /* to ask what became of it is no filing */
    coord_pass(&r, 60 * VELD_NS_PER_S);
    ok(ask_nth(3));
}

/* What is stored is what is known: read back, damaged, of another version. */
#include "../support/coord_asserts.h"
#include "../support/coord_dump.h"

#include <veld/coord/v1/inside.pb-c.h>

static struct coord_rig r;

static void start(void)
{
    coord_open(&r, NULL);
}

static void stop(void)
{
    coord_close(&r);
}

TestSuite(coord_registry, .init = start, .fini = stop);

/* A device asks to be let in. */
static void ask(unsigned n, const char *name)
{
    Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    struct veld_identity *id = test_trust_identity(n);
    struct veld_join_request j = {.created_s = r.trust.now_s};
    struct veld_blob bytes = {0};
    memcpy(j.network_id, r.trust.network.id, 32);
    memcpy(j.member, id->pub, 32);
    snprintf(j.name, sizeof j.name, "%s", name);
    test_trust_must(veld_join_request_sign(&bytes, id->seed, &j), "request");
    q.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    ok(coord_call(&r, id->seed, "RequestJoin", &q));
    veld__trust__v1__signed__free_unpacked(q.request, NULL);
    veld_blob_clear(&bytes);
    veld_identity_free(id);
}

static void revoke_key(const uint8_t key[static 32])
{
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry e = {0};
    struct veld_blob list = {0};
    memcpy(e.key, key, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &e, r.trust.now_s),
        "list");
    ok(coord_publish_revocations(&r, r.trust.owner_seed, &list));
    veld_blob_clear(&list);
}

/* A member that may offer routes, and does. */
static void add_router(void)
{
    struct test_member m = {.id = test_trust_identity(50)};
    struct veld_membership wish = test_membership(&r.trust, m.id->pub, "router");
    struct veld_signer admin = test_admin(&r.trust);
    wish.routes[0] = test_prefix("192.168.7.0/24");
    wish.routes[1] = test_prefix("2001:db8:7::/48");
    wish.n_routes = 2;
    wish.not_after_s = r.trust.now_s + 86400;
    wish.flags = VELD_MEMBER_RELAY;
    test_trust_must(veld_membership_issue(&m.chain, &admin, &wish), "router");
    test_member_read(&r.trust, &m);
    ok(coord_lease(&r, &m));
    struct veld_record record = test_record(&m, 1);
    record.ipv4 = r.leased;
    record.n_routes = 1;
    record.routes[0] = wish.routes[1];
    ok(coord_publish(&r, &m, &record));
    cr_assert(r.published);
    test_member_free(&m);
}

/* Something of everything there is to store. */
static void fill(void)
{
    static const enum test_by by[] = {TEST_BY_OWNER, TEST_BY_ADMIN, TEST_BY_TOKEN,
                                      TEST_BY_ADMINS_TOKEN};
    ok(coord_create(&r));
    for (unsigned i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "server%u", i);
        struct test_member m = test_trust_join(&r.trust, i, name, by[i % 4]);
        struct coord_watch w = {0};
        ok(i < 6 ? coord_register(&r, &m, i) : coord_lease(&r, &m));
        ok(coord_watch(&r, &w, &m));
        coord_watch_free(&r, &w);
        if (i == 2)
            ok(coord_leave(&r, &m, true));
        if (i == 3)
            ok(coord_leave(&r, &m, false));
        if (i == 4)
            revoke_key(m.id->pub);
        test_member_free(&m);
        coord_pass(&r, VELD_NS_PER_S);
    }
    add_router();
    ask(20, "asks");
    struct test_member once = {.id = test_trust_identity(30)};
    struct veld_token token = test_token(&r.trust, 9);
    struct veld_signer owner = test_owner(&r.trust);
    char text[VELD_TOKEN_TEXT_MAX];
    token.uses = 2;
    test_trust_must(veld_token_make(text, &owner, r.trust.network.id, &token), "token");
    test_trust_must(
        veld_token_admit(&once.chain, text, once.id->pub, "once", r.trust.now_s - 60, 0),
        "once");
    ok(coord_lease(&r, &once));
    test_member_free(&once);
}

Test(coord_registry, read_back_as_it_was)
{
    cr_assert(coord_is_as_stored(&r));
    fill();
    char *before = coord_dump(r.service);
    cr_assert_not_null(strstr(before, "2001:db8:7::/48"));
    cr_assert_not_null(strstr(before, " use "));
    cr_assert_not_null(strstr(before, " join "));
    cr_assert_not_null(strstr(before, " removed "));
    coord_reopen(&r);
    char *after = coord_dump(r.service);
    cr_assert_str_eq(before, after);
    for (const char *p = after; (p = strstr(p, "tables=")); p++)
        cr_assert_eq(strncmp(p, "tables=111", 10), 0, "%s", after);
    g_free(before);
    g_free(after);
}

/* A server of another version, or a file of something else, is told apart. */
Test(coord_registry, other_databases_are_refused)
{
    struct veld_service *s = NULL;
    struct veld_diag diag;
    GBytes *key = g_bytes_new("v", 1);
    gsize len;
    const uint8_t *value = g_bytes_get_data(g_tree_lookup(r.store->pairs, key), &len);
    uint8_t newer[64];
    memcpy(newer, value, len);
    newer[len - 4]++;
    g_tree_replace(r.store->pairs, g_bytes_ref(key), g_bytes_new(newer, len));
    cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_UNSUPPORTED);
    cr_assert_not_null(strstr(diag.text, "newer veld-coord (format 2;"), "%s", diag.text);
    newer[0] ^= 1;
    g_tree_replace(r.store->pairs, g_bytes_ref(key), g_bytes_new(newer, len));
    cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_FORMAT);
    g_tree_replace(r.store->pairs, g_bytes_new("something", 9), g_bytes_new("else", 4));
    g_tree_remove(r.store->pairs, key);
    cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "restore a backup"), "%s", diag.text);
    cr_assert_null(s);
    g_bytes_unref(key);
}

Test(coord_registry, a_store_that_cannot_be_written_is_told_at_the_start)
{
    struct veld_service *s = NULL;
    struct veld_diag diag = {.text = ""};
    g_tree_remove_all(r.store->pairs);
    for (unsigned n = 1; n <= 3; n++) {
        r.store->fail_at = n;
        cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_IO);
        cr_assert_str_not_empty(diag.text);
    }
    r.store->fail_at = 0;
}

/* Each pair lost, cut, garbled: an error in words, or a server that is whole; never half. */
Test(coord_registry, damage_is_told)
{
    static struct {
        GBytes *key, *value;
    } pair[256];
    unsigned n = 0, told = 0;
    fill();
    for (GTreeNode *t = g_tree_node_first(r.store->pairs); t; t = g_tree_node_next(t)) {
        pair[n].key = g_bytes_ref(g_tree_node_key(t));
        pair[n++].value = g_bytes_ref(g_tree_node_value(t));
    }
    cr_assert_lt(n, 256);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned how = 0; how < 6; how++) {
            struct veld_service *s = NULL;
            struct veld_diag diag = {.text = ""};
            gsize len;
            const uint8_t *p = g_bytes_get_data(pair[i].value, &len);
            uint8_t *bad = g_malloc0(len + 1);
            memcpy(bad, p, len);
            size_t bad_len = len;
            if (how == 1)
                bad_len = len / 2;
            else if (how == 2)
                bad_len = 0;
            else if (how == 3)
                memset(bad, 0xff, len);
            else if (how == 4)
                bad[0] ^= 0x10;
            else if (how == 5 && len > 40)
                bad[len / 3] ^= 0x55;
            if (how == 0)
                g_tree_remove(r.store->pairs, pair[i].key);
            else
                g_tree_replace(r.store->pairs, g_bytes_ref(pair[i].key),
                               g_bytes_new(bad, bad_len));
            int rc = veld_service_open(&s, &r.cfg, &r.now, &diag);
            if (rc < 0) {
                cr_assert_not_null(strstr(diag.text, "database"), "%s", diag.text);
                told++;
            } else {
                g_free(coord_dump(s));
            }
            veld_service_close(s);
            g_free(bad);
            g_tree_replace(r.store->pairs, g_bytes_ref(pair[i].key),
                           g_bytes_ref(pair[i].value));
        }
    }
    cr_assert_gt(told, n * 3, "%u of %u", told, n * 6);
    for (unsigned i = 0; i < n; i++) {
        g_bytes_unref(pair[i].key);
        g_bytes_unref(pair[i].value);
    }
}

/* What has the right form, and is no member all the same. */
Test(coord_registry, a_member_without_a_chain_is_damage)
{
    struct veld_service *s = NULL;
    struct veld_diag diag;
    fill();
    GBytes *prefix = g_bytes_new("m", 1);
    GTreeNode *first = g_tree_lower_bound(r.store->pairs, prefix);
    GBytes *key = g_bytes_ref(g_tree_node_key(first));
    gsize len;
    const uint8_t *p = g_bytes_get_data(g_tree_node_value(first), &len);
    Veld__Coord__Inside__StoredMember *v =
        veld__coord__inside__stored_member__unpack(NULL, len, p);
    ProtobufCBinaryData chain = v->chain, peer = v->peer;
    v->chain.len = v->peer.len = 0;
    uint8_t *bytes = g_malloc(len);
    len = veld__coord__inside__stored_member__pack(v, bytes);
    g_tree_replace(r.store->pairs, key, g_bytes_new_take(bytes, len));
    cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_FORMAT);
    cr_assert_not_null(strstr(diag.text, "damaged (a member)"), "%s", diag.text);
    v->chain = chain;
    v->peer = peer;
    veld__coord__inside__stored_member__free_unpacked(v, NULL);
    g_bytes_unref(prefix);
}

/* A key that is cut or has more than it should is nobody's. */
Test(coord_registry, damaged_keys_are_told)
{
    fill();
    for (const char *kind = "nhrmstuj"; *kind; kind++) {
        for (int longer = 0; longer < 2; longer++) {
            struct veld_service *s = NULL;
            struct veld_diag diag;
            GBytes *prefix = g_bytes_new(kind, 1);
            GTreeNode *first = g_tree_lower_bound(r.store->pairs, prefix);
            gsize len;
            const uint8_t *key = g_bytes_get_data(g_tree_node_key(first), &len);
            uint8_t other[128] = {0};
            cr_assert_eq(key[0], *kind);
            memcpy(other, key, len);
            GBytes *bad = g_bytes_new(other, len > 33 && !longer ? len - 1 : len + 1);
            g_tree_replace(r.store->pairs, g_bytes_ref(bad),
                           g_bytes_ref(g_tree_node_value(first)));
            cr_assert_eq(veld_service_open(&s, &r.cfg, &r.now, &diag), VELD_E_FORMAT, "%c",
                         *kind);
            cr_assert_not_null(strstr(diag.text, "is damaged"), "%s", diag.text);
            g_tree_remove(r.store->pairs, bad);
            g_bytes_unref(bad);
            g_bytes_unref(prefix);
        }
    }
    coord_reopen(&r);
}

/* Well under 4 KiB of a member, all its tables included. */
Test(coord_registry, a_member_is_small)
{
    size_t facts = 0, tables = sizeof(struct veld_member);
    fill();
    struct veld_net *net = veld_net_by_id(r.service->registry, r.trust.network.id);
    for (size_t i = 0; i < net->changed.n; i++) {
        const struct veld_member *m = net->changed.at[i].what;
        if (m)
            facts =
                MAX(facts, sizeof *m->facts + m->facts->n_routes * sizeof(struct veld_prefix) +
                               m->facts->chain_len + m->facts->peer_len);
    }
    tables += 3 * 2 * (2 * sizeof(void *) + sizeof(guint)); /* at most half empty */
    tables += 3 * sizeof(struct veld_change);
    cr_assert_lt(facts + tables, 2048, "%d and %d bytes", (int)facts, (int)tables);
}

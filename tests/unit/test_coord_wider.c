/* A member that asks to do more than its membership allows: offer routes, relay. */
#include "../support/coord_rig.h"

#include <criterion/criterion.h>

static struct coord_rig r;
static struct test_member m;
static bool would_relay; /* who asks */

static void start(void)
{
    would_relay = false;
    coord_open(&r, NULL);
    cr_assert_eq(coord_create(&r), VELD_CODE_OK);
    m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    cr_assert_eq(coord_register(&r, &m, 1), VELD_CODE_OK, "%s", r.status.text);
}

static void stop(void)
{
    test_member_free(&m);
    coord_close(&r);
}

TestSuite(coord_wider, .init = start, .fini = stop);

/* What becomes of a request for `route` (NULL: none), made `after_s` later than the rig's time. */
static int ask(const char *route, uint64_t after_s, struct veld_blob *chain)
{
    Veld__Coord__V1__RequestJoinRequest q = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    struct veld_join_request request = {
        .name = "server1", .relay = would_relay, .created_s = r.trust.now_s + after_s};
    struct veld_blob bytes = {0};
    memcpy(request.network_id, r.trust.network.id, 32);
    memcpy(request.member, m.id->pub, 32);
    if (route)
        request.routes[request.n_routes++] = test_prefix(route);
    test_trust_must(veld_join_request_sign(&bytes, m.id->seed, &request), "request");
    q.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    cr_assert_eq(coord_call(&r, m.id->seed, "RequestJoin", &q), VELD_CODE_OK, "%s",
                 r.status.text);
    veld__trust__v1__signed__free_unpacked(q.request, NULL);
    veld_blob_clear(&bytes);
    Veld__Coord__V1__RequestJoinReply *reply =
        coord_reply(&r, &veld__coord__v1__request_join_reply__descriptor);
    int state = reply->state;
    if (reply->chain && chain) {
        uint8_t packed[VELD_CHAIN_MAX];
        size_t len = veld__trust__v1__chain__pack(reply->chain, packed);
        test_trust_must(veld_blob_set(chain, packed, len), "chain");
    }
    veld__coord__v1__request_join_reply__free_unpacked(reply, NULL);
    return state;
}

static size_t waiting(void)
{
    Veld__Coord__V1__ListJoinsRequest q = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
    q.network_id = coord_id(&r);
    cr_assert_eq(coord_call(&r, r.trust.owner_seed, "ListJoins", &q), VELD_CODE_OK);
    Veld__Coord__V1__ListJoinsReply *reply =
        coord_reply(&r, &veld__coord__v1__list_joins_reply__descriptor);
    size_t n = reply->n_requests;
    veld__coord__v1__list_joins_reply__free_unpacked(reply, NULL);
    return n;
}

/* A membership of `m` with a route (NULL: none), these flags, and a greater serial. */
static struct test_member widened(const char *route, uint32_t flags)
{
    struct test_member w = {.id = test_trust_identity(1)};
    struct veld_membership wish = test_membership(&r.trust, w.id->pub, "server1");
    struct veld_signer owner = test_owner(&r.trust);
    wish.serial = m.membership.serial + 1;
    wish.flags = flags;
    if (route)
        wish.routes[wish.n_routes++] = test_prefix(route);
    test_trust_must(veld_membership_issue(&w.chain, &owner, &wish), "wider");
    test_member_read(&r.trust, &w);
    return w;
}

static void answer(const struct veld_blob *chain)
{
    Veld__Coord__V1__AnswerJoinRequest q = VELD__COORD__V1__ANSWER_JOIN_REQUEST__INIT;
    q.network_id = coord_id(&r);
    q.member = coord_bytes(m.id->pub, 32);
    q.chain = coord_parse(&veld__trust__v1__chain__descriptor, chain);
    cr_assert_eq(coord_call(&r, r.trust.owner_seed, "AnswerJoin", &q), VELD_CODE_OK, "%s",
                 r.status.text);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
}

Test(coord_wider, what_is_allowed_already_needs_no_asking)
{
    struct veld_blob chain = {0};
    cr_assert_eq(ask(NULL, 0, &chain),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED);
    cr_assert_eq(chain.len, m.chain.len);
    cr_assert_arr_eq(chain.p, m.chain.p, chain.len);
    cr_assert_eq(waiting(), 0);
    veld_blob_clear(&chain);
}

Test(coord_wider, a_wider_membership_is_waited_for)
{
    struct veld_blob chain = {0};
    struct test_member w = widened("192.168.1.0/24", 0);
    cr_assert_eq(ask("192.168.1.0/24", 0, NULL),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING);
    cr_assert_eq(waiting(), 1);
    cr_assert_eq(coord_register(&r, &m, 2), VELD_CODE_OK, "as its daemon does now and then");
    cr_assert_eq(waiting(), 1, "the request was lost");
    answer(&w.chain);
    cr_assert_eq(ask("192.168.1.0/24", 0, &chain),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED);
    cr_assert_eq(chain.len, w.chain.len);
    cr_assert_arr_eq(chain.p, w.chain.p, chain.len);
    veld_blob_clear(&chain);

    cr_assert_eq(coord_register(&r, &w, 3), VELD_CODE_OK, "%s", r.status.text);
    cr_assert_eq(ask("192.168.1.0/24", 0, &chain),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED);
    cr_assert_arr_eq(chain.p, w.chain.p, chain.len);
    cr_assert_eq(ask("192.168.2.0/24", 1, NULL),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING);
    veld_blob_clear(&chain);
    test_member_free(&w);
}

Test(coord_wider, a_membership_that_allows_to_relay_is_waited_for)
{
    struct veld_blob chain = {0};
    struct test_member w = widened(NULL, VELD_MEMBER_RELAY);
    would_relay = true;
    cr_assert_eq(ask(NULL, 0, NULL), VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING);
    cr_assert_eq(waiting(), 1);
    answer(&w.chain);
    cr_assert_eq(coord_register(&r, &w, 2), VELD_CODE_OK, "%s", r.status.text);
    cr_assert_eq(ask(NULL, 1, &chain),
                 VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED);
    cr_assert_arr_eq(chain.p, w.chain.p, chain.len);
    cr_assert_eq(waiting(), 0);
    veld_blob_clear(&chain);
    test_member_free(&w);
}

Test(coord_wider, the_owner_need_not_be_a_member_to_see_who_is)
{
    Veld__Coord__V1__ListPeersRequest q = VELD__COORD__V1__LIST_PEERS_REQUEST__INIT;
    struct veld_identity *stranger = test_trust_identity(99);
    q.network_id = coord_id(&r);
    cr_assert_eq(coord_call(&r, r.trust.owner_seed, "ListPeers", &q), VELD_CODE_OK);
    cr_assert_eq(coord_call(&r, stranger->seed, "ListPeers", &q), VELD_CODE_PERMISSION_DENIED);
    veld_identity_free(stranger);
}

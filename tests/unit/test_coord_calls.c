/* Each call of coord.h against a server that looks at what it is sent. */
#include "rpc/coord.h"

#include "../support/grpc_server.h"
#include "base/clock.h"
#include "crypto/primitives.h"
#include "trust/rpc_auth.h"
#include "trust/wire.h"

#include <criterion/criterion.h>
#include <string.h>
#include <veld/coord/v1/coord.pb-c.h>

static struct test_certificate certificate;
static struct grpc_test_server *server;
static struct veld_rpc_client *client;
static struct veld_diag diag;
static uint8_t seed[32] = {7}, pub[32], id[32] = {9}, member[32] = {8};
static struct veld_rpc_key key = {seed, pub};
static struct veld_blob some_signed, chain, out;

/* What the server has seen, and what it will say; the test looks while none is under way. */
static struct {
    char method[64];
    struct veld_blob body;
    bool is_signed;
    grpc_status_code code;
    const void *reply; /* a message; NULL: an empty one */
    bool garbage;
    unsigned pages;
} seen;

static void put_page(struct grpc_test_answer *a)
{
    Veld__Coord__V1__ListPeersReply m = VELD__COORD__V1__LIST_PEERS_REPLY__INIT;
    Veld__Trust__V1__PeerRecord record = VELD__TRUST__V1__PEER_RECORD__INIT;
    Veld__Coord__V1__Member one = VELD__COORD__V1__MEMBER__INIT, *list = &one;
    Veld__Coord__V1__ListPeersRequest *asked = veld_wire_unpack(
        &veld__coord__v1__list_peers_request__descriptor, seen.body.p, seen.body.len, 1000);
    one.peer = &record;
    one.revision = asked->after_revision + 5;
    m.members = &list;
    m.n_members = 1;
    m.more = --seen.pages > 0;
    (void)!veld_wire_pack(&a->message, &m, 1000);
    veld_wire_free(asked);
}

static void answer(void *ctx, const struct grpc_test_call *call, struct grpc_test_answer *a)
{
    struct veld_rpc_auth auth;
    snprintf(seen.method, sizeof seen.method, "%s", strrchr(call->method, '/') + 1);
    (void)!veld_blob_set(&seen.body, call->body, call->len);
    seen.is_signed =
        call->auth && veld_rpc_verify(call->auth, call->auth_len, call->method,
                                      certificate.sha256, call->body, call->len, &auth) == 0;
    a->code = seen.code;
    strcpy(a->text, "the reason");
    a->times = seen.code == 0;
    if (seen.garbage)
        (void)!veld_blob_set(&a->message, "\xff\xff\xff", 3);
    else if (seen.pages > 0)
        put_page(a);
    else if (seen.reply)
        (void)!veld_wire_pack(&a->message, seen.reply, VELD_RPC_MESSAGE_MAX);
}

static void setup(void)
{
    char address[64];
    Veld__Trust__V1__Signed s = VELD__TRUST__V1__SIGNED__INIT;
    Veld__Trust__V1__Chain c = VELD__TRUST__V1__CHAIN__INIT;
    cr_assert_eq(veld_crypto_init(), 0);
    veld_ed25519_keypair(seed, pub);
    test_certificate_make(&certificate, NULL, NULL, NULL, 0);
    server = grpc_test_server_start(&certificate, 0, answer, NULL);
    snprintf(address, sizeof address, "127.0.0.1:%d", grpc_test_server_port(server));
    struct veld_rpc_server to = {.address = address};
    memcpy(to.certificate, certificate.sha256, 32);
    cr_assert_eq(veld_rpc_open(&client, &to, &diag), 0, "%s", diag.text);
    s.body = veld_wire_bytes("body", 4);
    c.membership = &s;
    cr_assert_eq(veld_wire_pack(&some_signed, &s, 100), 0);
    cr_assert_eq(veld_wire_pack(&chain, &c, 100), 0);
}

static void teardown(void)
{
    veld_rpc_close(client);
    grpc_test_server_stop(server, true);
    veld_blob_clear(&seen.body);
    veld_blob_clear(&some_signed);
    veld_blob_clear(&chain);
    veld_blob_clear(&out);
    test_certificate_clear(&certificate);
}

TestSuite(coord_calls, .init = setup, .fini = teardown, .timeout = 60);

/* The request that was seen; the caller frees. */
static void *request(const ProtobufCMessageDescriptor *type, const char *method)
{
    cr_expect_str_eq(seen.method, method);
    cr_expect(seen.is_signed, "%s", method);
    void *m = veld_wire_unpack(type, seen.body.p, seen.body.len, VELD_RPC_MESSAGE_MAX);
    cr_assert_not_null(m);
    return m;
}

static bool is(const ProtobufCBinaryData *b, const void *p, size_t len)
{
    return b->len == len && memcmp(b->data, p, len) == 0;
}

/* ---- What is asked ---- */

Test(coord_calls, hello)
{
    Veld__Coord__V1__HelloReply m = VELD__COORD__V1__HELLO_REPLY__INIT;
    struct veld_coord_hello h;
    m.protocol = 1;
    m.time_ns = veld_clock_now().wall_ns + 100 * VELD_NS_PER_S;
    seen.reply = &m;
    cr_assert_eq(veld_coord_hello(client, &h, &diag), 0, "%s", diag.text);
    cr_expect_str_eq(seen.method, "Hello");
    cr_expect_not(seen.is_signed);
    cr_expect(h.clock_ahead_ns > 90 * (int64_t)VELD_NS_PER_S &&
              h.clock_ahead_ns <= 100 * (int64_t)VELD_NS_PER_S);
}

Test(coord_calls, networks)
{
    cr_assert_eq(veld_coord_create_network(client, &key, &some_signed, &diag), 0, "%s",
                 diag.text);
    Veld__Coord__V1__CreateNetworkRequest *made =
        request(&veld__coord__v1__create_network_request__descriptor, "CreateNetwork");
    cr_expect(is(&made->network->body, "body", 4));
    Veld__Coord__V1__LookupNetworkReply m = VELD__COORD__V1__LOOKUP_NETWORK_REPLY__INIT;
    m.network = made->network;
    seen.reply = &m;
    cr_assert_eq(veld_coord_lookup_network(client, &key, "mynet", &out, &diag), 0);
    cr_expect(out.len == some_signed.len && memcmp(out.p, some_signed.p, out.len) == 0);
    Veld__Coord__V1__LookupNetworkRequest *asked =
        request(&veld__coord__v1__lookup_network_request__descriptor, "LookupNetwork");
    cr_expect_str_eq(asked->name, "mynet");
    veld_wire_free(asked);
    veld_wire_free(made);
}

Test(coord_calls, joins)
{
    Veld__Coord__V1__RequestJoinReply m = VELD__COORD__V1__REQUEST_JOIN_REPLY__INIT;
    enum veld_coord_join state;
    m.state = VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_REFUSED;
    seen.reply = &m;
    cr_assert_eq(veld_coord_request_join(client, &key, &some_signed, &state, &out, &diag), 0);
    cr_expect_eq(state, VELD_JOIN_REFUSED);
    Veld__Coord__V1__RequestJoinRequest *asked =
        request(&veld__coord__v1__request_join_request__descriptor, "RequestJoin");
    cr_expect(is(&asked->request->body, "body", 4));

    Veld__Coord__V1__ListJoinsReply list = VELD__COORD__V1__LIST_JOINS_REPLY__INIT;
    list.requests = &asked->request;
    list.n_requests = 1;
    seen.reply = &list;
    struct veld_blob *requests;
    size_t n;
    cr_assert_eq(veld_coord_list_joins(client, &key, id, &requests, &n, &diag), 0);
    cr_assert_eq(n, 1);
    cr_expect_eq(requests[0].len, some_signed.len);
    veld_blobs_free(requests, n);
    veld_wire_free(asked);
    Veld__Coord__V1__ListJoinsRequest *listed =
        request(&veld__coord__v1__list_joins_request__descriptor, "ListJoins");
    cr_expect(is(&listed->network_id, id, 32));
    veld_wire_free(listed);
}

Test(coord_calls, answers)
{
    for (int refuse = 0; refuse < 2; refuse++) {
        cr_assert_eq(
            veld_coord_answer_join(client, &key, id, member, refuse ? NULL : &chain, &diag), 0);
        Veld__Coord__V1__AnswerJoinRequest *said =
            request(&veld__coord__v1__answer_join_request__descriptor, "AnswerJoin");
        cr_expect(is(&said->network_id, id, 32) && is(&said->member, member, 32));
        cr_expect_eq(said->chain == NULL, refuse);
        veld_wire_free(said);
    }
}

Test(coord_calls, leases_and_leaves)
{
    Veld__Coord__V1__RegisterReply m = VELD__COORD__V1__REGISTER_REPLY__INIT;
    struct veld_ip want = {0}, ip;
    uint8_t leased[] = {10, 100, 0, 7};
    m.ipv4 = veld_wire_bytes(leased, 4);
    seen.reply = &m;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(veld_coord_lease(client, &key, id, &chain, &want, &ip, &diag), 0);
        cr_expect(ip.family == 4 && memcmp(ip.b, leased, 4) == 0);
        Veld__Coord__V1__RegisterRequest *asked =
            request(&veld__coord__v1__register_request__descriptor, "RegisterMember");
        cr_expect(is(&asked->network_id, id, 32) && asked->chain && !asked->record);
        cr_expect(i ? is(&asked->want_ipv4, leased, 4) : asked->want_ipv4.len == 0);
        veld_wire_free(asked);
        want = ip;
    }
    seen.reply = NULL;
    cr_assert_eq(veld_coord_leave(client, &key, id, true, &diag), 0);
    Veld__Coord__V1__LeaveRequest *left =
        request(&veld__coord__v1__leave_request__descriptor, "Leave");
    cr_expect(is(&left->network_id, id, 32) && left->forget);
    veld_wire_free(left);
}

Test(coord_calls, peers_of_all_pages)
{
    struct veld_blob *records;
    size_t n;
    seen.pages = 4;
    cr_assert_eq(veld_coord_list_peers(client, &key, id, &records, &n, &diag), 0);
    cr_expect_eq(n, 4);
    veld_blobs_free(records, n);
    Veld__Coord__V1__ListPeersRequest *asked =
        request(&veld__coord__v1__list_peers_request__descriptor, "ListPeers");
    cr_expect(asked->after_revision == 15 && is(&asked->network_id, id, 32));
    veld_wire_free(asked);
}

Test(coord_calls, revocations)
{
    Veld__Coord__V1__GetRevocationsReply m = VELD__COORD__V1__GET_REVOCATIONS_REPLY__INIT;
    Veld__Trust__V1__RevocationList list = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    cr_assert_eq(veld_coord_get_revocations(client, &key, id, &out, &diag), 0);
    cr_expect_null(out.p);
    m.revocations = &list;
    list.list = veld_wire_unpack(&veld__trust__v1__signed__descriptor, some_signed.p,
                                 some_signed.len, 100);
    seen.reply = &m;
    cr_assert_eq(veld_coord_get_revocations(client, &key, id, &out, &diag), 0);
    cr_expect_gt(out.len, some_signed.len);
    veld_wire_free(list.list);
    seen.reply = NULL;
    cr_assert_eq(veld_coord_publish_revocations(client, &key, id, &out, &diag), 0);
    Veld__Coord__V1__PublishRevocationsRequest *said = request(
        &veld__coord__v1__publish_revocations_request__descriptor, "PublishRevocations");
    cr_expect(is(&said->network_id, id, 32) && is(&said->revocations->list->body, "body", 4));
    veld_wire_free(said);
}

/* ---- What goes wrong ---- */

static int call_each(size_t i)
{
    enum veld_coord_join state;
    struct veld_coord_hello h;
    struct veld_blob *list;
    struct veld_ip ip = {0};
    size_t n;
    diag.text[0] = '\0';
    switch (i) {
    case 0: return veld_coord_hello(client, &h, &diag);
    case 1: return veld_coord_lookup_network(client, &key, "mynet", &out, &diag);
    case 2: return veld_coord_request_join(client, &key, &some_signed, &state, &out, &diag);
    case 3: return veld_coord_list_joins(client, &key, id, &list, &n, &diag);
    case 4: return veld_coord_lease(client, &key, id, &chain, &ip, &ip, &diag);
    case 5: return veld_coord_list_peers(client, &key, id, &list, &n, &diag);
    case 6: return veld_coord_get_revocations(client, &key, id, &out, &diag);
    case 7: return veld_coord_create_network(client, &key, &some_signed, &diag);
    case 8: return veld_coord_answer_join(client, &key, id, member, NULL, &diag);
    case 9: return veld_coord_leave(client, &key, id, false, &diag);
    default: return 1;
    }
}

Test(coord_calls, says_what_the_server_refuses)
{
    seen.code = GRPC_STATUS_ALREADY_EXISTS;
    for (size_t i = 0; i < 10; i++) {
        cr_expect_eq(call_each(i), VELD_E_EXIST, "%zu", i);
        cr_expect(strstr(diag.text, "says: the reason"), "%zu: %s", i, diag.text);
    }
}

Test(coord_calls, refuses_replies_that_are_none)
{
    seen.garbage = true;
    for (size_t i = 0; i < 7; i++) {
        cr_expect_eq(call_each(i), VELD_E_FORMAT, "%zu", i);
        cr_expect(strstr(diag.text, veld_rpc_address(client)), "%zu: %s", i, diag.text);
    }
}

Test(coord_calls, sends_nothing_that_is_no_message)
{
    struct veld_blob bad = {(uint8_t *)"\xff\xff", 2};
    enum veld_coord_join state;
    struct veld_ip ip = {0};
    cr_expect_eq(veld_coord_create_network(client, &key, &bad, &diag), VELD_E_FORMAT);
    cr_expect_eq(veld_coord_request_join(client, &key, &bad, &state, &out, &diag),
                 VELD_E_FORMAT);
    cr_expect_eq(veld_coord_answer_join(client, &key, id, member, &bad, &diag), VELD_E_FORMAT);
    cr_expect_eq(veld_coord_lease(client, &key, id, &bad, &ip, &ip, &diag), VELD_E_FORMAT);
    cr_expect_eq(veld_coord_publish_revocations(client, &key, id, &bad, &diag), VELD_E_FORMAT);
    cr_expect(strstr(diag.text, "PublishRevocations"), "%s", diag.text);
    cr_expect_str_empty(seen.method, "nothing was sent");
}

#include "control/mesh/requests.h"

#include "trust/join_request.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#include <veld/coord/v1/coord.pb-c.h>

static struct test_trust rig;
static struct test_member me;

static void setup(void)
{
    test_trust_make(&rig);
    me = test_trust_join(&rig, 1, "me", TEST_BY_TOKEN);
}

static void cleanup(void)
{
    test_member_free(&me);
    test_trust_free(&rig);
}

TestSuite(mesh_requests, .init = setup, .fini = cleanup);

/* What was signed goes as the bytes that were signed. */
Test(mesh_requests, registering)
{
    struct veld_record r = test_record(&me, 5);
    struct veld_blob record = {0}, out, peer = {0};
    struct veld_ip want;
    cr_assert_eq(veld_ip_parse("10.100.0.7", &want), 0);
    cr_assert_eq(veld_record_sign(&record, me.id->seed, &r), 0);
    cr_assert_eq(veld_request_register(&out, rig.network.id, &me.chain, &record, &want), 0);
    Veld__Coord__V1__RegisterRequest *m =
        veld__coord__v1__register_request__unpack(NULL, out.len, out.p);
    cr_assert_not_null(m);
    cr_assert_arr_eq(m->network_id.data, rig.network.id, 32);
    cr_assert_eq(m->want_ipv4.len, 4);
    cr_assert_arr_eq(m->want_ipv4.data, want.b, 4);
    Veld__Trust__V1__PeerRecord both = VELD__TRUST__V1__PEER_RECORD__INIT;
    both.record = m->record;
    both.chain = m->chain;
    peer.len = veld__trust__v1__peer_record__get_packed_size(&both);
    peer.p = malloc(peer.len);
    veld__trust__v1__peer_record__pack(&both, peer.p);
    struct veld_record read;
    cr_assert_eq(veld_record_read(peer.p, peer.len, &rig.network, NULL, rig.now_s, &read), 0);
    cr_assert_eq(read.sequence, 5);
    veld__coord__v1__register_request__free_unpacked(m, NULL);
    veld_blob_clear(&out);
    veld_blob_clear(&peer);

    want.family = 0;
    cr_assert_eq(veld_request_register(&out, rig.network.id, &me.chain, &record, &want), 0);
    m = veld__coord__v1__register_request__unpack(NULL, out.len, out.p);
    cr_assert_eq(m->want_ipv4.len, 0);
    veld__coord__v1__register_request__free_unpacked(m, NULL);
    veld_blob_clear(&out);
    struct veld_blob none = {0}, cut = {record.p, record.len - 1};
    cr_assert_eq(veld_request_register(&out, rig.network.id, &me.chain, &cut, &want),
                 VELD_E_FORMAT);
    cr_assert_null(out.p);
    cut = (struct veld_blob){me.chain.p, me.chain.len - 1};
    cr_assert_eq(veld_request_register(&out, rig.network.id, &cut, &record, &want),
                 VELD_E_FORMAT);
    cr_assert_eq(veld_request_register(&out, rig.network.id, &none, &none, &want), 0);
    veld_blob_clear(&out);
    veld_blob_clear(&record);
}

Test(mesh_requests, restoring)
{
    struct veld_blob out;
    cr_assert_eq(veld_request_restore(&out, &rig.network_bytes, &me.chain), 0);
    Veld__Coord__V1__CreateNetworkRequest *m =
        veld__coord__v1__create_network_request__unpack(NULL, out.len, out.p);
    cr_assert_not_null(m);
    cr_assert_not_null(m->chain);
    uint8_t bytes[VELD_SIGNED_MAX];
    cr_assert_eq(veld__trust__v1__signed__pack(m->network, bytes), rig.network_bytes.len);
    cr_assert_arr_eq(bytes, rig.network_bytes.p, rig.network_bytes.len);
    veld__coord__v1__create_network_request__free_unpacked(m, NULL);
    veld_blob_clear(&out);
}

Test(mesh_requests, asking_again)
{
    struct veld_join_request r = {.created_s = rig.now_s, .name = "me"}, read;
    struct veld_blob request = {0}, out;
    memcpy(r.network_id, rig.network.id, sizeof r.network_id);
    memcpy(r.member, me.id->pub, sizeof r.member);
    cr_assert_eq(veld_join_request_sign(&request, me.id->seed, &r), 0);
    cr_assert_eq(veld_request_join(&out, &request), 0);
    Veld__Coord__V1__RequestJoinRequest *m =
        veld__coord__v1__request_join_request__unpack(NULL, out.len, out.p);
    cr_assert_not_null(m);
    uint8_t sent[VELD_SIGNED_MAX];
    size_t len = veld__trust__v1__signed__pack(m->request, sent);
    cr_assert_eq(veld_join_request_read(sent, len, &read), 0);
    cr_assert_str_eq(read.name, "me");
    veld__coord__v1__request_join_request__free_unpacked(m, NULL);
    veld_blob_clear(&out);
    request.len--;
    cr_assert_eq(veld_request_join(&out, &request), VELD_E_FORMAT);
    veld_blob_clear(&request);
}

Test(mesh_requests, watching_signalling_leaving)
{
    struct veld_blob out, sealed = {(uint8_t[]){1, 2, 3}, 3};
    cr_assert_eq(veld_request_watch(&out, rig.network.id, 77, 5), 0);
    Veld__Coord__V1__WatchRequest *w =
        veld__coord__v1__watch_request__unpack(NULL, out.len, out.p);
    cr_assert_eq(w->from_revision, 77);
    cr_assert_eq(w->revocation_epoch, 5);
    cr_assert_eq(w->network_id.len, 32);
    veld__coord__v1__watch_request__free_unpacked(w, NULL);
    veld_blob_clear(&out);

    cr_assert_eq(veld_request_signal(&out, rig.network.id, me.id->pub, &sealed), 0);
    Veld__Coord__V1__SendSignalRequest *s =
        veld__coord__v1__send_signal_request__unpack(NULL, out.len, out.p);
    cr_assert_arr_eq(s->to.data, me.id->pub, 32);
    cr_assert_eq(s->sealed.len, 3);
    veld__coord__v1__send_signal_request__free_unpacked(s, NULL);
    veld_blob_clear(&out);

    cr_assert_eq(veld_request_leave(&out, rig.network.id), 0);
    Veld__Coord__V1__LeaveRequest *l =
        veld__coord__v1__leave_request__unpack(NULL, out.len, out.p);
    cr_assert_not(l->forget);
    veld__coord__v1__leave_request__free_unpacked(l, NULL);
    veld_blob_clear(&out);
}

static int read_reply(const void *ipv4, size_t len, const void *seen, size_t seen_len,
                      struct veld_registered *out)
{
    uint8_t bytes[256];
    Veld__Coord__V1__RegisterReply m = VELD__COORD__V1__REGISTER_REPLY__INIT;
    m.published = true;
    m.ipv4 = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)ipv4};
    m.seen_address = (ProtobufCBinaryData){seen_len, (uint8_t *)(uintptr_t)seen};
    return veld_reply_registered(bytes, veld__coord__v1__register_reply__pack(&m, bytes), out);
}

Test(mesh_requests, what_registering_brings)
{
    static const uint8_t ip[16] = {10, 100, 0, 7, 9}, loop[16] = {[15] = 1}, zero[16];
    struct veld_registered r;
    char text[VELD_IP_STRLEN];
    cr_assert_eq(read_reply(ip, 4, ip, 16, &r), 0);
    cr_assert_str_eq(veld_ip_format(&r.ipv4, text), "10.100.0.7");
    cr_assert_eq(r.seen.family, 6);
    cr_assert(r.published);
    static const size_t wrong[] = {0, 3, 5, 16};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(read_reply(ip, wrong[i], ip, 4, &r), VELD_E_FORMAT, "%zu", wrong[i]);
        cr_expect_eq(r.ipv4.family, 0);
    }
    cr_assert_eq(read_reply(zero, 4, ip, 4, &r), VELD_E_FORMAT);
    /* Where we are seen is a hint. */
    cr_assert_eq(read_reply(ip, 4, loop, 16, &r), 0);
    cr_assert_eq(r.seen.family, 0);
    cr_assert_eq(read_reply(ip, 4, ip, 7, &r), 0);
    cr_assert_eq(r.seen.family, 0);
    cr_assert_eq(veld_reply_registered((const uint8_t *)"\x0a\x7f", 2, &r), VELD_E_FORMAT);
}

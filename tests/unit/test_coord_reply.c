/* Replies as a server may send them: right ones, and what must not be taken for one. */
#include "rpc/coord_reply.h"

#include "trust/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <veld/coord/v1/coord.pb-c.h>

static struct veld_blob packed;

static void pack(const void *message)
{
    cr_assert_eq(veld_wire_pack(&packed, message, 1u << 30), 0);
}

static void teardown(void)
{
    veld_blob_clear(&packed);
}

TestSuite(coord_reply, .fini = teardown);

static Veld__Trust__V1__Signed *new_signed(size_t body_len)
{
    static uint8_t body[2 * VELD_RECORD_MAX], signer[32] = {1}, signature[64] = {2};
    Veld__Trust__V1__Signed *m = calloc(1, sizeof *m);
    veld__trust__v1__signed__init(m);
    m->body = veld_wire_bytes(body, body_len);
    m->signer = veld_wire_bytes(signer, sizeof signer);
    m->signature = veld_wire_bytes(signature, sizeof signature);
    return m;
}

/* ---- Single values ---- */

Test(coord_reply, hello)
{
    Veld__Coord__V1__HelloReply m = VELD__COORD__V1__HELLO_REPLY__INIT;
    struct veld_coord_hello h;
    char version[] = "1.2.3-rc4+x\x1b[2J";
    m.version = version;
    m.protocol = 1;
    m.time_ns = 5000;
    pack(&m);
    cr_assert_eq(veld_coord_read_hello(packed.p, packed.len, 7000, &h), 0);
    cr_expect_str_eq(h.version, "1.2.3-rc4+x");
    cr_expect(h.protocol == 1 && h.clock_ahead_ns == -2000);
    cr_assert_eq(veld_coord_read_hello(packed.p, packed.len, 1000, &h), 0);
    cr_expect_eq(h.clock_ahead_ns, 4000);
    char wordy[200];
    memset(wordy, 'v', sizeof wordy - 1);
    wordy[sizeof wordy - 1] = '\0';
    m.version = wordy;
    pack(&m);
    cr_assert_eq(veld_coord_read_hello(packed.p, packed.len, 0, &h), 0);
    cr_expect_eq(strlen(h.version), 31);
    cr_expect_eq(veld_coord_read_hello(packed.p, packed.len - 1, 0, &h), VELD_E_FORMAT);
}

Test(coord_reply, network)
{
    Veld__Coord__V1__LookupNetworkReply m = VELD__COORD__V1__LOOKUP_NETWORK_REPLY__INIT;
    struct veld_blob network = {0}, as_sent = {0};
    m.network = new_signed(100);
    pack(&m);
    cr_assert_eq(veld_coord_read_network(packed.p, packed.len, &network), 0);
    cr_assert_eq(veld_wire_pack(&as_sent, m.network, VELD_SIGNED_MAX), 0);
    cr_assert_eq(network.len, as_sent.len);
    cr_expect_arr_eq(network.p, as_sent.p, network.len);
    m.network->body.len = VELD_SIGNED_MAX;
    pack(&m);
    cr_expect_eq(veld_coord_read_network(packed.p, packed.len, &network), VELD_E_FORMAT);
    cr_expect_null(network.p);
    cr_expect_eq(veld_coord_read_network(NULL, 0, &network), VELD_E_FORMAT, "none in it");
    veld_blob_clear(&as_sent);
    free(m.network);
}

Test(coord_reply, join)
{
    Veld__Coord__V1__RequestJoinReply m = VELD__COORD__V1__REQUEST_JOIN_REPLY__INIT;
    Veld__Trust__V1__Chain proof = VELD__TRUST__V1__CHAIN__INIT;
    enum veld_coord_join state = VELD_JOIN_REFUSED;
    struct veld_blob chain = {0};
    m.state = VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_WAITING;
    pack(&m);
    cr_assert_eq(veld_coord_read_join(packed.p, packed.len, &state, &chain), 0);
    cr_expect(state == VELD_JOIN_WAITING && chain.p == NULL);
    m.state = VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_APPROVED;
    pack(&m);
    cr_expect_eq(veld_coord_read_join(packed.p, packed.len, &state, &chain), VELD_E_FORMAT,
                 "approved by nothing");
    cr_expect_eq(state, VELD_JOIN_WAITING);
    proof.membership = new_signed(50);
    m.chain = &proof;
    pack(&m);
    cr_assert_eq(veld_coord_read_join(packed.p, packed.len, &state, &chain), 0);
    cr_expect(state == VELD_JOIN_APPROVED && chain.len > 50);
    proof.membership->body.len = VELD_CHAIN_MAX;
    pack(&m);
    cr_expect_eq(veld_coord_read_join(packed.p, packed.len, &state, &chain), VELD_E_FORMAT);
    cr_expect_null(chain.p);
    m.state = VELD__COORD__V1__REQUEST_JOIN_REPLY__STATE__STATE_REFUSED;
    pack(&m);
    cr_assert_eq(veld_coord_read_join(packed.p, packed.len, &state, &chain), 0);
    cr_expect(state == VELD_JOIN_REFUSED && chain.p == NULL);
    static const uint8_t unknown[][2] = {{8, 0}, {8, 4}};
    for (size_t i = 0; i < 2; i++)
        cr_expect_eq(veld_coord_read_join(unknown[i], 2, &state, &chain), VELD_E_FORMAT);
    free(proof.membership);
}

Test(coord_reply, lease)
{
    static const uint8_t bytes[16] = {10, 100, 0, 7};
    Veld__Coord__V1__RegisterReply m = VELD__COORD__V1__REGISTER_REPLY__INIT;
    struct veld_ip ip = {0};
    m.ipv4 = veld_wire_bytes(bytes, 4);
    pack(&m);
    cr_assert_eq(veld_coord_read_lease(packed.p, packed.len, &ip), 0);
    cr_expect(ip.family == 4 && memcmp(ip.b, bytes, 4) == 0);
    for (size_t len = 0; len <= 16; len++) {
        m.ipv4 = veld_wire_bytes(bytes, len);
        pack(&m);
        if (len != 4)
            cr_expect_eq(veld_coord_read_lease(packed.p, packed.len, &ip), VELD_E_FORMAT, "%zu",
                         len);
    }
}

Test(coord_reply, revocations)
{
    Veld__Coord__V1__GetRevocationsReply m = VELD__COORD__V1__GET_REVOCATIONS_REPLY__INIT;
    Veld__Trust__V1__RevocationList list = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    struct veld_blob out = {0};
    cr_expect_eq(veld_coord_read_revocations(NULL, 0, &out), 0, "there is none");
    cr_expect_null(out.p);
    list.list = new_signed(1000);
    m.revocations = &list;
    pack(&m);
    cr_assert_eq(veld_coord_read_revocations(packed.p, packed.len, &out), 0);
    cr_expect_gt(out.len, 1000);
    uint8_t *big = calloc(1, VELD_REVOCATIONS_MAX);
    list.list->body = veld_wire_bytes(big, VELD_REVOCATIONS_MAX);
    pack(&m);
    cr_expect_eq(veld_coord_read_revocations(packed.p, packed.len, &out), VELD_E_FORMAT);
    cr_expect_null(out.p);
    free(big);
    free(list.list);
}

/* ---- Lists ---- */

Test(coord_reply, joins_up_to_a_bound)
{
    Veld__Coord__V1__ListJoinsReply m = VELD__COORD__V1__LIST_JOINS_REPLY__INIT;
    Veld__Trust__V1__Signed *requests[VELD_COORD_JOINS_MAX + 1], *one = new_signed(10);
    struct veld_blob *out;
    size_t n;
    for (size_t i = 0; i <= VELD_COORD_JOINS_MAX; i++)
        requests[i] = one;
    m.requests = requests;
    for (m.n_requests = 0; m.n_requests <= VELD_COORD_JOINS_MAX; m.n_requests += 128) {
        pack(&m);
        cr_assert_eq(veld_coord_read_joins(packed.p, packed.len, &out, &n), 0);
        cr_expect_eq(n, m.n_requests);
        veld_blobs_free(out, n);
    }
    m.n_requests = VELD_COORD_JOINS_MAX + 1;
    pack(&m);
    cr_expect_eq(veld_coord_read_joins(packed.p, packed.len, &out, &n), VELD_E_FORMAT);
    cr_expect(n == 0 && out == NULL);
    m.n_requests = 3;
    requests[2] = new_signed(VELD_SIGNED_MAX);
    pack(&m);
    cr_expect_eq(veld_coord_read_joins(packed.p, packed.len, &out, &n), VELD_E_FORMAT);
    cr_expect(n == 0 && out == NULL);
    free(requests[2]);
    free(one);
}

/* A page of `n` members, whose revisions follow `after` by `step`, with records of `body` bytes. */
static void pack_page(size_t n, uint64_t after, uint64_t step, size_t body, bool more)
{
    Veld__Coord__V1__ListPeersReply m = VELD__COORD__V1__LIST_PEERS_REPLY__INIT;
    Veld__Trust__V1__PeerRecord record = VELD__TRUST__V1__PEER_RECORD__INIT;
    Veld__Coord__V1__Member *members = calloc(n + 1, sizeof *members);
    Veld__Coord__V1__Member **list = calloc(n + 1, sizeof(void *));
    record.record = new_signed(body);
    for (size_t i = 0; i < n; i++) {
        veld__coord__v1__member__init(&members[i]);
        members[i].peer = body ? &record : NULL;
        members[i].revision = after + (i + 1) * step;
        list[i] = &members[i];
    }
    m.members = list;
    m.n_members = n;
    m.more = more;
    pack(&m);
    free(record.record);
    free(members);
    free(list);
}

static int read_page(struct veld_coord_peers *all)
{
    return veld_coord_read_peers(packed.p, packed.len, all);
}

Test(coord_reply, peers_page_by_page)
{
    struct veld_coord_peers all = {0};
    pack_page(100, 0, 2, 20, true);
    cr_assert_eq(read_page(&all), 0);
    cr_expect(all.n == 100 && all.after == 200 && all.more);
    pack_page(1, 200, 1, 0, true); /* somebody without a record yet */
    cr_assert_eq(read_page(&all), 0);
    cr_expect(all.n == 100 && all.after == 201 && all.more);
    pack_page(3, 300, 1, 20, false);
    cr_assert_eq(read_page(&all), 0);
    cr_expect(all.n == 103 && all.after == 303 && !all.more);
    pack_page(0, 0, 0, 20, false);
    cr_assert_eq(read_page(&all), 0);
    cr_expect(all.n == 103 && !all.more);
    veld_blobs_free(all.records, all.n);
}

Test(coord_reply, peers_that_lead_nowhere)
{
    static const struct {
        size_t n;
        uint64_t after, step;
    } bad[] = {{0, 0, 0}, {1, 49, 1}, {2, 40, 10}, {2, 60, 0}, {1, 0, 0}};
    struct veld_coord_peers all = {.after = 50};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pack_page(bad[i].n, bad[i].after, bad[i].step, 20, true);
        all.more = true;
        cr_expect_eq(read_page(&all), VELD_E_FORMAT, "%zu", i);
        cr_expect_not(all.more);
    }
    veld_blobs_free(all.records, all.n);
}

Test(coord_reply, peers_up_to_bounds)
{
    struct veld_coord_peers all = {0};
    pack_page(1, 0, 1, VELD_RECORD_MAX, false);
    cr_expect_eq(read_page(&all), VELD_E_FORMAT, "a long record");
    all.bytes = VELD_COORD_PEER_BYTES_MAX - 300;
    pack_page(2, 0, 1, 100, false);
    cr_expect_eq(read_page(&all), VELD_E_FORMAT, "too much in all");
    cr_expect_eq(all.n, 1);
    veld_blobs_free(all.records, all.n);

    all = (struct veld_coord_peers){0};
    int rc = 0;
    for (size_t pages = 0; rc == 0 && pages < 1000; pages++) {
        pack_page(1000, all.after, 1, 10, true);
        rc = read_page(&all);
    }
    cr_expect(rc == VELD_E_FORMAT && all.n == VELD_COORD_PEERS_MAX, "%d, %zu", rc, all.n);
    veld_blobs_free(all.records, all.n);
}

static long resident_max_kb(void)
{
    struct rusage u;
    cr_assert_eq(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_maxrss;
}

Test(coord_reply, what_unfolds_to_too_much)
{
    /* Half a million empty members: two bytes each on the wire, a hundred in memory. */
    size_t len = VELD_RPC_MESSAGE_MAX;
    uint8_t *p = malloc(len + 2);
    struct veld_coord_peers all = {0};
    for (size_t i = 0; i < len + 2; i += 2) {
        p[i] = 1 << 3 | 2;
        p[i + 1] = 0;
    }
    long before_kb = resident_max_kb();
    cr_expect_eq(veld_coord_read_peers(p, len, &all), VELD_E_FORMAT);
    cr_expect_eq(veld_coord_read_peers(p, len + 2, &all), VELD_E_FORMAT);
    cr_expect_lt(resident_max_kb() - before_kb, 24 << 10);
    free(p);
}

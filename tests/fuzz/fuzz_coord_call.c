/*
 * Calls as they come from outside, into a server with some members on a store in memory.
 *
 * An input is a script, four bytes a step: what, who, and two that change it. Valid requests
 * have bytes changed before they are signed, so that what is behind the signature is reached;
 * what is left of the input after a step "raw" is method, signature and request as it is.
 * At the end memory and store must agree.
 */
#include "../support/coord_dump.h"
#include "../support/coord_rig.h"

#define CALLERS   4 /* the owner, two members, an admin */
#define TEMPLATES 16
#define STEPS_MAX 64

struct template
{
    const char *method;
    uint8_t *body;
    size_t len;
    unsigned caller; /* who would make it */
};

static struct coord_rig r;
static const uint8_t *seeds[CALLERS];
static struct template template[TEMPLATES];
static unsigned n_templates;
static struct coord_watch watch[CALLERS];

static void add(const char *method, unsigned caller, const void *message)
{
    struct template *t = &template[n_templates++];
    t->method = method;
    t->caller = caller;
    t->len = protobuf_c_message_get_packed_size(message);
    t->body = g_malloc(t->len + 1);
    protobuf_c_message_pack(message, t->body);
}

/* Any message with the network's id as its first field. */
static void add_of_network(const char *method, unsigned caller)
{
    Veld__Coord__V1__ListJoinsRequest q = VELD__COORD__V1__LIST_JOINS_REQUEST__INIT;
    q.network_id = coord_id(&r);
    add(method, caller, &q);
}

static void add_register(unsigned caller, const struct test_member *m, uint64_t sequence)
{
    Veld__Coord__V1__RegisterRequest q = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    struct veld_record record = test_record(m, sequence);
    struct veld_blob bytes = {0};
    q.network_id = coord_id(&r);
    q.chain = coord_parse(&veld__trust__v1__chain__descriptor, &m->chain);
    q.want_ipv4 = coord_bytes("\x0a\x64\x05\x05", 4);
    if (sequence) {
        test_trust_must(veld_ip_parse("10.100.5.5", &record.ipv4), "address");
        test_trust_must(veld_record_sign(&bytes, m->id->seed, &record), "record");
        q.record = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    }
    add("RegisterMember", caller, &q);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
    veld__trust__v1__signed__free_unpacked(q.record, NULL);
    veld_blob_clear(&bytes);
}

static void add_joins(const struct test_member *m)
{
    Veld__Coord__V1__RequestJoinRequest ask = VELD__COORD__V1__REQUEST_JOIN_REQUEST__INIT;
    Veld__Coord__V1__AnswerJoinRequest answer = VELD__COORD__V1__ANSWER_JOIN_REQUEST__INIT;
    struct veld_join_request j = {.name = "server2", .created_s = r.trust.now_s};
    struct veld_blob bytes = {0};
    memcpy(j.network_id, r.trust.network.id, 32);
    memcpy(j.member, m->id->pub, 32);
    test_trust_must(veld_join_request_sign(&bytes, m->id->seed, &j), "request");
    ask.request = coord_parse(&veld__trust__v1__signed__descriptor, &bytes);
    add("RequestJoin", 2, &ask);
    answer.network_id = coord_id(&r);
    answer.member = coord_bytes(m->id->pub, 32);
    answer.chain = coord_parse(&veld__trust__v1__chain__descriptor, &m->chain);
    add("AnswerJoin", 0, &answer);
    veld__trust__v1__chain__free_unpacked(answer.chain, NULL);
    veld__trust__v1__signed__free_unpacked(ask.request, NULL);
    veld_blob_clear(&bytes);
}

static void add_revocations(const struct test_member *m)
{
    Veld__Coord__V1__PublishRevocationsRequest q =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REQUEST__INIT;
    struct veld_signer owner = test_owner(&r.trust);
    struct veld_revoked_entry e = {0};
    struct veld_blob list = {0};
    memcpy(e.key, m->id->pub, 32);
    test_trust_must(
        veld_revocations_add(&list, &owner, r.trust.network.id, NULL, &e, r.trust.now_s),
        "list");
    q.network_id = coord_id(&r);
    q.revocations = coord_parse(&veld__trust__v1__revocation_list__descriptor, &list);
    add("PublishRevocations", 0, &q);
    veld__trust__v1__revocation_list__free_unpacked(q.revocations, NULL);
    veld_blob_clear(&list);
}

static void prepare(void)
{
    static struct test_member m[3];
    coord_open(&r, NULL);
    m[0] = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
    m[1] = test_trust_join(&r.trust, 2, "server2", TEST_BY_ADMINS_TOKEN);
    m[2] = (struct test_member){.id = r.trust.admin, .chain = r.trust.admin_chain};
    test_member_read(&r.trust, &m[2]);
    seeds[0] = r.trust.owner_seed;
    for (unsigned i = 0; i < 3; i++)
        seeds[1 + i] = m[i].id->seed;
    Veld__Coord__V1__CreateNetworkRequest create =
        VELD__COORD__V1__CREATE_NETWORK_REQUEST__INIT;
    create.network = coord_parse(&veld__trust__v1__signed__descriptor, &r.trust.network_bytes);
    add("CreateNetwork", 0, &create);
    create.chain = coord_parse(&veld__trust__v1__chain__descriptor, &m[0].chain);
    add("CreateNetwork", 1, &create);
    veld__trust__v1__signed__free_unpacked(create.network, NULL);
    veld__trust__v1__chain__free_unpacked(create.chain, NULL);
    add_register(1, &m[0], 1);
    add_register(2, &m[1], 0);
    add_register(3, &m[2], 0);
    add_joins(&m[1]);
    add_of_network("Leave", 1);
    add_of_network("ListJoins", 3);
    add_of_network("ListPeers", 1);
    add_of_network("GetRevocations", 2);
    add_revocations(&m[1]);
    Veld__Coord__V1__LookupNetworkRequest lookup =
        VELD__COORD__V1__LOOKUP_NETWORK_REQUEST__INIT;
    static char name[] = "mynet";
    lookup.name = name;
    add("LookupNetwork", 2, &lookup);
    Veld__Coord__V1__SendSignalRequest signal = VELD__COORD__V1__SEND_SIGNAL_REQUEST__INIT;
    signal.network_id = coord_id(&r);
    signal.to = coord_bytes(m[0].id->pub, 32);
    signal.sealed = coord_bytes("sealed", 6);
    add("SendSignal", 3, &signal);
    Veld__Coord__V1__HelloRequest hello = VELD__COORD__V1__HELLO_REQUEST__INIT;
    add("Hello", 0, &hello);
}

/* A reply, or a status with a sentence: never both, never neither. */
static void check_end(void)
{
    bool is_ok = r.status.code == VELD_CODE_OK;
    if (is_ok != (r.reply.p != NULL) || is_ok != (r.status.text[0] == '\0') ||
        r.status.code == VELD_CODE_INTERNAL || r.reply.len > 1 << 20)
        abort();
}

static void signed_call(const uint8_t step[4], bool changed)
{
    const struct template *t = &template[step[1] % n_templates];
    Veld__Coord__V1__HelloRequest empty = VELD__COORD__V1__HELLO_REQUEST__INIT;
    struct coord_call c;
    struct veld_rpc_auth a = {.time_ns = r.now.wall_ns};
    const uint8_t *seed = seeds[changed && step[2] >> 6 == 3 ? step[3] % CALLERS : t->caller];
    coord_sign(&r, &c, NULL, t->method, &empty);
    g_free(c.body);
    c.body = g_memdup2(t->body, t->len + 1);
    c.request.body = c.body;
    c.request.len = t->len;
    if (changed && t->len) {
        size_t at = (step[2] & 63u) * t->len / 64;
        c.body[at] ^= step[3];
    }
    veld_ed25519_keypair(seed, a.key);
    veld_store_be64(a.nonce, ++r.nonce);
    c.request.auth = c.auth;
    c.request.auth_len =
        veld_rpc_sign(c.auth, seed, &a, c.method, r.cfg.certificate, c.body, c.request.len);
    coord_send(&r, &c);
    check_end();
    g_free(c.body);
}

/* "METHOD\0", then the signature's length, the signature, and the rest is the request. */
static void raw_call(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\0', size);
    char method[65];
    if (!end || end + 1 == data + size || end - data > 64)
        return;
    memcpy(method, data, (size_t)(end - data) + 1);
    size_t rest = size - (size_t)(end - data) - 2, auth_len = VELD_MIN((size_t)end[1], rest);
    struct coord_call c = {.request = {.method = method,
                                       .from = r.from,
                                       .auth = end + 2,
                                       .auth_len = auth_len,
                                       .body = end + 2 + auth_len,
                                       .len = rest - auth_len}};
    coord_send(&r, &c);
    check_end();
    struct veld_coord_status status;
    struct veld_watcher *w = veld_service_watch_open(r.service, &c.request, &r.now,
                                                     coord_on_ready, &watch[0], &status);
    if (w)
        abort(); /* nobody signed that */
}

static void watching(const uint8_t step[4])
{
    unsigned i = 1 + step[1] % (CALLERS - 1);
    struct coord_watch *w = &watch[i];
    Veld__Coord__V1__WatchRequest q = VELD__COORD__V1__WATCH_REQUEST__INIT;
    struct coord_call c;
    if (w->w) {
        if (step[2] & 1)
            coord_unwatch(&r, w);
        else
            coord_drain(&r, w);
        return;
    }
    q.network_id = coord_id(&r);
    q.from_revision = step[3] & 1 ? w->revision : step[3];
    q.revocation_epoch = step[2];
    coord_sign(&r, &c, seeds[i], "Watch", &q);
    if (!(step[3] & 1)) {
        coord_watch_free(&r, w);
        *w = (struct coord_watch){0};
    }
    if (!w->known)
        w->known = coord_known_table();
    w->w = veld_service_watch_open(r.service, &c.request, &r.now, coord_on_ready, w, &r.status);
    g_free(c.body);
    if (!r.hold)
        coord_commit(&r);
}

static void one_step(const uint8_t step[4])
{
    switch (step[0] % 8) {
    case 0:
    case 1: signed_call(step, false); break;
    case 2:
    case 3: signed_call(step, true); break;
    case 4: watching(step); break;
    case 5:
        r.hold = step[1] & 1;
        r.store->fail_at = step[2] % 16;
        coord_commit(&r);
        r.store->fail_at = 0;
        break;
    case 6:
        coord_pass(&r, (uint64_t)step[1] * step[2] * VELD_NS_PER_MS);
        coord_tick(&r);
        break;
    default:
        coord_pass(&r, (uint64_t)step[1] * step[2] * 10 * VELD_NS_PER_S);
        coord_tick(&r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!r.service)
        prepare();
    g_tree_remove_all(r.store->pairs);
    r.now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                              .wall_ns = r.trust.now_s * VELD_NS_PER_S};
    coord_reopen(&r);
    for (unsigned n = 0; size >= 4 && n < STEPS_MAX; n++, data += 4, size -= 4) {
        if (data[0] == 0xff) {
            raw_call(data + 1, size - 1);
            break;
        }
        one_step(data);
    }
    r.hold = false;
    coord_commit(&r);
    for (unsigned i = 0; i < CALLERS; i++) {
        coord_watch_free(&r, &watch[i]);
        watch[i] = (struct coord_watch){0};
    }
    if (!coord_is_as_stored(&r))
        abort();
    return 0;
}

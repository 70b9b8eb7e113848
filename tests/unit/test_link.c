/* The session with a made-up client of the coord server: what is called, and what comes of it. */
#include "control/mesh/link.h"

#include "../support/trust_rig.h"

#include <criterion/criterion.h>
#include <glib.h>
#include <string.h>

#include <veld/coord/v1/coord.pb-c.h>

/* ---- The client that is made up ---- */

struct veld_rpc_client {
    bool closed;
};

#define CALLS_MAX 128

static struct fake_call {
    char method[32];
    struct veld_blob body;
    bool is_signed;
    veld_rpc_done_fn *done;
    veld_rpc_message_fn *message;
    void *ctx;
    struct veld_rpc_client *client;
    bool ended;
} calls[CALLS_MAX];
static size_t n_calls;
static unsigned opened, cancelled;
static int open_result, call_result;
static char waited[32]; /* the last method of call_wait */

int veld_rpc_open(struct veld_rpc_client **out, const struct veld_rpc_server *server,
                  struct veld_diag *diag)
{
    cr_assert_str_eq(server->address, "coord.example:50051");
    if (open_result < 0)
        return veld_fail(diag, open_result, "no gRPC here");
    opened++;
    *out = g_new0(struct veld_rpc_client, 1);
    return 0;
}

static void end_call(struct fake_call *c, int err, const char *text, const struct veld_blob *r)
{
    struct veld_rpc_result result = {.err = err, .text = text};
    if (r) {
        result.reply = r->p;
        result.len = r->len;
    }
    cr_assert_not(c->ended, "%s", c->method);
    c->ended = true;
    c->done(c->ctx, &result);
}

/* A client that is slow to close hears the last words of its calls late. */
static gint hold_close; /* atomic */

void veld_rpc_close(struct veld_rpc_client *c)
{
    while (g_atomic_int_get(&hold_close))
        g_usleep(1000);
    for (size_t i = 0; c && i < n_calls; i++) {
        if (calls[i].client == c && !calls[i].ended && calls[i].message)
            calls[i].message(calls[i].ctx, NULL, 0);
    }
    for (size_t i = 0; c && i < n_calls; i++) {
        if (calls[i].client == c && !calls[i].ended)
            end_call(&calls[i], VELD_E_STATE, "closed", NULL);
    }
    g_free(c);
}

static struct fake_call *note(struct veld_rpc_client *client, const char *method,
                              const struct veld_rpc_key *key, const void *body, size_t len)
{
    cr_assert_lt(n_calls, CALLS_MAX);
    struct fake_call *c = &calls[n_calls++];
    *c = (struct fake_call){.client = client, .is_signed = key != NULL};
    snprintf(c->method, sizeof c->method, "%s", method);
    cr_assert_eq(veld_blob_set(&c->body, body, len), 0);
    return c;
}

int veld_rpc_call(struct veld_rpc_client *client, const struct veld_rpc_key *key,
                  const char *method, const void *body, size_t len, int timeout_ms,
                  veld_rpc_done_fn *done, void *ctx)
{
    cr_assert_gt(timeout_ms, 0);
    if (call_result < 0)
        return call_result;
    struct fake_call *c = note(client, method, key, body, len);
    c->done = done;
    c->ctx = ctx;
    return 0;
}

int veld_rpc_call_wait(struct veld_rpc_client *client, const struct veld_rpc_key *key,
                       const char *method, const void *body, size_t len, int timeout_ms,
                       struct veld_blob *reply, struct veld_diag *diag)
{
    cr_assert_leq(timeout_ms, VELD_LINK_LEAVE_MS);
    snprintf(waited, sizeof waited, "%s", method);
    return veld_fail(diag, VELD_E_IO, "gone");
}

int veld_rpc_stream(struct veld_rpc_client *client, const struct veld_rpc_key *key,
                    const char *method, const void *body, size_t len,
                    veld_rpc_message_fn *message, veld_rpc_done_fn *done, void *ctx,
                    uint64_t *stream)
{
    struct fake_call *c = note(client, method, key, body, len);
    c->message = message;
    c->done = done;
    c->ctx = ctx;
    *stream = n_calls;
    return 0;
}

void veld_rpc_stream_cancel(struct veld_rpc_client *client, uint64_t stream)
{
    cancelled++;
    end_call(&calls[stream - 1], VELD_E_STATE, "cancelled", NULL);
}

const char *veld_rpc_address(const struct veld_rpc_client *client)
{
    return "coord.example:50051";
}

/* ---- The session, its intake, and whoever knows the network ---- */

static struct test_trust rig;
static struct test_member me;
static struct veld_intake *intake;
static struct veld_link *session;
static unsigned results, signed_records, registered_calls, lists, changes;
static bool record_differs;
static struct veld_registered last_registered;

static int sign_record(void *ctx, struct veld_blob *out, struct veld_ip *want)
{
    struct veld_record r = test_record(&me, ++signed_records);
    *want = (struct veld_ip){.family = 4, .b = {10, 100, 0, 7}};
    return veld_record_sign(out, me.id->seed, &r);
}

static bool on_registered(void *ctx, const struct veld_registered *r)
{
    registered_calls++;
    last_registered = *r;
    return record_differs;
}

static void resume(void *ctx, uint64_t *revision, uint64_t *epoch)
{
    *revision = 77;
    *epoch = 5;
}

static void on_list(void *ctx, const struct veld_blob *list)
{
    lists++;
}

static void on_change(void *ctx)
{
    changes++;
}

static void on_result(void *ctx, struct veld_intake_result *r)
{
    results++;
    if (r->kind == VELD_INTAKE_PLAIN)
        veld_link_on_plain(session, r);
    else
        (void)!veld_link_on_heard(session, r);
}

static uint64_t now_s(void)
{
    return TEST_TRUST_NOW;
}

static void setup(void)
{
    test_trust_make(&rig);
    me = test_trust_join(&rig, 1, "me", TEST_BY_TOKEN);
    struct veld_intake_config in = {.network = &rig.network, .now_s = now_s, .done = on_result};
    cr_assert_eq(veld_intake_open(&intake, &in), 0);
    struct veld_link_config cfg = {.server = {.address = "coord.example:50051"},
                                   .identity = me.id,
                                   .network_id = rig.network.id,
                                   .signed_network = &rig.network_bytes,
                                   .chain = &me.chain,
                                   .intake = intake,
                                   .ops = {.record = sign_record,
                                           .registered = on_registered,
                                           .resume = resume,
                                           .refused = on_list,
                                           .changed = on_change}};
    veld_link_open(&session, &cfg);
}

static void cleanup(void)
{
    veld_intake_stop(intake);
    veld_link_stop(session);
    veld_link_close(session);
    veld_intake_close(intake);
    for (size_t i = 0; i < n_calls; i++)
        veld_blob_clear(&calls[i].body);
    test_member_free(&me);
    test_trust_free(&rig);
}

TestSuite(link, .init = setup, .fini = cleanup, .timeout = 20);

/* Until what was told has come through the intake. */
static void take(unsigned n)
{
    for (unsigned until = results + n; results < until;)
        g_main_context_iteration(NULL, TRUE);
}

static struct fake_call *last(const char *method)
{
    cr_assert_gt(n_calls, 0);
    struct fake_call *c = &calls[n_calls - 1];
    cr_assert_str_eq(c->method, method);
    return c;
}

static void fails(const char *method, int err, const char *text)
{
    end_call(last(method), err, text, NULL);
    take(1);
}

static void is_registered(bool published)
{
    uint8_t bytes[64], ip[4] = {10, 100, 0, 7}, seen[4] = {203, 0, 113, 9};
    Veld__Coord__V1__RegisterReply m = VELD__COORD__V1__REGISTER_REPLY__INIT;
    m.ipv4 = (ProtobufCBinaryData){4, ip};
    m.seen_address = (ProtobufCBinaryData){4, seen};
    m.published = published;
    struct veld_blob reply = {bytes, veld__coord__v1__register_reply__pack(&m, bytes)};
    end_call(last("RegisterMember"), 0, "", &reply);
    take(1);
}

static void says(struct fake_call *watch, const void *p, size_t len)
{
    watch->message(watch->ctx, p, len);
    take(1);
}

static struct veld_link_info info(void)
{
    struct veld_link_info i;
    veld_link_get_info(session, &i);
    return i;
}

static struct fake_call *connect_link(void)
{
    veld_link_start(session);
    is_registered(true);
    struct fake_call *watch = last("Watch");
    says(watch, NULL, 0);
    cr_assert(veld_link_is_connected(session));
    return watch;
}

/* ---- Tests ---- */

Test(link, registers_watches_and_is_connected)
{
    veld_link_start(session);
    struct fake_call *c = last("RegisterMember");
    cr_assert(c->is_signed);
    Veld__Coord__V1__RegisterRequest *m =
        veld__coord__v1__register_request__unpack(NULL, c->body.len, c->body.p);
    cr_assert_not_null(m);
    cr_assert_not_null(m->record);
    cr_assert_eq(m->want_ipv4.data[3], 7);
    veld__coord__v1__register_request__free_unpacked(m, NULL);
    is_registered(true);
    cr_assert_eq(last_registered.seen.b[3], 9);

    c = last("Watch");
    Veld__Coord__V1__WatchRequest *w =
        veld__coord__v1__watch_request__unpack(NULL, c->body.len, c->body.p);
    cr_assert_eq(w->from_revision, 77);
    cr_assert_eq(w->revocation_epoch, 5);
    veld__coord__v1__watch_request__free_unpacked(w, NULL);
    cr_assert_eq(info().phase, VELD_LINK_OPENING);
    says(c, NULL, 0);
    cr_assert_eq(info().phase, VELD_LINK_WATCHING);
    cr_assert_eq(info().connections, 1);
    cr_assert_str_eq(info().error, "");
    cr_assert_gt(changes, 0);
}

Test(link, a_record_that_the_answer_changes_is_signed_again)
{
    record_differs = true;
    veld_link_start(session);
    is_registered(false);
    cr_assert_eq(signed_records, 2);
    is_registered(false);
    last("Watch");
    cr_assert_eq(signed_records, 2, "and once only");
}

Test(link, a_record_that_is_not_published_is_told_of)
{
    veld_link_start(session);
    is_registered(false);
    cr_assert_not_null(strstr(info().error, "does not publish"));
}

Test(link, an_answer_that_is_none)
{
    struct veld_blob junk = {(uint8_t *)(uintptr_t) "\xff\xff", 2};
    veld_link_start(session);
    end_call(last("RegisterMember"), 0, "", &junk);
    take(1);
    cr_assert_eq(info().phase, VELD_LINK_RESTING);
    cr_assert_eq(info().err, VELD_E_FORMAT);
    cr_assert_eq(registered_calls, 0);
}

Test(link, what_the_server_says_is_shown)
{
    veld_link_start(session);
    fails("RegisterMember", VELD_E_EXIST, "the name is another's");
    cr_assert_str_eq(info().error, "the name is another's");
    cr_assert_eq(info().err, VELD_E_EXIST);
    cr_assert_str_eq(veld_link_phase_name(info().phase), "waiting");
}

Test(link, a_lost_network_is_brought_back)
{
    veld_link_start(session);
    fails("RegisterMember", VELD_E_NOENT, "no such network");
    struct fake_call *c = last("CreateNetwork");
    Veld__Coord__V1__CreateNetworkRequest *m =
        veld__coord__v1__create_network_request__unpack(NULL, c->body.len, c->body.p);
    cr_assert(m && m->network && m->chain);
    veld__coord__v1__create_network_request__free_unpacked(m, NULL);
    struct veld_blob none = {0};
    end_call(c, 0, "", &none);
    take(1);
    last("RegisterMember");
}

Test(link, a_wrong_clock_is_told_plainly)
{
    uint8_t bytes[64];
    Veld__Coord__V1__HelloReply m = VELD__COORD__V1__HELLO_REPLY__INIT;
    m.protocol = 1;
    m.version = (char *)(uintptr_t) "0.1.0";
    m.time_ns = veld_clock_now().wall_ns + 500 * VELD_NS_PER_S;
    struct veld_blob reply = {bytes, veld__coord__v1__hello_reply__pack(&m, bytes)};
    veld_link_start(session);
    fails("RegisterMember", VELD_E_AUTH, "the time of the call is wrong");
    struct fake_call *c = last("Hello");
    cr_assert_not(c->is_signed, "which needs no right clock");
    end_call(c, 0, "", &reply);
    take(1);
    cr_assert_gt(info().skew_ns, 498 * (int64_t)VELD_NS_PER_S);
    cr_assert_lt(info().skew_ns, 502 * (int64_t)VELD_NS_PER_S);
}

Test(link, what_the_server_takes_to_answer_is_of_this_connection_and_asked_once_at_a_time)
{
    uint8_t bytes[64];
    Veld__Coord__V1__HelloReply m = VELD__COORD__V1__HELLO_REPLY__INIT;
    m.protocol = 1;
    m.version = (char *)(uintptr_t) "0.1.0";
    m.time_ns = veld_clock_now().wall_ns;
    struct veld_blob reply = {bytes, veld__coord__v1__hello_reply__pack(&m, bytes)};
    connect_link();
    cr_assert_eq(info().rtt_ns, 0, "not asked yet");
    size_t before = n_calls;
    veld_link_ask_time(session);
    veld_link_ask_time(session);
    cr_assert_eq(n_calls, before + 1);
    end_call(last("Hello"), 0, "", &reply);
    take(1);
    cr_assert_gt(info().rtt_ns, 0);
    cr_assert_eq(info().skew_ns, 0);
    veld_link_ask_time(session);
    end_call(last("Hello"), VELD_E_IO, "no answer", NULL);
    take(1);
    veld_link_ask_time(session);
    cr_assert_eq(n_calls, before + 3, "a failure does not end asking");
    end_call(last("Hello"), VELD_E_IO, "no answer", NULL);
    take(1);
    call_result = VELD_E_LIMIT;
    veld_link_ask_time(session);
    call_result = 0;
    veld_link_ask_time(session);
    cr_assert_eq(n_calls, before + 4, "nor does one that cannot be sent");
    cr_assert_gt(info().rtt_ns, 0);
    veld_link_renew(session);
    cr_assert_eq(info().rtt_ns, 0, "nothing is known of this connection");
}

Test(link, one_that_is_refused_asks_for_the_list)
{
    uint8_t bytes[256];
    Veld__Coord__V1__GetRevocationsReply m = VELD__COORD__V1__GET_REVOCATIONS_REPLY__INIT;
    Veld__Trust__V1__RevocationList list = VELD__TRUST__V1__REVOCATION_LIST__INIT;
    Veld__Trust__V1__Signed some = VELD__TRUST__V1__SIGNED__INIT;
    list.list = &some;
    m.revocations = &list;
    struct veld_blob reply = {bytes, veld__coord__v1__get_revocations_reply__pack(&m, bytes)};
    veld_link_start(session);
    fails("RegisterMember", VELD_E_PERM, "revoked");
    end_call(last("GetRevocations"), 0, "", &reply);
    take(1);
    cr_assert_eq(lists, 1);
}

Test(link, the_end_of_a_watch_is_told_and_rested_upon)
{
    connect_link();
    fails("Watch", VELD_E_IO, "the server stops");
    cr_assert_eq(info().phase, VELD_LINK_RESTING);
    cr_assert_str_eq(info().error, "the server stops");
    while (n_calls < 3) /* about a second */
        g_main_context_iteration(NULL, TRUE);
    last("RegisterMember");
}

Test(link, a_watch_that_is_cut_has_its_reason)
{
    connect_link();
    veld_link_cut(session, "it sends too much");
    veld_link_cut(session, "and more");
    take(1);
    cr_assert_eq(cancelled, 1);
    cr_assert_str_eq(info().error, "it sends too much");
    cr_assert_eq(info().phase, VELD_LINK_RESTING);
}

/* What comes of the connection before is not taken for the new one's, however late. */
Test(link, another_connection)
{
    struct veld_blob sealed = {(uint8_t *)(uintptr_t) "xy", 2};
    connect_link();
    for (unsigned i = 0; i < VELD_LINK_CALLS_MAX; i++)
        cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), 0);
    g_atomic_int_set(&hold_close, 1);
    veld_link_renew(session);
    cr_assert_eq(opened, 2);
    veld_link_renew(session);
    cr_assert_eq(opened, 2, "not while the last one closes");
    is_registered(true);
    struct fake_call *watch = last("Watch");
    g_atomic_int_set(&hold_close, 0);
    take(1 + 1 + VELD_LINK_CALLS_MAX); /* the old watch speaks, ends, and so do the signals */
    cr_assert_eq(info().phase, VELD_LINK_OPENING, "it changes nothing");
    cr_assert_not(watch->ended);
    says(watch, NULL, 0);
    cr_assert_eq(info().connections, 2);
    cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), 0);
    g_usleep(20000);
    veld_link_renew(session);
    cr_assert_eq(opened, 3);
}

Test(link, what_is_sent_beside_is_bounded)
{
    struct veld_blob sealed = {(uint8_t *)(uintptr_t) "xy", 2};
    cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), VELD_E_STATE);
    connect_link();
    size_t first = n_calls;
    for (unsigned i = 0; i < VELD_LINK_CALLS_MAX; i++)
        cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), 0);
    cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), VELD_E_LIMIT);
    end_call(&calls[first], VELD_E_STATE, "not there", NULL);
    take(1);
    cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), 0);
    cr_assert(veld_link_is_connected(session), "a signal that is lost is no failure");
    veld_link_cut(session, "for a while");
    take(1);
    cr_assert_eq(veld_link_send_signal(session, me.id->pub, &sealed), VELD_E_STATE);
}

Test(link, what_cannot_be_begun_is_tried_again)
{
    call_result = VELD_E_FULL;
    veld_link_start(session);
    cr_assert_eq(info().phase, VELD_LINK_RESTING);
    call_result = 0;
    while (n_calls < 1)
        g_main_context_iteration(NULL, TRUE);
    last("RegisterMember");
}

Test(link, without_a_client_there_is_a_sentence)
{
    open_result = VELD_E_UNSUPPORTED;
    veld_link_start(session);
    cr_assert_str_eq(info().error, "no gRPC here");
    cr_assert_eq(info().phase, VELD_LINK_STOPPED);
    veld_link_renew(session);
    veld_link_on_record_changed(session);
}

Test(link, one_that_is_connected_says_that_it_goes)
{
    connect_link();
    veld_intake_stop(intake);
    veld_link_stop(session);
    cr_assert_str_eq(waited, "Leave");
    cr_assert_eq(cancelled, 1);
}

Test(link, one_that_is_not_says_nothing)
{
    veld_link_start(session);
    veld_intake_stop(intake);
    veld_link_stop(session);
    cr_assert_str_eq(waited, "");
}

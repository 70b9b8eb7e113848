#include "control/mesh/link.h"

#include "base/log.h"
#include "crypto/primitives.h"
#include "rpc/coord_reply.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTER_MS 15000
#define HELLO_MS    10000
#define SEND_MS     10000

/* A call under way; the intake's tag of its end. */
enum call_kind {
    CALL_REGISTER,
    CALL_RESTORE,
    CALL_HELLO,
    CALL_WATCH,
    CALL_SIGNAL,
    CALL_LIST,
    CALL_GET_LIST,
    CALL_JOIN,
};

struct call {
    struct veld_intake *intake;
    uint64_t tag; /* of the connection and of the kind */
    /* CALL_WATCH; read by the client's thread. */
    struct veld_rpc_client *client;
    uint64_t stream;
};

struct veld_link {
    struct veld_link_config cfg;
    struct veld_link_state state;
    struct veld_rpc_client *client; /* NULL: it could not be made, or is not yet */
    uint64_t connection;            /* its number */
    struct closer *closer;          /* of the one before; NULL: it is closed */
    GSource *timer;
    uint64_t stream;       /* of the watch */
    struct veld_now asked; /* when Hello was */
    uint64_t asking;       /* the connection it is under way on, and 1; 0: it is not */
    uint64_t rtt_ns;       /* of the last Hello on `rtt_connection` */
    uint64_t rtt_connection;
    unsigned sending; /* signals and lists under way */
    struct veld_diag error;
    int err;
    int64_t skew_ns;
    uint64_t connections;
    bool cut; /* the watch's end has its reason already */
};

/* Closing waits for callbacks, which may wait for room in the intake: not on the control thread. */
struct closer {
    struct veld_rpc_client *client;
    GThread *thread;
    gint done; /* atomic; set by the thread */
};

#define TAG(connection, kind) ((uint64_t)(connection) << 8 | (kind))
#define TAG_KIND(tag)         ((enum call_kind)((tag)&0xff))
#define TAG_CONNECTION(tag)   ((tag) >> 8)

/* ---- Calls: begun here, ended on the client's thread, told by the intake ---- */

static void on_done(void *ctx, const struct veld_rpc_result *r)
{
    struct call *call = ctx;
    struct veld_intake_item item = {
        .kind = VELD_INTAKE_PLAIN,
        .tag = call->tag,
        .err = r->err,
        .bytes = r->err < 0 ? (const uint8_t *)r->text : r->reply,
        .len = r->err < 0 ? strlen(r->text) : r->len,
    };
    /* Refused only once the link stops, when nobody wants to know. */
    if (veld_intake_push(call->intake, &item) < 0)
        veld_debug("the end of a call is not told any more");
    free(call);
}

static void on_message(void *ctx, const uint8_t *message, size_t len)
{
    struct call *call = ctx;
    struct veld_intake_item item = {
        .kind = VELD_INTAKE_EVENT, .tag = call->tag, .bytes = message, .len = len};
    /* An event less, and all that follow would be wrong: begin anew. */
    if (veld_intake_push(call->intake, &item) < 0)
        veld_rpc_stream_cancel(call->client, call->stream);
}

static struct call *new_call(struct veld_link *l, enum call_kind kind)
{
    struct call *call = calloc(1, sizeof *call);
    if (call)
        *call = (struct call){
            .intake = l->cfg.intake, .tag = TAG(l->connection, kind), .client = l->client};
    return call;
}

static struct veld_rpc_key key_of(const struct veld_link *l)
{
    return (struct veld_rpc_key){.seed = l->cfg.identity->seed, .pub = l->cfg.identity->pub};
}

/* Clears `body`. */
static int send_call(struct veld_link *l, enum call_kind kind, const char *method,
                     struct veld_blob *body, int timeout_ms)
{
    struct veld_rpc_key key = key_of(l);
    struct call *call = l->client ? new_call(l, kind) : NULL;
    int rc = !l->client ? VELD_E_STATE : call ? 0 : VELD_E_NOMEM;
    if (rc == 0)
        rc = veld_rpc_call(l->client, kind == CALL_HELLO ? NULL : &key, method, body->p,
                           body->len, timeout_ms, on_done, call);
    if (rc < 0)
        free(call);
    veld_blob_clear(body);
    return rc;
}

static int register_member(struct veld_link *l)
{
    struct veld_blob record = {0}, body = {0};
    struct veld_ip want;
    int rc = l->cfg.ops.record(l->cfg.ops.ctx, &record, &want);
    if (rc == 0)
        rc = veld_request_register(&body, l->cfg.network_id, l->cfg.chain, &record, &want);
    veld_blob_clear(&record);
    return rc < 0 ? rc : send_call(l, CALL_REGISTER, "RegisterMember", &body, REGISTER_MS);
}

static int restore_network(struct veld_link *l)
{
    struct veld_blob body = {0};
    int rc = veld_request_restore(&body, l->cfg.signed_network, l->cfg.chain);
    return rc < 0 ? rc : send_call(l, CALL_RESTORE, "CreateNetwork", &body, REGISTER_MS);
}

static int open_watch(struct veld_link *l)
{
    struct veld_blob body = {0};
    struct veld_rpc_key key = key_of(l);
    uint64_t revision = 0, epoch = 0;
    l->cfg.ops.resume(l->cfg.ops.ctx, &revision, &epoch);
    struct call *call = l->client ? new_call(l, CALL_WATCH) : NULL;
    int rc =
        call ? veld_request_watch(&body, l->cfg.network_id, revision, epoch) : VELD_E_STATE;
    if (rc == 0)
        rc = veld_rpc_stream(l->client, &key, "Watch", body.p, body.len, on_message, on_done,
                             call, &call->stream);
    if (rc < 0)
        free(call);
    else
        l->stream = call->stream;
    veld_blob_clear(&body);
    return rc;
}

void veld_link_ask_time(struct veld_link *l)
{
    struct veld_blob nothing = {0};
    if (l->asking == l->connection + 1)
        return;
    l->asked = veld_clock_now();
    l->asking = l->connection + 1;
    if (send_call(l, CALL_HELLO, "Hello", &nothing, HELLO_MS) == 0)
        return;
    l->asking = 0;
    veld_debug("cannot ask the coord server's time");
}

/* Refused for good: is it true? The list of revocations proves itself. */
static void ask_list(struct veld_link *l)
{
    struct veld_blob body;
    if (veld_request_get_revocations(&body, l->cfg.network_id) < 0 ||
        send_call(l, CALL_GET_LIST, "GetRevocations", &body, SEND_MS) < 0)
        veld_debug("cannot ask for the list of revocations");
}

/* ---- Steps ---- */

static unsigned step_once(struct veld_link *l, enum veld_link_event_type type, int err,
                          bool unpublished)
{
    struct veld_link_event ev = {.type = type, .err = err, .unpublished = unpublished};
    veld_random(&ev.random, sizeof ev.random);
    return veld_link_step(&l->state, &ev, veld_clock_mono_ns());
}

static void set_error(struct veld_link *l, int err, const char *what, const char *why)
{
    l->err = err;
    snprintf(l->error.text, sizeof l->error.text, "%s%s%s", what, what[0] ? ": " : "", why);
}

/* What cannot even be begun has failed. */
static void carry_out(struct veld_link *l, unsigned act)
{
    while (act) {
        enum veld_link_event_type failed = VELD_LINK_EV_REGISTERED;
        int rc = 0;
        if (act & VELD_LINK_DO_CANCEL && l->client)
            veld_rpc_stream_cancel(l->client, l->stream);
        if (act & VELD_LINK_DO_ASK_TIME)
            veld_link_ask_time(l);
        if (act & VELD_LINK_DO_REGISTER) {
            rc = register_member(l);
        } else if (act & VELD_LINK_DO_RESTORE) {
            rc = restore_network(l);
            failed = VELD_LINK_EV_RESTORED;
        } else if (act & VELD_LINK_DO_WATCH) {
            rc = open_watch(l);
            failed = VELD_LINK_EV_ENDED;
        }
        if (rc == 0)
            break;
        set_error(l, rc, "the coord server cannot be asked", veld_strerror(rc));
        act = step_once(l, failed, rc, false);
    }
}

static void rearm(struct veld_link *l)
{
    uint64_t deadline = l->state.deadline_ns, now = veld_clock_mono_ns();
    if (!l->timer)
        return;
    g_source_set_ready_time(
        l->timer, deadline == UINT64_MAX
                      ? -1
                      : g_get_monotonic_time() +
                            (gint64)(deadline > now ? (deadline - now + 999) / 1000 : 0));
}

static void step(struct veld_link *l, enum veld_link_event_type type, int err, bool unpublished)
{
    enum veld_link_phase before = l->state.phase;
    carry_out(l, step_once(l, type, err, unpublished));
    rearm(l);
    if (l->state.phase == before)
        return;
    if (l->state.phase == VELD_LINK_WATCHING) {
        l->connections++;
        set_error(l, 0, "", "");
        veld_info("connected to the coord server at %s", l->cfg.server.address);
    } else if (before == VELD_LINK_WATCHING) {
        veld_warn("lost the coord server at %s: %s; peers that are known stay",
                  l->cfg.server.address, l->error.text);
    }
    l->cfg.ops.changed(l->cfg.ops.ctx);
}

static gboolean on_timer(gpointer data)
{
    struct veld_link *l = data;
    g_source_set_ready_time(l->timer, -1);
    if (l->state.phase == VELD_LINK_OPENING)
        set_error(l, VELD_E_IO, "", "the coord server accepts the watch, but says nothing");
    step(l, VELD_LINK_EV_TIMER, 0, false);
    return G_SOURCE_CONTINUE;
}

/* ---- What comes of calls ---- */

static void on_registered(struct veld_link *l, const struct veld_intake_result *r)
{
    struct veld_registered registered;
    int err = r->err;
    bool again = false;
    if (err == 0)
        err = veld_reply_registered(r->plain.p, r->plain.len, &registered);
    if (err == 0) {
        l->skew_ns = 0;
        again = l->cfg.ops.registered(l->cfg.ops.ctx, &registered);
        if (registered.published)
            set_error(l, 0, "", "");
        else if (!again)
            set_error(l, VELD_E_INVAL, "",
                      "the coord server does not publish this machine's record");
    } else {
        set_error(l, err, "",
                  r->err < 0 ? (const char *)r->plain.p
                             : "the coord server's answer cannot be read");
    }
    step(l, VELD_LINK_EV_REGISTERED, err, err == 0 && again);
    if (err == VELD_E_PERM)
        ask_list(l);
}

static void on_list(struct veld_link *l, const struct veld_intake_result *r)
{
    struct veld_blob list = {0};
    if (r->err == 0 && veld_coord_read_revocations(r->plain.p, r->plain.len, &list) == 0 &&
        list.len > 0)
        l->cfg.ops.refused(l->cfg.ops.ctx, &list);
    veld_blob_clear(&list);
}

static void on_answer(struct veld_link *l, const struct veld_intake_result *r)
{
    struct veld_blob chain = {0};
    enum veld_coord_join state = VELD_JOIN_WAITING;
    l->sending--;
    if (r->err < 0)
        veld_debug("the coord server is asked after the request again: %s",
                   (const char *)r->plain.p);
    else if (veld_coord_read_join(r->plain.p, r->plain.len, &state, &chain) == 0)
        l->cfg.ops.answered(l->cfg.ops.ctx, state, &chain);
    veld_blob_clear(&chain);
}

static void on_hello(struct veld_link *l, const struct veld_intake_result *r)
{
    struct veld_coord_hello hello;
    struct veld_now now = veld_clock_now();
    l->asking = 0;
    if (r->err < 0 || veld_coord_read_hello(
                          r->plain.p, r->plain.len,
                          l->asked.wall_ns + (now.wall_ns - l->asked.wall_ns) / 2, &hello) < 0)
        return;
    l->rtt_ns = now.mono_ns - l->asked.mono_ns;
    l->rtt_connection = l->connection;
    int64_t limit = (int64_t)(VELD_LINK_SKEW_S * VELD_NS_PER_S);
    bool differs = hello.clock_ahead_ns > limit || hello.clock_ahead_ns < -limit;
    l->skew_ns = differs ? hello.clock_ahead_ns : 0;
    l->cfg.ops.changed(l->cfg.ops.ctx);
}

void veld_link_on_plain(struct veld_link *l, const struct veld_intake_result *r)
{
    if (TAG_CONNECTION(r->tag) != l->connection)
        return;
    switch (TAG_KIND(r->tag)) {
    case CALL_REGISTER: on_registered(l, r); break;
    case CALL_RESTORE:
        if (r->err < 0)
            set_error(l, r->err, "the network cannot be brought back",
                      (const char *)r->plain.p);
        else
            veld_info("the coord server had lost the network, and has it again");
        step(l, VELD_LINK_EV_RESTORED, r->err, false);
        break;
    case CALL_HELLO: on_hello(l, r); break;
    case CALL_WATCH:
        l->stream = 0;
        if (!l->cut &&
            (l->state.phase == VELD_LINK_OPENING || l->state.phase == VELD_LINK_WATCHING))
            set_error(l, r->err < 0 ? r->err : VELD_E_IO, "",
                      r->err < 0 ? (const char *)r->plain.p
                                 : "the coord server ended the watch");
        l->cut = false;
        step(l, VELD_LINK_EV_ENDED, r->err < 0 ? r->err : VELD_E_IO, false);
        break;
    case CALL_GET_LIST: on_list(l, r); break;
    case CALL_JOIN: on_answer(l, r); break;
    case CALL_SIGNAL:
    case CALL_LIST:
        l->sending--;
        if (r->err < 0)
            veld_debug("the coord server does not take a %s: %s",
                       TAG_KIND(r->tag) == CALL_LIST ? "list of revocations" : "signal",
                       (const char *)r->plain.p);
        break;
    }
}

bool veld_link_on_heard(struct veld_link *l, const struct veld_intake_result *r)
{
    if (TAG_CONNECTION(r->tag) != l->connection)
        return false;
    step(l, VELD_LINK_EV_HEARD, 0, false);
    return true;
}

void veld_link_on_record_changed(struct veld_link *l)
{
    step(l, VELD_LINK_EV_CHANGED, 0, false);
}

void veld_link_cut(struct veld_link *l, const char *why)
{
    if (!l->state.watching || l->cut)
        return;
    l->cut = true;
    set_error(l, VELD_E_FORMAT, "", why);
    veld_rpc_stream_cancel(l->client, l->stream);
}

/* ---- To send ---- */

bool veld_link_is_connected(const struct veld_link *l)
{
    return l->state.phase == VELD_LINK_WATCHING;
}

static int send_beside(struct veld_link *l, enum call_kind kind, const char *method,
                       struct veld_blob *body)
{
    int rc = !veld_link_is_connected(l)          ? VELD_E_STATE
             : l->sending >= VELD_LINK_CALLS_MAX ? VELD_E_LIMIT
                                                 : 0;
    if (rc < 0) {
        veld_blob_clear(body);
        return rc;
    }
    rc = send_call(l, kind, method, body, SEND_MS);
    l->sending += rc == 0;
    return rc;
}

int veld_link_send_signal(struct veld_link *l, const uint8_t to[32],
                          const struct veld_blob *sealed)
{
    struct veld_blob body;
    int rc = veld_request_signal(&body, l->cfg.network_id, to, sealed);
    return rc < 0 ? rc : send_beside(l, CALL_SIGNAL, "SendSignal", &body);
}

int veld_link_send_revocations(struct veld_link *l, const struct veld_blob *list)
{
    struct veld_blob body;
    int rc = veld_request_revocations(&body, l->cfg.network_id, list);
    return rc < 0 ? rc : send_beside(l, CALL_LIST, "PublishRevocations", &body);
}

int veld_link_send_join(struct veld_link *l, const struct veld_blob *request)
{
    struct veld_blob body;
    int rc = veld_request_join(&body, request);
    return rc < 0 ? rc : send_beside(l, CALL_JOIN, "RequestJoin", &body);
}

/* ---- Begin and end ---- */

static gboolean dispatch_ready(GSource *source, GSourceFunc callback, gpointer data)
{
    return callback(data);
}

static GSourceFuncs ready_time_source = {.dispatch = dispatch_ready};

void veld_link_open(struct veld_link **out, const struct veld_link_config *cfg)
{
    struct veld_link *l = g_new0(struct veld_link, 1);
    l->cfg = *cfg;
    veld_link_state_init(&l->state);
    *out = l;
}

static int open_client(struct veld_link *l)
{
    struct veld_diag diag = {""};
    int rc = veld_rpc_open(&l->client, &l->cfg.server, &diag);
    if (rc < 0) {
        l->client = NULL;
        set_error(l, rc, "", diag.text);
        veld_warn("no way to the coord server: %s", diag.text);
    }
    return rc;
}

static gpointer close_client(gpointer data)
{
    struct closer *closer = data;
    veld_rpc_close(closer->client);
    g_atomic_int_set(&closer->done, 1);
    return NULL;
}

static void end_closer(struct veld_link *l)
{
    if (!l->closer)
        return;
    g_thread_join(l->closer->thread);
    g_free(l->closer);
    l->closer = NULL;
}

void veld_link_renew(struct veld_link *l)
{
    if (!l->client || (l->closer && !g_atomic_int_get(&l->closer->done)))
        return; /* there is none, or one that was made a moment ago */
    end_closer(l);
    l->closer = g_new0(struct closer, 1);
    l->closer->client = l->client;
    l->closer->thread = g_thread_new("veld-close", close_client, l->closer);
    l->connection++;
    l->sending = 0;
    l->stream = 0;
    l->cut = false;
    set_error(l, VELD_E_IO, "", "this machine's addresses changed");
    if (open_client(l) == 0)
        step(l, VELD_LINK_EV_RENEWED, 0, false);
}

void veld_link_start(struct veld_link *l)
{
    if (open_client(l) < 0)
        return;
    l->timer = g_source_new(&ready_time_source, sizeof(GSource));
    g_source_set_callback(l->timer, on_timer, l, NULL);
    g_source_attach(l->timer, NULL);
    step(l, VELD_LINK_EV_START, 0, false);
}

static void leave(struct veld_link *l)
{
    struct veld_blob body = {0}, reply = {0};
    struct veld_rpc_key key = key_of(l);
    struct veld_diag diag;
    if (veld_request_leave(&body, l->cfg.network_id) == 0 &&
        veld_rpc_call_wait(l->client, &key, "Leave", body.p, body.len, VELD_LINK_LEAVE_MS,
                           &reply, &diag) < 0)
        veld_debug("the coord server does not hear that we go: %s", diag.text);
    veld_blob_clear(&body);
    veld_blob_clear(&reply);
}

void veld_link_stop(struct veld_link *l)
{
    bool connected = veld_link_is_connected(l);
    if (l->timer) {
        g_source_destroy(l->timer);
        g_source_unref(l->timer);
        l->timer = NULL;
    }
    carry_out(l, step_once(l, VELD_LINK_EV_STOP, 0, false));
    if (connected)
        leave(l);
}

void veld_link_close(struct veld_link *l)
{
    if (!l)
        return;
    veld_rpc_close(l->client);
    end_closer(l);
    g_free(l);
}

void veld_link_get_info(const struct veld_link *l, struct veld_link_info *out)
{
    *out = (struct veld_link_info){
        .phase = l->state.phase,
        .address = l->cfg.server.address,
        .since_mono_ns = l->state.since_ns,
        .error = l->error.text,
        .err = l->err,
        .skew_ns = l->skew_ns,
        .rtt_ns = l->rtt_connection == l->connection ? l->rtt_ns : 0,
        .connections = l->connections,
    };
}

#include "coord/service.h"

#include "base/bytes.h"
#include "base/log.h"
#include "coord/service/auth.h"
#include "coord/service/chores.h"
#include "coord/service/events.h"
#include "coord/service/methods.h"
#include "coord/service/watch.h"
#include "crypto/primitives.h"

#define LEASE_S  60
#define SMALL    1024 /* a request of ids, keys and names */
#define STANDARD 65536
#define LISTS    (VELD_REVOCATIONS_MAX + SMALL)

static const struct veld_method methods[] = {
    {"Hello", veld_rpc_hello, VELD_MAY_ANYBODY, SMALL, false},
    {"CreateNetwork", veld_rpc_create_network, VELD_MAY_SIGNED, STANDARD, false},
    {"LookupNetwork", veld_rpc_lookup_network, VELD_MAY_SIGNED, SMALL, false},
    {"RequestJoin", veld_rpc_request_join, VELD_MAY_SIGNED, STANDARD, false},
    {"ListJoins", veld_rpc_list_joins, VELD_MAY_ADMIN, SMALL, false},
    {"AnswerJoin", veld_rpc_answer_join, VELD_MAY_ADMIN, STANDARD, false},
    {"RegisterMember", veld_rpc_register_member, VELD_MAY_SIGNED, STANDARD, false},
    {"Leave", veld_rpc_leave, VELD_MAY_MEMBER, SMALL, false},
    {"ListPeers", veld_rpc_list_peers, VELD_MAY_CARRY, SMALL, false},
    {"Watch", veld_rpc_watch, VELD_MAY_MEMBER, SMALL, true},
    {"SendSignal", veld_rpc_send_signal, VELD_MAY_MEMBER, STANDARD, false},
    {"PublishRevocations", veld_rpc_publish_revocations, VELD_MAY_CARRY, LISTS, false},
    {"GetRevocations", veld_rpc_get_revocations, VELD_MAY_SIGNED, SMALL, false},
};

/* ---- open and close ---- */

int veld_service_open(struct veld_service **out, const struct veld_service_config *cfg,
                      const struct veld_now *now, struct veld_diag *diag)
{
    const struct veld_service_limits *l = &cfg->limits;
    struct veld_service *s = g_new0(struct veld_service, 1);
    uint8_t seed[16];
    veld_random(seed, sizeof seed);
    s->cfg = *cfg;
    if (s->cfg.lease_s == 0)
        s->cfg.lease_s = LEASE_S;
    s->now = *now;
    s->nonces = veld_nonces_new(VELD_NONCES_MAX, seed);
    s->calls_by_address = veld_rates_new(l->calls_per_address, seed);
    s->calls_by_key = veld_rates_new(l->calls_per_key, seed);
    s->networks_by_address = veld_rates_new(l->networks_per_address, seed);
    s->joins_by_address = veld_rates_new(l->joins_per_address, seed);
    s->revocations_by_network = veld_rates_new(l->revocations_per_network, seed);
    s->events = veld_events_new();
    int rc = veld_registry_open(&s->registry, cfg->store, diag);
    if (rc == 0)
        rc = cfg->host->start(cfg->host->ctx, diag);
    s->is_started = rc == 0;
    if (rc < 0) {
        veld_service_close(s);
        return rc;
    }
    veld_watch_start(s);
    *out = s;
    return 0;
}

void veld_service_stop(struct veld_service *s)
{
    veld_watch_stop(s);
    veld_watch_settle(s);
}

void veld_service_close(struct veld_service *s)
{
    if (!s)
        return;
    if (s->registry)
        veld_watch_stop(s);
    if (s->is_started)
        s->cfg.host->stop(s->cfg.host->ctx);
    veld_registry_close(s->registry);
    veld_events_free(s->events);
    veld_rates_free(s->calls_by_address);
    veld_rates_free(s->calls_by_key);
    veld_rates_free(s->networks_by_address);
    veld_rates_free(s->joins_by_address);
    veld_rates_free(s->revocations_by_network);
    veld_nonces_free(s->nonces);
    g_free(s);
}

/* ---- calls ---- */

static const struct veld_method *find_method(const char *name)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

/* Who it is, that it may be asked, and what comes of it. */
static void handle(struct veld_coord_call *c)
{
    const struct veld_coord_host *h = c->s->cfg.host;
    veld_auth_admit(c);
    if (!veld_call_is_ok(c))
        return;
    if (c->request->len > c->method->body_max) {
        veld_call_fail(c, VELD_CODE_INVALID_ARGUMENT, "a request of %s has at most %u bytes",
                       c->method->name, c->method->body_max);
        return;
    }
    if (c->method->may != VELD_MAY_ANYBODY) {
        veld_auth_prove(c);
        if (!veld_call_is_ok(c))
            return;
        c->account = h->account_of(h->ctx, c->caller, c->request->from);
    }
    c->method->handle(c);
}

static void begin_call(struct veld_coord_call *c, enum veld_coord_code code)
{
    *c->status = (struct veld_coord_status){.code = code};
    c->s->now = *c->now;
    c->method = find_method(c->request->method);
}

static void end_call(struct veld_coord_call *c)
{
    if (veld_call_is_ok(c))
        c->s->stats.calls_ok++;
    else
        c->s->stats.calls_refused++;
}

void veld_service_call(struct veld_service *s, const struct veld_service_request *r,
                       const struct veld_now *now, struct veld_blob *reply,
                       struct veld_coord_status *status)
{
    struct veld_coord_call c = {
        .s = s, .request = r, .now = now, .reply = reply, .status = status};
    *reply = (struct veld_blob){0};
    begin_call(&c, VELD_CODE_OK);
    if (c.method && !c.method->is_watch)
        handle(&c);
    else
        veld_call_fail(&c, VELD_CODE_UNIMPLEMENTED, "this server has no such method");
    if (!veld_call_is_ok(&c))
        veld_blob_clear(reply);
    end_call(&c);
}

struct veld_watcher *veld_service_watch_open(struct veld_service *s,
                                             const struct veld_service_request *r,
                                             const struct veld_now *now,
                                             veld_watch_ready_fn *ready, void *ctx,
                                             struct veld_coord_status *status)
{
    struct veld_coord_call c = {
        .s = s, .request = r, .now = now, .status = status, .ready = ready, .ready_ctx = ctx};
    begin_call(&c, VELD_CODE_OK);
    if (c.method && c.method->is_watch)
        handle(&c);
    else
        veld_call_fail(&c, VELD_CODE_UNIMPLEMENTED, "this server has no such method");
    end_call(&c);
    return c.watcher;
}

/* ---- turns ---- */

int veld_service_commit(struct veld_service *s, struct veld_coord_status *status)
{
    struct veld_diag diag = {.text = ""};
    bool is_open = veld_batch_is_open(s->registry->batch);
    *status = (struct veld_coord_status){.code = VELD_CODE_OK};
    int rc = is_open ? veld_registry_commit(s->registry, veld_watch_changed, s, &diag) : 0;
    if (rc < 0) {
        VELD_LOG_LIMITED(VELD_LOG_ERROR, s->now.mono_ns, "%s", diag.text);
        veld_status_set(status, VELD_CODE_UNAVAILABLE,
                        "the server could not write its database, and nothing was changed; try "
                        "again");
    }
    s->stats.commits += is_open && rc == 0;
    veld_watch_settle(s);
    return rc;
}

uint64_t veld_service_tick(struct veld_service *s, const struct veld_now *now)
{
    s->now = *now;
    veld_watch_expire(s);
    if (now->mono_ns >= s->chores_ns) {
        veld_chores_do(s);
        veld_events_tidy(s->events, now->mono_ns);
        s->chores_ns = now->mono_ns + VELD_CHORES_S * VELD_NS_PER_S;
    }
    if (!veld_batch_is_open(s->registry->batch))
        veld_watch_settle(s);
    return VELD_MIN(veld_watch_due_ns(s), s->chores_ns);
}

void veld_service_get_stats(const struct veld_service *s, struct veld_service_stats *out)
{
    *out = s->stats;
    out->networks = g_hash_table_size(s->registry->nets);
    out->members = s->registry->members;
    out->online = s->registry->online;
    out->joins_waiting = s->registry->joins;
}

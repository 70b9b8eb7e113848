/*
 * A coord server's inside on a store in memory and a clock of the test's, and its
 * clients: signed calls, and watches that keep what they are told.
 *
 *   struct coord_rig r;
 *   coord_open(&r, &cfg);               network "mynet" of trust_rig.h, not created yet
 *   coord_create(&r);
 *   struct test_member m = test_trust_join(&r.trust, 1, "server1", TEST_BY_OWNER);
 *   coord_register(&r, &m, 1);          OK, or r.status says why not
 *   coord_watch(&r, &w, &m, 0); coord_drain(&r, &w);
 *
 * Messages are those of coord.proto, as clients see them. Each call commits, unless
 * r.hold is set. Whatever fails here aborts: it is not what is under test.
 */
#ifndef VELD_TESTS_COORD_RIG_H
#define VELD_TESTS_COORD_RIG_H

#include "base/clock.h"
#include "base/log.h"
#include "coord/service.h"
#include "store_memory.h"
#include "trust/join_request.h"
#include "trust/rpc_auth.h"
#include "trust_rig.h"

#include <veld/coord/v1/coord.pb-c.h>

struct coord_rig {
    struct test_trust trust;
    struct test_store *store;
    struct veld_service *service;
    struct veld_service_config cfg;
    struct veld_now now;
    struct veld_ip from;
    uint64_t nonce;
    bool hold;                       /* do not commit after each call */
    int64_t client_clock_ns;         /* how far the clients' clocks are ahead */
    struct veld_coord_status status; /* of the last call */
    struct veld_blob reply;
    struct veld_ip leased; /* by the last registration */
    bool published;
    uint64_t revision;
};

static inline void coord_reopen(struct coord_rig *r)
{
    struct veld_diag diag;
    veld_service_close(r->service);
    r->service = NULL;
    if (veld_service_open(&r->service, &r->cfg, &r->now, &diag) < 0) {
        fprintf(stderr, "coord rig: %s\n", diag.text);
        abort();
    }
}

/* `cfg` NULL: nothing limited. Its store and host are filled in when they are not given. */
static inline void coord_open(struct coord_rig *r, const struct veld_service_config *cfg)
{
    memset(r, 0, sizeof *r);
    test_trust_make(&r->trust);
    if (cfg)
        r->cfg = *cfg;
    if (!r->cfg.store) {
        r->store = test_store_new();
        r->cfg.store = &r->store->store;
    }
    if (!r->cfg.host)
        r->cfg.host = &veld_coord_host_default;
    memset(r->cfg.certificate, 0xce, sizeof r->cfg.certificate);
    r->now = (struct veld_now){.mono_ns = 1000 * VELD_NS_PER_S,
                               .wall_ns = r->trust.now_s * VELD_NS_PER_S};
    test_trust_must(veld_ip_parse("192.0.2.1", &r->from), "address");
    veld_log_set_level(VELD_LOG_ERROR);
    coord_reopen(r);
}

static inline void coord_close(struct coord_rig *r)
{
    veld_service_close(r->service);
    if (r->store)
        r->store->store.ops->close(&r->store->store);
    veld_blob_clear(&r->reply);
    test_trust_free(&r->trust);
}

static inline void coord_pass(struct coord_rig *r, uint64_t ns)
{
    r->now.mono_ns += ns;
    r->now.wall_ns += ns;
}

/* What the server's loop does at the end of a turn. */
static inline int coord_commit(struct coord_rig *r)
{
    struct veld_coord_status status;
    int rc = veld_service_commit(r->service, &status);
    if (rc < 0)
        r->status = status;
    return rc;
}

/* And when its timer rings. */
static inline void coord_tick(struct coord_rig *r)
{
    veld_service_tick(r->service, &r->now);
    coord_commit(r);
}

/* Time goes by in steps of `step_ns`, with the server's loop running. */
static inline void coord_run(struct coord_rig *r, uint64_t ns, uint64_t step_ns)
{
    for (uint64_t done = 0; done < ns; done += step_ns) {
        coord_pass(r, step_ns);
        coord_tick(r);
    }
}

/* ---- calls ---- */

/* The request of a call, in `auth` and `body` (which the caller frees). `seed` NULL: unsigned. */
struct coord_call {
    struct veld_service_request request;
    uint8_t auth[VELD_RPC_AUTH_MAX];
    uint8_t *body;
    char method[64];
};

static inline void coord_sign(struct coord_rig *r, struct coord_call *c, const uint8_t *seed,
                              const char *method, const void *message)
{
    struct veld_rpc_auth a = {.time_ns = r->now.wall_ns + (uint64_t)r->client_clock_ns};
    size_t len = protobuf_c_message_get_packed_size(message);
    c->body = g_malloc(len + 1);
    protobuf_c_message_pack(message, c->body);
    c->request = (struct veld_service_request){.from = r->from, .body = c->body, .len = len};
    snprintf(c->method, sizeof c->method, "/veld.coord.v1.Coord/%s", method);
    c->request.method = strrchr(c->method, '/') + 1;
    if (!seed)
        return;
    veld_ed25519_keypair(seed, a.key);
    veld_store_be64(a.nonce, ++r->nonce);
    c->request.auth = c->auth;
    c->request.auth_len =
        veld_rpc_sign(c->auth, seed, &a, c->method, r->cfg.certificate, c->body, len);
}

static inline enum veld_coord_code coord_send(struct coord_rig *r, const struct coord_call *c)
{
    struct veld_coord_status status;
    veld_blob_clear(&r->reply);
    veld_service_call(r->service, &c->request, &r->now, &r->reply, &status);
    r->status = status;
    if (!r->hold)
        coord_commit(r);
    return r->status.code;
}

static inline enum veld_coord_code coord_call(struct coord_rig *r, const uint8_t *seed,
                                              const char *method, const void *message)
{
    struct coord_call c;
    coord_sign(r, &c, seed, method, message);
    enum veld_coord_code code = coord_send(r, &c);
    g_free(c.body);
    return code;
}

/* The last reply, to be freed with protobuf_c_message_free_unpacked. */
static inline void *coord_reply(struct coord_rig *r, const ProtobufCMessageDescriptor *type)
{
    void *reply = protobuf_c_message_unpack(type, NULL, r->reply.len, r->reply.p);
    test_trust_must(reply ? 0 : VELD_E_FORMAT, type->name);
    return reply;
}

static inline ProtobufCBinaryData coord_bytes(const void *p, size_t len)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)p, .len = len};
}

static inline ProtobufCBinaryData coord_id(const struct coord_rig *r)
{
    return coord_bytes(r->trust.network.id, 32);
}

static inline void *coord_parse(const ProtobufCMessageDescriptor *type,
                                const struct veld_blob *b)
{
    void *m = protobuf_c_message_unpack(type, NULL, b->len, b->p);
    test_trust_must(m ? 0 : VELD_E_FORMAT, type->name);
    return m;
}

/* ---- deeds ---- */

/* `chain` NULL: none; `seed` signs the call. */
static inline enum veld_coord_code coord_create_by(struct coord_rig *r, const uint8_t *seed,
                                                   const struct veld_blob *network,
                                                   const struct veld_blob *chain)
{
    Veld__Coord__V1__CreateNetworkRequest q = VELD__COORD__V1__CREATE_NETWORK_REQUEST__INIT;
    q.network = coord_parse(&veld__trust__v1__signed__descriptor, network);
    if (chain)
        q.chain = coord_parse(&veld__trust__v1__chain__descriptor, chain);
    enum veld_coord_code code = coord_call(r, seed, "CreateNetwork", &q);
    veld__trust__v1__signed__free_unpacked(q.network, NULL);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
    return code;
}

static inline enum veld_coord_code coord_create(struct coord_rig *r)
{
    return coord_create_by(r, r->trust.owner_seed, &r->trust.network_bytes, NULL);
}

/* With this encoded Signed record (NULL: none) and this wish (family 0: none); fills in `leased`. */
static inline enum veld_coord_code coord_register_with(struct coord_rig *r,
                                                       const struct test_member *m,
                                                       const struct veld_blob *record,
                                                       const struct veld_ip *wanted)
{
    Veld__Coord__V1__RegisterRequest q = VELD__COORD__V1__REGISTER_REQUEST__INIT;
    q.network_id = coord_id(r);
    q.chain = coord_parse(&veld__trust__v1__chain__descriptor, &m->chain);
    if (record)
        q.record = coord_parse(&veld__trust__v1__signed__descriptor, record);
    if (wanted && wanted->family == 4)
        q.want_ipv4 = coord_bytes(wanted->b, 4);
    enum veld_coord_code code = coord_call(r, m->id->seed, "RegisterMember", &q);
    veld__trust__v1__chain__free_unpacked(q.chain, NULL);
    veld__trust__v1__signed__free_unpacked(q.record, NULL);
    r->leased = (struct veld_ip){0};
    if (code != VELD_CODE_OK)
        return code;
    Veld__Coord__V1__RegisterReply *reply =
        coord_reply(r, &veld__coord__v1__register_reply__descriptor);
    r->leased.family = 4;
    memcpy(r->leased.b, reply->ipv4.data, 4);
    r->published = reply->published;
    r->revision = reply->revision;
    veld__coord__v1__register_reply__free_unpacked(reply, NULL);
    return code;
}

/* Without a record: prove and lease. */
static inline enum veld_coord_code coord_lease(struct coord_rig *r, const struct test_member *m)
{
    return coord_register_with(r, m, NULL, NULL);
}

static inline enum veld_coord_code coord_publish(struct coord_rig *r,
                                                 const struct test_member *m,
                                                 const struct veld_record *record)
{
    struct veld_blob bytes = {0};
    test_trust_must(veld_record_sign(&bytes, m->id->seed, record), "record");
    enum veld_coord_code code = coord_register_with(r, m, &bytes, &record->ipv4);
    veld_blob_clear(&bytes);
    return code;
}

/* Lease, then a record with what was leased: as a daemon does. */
static inline enum veld_coord_code
coord_register(struct coord_rig *r, const struct test_member *m, uint64_t sequence)
{
    struct veld_record record = test_record(m, sequence);
    bool hold = r->hold;
    enum veld_coord_code code = coord_lease(r, m);
    r->hold = hold;
    if (code != VELD_CODE_OK)
        return code;
    record.ipv4 = r->leased;
    return coord_publish(r, m, &record);
}

/* Device `n`, as "server<n>", by a token of so many uses (0: any) that expires then (0: never). */
static inline struct test_member coord_join_by_token(const struct coord_rig *r, unsigned n,
                                                     uint32_t uses, uint64_t expires_s)
{
    struct test_member m = {.id = test_trust_identity(n)};
    struct veld_token token = test_token(&r->trust, 77);
    struct veld_signer owner = test_owner(&r->trust);
    char text[VELD_TOKEN_TEXT_MAX], name[16];
    token.uses = uses;
    token.expires_s = expires_s;
    snprintf(name, sizeof name, "server%u", n);
    test_trust_must(veld_token_make(text, &owner, r->trust.network.id, &token), "token");
    test_trust_must(veld_token_admit(&m.chain, text, m.id->pub, name, r->trust.now_s - 600, 0),
                    name);
    test_member_read(&r->trust, &m);
    return m;
}

static inline enum veld_coord_code coord_leave(struct coord_rig *r, const struct test_member *m,
                                               bool forget)
{
    Veld__Coord__V1__LeaveRequest q = VELD__COORD__V1__LEAVE_REQUEST__INIT;
    q.network_id = coord_id(r);
    q.forget = forget;
    return coord_call(r, m->id->seed, "Leave", &q);
}

static inline enum veld_coord_code coord_signal(struct coord_rig *r,
                                                const struct test_member *from,
                                                const uint8_t to[32], const void *sealed,
                                                size_t len)
{
    Veld__Coord__V1__SendSignalRequest q = VELD__COORD__V1__SEND_SIGNAL_REQUEST__INIT;
    q.network_id = coord_id(r);
    q.to = coord_bytes(to, 32);
    q.sealed = coord_bytes(sealed, len);
    return coord_call(r, from->id->seed, "SendSignal", &q);
}

static inline enum veld_coord_code coord_publish_revocations(struct coord_rig *r,
                                                             const uint8_t *seed,
                                                             const struct veld_blob *list)
{
    Veld__Coord__V1__PublishRevocationsRequest q =
        VELD__COORD__V1__PUBLISH_REVOCATIONS_REQUEST__INIT;
    q.network_id = coord_id(r);
    q.revocations = coord_parse(&veld__trust__v1__revocation_list__descriptor, list);
    enum veld_coord_code code = coord_call(r, seed, "PublishRevocations", &q);
    veld__trust__v1__revocation_list__free_unpacked(q.revocations, NULL);
    return code;
}

/* ---- watches ---- */

struct coord_known {
    uint8_t p[32];
    GBytes *record; /* the PeerRecord */
    bool online;
    uint64_t revision, last_seen;
};

struct coord_watch {
    struct veld_watcher *w;
    unsigned ready;     /* times told since the last drain */
    GHashTable *known;  /* by P */
    GHashTable *before; /* during a reset: what was known before it; NULL else */
    uint64_t revision, epoch;
    uint64_t whole; /* of the last event that was synced */
    bool synced;
    unsigned events, resets, signals, presences;
    uint8_t signal_from[32];
    char signal[64];
    struct veld_coord_status end; /* not OK: it is over */
};

static inline guint coord_hash_p(gconstpointer p)
{
    guint h;
    memcpy(&h, p, sizeof h);
    return h;
}

static inline gboolean coord_same_p(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, 32) == 0;
}

static inline void coord_known_free(gpointer p)
{
    struct coord_known *k = p;
    g_bytes_unref(k->record);
    g_free(k);
}

static inline GHashTable *coord_known_table(void)
{
    return g_hash_table_new_full(coord_hash_p, coord_same_p, NULL, coord_known_free);
}

static inline void coord_on_ready(void *ctx)
{
    ((struct coord_watch *)ctx)->ready++;
}

/* Goes on with what `w` knows; zero `w` before the first time. */
static inline enum veld_coord_code coord_watch(struct coord_rig *r, struct coord_watch *w,
                                               const struct test_member *m)
{
    Veld__Coord__V1__WatchRequest q = VELD__COORD__V1__WATCH_REQUEST__INIT;
    struct coord_call c;
    q.network_id = coord_id(r);
    q.from_revision = w->revision = w->whole;
    q.revocation_epoch = w->epoch;
    coord_sign(r, &c, m->id->seed, "Watch", &q);
    if (!w->known)
        w->known = coord_known_table();
    veld_blob_clear(&r->reply);
    w->synced = false;
    w->end = (struct veld_coord_status){0};
    w->ready = 0;
    w->w =
        veld_service_watch_open(r->service, &c.request, &r->now, coord_on_ready, w, &r->status);
    g_free(c.body);
    if (!r->hold)
        coord_commit(r);
    return r->status.code;
}

static inline void coord_learn(struct coord_watch *w, const Veld__Coord__V1__Member *m)
{
    struct coord_known *k = g_new0(struct coord_known, 1);
    size_t len = veld__trust__v1__peer_record__get_packed_size(m->peer);
    uint8_t *bytes = g_malloc(len);
    veld__trust__v1__peer_record__pack(m->peer, bytes);
    memcpy(k->p, m->peer->record->signer.data, 32);
    k->record = g_bytes_new_take(bytes, len);
    k->online = m->online;
    k->revision = m->revision;
    k->last_seen = m->last_seen;
    if (w->before)
        g_hash_table_remove(w->before, k->p);
    g_hash_table_replace(w->known, k->p, k);
}

static inline void coord_apply(struct coord_watch *w, const struct veld_shared_bytes *b)
{
    Veld__Coord__V1__WatchEvent *e =
        veld__coord__v1__watch_event__unpack(NULL, b->len, b->bytes);
    test_trust_must(e ? 0 : VELD_E_FORMAT, "event");
    if (e->reset) {
        w->resets++;
        g_clear_pointer(&w->before, g_hash_table_destroy);
        w->before = w->known;
        w->known = coord_known_table();
        w->whole = 0;
    }
    test_trust_must(e->reset || e->revision >= w->revision ? 0 : VELD_E_STATE, "order");
    for (size_t i = 0; i < e->n_members; i++)
        coord_learn(w, e->members[i]);
    for (size_t i = 0; i < e->n_presence; i++) {
        const Veld__Coord__V1__Presence *p = e->presence[i];
        struct coord_known *k = g_hash_table_lookup(w->known, p->member.data);
        /* Only of members whose record this watch has brought. */
        test_trust_must(k && !w->before ? 0 : VELD_E_STATE, "presence of somebody unknown");
        k->online = p->online;
        k->revision = p->revision;
        k->last_seen = p->last_seen;
        w->presences++;
    }
    for (size_t i = 0; i < e->n_removed; i++)
        g_hash_table_remove(w->known, e->removed[i].data);
    for (size_t i = 0; i < e->n_signals; i++) {
        memcpy(w->signal_from, e->signals[i]->from.data, 32);
        snprintf(w->signal, sizeof w->signal, "%.*s", (int)e->signals[i]->sealed.len,
                 (const char *)e->signals[i]->sealed.data);
        w->signals++;
    }
    if (e->revocations)
        w->epoch = 1; /* that there is one; tests look closer where it matters */
    w->revision = e->revision;
    w->synced = e->synced;
    w->events++;
    if (e->synced) {
        g_clear_pointer(&w->before, g_hash_table_destroy);
        w->whole = e->revision;
    }
    veld__coord__v1__watch_event__free_unpacked(e, NULL);
}

/* One event; false when there is none, or it is over (w->end). */
static inline bool coord_next(struct coord_rig *r, struct coord_watch *w)
{
    struct veld_shared_bytes *b;
    struct veld_coord_status status;
    w->ready = 0;
    if (!veld_watch_next(w->w, &r->now, &b, &status)) {
        w->end = status;
        return false;
    }
    coord_apply(w, b);
    veld_shared_unref(b);
    return true;
}

/* All there is at present. */
static inline void coord_drain(struct coord_rig *r, struct coord_watch *w)
{
    while (coord_next(r, w))
        ;
}

static inline const struct coord_known *coord_knows(const struct coord_watch *w,
                                                    const struct test_member *m)
{
    return g_hash_table_lookup(w->known, m->id->pub);
}

static inline void coord_unwatch(struct coord_rig *r, struct coord_watch *w)
{
    if (w->w)
        veld_watch_close(w->w, &r->now);
    w->w = NULL;
}

static inline void coord_watch_free(struct coord_rig *r, struct coord_watch *w)
{
    coord_unwatch(r, w);
    g_clear_pointer(&w->known, g_hash_table_destroy);
    g_clear_pointer(&w->before, g_hash_table_destroy);
}

#endif

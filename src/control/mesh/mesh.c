#include "control/mesh/mesh_impl.h"

#include "base/log.h"
#include "control/mesh/hash.h"

#include <stdlib.h>
#include <string.h>

#define TICK_S            2
#define CACHE_GAP_S       5    /* between two writes of the cache, */
#define CACHE_GAP_MEMBERS 100  /* and a second more for so many members */
#define LIES_MAX          1000 /* of one watch: then it is ended */
#define TAG_CACHE_END     1000 /* of the intake: behind the cache */

void veld_mesh_refuse(struct veld_mesh *m, enum veld_refusal why)
{
    m->refused[why]++;
    VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(), "refused %s", veld_refusal_text(why));
}

void veld_mesh_refuse_server(struct veld_mesh *m, enum veld_refusal why, uint32_t n)
{
    if (n == 0)
        return;
    veld_mesh_refuse(m, why);
    m->refused[why] += n - 1;
    if (!veld_refusal_is_lie(why))
        return;
    m->lies += n;
    m->last_lie = why;
    m->lies_in_watch += n;
}

/* ---- What comes of the intake ---- */

static void apply_members(struct veld_mesh *m, struct veld_watch_event *e)
{
    for (size_t i = 0; i < e->n_members; i++) {
        struct veld_member_news *news = &e->members[i];
        if (memcmp(news->record.membership.member, m->identity->pub, 32) == 0) {
            /* Ours as the server has it: the next one must be newer. */
            m->record.sequence = MAX(m->record.sequence, news->record.sequence);
            continue;
        }
        int rc = veld_members_apply(m->members, news);
        if (rc < 0)
            veld_mesh_refuse(m, veld_refusal_of(rc));
    }
}

/* Of one that is not known (its record was refused, or it is us) there is nothing to learn. */
static void apply_presence(struct veld_mesh *m, const struct veld_watch_event *e)
{
    for (size_t i = 0; i < e->n_presence; i++)
        (void)!veld_members_presence(m->members, &e->presence[i]);
}

static void on_cached(struct veld_mesh *m, struct veld_watch_event *e)
{
    for (unsigned i = 0; i < VELD_REFUSAL_COUNT; i++) {
        if (e->refused[i] == 0)
            continue;
        veld_mesh_refuse(m, (enum veld_refusal)i);
        m->refused[i] += e->refused[i] - 1;
        m->cache_whole = false;
    }
    apply_members(m, e);
    veld_mesh_drain(m);
    if (e->synced)
        m->cached_revision = e->revision;
}

static void on_event(struct veld_mesh *m, struct veld_watch_event *e)
{
    for (unsigned i = 0; i < VELD_REFUSAL_COUNT; i++)
        veld_mesh_refuse_server(m, (enum veld_refusal)i, e->refused[i]);
    m->server_epoch = MAX(m->server_epoch, e->revocation_epoch);
    if (e->revocations) {
        struct veld_revocations *list = e->revocations;
        e->revocations = NULL;
        veld_mesh_adopt_revocations(m, list);
    }
    if (e->reset)
        veld_members_reset(m->members);
    apply_members(m, e);
    apply_presence(m, e);
    for (size_t i = 0; i < e->n_removed; i++)
        veld_members_unlist(m->members, e->removed[i]);
    if (e->synced)
        veld_members_synced(m->members);
    if (e->synced && e->revision > 0) { /* only there may a watch go on */
        m->cache_dirty |= m->revision != e->revision;
        m->revision = e->revision;
    }
    veld_mesh_drain(m);
    for (size_t i = 0; i < e->n_signals; i++)
        veld_mesh_on_signal(m, &e->signals[i]);
    if (m->lies_in_watch > LIES_MAX)
        veld_link_cut(m->link, "the coord server sends too much that does not verify");
}

/* Now everything is known that was known before: the server can tell what changed. */
static void on_cache_end(struct veld_mesh *m)
{
    m->revision = m->cache_whole ? m->cached_revision : 0;
    m->cache_dirty = false;
    g_thread_join(m->feeder);
    m->feeder = NULL;
    veld_blob_clear(&m->cached);
    veld_info("%zu members of %s are known from the last run", veld_members_count(m->members),
              m->network.name);
    veld_link_start(m->link);
}

static void on_result(void *ctx, struct veld_intake_result *r)
{
    struct veld_mesh *m = ctx;
    switch (r->kind) {
    case VELD_INTAKE_CACHED:
        m->cache_whole &= r->err == 0;
        if (r->err == 0)
            on_cached(m, &r->event);
        break;
    case VELD_INTAKE_EVENT:
        if (!veld_link_on_heard(m->link, r))
            break;
        if (r->err == 0) {
            on_event(m, &r->event);
        } else {
            veld_mesh_refuse_server(m, VELD_REFUSAL_MALFORMED, 1);
            veld_link_cut(m->link, "the coord server sent what is no event of a watch");
        }
        break;
    case VELD_INTAKE_REVOCATIONS: veld_mesh_on_verified(m, r); break;
    case VELD_INTAKE_PLAIN:
        if (r->tag == TAG_CACHE_END)
            on_cache_end(m);
        else
            veld_link_on_plain(m->link, r);
        break;
    }
}

/* ---- The cache: read on a thread of its own, since the intake takes a while ---- */

static gpointer feed(gpointer data)
{
    struct veld_mesh *m = data;
    struct veld_intake_item item = {.kind = VELD_INTAKE_CACHED};
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && veld_cache_next(&m->cached, &at, &item.bytes, &item.len))
        rc = veld_intake_push(m->intake, &item);
    item = (struct veld_intake_item){.kind = VELD_INTAKE_PLAIN, .tag = TAG_CACHE_END};
    if (rc == 0)
        rc = veld_intake_push(m->intake, &item);
    return GINT_TO_POINTER(rc); /* refused: the daemon stops */
}

static void store_cache(struct veld_mesh *m)
{
    const struct veld_member **list = veld_members_list(m->members);
    size_t n = veld_members_count(m->members), kept = 0;
    struct veld_blob bytes;
    for (size_t i = 0; list && i < n; i++) {
        if (list[i]->listed)
            list[kept++] = list[i];
    }
    if (list && veld_cache_encode(&bytes, list, kept,
                                  veld_members_is_resetting(m->members) ? 0 : m->revision) == 0)
        veld_cache_store(m->cache, &bytes);
    free(list);
    m->cache_dirty = false;
    m->cached_ns = veld_clock_mono_ns();
}

static bool cache_is_due(const struct veld_mesh *m)
{
    uint64_t gap_s = CACHE_GAP_S + veld_members_count(m->members) / CACHE_GAP_MEMBERS;
    return m->cache_dirty && !m->feeder &&
           veld_clock_mono_ns() - m->cached_ns >= gap_s * VELD_NS_PER_S;
}

/* ---- Now and then ---- */

static gboolean on_tick(gpointer data)
{
    struct veld_mesh *m = data;
    struct veld_now now = veld_clock_now();
    if (veld_members_expire(m->members, now.wall_ns / VELD_NS_PER_S) > 0)
        veld_info("a membership has ended");
    veld_mesh_forget_idle(m);
    veld_signals_prune(m->signals, &now);
    veld_mesh_save_pins(m);
    veld_mesh_ask_after_request(m);
    if (cache_is_due(m))
        store_cache(m);
    return G_SOURCE_CONTINUE;
}

static bool has_lost_any(const struct veld_mesh *m, const struct veld_prefix *before, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < m->n_addrs; k++) {
            if (veld_ip_equal(&before[i].ip, &m->addrs[k].ip)) {
                kept++;
                break;
            }
        }
    }
    return kept < n;
}

void veld_mesh_on_address_change(struct veld_mesh *m)
{
    struct veld_prefix before[VELD_HOST_ADDRS_MAX];
    size_t n = m->n_addrs;
    if (!m->control)
        return;
    memcpy(before, m->addrs, n * sizeof before[0]);
    veld_mesh_read_addresses(m);
    veld_mesh_on_self_change(m);
    if (has_lost_any(m, before, n) || !veld_link_is_connected(m->link))
        veld_link_renew(m->link);
    veld_mesh_judge_soon(m);
}

/* ---- What the link asks ---- */

static void resume(void *ctx, uint64_t *revision, uint64_t *revocation_epoch)
{
    struct veld_mesh *m = ctx;
    m->lies_in_watch = 0;
    /* A reset that was broken off says nothing about who is there. */
    *revision = veld_members_is_resetting(m->members) ? 0 : m->revision;
    *revocation_epoch = veld_revocations_epoch(m->revoked);
}

static void on_refused(void *ctx, const struct veld_blob *list)
{
    veld_mesh_on_list(ctx, list);
}

static void on_link_changed(void *ctx)
{
    struct veld_mesh *m = ctx;
    struct veld_link_info info;
    veld_mesh_resolve_coord(m);
    veld_link_get_info(m->link, &info);
    if (info.connections == m->connections)
        return;
    m->connections = info.connections;
    veld_mesh_on_connected(m);
}

/* ---- Begin and end ---- */

static void make_tables(struct veld_mesh *m)
{
    struct veld_members_self self = {
        .ipv4 = m->profile.ipv4, .network = &m->profile.network, .pins = m->pins};
    memcpy(self.pub, m->identity->pub, sizeof self.pub);
    memcpy(self.name, m->profile.membership.name, sizeof self.name);
    m->members = veld_members_new(&self);
    m->signals = veld_signals_new();
    m->peers = g_hash_table_new_full(veld_hash_key, veld_same_key, NULL, g_free);
    m->by_id = g_hash_table_new(NULL, NULL);
    m->used_routes = g_array_new(FALSE, FALSE, sizeof(struct veld_prefix));
    m->refused_routes = g_array_new(FALSE, FALSE, sizeof(struct veld_mesh_route));
    m->resolving = g_cancellable_new();
    m->cache_whole = true;
}

int veld_mesh_open(struct veld_mesh **out, const struct veld_mesh_options *o,
                   struct veld_diag *diag)
{
    struct veld_mesh *m = g_new0(struct veld_mesh, 1);
    m->state_dir = g_strdup(o->state_dir);
    m->identity = o->identity;
    m->config = o->config;
    int rc = veld_mesh_files_open(m, diag);
    if (rc < 0) {
        veld_mesh_close(m);
        return rc;
    }
    memcpy(m->network.id, m->profile.network.id, sizeof m->network.id);
    m->network.name = m->profile.network.name;
    make_tables(m);
    *out = m;
    return 0;
}

const struct veld_control_network *veld_mesh_network(const struct veld_mesh *m)
{
    return &m->network;
}

const char *veld_mesh_coord_address(const struct veld_mesh *m)
{
    return m->profile.coord.address;
}

void veld_mesh_coord_ask_time(struct veld_mesh *m)
{
    if (m->link && veld_link_is_connected(m->link))
        veld_link_ask_time(m->link);
}

bool veld_mesh_is_connected(const struct veld_mesh *m)
{
    return m->link && veld_link_is_connected(m->link);
}

uint64_t veld_mesh_coord_rtt_ns(const struct veld_mesh *m)
{
    struct veld_link_info info;
    if (!veld_mesh_is_connected(m))
        return 0;
    veld_link_get_info(m->link, &info);
    return info.rtt_ns;
}

static void open_link(struct veld_mesh *m)
{
    struct veld_link_config cfg = {
        .server = {.address = m->profile.coord.address, .ca = m->ca},
        .identity = m->identity,
        .network_id = m->profile.network.id,
        .signed_network = &m->signed_network,
        .chain = &m->profile.chain,
        .intake = m->intake,
        .ops = {.ctx = m,
                .record = veld_mesh_sign_record,
                .registered = veld_mesh_on_registered,
                .resume = resume,
                .refused = on_refused,
                .answered = veld_mesh_on_answer,
                .changed = on_link_changed},
    };
    memcpy(cfg.server.certificate, m->profile.coord.certificate, 32);
    veld_link_open(&m->link, &cfg);
}

int veld_mesh_start(struct veld_mesh *m, struct veld_control *control,
                    const struct veld_mesh_host *host, struct veld_diag *diag)
{
    struct veld_intake_config intake = {
        .network = &m->profile.network, .now_s = veld_mesh_now_s, .done = on_result, .ctx = m};
    const struct veld_control_hooks hooks = {
        .ctx = m,
        .may_use = veld_mesh_may_use,
        .on_use = veld_mesh_on_use,
        .on_wanted = veld_mesh_on_wanted,
        .on_message = veld_mesh_on_message,
    };
    if (m->revoked)
        intake.revocations = veld_revocations_bytes(m->revoked);
    m->control = control;
    int rc = veld_mesh_spread_start(m);
    if (rc == 0)
        rc = veld_intake_open(&m->intake, &intake);
    if (rc < 0) {
        veld_mesh_spread_stop(m);
        m->control = NULL;
        return veld_fail(diag, rc, "cannot begin to verify members: %s", veld_strerror(rc));
    }
    m->port = host->port;
    m->self = host->self;
    veld_mesh_refresh_record(m);
    veld_mesh_resolve_coord(m);
    open_link(m);
    m->cache = veld_cache_open(m->state_dir, m->config->network);
    veld_cache_load(m->cache, &m->cached);
    veld_control_set_hooks(control, &hooks);
    m->tick = g_timeout_add_seconds(TICK_S, on_tick, m);
    m->feeder = g_thread_new("veld-cached", feed, m);
    return 0;
}

static void remove_source(guint *source)
{
    if (*source)
        g_source_remove(*source);
    *source = 0;
}

void veld_mesh_stop(struct veld_mesh *m)
{
    if (!m->control)
        return;
    veld_control_set_hooks(m->control, NULL);
    remove_source(&m->tick);
    remove_source(&m->judge);
    remove_source(&m->drain);
    remove_source(&m->save_pins);
    remove_source(&m->publish);
    g_cancellable_cancel(m->resolving);
    veld_intake_stop(m->intake);
    bool cache_known = !m->feeder;
    if (m->feeder)
        g_thread_join(m->feeder);
    m->feeder = NULL;
    veld_mesh_spread_stop(m);
    veld_link_stop(m->link);
    veld_link_close(m->link);
    m->link = NULL;
    if (cache_known && m->cache_dirty)
        store_cache(m);
    veld_cache_close(m->cache);
    m->cache = NULL;
    veld_mesh_save_pins(m);
    m->control = NULL;
}

void veld_mesh_close(struct veld_mesh *m)
{
    if (!m)
        return;
    veld_intake_close(m->intake);
    veld_members_free(m->members);
    veld_signals_free(m->signals);
    veld_pins_free(m->pins);
    veld_revocations_free(m->revoked);
    if (m->peers) {
        g_hash_table_destroy(m->by_id);
        g_hash_table_destroy(m->peers);
        g_array_unref(m->used_routes);
        g_array_unref(m->refused_routes);
        g_object_unref(m->resolving);
    }
    veld_profile_clear(&m->profile);
    veld_blob_clear(&m->signed_network);
    veld_blob_clear(&m->cached);
    free(m->ca);
    free(m->shown_routes);
    g_free(m->state_dir);
    g_free(m);
}

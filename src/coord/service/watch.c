#include "coord/service/watch.h"

#include "base/bytes.h"
#include "coord/service/events.h"

#include <veld/coord/v1/inside.pb-c.h>

/* What telling one watcher costs, with gRPC: while records change without end, that is all there is time for. */
#define TELL_NS         (30 * VELD_NS_PER_US)
#define INTERVAL_MIN_NS VELD_NS_PER_MS /* shorter ones are not worth waiting for */
#define INTERVAL_MAX_NS (500 * VELD_NS_PER_MS)
/* Coming and going waits so many times longer, and leaves as much of the time to everything else. */
#define PRESENCE_WAITS 16

struct signal {
    uint8_t from[32];
    size_t len;
    uint8_t sealed[];
};

struct veld_watcher {
    unsigned refs; /* its opener's, and one of each note that has it */
    struct veld_service *s;
    veld_watch_ready_fn *ready;
    void *ready_ctx;
    struct veld_net *net;       /* until it is over */
    struct veld_member *member; /* until it is over */
    GList in_net, to_look_at;
    bool is_looked_at; /* in s->to_look_at */
    bool waits;        /* was told that there is nothing; is to be told when there is */
    bool is_over, is_closed;
    struct veld_coord_status end;
    uint64_t revision, epoch; /* told up to */
    uint64_t whole;           /* the revision at which it was told all there was; 0: never */
    bool is_synced, is_resetting;
    uint64_t reset_at; /* the network's revision when its reset began */
    GQueue signals;
};

uint64_t veld_watch_interval_ns(size_t watchers)
{
    uint64_t ns = watchers * TELL_NS;
    return ns < INTERVAL_MIN_NS ? 0 : VELD_MIN(ns, INTERVAL_MAX_NS);
}

/* ---- leases ---- */

static void lease_end(struct veld_service *s, struct veld_member *m)
{
    if (m->lease_ns == 0)
        return;
    g_queue_unlink(&s->leases, &m->lease);
    m->lease_ns = 0;
}

/* All leases are of one length, so they run out in the order they began. */
static void lease_begin(struct veld_service *s, struct veld_member *m)
{
    lease_end(s, m);
    if (!m->online)
        return;
    m->lease_ns = s->now.mono_ns + s->cfg.lease_s * VELD_NS_PER_S;
    g_queue_push_tail_link(&s->leases, &m->lease);
}

struct expiry {
    struct veld_service *s;
    struct veld_member *m;
};

static void undo_expiry(void *what)
{
    struct expiry *e = what;
    lease_begin(e->s, e->m);
    g_free(e);
}

void veld_watch_expire(struct veld_service *s)
{
    while (s->leases.head) {
        struct veld_member *m = s->leases.head->data;
        if (m->lease_ns > s->now.mono_ns)
            return;
        struct expiry *e = g_new(struct expiry, 1);
        *e = (struct expiry){.s = s, .m = m};
        lease_end(s, m);
        veld_batch_note(s->registry->batch, e, g_free, undo_expiry);
        veld_member_set_offline(s->registry, m, m->left_s, &s->now);
    }
}

void veld_watch_start(struct veld_service *s)
{
    GHashTableIter nets;
    gpointer value;
    g_hash_table_iter_init(&nets, s->registry->nets);
    while (g_hash_table_iter_next(&nets, NULL, &value)) {
        struct veld_net *net = value;
        for (size_t i = 0; i < net->changed.n; i++) {
            struct veld_member *m = net->changed.at[i].what;
            m->left_s = m->last_seen_s;
            lease_begin(s, m);
        }
    }
}

/* ---- one watcher ---- */

static void watcher_unref(struct veld_watcher *w)
{
    if (--w->refs == 0)
        g_free(w);
}

static void look_at(struct veld_watcher *w)
{
    if (w->is_looked_at || w->is_closed)
        return;
    w->is_looked_at = true;
    g_queue_push_tail_link(&w->s->to_look_at, &w->to_look_at);
}

static void drop_signal(struct veld_watcher *w, struct signal *signal)
{
    w->s->signal_bytes -= signal->len;
    g_free(signal);
}

/* It is no watch of its network any more. */
static void detach(struct veld_watcher *w)
{
    if (!w->net)
        return;
    g_queue_unlink(&w->net->watchers, &w->in_net);
    w->s->stats.watchers--;
    if (w->member->watcher == w)
        w->member->watcher = NULL;
    while (w->signals.head)
        drop_signal(w, g_queue_pop_head(&w->signals));
    w->net = NULL;
    w->member = NULL;
}

static void end(struct veld_watcher *w, enum veld_coord_code code, const char *text)
{
    if (!w->net)
        return;
    detach(w);
    w->is_over = true;
    veld_status_set(&w->end, code, "%s", text);
    look_at(w);
}

void veld_watch_close(struct veld_watcher *w, const struct veld_now *now)
{
    struct veld_service *s = w->s;
    struct veld_member *m = w->member;
    s->now = *now;
    bool was_the_watch = w->net && m->watcher == w;
    detach(w);
    w->is_closed = true;
    if (w->is_looked_at)
        g_queue_unlink(&s->to_look_at, &w->to_look_at);
    w->is_looked_at = false;
    if (was_the_watch) {
        m->left_s = now->wall_ns / VELD_NS_PER_S;
        lease_begin(s, m);
    }
    watcher_unref(w);
}

/* ---- begin ---- */

struct beginning {
    struct veld_watcher *w, *before; /* `before` NULL: the member had none */
    struct veld_member *m;
};

static void beginning_free(struct beginning *b)
{
    watcher_unref(b->w);
    if (b->before)
        watcher_unref(b->before);
    g_free(b);
}

static void keep_beginning(void *what)
{
    struct beginning *b = what;
    if (b->before && b->before->net) {
        while (b->w->net && b->before->signals.head)
            g_queue_push_tail(&b->w->signals, g_queue_pop_head(&b->before->signals));
        end(b->before, VELD_CODE_ABORTED, "this member has opened another watch");
    }
    beginning_free(b);
}

static void undo_beginning(void *what)
{
    struct beginning *b = what;
    end(b->w, VELD_CODE_UNAVAILABLE, "the server could not write its database; try again");
    b->m->watcher = b->before && b->before->net ? b->before : NULL;
    if (!b->m->watcher)
        lease_begin(b->w->s, b->m);
    beginning_free(b);
}

void veld_watch_begin(struct veld_coord_call *c, uint64_t from_revision,
                      uint64_t revocation_epoch)
{
    struct veld_service *s = c->s;
    struct veld_member *m = c->member;
    struct veld_watcher *w = g_new0(struct veld_watcher, 1);
    struct beginning *b = g_new(struct beginning, 1);
    *w = (struct veld_watcher){
        .refs = 2, /* the opener's and the note's */
        .s = s,
        .ready = c->ready,
        .ready_ctx = c->ready_ctx,
        .net = c->net,
        .member = m,
        .in_net.data = w,
        .to_look_at.data = w,
        .waits = true,
        .revision = from_revision,
        .whole = from_revision,
        .epoch = revocation_epoch,
    };
    *b = (struct beginning){.w = w, .before = m->watcher, .m = m};
    if (b->before)
        b->before->refs++;
    veld_batch_note(s->registry->batch, b, keep_beginning, undo_beginning);
    lease_end(s, m);
    m->watcher = w;
    veld_member_set_online(s->registry, m, veld_call_now_s(c), c->now);
    g_queue_push_tail_link(&c->net->watchers, &w->in_net);
    s->stats.watchers++;
    look_at(w);
    c->watcher = w;
}

/* ---- signals ---- */

struct sending {
    struct veld_watcher *w;
    struct signal *signal;
};

static void keep_sending(void *what)
{
    struct sending *g = what;
    watcher_unref(g->w);
    g_free(g);
}

static void undo_sending(void *what)
{
    struct sending *g = what;
    if (g_queue_remove(&g->w->signals, g->signal))
        drop_signal(g->w, g->signal);
    watcher_unref(g->w);
    g_free(g);
}

int veld_watch_signal(struct veld_service *s, struct veld_member *to, const uint8_t from[32],
                      const struct veld_blob *sealed)
{
    struct veld_watcher *w = to->watcher;
    if (!w)
        return VELD_E_NOENT;
    if (w->signals.length >= VELD_SIGNALS_MAX ||
        s->signal_bytes + sealed->len > VELD_SIGNAL_BYTES_MAX)
        return VELD_E_FULL;
    struct signal *signal = g_malloc(sizeof *signal + sealed->len);
    struct sending *g = g_new(struct sending, 1);
    memcpy(signal->from, from, sizeof signal->from);
    memcpy(signal->sealed, sealed->p, sealed->len);
    signal->len = sealed->len;
    *g = (struct sending){.w = w, .signal = signal};
    g_queue_push_tail(&w->signals, signal);
    s->signal_bytes += signal->len;
    w->refs++;
    veld_batch_note(s->registry->batch, g, keep_sending, undo_sending);
    look_at(w);
    return 0;
}

/* ---- the end ---- */

struct ending {
    struct veld_service *s;
    struct veld_member *m;
    struct veld_watcher *w; /* NULL: it had none open */
    enum veld_coord_code code;
    const char *text; /* a literal */
};

static void ending_free(struct ending *e)
{
    if (e->w)
        watcher_unref(e->w);
    g_free(e);
}

static void keep_ending(void *what)
{
    struct ending *e = what;
    if (e->w)
        end(e->w, e->code, e->text);
    ending_free(e);
}

static void undo_ending(void *what)
{
    struct ending *e = what;
    if (!e->m->watcher)
        lease_begin(e->s, e->m);
    ending_free(e);
}

void veld_watch_end(struct veld_service *s, struct veld_member *m, enum veld_coord_code code,
                    const char *text)
{
    struct ending *e = g_new(struct ending, 1);
    *e = (struct ending){.s = s, .m = m, .w = m->watcher, .code = code, .text = text};
    if (e->w)
        e->w->refs++;
    lease_end(s, m);
    veld_batch_note(s->registry->batch, e, keep_ending, undo_ending);
}

void veld_watch_remove_member(struct veld_service *s, struct veld_member *m,
                              enum veld_coord_code code, const char *text)
{
    struct veld_membership membership;
    veld_member_membership(m, &membership);
    veld_watch_end(s, m, code, text);
    veld_member_remove(s->registry, m, &s->now);
    veld_service_audit(s, m->net, VELD_COORD_REMOVE, &membership);
}

/* ---- what is next ---- */

static bool is_behind(const struct veld_watcher *w)
{
    return !w->is_synced || w->revision < w->net->told;
}

static bool has_something(const struct veld_watcher *w)
{
    return w->is_over || is_behind(w) || w->signals.length > 0 ||
           w->epoch < veld_revocations_epoch(w->net->revocations);
}

static struct veld_shared_bytes *next_list(struct veld_watcher *w)
{
    bool synced = w->is_synced && w->revision == w->net->revision;
    w->epoch = veld_revocations_epoch(w->net->revocations);
    const struct veld_event_for who = {
        .kind = synced ? VELD_EVENT_LIST : VELD_EVENT_LIST_BEFORE, .from = w->revision};
    return veld_events_get(w->s->events, w->net, &who, w->s->now.mono_ns).bytes;
}

/*
 * Is what it knows nothing that this network's changes lead on from? During a reset it
 * knows nothing that was removed before that began.
 */
static bool must_reset(const struct veld_watcher *w)
{
    if (w->is_resetting && w->net->horizon <= w->reset_at)
        return false;
    return !veld_net_has_told(w->net, w->revision);
}

static struct veld_shared_bytes *next_changes(struct veld_watcher *w)
{
    struct veld_event_for who = {.kind = VELD_EVENT_CHANGES};
    if (must_reset(w)) {
        w->s->stats.resyncs += w->revision != 0;
        w->revision = w->whole = 0;
        w->is_resetting = true;
        w->reset_at = w->net->revision;
        who.kind = VELD_EVENT_RESET;
    }
    who.from = w->revision;
    who.whole = w->whole;
    struct veld_event e = veld_events_get(w->s->events, w->net, &who, w->s->now.mono_ns);
    w->revision = e.to;
    w->is_synced = e.synced;
    if (e.synced) {
        w->is_resetting = false;
        w->whole = e.to;
    }
    return e.bytes;
}

static struct veld_shared_bytes *next_signals(struct veld_watcher *w)
{
    Veld__Coord__Inside__WatchEvent v = VELD__COORD__INSIDE__WATCH_EVENT__INIT;
    Veld__Coord__Inside__Signal room[VELD_SIGNALS_MAX], *list[VELD_SIGNALS_MAX];
    v.revision = w->revision;
    v.synced = true;
    v.signals = list;
    for (GList *i = w->signals.head; i && v.n_signals < VELD_SIGNALS_MAX; i = i->next) {
        const struct signal *signal = i->data;
        Veld__Coord__Inside__Signal *out = list[v.n_signals] = &room[v.n_signals];
        veld__coord__inside__signal__init(out);
        out->from = veld_pb_bytes(signal->from, sizeof signal->from);
        out->sealed = veld_pb_bytes(signal->sealed, signal->len);
        v.n_signals++;
    }
    struct veld_shared_bytes *bytes = veld_shared_pack(&v);
    for (size_t i = 0; i < v.n_signals; i++)
        drop_signal(w, g_queue_pop_head(&w->signals));
    return bytes;
}

/* Revocations before the members they are about, members before their signals. */
static struct veld_shared_bytes *next_event(struct veld_watcher *w)
{
    if (w->epoch < veld_revocations_epoch(w->net->revocations))
        return next_list(w);
    if (is_behind(w) || (w->signals.length > 0 && w->revision < w->net->revision))
        return next_changes(w);
    return w->signals.length > 0 ? next_signals(w) : NULL;
}

bool veld_watch_next(struct veld_watcher *w, const struct veld_now *now,
                     struct veld_shared_bytes **out, struct veld_coord_status *status)
{
    w->s->now = *now;
    *out = NULL;
    *status = (struct veld_coord_status){.code = VELD_CODE_OK};
    if (w->is_over) {
        *status = w->end;
        return false;
    }
    if (veld_batch_is_open(w->s->registry->batch))
        look_at(w); /* nothing that may yet be undone */
    else
        *out = next_event(w);
    w->waits = !*out;
    w->s->stats.events_sent += *out != NULL;
    return *out;
}

/* ---- telling ---- */

static void wake(struct veld_watcher *w)
{
    if (!w->waits || !has_something(w))
        return;
    w->waits = false;
    w->ready(w->ready_ctx);
}

/* When what has changed is to be told; it may be over. */
static uint64_t due_ns(const struct veld_net *net)
{
    bool only_presence = net->news <= net->told;
    return net->told_ns + (only_presence ? PRESENCE_WAITS : 1) * net->tell_interval_ns;
}

static void tell(struct veld_service *s, struct veld_net *net)
{
    net->told = net->revision;
    net->told_ns = s->now.mono_ns;
    net->tell_interval_ns = veld_watch_interval_ns(net->watchers.length);
    for (GList *i = net->watchers.head; i; i = i->next)
        wake(i->data);
}

void veld_watch_changed(void *ctx, struct veld_net *net)
{
    struct veld_service *s = ctx;
    veld_events_forget(s->events, net, net->moved_from);
    if (net->tell_waits)
        return;
    net->tell_waits = true;
    g_queue_push_tail(&s->to_tell, net);
}

void veld_watch_settle(struct veld_service *s)
{
    GList *next;
    for (GList *i = s->to_tell.head; i; i = next) {
        struct veld_net *net = i->data;
        next = i->next;
        if (due_ns(net) > s->now.mono_ns)
            continue;
        g_queue_delete_link(&s->to_tell, i);
        net->tell_waits = false;
        tell(s, net);
    }
    while (s->to_look_at.head) {
        struct veld_watcher *w = s->to_look_at.head->data;
        g_queue_unlink(&s->to_look_at, &w->to_look_at);
        w->is_looked_at = false;
        wake(w);
    }
}

uint64_t veld_watch_due_ns(const struct veld_service *s)
{
    uint64_t due = UINT64_MAX;
    if (s->leases.head)
        due = ((struct veld_member *)s->leases.head->data)->lease_ns;
    for (GList *i = s->to_tell.head; i; i = i->next)
        due = VELD_MIN(due, due_ns(i->data));
    return due;
}

void veld_watch_stop(struct veld_service *s)
{
    GHashTableIter nets;
    gpointer value;
    g_hash_table_iter_init(&nets, s->registry->nets);
    while (g_hash_table_iter_next(&nets, NULL, &value)) {
        struct veld_net *net = value;
        while (net->watchers.head)
            end(net->watchers.head->data, VELD_CODE_UNAVAILABLE,
                "the server is stopping; reconnect");
        veld_events_forget_all(s->events, net);
    }
    g_queue_clear(&s->to_tell);
    while (s->leases.head)
        lease_end(s, s->leases.head->data);
}

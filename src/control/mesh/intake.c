#include "control/mesh/intake.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    enum veld_intake_kind kind;
    uint64_t tag;
    int err;
    size_t len;
    uint8_t bytes[];
};

struct veld_intake {
    const struct veld_network *network;
    uint64_t (*now_s)(void);
    veld_intake_fn *done;
    void *ctx;
    GSource *source; /* ready when something came out */
    pthread_t thread;
    bool started;

    /* The verifying thread's. */
    struct veld_revocations *revoked;
    uint64_t learned; /* of events so far, and of each member of the cache */

    pthread_mutex_t lock;
    /* Under the lock. */
    pthread_cond_t changed;
    GQueue lists;    /* of entry: revocations */
    GQueue in;       /* of entry: the rest */
    size_t in_bytes; /* of those */
    GQueue out;      /* of veld_intake_result */
    bool stopped;
};

/* ---- In ---- */

static bool has_room(const struct veld_intake *in, const struct veld_intake_item *item)
{
    if (item->kind == VELD_INTAKE_REVOCATIONS)
        return in->lists.length < VELD_INTAKE_LISTS;
    return in->in.length == 0 || in->in_bytes + item->len <= VELD_INTAKE_BYTES;
}

static int add(struct veld_intake *in, const struct veld_intake_item *item)
{
    struct entry *e = malloc(sizeof *e + item->len);
    if (!e)
        return VELD_E_NOMEM;
    *e = (struct entry){
        .kind = item->kind, .tag = item->tag, .err = item->err, .len = item->len};
    if (item->len)
        memcpy(e->bytes, item->bytes, item->len);
    if (e->kind == VELD_INTAKE_REVOCATIONS) {
        g_queue_push_tail(&in->lists, e);
    } else {
        g_queue_push_tail(&in->in, e);
        in->in_bytes += sizeof *e + e->len;
    }
    pthread_cond_broadcast(&in->changed);
    return 0;
}

int veld_intake_push(struct veld_intake *in, const struct veld_intake_item *item)
{
    pthread_mutex_lock(&in->lock);
    while (!in->stopped && !has_room(in, item))
        pthread_cond_wait(&in->changed, &in->lock);
    int rc = in->stopped ? VELD_E_STATE : add(in, item);
    pthread_mutex_unlock(&in->lock);
    return rc;
}

int veld_intake_try(struct veld_intake *in, const struct veld_intake_item *item)
{
    pthread_mutex_lock(&in->lock);
    int rc = in->stopped ? VELD_E_STATE : has_room(in, item) ? add(in, item) : VELD_E_FULL;
    pthread_mutex_unlock(&in->lock);
    return rc;
}

/* ---- Verifying: on its own thread ---- */

/* The list is the intake's from here on, and another copy of it the receiver's. */
static int adopt(struct veld_intake *in, const struct veld_revocations *list)
{
    struct veld_revocations *own = NULL;
    struct veld_blob bytes = veld_revocations_bytes(list);
    int rc = veld_revocations_read(bytes.p, bytes.len, in->network->id, in->revoked, &own);
    if (rc < 0)
        return rc;
    veld_revocations_free(in->revoked);
    in->revoked = own;
    return 0;
}

static int verify_event(struct veld_intake *in, const struct entry *e,
                        struct veld_watch_event *out)
{
    struct veld_event_known known = {
        .network = in->network, .revoked = in->revoked, .now_s = in->now_s()};
    int rc = veld_watch_event_read(e->bytes, e->len, &known, out);
    /* What one event tells is learned at once; what the cache has, in the order of the file. */
    in->learned++;
    for (size_t i = 0; i < out->n_members; i++)
        out->members[i].since = e->kind == VELD_INTAKE_CACHED ? ++in->learned : in->learned;
    return rc;
}

static uint8_t *copy_with_nul(const uint8_t *bytes, size_t len)
{
    uint8_t *p = g_malloc(len + 1);
    memcpy(p, bytes, len);
    p[len] = '\0';
    return p;
}

static void verify(struct veld_intake *in, const struct entry *e, struct veld_intake_result *r)
{
    *r = (struct veld_intake_result){.kind = e->kind, .tag = e->tag, .err = e->err};
    if (e->kind == VELD_INTAKE_PLAIN)
        r->plain = (struct veld_blob){copy_with_nul(e->bytes, e->len), e->len};
    else if (e->kind == VELD_INTAKE_REVOCATIONS)
        r->err = veld_revocations_read(e->bytes, e->len, in->network->id, in->revoked,
                                       &r->event.revocations);
    else
        r->err = verify_event(in, e, &r->event);
    if (r->event.revocations && r->err == 0)
        r->err = adopt(in, r->event.revocations);
    if (r->err < 0)
        veld_watch_event_clear(&r->event);
}

static void free_result(struct veld_intake_result *r)
{
    veld_watch_event_clear(&r->event);
    g_free(r->plain.p);
    g_free(r);
}

/* With the lock held. NULL: the end. */
static struct entry *next_entry(struct veld_intake *in)
{
    while (!in->stopped && in->in.length + in->lists.length == 0)
        pthread_cond_wait(&in->changed, &in->lock);
    if (in->stopped)
        return NULL;
    struct entry *e = g_queue_pop_head(&in->lists);
    if (!e) {
        e = g_queue_pop_head(&in->in);
        in->in_bytes -= sizeof *e + e->len;
    }
    pthread_cond_broadcast(&in->changed);
    return e;
}

static void *run(void *data)
{
    struct veld_intake *in = data;
    struct entry *e;
    pthread_mutex_lock(&in->lock);
    while ((e = next_entry(in))) {
        pthread_mutex_unlock(&in->lock);
        struct veld_intake_result *r = g_new0(struct veld_intake_result, 1);
        verify(in, e, r);
        free(e);
        pthread_mutex_lock(&in->lock);
        while (!in->stopped && in->out.length >= VELD_INTAKE_EVENTS)
            pthread_cond_wait(&in->changed, &in->lock);
        g_queue_push_tail(&in->out, r);
        g_source_set_ready_time(in->source, 0);
    }
    pthread_mutex_unlock(&in->lock);
    return NULL;
}

/* ---- Out: on the control thread ---- */

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct veld_intake *in = data;
    g_source_set_ready_time(source, -1);
    pthread_mutex_lock(&in->lock);
    struct veld_intake_result *r = g_queue_pop_head(&in->out);
    if (in->out.length > 0)
        g_source_set_ready_time(source, 0);
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
    if (r) {
        in->done(in->ctx, r);
        free_result(r);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean never(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

/* ---- Begin and end ---- */

static int known_revocations(struct veld_intake *in, const struct veld_blob *bytes)
{
    if (bytes->len == 0)
        return 0;
    return veld_revocations_read(bytes->p, bytes->len, in->network->id, NULL, &in->revoked);
}

int veld_intake_open(struct veld_intake **out, const struct veld_intake_config *cfg)
{
    struct veld_intake *in = g_new0(struct veld_intake, 1);
    in->network = cfg->network;
    in->now_s = cfg->now_s;
    in->done = cfg->done;
    in->ctx = cfg->ctx;
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->changed, NULL);
    in->source = g_source_new(&source_funcs, sizeof(GSource));
    g_source_set_callback(in->source, never, in, NULL);
    g_source_attach(in->source, NULL);
    int rc = known_revocations(in, &cfg->revocations);
    if (rc == 0 && pthread_create(&in->thread, NULL, run, in) != 0)
        rc = VELD_E_NOMEM;
    in->started = rc == 0;
    if (rc < 0) {
        veld_intake_close(in);
        return rc;
    }
    *out = in;
    return 0;
}

void veld_intake_stop(struct veld_intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->stopped = true;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
    if (in->started)
        pthread_join(in->thread, NULL);
    in->started = false;
    g_source_destroy(in->source);
}

static void free_results(gpointer r)
{
    free_result(r);
}

void veld_intake_close(struct veld_intake *in)
{
    if (!in)
        return;
    veld_intake_stop(in);
    g_source_unref(in->source);
    g_queue_clear_full(&in->lists, free);
    g_queue_clear_full(&in->in, free);
    g_queue_clear_full(&in->out, free_results);
    veld_revocations_free(in->revoked);
    pthread_mutex_destroy(&in->lock);
    pthread_cond_destroy(&in->changed);
    g_free(in);
}

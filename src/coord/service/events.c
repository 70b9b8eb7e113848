#include "coord/service/events.h"

#include "base/clock.h"
#include "coord/service/call.h"
#include "coord/service/page.h"
#include "crypto/primitives.h"

#include <string.h>

/* Without padding: it is hashed as it lies there. */
struct key {
    uint64_t net; /* its address */
    uint64_t from, whole;
    uint64_t kind;
};

struct kept {
    struct key key; /* first */
    struct veld_net *net;
    struct veld_event event;
    uint64_t asked_ns;
    GList by_age; /* in `by_age`, least lately asked for first */
    GList in_net; /* in the network's events */
};

struct veld_events {
    GHashTable *table;
    GQueue by_age;
    size_t bytes;
    struct veld_page page; /* room to work in */
};

static uint8_t seed[16]; /* of all tables; clients choose where they say they are */

static guint hash(gconstpointer key)
{
    return (guint)veld_siphash(seed, key, sizeof(struct key));
}

static gboolean equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(struct key)) == 0;
}

struct veld_events *veld_events_new(void)
{
    struct veld_events *e = g_new0(struct veld_events, 1);
    if (veld_is_zero(seed, sizeof seed))
        veld_random(seed, sizeof seed);
    e->table = g_hash_table_new(hash, equal);
    return e;
}

static size_t cost(const struct kept *k)
{
    return sizeof *k + k->event.bytes->len;
}

static void drop(struct veld_events *e, struct kept *k)
{
    g_hash_table_remove(e->table, &k->key);
    g_queue_unlink(&e->by_age, &k->by_age);
    g_queue_unlink(&k->net->events, &k->in_net);
    e->bytes -= cost(k);
    veld_shared_unref(k->event.bytes);
    g_free(k);
}

void veld_events_free(struct veld_events *e)
{
    if (!e)
        return;
    while (e->by_age.head)
        drop(e, e->by_age.head->data);
    g_hash_table_destroy(e->table);
    g_free(e);
}

/* ---- bytes ---- */

struct veld_shared_bytes *veld_shared_pack(const void *event)
{
    size_t len = protobuf_c_message_get_packed_size(event);
    struct veld_shared_bytes *b = g_malloc(sizeof *b + len);
    b->refs = 1;
    b->len = protobuf_c_message_pack(event, b->bytes);
    return b;
}

void veld_shared_unref(struct veld_shared_bytes *b)
{
    if (b && --b->refs == 0)
        g_free(b);
}

static struct veld_event encode(struct veld_events *e, const struct veld_net *net,
                                const struct veld_event_for *who)
{
    Veld__Coord__Inside__WatchEvent v = VELD__COORD__INSIDE__WATCH_EVENT__INIT;
    struct veld_page *p = &e->page;
    if (who->kind == VELD_EVENT_CHANGES || who->kind == VELD_EVENT_RESET) {
        v.reset = who->kind == VELD_EVENT_RESET;
        veld_page_fill(
            p, net,
            &(struct veld_page_for){.from = who->from,
                                    .whole = who->whole,
                                    .what = v.reset ? VELD_PAGE_MEMBERS : VELD_PAGE_ALL},
            VELD_PAGE_ITEMS);
        v.revision = p->to;
        v.synced = p->is_last;
        v.members = p->members;
        v.n_members = p->n_members;
        v.removed = p->removed;
        v.n_removed = p->n_removed;
        v.presence = p->presences;
        v.n_presence = p->n_presences;
    } else {
        struct veld_blob list = veld_revocations_bytes(net->revocations);
        v.revision = who->from;
        v.synced = who->kind == VELD_EVENT_LIST;
        v.revocations = veld_pb_bytes(list.p, list.len);
    }
    return (struct veld_event){
        .bytes = veld_shared_pack(&v), .to = v.revision, .synced = v.synced};
}

/* ---- what is kept ---- */

static void keep(struct veld_events *e, struct veld_net *net, const struct key *key,
                 const struct veld_event *event, uint64_t mono_ns)
{
    struct kept *k = g_new0(struct kept, 1);
    k->key = *key;
    k->net = net;
    k->event = *event;
    k->asked_ns = mono_ns;
    k->by_age.data = k->in_net.data = k;
    g_hash_table_replace(e->table, &k->key, k);
    g_queue_push_tail_link(&e->by_age, &k->by_age);
    g_queue_push_tail_link(&net->events, &k->in_net);
    e->bytes += cost(k);
    while (e->bytes > VELD_EVENTS_BYTES && e->by_age.head != &k->by_age)
        drop(e, e->by_age.head->data);
}

struct veld_event veld_events_get(struct veld_events *e, struct veld_net *net,
                                  const struct veld_event_for *who, uint64_t mono_ns)
{
    struct key key = {
        .net = (uintptr_t)net, .from = who->from, .whole = who->whole, .kind = who->kind};
    struct kept *k = g_hash_table_lookup(e->table, &key);
    struct veld_event event;
    if (k) {
        g_queue_unlink(&e->by_age, &k->by_age);
        g_queue_push_tail_link(&e->by_age, &k->by_age);
        k->asked_ns = mono_ns;
        event = k->event;
    } else {
        event = encode(e, net, who);
        keep(e, net, &key, &event, mono_ns);
    }
    event.bytes->refs++;
    return event;
}

void veld_events_forget(struct veld_events *e, struct veld_net *net, uint64_t moved_from)
{
    GList *next;
    for (GList *i = net->events.head; i; i = next) {
        struct kept *k = i->data;
        next = i->next;
        if (k->event.synced || k->event.to >= moved_from || k->key.kind >= VELD_EVENT_LIST)
            drop(e, k);
    }
}

void veld_events_forget_all(struct veld_events *e, struct veld_net *net)
{
    while (net->events.head)
        drop(e, net->events.head->data);
}

void veld_events_tidy(struct veld_events *e, uint64_t mono_ns)
{
    while (e->by_age.head) {
        struct kept *k = e->by_age.head->data;
        if (mono_ns - k->asked_ns < VELD_EVENTS_S * VELD_NS_PER_S)
            return;
        drop(e, k);
    }
}

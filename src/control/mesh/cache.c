#include "control/mesh/cache.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "profile/folder.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_BYTES (VELD_EVENT_MAX / 2) /* where the next event begins */
#define LENGTH_SIZE 4
#define MEMBER_MORE 32 /* bytes of a member's fields beside its record */

/* ---- The form: protobuf's, of messages that are bytes already ---- */

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };
/* Fields of WatchEvent and Member (coord.proto). */
enum { EVENT_REVISION = 1, EVENT_RESET = 2, EVENT_SYNCED = 3, EVENT_MEMBERS = 4 };
enum { MEMBER_PEER = 1, MEMBER_ONLINE = 2, MEMBER_REVISION = 3, MEMBER_LAST_SEEN = 4 };

static uint8_t *put_varint(uint8_t *to, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        *to++ = (uint8_t)(n | 0x80);
    *to++ = (uint8_t)n;
    return to;
}

static uint8_t *put_number(uint8_t *to, unsigned field, uint64_t n)
{
    *to++ = (uint8_t)(field << 3 | WIRE_VARINT);
    return put_varint(to, n);
}

static uint8_t *put_length(uint8_t *to, unsigned field, size_t len)
{
    *to++ = (uint8_t)(field << 3 | WIRE_BYTES);
    return put_varint(to, len);
}

/* At most MEMBER_MORE bytes and those of the record. */
static uint8_t *put_member(uint8_t *to, const struct veld_member *m)
{
    uint8_t head[16], tail[MEMBER_MORE];
    size_t n_head = (size_t)(put_length(head, MEMBER_PEER, m->record.len) - head);
    /* The watch goes on from the revision that all this is of. */
    uint8_t *end = put_number(tail, MEMBER_ONLINE, m->online);
    end = put_number(end, MEMBER_REVISION, m->revision);
    size_t n_tail = (size_t)(put_number(end, MEMBER_LAST_SEEN, m->last_seen_s) - tail);
    to = put_length(to, EVENT_MEMBERS, n_head + m->record.len + n_tail);
    memcpy(to, head, n_head);
    memcpy(to + n_head, m->record.p, m->record.len);
    memcpy(to + n_head + m->record.len, tail, n_tail);
    return to + n_head + m->record.len + n_tail;
}

int veld_cache_encode(struct veld_blob *out, const struct veld_member *const *members, size_t n,
                      uint64_t revision)
{
    size_t room = 2 * (LENGTH_SIZE + MEMBER_MORE);
    *out = (struct veld_blob){0};
    for (size_t i = 0; i < n; i++)
        room += members[i]->record.len + 2 * MEMBER_MORE;
    room += room / EVENT_BYTES * (LENGTH_SIZE + MEMBER_MORE);
    if (room > VELD_CACHE_MAX)
        return VELD_E_RANGE;
    uint8_t *p = malloc(room), *event = p;
    if (!p)
        return VELD_E_NOMEM;
    uint8_t *to = put_number(event + LENGTH_SIZE, EVENT_RESET, 1);
    for (size_t i = 0; i < n; i++) {
        to = put_member(to, members[i]);
        if ((size_t)(to - event) < EVENT_BYTES)
            continue;
        veld_store_be32(event, (uint32_t)(to - event - LENGTH_SIZE));
        event = to;
        to += LENGTH_SIZE;
    }
    to = put_number(to, EVENT_REVISION, revision);
    to = put_number(to, EVENT_SYNCED, 1);
    veld_store_be32(event, (uint32_t)(to - event - LENGTH_SIZE));
    *out = (struct veld_blob){p, (size_t)(to - p)};
    return 0;
}

bool veld_cache_next(const struct veld_blob *cache, size_t *at, const uint8_t **event,
                     size_t *len)
{
    if (cache->len - *at < LENGTH_SIZE)
        return false;
    size_t n = veld_load_be32(cache->p + *at);
    if (n > VELD_EVENT_MAX || n > cache->len - *at - LENGTH_SIZE)
        return false;
    *event = cache->p + *at + LENGTH_SIZE;
    *len = n;
    *at += LENGTH_SIZE + n;
    return true;
}

/* ---- The file ---- */

struct veld_cache {
    char *state_dir, *network;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct veld_blob waits; /* under the lock; empty: nothing */
    bool closing;           /* under the lock */
};

static void *write_all(void *data)
{
    struct veld_cache *c = data;
    struct veld_diag diag = {""};
    pthread_mutex_lock(&c->lock);
    while (c->waits.p || !c->closing) {
        if (!c->waits.p) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        struct veld_blob bytes = c->waits;
        c->waits = (struct veld_blob){0};
        pthread_mutex_unlock(&c->lock);
        if (veld_profile_write(c->state_dir, c->network, VELD_PROFILE_MEMBERS, bytes.p,
                               bytes.len, &diag) < 0)
            VELD_LOG_LIMITED(VELD_LOG_WARN, veld_clock_mono_ns(),
                             "the network's members are not kept for the next start: %s",
                             diag.text);
        veld_blob_clear(&bytes);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

struct veld_cache *veld_cache_open(const char *state_dir, const char *network)
{
    struct veld_cache *c = g_new0(struct veld_cache, 1);
    c->state_dir = g_strdup(state_dir);
    c->network = g_strdup(network);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    return c;
}

void veld_cache_load(struct veld_cache *c, struct veld_blob *out)
{
    struct veld_diag diag = {""};
    *out = (struct veld_blob){0};
    int rc = veld_profile_read(c->state_dir, c->network, VELD_PROFILE_MEMBERS, VELD_CACHE_MAX,
                               out, &diag);
    if (rc < 0 && rc != VELD_E_NOENT)
        veld_warn("%s; peers are known once the coord server tells them", diag.text);
}

void veld_cache_store(struct veld_cache *c, struct veld_blob *bytes)
{
    pthread_mutex_lock(&c->lock);
    veld_blob_clear(&c->waits);
    c->waits = *bytes;
    *bytes = (struct veld_blob){0};
    if (!c->has_thread)
        c->has_thread = pthread_create(&c->thread, NULL, write_all, c) == 0;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void veld_cache_close(struct veld_cache *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (c->has_thread)
        pthread_join(c->thread, NULL);
    veld_blob_clear(&c->waits); /* there was no thread to be had */
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    g_free(c->state_dir);
    g_free(c->network);
    g_free(c);
}

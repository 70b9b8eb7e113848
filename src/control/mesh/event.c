#include "control/mesh/event.h"

#include <veld/coord/v1/coord.pb-c.h>

#include <stdlib.h>
#include <string.h>

typedef Veld__Coord__V1__WatchEvent pb_event;
typedef Veld__Coord__V1__Member pb_member;
typedef Veld__Coord__V1__Signal pb_signal;

/* ---- The message, in bounded memory ---- */

static void *room_alloc(void *left, size_t size)
{
    size_t *room = left;
    if (size > *room)
        return NULL;
    *room -= size;
    return malloc(size);
}

static void room_free(void *left, void *p)
{
    free(p);
}

static pb_event *unpack(const uint8_t *p, size_t len)
{
    size_t left = VELD_EVENT_ROOM;
    ProtobufCAllocator room = {.alloc = room_alloc, .free = room_free, .allocator_data = &left};
    return len > VELD_EVENT_MAX ? NULL : veld__coord__v1__watch_event__unpack(&room, len, p);
}

static void unpack_free(pb_event *e)
{
    ProtobufCAllocator room = {.alloc = room_alloc, .free = room_free};
    veld__coord__v1__watch_event__free_unpacked(e, &room);
}

/* ---- Reading ---- */

static int pack(struct veld_blob *out, const ProtobufCMessage *m, size_t max)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    *out = (struct veld_blob){0};
    if (len > max)
        return VELD_E_FORMAT;
    uint8_t *p = malloc(len ? len : 1);
    if (!p)
        return VELD_E_NOMEM;
    protobuf_c_message_pack(m, p);
    *out = (struct veld_blob){p, len};
    return 0;
}

static int read_member(const pb_member *m, const struct veld_event_known *known,
                       const struct veld_revocations *revoked, struct veld_member_news *out)
{
    if (!m->peer)
        return VELD_E_FORMAT;
    int rc = pack(&out->bytes, &m->peer->base, VELD_RECORD_MAX);
    if (rc == 0)
        rc = veld_record_read(out->bytes.p, out->bytes.len, known->network, revoked,
                              known->now_s, &out->record);
    if (rc < 0) {
        veld_blob_clear(&out->bytes);
        return rc;
    }
    out->online = m->online;
    out->last_seen_s = m->last_seen;
    out->revision = m->revision;
    return 0;
}

static int read_members(const pb_event *e, const struct veld_event_known *known,
                        struct veld_watch_event *out)
{
    const struct veld_revocations *revoked =
        out->revocations ? out->revocations : known->revoked;
    out->members = calloc(e->n_members + 1, sizeof *out->members);
    if (!out->members)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < e->n_members; i++) {
        int rc = read_member(e->members[i], known, revoked, &out->members[out->n_members]);
        if (rc == VELD_E_NOMEM)
            return rc;
        if (rc == 0)
            out->n_members++;
        else
            out->refused[veld_refusal_of(rc)]++;
    }
    return 0;
}

static int read_presence(const pb_event *e, struct veld_watch_event *out)
{
    out->presence = calloc(e->n_presence + 1, sizeof *out->presence);
    if (!out->presence)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < e->n_presence; i++) {
        const Veld__Coord__V1__Presence *p = e->presence[i];
        struct veld_member_presence *to = &out->presence[out->n_presence];
        if (p->member.len != sizeof to->pub) {
            out->refused[VELD_REFUSAL_MALFORMED]++;
            continue;
        }
        memcpy(to->pub, p->member.data, sizeof to->pub);
        to->online = p->online;
        to->revision = p->revision;
        to->last_seen_s = p->last_seen;
        out->n_presence++;
    }
    return 0;
}

static int read_removed(const pb_event *e, struct veld_watch_event *out)
{
    out->removed = calloc(e->n_removed + 1, sizeof *out->removed);
    if (!out->removed)
        return VELD_E_NOMEM;
    for (size_t i = 0; i < e->n_removed; i++) {
        if (e->removed[i].len == sizeof out->removed[0])
            memcpy(out->removed[out->n_removed++], e->removed[i].data, sizeof out->removed[0]);
        else
            out->refused[VELD_REFUSAL_MALFORMED]++;
    }
    return 0;
}

static int read_revocations(const pb_event *e, const struct veld_event_known *known,
                            struct veld_watch_event *out)
{
    struct veld_blob bytes;
    if (!e->revocations)
        return 0;
    int rc = pack(&bytes, &e->revocations->base, VELD_REVOCATIONS_MAX);
    if (rc == 0) {
        struct veld_blob had = veld_revocations_bytes(known->revoked);
        bool same = had.len == bytes.len && memcmp(had.p, bytes.p, had.len) == 0;
        rc = same ? 0
                  : veld_revocations_read(bytes.p, bytes.len, known->network->id,
                                          known->revoked, &out->revocations);
        veld_blob_clear(&bytes);
        if (rc == 0)
            out->revocation_epoch =
                veld_revocations_epoch(same ? known->revoked : out->revocations);
    }
    if (rc < 0 && rc != VELD_E_NOMEM)
        out->refused[rc == VELD_E_REPLAY ? VELD_REFUSAL_REPLAYED : VELD_REFUSAL_REVOCATIONS]++;
    return rc == VELD_E_NOMEM ? rc : 0;
}

static int read_signals(const pb_event *e, struct veld_watch_event *out)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_signals; i++)
        n += e->signals[i]->from.len == 32 && e->signals[i]->sealed.len <= VELD_SIGNAL_MAX;
    out->refused[VELD_REFUSAL_MALFORMED] += (uint32_t)(e->n_signals - n);
    if (n > VELD_EVENT_SIGNALS_MAX) {
        out->refused[VELD_REFUSAL_SIGNAL_LIMIT] += (uint32_t)(n - VELD_EVENT_SIGNALS_MAX);
        n = VELD_EVENT_SIGNALS_MAX;
    }
    out->signals = calloc(n + 1, sizeof *out->signals);
    if (!out->signals)
        return VELD_E_NOMEM;
    for (size_t i = 0; out->n_signals < n; i++) {
        const pb_signal *s = e->signals[i];
        struct veld_event_signal *to = &out->signals[out->n_signals];
        if (s->from.len != sizeof to->from || s->sealed.len > sizeof to->sealed)
            continue;
        memcpy(to->from, s->from.data, sizeof to->from);
        if (s->sealed.len > 0)
            memcpy(to->sealed, s->sealed.data, s->sealed.len);
        to->len = s->sealed.len;
        out->n_signals++;
    }
    return 0;
}

int veld_watch_event_read(const uint8_t *p, size_t len, const struct veld_event_known *known,
                          struct veld_watch_event *out)
{
    *out = (struct veld_watch_event){0};
    pb_event *e = unpack(p, len);
    if (!e)
        return VELD_E_FORMAT;
    if (e->n_members > len / VELD_EVENT_RECORD_MIN) {
        unpack_free(e);
        return VELD_E_FORMAT;
    }
    out->revision = e->revision;
    out->reset = e->reset;
    out->synced = e->synced;
    int rc = read_revocations(e, known, out);
    if (rc == 0)
        rc = read_members(e, known, out);
    if (rc == 0)
        rc = read_presence(e, out);
    if (rc == 0)
        rc = read_removed(e, out);
    if (rc == 0)
        rc = read_signals(e, out);
    unpack_free(e);
    if (rc < 0)
        veld_watch_event_clear(out);
    return rc;
}

void veld_watch_event_clear(struct veld_watch_event *e)
{
    for (size_t i = 0; i < e->n_members; i++)
        veld_blob_clear(&e->members[i].bytes);
    free(e->members);
    free(e->presence);
    free(e->removed);
    free(e->signals);
    veld_revocations_free(e->revocations);
    *e = (struct veld_watch_event){0};
}

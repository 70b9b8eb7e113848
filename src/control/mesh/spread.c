#include "control/mesh/spread.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "trust/trust.h"

#include <stdlib.h>

#define NEVER       UINT64_MAX
#define WAIT_NS     (VELD_SPREAD_WAIT_MS * VELD_NS_PER_MS)
#define PART_GAP_NS (VELD_NS_PER_S / VELD_SPREAD_PARTS_PER_S)
#define ROOM_MIN    1024

/* A peer that offers a newer list. */
struct source {
    uint32_t peer;
    unsigned slice_s; /* how long it has the next time */
    uint64_t epoch;
};

/* What is remembered of any peer. */
struct member {
    uint64_t given_until_ns; /* what it was given is paid for then: the bucket's arrival time */
    uint64_t barred_until_ns;
};

struct veld_spread {
    uint32_t max_peers;
    struct member *members; /* by id */

    uint64_t epoch; /* of our list; 0: none */
    const uint8_t *list;
    size_t len;

    /* Who offers a newer one, in their order. While `fetching`, the first is asked. */
    struct source sources[VELD_SPREAD_SOURCES_MAX];
    size_t n;

    bool fetching;
    uint8_t *buffer; /* what came */
    size_t room, have, total;
    unsigned tries;
    uint64_t asked_ns, slice_end_ns;
};

struct veld_spread *veld_spread_new(uint32_t max_peers)
{
    struct veld_spread *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->max_peers = max_peers;
    s->members = calloc(max_peers, sizeof *s->members);
    if (!s->members) {
        free(s);
        return NULL;
    }
    return s;
}

void veld_spread_free(struct veld_spread *s)
{
    if (!s)
        return;
    free(s->members);
    free(s->buffer);
    free(s);
}

/* ---- Who offers one ---- */

static struct source *find(struct veld_spread *s, uint32_t peer)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->sources[i].peer == peer)
            return &s->sources[i];
    }
    return NULL;
}

static void drop_source(struct veld_spread *s, struct source *gone)
{
    if (gone == s->sources)
        s->fetching = false;
    s->n--;
    memmove(gone, gone + 1, (size_t)(s->sources + s->n - gone) * sizeof *gone);
}

/* Others first, from now on; and more time when its turn comes. */
static void put_last(struct veld_spread *s)
{
    struct source first = s->sources[0];
    first.slice_s = VELD_MIN(2 * first.slice_s, VELD_SPREAD_SLICE_MAX_S);
    drop_source(s, &s->sources[0]);
    s->sources[s->n++] = first;
}

static void drop_older(struct veld_spread *s)
{
    for (size_t i = s->n; i-- > 0;) {
        if (s->sources[i].epoch <= s->epoch)
            drop_source(s, &s->sources[i]);
    }
}

/* ---- Asking ---- */

static void say(struct veld_spread_act *act, uint32_t to, const struct veld_message *m)
{
    act->send = true;
    act->to = to;
    act->message = *m;
}

static void ask(struct veld_spread *s, uint64_t now_ns, struct veld_spread_act *act)
{
    const struct source *from = &s->sources[0];
    s->asked_ns = now_ns;
    say(act, from->peer,
        &(struct veld_message){
            .type = VELD_MSG_REVOKED_GET, .epoch = from->epoch, .offset = (uint32_t)s->have});
}

/* Ask the first of those who offer one, unless one is asked already. */
static void begin(struct veld_spread *s, uint64_t now_ns, struct veld_spread_act *act)
{
    if (s->fetching || s->n == 0)
        return;
    s->fetching = true;
    s->have = s->total = 0;
    s->tries = 1;
    s->slice_end_ns = now_ns + s->sources[0].slice_s * VELD_NS_PER_S;
    ask(s, now_ns, act);
}

static void bar(struct veld_spread *s, uint32_t peer, uint64_t now_ns)
{
    struct source *source = find(s, peer);
    if (source)
        drop_source(s, source);
    if (peer < s->max_peers)
        s->members[peer].barred_until_ns = now_ns + VELD_SPREAD_BARRED_S * VELD_NS_PER_S;
}

static bool make_room(struct veld_spread *s, size_t more)
{
    size_t room = VELD_MAX(s->room, ROOM_MIN);
    while (room < s->have + more)
        room *= 2;
    if (room == s->room)
        return true;
    uint8_t *grown = realloc(s->buffer, room);
    if (!grown)
        return false;
    s->buffer = grown;
    s->room = room;
    return true;
}

/* ---- What comes ---- */

/* May one more thing be sent to this peer that it asked for? */
static bool may_give(struct veld_spread *s, uint32_t peer, uint64_t now_ns)
{
    struct member *m = &s->members[peer];
    uint64_t from_ns = VELD_MAX(m->given_until_ns, now_ns);
    if (from_ns - now_ns >= VELD_SPREAD_BURST * PART_GAP_NS)
        return false;
    m->given_until_ns = from_ns + PART_GAP_NS;
    return true;
}

static void tell_epoch(struct veld_spread *s, uint32_t peer, uint64_t now_ns,
                       struct veld_spread_act *act)
{
    struct veld_message m;
    if (veld_spread_told(s, &m) && may_give(s, peer, now_ns))
        say(act, peer, &m);
}

static void on_epoch(struct veld_spread *s, uint32_t peer, const struct veld_message *m,
                     uint64_t now_ns, struct veld_spread_act *act)
{
    struct source *source = find(s, peer);
    if (m->epoch <= s->epoch) {
        if (source)
            drop_source(s, source); /* it offered another one before */
        if (m->epoch < s->epoch)
            tell_epoch(s, peer, now_ns, act);
        begin(s, now_ns, act);
        return;
    }
    if (s->members[peer].barred_until_ns > now_ns)
        return;
    if (!source && s->n < VELD_SPREAD_SOURCES_MAX) {
        source = &s->sources[s->n++];
        *source = (struct source){.peer = peer, .slice_s = VELD_SPREAD_SLICE_S};
    }
    if (!source)
        return;
    bool other = source->epoch != m->epoch;
    source->epoch = m->epoch;
    if (s->fetching && source == s->sources && other) {
        s->have = s->total = 0; /* in the same slice */
        s->tries = 1;
        ask(s, now_ns, act);
    }
    begin(s, now_ns, act);
}

static void on_get(struct veld_spread *s, uint32_t peer, const struct veld_message *m,
                   uint64_t now_ns, struct veld_spread_act *act)
{
    if (!s->epoch)
        return;
    if (m->epoch != s->epoch || m->offset >= s->len) {
        tell_epoch(s, peer, now_ns, act);
        return;
    }
    if (!may_give(s, peer, now_ns))
        return;
    size_t left = s->len - m->offset;
    say(act, peer,
        &(struct veld_message){.type = VELD_MSG_REVOKED_PART,
                               .epoch = s->epoch,
                               .offset = m->offset,
                               .total = (uint32_t)s->len,
                               .part = s->list + m->offset,
                               .part_len = (uint8_t)VELD_MIN(left, VELD_REVOKED_PART_MAX)});
}

/* Every part but the last is full, so that nobody can make many of a list. */
static bool is_right(const struct veld_spread *s, const struct veld_message *m)
{
    size_t left = m->total - m->offset;
    return m->total <= VELD_REVOCATIONS_MAX && (s->have == 0 || m->total == s->total) &&
           m->part_len == VELD_MIN(left, VELD_REVOKED_PART_MAX);
}

static void on_part(struct veld_spread *s, uint32_t peer, const struct veld_message *m,
                    uint64_t now_ns, struct veld_spread_act *act)
{
    const struct source *from = &s->sources[0];
    if (!s->fetching || from->peer != peer || m->epoch != from->epoch || m->offset != s->have)
        return; /* late, or twice */
    if (!is_right(s, m)) {
        bar(s, peer, now_ns);
        begin(s, now_ns, act);
        return;
    }
    if (!make_room(s, m->part_len))
        return; /* it is asked for again, or given up */
    memcpy(s->buffer + s->have, m->part, m->part_len);
    s->have += m->part_len;
    s->total = m->total;
    s->tries = 1;
    if (s->have < s->total) {
        ask(s, now_ns, act);
        return;
    }
    act->got = true;
    act->from = peer;
    act->epoch = m->epoch;
    act->list = s->buffer;
    act->len = s->have;
    drop_source(s, &s->sources[0]); /* the next one has its turn when this is judged */
}

void veld_spread_on_message(struct veld_spread *s, uint32_t peer, const struct veld_message *m,
                            uint64_t now_ns, struct veld_spread_act *act)
{
    *act = (struct veld_spread_act){0};
    if (peer >= s->max_peers)
        return;
    switch (m->type) {
    case VELD_MSG_REVOKED_EPOCH: on_epoch(s, peer, m, now_ns, act); break;
    case VELD_MSG_REVOKED_GET: on_get(s, peer, m, now_ns, act); break;
    case VELD_MSG_REVOKED_PART: on_part(s, peer, m, now_ns, act); break;
    default: break;
    }
}

/* ---- The rest ---- */

void veld_spread_set(struct veld_spread *s, uint64_t epoch, const uint8_t *list, size_t len)
{
    s->epoch = len ? epoch : 0;
    s->list = list;
    s->len = len;
    drop_older(s);
}

bool veld_spread_told(const struct veld_spread *s, struct veld_message *m)
{
    *m = (struct veld_message){.type = VELD_MSG_REVOKED_EPOCH, .epoch = s->epoch};
    return s->epoch != 0;
}

void veld_spread_on_use(struct veld_spread *s, uint32_t peer, struct veld_spread_act *act)
{
    struct veld_message m;
    *act = (struct veld_spread_act){0};
    if (veld_spread_told(s, &m))
        say(act, peer, &m);
}

void veld_spread_refuse(struct veld_spread *s, uint32_t peer, uint64_t now_ns)
{
    bar(s, peer, now_ns);
}

void veld_spread_gone(struct veld_spread *s, uint32_t peer)
{
    struct source *source = find(s, peer);
    if (source)
        drop_source(s, source);
    if (peer < s->max_peers)
        s->members[peer] = (struct member){0};
}

uint64_t veld_spread_deadline(const struct veld_spread *s)
{
    if (s->n == 0)
        return NEVER;
    if (!s->fetching)
        return 1; /* whose turn it is has not been asked */
    uint64_t at_ns = s->asked_ns + WAIT_NS;
    return s->n > 1 ? VELD_MIN(at_ns, s->slice_end_ns) : at_ns;
}

void veld_spread_tick(struct veld_spread *s, uint64_t now_ns, struct veld_spread_act *act)
{
    *act = (struct veld_spread_act){0};
    if (s->fetching && s->n > 1 && now_ns >= s->slice_end_ns)
        put_last(s);
    else if (s->fetching && now_ns - s->asked_ns >= WAIT_NS) {
        if (s->tries++ < VELD_SPREAD_TRIES)
            ask(s, now_ns, act);
        else
            drop_source(s, &s->sources[0]); /* it will tell its epoch again */
    }
    begin(s, now_ns, act);
}

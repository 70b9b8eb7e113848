#include "control/reach/volunteer_impl.h"

#include "base/bytes.h"

#include <string.h>

static guint64 pair_of(uint32_t a, uint32_t b)
{
    return (guint64)VELD_MIN(a, b) << 32 | VELD_MAX(a, b);
}

struct circuit *veld_volunteer_find(const struct veld_volunteer *v, uint32_t a, uint32_t b)
{
    guint64 pair = pair_of(a, b);
    return g_hash_table_lookup(v->circuits, &pair);
}

struct circuit *veld_volunteer_create(struct veld_volunteer *v, uint32_t from, uint32_t to,
                                      const uint8_t to_pub[32], uint64_t now_ns)
{
    uint32_t first, second;
    if (g_hash_table_size(v->circuits) >= VELD_VOLUNTEER_CIRCUITS_MAX ||
        veld_circuit_numbers_take(v->numbers, &first) < 0)
        return NULL;
    if (veld_circuit_numbers_take(v->numbers, &second) < 0) {
        veld_circuit_numbers_give(v->numbers, first);
        return NULL;
    }
    struct circuit *c = g_new0(struct circuit, 1);
    *c = (struct circuit){.pair = pair_of(from, to), .since_ns = now_ns};
    c->sides[0] = (struct side){.peer = from, .number = first};
    c->sides[1] = (struct side){.peer = to, .number = second};
    memcpy(c->sides[0].pub, v->ops.pub(v->ops.ctx, from), sizeof c->sides[0].pub);
    memcpy(c->sides[1].pub, to_pub, sizeof c->sides[1].pub);
    g_hash_table_add(v->circuits, &c->pair);
    return c;
}

int veld_volunteer_say(struct veld_volunteer *v, uint32_t to, enum veld_message_type type,
                       const uint8_t pub[32])
{
    struct veld_message m = {.type = (uint8_t)type};
    memcpy(m.pub, pub, sizeof m.pub);
    return v->ops.send(v->ops.ctx, to, &m);
}

static void dismantle(struct veld_volunteer *v, struct circuit *c, uint32_t except)
{
    for (int i = 0; i < 2; i++) {
        struct side *s = &c->sides[i];
        v->ops.forward_remove(v->ops.ctx, s->number);
        veld_circuit_numbers_give(v->numbers, s->number);
        if (!s->asked)
            continue;
        veld_allowances_give(v->allowances, s->peer);
        if (s->peer != except)
            (void)!veld_volunteer_say(v, s->peer, VELD_MSG_CIRCUIT_CLOSE,
                                      veld_volunteer_other_side(c, s)->pub);
    }
}

void veld_volunteer_end(struct veld_volunteer *v, struct circuit *c, uint32_t except)
{
    dismantle(v, c, except);
    g_hash_table_remove(v->circuits, &c->pair);
}

void veld_volunteer_sweep(struct veld_volunteer *v,
                          bool (*is_over)(struct veld_volunteer *v, struct circuit *c,
                                          const void *arg),
                          const void *arg, uint32_t except)
{
    GHashTableIter it;
    gpointer c;
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &c)) {
        if (!is_over(v, c, arg))
            continue;
        dismantle(v, c, except);
        g_hash_table_iter_remove(&it);
    }
}

void veld_volunteer_half_open(struct veld_volunteer *v, struct circuit *c, struct side *side,
                              uint64_t now_ns)
{
    side->asked = false;
    veld_allowances_give(v->allowances, side->peer);
    for (int i = 0; i < 2; i++) {
        v->ops.forward_remove(v->ops.ctx, c->sides[i].number);
        c->sides[i].said = 0;
        c->sides[i].use = (struct veld_forward_use){0};
    }
    c->ready = false;
    c->share_bytes = 0;
    c->since_ns = now_ns;
}

/* ---- Forwards ---- */

static int set_forward(struct veld_volunteer *v, struct circuit *c, const struct side *from)
{
    const struct side *to = veld_volunteer_other_side(c, from);
    struct veld_forward f = {.number = from->number,
                             .from = from->peer,
                             .to = to->peer,
                             .to_index = to->index,
                             .bytes_per_s = v->share};
    return v->ops.forward_set(v->ops.ctx, &f);
}

int veld_volunteer_set_forwards(struct veld_volunteer *v, struct circuit *c)
{
    int rc = set_forward(v, c, &c->sides[0]);
    return rc < 0 ? rc : set_forward(v, c, &c->sides[1]);
}

/* ---- Shares ---- */

void veld_volunteer_apply_share(struct veld_volunteer *v, uint64_t share)
{
    GHashTableIter it;
    gpointer entry;
    if (share == v->share)
        return;
    v->share = share;
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &entry)) {
        struct circuit *c = entry;
        if (c->ready) /* should it fail: without its forwards it ends at the next tick */
            (void)!veld_volunteer_set_forwards(v, c);
    }
}

void veld_volunteer_share_out(struct veld_volunteer *v, uint64_t now_ns)
{
    uint64_t rate = v->policy.bytes_per_s, ms = (now_ns - v->shared_ns) / VELD_NS_PER_MS;
    uint64_t least = rate / VELD_VOLUNTEER_BUSY_PART * ms / 1000, busy = 0;
    GHashTableIter it;
    gpointer entry;
    v->shared_ns = now_ns;
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &entry)) {
        struct circuit *c = entry;
        uint64_t bytes = c->sides[0].use.bytes + c->sides[1].use.bytes;
        busy += bytes - c->share_bytes > least;
        c->share_bytes = bytes;
    }
    veld_volunteer_apply_share(v, rate ? VELD_MAX(rate / VELD_MAX(busy, 1), 1) : 0);
}

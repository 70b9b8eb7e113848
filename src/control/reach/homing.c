#include "control/reach/homing.h"

#include <glib.h>

struct home {
    uint32_t id;
    uint64_t seen_ns; /* when it last had a session */
};

struct veld_homing {
    struct veld_homing_ops ops;
    struct home homes[VELD_HOMES_MAX];
    size_t n;
    uint32_t looked_at[VELD_HOMING_LOOK_MAX];
    size_t n_looked_at;
    bool looking;
    bool lost_one; /* a home is gone, and nobody was told yet */
    uint64_t look_ends_ns, next_look_ns;
};

struct veld_homing *veld_homing_new(const struct veld_homing_ops *ops)
{
    struct veld_homing *h = g_new0(struct veld_homing, 1);
    h->ops = *ops;
    return h;
}

void veld_homing_free(struct veld_homing *h)
{
    g_free(h);
}

static bool has(const struct veld_homing *h, uint32_t id)
{
    for (size_t i = 0; i < h->n; i++) {
        if (h->homes[i].id == id)
            return true;
    }
    return false;
}

static void take_out(struct veld_homing *h, size_t i)
{
    for (h->n--; i < h->n; i++)
        h->homes[i] = h->homes[i + 1];
    h->next_look_ns = 0;
}

/* ---- Those there are ---- */

static void leave(struct veld_homing *h, size_t i)
{
    uint32_t id = h->homes[i].id;
    take_out(h, i);
    h->ops.leave(h->ops.ctx, id);
}

static void leave_all(struct veld_homing *h)
{
    bool had = h->n > 0 || h->lost_one;
    h->looking = h->lost_one = false;
    while (h->n > 0)
        leave(h, h->n - 1);
    if (had)
        h->ops.on_change(h->ops.ctx);
}

/* True when one was given up. */
static bool give_up_the_lost(struct veld_homing *h, uint64_t now_ns)
{
    size_t before = h->n + h->lost_one;
    h->lost_one = false;
    for (size_t i = h->n; i-- > 0;) {
        struct home *home = &h->homes[i];
        if (h->ops.rtt_ns(h->ops.ctx, home->id))
            home->seen_ns = now_ns;
        if (!h->ops.is_relay(h->ops.ctx, home->id) ||
            veld_ns_since(now_ns, home->seen_ns) >= VELD_HOMING_LOST_NS)
            leave(h, i);
    }
    return h->n < before;
}

/* ---- Looking for more ---- */

static void begin_look(struct veld_homing *h, uint64_t now_ns)
{
    h->looking = true;
    h->look_ends_ns = now_ns + VELD_HOMING_LOOK_NS;
    h->n_looked_at = h->ops.look(h->ops.ctx, h->looked_at);
    for (size_t i = 0; i < h->n_looked_at; i++) {
        if (!h->ops.rtt_ns(h->ops.ctx, h->looked_at[i]))
            h->ops.call(h->ops.ctx, h->looked_at[i]);
    }
}

static bool all_answered(const struct veld_homing *h)
{
    for (size_t i = 0; i < h->n_looked_at; i++) {
        if (!h->ops.rtt_ns(h->ops.ctx, h->looked_at[i]))
            return false;
    }
    return true;
}

/* The nearest that answered and is no home yet. */
static bool nearest(const struct veld_homing *h, uint32_t *id)
{
    uint64_t best_ns = UINT64_MAX;
    for (size_t i = 0; i < h->n_looked_at; i++) {
        uint32_t at = h->looked_at[i];
        uint64_t rtt_ns = h->ops.rtt_ns(h->ops.ctx, at);
        if (rtt_ns == 0 || rtt_ns >= best_ns || has(h, at) || !h->ops.is_relay(h->ops.ctx, at))
            continue;
        best_ns = rtt_ns;
        *id = at;
    }
    return best_ns != UINT64_MAX;
}

/* True when a home was found. */
static bool end_look(struct veld_homing *h, uint64_t now_ns)
{
    size_t before = h->n;
    uint32_t id;
    while (h->n < VELD_HOMES_MAX && nearest(h, &id)) {
        h->homes[h->n++] = (struct home){id, now_ns};
        h->ops.keep(h->ops.ctx, id);
    }
    h->looking = false;
    uint64_t pause_ns = h->n_looked_at == h->n ? VELD_HOMING_ALL_NS
                        : h->n > 0             ? VELD_HOMING_ONE_MORE_NS
                                               : VELD_HOMING_AGAIN_NS;
    h->next_look_ns = now_ns + pause_ns;
    return h->n > before;
}

void veld_homing_run(struct veld_homing *h, enum veld_homing_need need, uint64_t now_ns)
{
    if (need == VELD_HOMING_NOT_NEEDED) {
        leave_all(h);
        return;
    }
    bool changed = give_up_the_lost(h, now_ns);
    if (!h->looking && h->n < VELD_HOMES_MAX && now_ns >= h->next_look_ns)
        begin_look(h, now_ns);
    if (h->looking && (now_ns >= h->look_ends_ns || all_answered(h)))
        changed |= end_look(h, now_ns);
    if (changed)
        h->ops.on_change(h->ops.ctx);
}

size_t veld_homing_get(const struct veld_homing *h, uint32_t out[VELD_HOMES_MAX])
{
    for (size_t i = 0; i < h->n; i++)
        out[i] = h->homes[i].id;
    return h->n;
}

void veld_homing_peer_gone(struct veld_homing *h, uint32_t id)
{
    for (size_t i = h->n_looked_at; i-- > 0;) {
        if (h->looked_at[i] == id)
            h->looked_at[i] = h->looked_at[--h->n_looked_at];
    }
    for (size_t i = h->n; i-- > 0;) {
        if (h->homes[i].id != id)
            continue;
        take_out(h, i);
        h->lost_one = true;
    }
}

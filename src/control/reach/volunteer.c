#include "control/reach/volunteer_impl.h"

#include "base/bytes.h"

#include <string.h>

struct veld_volunteer *veld_volunteer_new(struct veld_circuit_numbers *numbers,
                                          const struct veld_volunteer_ops *ops)
{
    struct veld_volunteer *v = g_new0(struct veld_volunteer, 1);
    v->ops = *ops;
    v->numbers = numbers;
    v->allowances = veld_allowances_new();
    v->circuits = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return v;
}

void veld_volunteer_free(struct veld_volunteer *v)
{
    if (!v)
        return;
    veld_allowances_free(v->allowances);
    g_hash_table_unref(v->circuits);
    g_free(v);
}

/* ---- What is asked ---- */

static void tell_opened(struct veld_volunteer *v, struct circuit *c, struct side *s)
{
    struct veld_message m = {
        .type = VELD_MSG_CIRCUIT_OPENED, .index = s->number, .state = c->ready};
    memcpy(m.pub, veld_volunteer_other_side(c, s)->pub, sizeof m.pub);
    s->said += v->ops.send(v->ops.ctx, s->peer, &m) == 0 && s->said < VELD_VOLUNTEER_SAYS;
}

/* To an end that has not asked, or may have forgotten that. VELD_E_STATE: it cannot be told. */
static int offer(struct veld_volunteer *v, struct circuit *c, const struct side *to,
                 uint64_t now_ns)
{
    const struct side *from = veld_volunteer_other_side(c, to);
    if (!from->asked || !veld_allowances_may_offer(v->allowances, from->peer, to->peer, now_ns))
        return 0;
    int rc = veld_volunteer_say(v, to->peer, VELD_MSG_CIRCUIT_OFFER, from->pub);
    if (rc == 0)
        veld_allowances_offered(v->allowances, from->peer, to->peer, now_ns);
    return rc;
}

static void refuse(struct veld_volunteer *v, uint32_t to, const uint8_t pub[32],
                   enum veld_circuit_refusal why)
{
    struct veld_message m = {.type = VELD_MSG_CIRCUIT_REFUSED, .state = (uint8_t)why};
    memcpy(m.pub, pub, sizeof m.pub);
    v->refused++;
    (void)!v->ops.send(v->ops.ctx, to, &m);
}

/* The circuit from `from` to P, which now counts as `from`'s. NULL: there is none, `why` says. */
static struct circuit *admit(struct veld_volunteer *v, uint32_t from, const uint8_t pub[32],
                             uint64_t now_ns, enum veld_circuit_refusal *why)
{
    const struct veld_volunteer_ops *o = &v->ops;
    uint32_t to;
    *why = VELD_CIRCUIT_NO;
    if (!v->policy.relays)
        return NULL;
    *why = VELD_CIRCUIT_UNKNOWN;
    if (!o->find(o->ctx, pub, &to) || to == from)
        return NULL;
    *why = VELD_CIRCUIT_INDIRECT;
    if (o->is_indirect(o->ctx, from) || o->is_indirect(o->ctx, to))
        return NULL;
    *why = VELD_CIRCUIT_FULL;
    struct circuit *c = veld_volunteer_find(v, from, to);
    if (c && veld_volunteer_side(c, from)->asked)
        return c;
    if (!veld_allowances_take(v->allowances, from))
        return NULL;
    if (!c && !(c = veld_volunteer_create(v, from, to, pub, now_ns))) {
        veld_allowances_give(v->allowances, from);
        return NULL;
    }
    veld_volunteer_side(c, from)->asked = true;
    return c;
}

static void on_open(struct veld_volunteer *v, uint32_t from, const struct veld_message *m,
                    uint64_t now_ns)
{
    enum veld_circuit_refusal why;
    if (!veld_allowances_ask(v->allowances, from, now_ns)) {
        v->ignored++;
        return;
    }
    struct circuit *c = admit(v, from, m->pub, now_ns, &why);
    if (!c) {
        refuse(v, from, m->pub, why);
        return;
    }
    struct side *s = veld_volunteer_side(c, from), *other = veld_volunteer_other_side(c, s);
    /* Asked as by one that was restarted. The other end may have been, too: it is asked anew, so
       that nothing is sent to where nobody is. */
    if (c->ready && s->index != m->index)
        veld_volunteer_half_open(v, c, other, now_ns);
    s->index = m->index;
    if (!other->asked) {
        tell_opened(v, c, s);
        if (offer(v, c, other, now_ns) == VELD_E_STATE)
            v->ops.call(v->ops.ctx, other->peer);
        return;
    }
    if (veld_volunteer_set_forwards(v, c) < 0) {
        veld_volunteer_end(v, c, from);
        refuse(v, from, m->pub, VELD_CIRCUIT_FULL);
        return;
    }
    if (!c->ready) {
        c->ready = true;
        c->since_ns = now_ns;
        v->opened++;
        s->said = other->said = 0;
        /* The other one is told then: it sends at once, and this one is to know before. */
        v->ops.soon(v->ops.ctx);
    }
    tell_opened(v, c, s);
}

static void on_close(struct veld_volunteer *v, uint32_t from, const uint8_t pub[32])
{
    uint32_t to;
    struct circuit *c =
        v->ops.find(v->ops.ctx, pub, &to) ? veld_volunteer_find(v, from, to) : NULL;
    if (c)
        veld_volunteer_end(v, c, from);
}

void veld_volunteer_on_message(struct veld_volunteer *v, uint32_t from,
                               const struct veld_message *m, uint64_t now_ns)
{
    if (m->type == VELD_MSG_CIRCUIT_OPEN)
        on_open(v, from, m, now_ns);
    else if (m->type == VELD_MSG_CIRCUIT_CLOSE)
        on_close(v, from, m->pub);
}

/* ---- What else happens ---- */

/* The other end goes on sending to this one, which says nothing: it may have been restarted. */
static bool is_silent(const struct circuit *c, const struct side *s, const struct side *other,
                      uint64_t now_ns)
{
    uint64_t heard_ns = VELD_MAX(s->use.last_ns, c->since_ns), to_ns = other->use.last_ns;
    return to_ns >= heard_ns + VELD_VOLUNTEER_SILENCE_NS &&
           now_ns < to_ns + VELD_VOLUNTEER_SILENCE_NS;
}

/* What an end has not been told yet, or may have missed as long as it sends nothing. */
static void remind(struct veld_volunteer *v, struct circuit *c, struct side *s, uint64_t now_ns)
{
    bool missed = c->ready && s->said < VELD_VOLUNTEER_SAYS && s->use.datagrams == 0 &&
                  now_ns >= c->since_ns + s->said * VELD_NS_PER_S;
    if (!s->asked || is_silent(c, s, veld_volunteer_other_side(c, s), now_ns))
        (void)!offer(v, c, s, now_ns);
    else if (s->said == 0 || missed)
        tell_opened(v, c, s);
}

static bool leads_to(struct veld_volunteer *v, struct circuit *c, const void *peer)
{
    return veld_volunteer_side(c, *(const uint32_t *)peer)->peer == *(const uint32_t *)peer;
}

/* Who has not may have no session yet. */
static bool has_asked(struct veld_volunteer *v, struct circuit *c, const void *peer)
{
    return leads_to(v, c, peer) && veld_volunteer_side(c, *(const uint32_t *)peer)->asked;
}

void veld_volunteer_on_use(struct veld_volunteer *v, uint32_t peer, uint64_t now_ns)
{
    GHashTableIter it;
    gpointer c;
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &c)) {
        if (!leads_to(v, c, &peer))
            continue;
        struct side *s = veld_volunteer_side(c, peer);
        remind(v, c, s, now_ns);
        if (s->asked) /* before it was restarted, it may be: then it opens the circuit anew */
            (void)!offer(v, c, s, now_ns);
    }
}

void veld_volunteer_peer_moved(struct veld_volunteer *v, uint32_t peer)
{
    if (v->ops.is_indirect(v->ops.ctx, peer))
        veld_volunteer_sweep(v, leads_to, &peer, VELD_VOLUNTEER_NOBODY);
}

void veld_volunteer_peer_left(struct veld_volunteer *v, uint32_t peer)
{
    veld_volunteer_sweep(v, has_asked, &peer, peer);
}

void veld_volunteer_peer_gone(struct veld_volunteer *v, uint32_t peer)
{
    veld_volunteer_sweep(v, leads_to, &peer, peer);
    veld_allowances_forget(v->allowances, peer);
}

static bool always(struct veld_volunteer *v, struct circuit *c, const void *arg)
{
    return true;
}

void veld_volunteer_set(struct veld_volunteer *v, const struct veld_volunteer_policy *policy)
{
    if (policy->relays == v->policy.relays && policy->bytes_per_s == v->policy.bytes_per_s)
        return;
    v->policy = *policy;
    if (!policy->relays)
        veld_volunteer_sweep(v, always, NULL, VELD_VOLUNTEER_NOBODY);
    v->ops.set_forward_rate(v->ops.ctx, policy->bytes_per_s);
    veld_volunteer_apply_share(v, policy->bytes_per_s);
}

/* ---- Time ---- */

/* Of a ready one, what passed is noted on the way. */
static bool is_over(struct veld_volunteer *v, struct circuit *c, const void *arg)
{
    uint64_t now_ns = *(const uint64_t *)arg, last_ns = c->since_ns;
    if (!c->ready)
        return now_ns - c->since_ns >= VELD_VOLUNTEER_HALF_OPEN_NS;
    for (int i = 0; i < 2; i++) {
        struct side *s = &c->sides[i];
        if (v->ops.forward_use(v->ops.ctx, s->number, &s->use) < 0)
            return true;
        last_ns = VELD_MAX(last_ns, s->use.last_ns);
    }
    return now_ns >= last_ns + VELD_VOLUNTEER_IDLE_NS;
}

void veld_volunteer_tick(struct veld_volunteer *v, uint64_t now_ns)
{
    GHashTableIter it;
    gpointer entry;
    veld_volunteer_sweep(v, is_over, &now_ns, VELD_VOLUNTEER_NOBODY);
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &entry)) {
        struct circuit *c = entry;
        remind(v, c, &c->sides[0], now_ns);
        remind(v, c, &c->sides[1], now_ns);
    }
    veld_volunteer_share_out(v, now_ns);
    veld_allowances_expire(v->allowances, now_ns);
}

struct veld_volunteer_counts veld_volunteer_count(const struct veld_volunteer *v)
{
    struct veld_volunteer_counts n = {
        .opened = v->opened, .refused = v->refused, .ignored = v->ignored};
    GHashTableIter it;
    gpointer c;
    g_hash_table_iter_init(&it, v->circuits);
    while (g_hash_table_iter_next(&it, NULL, &c)) {
        if (((const struct circuit *)c)->ready)
            n.ready++;
        else
            n.half_open++;
    }
    return n;
}

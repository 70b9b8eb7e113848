#include "dataplane/gate.h"

#include "base/clock.h"
#include "crypto/primitives.h"

void veld_gate_init(struct veld_gate *g)
{
    memset(g, 0, sizeof *g);
}

static bool take(struct veld_gate_bucket *b, unsigned per_s, unsigned burst, uint64_t now_ns)
{
    const uint64_t token_ns = VELD_NS_PER_S / per_s, full_ns = token_ns * burst;
    uint64_t grown = VELD_MIN(now_ns - b->filled_at_ns, full_ns);
    b->tokens_ns = VELD_MIN(b->tokens_ns + grown, full_ns);
    b->filled_at_ns = now_ns;
    if (b->tokens_ns < token_ns)
        return false;
    b->tokens_ns -= token_ns;
    return true;
}

/* True when this sender is the first of its bit in this epoch. */
static bool is_new(struct veld_gate *g, const struct veld_endpoint *from, uint64_t now_ns)
{
    if (now_ns >= g->epoch_ends_ns) {
        memset(g->seen, 0, sizeof g->seen);
        veld_random(g->seed, sizeof g->seed);
        g->epoch_ends_ns = now_ns + VELD_GATE_EPOCH_S * VELD_NS_PER_S;
    }
    uint8_t key[10] = {from->ip.family, (uint8_t)(from->port % VELD_GATE_PER_ADDRESS)};
    if (veld_endpoint_is_circuit(from))
        veld_store_be32(key + 2, from->scope);
    else
        memcpy(key + 2, from->ip.b, from->ip.family == 4 ? 4 : 8);
    uint64_t bit = veld_siphash(g->seed, key, sizeof key) % VELD_GATE_BITS;
    uint64_t *word = &g->seen[bit / 64], mask = 1ull << (bit % 64);
    bool fresh = !(*word & mask);
    *word |= mask;
    return fresh;
}

static bool admit_initiation(struct veld_gate *g, const struct veld_context *ctx,
                             const struct veld_cookies *cookies,
                             struct veld_dataplane_event *ev)
{
    uint64_t now_ns = ctx->now_ns;
    if (!take(&g->calm, VELD_GATE_CALM_PER_S, VELD_GATE_CALM_BURST, now_ns) ||
        veld_event_queue_loaded(ctx->handshakes))
        g->loaded_until_ns = now_ns + VELD_GATE_LOAD_S * VELD_NS_PER_S;
    ev->under_load = now_ns < g->loaded_until_ns;
    if (!ev->under_load)
        return true;
    ev->proved =
        veld_cookie_check_mac2(&cookies->checker, ev->bytes, ev->len, &ev->from, now_ns);
    return ev->proved ||
           (is_new(g, &ev->from, now_ns) &&
            take(&g->cookies, VELD_GATE_COOKIES_PER_S, VELD_GATE_COOKIES_BURST, now_ns));
}

bool veld_gate_admit(struct veld_gate *g, const struct veld_context *ctx,
                     struct veld_dataplane_event *ev, enum veld_drop *reason)
{
    const struct veld_handshakes *h = &ctx->tables->handshakes;
    const struct veld_cookies *cookies = veld_handshakes_cookies(h);
    uint8_t type = ev->bytes[0];
    ev->under_load = ev->proved = false;
    if (!cookies)
        return true;
    if (type != VELD_INITIATION && !veld_handshakes_awaits(h, veld_load_be32(ev->bytes + 4)))
        *reason = VELD_DROP_INDEX;
    else if (type != VELD_COOKIE_REPLY &&
             !veld_cookie_check_mac1(&cookies->checker, ev->bytes, ev->len))
        *reason = VELD_DROP_MAC1;
    else if (type == VELD_INITIATION && !admit_initiation(g, ctx, cookies, ev))
        *reason = VELD_DROP_MAC2;
    else if (type != VELD_INITIATION &&
             !take(&g->answers, VELD_GATE_ANSWERS_PER_S, VELD_GATE_ANSWERS_BURST, ctx->now_ns))
        *reason = VELD_DROP_RATE;
    else
        return true;
    return false;
}

bool veld_gate_admit_stun(struct veld_gate *g, const struct veld_context *ctx)
{
    return take(&g->stun, VELD_GATE_STUN_PER_S, VELD_GATE_STUN_BURST, ctx->now_ns);
}

#include "dataplane/forward.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>

void veld_forwarder_init(struct veld_forwarder *f, struct veld_context *ctx)
{
    memset(f, 0, sizeof *f);
    f->ctx = ctx;
    f->segment_offload = true;
}

void veld_forwarder_begin(struct veld_forwarder *f)
{
    f->n_sends = 0;
}

static void drop(struct veld_forwarder *f, enum veld_drop reason, uint64_t n)
{
    veld_drop_count(f->ctx->stats, reason, n);
}

/* ---- What may leave ---- */

/* Of one forward: the same header, but for the lane of what is inside, which is relayable. */
static bool belongs(const uint8_t *first, const uint8_t *datagram, uint32_t len)
{
    return len >= VELD_RELAYED_MIN && datagram[0] == first[0] && datagram[1] == first[1] &&
           datagram[2] < VELD_LANES_MAX && datagram[3] == first[3] &&
           memcmp(datagram + 4, first + 4, VELD_RELAYED_OVERHEAD - 4) == 0 &&
           veld_is_relayable(datagram[VELD_RELAYED_OVERHEAD]);
}

static unsigned run_length(const struct veld_forward_arrival *a)
{
    unsigned n = 0;
    for (uint32_t at = 0; at < a->len && n < VELD_RUN_SEGMENTS; at += a->segment) {
        if (!belongs(a->data, a->data + at, VELD_MIN(a->len - at, a->segment)))
            break;
        n++;
    }
    return n;
}

static const struct veld_path *direct_path(const struct veld_forwarder *f,
                                           struct veld_peer_ref ref)
{
    const struct veld_peer *peer = veld_peers_find(&f->ctx->tables->peers, ref);
    const struct veld_path *path = peer ? veld_peer_path(peer) : NULL;
    return path && !veld_endpoint_is_circuit(&path->endpoint) ? path : NULL;
}

/* How many of `n` both rates allow. What the first gives and the second does not is lost to both. */
static unsigned paid(struct veld_forwarder *f, struct veld_circuit_entry *e, unsigned n,
                     uint32_t each)
{
    uint64_t now_ns = f->ctx->now_ns;
    n = veld_rate_take(&e->rate, n, each, now_ns);
    return n ? veld_rate_take(f->ctx->tables->circuits.rate, n, each, now_ns) : 0;
}

/* Where `n` datagrams of `a` go, less what is too much; NULL, and all of them counted: nowhere. */
static const struct veld_path *admit(struct veld_forwarder *f, struct veld_circuit_entry *e,
                                     const struct veld_forward_arrival *a, unsigned *n)
{
    const struct veld_path *from = direct_path(f, e->from), *to = direct_path(f, e->to);
    unsigned passed = 0;
    if (!from || !veld_path_is_from(from, a->from, f->ctx->now_ns)) {
        drop(f, VELD_DROP_RELAY_SOURCE, *n);
    } else if (!to) {
        drop(f, VELD_DROP_RELAY_NOWHERE, *n);
    } else if (f->n_sends == VELD_FORWARDS_MAX) {
        drop(f, VELD_DROP_NO_BUFFER, *n);
    } else {
        passed = paid(f, e, *n, VELD_MIN(a->segment, a->len));
        drop(f, VELD_DROP_RELAY_RATE, *n - passed);
    }
    *n = passed;
    return passed ? to : NULL;
}

/* ---- Leaving ---- */

static void count(struct veld_forwarder *f, struct veld_circuit_entry *e,
                  const struct veld_send *s)
{
    assert(f->ctx->thread < e->n_lines);
    struct veld_forward_line *line = &e->lines[f->ctx->thread];
    veld_counter_add(&line->datagrams, s->segments);
    veld_counter_add(&line->bytes, s->len);
    veld_counter_set(&line->last_ns, f->ctx->now_ns);
    veld_counter_add(&f->ctx->stats->datagrams_forwarded, s->segments);
    veld_counter_add(&f->ctx->stats->bytes_forwarded, s->len);
}

static void sent_or_dropped(struct veld_forwarder *f, int result, unsigned n)
{
    if (result >= 0) {
        veld_counter_add(&f->ctx->stats->datagrams_sent, n);
        return;
    }
    enum veld_drop reason;
    veld_send_remedy(result, &reason);
    drop(f, reason, n);
    if (reason == VELD_DROP_UDP_ERROR)
        VELD_LOG_LIMITED(VELD_LOG_WARN, f->ctx->now_ns, "relaying a datagram failed: %s",
                         strerror(-result));
}

static void send_singly(struct veld_forwarder *f, struct veld_send *s)
{
    struct veld_io *io = f->ctx->io;
    for (uint32_t left = s->len; left > 0;) {
        veld_send_single(s, &left);
        sent_or_dropped(f, io->ops->send_now(io, VELD_IO_MAIN, &s->msg), 1);
    }
}

enum veld_forward_result veld_forwarder_take(struct veld_forwarder *f,
                                             struct veld_circuit_entry *e,
                                             const struct veld_forward_arrival *a, unsigned *n)
{
    unsigned passed = *n = run_length(a);
    if (passed == 0) {
        *n = 1;
        drop(f, VELD_DROP_NESTED, 1);
        return VELD_FORWARD_DONE;
    }
    const struct veld_path *to = admit(f, e, a, &passed);
    if (!to)
        return VELD_FORWARD_DONE;
    uint32_t index = atomic_load_explicit(&e->remote_index, memory_order_relaxed);
    for (unsigned i = 0; i < passed; i++)
        veld_store_be32(a->data + (size_t)i * a->segment + 4, index);

    struct veld_send *s = &f->sends[f->n_sends];
    veld_send_begin(s, to, a->data, a->ecn);
    s->len = VELD_MIN(a->len, passed * a->segment);
    s->segment = (uint16_t)VELD_MIN(a->segment, s->len);
    s->segments = (uint16_t)passed;
    count(f, e, s);
    veld_send_prepare(s);
    if (passed > 1 && !f->segment_offload) {
        send_singly(f, s);
        return VELD_FORWARD_DONE;
    }
    f->ctx->io->ops->send(f->ctx->io, VELD_IO_MAIN, &s->msg, f->n_sends | VELD_FORWARD_TOKEN);
    f->n_sends++;
    return VELD_FORWARD_QUEUED;
}

void veld_forwarder_sent(struct veld_forwarder *f, uint32_t token, int result)
{
    uint32_t i = token & ~VELD_FORWARD_TOKEN;
    assert(i < f->n_sends);
    struct veld_send *s = &f->sends[i];
    enum veld_drop reason;
    enum veld_send_remedy remedy =
        result < 0 && s->segments > 1 ? veld_send_remedy(result, &reason) : VELD_SEND_COUNT;
    if (remedy == VELD_SEND_COUNT) {
        sent_or_dropped(f, result, s->segments);
        return;
    }
    if (remedy == VELD_SEND_SPLIT_AND_STOP_OFFLOAD && f->segment_offload) {
        f->segment_offload = false;
        veld_warn(
            "worker %u: UDP segmentation offload does not work on the interface it relays "
            "by; sending datagrams one by one, which is slower",
            f->ctx->thread);
    }
    send_singly(f, s);
}

#include "dataplane/inbound.h"

#include "base/log.h"
#include "base/clock.h"
#include "dataplane/ecn.h"
#include "dataplane/mss.h"
#include "wire/stun.h"

#include <assert.h>
#include <errno.h>

/* UDP_GRO gathers at most 64 datagrams. */
#define DATAGRAMS_OF_ONE_RECEIVE 64
/* A peer that moves is told at most this often. */
#define MOVED_GAP_NS (100 * VELD_NS_PER_MS)

void veld_inbound_init(struct veld_inbound *in, struct veld_context *ctx,
                       unsigned udp_segments_max)
{
    memset(in, 0, sizeof *in);
    in->ctx = ctx;
    in->udp_segments_max = udp_segments_max;
    veld_gate_init(&in->gate);
    veld_forwarder_init(&in->forwarder, ctx);
}

/* When no write needs them any more, give the buffers back. */
static void recycle(struct veld_inbound *in)
{
    if (in->in_flight > 0)
        return;
    for (unsigned i = 0; i < in->n_sources; i++)
        in->ctx->io->ops->done_receive(in->ctx->io, in->buffers[i]);
    in->n_sources = 0;
    in->n_joins = 0;
    veld_forwarder_begin(&in->forwarder);
}

void veld_inbound_begin(struct veld_inbound *in)
{
    recycle(in);
    in->good_peer = (struct veld_peer_ref){0}; /* routes may have changed since */
}

bool veld_inbound_has_room(const struct veld_inbound *in)
{
    return in->n_sources < VELD_IO_BUFFERS && veld_forwarder_has_room(&in->forwarder) &&
           in->n_joins + in->n_jobs + DATAGRAMS_OF_ONE_RECEIVE <= VELD_JOINS_MAX;
}

static void drop(struct veld_inbound *in, enum veld_drop reason)
{
    veld_drop_count(in->ctx->stats, reason, 1);
}

/* ---- Before authentication ---- */

/* Hold the lock of `lane`, and of no other; NULL: of none. */
static void lock(struct veld_inbound *in, struct veld_lane *lane)
{
    if (in->locked == lane)
        return;
    if (in->locked)
        pthread_spin_unlock(&in->locked->lock);
    if (lane)
        pthread_spin_lock(&lane->lock);
    in->locked = lane;
}

static void take_handshake(struct veld_inbound *in, const uint8_t *datagram, size_t len,
                           const struct veld_endpoint *from)
{
    static_assert(VELD_HANDSHAKE_MAX <= sizeof(((struct veld_dataplane_event *)0)->bytes),
                  "an event holds every handshake datagram");
    struct veld_dataplane_event ev = {.type = VELD_DP_HANDSHAKE};
    ev.from = *from;
    ev.len = (uint16_t)len;
    memcpy(ev.bytes, datagram, len);
    enum veld_drop reason;
    if (!veld_gate_admit(&in->gate, in->ctx, &ev, &reason))
        drop(in, reason);
    else if (!veld_event_queue_push(in->ctx->handshakes, &ev))
        drop(in, VELD_DROP_CONTROL_QUEUE);
}

static void take_stun(struct veld_inbound *in, const uint8_t *message, size_t len,
                      const struct veld_endpoint *from)
{
    static_assert(VELD_STUN_MAX <= sizeof(((struct veld_dataplane_event *)0)->bytes),
                  "an event holds every STUN message");
    if (!veld_gate_admit_stun(&in->gate, in->ctx)) {
        drop(in, VELD_DROP_STUN_RATE);
        return;
    }
    struct veld_dataplane_event ev = {.type = VELD_DP_STUN};
    ev.from = *from;
    ev.len = (uint16_t)len;
    memcpy(ev.bytes, message, len);
    if (!veld_event_queue_push(in->ctx->handshakes, &ev))
        drop(in, VELD_DROP_CONTROL_QUEUE);
}

static void take_data(struct veld_inbound *in, uint8_t *datagram, size_t len,
                      const struct veld_header *h, uint8_t source, uint32_t circuit)
{
    struct veld_session *s = veld_index_find(&in->ctx->tables->index, h->index);
    if (!s) {
        drop(in, VELD_DROP_INDEX);
        return;
    }
    if (veld_session_expired(s, in->ctx->now_ns)) {
        drop(in, VELD_DROP_EXPIRED);
        return;
    }
    if (h->lane >= s->n_lanes) {
        drop(in, VELD_DROP_LANE);
        return;
    }
    struct veld_lane *lane = &s->lanes[h->lane];
    lock(in, lane);
    if (!veld_replay_check(&lane->window, h->counter)) {
        drop(in, VELD_DROP_REPLAY);
        return;
    }
    struct veld_aead_job *job = &in->jobs[in->n_jobs];
    *job = (struct veld_aead_job){.key = lane->recv_key,
                                  .ad = datagram,
                                  .ad_len = VELD_HEADER_SIZE,
                                  .data = datagram + VELD_HEADER_SIZE,
                                  .len = (uint32_t)(len - VELD_DATA_OVERHEAD)};
    veld_aead_nonce(job->nonce, h->counter);
    in->incoming[in->n_jobs++] = (struct veld_incoming){.session = s,
                                                        .counter = h->counter,
                                                        .flags = h->flags,
                                                        .lane = h->lane,
                                                        .source = source,
                                                        .circuit = circuit};
}

/* What came by a circuit of ours: what is inside, as from there. The tag tells if it is true. */
static void take_inside(struct veld_inbound *in, uint8_t *datagram, size_t len, uint8_t source,
                        uint32_t number)
{
    const struct veld_endpoint from = veld_endpoint_circuit(number);
    struct veld_header h;
    enum veld_drop reason;
    if (!veld_is_relayable(datagram[0]))
        drop(in, VELD_DROP_NESTED);
    else if (!veld_header_parse(datagram, len, &h, &reason))
        drop(in, reason);
    else if (h.type != VELD_DATA)
        take_handshake(in, datagram, len, &from);
    else
        take_data(in, datagram, len, &h, source, number);
}

static void take_datagram(struct veld_inbound *in, uint8_t *datagram, size_t len,
                          uint8_t source)
{
    struct veld_header h;
    enum veld_drop reason;
    if (veld_header_parse(datagram, len, &h, &reason)) {
        if (h.type == VELD_DATA)
            take_data(in, datagram, len, &h, source, 0);
        else
            take_handshake(in, datagram, len, &in->sources[source]);
    } else if (reason == VELD_DROP_TYPE && veld_stun_is(datagram, len)) {
        take_stun(in, datagram, len, &in->sources[source]);
    } else {
        drop(in, reason);
    }
}

/* The relayed datagrams at the front of what is left of a receive, at least one; how many. */
static unsigned take_relayed(struct veld_inbound *in, const struct veld_forward_arrival *a,
                             uint8_t source)
{
    uint32_t len = VELD_MIN(a->len, a->segment);
    struct veld_relayed h;
    enum veld_drop reason;
    if (!veld_relayed_parse(a->data, len, &h, &reason)) {
        drop(in, reason);
        return 1;
    }
    struct veld_circuit_entry *e = veld_circuits_find(&in->ctx->tables->circuits, h.index);
    if (!e) {
        drop(in, VELD_DROP_CIRCUIT);
        return 1;
    }
    if (e->kind == VELD_CIRCUIT) {
        take_inside(in, a->data + VELD_RELAYED_OVERHEAD, len - VELD_RELAYED_OVERHEAD, source,
                    e->number);
        return 1;
    }
    unsigned n;
    if (veld_forwarder_take(&in->forwarder, e, a, &n) == VELD_FORWARD_QUEUED)
        in->in_flight++;
    return n;
}

/* ---- After authentication ---- */

/* Move the windows for what was authentic, which alone is delivered. One lock for neighbours of a lane. */
static void commit(struct veld_inbound *in)
{
    veld_reorder_begin(&in->reorder);
    for (unsigned i = 0; i < in->n_jobs; i++) {
        struct veld_incoming *m = &in->incoming[i];
        if (!in->jobs[i].ok) {
            drop(in, VELD_DROP_TAG);
            continue;
        }
        struct veld_lane *lane = &m->session->lanes[m->lane];
        lock(in, lane);
        if (!veld_replay_commit(&lane->window, m->counter)) {
            drop(in, VELD_DROP_REPLAY);
            continue;
        }
        m->newest = lane->window.next == m->counter + 1;
        veld_reorder_add(&in->reorder, (uint16_t)i, lane, m->counter);
    }
    lock(in, NULL);
}

static struct veld_endpoint source_of(const struct veld_inbound *in,
                                      const struct veld_incoming *m)
{
    return m->circuit ? veld_endpoint_circuit(m->circuit) : in->sources[m->source];
}

static bool tell(struct veld_inbound *in, enum veld_dataplane_event_type type,
                 const struct veld_incoming *m, const uint8_t *bytes, size_t len)
{
    struct veld_dataplane_event ev = {.type = type};
    ev.peer = m->session->peer->ref.id;
    ev.local_index = m->session->local_index;
    if (m->lane == 0) /* others may leave by a port that receives nothing */
        ev.from = source_of(in, m);
    ev.len = (uint16_t)len;
    if (len)
        memcpy(ev.bytes, bytes, VELD_MIN(len, sizeof ev.bytes));
    return veld_event_queue_push(in->ctx->events, &ev);
}

/* Once; again with the next datagram when the queue was full. */
static void confirm(struct veld_inbound *in, const struct veld_incoming *m)
{
    struct veld_session *s = m->session;
    if (atomic_load_explicit(&s->confirmed, memory_order_relaxed) ||
        atomic_exchange_explicit(&s->confirmed, true, memory_order_relaxed))
        return;
    if (!tell(in, VELD_DP_CONFIRMED, m, NULL, 0))
        atomic_store_explicit(&s->confirmed, false, memory_order_relaxed);
}

static void notice_move(struct veld_inbound *in, const struct veld_incoming *m)
{
    struct veld_peer *peer = m->session->peer;
    const struct veld_path *path = veld_peer_path(peer);
    const struct veld_endpoint from = source_of(in, m);
    if (path && veld_endpoint_equal(&path->endpoint, &from))
        return;
    uint64_t told = atomic_load_explicit(&peer->moved_told_ns, memory_order_relaxed);
    if (told && in->ctx->now_ns - told < MOVED_GAP_NS)
        return;
    if (tell(in, VELD_DP_MOVED, m, NULL, 0))
        atomic_store_explicit(&peer->moved_told_ns, in->ctx->now_ns, memory_order_relaxed);
}

static void take_message(struct veld_inbound *in, const struct veld_incoming *m,
                         const struct veld_aead_job *job)
{
    bool fits = job->len <= VELD_MESSAGE_MAX || job->data[0] == VELD_MSG_PROBE;
    if (m->flags != VELD_FLAG_CONTROL || job->len == 0 || !fits)
        drop(in, VELD_DROP_MESSAGE);
    else if (!tell(in, VELD_DP_MESSAGE, m, job->data, job->len))
        drop(in, VELD_DROP_CONTROL_QUEUE);
}

static bool source_is_peers(struct veld_inbound *in, const struct veld_peer *peer,
                            const struct veld_ip *src)
{
    if (veld_peer_ref_equal(in->good_peer, peer->ref) && veld_ip_equal(&in->good_source, src))
        return true;
    struct veld_peer_ref owner = veld_routes_find(veld_tables_routes(in->ctx->tables), src);
    if (!veld_peer_ref_equal(owner, peer->ref))
        return false;
    in->good_peer = owner;
    in->good_source = *src;
    return true;
}

/* ---- Joining and writing ---- */

static void finish_join(struct veld_inbound *in)
{
    if (!in->joining)
        return;
    in->joining = false;
    uint32_t token = in->n_joins - 1;
    struct veld_join *j = &in->joins[token];
    veld_join_finish(j);
    in->in_flight++;
    in->ctx->io->ops->write(in->ctx->io, j->iov, j->n_iov, token);
}

static bool continues(const struct veld_inbound *in, const struct veld_incoming *m)
{
    return in->joining && (m->flags & VELD_FLAG_CONTINUES) && m->counter == in->join_next &&
           m->session == in->join_session && m->lane == in->join_lane;
}

static void write_packet(struct veld_inbound *in, const struct veld_incoming *m,
                         const struct veld_aead_job *job, const struct veld_inner *inner)
{
    if (continues(in, m) &&
        veld_join_append(&in->joins[in->n_joins - 1], job->data, job->len, m->flags)) {
        in->join_next++;
        return;
    }
    finish_join(in);
    if (in->n_joins == VELD_JOINS_MAX) {
        drop(in, VELD_DROP_TUN_FULL);
        return;
    }
    struct veld_join *j = &in->joins[in->n_joins];
    j->udp_segments_max = in->udp_segments_max;
    if (veld_join_begin(j, job->data, job->len, inner, m->flags) < 0) {
        drop(in, VELD_DROP_INNER);
        return;
    }
    in->n_joins++;
    in->joining = true;
    in->join_session = m->session;
    in->join_lane = m->lane;
    in->join_next = m->counter + 1;
}

/* A SYN from the peer says how large the segments sent to it may be: not larger than our path takes. */
static void clamp_mss(const struct veld_incoming *m, const struct veld_aead_job *job,
                      const struct veld_inner *inner)
{
    uint16_t at;
    if (m->flags & VELD_FLAG_SEGMENT ||
        veld_l4_locate(job->data, job->len, inner, &at) != VELD_SUPER_TCP ||
        !veld_tcp_is_syn(job->data + at))
        return;
    const struct veld_path *path = veld_peer_path(m->session->peer);
    if (path && path->mtu_known)
        veld_mss_clamp(job->data + at, job->len - at, inner->src.family, path->mtu,
                       m->flags & VELD_FLAG_PARTIAL_CSUM ? VELD_TCP_CSUM_PARTIAL
                                                         : VELD_TCP_CSUM_COMPLETE);
}

static void take_packet(struct veld_inbound *in, const struct veld_incoming *m,
                        const struct veld_aead_job *job, struct veld_activity_line *line)
{
    struct veld_inner inner;
    if (veld_inner_parse(job->data, job->len, &inner) < 0) {
        drop(in, VELD_DROP_INNER);
        return;
    }
    if (!source_is_peers(in, m->session->peer, &inner.src)) {
        drop(in, VELD_DROP_SOURCE);
        return;
    }
    if (!veld_ecn_decapsulate(job->data, in->ecn[m->source])) {
        drop(in, VELD_DROP_CONGESTION);
        return;
    }
    veld_counter_set(&line->last_received_data_ns, in->ctx->now_ns);
    veld_counter_add(&line->received_bytes, job->len);
    veld_counter_add(&line->received_packets, 1);
    clamp_mss(m, job, &inner);
    write_packet(in, m, job, &inner);
}

static void deliver(struct veld_inbound *in, const struct veld_incoming *m,
                    const struct veld_aead_job *job)
{
    struct veld_activity_line *line = &m->session->peer->activity[in->ctx->thread];
    veld_counter_set(&line->last_received_ns, in->ctx->now_ns);
    confirm(in, m);
    if (m->newest && m->lane == 0)
        notice_move(in, m);
    if (m->flags & VELD_FLAG_CONTROL)
        take_message(in, m, job);
    else if (job->len > 0) /* else a keepalive: it has been noticed, that is all */
        take_packet(in, m, job, line);
}

/* Open the batch and deliver what is in it. */
static void process(struct veld_inbound *in)
{
    if (in->n_jobs == 0)
        return;
    in->ctx->aead->open(in->ctx->aead_ctx, in->jobs, in->n_jobs);
    commit(in);
    for (uint16_t i = veld_reorder_link(&in->reorder); i != VELD_REORDER_END;
         i = veld_reorder_next(&in->reorder, i))
        deliver(in, &in->incoming[i], &in->jobs[i]);
    finish_join(in);
    in->n_jobs = 0;
}

void veld_inbound_flush(struct veld_inbound *in)
{
    process(in);
    recycle(in);
}

/* ---- From and to the kernel ---- */

void veld_inbound_receive(struct veld_inbound *in, const struct veld_udp_receive *r)
{
    uint8_t source = (uint8_t)in->n_sources++;
    assert(source < VELD_IO_BUFFERS);
    in->buffers[source] = r->buffer;
    in->ecn[source] = r->ecn & 3;
    if (r->truncated) {
        drop(in, VELD_DROP_OVERSIZED);
        return;
    }
    if (veld_endpoint_from_sockaddr(r->from, r->from_len, &in->sources[source]) < 0)
        in->sources[source] = (struct veld_endpoint){0};
    uint32_t offset = 0;
    do { /* also for an empty datagram, which counts as a runt */
        uint32_t len = VELD_MIN(r->len - offset, r->segment);
        unsigned n = 1;
        if (in->n_jobs == VELD_AEAD_BATCH_MAX) {
            lock(in, NULL);
            process(in);
        }
        if (len && r->data[offset] == VELD_RELAYED) {
            struct veld_forward_arrival a = {.data = r->data + offset,
                                             .len = r->len - offset,
                                             .segment = r->segment,
                                             .from = &in->sources[source],
                                             .ecn = in->ecn[source]};
            n = take_relayed(in, &a, source);
        } else {
            take_datagram(in, r->data + offset, len, source);
        }
        veld_counter_add(&in->ctx->stats->datagrams_received, n);
        offset += n * r->segment;
    } while (offset < r->len);
    lock(in, NULL);
}

void veld_inbound_written(struct veld_inbound *in, uint32_t token, int result)
{
    assert(token < in->n_joins && in->in_flight > 0);
    in->in_flight--;
    unsigned packets = in->joins[token].n_iov - 1;
    struct veld_counters *stats = in->ctx->stats;
    if (result >= 0) {
        veld_counter_add(&stats->packets_to_tun, packets);
        veld_counter_add(&stats->super_packets_to_tun, packets > 1);
        return;
    }
    bool full = result == -EAGAIN || result == -ENOBUFS || result == -ENOMEM;
    veld_drop_count(stats, full ? VELD_DROP_TUN_FULL : VELD_DROP_TUN_ERROR, packets);
    if (!full)
        VELD_LOG_LIMITED(VELD_LOG_WARN, in->ctx->now_ns,
                         "writing a packet to the interface failed: %s", strerror(-result));
}

void veld_inbound_forwarded(struct veld_inbound *in, uint32_t token, int result)
{
    assert(in->in_flight > 0);
    in->in_flight--;
    veld_forwarder_sent(&in->forwarder, token, result);
}

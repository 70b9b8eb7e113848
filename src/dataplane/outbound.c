#include "dataplane/outbound.h"

#include "base/clock.h"
#include "base/log.h"
#include "dataplane/ecn.h"
#include "dataplane/fragment.h"
#include "dataplane/mss.h"
#include "dataplane/super_headers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A TUN read of 64 KiB in segments of 1200 bytes, each with 100 of headers and 32 of ours. */
#define ROOM_FOR_ONE_READ (76u * 1024)
#define RUNS_FOR_ONE_READ 64
/* That the interface takes less is told at most this often. */
#define REFUSED_GAP_NS (20 * VELD_NS_PER_MS)

void veld_outbound_set_offload(struct veld_outbound *out, bool on)
{
    for (size_t i = 0; i < VELD_IO_SOCKETS; i++)
        atomic_store_explicit(&out->segment_offload[i], on, memory_order_relaxed);
}

int veld_outbound_init(struct veld_outbound *out, struct veld_context *ctx, unsigned mtu)
{
    memset(out, 0, sizeof *out);
    out->ctx = ctx;
    veld_outbound_set_offload(out, true);
    out->arena = aligned_alloc(VELD_CACHE_LINE, VELD_SEND_ARENA_SIZE);
    out->whole = malloc(VELD_MTU_MAX);
    if (!out->arena || !out->whole)
        return VELD_E_NOMEM;
    return veld_hold_init(&out->hold, mtu);
}

void veld_outbound_free(struct veld_outbound *out)
{
    free(out->arena);
    free(out->whole);
    out->arena = out->whole = NULL;
    veld_hold_free(&out->hold);
}

void veld_outbound_begin(struct veld_outbound *out)
{
    if (out->in_flight > 0)
        return;
    out->used = 0;
    out->n_runs = out->first_run = 0;
}

bool veld_outbound_has_room(const struct veld_outbound *out)
{
    return VELD_SEND_ARENA_SIZE - out->used >= ROOM_FOR_ONE_READ &&
           VELD_RUNS_MAX - out->n_runs >= RUNS_FOR_ONE_READ;
}

static void drop(struct veld_outbound *out, enum veld_drop reason, uint64_t n)
{
    veld_drop_count(out->ctx->stats, reason, n);
}

static bool tell(struct veld_outbound *out, enum veld_dataplane_event_type type,
                 const struct veld_peer *peer, uint32_t local_index)
{
    struct veld_dataplane_event ev = {.type = type};
    ev.peer = peer->ref.id;
    ev.local_index = local_index;
    return veld_event_queue_push(out->ctx->events, &ev);
}

/* Once until control answers; again at the next packet when the queue was full. */
static void tell_need_session(struct veld_outbound *out, struct veld_peer *peer)
{
    if (atomic_load_explicit(&peer->need_told, memory_order_relaxed) ||
        atomic_exchange_explicit(&peer->need_told, true, memory_order_relaxed))
        return;
    if (!tell(out, VELD_DP_NEED_SESSION, peer, 0))
        atomic_store_explicit(&peer->need_told, false, memory_order_relaxed);
}

/* ---- Filling a batch ---- */

/* The last run, when a datagram of `len` may join it. */
static struct veld_run *open_run(struct veld_outbound *out, const struct veld_session *session,
                                 const struct veld_path *path, uint32_t len, uint8_t ecn)
{
    if (out->n_runs == out->first_run)
        return NULL;
    struct veld_run *run = &out->runs[out->n_runs - 1];
    bool fits = out->segment_offload[run->from] && run->session == session &&
                run->path == path && run->send.ecn == ecn && !run->closed &&
                len <= run->send.segment && run->send.segments < VELD_RUN_SEGMENTS &&
                run->send.len + len <= VELD_DATAGRAM_MAX;
    return fits ? run : NULL;
}

static unsigned worker_lane(const struct veld_outbound *out, const struct veld_session *s)
{
    return out->ctx->thread % s->n_lanes;
}

/* Lane 0 shows the peer where we are, so it never leaves by another port. */
static enum veld_io_socket socket_for(const struct veld_outbound *out,
                                      const struct veld_session *session,
                                      const struct veld_path *path)
{
    bool own = path->lane_ports >> out->ctx->thread & 1 && worker_lane(out, session) != 0;
    return own ? VELD_IO_LANE : VELD_IO_MAIN;
}

static struct veld_run *new_run(struct veld_outbound *out, struct veld_session *session,
                                const struct veld_path *path, uint32_t len, uint8_t ecn)
{
    struct veld_run *run = &out->runs[out->n_runs++];
    run->session = session;
    run->path = path;
    run->peer = session->peer->ref;
    run->from = socket_for(out, session, path);
    run->prefix = path->prefix;
    veld_send_begin(&run->send, path->prefix ? out->circuit.relay : path,
                    out->arena + out->used, ecn);
    run->send.segment = (uint16_t)len;
    run->closed = false;
    return run;
}

/* Where the next inner packet of `len` bytes goes; NULL (counted) when nothing is free. */
static uint8_t *segment_room(struct veld_outbound *out, const struct veld_path *path,
                             size_t len)
{
    if (out->n_segments == VELD_AEAD_BATCH_MAX)
        veld_outbound_flush(out);
    if (VELD_SEND_ARENA_SIZE - out->used < path->prefix + len + VELD_DATA_OVERHEAD ||
        out->n_runs == VELD_RUNS_MAX) {
        drop(out, VELD_DROP_NO_BUFFER, 1);
        return NULL;
    }
    return out->arena + out->used + path->prefix + VELD_HEADER_SIZE;
}

/* The inner packet stands in its room: put the header before it and take it into a run. */
static void segment_add(struct veld_outbound *out, struct veld_session *session,
                        const struct veld_path *path, size_t inner_len, uint8_t flags)
{
    uint32_t len = (uint32_t)(path->prefix + inner_len + VELD_DATA_OVERHEAD);
    uint8_t *datagram = out->arena + out->used + path->prefix;
    uint8_t ecn = veld_ecn_of(datagram + VELD_HEADER_SIZE);
    struct veld_run *run = open_run(out, session, path, len, ecn);
    if (!run) {
        /* Behind another session's run the counter before ours is not the segment before ours. */
        bool follows =
            out->n_runs > out->first_run && out->runs[out->n_runs - 1].session == session;
        if (!follows)
            flags &= (uint8_t)~VELD_FLAG_CONTINUES;
        run = new_run(out, session, path, len, ecn);
    }
    struct veld_header h = {.type = VELD_DATA,
                            .flags = flags,
                            .lane = (uint8_t)worker_lane(out, session),
                            .index = session->remote_index};
    veld_header_write(datagram, &h);
    if (path->prefix)
        veld_relayed_write(out->arena + out->used,
                           &(struct veld_relayed){h.lane, out->circuit.remote_index});
    out->used += len;
    run->send.len += len;
    run->send.segments++;
    run->closed = len < run->send.segment;
    out->n_segments++;
}

/* ---- One packet, whole or super, into a batch ---- */

/* Its segments are too large and it may be fragmented: do that, each by itself. */
static void send_fragments(struct veld_outbound *out, struct veld_session *session,
                           const struct veld_path *path, const struct veld_super *s)
{
    for (size_t i = 0; i < veld_super_segments(s); i++) {
        struct veld_fragments f;
        size_t len = veld_super_segment_len(s, i);
        if (len > VELD_MTU_MAX) {
            drop(out, VELD_DROP_OVERSIZED, 1);
            continue;
        }
        if (veld_super_segment_write(s, i, out->whole) & VELD_FLAG_PARTIAL_CSUM)
            veld_csum_complete(out->whole, len, s->l4_offset, veld_l4_csum_offset(s->l4));
        if (veld_fragments_plan(&f, out->whole, len, path->mtu, ++out->fragment_id) < 0) {
            drop(out, VELD_DROP_TOO_BIG, 1);
            continue;
        }
        for (uint32_t k = 0; k < f.n; k++) {
            uint8_t *room = segment_room(out, path, veld_fragment_len(&f, k));
            if (!room)
                break;
            veld_fragment_write(&f, k, room);
            segment_add(out, session, path, veld_fragment_len(&f, k), 0);
        }
    }
}

/*
 * Larger than its path is known to take. True when it is to be sent as it is now,
 * segment by segment; else it has been seen to.
 */
static bool fit(struct veld_outbound *out, struct veld_session *session,
                const struct veld_path *path, struct veld_super *s)
{
    size_t n = veld_super_segments(s), len = veld_super_segment_len(s, 0);
    if (veld_super_lower(s, path->mtu)) {
        veld_counter_add(&out->ctx->stats->packets_from_tun, veld_super_segments(s) - n);
        return true;
    }
    if (veld_fragment_allowed(s->packet, len)) {
        send_fragments(out, session, path, s);
        return false;
    }
    if (!path->mtu_known) /* it may pass, and what its sender is told now is kept for minutes */
        return true;
    drop(out, VELD_DROP_TOO_BIG, n);
    bool v6 = s->inner.src.family == 6;
    veld_too_big_tell(&out->too_big, out->ctx, s,
                      v6 ? VELD_MAX(path->mtu, VELD_IPV6_MIN_MTU) : path->mtu);
    return false;
}

/* A SYN in its room: neither side shall send segments that the path does not take. */
static void clamp_mss(const struct veld_path *path, const struct veld_super *s, uint8_t *room)
{
    if (s->l4 == VELD_SUPER_TCP && path->mtu_known && veld_tcp_is_syn(room + s->l4_offset))
        veld_mss_clamp(room + s->l4_offset, s->len - s->l4_offset, s->inner.src.family,
                       path->mtu,
                       s->partial_csum ? VELD_TCP_CSUM_PARTIAL : VELD_TCP_CSUM_COMPLETE);
}

static void send_packet(struct veld_outbound *out, struct veld_session *session,
                        const struct veld_path *path, struct veld_super *s)
{
    if (veld_super_segment_len(s, 0) > path->mtu && !fit(out, session, path, s))
        return;
    size_t n = veld_super_segments(s);
    for (size_t i = 0; i < n; i++) {
        size_t len = veld_super_segment_len(s, i);
        uint8_t *room = segment_room(out, path, len);
        if (!room)
            continue;
        uint8_t flags = veld_super_segment_write(s, i, room);
        if (s->kind == VELD_SUPER_PLAIN)
            clamp_mss(path, s, room);
        segment_add(out, session, path, len, flags);
    }
}

/* ---- Packets that wait ---- */

/* Where to the peer's datagrams go now, a circuit's relay found; false: nowhere. */
static bool find_way(struct veld_outbound *out, const struct veld_path *path)
{
    const struct veld_tables *t = out->ctx->tables;
    return path && (!path->prefix || veld_circuit_resolve(&t->circuits, &t->peers,
                                                          path->endpoint.scope, &out->circuit));
}

static void hold_packet(struct veld_outbound *out, struct veld_peer *peer,
                        const struct veld_super *s)
{
    uint32_t mark = atomic_load_explicit(&peer->drop_held, memory_order_relaxed);
    size_t n = veld_super_segments(s);
    for (size_t i = 0; i < n; i++) {
        unsigned pushed_out;
        struct veld_held *held =
            veld_hold_add(&out->hold, peer->ref, mark, veld_super_segment_len(s, i),
                          out->ctx->now_ns, &pushed_out);
        /* A held packet leaves by itself: it is no segment of anything any more. */
        if (held)
            held->flags = veld_super_segment_write(s, i, held->packet) & VELD_FLAG_PARTIAL_CSUM;
        drop(out, VELD_DROP_HOLD_FULL, pushed_out + !held);
    }
    tell_need_session(out, peer);
}

static enum veld_hold_verdict look_at(void *ctx, const struct veld_held *held)
{
    struct veld_outbound *out = ctx;
    struct veld_peer *peer = veld_peers_find(&out->ctx->tables->peers, held->peer);
    if (!peer ||
        atomic_load_explicit(&peer->drop_held, memory_order_relaxed) != held->drop_mark) {
        drop(out, VELD_DROP_HOLD_TIMEOUT, 1);
        return VELD_HOLD_RELEASE;
    }
    struct veld_session *session = veld_peer_tx(peer, out->ctx->now_ns);
    if (!session)
        return VELD_HOLD_KEEP;
    const struct veld_path *path = veld_peer_path(peer);
    if (!find_way(out, path)) {
        drop(out, VELD_DROP_NO_ENDPOINT, 1);
        return VELD_HOLD_RELEASE;
    }
    if (!veld_outbound_has_room(out)) {
        out->look_again = true;
        return VELD_HOLD_KEEP;
    }
    struct veld_super s;
    if (veld_super_reparse(held->packet, held->len, held->flags, &s) == 0)
        send_packet(out, session, path, &s);
    /* This need is met; without this a need told while `use` ran would never be told again. */
    atomic_store_explicit(&peer->need_told, false, memory_order_relaxed);
    return VELD_HOLD_RELEASE;
}

void veld_outbound_look(struct veld_outbound *out)
{
    out->look_again = false;
    veld_hold_walk(&out->hold, look_at, out);
}

/* ---- One TUN read ---- */

static struct veld_peer *peer_of(const struct veld_outbound *out, const struct veld_ip *dst)
{
    const struct veld_tables *t = out->ctx->tables;
    return veld_peers_find(&t->peers, veld_routes_find(veld_tables_routes(t), dst));
}

/* Our own datagram: sealing it again would never end. */
static bool is_loop(struct veld_outbound *out, const struct veld_super *s,
                    const struct veld_path *path)
{
    if (path && path->prefix)
        path = find_way(out, path) ? out->circuit.relay : NULL;
    if (!veld_own_datagram(&out->ctx->tables->own, s->packet, s->len, &s->inner,
                           path ? &path->endpoint : NULL))
        return false;
    char to[VELD_IP_STRLEN];
    VELD_LOG_LIMITED(VELD_LOG_WARN, out->ctx->now_ns,
                     "the way to a peer's endpoint, %s, leads into the tunnel itself: nothing "
                     "is sent there; check the routes",
                     veld_ip_format(&s->inner.dst, to));
    return true;
}

void veld_outbound_packet(struct veld_outbound *out, const uint8_t *data, size_t len)
{
    struct veld_counters *stats = out->ctx->stats;
    struct virtio_net_hdr vh;
    struct veld_super s;
    if (len < sizeof vh) {
        drop(out, VELD_DROP_TUN_PACKET, 1);
        return;
    }
    memcpy(&vh, data, sizeof vh);
    if (veld_super_parse(&vh, data + sizeof vh, len - sizeof vh, &s) < 0) {
        drop(out, VELD_DROP_TUN_PACKET, 1);
        return;
    }
    size_t n = veld_super_segments(&s);
    veld_counter_add(&stats->packets_from_tun, n);
    veld_counter_add(&stats->super_packets_from_tun, s.kind != VELD_SUPER_PLAIN);

    struct veld_peer *peer = peer_of(out, &s.inner.dst);
    if (!peer) {
        drop(out, VELD_DROP_NO_ROUTE, n);
        return;
    }
    if (veld_super_segment_len(&s, 0) + VELD_DATA_OVERHEAD + VELD_RELAYED_OVERHEAD >
        VELD_DATAGRAM_MAX) {
        drop(out, VELD_DROP_OVERSIZED, n);
        return;
    }
    const struct veld_path *path = veld_peer_path(peer);
    if (is_loop(out, &s, path)) {
        drop(out, VELD_DROP_LOOP, n);
        return;
    }
    struct veld_session *session = veld_peer_tx(peer, out->ctx->now_ns);
    if (!session) {
        hold_packet(out, peer, &s);
        return;
    }
    if (veld_hold_may_have(&out->hold, peer->ref))
        veld_outbound_look(out); /* what waited leaves first */
    if (!find_way(out, path)) {
        drop(out, VELD_DROP_NO_ENDPOINT, n);
        return;
    }
    send_packet(out, session, path, &s);
}

/* ---- Sealing and sending a batch ---- */

/* A job for each datagram of a run, with counters from `counter` on. */
static size_t seal_jobs(struct veld_outbound *out, const struct veld_run *run, uint64_t counter,
                        size_t n)
{
    const struct veld_lane *lane = &run->session->lanes[worker_lane(out, run->session)];
    uint8_t *datagram = (uint8_t *)run->send.iov.iov_base + run->prefix;
    uint32_t left = run->send.len;
    for (unsigned i = 0; i < run->send.segments; i++) {
        uint32_t len = VELD_MIN(left, run->send.segment);
        struct veld_aead_job *job = &out->jobs[n++];
        veld_store_be64(datagram + 8, counter);
        *job = (struct veld_aead_job){.key = lane->send_key,
                                      .ad = datagram,
                                      .ad_len = VELD_HEADER_SIZE,
                                      .data = datagram + VELD_HEADER_SIZE,
                                      .len = len - run->prefix - VELD_DATA_OVERHEAD};
        veld_aead_nonce(job->nonce, counter++);
        datagram += len;
        left -= len;
    }
    return n;
}

static void account(struct veld_outbound *out, const struct veld_run *run)
{
    const struct veld_context *ctx = out->ctx;
    struct veld_activity_line *line = &run->session->peer->activity[ctx->thread];
    veld_counter_set(&line->last_sent_ns, ctx->now_ns);
    veld_counter_set(&line->last_sent_data_ns, ctx->now_ns);
    veld_counter_add(&line->sent_bytes,
                     run->send.len - run->send.segments * (run->prefix + VELD_DATA_OVERHEAD));
    veld_counter_add(&line->sent_packets, run->send.segments);
}

/*
 * Counters for the runs [i, end), all of one session: consecutive ones. False
 * when its lane has none left: it sends no more, and a new one is asked for.
 */
static bool reserve(struct veld_outbound *out, unsigned i, unsigned end, uint64_t *counter)
{
    struct veld_session *s = out->runs[i].session;
    unsigned n = 0;
    for (unsigned k = i; k < end; k++)
        n += out->runs[k].send.segments;
    if (!veld_session_reserve(&s->lanes[worker_lane(out, s)], n, counter)) {
        drop(out, VELD_DROP_EXPIRED, n);
        tell_need_session(out, s->peer);
        return false;
    }
    if (*counter + n > VELD_REKEY_AFTER_DATAGRAMS &&
        !atomic_load_explicit(&s->rekey_told, memory_order_relaxed) &&
        tell(out, VELD_DP_REKEY_DUE, s->peer, s->local_index))
        atomic_store_explicit(&s->rekey_told, true, memory_order_relaxed);
    return true;
}

static void send_run(struct veld_outbound *out, unsigned i)
{
    struct veld_run *run = &out->runs[i];
    veld_send_prepare(&run->send);
    out->in_flight++;
    out->ctx->io->ops->send(out->ctx->io, run->from, &run->send.msg, i);
}

void veld_outbound_flush(struct veld_outbound *out)
{
    unsigned first = out->first_run, end = out->n_runs;
    size_t n_jobs = 0;
    for (unsigned i = first, streak_end; i < end; i = streak_end) {
        streak_end = i + 1;
        while (streak_end < end && out->runs[streak_end].session == out->runs[i].session)
            streak_end++;
        uint64_t counter;
        bool reserved = reserve(out, i, streak_end, &counter);
        for (unsigned k = i; k < streak_end; k++) {
            struct veld_run *run = &out->runs[k];
            if (!reserved) {
                run->send.segments = 0;
                continue;
            }
            n_jobs = seal_jobs(out, run, counter, n_jobs);
            counter += run->send.segments;
            account(out, run);
        }
    }
    assert(n_jobs <= VELD_AEAD_BATCH_MAX);
    if (n_jobs)
        out->ctx->aead->seal(out->ctx->aead_ctx, out->jobs, n_jobs);
    out->first_run = end;
    out->n_segments = 0;
    for (unsigned i = first; i < end; i++)
        if (out->runs[i].send.segments)
            send_run(out, i);
}

/* ---- What became of a send ---- */

/* The interface takes less than the path was thought to: control finds out what. */
static void tell_refused(struct veld_outbound *out, const struct veld_run *run, uint32_t len)
{
    uint64_t now_ns = out->ctx->now_ns;
    if (out->refused_told_ns && now_ns - out->refused_told_ns < REFUSED_GAP_NS)
        return;
    struct veld_dataplane_event ev = {.type = VELD_DP_TOO_BIG, .peer = run->peer.id};
    ev.len = (uint16_t)(len - run->prefix - VELD_DATA_OVERHEAD);
    if (veld_peers_find(&out->ctx->tables->peers, run->peer) &&
        veld_event_queue_push(out->ctx->events, &ev))
        out->refused_told_ns = now_ns;
}

/* What became of `n` datagrams of a run, the first of which has `len` bytes. */
static void sent_or_dropped(struct veld_outbound *out, const struct veld_run *run, int result,
                            uint32_t len, unsigned n)
{
    if (result >= 0) {
        veld_counter_add(&out->ctx->stats->datagrams_sent, n);
        return;
    }
    enum veld_drop reason;
    veld_send_remedy(result, &reason);
    drop(out, reason, n);
    if (reason == VELD_DROP_TOO_BIG)
        tell_refused(out, run, len);
    if (reason == VELD_DROP_UDP_ERROR)
        VELD_LOG_LIMITED(VELD_LOG_WARN, out->ctx->now_ns, "sending a datagram failed: %s",
                         strerror(-result));
}

static void send_singly(struct veld_outbound *out, struct veld_run *run)
{
    for (uint32_t left = run->send.len; left > 0;) {
        veld_send_single(&run->send, &left);
        int result = out->ctx->io->ops->send_now(out->ctx->io, run->from, &run->send.msg);
        sent_or_dropped(out, run, result, (uint32_t)run->send.iov.iov_len, 1);
    }
}

void veld_outbound_sent(struct veld_outbound *out, uint32_t token, int result)
{
    assert(token < out->n_runs && out->in_flight > 0);
    struct veld_run *run = &out->runs[token];
    out->in_flight--;
    enum veld_drop reason;
    if (result >= 0 || run->send.segments == 1 ||
        veld_send_remedy(result, &reason) == VELD_SEND_COUNT) {
        sent_or_dropped(out, run, result, run->send.segment, run->send.segments);
        return;
    }
    if (veld_send_remedy(result, &reason) == VELD_SEND_SPLIT_AND_STOP_OFFLOAD &&
        out->segment_offload[run->from]) {
        out->segment_offload[run->from] = false;
        veld_warn("worker %u: UDP segmentation offload does not work on the interface it sends "
                  "by; sending datagrams one by one, which is slower",
                  out->ctx->thread);
    }
    send_singly(out, run);
}

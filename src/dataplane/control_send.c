/* What the control thread sends itself: handshakes, control messages, keepalives. */
#include "dataplane/state.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * On any socket: its worker sends on it too, and sendmsg is safe from any thread.
 * By a circuit: to its relay, behind the relay's header.
 */
static int send_by(struct veld_dataplane *dp, int fd, const struct veld_endpoint *to,
                   const uint8_t *datagram, size_t len)
{
    struct sockaddr_storage sa;
    struct veld_circuit_way way;
    uint8_t header[VELD_RELAYED_OVERHEAD];
    struct iovec iov[] = {{header, sizeof header}, {(void *)(uintptr_t)datagram, len}};
    struct msghdr msg = {.msg_name = &sa, .msg_iov = iov + 1, .msg_iovlen = 1};
    if (veld_endpoint_is_circuit(to)) {
        if (!veld_circuit_resolve(&dp->tables.circuits, &dp->tables.peers, to->scope, &way))
            return VELD_E_NOENT;
        uint8_t lane = datagram[0] == VELD_DATA ? datagram[2] : 0;
        veld_relayed_write(header, &(struct veld_relayed){lane, way.remote_index});
        msg.msg_iov = iov;
        msg.msg_iovlen = 2;
        to = &way.relay->endpoint;
    }
    int rc = veld_endpoint_to_sockaddr(to, dp->udp.family, &sa, &msg.msg_namelen);
    if (rc < 0)
        return rc;
    ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
        veld_counter_add(&dp->counters.datagrams_sent, 1);
        return 0;
    }
    if (errno == EMSGSIZE)
        return VELD_E_LIMIT; /* only probes are as large, and that is an answer */
    bool full = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
    veld_drop_count(&dp->counters, full ? VELD_DROP_UDP_FULL : VELD_DROP_UDP_ERROR, 1);
    return full ? VELD_E_FULL : VELD_E_IO;
}

int veld_dataplane_send_datagram(struct veld_dataplane *dp, const struct veld_endpoint *to,
                                 const uint8_t *datagram, size_t len)
{
    veld_dataplane_check(dp);
    if (len > VELD_HANDSHAKE_MAX)
        return VELD_E_RANGE;
    struct veld_header h;
    enum veld_drop unused;
    if (veld_header_parse(datagram, len, &h, &unused) && h.type == VELD_INITIATION)
        veld_handshakes_await(&dp->tables.handshakes, h.index);
    if (veld_endpoint_is_circuit(to) && (len == 0 || !veld_is_relayable(datagram[0])))
        return VELD_E_UNSUPPORTED;
    return send_by(dp, dp->udp.fds[0], to, datagram, len);
}

/* What is to be sealed: `len` bytes, 0 a keepalive, and zeros up to `size`. */
struct padded {
    const uint8_t *message;
    size_t len, size;
};

/* Seal and send on `lane`, by `fd`. */
static int send_sealed(struct veld_dataplane *dp, struct veld_session *s, unsigned lane, int fd,
                       const struct veld_endpoint *to, struct padded m)
{
    if (m.len > m.size || m.size > VELD_MTU_MAX)
        return VELD_E_RANGE;
    const struct veld_path *path = veld_peer_path(s->peer);
    if (!to && !path)
        return VELD_E_NOENT;
    uint64_t counter, now = veld_clock_mono_ns();
    if (veld_session_expired(s, now) || !veld_session_reserve(&s->lanes[lane], 1, &counter))
        return VELD_E_STATE;

    uint8_t datagram[VELD_DATA_OVERHEAD + VELD_MTU_MAX];
    struct veld_header h = {.type = VELD_DATA,
                            .flags = m.size ? VELD_FLAG_CONTROL : 0,
                            .lane = (uint8_t)lane,
                            .index = s->remote_index,
                            .counter = counter};
    veld_header_write(datagram, &h);
    if (m.len)
        memcpy(datagram + VELD_HEADER_SIZE, m.message, m.len);
    memset(datagram + VELD_HEADER_SIZE + m.len, 0, m.size - m.len);
    struct veld_aead_job job = {.key = s->lanes[lane].send_key,
                                .ad = datagram,
                                .ad_len = VELD_HEADER_SIZE,
                                .data = datagram + VELD_HEADER_SIZE,
                                .len = (uint32_t)m.size};
    veld_aead_nonce(job.nonce, counter);
    dp->aead->seal(dp->aead_ctx, &job, 1);
    int rc = send_by(dp, fd, to ? to : &path->endpoint, datagram, m.size + VELD_DATA_OVERHEAD);
    if (rc == 0 && lane == 0) /* the line tells when lane 0 was last used */
        veld_counter_set(&s->peer->activity[dp->n_workers].last_sent_ns, now);
    return rc;
}

int veld_dataplane_send_message(struct veld_dataplane *dp, uint32_t local_index,
                                const struct veld_endpoint *to, const uint8_t *message,
                                size_t len)
{
    veld_dataplane_check(dp);
    struct veld_session *s = veld_index_find(&dp->tables.index, local_index);
    if (len > VELD_MESSAGE_MAX)
        return VELD_E_RANGE;
    return s ? send_sealed(dp, s, 0, dp->udp.fds[0], to, (struct padded){message, len, len})
             : VELD_E_NOENT;
}

int veld_dataplane_send_probe(struct veld_dataplane *dp, uint32_t local_index,
                              const uint8_t *message, size_t len, size_t size)
{
    veld_dataplane_check(dp);
    struct veld_session *s = veld_index_find(&dp->tables.index, local_index);
    return s ? send_sealed(dp, s, 0, dp->udp.fds[0], NULL, (struct padded){message, len, size})
             : VELD_E_NOENT;
}

int veld_dataplane_send_on_lane(struct veld_dataplane *dp, uint32_t peer, unsigned worker,
                                const uint8_t *message, size_t len)
{
    veld_dataplane_check(dp);
    struct padded m = {message, len, len};
    const struct veld_peer *p = veld_peers_get(&dp->tables.peers, peer);
    struct veld_session *s = p ? atomic_load_explicit(&p->tx, memory_order_relaxed) : NULL;
    if (!s)
        return VELD_E_NOENT;
    if (len > VELD_MESSAGE_MAX)
        return VELD_E_RANGE;
    if (worker == 0)
        return send_sealed(dp, s, 0, dp->udp.fds[0], NULL, m);
    unsigned lane = worker % s->n_lanes;
    const struct veld_path *path = veld_peer_path(p);
    bool circuit = path && veld_endpoint_is_circuit(&path->endpoint);
    if (worker >= dp->n_workers || lane == 0 || circuit || dp->udp.lane_fds[worker] < 0)
        return VELD_E_UNSUPPORTED;
    return send_sealed(dp, s, lane, dp->udp.lane_fds[worker], NULL, m);
}

#define STRAYS_PER_CALL 64

bool veld_dataplane_next_stray(struct veld_dataplane *dp, uint32_t *peer, unsigned *worker)
{
    veld_dataplane_check(dp);
    unsigned w = 1;
    for (unsigned i = 0; i < STRAYS_PER_CALL && w < dp->n_workers; i++) {
        uint8_t datagram[VELD_DATA_OVERHEAD];
        struct veld_header h;
        enum veld_drop reason;
        ssize_t n = dp->udp.lane_fds[w] < 0
                        ? -1
                        : recv(dp->udp.lane_fds[w], datagram, sizeof datagram, MSG_DONTWAIT);
        if (n < 0) {
            w++;
            continue;
        }
        if (!veld_header_parse(datagram, (size_t)n, &h, &reason) || h.type != VELD_DATA)
            continue;
        const struct veld_session *s = veld_index_find(&dp->tables.index, h.index);
        if (s) {
            *peer = s->peer->ref.id;
            *worker = w;
            return true;
        }
    }
    return false;
}

/* What the control thread sends itself: handshakes, control messages, keepalives. */
#include "dataplane/state.h"

#include "base/clock.h"

#include <errno.h>

/* On the main socket, which worker 0 shares: sendto is safe from any thread. */
static int send_to(struct veld_dataplane *dp, const struct veld_endpoint *to,
                   const uint8_t *datagram, size_t len)
{
    struct sockaddr_storage sa;
    socklen_t sa_len;
    int rc = veld_endpoint_to_sockaddr(to, dp->udp.family, &sa, &sa_len);
    if (rc < 0)
        return rc;
    ssize_t n = sendto(dp->udp.fds[0], datagram, len, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (struct sockaddr *)&sa, sa_len);
    if (n >= 0) {
        veld_counter_add(&dp->counters.datagrams_sent, 1);
        return 0;
    }
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
    return send_to(dp, to, datagram, len);
}

int veld_dataplane_send_message(struct veld_dataplane *dp, uint32_t local_index,
                                const struct veld_endpoint *to, const uint8_t *message,
                                size_t len)
{
    veld_dataplane_check(dp);
    struct veld_session *s = veld_index_find(&dp->tables.index, local_index);
    if (!s)
        return VELD_E_NOENT;
    if (len > VELD_MESSAGE_MAX)
        return VELD_E_RANGE;
    const struct veld_path *path = veld_peer_path(s->peer);
    if (!to && !path)
        return VELD_E_NOENT;
    uint64_t counter, now = veld_clock_mono_ns();
    if (veld_session_expired(s, now) || !veld_session_reserve(&s->lanes[0], 1, &counter))
        return VELD_E_STATE;

    uint8_t datagram[VELD_DATA_OVERHEAD + VELD_MESSAGE_MAX];
    struct veld_header h = {.type = VELD_DATA,
                            .flags = len ? VELD_FLAG_CONTROL : 0,
                            .index = s->remote_index,
                            .counter = counter};
    veld_header_write(datagram, &h);
    if (len)
        memcpy(datagram + VELD_HEADER_SIZE, message, len);
    struct veld_aead_job job = {.key = s->lanes[0].send_key,
                                .ad = datagram,
                                .ad_len = VELD_HEADER_SIZE,
                                .data = datagram + VELD_HEADER_SIZE,
                                .len = (uint32_t)len};
    veld_aead_nonce(job.nonce, counter);
    dp->aead->seal(dp->aead_ctx, &job, 1);
    int rc = send_to(dp, to ? to : &path->endpoint, datagram, len + VELD_DATA_OVERHEAD);
    if (rc == 0)
        veld_counter_set(&s->peer->activity[dp->n_workers].last_sent_ns, now);
    return rc;
}

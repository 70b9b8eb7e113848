#include "dataplane/send.h"

#include <errno.h>
#include <netinet/udp.h>

void veld_send_begin(struct veld_send *s, const struct veld_path *path, uint8_t *data,
                     uint8_t ecn)
{
    s->to = path->to;
    s->v4 = path->endpoint.ip.family == 4;
    s->msg = (struct msghdr){
        .msg_name = &s->to, .msg_namelen = path->to_len, .msg_iov = &s->iov, .msg_iovlen = 1};
    s->iov.iov_base = data;
    s->len = 0;
    s->segments = 0;
    s->ecn = ecn;
}

/* Append a control message; the room is there (struct veld_send). */
static void add_control(struct veld_send *s, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)(s->control + s->msg.msg_controllen);
    *c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len)};
    memcpy(CMSG_DATA(c), value, len);
    s->msg.msg_control = s->control;
    s->msg.msg_controllen += CMSG_SPACE(len);
}

/* An IPv4 destination wants IP_TOS also on a socket of both families (Linux udpv6_sendmsg). */
static void add_ecn(struct veld_send *s)
{
    int ecn = s->ecn;
    if (ecn)
        add_control(s, s->v4 ? IPPROTO_IP : IPPROTO_IPV6, s->v4 ? IP_TOS : IPV6_TCLASS, &ecn,
                    sizeof ecn);
}

void veld_send_prepare(struct veld_send *s)
{
    s->iov.iov_len = s->len;
    s->msg.msg_controllen = 0;
    add_ecn(s); /* first: it stays when the run is sent singly */
    if (s->segments > 1)
        add_control(s, SOL_UDP, UDP_SEGMENT, &s->segment, sizeof s->segment);
}

void veld_send_single(struct veld_send *s, uint32_t *left)
{
    if (*left == s->len)
        s->msg.msg_controllen = s->ecn ? CMSG_SPACE(sizeof(int)) : 0;
    else
        s->iov.iov_base = (uint8_t *)s->iov.iov_base + s->iov.iov_len;
    s->iov.iov_len = VELD_MIN(*left, s->segment);
    *left -= (uint32_t)s->iov.iov_len;
}

/* Errors that mean something of their own; all others: VELD_DROP_UDP_ERROR. */
static const struct {
    int error;
    enum veld_drop reason;
    enum veld_send_remedy remedy; /* of a run of several */
} errors[] = {
    {EAGAIN, VELD_DROP_UDP_FULL, VELD_SEND_COUNT},
    {ENOBUFS, VELD_DROP_UDP_FULL, VELD_SEND_COUNT},
    {ENOMEM, VELD_DROP_UDP_FULL, VELD_SEND_COUNT},
    /* The device under the socket has no checksum offload, which UDP_SEGMENT needs. */
    {EIO, VELD_DROP_UDP_ERROR, VELD_SEND_SPLIT_AND_STOP_OFFLOAD},
    /* A segment longer than the interface takes; the last one may still be short enough. */
    {EINVAL, VELD_DROP_UDP_ERROR, VELD_SEND_SPLIT},
    {EMSGSIZE, VELD_DROP_TOO_BIG, VELD_SEND_SPLIT},
};

enum veld_send_remedy veld_send_remedy(int result, enum veld_drop *reason)
{
    *reason = VELD_DROP_UDP_ERROR;
    for (size_t i = 0; i < VELD_ARRAY_LEN(errors); i++) {
        if (errors[i].error == -result) {
            *reason = errors[i].reason;
            return errors[i].remedy;
        }
    }
    return VELD_SEND_COUNT;
}

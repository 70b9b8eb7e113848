#include "coord/stun_server.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "coord/service/rates.h"
#include "crypto/primitives.h"
#include "stun/stun.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TURN_MAX 64 /* requests of one socket before the next has its turn */

struct veld_stun_server {
    struct veld_listeners at;
    struct veld_rates *by_address, *in_all; /* NULL: no bound */
    int stop;                               /* an eventfd */
    pthread_t thread;
    bool runs;
    /* Written by the thread alone. */
    _Atomic uint64_t answered, dropped, limited;
};

/* One datagram, and where it came to. */
struct asked {
    uint8_t bytes[VELD_STUN_MAX + 1]; /* one more, so that longer ones show */
    size_t len;
    struct sockaddr_storage from;
    _Alignas(struct cmsghdr) uint8_t to[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    size_t to_len;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void read_to(struct asked *a, struct msghdr *m)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    bool v4 = c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
    bool v6 = c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO;
    a->to_len = v4 || v6 ? m->msg_controllen : 0;
    if (v4) { /* the interface is the route's choice; the source is the address that was asked */
        struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);
        info->ipi_ifindex = 0;
        info->ipi_spec_dst = info->ipi_addr;
    }
}

static bool receive(int fd, struct asked *a)
{
    struct iovec iov = {a->bytes, sizeof a->bytes};
    struct msghdr m = {.msg_name = &a->from,
                       .msg_namelen = sizeof a->from,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = a->to,
                       .msg_controllen = sizeof a->to};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
    if (n < 0)
        return false;
    a->len = (size_t)n;
    read_to(a, &m);
    return true;
}

static bool send_answer(int fd, struct asked *a, const uint8_t *answer, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)answer, len};
    struct msghdr m = {.msg_name = &a->from,
                       .msg_namelen = a->from.ss_family == AF_INET6
                                          ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in),
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = a->to_len ? a->to : NULL,
                       .msg_controllen = a->to_len};
    return sendmsg(fd, &m, MSG_DONTWAIT) == (ssize_t)len;
}

static bool may_be_answered(struct veld_stun_server *s, const struct veld_endpoint *from)
{
    static const uint8_t all;
    uint8_t key[VELD_ADDRESS_KEY];
    uint64_t now_ns = veld_clock_mono_ns();
    veld_address_key(&from->ip, key);
    return veld_rates_take(s->by_address, key, sizeof key, now_ns) &&
           veld_rates_take(s->in_all, &all, sizeof all, now_ns);
}

static void handle(struct veld_stun_server *s, int fd, struct asked *a)
{
    struct veld_stun request;
    struct veld_endpoint from;
    uint8_t answer[VELD_STUN_RESPONSE_MAX];
    size_t len;
    if (veld_endpoint_from_sockaddr((struct sockaddr *)&a->from, sizeof a->from, &from) < 0 ||
        veld_stun_parse(a->bytes, a->len, &request) < 0 || request.kind != VELD_STUN_REQUEST ||
        veld_stun_response_write(answer, &len, &request, a->len, &from) < 0)
        count(&s->dropped);
    else if (!may_be_answered(s, &from))
        count(&s->limited);
    else if (send_answer(fd, a, answer, len))
        count(&s->answered);
    else
        count(&s->dropped);
}

static void *run(void *ctx)
{
    struct veld_stun_server *s = ctx;
    struct pollfd p[VELD_LISTEN_SOCKETS_MAX + 1];
    struct asked asked;
    size_t n = s->at.n;
    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = s->at.fds[i], .events = POLLIN};
    p[n] = (struct pollfd){.fd = s->stop, .events = POLLIN};
    for (;;) {
        (void)poll(p, n + 1, -1);
        if (p[n].revents)
            return NULL;
        for (size_t i = 0; i < n; i++) {
            for (int k = 0; k < TURN_MAX && receive(p[i].fd, &asked); k++)
                handle(s, p[i].fd, &asked);
        }
    }
}

/* ---- Open and close ---- */

static void ask_where_to(int fd)
{
    int one = 1;
    /* Of a socket of IPv6 that takes IPv4 too the second fails, or gives mapped addresses. */
    (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
}

static int make(struct veld_stun_server *s, enum veld_stun_bounds bounds)
{
    uint8_t seed[16];
    for (size_t i = 0; i < s->at.n; i++)
        ask_where_to(s->at.fds[i]);
    veld_random(seed, sizeof seed);
    if (bounds == VELD_STUN_BOUNDED) {
        s->by_address = veld_rates_new(
            (struct veld_rate){.per_hour = 3600 * VELD_STUN_PER_S, .burst = VELD_STUN_BURST},
            seed);
        s->in_all = veld_rates_new(
            (struct veld_rate){.per_hour = 3600 * VELD_STUN_ALL_S, .burst = VELD_STUN_ALL_MAX},
            seed);
    }
    s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop < 0)
        return VELD_E_IO;
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return VELD_E_NOMEM;
    s->runs = true;
    return 0;
}

int veld_stun_server_open(struct veld_stun_server **out, struct veld_listeners *at,
                          enum veld_stun_bounds bounds, struct veld_diag *diag)
{
    struct veld_stun_server *s = calloc(1, sizeof *s);
    if (!s) {
        veld_listen_close(at);
        return veld_fail(diag, VELD_E_NOMEM, "out of memory");
    }
    s->at = *at;
    s->stop = -1;
    at->n = 0;
    int rc = make(s, bounds);
    if (rc < 0) {
        veld_stun_server_close(s);
        return veld_fail(diag, rc, "cannot answer STUN: %s", veld_strerror(rc));
    }
    *out = s;
    return 0;
}

void veld_stun_server_close(struct veld_stun_server *s)
{
    if (!s)
        return;
    if (s->runs) {
        eventfd_write(s->stop, 1);
        pthread_join(s->thread, NULL);
    }
    if (s->stop >= 0)
        close(s->stop);
    veld_listen_close(&s->at);
    veld_rates_free(s->by_address);
    veld_rates_free(s->in_all);
    free(s);
}

void veld_stun_server_get_stats(const struct veld_stun_server *s, struct veld_stun_stats *out)
{
    *out = (struct veld_stun_stats){
        .answered = atomic_load_explicit(&s->answered, memory_order_relaxed),
        .dropped = atomic_load_explicit(&s->dropped, memory_order_relaxed),
        .limited = atomic_load_explicit(&s->limited, memory_order_relaxed),
    };
}

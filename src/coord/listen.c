#include "coord/listen.h"

#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 1024

static int parse_port(const char *text, uint16_t *out)
{
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len)
        return VELD_E_FORMAT;
    unsigned long v = strtoul(text, NULL, 10);
    if (v > UINT16_MAX)
        return VELD_E_FORMAT;
    *out = (uint16_t)v;
    return 0;
}

int veld_listen_parse(const char *text, struct veld_listen_address *out)
{
    struct veld_listen_address a = {.host = ""};
    const char *colon = strrchr(text, ':');
    if (!colon || parse_port(colon + 1, &a.port) < 0)
        return VELD_E_FORMAT;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return VELD_E_FORMAT; /* IPv6 needs brackets */
    }
    if (len >= sizeof a.host)
        return VELD_E_FORMAT;
    memcpy(a.host, text, len);
    *out = a;
    return 0;
}

static int open_one(const struct addrinfo *ai)
{
    int one = 1, zero = 0;
    bool tcp = ai->ai_socktype == SOCK_STREAM;
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool all = ai->ai_family == AF_INET6 &&
               IN6_IS_ADDR_UNSPECIFIED(
                   &((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr);
    /* UDP has no connections that linger: there it would let others take the port as well. */
    if ((tcp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) ||
        (ai->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, all ? &zero : &one, sizeof one) < 0) ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || (tcp && listen(fd, BACKLOG) < 0)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int tell_failure(const struct veld_listen_address *a, struct veld_diag *diag)
{
    if (errno == EADDRINUSE)
        return veld_fail(diag, VELD_E_EXIST,
                         "cannot listen on %s:%u%s: another program has that port; stop it "
                         "(ss -l%cnp shows it) or choose another port",
                         a->host, a->port, a->transport == VELD_LISTEN_UDP ? "/udp" : "",
                         a->transport == VELD_LISTEN_UDP ? 'u' : 't');
    return veld_fail(diag, errno == EACCES ? VELD_E_PERM : VELD_E_IO,
                     "cannot listen on %s:%u: %s; choose another address or port", a->host,
                     a->port, strerror(errno));
}

/* Where it came to be. */
static int learn_first(struct veld_listeners *l)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getsockname(l->fds[0], (struct sockaddr *)&sa, &len) < 0)
        return VELD_E_IO;
    return veld_endpoint_from_sockaddr((struct sockaddr *)&sa, len, &l->first);
}

int veld_listen_open(struct veld_listeners *out, const struct veld_listen_address *address,
                     struct veld_diag *diag)
{
    char port[8];
    snprintf(port, sizeof port, "%u", address->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = address->transport == VELD_LISTEN_UDP ? SOCK_DGRAM
                                                                                  : SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    *out = (struct veld_listeners){.n = 0};
    /* Without a host: one socket of IPv6 takes both families, where the kernel has IPv6. */
    hints.ai_family = address->host[0] ? AF_UNSPEC : AF_INET6;
    int rc = getaddrinfo(address->host[0] ? address->host : NULL, port, &hints, &found);
    if (rc != 0)
        return veld_fail(diag, VELD_E_NOENT,
                         "cannot listen on %s: %s; give an address of this machine",
                         address->host, gai_strerror(rc));
    for (struct addrinfo *ai = found; ai && out->n < VELD_LISTEN_SOCKETS_MAX;
         ai = ai->ai_next) {
        int fd = open_one(ai);
        if (fd < 0 && errno == EAFNOSUPPORT && !address->host[0]) {
            struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(address->port)};
            struct addrinfo v4 = {.ai_family = AF_INET,
                                  .ai_socktype = hints.ai_socktype,
                                  .ai_addr = (struct sockaddr *)&any,
                                  .ai_addrlen = sizeof any};
            fd = open_one(&v4);
        }
        if (fd < 0) {
            rc = tell_failure(address, diag);
            break;
        }
        out->fds[out->n++] = fd;
    }
    freeaddrinfo(found);
    if (rc == 0 && (rc = learn_first(out)) < 0)
        veld_fail(diag, rc, "cannot learn the address that is listened on: %s",
                  strerror(errno));
    if (rc < 0)
        veld_listen_close(out);
    return rc;
}

int veld_listen_beside(struct veld_listeners *out, const struct veld_listeners *tcp,
                       struct veld_diag *diag)
{
    *out = (struct veld_listeners){.first = tcp->first};
    for (size_t i = 0; i < tcp->n; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        int fd = -1;
        if (getsockname(tcp->fds[i], (struct sockaddr *)&sa, &len) == 0) {
            struct addrinfo ai = {.ai_family = sa.ss_family,
                                  .ai_socktype = SOCK_DGRAM,
                                  .ai_addr = (struct sockaddr *)&sa,
                                  .ai_addrlen = len};
            fd = open_one(&ai);
        }
        if (fd < 0) {
            struct veld_listen_address a = {.transport = VELD_LISTEN_UDP,
                                            .port = tcp->first.port};
            int rc = tell_failure(&a, diag);
            veld_listen_close(out);
            return rc;
        }
        out->fds[out->n++] = fd;
    }
    return 0;
}

int veld_listen_wait(struct veld_listeners *out, const struct veld_listen_address *address,
                     uint32_t ms, struct veld_diag *diag)
{
    uint64_t end_ns = veld_clock_mono_ns() + ms * VELD_NS_PER_MS;
    int rc;
    while ((rc = veld_listen_open(out, address, diag)) == VELD_E_EXIST &&
           veld_clock_mono_ns() < end_ns)
        usleep(20000);
    return rc;
}

void veld_listen_close(struct veld_listeners *l)
{
    for (size_t i = 0; i < l->n; i++)
        close(l->fds[i]);
    l->n = 0;
}

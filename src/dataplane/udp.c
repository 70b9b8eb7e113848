#include "dataplane/udp.h"

#include "base/bytes.h"
#include "base/log.h"
#include "dataplane/steering.h"
#include "wire/datagram.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/udp.h>
#include <unistd.h>

#define SOCKET_BUFFER_BYTES (4 << 20)

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

static void set_send_buffer(int fd)
{
    if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES) < 0)
        (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_BYTES);
}

/* A few megabytes even where the system's maximum is lower; what it gives otherwise. */
static void set_buffers(int fd)
{
    if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES) < 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_BYTES);
    set_send_buffer(fd);
}

/* DF, and no belief in ICMP, which anyone can forge: sizes are found by probes inside sessions. */
static void forbid_fragments(int fd, int family)
{
    (void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

/* Tell the ECN field of what arrives; a socket of both families needs both. */
static void tell_ecn(int fd, int family)
{
    (void)set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
    if (family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

static int bind_error(const struct veld_endpoint *listen, struct veld_diag *diag)
{
    char text[VELD_ENDPOINT_STRLEN];
    veld_endpoint_format(listen, text);
    switch (errno) {
    case EADDRINUSE:
        return veld_fail(diag, VELD_E_EXIST,
                         "UDP %s is in use by another program; stop it (`ss -lunp` names it) "
                         "or configure another listen port",
                         text);
    case EADDRNOTAVAIL:
        return veld_fail(diag, VELD_E_NOENT,
                         "cannot listen on UDP %s: no interface has that address", text);
    case EACCES:
    case EPERM:
        return veld_fail(diag, VELD_E_PERM,
                         "not allowed to listen on UDP %s; run as root or choose a port from "
                         "1024 on",
                         text);
    default:
        return veld_fail(diag, VELD_E_IO, "cannot listen on UDP %s: %s", text, strerror(errno));
    }
}

/* The first binds alone, which fails when anyone has the port; later ones join it. */
static int open_socket(struct veld_udp *u, const struct veld_endpoint *listen, unsigned n,
                       struct veld_diag *diag)
{
    int fd = socket(u->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return veld_fail(diag, VELD_E_IO, "cannot make a UDP socket: %s", strerror(errno));
    bool first = u->n == 0;
    u->fds[u->n++] = fd;
    struct sockaddr_storage sa;
    socklen_t len;
    if (veld_endpoint_to_sockaddr(listen, u->family, &sa, &len) < 0)
        return veld_fail(diag, VELD_E_INVAL, "the listen address does not fit its socket");
    if (u->family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (!first && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED, "SO_REUSEPORT: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&sa, len) < 0)
        return bind_error(listen, diag);
    if (first && n > 1 && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
        return veld_fail(diag, VELD_E_UNSUPPORTED, "SO_REUSEPORT: %s", strerror(errno));
    u->gro = set_int(fd, SOL_UDP, UDP_GRO, 1) == 0;
    u->segment = set_int(fd, SOL_UDP, UDP_SEGMENT, 0) == 0; /* changes nothing but tells */
    set_buffers(fd);
    forbid_fragments(fd, u->family);
    tell_ecn(fd, u->family);
    return 0;
}

static int port_of(int fd, uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct veld_endpoint bound;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return VELD_E_IO;
    int rc = veld_endpoint_from_sockaddr((struct sockaddr *)&sa, len, &bound);
    if (rc == 0)
        *port = bound.port;
    return rc;
}

/* The port the kernel chose, for the siblings to join. */
static int learn_port(struct veld_udp *u, struct veld_endpoint *listen, struct veld_diag *diag)
{
    if (port_of(u->fds[0], &u->port) < 0)
        return veld_fail(diag, VELD_E_IO, "cannot learn the port of a UDP socket: %s",
                         strerror(errno));
    listen->port = u->port;
    return 0;
}

/* ---- Ports of lanes ---- */

/*
 * Room for a datagram or two, and of those the header alone: enough to learn that
 * a peer's datagrams come here. The rest is dropped before it is queued. The
 * filter sees the UDP header first, and what it returns is how much is kept.
 */
static int deafen(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct udphdr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VELD_DATA, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, sizeof(struct udphdr) + VELD_DATA_OVERHEAD),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = VELD_ARRAY_LEN(code), .filter = code};
    (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, 0); /* the least there is */
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int open_lane(int family, const struct veld_endpoint *at, uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (deafen(fd) < 0 || veld_endpoint_to_sockaddr(at, family, &sa, &len) < 0 ||
        bind(fd, (struct sockaddr *)&sa, len) < 0 || port_of(fd, port) < 0) {
        close(fd);
        return -1;
    }
    set_send_buffer(fd);
    forbid_fragments(fd, family);
    return fd;
}

/* What fails here costs speed alone. */
static void open_lanes(struct veld_udp *u, const struct veld_endpoint *listen)
{
    struct veld_endpoint at = *listen;
    at.port = 0; /* whichever is free */
    for (unsigned i = 1; i < u->n; i++) {
        u->lane_fds[i] = open_lane(u->family, &at, &u->lane_ports[i]);
        if (u->lane_fds[i] >= 0)
            continue;
        veld_warn("cannot open a UDP port for each worker to send from (%s); they share one",
                  strerror(errno));
        return;
    }
}

/* IPv6 wanted for everything, and a kernel without IPv6: IPv4 is what everything means there. */
static void settle_family(struct veld_udp *u, struct veld_endpoint *listen)
{
    static const struct veld_ip any6 = {.family = 6};
    u->family = listen->ip.family == 6 ? AF_INET6 : AF_INET;
    if (u->family == AF_INET || !veld_ip_equal(&listen->ip, &any6))
        return;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        close(fd);
    } else if (errno == EAFNOSUPPORT) {
        u->family = AF_INET;
        listen->ip.family = 4;
        veld_info("this kernel has no IPv6; listening on IPv4 alone");
    }
}

int veld_udp_open(struct veld_udp *u, const struct veld_endpoint *listen, unsigned n,
                  struct veld_diag *diag)
{
    *u = (struct veld_udp){0};
    memset(u->lane_fds, -1, sizeof u->lane_fds);
    struct veld_endpoint at = *listen;
    settle_family(u, &at);
    int rc = 0;
    while (rc == 0 && u->n < n) {
        rc = open_socket(u, &at, n, diag);
        if (rc == 0 && u->n == 1)
            rc = learn_port(u, &at, diag);
    }
    if (rc < 0) {
        veld_udp_close(u);
        return rc;
    }
    u->steered = veld_steering_attach(u->fds[0], n) == 0;
    if (!u->steered)
        veld_warn("this kernel does not steer lanes to workers (%s); each peer's traffic "
                  "reaches one worker alone, which is slower",
                  strerror(errno));
    open_lanes(u, &at);
    return 0;
}

void veld_udp_close(struct veld_udp *u)
{
    for (unsigned i = 0; i < u->n; i++) {
        close(u->fds[i]);
        if (u->lane_fds[i] >= 0)
            close(u->lane_fds[i]);
    }
    u->n = 0;
}

/* One control message; IP_TOS comes as one byte, the others as an int. */
static void take_control(struct veld_udp_meta *m, const struct cmsghdr *c, const uint8_t *value,
                         size_t len)
{
    int number;
    bool tos = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS);
    if (tos && len >= sizeof number) {
        memcpy(&number, value, sizeof number);
        m->ecn = number & 3;
    } else if (tos && len >= 1) {
        m->ecn = value[0] & 3;
    }
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && len >= sizeof number) {
        memcpy(&number, value, sizeof number);
        m->segment = number > 0 ? (uint32_t)number : 0;
    }
}

struct veld_udp_meta veld_udp_meta_read(const uint8_t *control, size_t len)
{
    /* A walk over copies: the bytes stand in a receive buffer, aligned for nothing. */
    struct veld_udp_meta meta = {0};
    struct cmsghdr c;
    while (len >= sizeof c) {
        memcpy(&c, control, sizeof c);
        if (c.cmsg_len < sizeof c || c.cmsg_len > len)
            break;
        take_control(&meta, &c, control + CMSG_LEN(0), c.cmsg_len - CMSG_LEN(0));
        size_t step = CMSG_ALIGN(c.cmsg_len);
        if (step >= len)
            break;
        control += step;
        len -= step;
    }
    return meta;
}

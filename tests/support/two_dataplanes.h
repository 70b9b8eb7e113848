/*
 * Two whole dataplanes over real TUNs and real sockets, in network namespaces of
 * the process's own, which vanish with it:
 *
 *     namespace 1                             namespace 2
 *     veld-a 10.9.1.1/24, fd00:1::1/64        veld-b 10.9.2.1/24, fd00:2::1/64
 *        |                                       |
 *     dataplane a --- UDP over lo of namespace 1 --- dataplane b
 *
 * Before including it, define CHECK(condition, ...), which ends the test with a
 * message of printf's kind, and SKIP(text).
 */
#ifndef VELD_TESTS_TWO_DATAPLANES_H
#define VELD_TESTS_TWO_DATAPLANES_H

#include "base/clock.h"
#include "crypto/primitives.h"
#include "dataplane/dataplane.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define A_INDEX 0x00020001u
#define B_INDEX 0x00040003u

static int ns1, ns2;
static struct veld_dataplane *a, *b;
static struct veld_diag diag;
static enum veld_dataplane_engine engine; /* of those opened from here on; AUTO unless set */

static inline void lo_up(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    CHECK(ioctl(fd, SIOCSIFFLAGS, &ifr) == 0, "%s", strerror(errno));
    close(fd);
}

static inline void new_namespace(int *fd)
{
    if (unshare(CLONE_NEWNET) < 0)
        SKIP("needs root: it makes network namespaces");
    *fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    CHECK(*fd >= 0, "%s", strerror(errno));
    lo_up();
}

static inline void enter(int ns)
{
    CHECK(setns(ns, CLONE_NEWNET) == 0, "%s", strerror(errno));
}

__attribute__((format(printf, 1, 2))) static inline void shell(const char *fmt, ...)
{
    char command[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    CHECK(system(command) == 0, "%s", command);
}

static inline struct veld_dataplane *open_one(const char *interface, const char *listen,
                                              unsigned workers)
{
    struct veld_dataplane *dp = NULL;
    struct veld_dataplane_config cfg = {.interface = interface,
                                        .workers = workers,
                                        .mtu = 1420,
                                        .engine = engine,
                                        .aead = "auto"};
    CHECK(veld_endpoint_parse(listen, &cfg.listen) == 0, "%s", strerror(errno));
    CHECK(veld_dataplane_open(&dp, &cfg, &diag) == 0, "%s", diag.text);
    return dp;
}

static inline void add_peer(struct veld_dataplane *dp, const char *endpoint, const char *v4,
                            const char *v6)
{
    struct veld_endpoint ep;
    struct veld_route routes[2] = {{.peer = 1}, {.peer = 1}};
    CHECK(veld_endpoint_parse(endpoint, &ep) == 0, "%s", strerror(errno));
    CHECK(veld_prefix_parse(v4, &routes[0].prefix) == 0, "%s", strerror(errno));
    CHECK(veld_prefix_parse(v6, &routes[1].prefix) == 0, "%s", strerror(errno));
    CHECK(veld_dataplane_peer_add(dp, 1) == 0, "%s", strerror(errno));
    CHECK(veld_dataplane_peer_set_endpoint(dp, 1, &ep) == 0, "%s", strerror(errno));
    CHECK(veld_dataplane_peer_set_mtu(dp, 1, (struct veld_path_size){1420, true}) == 0, "%s",
          strerror(errno));
    CHECK(veld_dataplane_routes_publish(dp, routes, 2) == 0, "%s", strerror(errno));
}

static inline void install(struct veld_dataplane *dp, uint32_t local, uint32_t remote,
                           uint8_t lanes, uint8_t send_key, uint8_t recv_key)
{
    struct veld_session_params p = {.peer = 1,
                                    .local_index = local,
                                    .remote_index = remote,
                                    .lanes = lanes,
                                    .reject_at_ns = veld_clock_mono_ns() + 180 * VELD_NS_PER_S};
    memset(p.send_key, send_key, 32);
    memset(p.recv_key, recv_key, 32);
    CHECK(veld_dataplane_session_install(dp, &p) == 0, "%s", strerror(errno));
}

static inline void setup(const char *a_endpoint, const char *b_endpoint, unsigned workers)
{
    CHECK(veld_crypto_init() == 0, "%s", strerror(errno));
    new_namespace(&ns1);
    a = open_one("veld-a", a_endpoint, workers);
    b = open_one("veld-b", b_endpoint, workers);
    new_namespace(&ns2);
    enter(ns1);
    shell("ip link set veld-b netns /proc/%d/fd/%d", getpid(), ns2);
    shell("ip addr add 10.9.1.1/24 dev veld-a && ip addr add fd00:1::1/64 dev veld-a nodad && "
          "ip link set veld-a mtu 1420 up && ip route add 10.9.2.0/24 dev veld-a && "
          "ip route add fd00:2::/64 dev veld-a");
    enter(ns2);
    shell("ip addr add 10.9.2.1/24 dev veld-b && ip addr add fd00:2::1/64 dev veld-b nodad && "
          "ip link set veld-b mtu 1420 up && ip route add 10.9.1.0/24 dev veld-b && "
          "ip route add fd00:1::/64 dev veld-b");
    enter(ns1);
    add_peer(a, b_endpoint, "10.9.2.0/24", "fd00:2::/64");
    add_peer(b, a_endpoint, "10.9.1.0/24", "fd00:1::/64");
    CHECK(veld_dataplane_start(a, &diag) == 0, "%s", diag.text);
    CHECK(veld_dataplane_start(b, &diag) == 0, "%s", diag.text);
}

static inline void install_both(uint8_t lanes)
{
    install(a, A_INDEX, B_INDEX, lanes, 1, 2);
    install(b, B_INDEX, A_INDEX, lanes, 2, 1);
    CHECK(veld_dataplane_session_use(a, A_INDEX) == 0, "%s", strerror(errno));
    CHECK(veld_dataplane_session_use(b, B_INDEX) == 0, "%s", strerror(errno));
}

static inline void teardown(void)
{
    veld_dataplane_stop(a);
    veld_dataplane_stop(b);
    veld_dataplane_close(a);
    veld_dataplane_close(b);
}

static inline void address(struct sockaddr_storage *sa, socklen_t *len, const char *text)
{
    struct veld_endpoint ep;
    CHECK(veld_endpoint_parse(text, &ep) == 0, "%s", strerror(errno));
    int family = ep.ip.family == 4 ? AF_INET : AF_INET6;
    CHECK(veld_endpoint_to_sockaddr(&ep, family, sa, len) == 0, "%s", strerror(errno));
}

static inline int bound(int ns, int type, const char *at)
{
    struct sockaddr_storage sa;
    socklen_t len;
    address(&sa, &len, at);
    enter(ns);
    int fd = socket(sa.ss_family, type | SOCK_CLOEXEC, 0);
    enter(ns1);
    CHECK(bind(fd, (struct sockaddr *)&sa, len) == 0, "%s: %s", at, strerror(errno));
    struct timeval limit = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

/* The descriptor goes quiet only when next_event has said false once. */
static inline bool wait_event(struct veld_dataplane *dp, struct veld_dataplane_event *ev)
{
    struct pollfd p = {.fd = veld_dataplane_event_fd(dp), .events = POLLIN};
    while (!veld_dataplane_next_event(dp, ev))
        if (poll(&p, 1, 5000) != 1)
            return false;
    return true;
}

#endif

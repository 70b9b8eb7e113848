/* The sockets, in a network namespace of the process's own. */
#include "dataplane/udp.h"

#include "wire/datagram.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct veld_udp udp;

static void open_all(const char *listen, unsigned n)
{
    struct veld_endpoint at;
    struct veld_diag diag;
    if (unshare(CLONE_NEWNET) < 0)
        cr_skip_test("needs root: it makes a network namespace");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    close(fd);
    cr_assert_eq(veld_endpoint_parse(listen, &at), 0);
    cr_assert_eq(veld_udp_open(&udp, &at, n, &diag), 0, "%s", diag.text);
}

static void send_bytes(int fd, int family, const char *ip, uint16_t port, const void *bytes,
                       size_t n)
{
    struct veld_endpoint to = {.port = port};
    struct sockaddr_storage sa;
    socklen_t len;
    cr_assert_eq(veld_ip_parse(ip, &to.ip), 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&to, family, &sa, &len), 0);
    cr_assert_eq(sendto(fd, bytes, n, 0, (struct sockaddr *)&sa, len), (ssize_t)n);
}

static void send_to(int fd, int family, const char *ip, uint16_t port)
{
    send_bytes(fd, family, ip, port, "something", 9);
}

Test(udp, all_workers_but_the_first_have_a_port_of_their_own)
{
    open_all("127.0.0.1:5001", 3);
    int there = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    cr_assert_eq(bind(there, (struct sockaddr *)&at, len), 0);
    cr_assert_eq(getsockname(there, (struct sockaddr *)&at, &len), 0);
    cr_assert_eq(udp.lane_fds[0], -1);
    cr_assert_eq(udp.lane_ports[0], 0);
    for (unsigned i = 1; i < 3; i++) {
        char got[16];
        struct sockaddr_in from;
        send_to(udp.lane_fds[i], AF_INET, "127.0.0.1", ntohs(at.sin_port));
        len = sizeof from;
        cr_assert_eq(recvfrom(there, got, sizeof got, 0, (struct sockaddr *)&from, &len), 9);
        cr_assert_eq(ntohs(from.sin_port), udp.lane_ports[i]);
        cr_assert_neq(udp.lane_ports[i], udp.port);
    }
    cr_assert_neq(udp.lane_ports[1], udp.lane_ports[2]);
    cr_assert_eq(udp.lane_fds[3], -1);
    veld_udp_close(&udp);
    cr_assert_lt(fcntl(udp.lane_fds[1], F_GETFD), 0, "closed");
    close(there);
}

Test(udp, nothing_gathers_at_a_lanes_port)
{
    open_all("[::]:5001", 2);
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t len = sizeof memory;
    int lane = udp.lane_fds[1];
    for (unsigned i = 0; i < 1000; i++) {
        send_to(udp.fds[0], AF_INET6, "::1", udp.lane_ports[1]);
        send_to(udp.fds[0], AF_INET6, "127.0.0.1", udp.lane_ports[1]);
    }
    cr_assert_eq(poll(&(struct pollfd){.fd = lane, .events = POLLIN}, 1, 0), 0);
    cr_assert_eq(getsockopt(lane, SOL_SOCKET, SO_MEMINFO, memory, &len), 0);
    cr_assert_eq(memory[SK_MEMINFO_RMEM_ALLOC], 0);
    /* Of data, the header of one or two: a sign that somebody sends here. */
    static const uint8_t data[1400] = {VELD_DATA};
    uint8_t got[sizeof data];
    for (unsigned i = 0; i < 100; i++)
        send_bytes(udp.fds[0], AF_INET6, "127.0.0.1", udp.lane_ports[1], data, sizeof data);
    cr_assert_eq(getsockopt(lane, SOL_SOCKET, SO_MEMINFO, memory, &len), 0);
    cr_assert_lt(memory[SK_MEMINFO_RMEM_ALLOC], 8192);
    cr_assert_eq(recv(lane, got, sizeof got, MSG_DONTWAIT), VELD_DATA_OVERHEAD);
    while (recv(lane, got, sizeof got, MSG_DONTWAIT) > 0)
        ;
    /* To where nobody listens: the ICMP error that comes back fails no later send. */
    for (unsigned i = 0; i < 10; i++)
        send_to(lane, AF_INET6, "127.0.0.1", 9);
    send_to(udp.fds[0], AF_INET6, "127.0.0.1", 5001);
    struct pollfd both[] = {{.fd = udp.fds[0], .events = POLLIN},
                            {.fd = udp.fds[1], .events = POLLIN}};
    cr_assert_eq(poll(both, 2, 1000), 1, "the listen port receives");
    veld_udp_close(&udp);
}

/* Real sockets on one port, in a network namespace of the process's own. */
#include "dataplane/steering.h"

#include "dataplane/udp.h"
#include "wire/datagram.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct veld_udp udp;

static void own_network(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        cr_skip_test("needs root: it makes a network namespace");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    close(fd);
}

static void listen_on(const char *text, unsigned n)
{
    struct veld_endpoint at;
    struct veld_diag diag;
    cr_assert_eq(veld_endpoint_parse(text, &at), 0);
    cr_assert_eq(veld_udp_open(&udp, &at, n, &diag), 0, "%s", diag.text);
    cr_assert(udp.steered);
}

/* A socket that sends to ours. */
static int sender(const char *to)
{
    struct veld_endpoint ep;
    struct sockaddr_storage sa;
    socklen_t len;
    cr_assert_eq(veld_endpoint_parse(to, &ep), 0);
    ep.port = udp.port;
    int family = ep.ip.family == 6 ? AF_INET6 : AF_INET;
    cr_assert_eq(veld_endpoint_to_sockaddr(&ep, family, &sa, &len), 0);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

/* The socket a datagram comes to; every other one is left without. */
static unsigned arrives_at(int from, const void *bytes, size_t len)
{
    struct pollfd fds[VELD_WORKERS_MAX];
    for (unsigned i = 0; i < udp.n; i++)
        fds[i] = (struct pollfd){.fd = udp.fds[i], .events = POLLIN};
    cr_assert_eq(send(from, bytes, len, 0), (ssize_t)len);
    cr_assert_eq(poll(fds, udp.n, 2000), 1, "one socket has it");
    unsigned at = 0;
    while (!fds[at].revents)
        at++;
    uint8_t got[100];
    cr_assert_eq(recv(udp.fds[at], got, sizeof got, 0), (ssize_t)len);
    return at;
}

static unsigned data_arrives_at(int from, uint8_t type, uint8_t lane)
{
    uint8_t datagram[VELD_DATA_OVERHEAD] = {type, 0, lane, VELD_PROTOCOL_VERSION};
    return arrives_at(from, datagram, sizeof datagram);
}

static void check_lanes(const char *listen, const char *to, unsigned n)
{
    listen_on(listen, n);
    int fd = sender(to);
    for (unsigned lane = 0; lane < VELD_LANES_MAX; lane++)
        for (uint8_t type = VELD_DATA; type <= VELD_RELAYED; type++)
            cr_assert_eq(data_arrives_at(fd, type, (uint8_t)lane), lane % n, "lane %u of %u",
                         lane, n);
    cr_assert_eq(data_arrives_at(fd, VELD_DATA, 255), 255 % n);
    close(fd);
    veld_udp_close(&udp);
}

Test(steering, a_lane_comes_to_its_socket)
{
    own_network();
    check_lanes("127.0.0.1:5001", "127.0.0.1:1", 1);
    check_lanes("127.0.0.1:5001", "127.0.0.1:1", 2);
    check_lanes("0.0.0.0:5001", "127.0.0.1:1", 3);
    check_lanes("[::]:5001", "[::1]:1", 5);
    check_lanes("[::]:5001", "127.0.0.1:1", VELD_WORKERS_MAX);
}

/* What is no data stays by its sender's address, and senders spread. */
Test(steering, all_else_goes_by_address)
{
    static const uint8_t initiation[VELD_INITIATION_SIZE / 2] = {VELD_INITIATION, 0, 1, 1};
    own_network();
    listen_on("127.0.0.1:5001", 4);
    bool reached[4] = {false};
    for (unsigned i = 0; i < 64; i++) {
        int fd = sender("127.0.0.1:1");
        unsigned at = arrives_at(fd, initiation, sizeof initiation);
        reached[at] = true;
        cr_assert_eq(arrives_at(fd, "stun?", 5), at);
        cr_assert_eq(arrives_at(fd, "\xc4\0", 2), at, "data without a lane byte");
        cr_assert_eq(arrives_at(fd, "\xc4", 1), at);
        cr_assert_eq(arrives_at(fd, "\xc5\0", 2), at, "relayed, without a lane byte");
        cr_assert_eq(arrives_at(fd, "\xc6\0\1\1", 4), at);
        cr_assert_eq(arrives_at(fd, "", 0), at);
        close(fd);
    }
    cr_assert(reached[0] && reached[1] && reached[2] && reached[3]);
    veld_udp_close(&udp);
}

Test(steering, a_refusal_is_told)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(veld_steering_attach(fd, 2), VELD_E_UNSUPPORTED);
    cr_assert_eq(veld_steering_attach(fd, 1), 0, "nothing to steer");
    close(fd);
}

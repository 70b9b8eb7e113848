/*
 * Super-packets against the running kernel: its own segmentation must agree
 * with ours byte for byte, and its sockets must get what was sent through split
 * and join. Needs root; everything lives in network namespaces without a name,
 * which end with the test's process.
 *
 *   kernel_cuts_alike:   test -> [in] forwarded by the kernel [out, no offloads] -> test
 *   sockets_*:           socket, [tun] namespace A  <- test ->  namespace B [tun], socket
 */
#include "unit/super_packets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define READ_MAX     (sizeof(struct virtio_net_hdr) + PACKET_MAX)
#define SEGMENTS_MAX 1500

static void new_namespace(void)
{
    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0)
        cr_skip_test("needs root and /dev/net/tun");
    if (unshare(CLONE_NEWNET) != 0)
        cr_skip_test("needs the right to make a network namespace: %s", strerror(errno));
}

static void must(int result, const char *what)
{
    REQUIRE(result >= 0, "%s: %s", what, strerror(errno));
}

static void set_sysctl(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY);
    must(fd, path);
    must((int)write(fd, value, strlen(value)), path);
    close(fd);
}

/* A TUN that is up, in the namespace we are in. `*uso` says whether that is on as well. */
static int make_tun(const char *name, const char *ip4, const char *ip6, unsigned offloads,
                    bool *uso)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    int s4 = socket(AF_INET, SOCK_DGRAM, 0), s6 = socket(AF_INET6, SOCK_DGRAM, 0);
    must(tun, "/dev/net/tun");
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
    must(ioctl(tun, TUNSETIFF, &ifr), "TUNSETIFF");
    *uso = offloads && ioctl(tun, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0;
    if (!*uso)
        must(ioctl(tun, TUNSETOFFLOAD, offloads), "TUNSETOFFLOAD");

    ifr.ifr_mtu = 16000;
    must(ioctl(s4, SIOCSIFMTU, &ifr), "SIOCSIFMTU");
    ifr.ifr_mtu = 0;
    struct sockaddr_in a4 = {.sin_family = AF_INET};
    inet_pton(AF_INET, ip4, &a4.sin_addr);
    memcpy(&ifr.ifr_addr, &a4, sizeof a4);
    must(ioctl(s4, SIOCSIFADDR, &ifr), "SIOCSIFADDR");
    inet_pton(AF_INET, "255.255.255.0", &a4.sin_addr);
    memcpy(&ifr.ifr_netmask, &a4, sizeof a4);
    must(ioctl(s4, SIOCSIFNETMASK, &ifr), "SIOCSIFNETMASK");
    ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_POINTOPOINT | IFF_NOARP;
    must(ioctl(s4, SIOCSIFFLAGS, &ifr), "SIOCSIFFLAGS");

    struct in6_ifreq i6 = {.ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex(name)};
    inet_pton(AF_INET6, ip6, &i6.ifr6_addr);
    must(ioctl(s6, SIOCSIFADDR, &i6), "SIOCSIFADDR");
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = i6.ifr6_addr};
    for (int ms = 0; bind(s6, (void *)&a6, sizeof a6) != 0; ms++) { /* usable a moment later */
        REQUIRE(errno == EADDRNOTAVAIL && ms < 5000, "bind: %s", strerror(errno));
        usleep(1000);
    }
    close(s4);
    close(s6);
    return tun;
}

/* Next packet within `ms`; its length, or 0. */
static size_t read_packet(int tun, int ms, struct virtio_net_hdr *vh,
                          uint8_t packet[PACKET_MAX])
{
    static uint8_t b[READ_MAX];
    struct pollfd p = {.fd = tun, .events = POLLIN};
    ssize_t n = read(tun, b, sizeof b);
    if (n < 0 && errno == EAGAIN && poll(&p, 1, ms) > 0)
        n = read(tun, b, sizeof b);
    if (n < 0 && errno == EAGAIN)
        return 0;
    REQUIRE(n > (ssize_t)sizeof *vh, "read: %s", strerror(errno));
    memcpy(vh, b, sizeof *vh);
    memcpy(packet, b + sizeof *vh, (size_t)n - sizeof *vh);
    return (size_t)n - sizeof *vh;
}

/* The kernel's multicast chatter is not what we wait for. */
static bool same_source(const struct packet *p, const uint8_t *read)
{
    size_t at = p->shape.family == 4 ? 12 : 8;
    return (read[0] ^ p->b[0]) < 16 && memcmp(read + at, p->b + at, at == 12 ? 4 : 16) == 0;
}

/* What forwarding does to a segment that check_segment has completed. */
static void one_hop(const struct packet *p, uint8_t *seg)
{
    uint8_t *udp_csum = seg + p->l4 + 6;
    if (p->shape.proto == IPPROTO_UDP && udp_csum[0] == 0 && udp_csum[1] == 0)
        memset(udp_csum, 0xff, 2); /* RFC 768 */
    if (p->shape.family == 6) {
        seg[7]--;
        return;
    }
    seg[8]--;
    memset(seg + 10, 0, 2);
    uint16_t check = htons((uint16_t)~ref_sum(seg, p->l4, 0));
    memcpy(seg + 10, &check, 2);
}

Test(super_kernel, kernel_cuts_alike)
{
    static struct packet p;
    static uint8_t ours[PACKET_MAX], theirs[PACKET_MAX], wire[READ_MAX];
    struct virtio_net_hdr vh;
    bool uso, none;
    size_t compared = 0;

    new_namespace();
    int in =
        make_tun("in", "10.9.1.1", "fd00:1::1", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, &uso);
    int out = make_tun("out", "10.9.2.1", "fd00:2::1", 0, &none);
    set_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
    set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");

    for (int round = 0; round < 4000; round++) {
        struct shape shape = random_shape(64);
        struct veld_super s;
        if (shape.proto == IPPROTO_UDP && !uso)
            continue;
        make_packet(&p, &shape);
        if (p.vh.gso_type && shape.payload / shape.gso_size > 300)
            continue; /* more than the interface's queue holds */
        memcpy(wire, &p.vh, sizeof p.vh);
        memcpy(wire + sizeof p.vh, p.b, p.len);
        must((int)write(in, wire, sizeof p.vh + p.len), "write");

        REQUIRE(veld_super_parse(&p.vh, p.b, p.len, &s) == 0);
        size_t n = veld_super_segments(&s);
        for (size_t i = 0; i < n; i++) {
            size_t len = veld_super_segment_len(&s, i), got;
            veld_super_segment_write(&s, i, ours);
            check_segment(&p, i, n, ours, len);
            one_hop(&p, ours);
            do
                got = read_packet(out, 2000, &vh, theirs);
            while (got && !same_source(&p, theirs));
            REQUIRE(got == len, "round %d: segment %zu of %zu: kernel %zu bytes, we %zu", round,
                    i, n, got, len);
            for (size_t k = 0; k < len; k++)
                REQUIRE(ours[k] == theirs[k], "round %d: byte %zu of segment %zu of %zu", round,
                        k, i, n);
            compared += n > 1;
        }
    }
    cr_assert_gt(compared, 20000);
}

struct tally {
    unsigned drop_one_in; /* 0: none */
    size_t super_read, super_written, dropped;
};

static void write_joined(int tun, struct veld_join *j, struct tally *t)
{
    veld_join_finish(j);
    t->super_written += j->hdr.gso_type != 0;
    if (writev(tun, j->iov, (int)j->n_iov) < 0)
        REQUIRE(errno == EAGAIN || errno == ENOBUFS, "writev: %s", strerror(errno));
    j->n_iov = 0;
}

/* Read one packet from `from`, split it, lose some segments, join the others and write them to `to`. */
static bool carry_one(int from, int to, bool uso, struct tally *t)
{
    static uint8_t packet[PACKET_MAX], room[PACKET_MAX + SEGMENTS_MAX * 128];
    struct veld_join j = {.udp_segments_max = uso ? 64 : 0};
    struct virtio_net_hdr vh;
    struct veld_super s;
    struct veld_inner inner;
    uint8_t *at = room;
    size_t len = read_packet(from, 0, &vh, packet), dropped = t->dropped;
    if (len == 0)
        return false;
    int err = veld_super_parse(&vh, packet, len, &s);
    REQUIRE(err == 0, "what the kernel gave is refused: %d (gso %d)", err, vh.gso_type);
    t->super_read += s.kind != VELD_SUPER_PLAIN;

    size_t n = veld_super_segments(&s);
    REQUIRE(n <= SEGMENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t seg_len = veld_super_segment_len(&s, i);
        uint8_t flags = veld_super_segment_write(&s, i, at);
        REQUIRE(veld_inner_parse(at, seg_len, &inner) == 0);
        if (t->drop_one_in && rnd() % t->drop_one_in == 0) {
            t->dropped++;
            if (j.n_iov)
                write_joined(to, &j, t);
            continue;
        }
        if (!j.n_iov || !veld_join_append(&j, at, seg_len, flags)) {
            if (j.n_iov)
                write_joined(to, &j, t);
            REQUIRE(veld_join_begin(&j, at, seg_len, &inner, flags) == 0);
        }
        at += seg_len;
    }
    if (n > 1 && t->dropped == dropped && j.n_iov == n + 1) {
        veld_join_finish(&j);
        for (unsigned i = 1, off = 0; i < j.n_iov; off += (unsigned)j.iov[i++].iov_len)
            REQUIRE(memcmp(packet + off, j.iov[i].iov_base, j.iov[i].iov_len) == 0);
        vh.hdr_len = j.hdr.hdr_len;
        REQUIRE(memcmp(&vh, &j.hdr, sizeof vh) == 0, "virtio headers differ");
    }
    if (j.n_iov)
        write_joined(to, &j, t);
    return true;
}

struct pair {
    int tun_a, tun_b, from, to; /* `to` is bound in namespace B */
    bool uso;
    struct sockaddr_storage addr;
    socklen_t addr_len;
};

static void make_pair(struct pair *p, int family, int type)
{
    new_namespace();
    p->tun_a =
        make_tun("a", "10.9.1.1", "fd00:1::1", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, &p->uso);
    p->from = socket(family, type | SOCK_NONBLOCK, 0);
    must(p->from, "socket");
    must(unshare(CLONE_NEWNET), "unshare");
    p->tun_b =
        make_tun("b", "10.9.1.2", "fd00:1::2", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, &p->uso);
    p->to = socket(family, type | SOCK_NONBLOCK, 0);
    must(p->to, "socket");

    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(5001)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(5001)};
    inet_pton(AF_INET, "10.9.1.2", &a4.sin_addr);
    inet_pton(AF_INET6, "fd00:1::2", &a6.sin6_addr);
    p->addr_len = family == AF_INET ? sizeof a4 : sizeof a6;
    memcpy(&p->addr, family == AF_INET ? (void *)&a4 : (void *)&a6, p->addr_len);
    must(bind(p->to, (void *)&p->addr, p->addr_len), "bind");
    if (connect(p->from, (void *)&p->addr, p->addr_len) != 0)
        REQUIRE(errno == EINPROGRESS || type == SOCK_STREAM, "connect: %s", strerror(errno));
}

static void carry_both(const struct pair *p, struct tally *t)
{
    struct pollfd fds[] = {{p->tun_a, POLLIN, 0}, {p->tun_b, POLLIN, 0}};
    poll(fds, 2, 5);
    for (int turn = 0; turn < 64; turn++) {
        bool there = carry_one(p->tun_a, p->tun_b, p->uso, t);
        bool back = carry_one(p->tun_b, p->tun_a, p->uso, t);
        if (!there && !back)
            break;
    }
}

static void stream_through(int family, size_t total, struct tally *t)
{
    struct pair p;
    int accepted = -1;
    size_t sent = 0, received = 0;
    uint8_t *data = malloc(total), *got = malloc(total);
    rnd_fill(data, total);
    make_pair(&p, family, SOCK_STREAM);
    must(listen(p.to, 1), "listen");

    time_t end = time(NULL) + 60;
    while (received < total) {
        REQUIRE(time(NULL) < end, "%zu of %zu bytes after a minute", received, total);
        carry_both(&p, t);
        if (accepted < 0)
            accepted = accept4(p.to, NULL, NULL, SOCK_NONBLOCK);
        ssize_t n = send(p.from, data + sent, total - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        n = accepted < 0 ? 0 : recv(accepted, got + received, total - received, 0);
        received += n > 0 ? (size_t)n : 0;
    }
    cr_assert_eq(memcmp(data, got, total), 0, "the stream arrived changed");
    cr_assert_gt(t->super_read, 10);
    cr_assert_gt(t->super_written, 10);
    free(data);
    free(got);
}

Test(super_kernel, sockets_tcp4)
{
    struct tally t = {0};
    stream_through(AF_INET, 16 << 20, &t);
}

Test(super_kernel, sockets_tcp6)
{
    struct tally t = {0};
    stream_through(AF_INET6, 16 << 20, &t);
}

Test(super_kernel, sockets_tcp_with_loss)
{
    struct tally t = {.drop_one_in = 300};
    stream_through(AF_INET, 4 << 20, &t);
    cr_assert_gt(t.dropped, 0);
}

static void datagrams_through(int family)
{
    enum { SIZE = 1200, COUNT = 40, SHORT = 77, LEN = SIZE * COUNT + SHORT };
    static uint8_t data[LEN], got[LEN];
    struct tally t = {0};
    struct pair p;
    int size = SIZE;
    make_pair(&p, family, SOCK_DGRAM);
    if (!p.uso)
        cr_skip_test("needs a TUN that takes USO (Linux 6.2)");
    must(setsockopt(p.from, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size), "UDP_SEGMENT");
    for (int round = 0; round < 50; round++) {
        rnd_fill(data, sizeof data);
        must((int)send(p.from, data, sizeof data, 0), "send");
        for (size_t at = 0, i = 0; at < LEN; i++) {
            ssize_t n = recv(p.to, got + at, LEN - at, 0);
            if (n < 0) {
                REQUIRE(i < 100, "datagram lost at %zu", at);
                carry_both(&p, &t);
                continue;
            }
            REQUIRE(n == (LEN - at < SIZE ? SHORT : SIZE), "%zd bytes at %zu", n, at);
            at += (size_t)n;
        }
        REQUIRE(memcmp(data, got, LEN) == 0, "round %d arrived changed", round);
    }
    cr_assert_eq(t.super_read, 50);
    cr_assert_eq(t.super_written, 50);
}

Test(super_kernel, sockets_udp4)
{
    datagrams_through(AF_INET);
}

Test(super_kernel, sockets_udp6)
{
    datagrams_through(AF_INET6);
}

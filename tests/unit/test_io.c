/* Both engines, behind io.h, over real sockets and a real TUN; io_uring also at its plainest. */
#include "dataplane/tun.h"
#include "support/io_rig.h"

#include <arpa/inet.h>
#include <criterion/parameterized.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdio.h>

/* By number: criterion carries a parameter's bytes into another process. */
#define FOR_ALL(name)                                                                          \
    ParameterizedTestParameters(io, name)                                                      \
    {                                                                                          \
        static int kinds[KINDS] = {POLL, URING, URING_PLAIN};                                  \
        return cr_make_param_array(int, kinds, KINDS);                                         \
    }                                                                                          \
    ParameterizedTest(int *kind, io, name, .timeout = 20)

/* Turns until something can be read, for a second. */
static bool read_soon(struct rig *r, struct veld_tun_read *out)
{
    uint64_t end = veld_clock_mono_ns() + VELD_NS_PER_S;
    do {
        turn(r, 10 * VELD_NS_PER_MS);
        if (r->io->ops->next_read(r->io, out))
            return true;
    } while (veld_clock_mono_ns() < end);
    return false;
}

static bool receive_soon(struct rig *r, struct veld_udp_receive *out)
{
    uint64_t end = veld_clock_mono_ns() + VELD_NS_PER_S;
    do {
        turn(r, 10 * VELD_NS_PER_MS);
        if (r->io->ops->next_receive(r->io, out))
            return true;
    } while (veld_clock_mono_ns() < end);
    return false;
}

/* ---- What comes in ---- */

FOR_ALL(reads_and_receives)
{
    struct rig *r = rig_start(*kind, -1);
    struct veld_tun_read read;
    struct veld_udp_receive got;
    for (unsigned i = 0; i < 100; i++) { /* more than there are buffers */
        cr_assert_eq(write(r->tun_far, "packet", 6), 6);
        far_says(r, "datagram");
        cr_assert(read_soon(r, &read));
        cr_assert_eq(read.len, 6);
        cr_assert_arr_eq(read.data, "packet", 6);
        r->io->ops->done_read(r->io, read.buffer);
        cr_assert(r->io->ops->next_receive(r->io, &got) || receive_soon(r, &got));
        cr_assert_eq(got.len, 8);
        cr_assert_eq(got.segment, 8);
        cr_assert_arr_eq(got.data, "datagram", 8);
        cr_assert_not(got.truncated);
        const struct sockaddr_in *from = (const struct sockaddr_in *)(const void *)got.from;
        cr_assert_eq(got.from_len, sizeof *from);
        cr_assert_eq(from->sin_port, r->far_at.sin_port);
        r->io->ops->done_receive(r->io, got.buffer);
    }
    rig_end(r);
}

FOR_ALL(tells_the_segment_size_and_the_ecn_field)
{
    struct rig *r = rig_start(*kind, -1);
    static uint8_t run[64 * 1000];
    for (size_t i = 0; i < sizeof run; i++)
        run[i] = (uint8_t)(i * 7 >> 3);
    struct veld_udp_receive got;
    for (int tos = 0; tos < 4; tos++) {
        int size = 1000;
        cr_assert_eq(setsockopt(r->far, IPPROTO_IP, IP_TOS, &tos, sizeof tos), 0);
        cr_assert_eq(setsockopt(r->far, SOL_UDP, UDP_SEGMENT, &size, sizeof size), 0);
        size_t len = sizeof run - 1300; /* ends in a shorter one */
        cr_assert_eq(
            sendto(r->far, run, len, 0, (struct sockaddr *)&r->udp_at, sizeof r->udp_at),
            (ssize_t)len, "%s", strerror(errno));
        cr_assert(receive_soon(r, &got));
        cr_assert_eq(got.len, len);
        cr_assert_eq(got.segment, 1000);
        cr_assert_eq(got.ecn, tos);
        cr_assert_arr_eq(got.data, run, len);
        r->io->ops->done_receive(r->io, got.buffer);
    }
    rig_end(r);
}

FOR_ALL(an_empty_datagram_is_a_receive)
{
    struct rig *r = rig_start(*kind, -1);
    struct veld_udp_receive got;
    far_says(r, "");
    cr_assert(receive_soon(r, &got));
    cr_assert_eq(got.len, 0);
    r->io->ops->done_receive(r->io, got.buffer);
    rig_end(r);
}

/* Buffers kept by the caller: the way rests, loses nothing, and goes on when they are back. */
FOR_ALL(all_buffers_in_use_and_back)
{
    struct rig *r = rig_start(*kind, -1);
    struct veld_udp_receive got[VELD_IO_BUFFERS], more;
    struct veld_tun_read read;
    char text[16];
    for (unsigned i = 0; i < VELD_IO_BUFFERS + 8; i++) {
        snprintf(text, sizeof text, "number %02u", i);
        far_says(r, text);
        if (i % 4 == 3) /* GRO joins what comes at once */
            usleep(1000);
    }
    unsigned n = 0;
    while (n < VELD_IO_BUFFERS && receive_soon(r, &got[n])) {
        snprintf(text, sizeof text, "number %02u", n);
        cr_assert_eq(got[n].len, 9, "not joined");
        cr_assert_arr_eq(got[n].data, text, 9);
        n++;
    }
    cr_assert_eq(n, VELD_IO_BUFFERS);
    for (unsigned i = 0; i < 5; i++) {
        turn(r, VELD_NS_PER_MS);
        cr_assert_not(r->io->ops->next_receive(r->io, &more));
    }
    cr_assert_eq(write(r->tun_far, "packet", 6), 6);
    cr_assert(read_soon(r, &read), "the other direction goes on");
    r->io->ops->done_read(r->io, read.buffer);
    for (unsigned i = 0; i < VELD_IO_BUFFERS; i++)
        r->io->ops->done_receive(r->io, got[i].buffer);
    for (; n < VELD_IO_BUFFERS + 8; n++) {
        snprintf(text, sizeof text, "number %02u", n);
        cr_assert(receive_soon(r, &more));
        cr_assert_arr_eq(more.data, text, 9);
        r->io->ops->done_receive(r->io, more.buffer);
    }
    rig_end(r);
}

/* A caller without room for what one way holds still learns what the other does. */
FOR_ALL(a_way_left_unread_hides_nothing)
{
    struct rig *r = rig_start(*kind, -1);
    struct veld_tun_read read;
    struct veld_udp_receive got;
    cr_assert_eq(write(r->tun_far, "packet", 6), 6);
    for (unsigned i = 0; i < 3; i++)
        turn(r, VELD_NS_PER_MS);
    far_says(r, "datagram");
    cr_assert(receive_soon(r, &got));
    r->io->ops->done_receive(r->io, got.buffer);
    cr_assert(read_soon(r, &read));
    r->io->ops->done_read(r->io, read.buffer);
    far_says(r, "datagram");
    for (unsigned i = 0; i < 3; i++)
        turn(r, VELD_NS_PER_MS);
    cr_assert_eq(write(r->tun_far, "packet", 6), 6);
    cr_assert(read_soon(r, &read));
    rig_end(r);
}

/* ---- What goes out ---- */

FOR_ALL(sends_by_either_socket_in_order)
{
    struct rig *r = rig_start(*kind, -1);
    struct sockaddr_in from, main_at = r->udp_at;
    static char texts[VELD_IO_SENDS_MAX][16];
    int bytes = 4 << 20;
    setsockopt(r->far, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < VELD_IO_SENDS_MAX; i++) {
            snprintf(texts[i], sizeof texts[i], "%u.%u", round, i);
            send_text(r, i % 8 < 5 ? VELD_IO_MAIN : VELD_IO_LANE, texts[i], i);
        }
        cr_assert_eq(r->n_sent, 0, "told in reap alone");
        while (r->n_sent < VELD_IO_SENDS_MAX)
            turn(r, VELD_IO_FOREVER);
        for (unsigned i = 0; i < VELD_IO_SENDS_MAX; i++) {
            cr_assert_eq(r->sent[i].token, i);
            cr_assert_eq(r->sent[i].result, (int)strlen(texts[i]));
            far_expects(r, texts[i], &from);
            cr_assert_eq(from.sin_port == main_at.sin_port, i % 8 < 5, "%u", i);
        }
        r->n_sent = 0;
    }
    rig_end(r);
}

FOR_ALL(writes_arrive_whole_and_in_order)
{
    struct rig *r = rig_start(*kind, -1);
    char got[32];
    for (unsigned i = 0; i < 5; i++) {
        struct iovec iov[3] = {
            {(void *)(uintptr_t) "head", 4}, {&i, sizeof i}, {(void *)(uintptr_t) "tail", 4}};
        r->io->ops->write(r->io, iov, 3, 10 + i);
        cr_assert_eq(r->n_written, i, "told in reap alone");
        while (r->n_written == i)
            turn(r, VELD_IO_FOREVER);
        cr_assert_eq(r->written[i].token, 10 + i);
        cr_assert_eq(r->written[i].result, 12);
        cr_assert_eq(read(r->tun_far, got, sizeof got), 12);
        cr_assert_arr_eq(got, "head", 4);
        cr_assert_arr_eq(got + 4, &i, sizeof i);
    }
    rig_end(r);
}

/* One of many that fails is told so; those around it leave. */
FOR_ALL(a_failed_send_holds_up_no_other)
{
    struct rig *r = rig_start(*kind, -1);
    struct sockaddr_in from;
    static char huge[65536];
    memset(huge, 'x', sizeof huge - 1);
    send_text(r, VELD_IO_MAIN, "before", 1);
    send_text(r, VELD_IO_MAIN, huge, 2);
    send_text(r, VELD_IO_MAIN, "after", 3);
    while (r->n_sent < 3)
        turn(r, VELD_IO_FOREVER);
    cr_assert_eq(r->sent[0].result, 6);
    cr_assert_eq(r->sent[1].token, 2);
    cr_assert_eq(r->sent[1].result, -EMSGSIZE);
    cr_assert_eq(r->sent[2].result, 5);
    far_expects(r, "before", &from);
    far_expects(r, "after", &from);
    send_text(r, VELD_IO_MAIN, huge, 2); /* alone; send_text has filled r->msg[2] */
    cr_assert_eq(r->io->ops->send_now(r->io, VELD_IO_MAIN, &r->msg[2]), -EMSGSIZE);
    cr_assert_eq(r->io->ops->send_now(r->io, VELD_IO_LANE, &r->msg[3]), 5);
    far_expects(r, "after", &from);
    cr_assert_neq(from.sin_port, r->udp_at.sin_port);
    rig_end(r);
}

/* A socket that takes nothing more: EAGAIN is told, and all else goes on. */
FOR_ALL(a_full_socket_stalls_nothing)
{
    struct veld_tun_read read;
    struct sockaddr_in from;
    static char big[30000];
    int pair[2];
    unsigned full = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    struct rig *r = rig_start_with(*kind, -1, pair[0]);
    struct iovec iov = {big, sizeof big};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    for (unsigned i = 0; i + 1 < VELD_IO_SENDS_MAX; i++)
        r->io->ops->send(r->io, VELD_IO_LANE, &msg, i);
    send_text(r, VELD_IO_MAIN, "by the other", VELD_IO_SENDS_MAX - 1);
    cr_assert_eq(write(r->tun_far, "packet", 6), 6);
    cr_assert(read_soon(r, &read));
    r->io->ops->done_read(r->io, read.buffer);
    while (r->n_sent < VELD_IO_SENDS_MAX)
        turn(r, VELD_IO_FOREVER);
    for (unsigned i = 0; i < VELD_IO_SENDS_MAX; i++) {
        cr_assert_eq(r->sent[i].token, i);
        full += r->sent[i].result == -EAGAIN;
    }
    cr_assert_gt(full, 0);
    far_expects(r, "by the other", &from);
    close(pair[1]);
    rig_end(r);
}

/* ---- Waiting ---- */

FOR_ALL(a_wait_ends_by_time_by_wake_and_by_arrivals)
{
    struct rig *r = rig_start(*kind, -1);
    struct veld_udp_receive got;
    for (unsigned i = 0; i < 3; i++)
        turn(r, 0);
    uint64_t before = veld_clock_mono_ns();
    turn(r, 50 * VELD_NS_PER_MS);
    cr_assert_geq(veld_clock_mono_ns() - before, 40 * VELD_NS_PER_MS, "nothing to wake up for");
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(eventfd_write(r->wake, 1), 0);
        turn(r, VELD_IO_FOREVER);
    }
    turn(r, 0);
    turn(r, 0); /* the wake is armed again, or taken */
    before = veld_clock_mono_ns();
    turn(r, 50 * VELD_NS_PER_MS);
    cr_assert_geq(veld_clock_mono_ns() - before, 40 * VELD_NS_PER_MS, "a wake counts once");
    far_says(r, "hello");
    turn(r, VELD_IO_FOREVER);
    cr_assert(r->io->ops->next_receive(r->io, &got));
    r->io->ops->done_receive(r->io, got.buffer);
    rig_end(r);
}

/* ---- A real TUN ---- */

static struct veld_tun tun;

static void shell(const char *command)
{
    cr_assert_eq(system(command), 0, "%s", command);
}

static void tun_up(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        cr_skip_test("needs root: it makes a network namespace");
    shell("ip link set lo up");
    cr_assert_eq(veld_tun_open(&tun, "veld-io", 1, &diag), 0, "%s", diag.text);
    shell("echo 1 >/proc/sys/net/ipv6/conf/veld-io/disable_ipv6 && "
          "ip addr add 10.7.0.1/24 dev veld-io && ip link set veld-io up");
}

FOR_ALL(a_tun_queue_is_read_and_written)
{
    tun_up();
    struct rig *r = rig_start(*kind, dup(tun.fds[0]));
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "10.7.0.9", &there.sin_addr);
    struct veld_tun_read read;
    struct iphdr ip;
    const size_t head = sizeof(struct virtio_net_hdr);
    for (uint16_t i = 0; i < 2 * VELD_IO_BUFFERS; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(sendto(fd, &i, sizeof i, 0, (struct sockaddr *)&there, sizeof there),
                     (ssize_t)sizeof i);
        cr_assert(read_soon(r, &read));
        cr_assert_eq(read.len, head + sizeof ip + 8 + sizeof i);
        memcpy(&ip, read.data + head, sizeof ip);
        cr_assert_eq(ip.daddr, there.sin_addr.s_addr);
        cr_assert_arr_eq(read.data + read.len - sizeof i, &i, sizeof i);
        /* Back it goes, from there to here. */
        uint8_t packet[64];
        memcpy(packet, read.data, read.len);
        memset(packet, 0, head);
        memcpy(packet + head + 12, &ip.daddr, 4);
        memcpy(packet + head + 16, &ip.saddr, 4);
        memcpy(packet + head + 20, read.data + head + 22, 2);
        memcpy(packet + head + 22, read.data + head + 20, 2);
        memset(packet + head + 26, 0, 2); /* no UDP checksum */
        struct iovec iov = {packet, read.len};
        r->io->ops->done_read(r->io, read.buffer);
        r->io->ops->write(r->io, &iov, 1, i);
        while (r->n_written == 0)
            turn(r, VELD_IO_FOREVER);
        cr_assert_eq(r->written[0].result, (int)iov.iov_len);
        r->n_written = 0;
        uint16_t back;
        cr_assert_eq(recv(fd, &back, sizeof back, 0), (ssize_t)sizeof back);
        cr_assert_eq(back, i);
        close(fd);
    }
    rig_end(r);
    veld_tun_close(&tun);
}

/* However much waits: what was read leaves before more is. */
FOR_ALL(a_turn_reads_a_bounded_number)
{
    tun_up();
    struct rig *r = rig_start(*kind, dup(tun.fds[0]));
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "10.7.0.9", &there.sin_addr);
    struct veld_tun_read read;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const unsigned packets = 4 * VELD_IO_BUFFERS;
    for (unsigned i = 0; i < packets; i++)
        cr_assert_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&there, sizeof there), 1);
    unsigned all = 0;
    while (all < packets) {
        unsigned n = 0;
        turn(r, VELD_IO_FOREVER);
        for (; r->io->ops->next_read(r->io, &read); n++)
            r->io->ops->done_read(r->io, read.buffer);
        cr_assert_leq(n, VELD_IO_BUFFERS);
        all += n;
    }
    cr_assert_eq(all, packets);
    close(fd);
    rig_end(r);
    veld_tun_close(&tun);
}

/* Somebody deletes the interface: no spinning, and the other direction lives on. */
FOR_ALL(a_broken_tun_rests_and_stalls_nothing)
{
    tun_up();
    struct rig *r = rig_start(*kind, dup(tun.fds[0]));
    struct veld_tun_read read;
    struct veld_udp_receive got;
    turn(r, 0);
    shell("ip link delete veld-io");
    unsigned turns = 0;
    for (uint64_t end = veld_clock_mono_ns() + 300 * VELD_NS_PER_MS; veld_clock_mono_ns() < end;
         turns++) {
        turn(r, 100 * VELD_NS_PER_MS);
        cr_assert_not(r->io->ops->next_read(r->io, &read));
    }
    cr_assert_lt(turns, 30, "%u turns in 300 ms", turns);
    far_says(r, "still here");
    cr_assert(receive_soon(r, &got));
    cr_assert_eq(got.len, 10);
    rig_end(r);
    veld_tun_close(&tun);
}

/* ---- The end ---- */

/* Port and interface are free at once, though receives and reads were under way. */
FOR_ALL(stop_lets_go_at_once)
{
    tun_up();
    in_port_t port = 0;
    for (unsigned i = 0; i < 10; i++) {
        struct rig *r = rig_start(*kind, dup(tun.fds[0]));
        port = r->udp_at.sin_port;
        send_text(r, VELD_IO_MAIN, "x", 1);
        turn(r, VELD_NS_PER_MS);
        turn(r, VELD_NS_PER_MS);
        rig_end(r);
        veld_tun_close(&tun);
        struct sockaddr_in again = {.sin_port = port};
        close(udp_socket(&again));
        cr_assert_eq(veld_tun_open(&tun, "veld-io", 1, &diag), 0, "%s", diag.text);
    }
    veld_tun_close(&tun);
}

/* The same when a start failed elsewhere: opened, and never started. */
FOR_ALL(close_without_start_lets_go_at_once)
{
    tun_up();
    for (unsigned i = 0; i < 10; i++) {
        struct sockaddr_in at = {0};
        int udp = udp_socket(&at), wake = eventfd(0, EFD_CLOEXEC);
        struct veld_io_config cfg = {
            .tun_fd = tun.fds[0], .udp_fd = udp, .lane_fd = -1, .wake_fd = wake};
        struct veld_io *io = open_engine((enum kind) * kind, &cfg);
        io->ops->close(io);
        close(udp);
        close(wake);
        veld_tun_close(&tun);
        close(udp_socket(&at));
        cr_assert_eq(veld_tun_open(&tun, "veld-io", 1, &diag), 0, "%s", diag.text);
    }
    veld_tun_close(&tun);
}

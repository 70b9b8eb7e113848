/* Over real sockets, in a network namespace of the test's own. */
#include "base/bytes.h"
#include "base/clock.h"
#include "control/names/dns.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct veld_dns_server *server;
static struct veld_diag diag;

static const uint8_t question[] = {0x12, 0x34, 1, 0,   0,   1,   0,   0, 0, 0, 0, 0,
                                   1,    'b',  4, 'v', 'e', 'l', 'd', 0, 0, 1, 0, 1};

static void own_namespace(void)
{
    if (geteuid() != 0)
        cr_skip("needs root");
    cr_assert_eq(unshare(CLONE_NEWNET), 0);
}

static void loopback_up(void)
{
    struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
    close(fd);
}

static struct veld_dns_table *table(uint8_t last)
{
    struct veld_dns_record record = {"b", {.family = 4, .b = {10, 0, 0, last}}};
    return veld_dns_table_new(NULL, &record, 1);
}

static void start(void)
{
    own_namespace();
    loopback_up();
    cr_assert_eq(veld_dns_server_start(&server, table(2), &diag), 0, "%s", diag.text);
}

static void stop(void)
{
    veld_dns_server_stop(server);
}

static int client(int type)
{
    struct sockaddr_storage to;
    socklen_t len;
    struct veld_endpoint e = {.ip = veld_dns_server_address(server), .port = 53};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&e, AF_INET, &to, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0, "%s", strerror(errno));
    return fd;
}

/* Let the server work until `fd` has something; bytes read, 0 at its end, -1 after 3 s of nothing. */
static ssize_t receive(int fd, void *buf, size_t size)
{
    uint64_t until = veld_clock_mono_ns() + 3 * VELD_NS_PER_S;
    while (veld_clock_mono_ns() < until) {
        g_main_context_iteration(NULL, FALSE);
        ssize_t n = recv(fd, buf, size, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n;
    }
    return -1;
}

static void receive_all(int fd, uint8_t *buf, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = receive(fd, buf + done, size - done);
        cr_assert_gt(n, 0);
        done += (size_t)n;
    }
}

static void work(unsigned iterations)
{
    while (iterations-- > 0)
        g_main_context_iteration(NULL, FALSE);
}

TestSuite(dns_server, .fini = stop, .timeout = 60);

Test(dns_server, udp)
{
    start();
    uint8_t buf[512];
    int fd = client(SOCK_DGRAM);
    cr_assert_eq(send(fd, question, sizeof question, 0), sizeof question);
    ssize_t n = receive(fd, buf, sizeof buf);
    cr_assert_gt(n, 16);
    cr_assert_eq(memcmp(buf, question, 2), 0);
    cr_assert_eq(memcmp(buf + n - 4, (uint8_t[]){10, 0, 0, 2}, 4), 0);
    cr_assert_eq(veld_dns_server_queries(server), 1);

    veld_dns_server_set_table(server, table(3));
    cr_assert_eq(send(fd, question, sizeof question, 0), sizeof question);
    n = receive(fd, buf, sizeof buf);
    cr_assert_eq(buf[n - 1], 3);
    close(fd);
}

/* A flood does not hold the main loop: each turn is bounded, and a timer still fires. */
Test(dns_server, a_flood_leaves_turns_to_others)
{
    start();
    int fd = client(SOCK_DGRAM);
    for (int i = 0; i < 100; i++)
        send(fd, question, sizeof question, MSG_DONTWAIT);
    g_main_context_iteration(NULL, TRUE);
    cr_assert_leq(veld_dns_server_queries(server), 32);
    work(10);
    cr_assert_eq(veld_dns_server_queries(server), 100);
    close(fd);
}

static size_t frame(uint8_t *out)
{
    veld_store_be16(out, sizeof question);
    memcpy(out + 2, question, sizeof question);
    return 2 + sizeof question;
}

Test(dns_server, tcp_in_pieces_and_pipelined)
{
    start();
    uint8_t q[64], a[64], buf[300 * 64];
    int fd = client(SOCK_STREAM);
    size_t len = frame(q);
    for (size_t i = 0; i < len; i++) {
        cr_assert_eq(send(fd, q + i, 1, 0), 1);
        work(3);
    }
    receive_all(fd, a, 2);
    size_t answer_len = 2 + (size_t)veld_load_be16(a);
    receive_all(fd, a + 2, answer_len - 2);

    enum { MANY = 300 };
    for (int i = 0; i < MANY; i++)
        frame(buf + (size_t)i * len);
    cr_assert_eq(send(fd, buf, MANY * len, 0), (ssize_t)(MANY * len));
    shutdown(fd, SHUT_WR);
    receive_all(fd, buf, MANY * answer_len);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(memcmp(buf + (size_t)i * answer_len, a, answer_len), 0);
    cr_assert_eq(receive(fd, buf, 1), 0, "closed after the last answer");
    cr_assert_eq(veld_dns_server_queries(server), MANY + 1);
    close(fd);
}

/* A client that does not read: answers wait, whole and in order, and reading stops. */
Test(dns_server, tcp_short_writes)
{
    start();
    uint8_t q[64], first[64];
    size_t len = frame(q), sent = 0, answer_len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 1024;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct veld_endpoint e = {.ip = veld_dns_server_address(server), .port = 53};
    struct sockaddr_storage to;
    socklen_t to_len;
    cr_assert_eq(veld_endpoint_to_sockaddr(&e, AF_INET, &to, &to_len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, to_len), 0);

    unsigned refused = 0;
    while (refused < 200) { /* until neither side moves any more */
        ssize_t n = send(fd, q + sent % len, len - sent % len, MSG_DONTWAIT);
        refused = n > 0 ? 0 : refused + 1;
        sent += n > 0 ? (size_t)n : 0;
        work(2);
    }
    uint64_t answered = veld_dns_server_queries(server);
    cr_assert_lt(answered, sent / len, "the server went on reading");

    receive_all(fd, first, 2);
    answer_len = 2 + (size_t)veld_load_be16(first);
    receive_all(fd, first + 2, answer_len - 2);
    for (size_t i = 1; i < sent / len; i++) {
        uint8_t a[64];
        receive_all(fd, a, answer_len);
        cr_assert_eq(memcmp(a, first, answer_len), 0, "answer %zu", i);
    }
    cr_assert_eq(veld_dns_server_queries(server), sent / len);
    close(fd);
}

Test(dns_server, tcp_garbage_closes)
{
    start();
    static const uint8_t bad[][4] = {{0xff, 0xff, 1, 2}, {0, 0, 1, 2}, {0, 2, 1, 2}};
    uint8_t buf[16];
    for (size_t i = 0; i < VELD_ARRAY_LEN(bad); i++) {
        int fd = client(SOCK_STREAM);
        cr_assert_eq(send(fd, bad[i], 4, 0), 4);
        ssize_t n = receive(fd, buf, sizeof buf);
        cr_assert(n == 0 || (n < 0 && errno == ECONNRESET), "case %zu", i);
        close(fd);
    }
}

Test(dns_server, tcp_connections_are_bounded)
{
    start();
    int fds[VELD_DNS_TCP_MAX + 1];
    uint8_t q[64], buf[64];
    size_t len = frame(q);
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++) {
        fds[i] = client(SOCK_STREAM);
        work(3);
    }
    /* all but the second have spoken: it is the one that gives way */
    for (size_t i = 0; i < VELD_DNS_TCP_MAX; i++) {
        if (i == 1)
            continue;
        cr_assert_eq(send(fds[i], q, len, 0), (ssize_t)len);
        cr_assert_gt(receive(fds[i], buf, sizeof buf), 0);
    }
    fds[VELD_DNS_TCP_MAX] = client(SOCK_STREAM);
    cr_assert_eq(send(fds[VELD_DNS_TCP_MAX], q, len, 0), (ssize_t)len);
    cr_assert_gt(receive(fds[VELD_DNS_TCP_MAX], buf, sizeof buf), 0);
    cr_assert_eq(receive(fds[1], buf, sizeof buf), 0);
    cr_assert_eq(send(fds[0], q, len, 0), (ssize_t)len);
    cr_assert_gt(receive(fds[0], buf, sizeof buf), 0);
    for (size_t i = 0; i <= VELD_DNS_TCP_MAX; i++)
        close(fds[i]);
}

Test(dns_server, silent_connections_are_closed)
{
    start();
    uint8_t buf[4];
    int fd = client(SOCK_STREAM);
    uint64_t began = veld_clock_mono_ns();
    cr_assert_eq(send(fd, "\0", 1, 0), 1);
    ssize_t n = -1;
    while (n < 0 && veld_clock_mono_ns() - began < 10 * VELD_NS_PER_S) {
        g_main_context_iteration(NULL, TRUE);
        n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    }
    uint64_t lasted = veld_clock_mono_ns() - began;
    cr_assert_eq(n, 0);
    cr_assert(lasted >= 5 * VELD_NS_PER_S && lasted < 8 * VELD_NS_PER_S);
    close(fd);
}

/* Out of descriptors, the listener is not polled in a busy loop, and comes back. */
Test(dns_server, no_descriptors_left)
{
    start();
    uint8_t q[64], buf[64];
    size_t len = frame(q);
    int fd = client(SOCK_STREAM);
    int next = dup(fd);
    close(next);
    struct rlimit limit = {.rlim_cur = (rlim_t)next, .rlim_max = 1024};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    g_main_context_iteration(NULL, TRUE);
    cr_assert_not(g_main_context_iteration(NULL, FALSE), "busy loop");
    limit.rlim_cur = 1024;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(send(fd, q, len, 0), (ssize_t)len);
    cr_assert_gt(receive(fd, buf, sizeof buf), 0);
    close(fd);
}

Test(dns_server, takes_the_next_free_address)
{
    start();
    struct veld_dns_server *more[16] = {server};
    for (uint8_t i = 1; i < 16; i++) {
        cr_assert_eq(veld_dns_server_start(&more[i], table(2), &diag), 0, "%s", diag.text);
        struct veld_ip ip = veld_dns_server_address(more[i]);
        cr_assert_eq(memcmp(ip.b, (uint8_t[]){127, 0, 86, (uint8_t)(i + 1)}, 4), 0);
    }
    struct veld_dns_server *none = NULL;
    struct veld_dns_table *t = table(2);
    cr_assert_eq(veld_dns_server_start(&none, t, &diag), VELD_E_EXIST);
    cr_assert_null(none);
    veld_dns_table_free(t); /* still ours */
    for (int i = 1; i < 16; i++)
        veld_dns_server_stop(more[i]);
}

Test(dns_server, says_when_loopback_is_down)
{
    own_namespace();
    struct veld_dns_table *t = table(2);
    cr_assert_eq(veld_dns_server_start(&server, t, &diag), VELD_E_IO);
    cr_assert_not_null(strstr(diag.text, "ip link set lo up"));
    veld_dns_table_free(t);
}

Test(dns_server, says_when_not_permitted)
{
    own_namespace();
    loopback_up();
    cr_assert_eq(setuid(65534), 0);
    struct veld_dns_table *t = table(2);
    cr_assert_eq(veld_dns_server_start(&server, t, &diag), VELD_E_PERM);
    cr_assert_not_null(strstr(diag.text, "CAP_NET_BIND_SERVICE"));
    veld_dns_table_free(t);
}

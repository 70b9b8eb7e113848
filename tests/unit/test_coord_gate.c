#include "base/clock.h"
#include "coord/gate.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* What was handed over, and by whom it is closed: the test, as gRPC would. */
static _Atomic int taken[64];
static atomic_size_t n_taken;

static void take(void *ctx, int fd, const struct veld_endpoint *peer)
{
    size_t i = atomic_load(&n_taken);
    atomic_store(&taken[i], fd);
    atomic_store(&n_taken, i + 1);
}

struct rig {
    struct veld_listeners l;
    struct veld_gate *gate;
};

/* Where it is, since the gate borrows its listeners. */
static void start(struct rig *r, struct veld_coord_limits limits)
{
    struct veld_listen_address a;
    struct veld_diag diag = {""};
    cr_assert_eq(veld_listen_parse("127.0.0.1:0", &a), 0);
    cr_assert_eq(veld_listen_open(&r->l, &a, &diag), 0, "%s", diag.text);
    cr_assert_eq(veld_gate_open(&r->gate, &r->l, &limits, take, NULL, &diag), 0, "%s",
                 diag.text);
}

static void stop(struct rig *r)
{
    veld_gate_shut(r->gate);
    veld_gate_close(r->gate);
    veld_listen_close(&r->l);
}

/* Connected from 127.0.0.`last`; `from` receives the address as the server sees it. */
static int connect_from(const struct rig *r, uint8_t last, struct veld_endpoint *from)
{
    struct sockaddr_storage to;
    socklen_t len;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(0x7f000000u | last)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    cr_assert_eq(veld_endpoint_to_sockaddr(&r->l.first, AF_INET, &to, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0);
    len = sizeof own;
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    cr_assert_eq(veld_endpoint_from_sockaddr((struct sockaddr *)&own, len, from), 0);
    return fd;
}

/* Has the other side closed it? */
static bool is_closed(int fd, int within_ms)
{
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, within_ms) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void wait_taken(size_t n)
{
    for (int i = 0; i < 500 && atomic_load(&n_taken) < n; i++)
        usleep(10000);
    cr_assert_eq(atomic_load(&n_taken), n);
}

static struct veld_gate_stats stats(const struct rig *r)
{
    struct veld_gate_stats s;
    veld_gate_get_stats(r->gate, &s);
    return s;
}

TestSuite(coord_gate, .timeout = 30);

Test(coord_gate, an_address_has_so_many_connections_and_another_has_its_own)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 10, .connections_per_address = 2, .streams = 4});
    struct veld_endpoint e;
    int a = connect_from(&r, 1, &e), b = connect_from(&r, 1, &e);
    wait_taken(2);
    int c = connect_from(&r, 1, &e), d = connect_from(&r, 2, &e);
    cr_assert(is_closed(c, 5000));
    wait_taken(3);
    cr_assert_not(is_closed(d, 50));
    cr_assert_eq(stats(&r).refused_address, 1);
    cr_assert_eq(stats(&r).open, 3);
    close(a), close(b), close(c), close(d);
    stop(&r);
}

Test(coord_gate, there_are_so_many_in_all)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 2, .connections_per_address = 2, .streams = 4});
    struct veld_endpoint e;
    int a = connect_from(&r, 1, &e), b = connect_from(&r, 2, &e);
    wait_taken(2);
    int c = connect_from(&r, 3, &e);
    cr_assert(is_closed(c, 5000));
    cr_assert_eq(stats(&r).refused_full, 1);
    close(a), close(b), close(c);
    stop(&r);
}

Test(coord_gate, a_closed_connection_makes_room)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 2, .connections_per_address = 20, .streams = 4});
    struct veld_endpoint e;
    int a = connect_from(&r, 1, &e), b = connect_from(&r, 1, &e);
    wait_taken(2);
    usleep(150000);                /* longer than it lets pass between looks */
    close(atomic_load(&taken[0])); /* as gRPC does; nobody tells the gate */
    int c = connect_from(&r, 1, &e);
    wait_taken(3);
    cr_assert_not(is_closed(c, 20));
    close(a), close(b), close(c);
    stop(&r);
}

Test(coord_gate, opening_them_fast_is_refused)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 20, .connections_per_address = 4, .streams = 4});
    struct veld_endpoint e;
    for (size_t i = 0; i < 4; i++) {
        int fd = connect_from(&r, 1, &e);
        wait_taken(i + 1);
        close(atomic_load(&taken[i]));
        close(fd);
    }
    int fd = connect_from(&r, 1, &e);
    cr_assert(is_closed(fd, 5000));
    cr_assert_eq(stats(&r).refused_rate, 1);
    close(fd);
    stop(&r);
}

Test(coord_gate, a_connection_with_too_many_calls_is_cut)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 20, .connections_per_address = 4, .streams = 3});
    struct veld_endpoint me, other;
    struct veld_gate_call call;
    int fd = connect_from(&r, 1, &me), fd2 = connect_from(&r, 1, &other);
    wait_taken(2);
    for (int i = 0; i < 4 * 3; i++)
        cr_assert(veld_gate_call_begin(r.gate, &me, &call));
    veld_gate_call_end(r.gate, call, VELD_GATE_ANSWERED);
    cr_assert(veld_gate_call_begin(r.gate, &me, &call), "one that ended still counts");
    cr_assert_not(is_closed(fd, 20));
    cr_assert_not(veld_gate_call_begin(r.gate, &me, &call));
    cr_assert(is_closed(fd, 1000));
    cr_assert_not(is_closed(fd2, 20));
    cr_assert_eq(stats(&r).cut, 1);
    close(fd), close(fd2);
    stop(&r);
}

Test(coord_gate, a_connection_whose_calls_are_given_up_is_cut)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 20, .connections_per_address = 4, .streams = 3});
    struct veld_endpoint me;
    struct veld_gate_call call;
    int fd = connect_from(&r, 1, &me);
    wait_taken(1);
    for (int i = 0; i < 100000; i++) {
        cr_assert(veld_gate_call_begin(r.gate, &me, &call));
        veld_gate_call_end(r.gate, call, VELD_GATE_ANSWERED);
    }
    cr_assert_not(is_closed(fd, 20));
    for (int i = 0; i < 256; i++) {
        cr_assert(veld_gate_call_begin(r.gate, &me, &call));
        veld_gate_call_end(r.gate, call, VELD_GATE_WASTED);
    }
    cr_assert(is_closed(fd, 1000));
    close(fd);
    stop(&r);
}

Test(coord_gate, a_call_of_a_connection_that_is_gone_counts_for_nobody)
{
    struct rig r;
    start(&r, (struct veld_coord_limits){
                  .connections = 20, .connections_per_address = 4, .streams = 3});
    struct veld_endpoint stranger = {.ip = {.family = 4, .b = {192, 0, 2, 1}}, .port = 7};
    struct veld_gate_call call;
    cr_assert(veld_gate_call_begin(r.gate, &stranger, &call));
    veld_gate_call_end(r.gate, call, VELD_GATE_WASTED);
    stop(&r);
}

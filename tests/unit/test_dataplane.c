/* The whole dataplane over real TUNs and real sockets (support/two_dataplanes.h), by either engine. */
#include <criterion/criterion.h>

#define CHECK(condition, ...) cr_assert(condition, __VA_ARGS__)
#define SKIP(text)            cr_skip_test(text)
#include "support/two_dataplanes.h"

#include "dataplane/uring.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* One body, two tests: by the engine that AUTO finds, and by poll. */
#define BY_EACH_ENGINE(name)                                                                   \
    static void name(void);                                                                    \
    Test(dataplane, name##_by_auto, .timeout = 120)                                            \
    {                                                                                          \
        name();                                                                                \
    }                                                                                          \
    Test(dataplane, name##_by_poll, .timeout = 120)                                            \
    {                                                                                          \
        engine = VELD_DP_ENGINE_POLL;                                                          \
        name();                                                                                \
    }                                                                                          \
    static void name(void)

/* ---- Traffic ---- */

static void send_text(int fd, const char *to, const char *text)
{
    struct sockaddr_storage sa;
    socklen_t len;
    address(&sa, &len, to);
    cr_assert_eq(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&sa, len),
                 (ssize_t)strlen(text));
}

static void expect_text(int fd, const char *text)
{
    char got[100];
    ssize_t n;
    do
        n = recv(fd, got, sizeof got, 0);
    while (n < 0 && errno == EINTR);
    cr_assert_eq(n, (ssize_t)strlen(text), "%s: %s", text, n < 0 ? strerror(errno) : "length");
    cr_assert_arr_eq(got, text, (size_t)n);
}

static void udp_both_ways(const char *at_a, const char *at_b)
{
    int fa = bound(ns1, SOCK_DGRAM, at_a), fb = bound(ns2, SOCK_DGRAM, at_b);
    for (unsigned i = 0; i < 20; i++) {
        send_text(fa, at_b, "there");
        expect_text(fb, "there");
        send_text(fb, at_a, "and back");
        expect_text(fa, "and back");
    }
    close(fa);
    close(fb);
}

#define STREAM_BYTES (24u << 20)

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void *stream_writer(void *arg)
{
    static uint8_t block[65536];
    int fd = *(int *)arg;
    for (size_t at = 0; at < STREAM_BYTES; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = pattern(at + i);
        for (size_t done = 0; done < sizeof block;) {
            ssize_t n = write(fd, block + done, sizeof block - done);
            if (n <= 0)
                return NULL;
            done += (size_t)n;
        }
    }
    shutdown(fd, SHUT_WR);
    return NULL;
}

static void tcp_stream(const char *at_a, const char *at_b)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int listener = bound(ns2, SOCK_STREAM, at_b), out = bound(ns1, SOCK_STREAM, at_a);
    cr_assert_eq(listen(listener, 1), 0);
    address(&sa, &len, at_b);
    cr_assert_eq(connect(out, (struct sockaddr *)&sa, len), 0, "%s", strerror(errno));
    int in = accept(listener, NULL, NULL);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, stream_writer, &out), 0);
    static uint8_t got[65536];
    size_t at = 0;
    /* Work for a ring that this thread made may interrupt it. */
    for (ssize_t n; (n = read(in, got, sizeof got)) > 0 || (n < 0 && errno == EINTR);)
        for (ssize_t i = 0; i < n; i++, at++)
            if (got[i] != pattern(at))
                cr_assert(0, "byte %zu differs", at);
    cr_assert_eq(at, STREAM_BYTES);
    pthread_join(t, NULL);
    close(in);
    close(out);
    close(listener);
}

static void check_clean(struct veld_dataplane *dp)
{
    struct veld_dataplane_stats s;
    veld_dataplane_get_stats(dp, &s);
    for (unsigned i = 0; i < VELD_DROP_COUNT; i++)
        if (i != VELD_DROP_NO_ROUTE) /* the kernel's own IPv6 multicast */
            cr_assert_eq(s.drops[i], 0, "%s: %lu", veld_drop_name(i),
                         (unsigned long)s.drops[i]);
}

static void carry_everything(void)
{
    udp_both_ways("10.9.1.1:7001", "10.9.2.1:7002");
    udp_both_ways("[fd00:1::1]:7001", "[fd00:2::1]:7002");
    tcp_stream("10.9.1.1:7003", "10.9.2.1:7004");
    tcp_stream("[fd00:1::1]:7003", "[fd00:2::1]:7004");
    check_clean(a);
    check_clean(b);
    struct veld_dataplane_stats s;
    veld_dataplane_get_stats(a, &s);
    cr_assert_gt(s.super_packets_from_tun, 100);
    veld_dataplane_get_stats(b, &s);
    cr_assert_gt(s.super_packets_to_tun, 100);
    struct veld_activity act;
    cr_assert_eq(veld_dataplane_peer_activity(b, 1, &act), 0);
    cr_assert_geq(act.received_bytes, 2 * STREAM_BYTES);
}

BY_EACH_ENGINE(carries_v4_and_v6_over_v4)
{
    setup("127.0.0.1:5001", "127.0.0.1:5002", 1);
    install_both(1);
    carry_everything();
    teardown();
}

BY_EACH_ENGINE(carries_v4_and_v6_over_v6_with_two_workers)
{
    setup("[::1]:5001", "[::1]:5002", 2);
    install_both(2);
    carry_everything();
    teardown();
}

BY_EACH_ENGINE(asks_for_a_session_and_sends_what_waited)
{
    struct veld_dataplane_event ev;
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    int fa = bound(ns1, SOCK_DGRAM, "10.9.1.1:7001"),
        fb = bound(ns2, SOCK_DGRAM, "10.9.2.1:7002");
    send_text(fa, "10.9.2.1:7002", "first");
    cr_assert(wait_event(a, &ev));
    cr_assert_eq(ev.type, VELD_DP_NEED_SESSION);
    cr_assert_eq(ev.peer, 1);
    cr_assert_not(veld_dataplane_next_event(a, &ev));
    install(b, B_INDEX, A_INDEX, 1, 2, 1);
    install(a, A_INDEX, B_INDEX, 1, 1, 2);
    cr_assert_eq(veld_dataplane_session_use(a, A_INDEX), 0);
    expect_text(fb, "first");
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED);
    cr_assert_eq(ev.local_index, B_INDEX);
    cr_assert_eq(ev.from.port, 5001);
    teardown();
}

BY_EACH_ENGINE(control_sends_by_itself)
{
    struct veld_dataplane_event ev;
    struct veld_endpoint to;
    uint8_t message[30], handshake[VELD_INITIATION_SIZE];
    memset(message, 7, sizeof message);
    memset(handshake, 8, sizeof handshake);
    setup("127.0.0.1:5001", "127.0.0.1:5002", 1);
    install_both(1);

    veld_header_write(handshake, &(struct veld_header){.type = VELD_INITIATION, .index = 3});
    cr_assert_eq(veld_endpoint_parse("127.0.0.1:5002", &to), 0);
    cr_assert_eq(veld_dataplane_send_datagram(a, &to, handshake, sizeof handshake), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_HANDSHAKE);
    cr_assert_arr_eq(ev.bytes, handshake, sizeof handshake);
    cr_assert_not(veld_dataplane_next_event(b, &ev));

    cr_assert_eq(veld_dataplane_send_message(a, A_INDEX, NULL, message, sizeof message), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED, "a used session is confirmed too");
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_MESSAGE);
    cr_assert_eq(ev.len, sizeof message);
    cr_assert_arr_eq(ev.bytes, message, sizeof message);

    const struct veld_message probe = {.type = VELD_MSG_PROBE, .id = 9, .size = 8968};
    uint8_t head[VELD_MESSAGE_MAX];
    size_t len = veld_message_write(head, &probe);
    struct veld_message parsed;
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, 8968), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_MESSAGE);
    cr_assert_eq(ev.len, 8968);
    cr_assert_eq(veld_message_parse(ev.bytes, ev.len, &parsed), 0);
    cr_assert_eq(parsed.id, 9);
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, VELD_MTU_MAX + 1),
                 VELD_E_RANGE);
    shell("ip link set lo mtu 1500");
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, 1441), VELD_E_LIMIT);
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, 1440), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.len, 1440);

    veld_dataplane_stop(a);
    cr_assert_eq(veld_dataplane_send_message(a, A_INDEX, NULL, message, 4), 0,
                 "a goodbye after stop");
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.len, 4);
    cr_assert_eq(veld_dataplane_send_message(a, 77, NULL, message, 4), VELD_E_NOENT);
    cr_assert_eq(veld_endpoint_parse("[::1]:5002", &to), 0);
    cr_assert_eq(veld_dataplane_send_datagram(a, &to, handshake, sizeof handshake),
                 VELD_E_UNSUPPORTED);
    teardown();
}

/* What passes the loopback device of namespace 1: how many data datagrams of each lane, by port. */
struct seen {
    unsigned main_port[2], other_port[2];
};

static int sniffer(void)
{
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP));
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    return fd;
}

static struct seen look(int fd, uint16_t from, uint16_t to)
{
    struct seen s = {0};
    uint8_t p[100];
    for (ssize_t n; (n = recv(fd, p, sizeof p, 0)) > 0;) {
        uint16_t ports[2];
        memcpy(ports, p + 20, sizeof ports);
        if (n < 20 + 8 + 16 || p[9] != IPPROTO_UDP || ntohs(ports[1]) != to ||
            p[28] != VELD_DATA)
            continue;
        cr_assert_lt(p[30], 2);
        unsigned *count = ntohs(ports[0]) == from ? s.main_port : s.other_port;
        count[p[30]]++;
    }
    return s;
}

/* Flows enough that each of two workers has some. */
static struct seen many_flows(int sniff)
{
    for (unsigned i = 0; i < 24; i++) {
        char at[32];
        snprintf(at, sizeof at, "10.9.1.1:%u", 7100 + i);
        int fa = bound(ns1, SOCK_DGRAM, at), fb = bound(ns2, SOCK_DGRAM, "10.9.2.1:7002");
        send_text(fa, "10.9.2.1:7002", "there");
        expect_text(fb, "there");
        close(fa);
        close(fb);
    }
    return look(sniff, 5001, 5002);
}

static struct veld_lane_use lane_use(uint64_t since_ns)
{
    struct veld_lane_use use;
    cr_assert_eq(veld_dataplane_peer_lane_use(a, 1, since_ns, &use), 0);
    return use;
}

Test(dataplane, a_lane_leaves_by_its_own_port_until_the_endpoint_changes, .timeout = 60)
{
    struct veld_endpoint ep;
    uint64_t began = veld_clock_mono_ns();
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    cr_assert_eq(lane_use(0).have_port, 0, "no session, no lanes");
    install_both(2);
    int sniff = sniffer();
    cr_assert_eq(lane_use(0).busy, 0);
    cr_assert_eq(lane_use(0).lane0_ns, 0);
    struct seen s = many_flows(sniff);
    cr_assert(s.main_port[0] && s.main_port[1], "both workers send");
    cr_assert_eq(s.other_port[0] + s.other_port[1], 0);
    cr_assert_eq(lane_use(began).busy, 2);
    cr_assert_eq(lane_use(veld_clock_mono_ns()).busy, 0);
    cr_assert_eq(lane_use(0).have_port, 2);
    cr_assert_gt(lane_use(0).lane0_ns, began);

    cr_assert_eq(veld_dataplane_peer_set_lane_ports(a, 1, 2), 0);
    cr_assert_eq(lane_use(0).in_use, 2);
    s = many_flows(sniff);
    cr_assert(s.main_port[0] && s.other_port[1]);
    cr_assert_eq(s.other_port[0] + s.main_port[1], 0, "lane 0 stays");

    cr_assert_eq(veld_endpoint_parse("127.0.0.1:5002", &ep), 0);
    cr_assert_eq(veld_dataplane_peer_set_endpoint(a, 1, &ep), 0);
    cr_assert_eq(lane_use(0).in_use, 0, "nothing is known of a new endpoint");
    s = many_flows(sniff);
    cr_assert_eq(s.other_port[0] + s.other_port[1], 0);
    check_clean(a);
    check_clean(b);
    close(sniff);
    teardown();
}

Test(dataplane, control_speaks_from_a_lanes_port, .timeout = 60)
{
    struct veld_dataplane_event ev;
    static const uint8_t message[20] = {VELD_MSG_PING, 1, 0, 16};
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 1, message, 20), VELD_E_NOENT);
    install_both(2);
    int sniff = sniffer();
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 1, message, 20), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED);
    cr_assert_eq(ev.from.ip.family, 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_MESSAGE);
    cr_assert_eq(ev.from.ip.family, 0);
    cr_assert_arr_eq(ev.bytes, message, 20);
    cr_assert_not(veld_dataplane_next_event(b, &ev), "it did not move");
    cr_assert_eq(lane_use(0).lane0_ns, 0);
    struct seen s = look(sniff, 5001, 5002);
    cr_assert_eq(s.main_port[0] + s.main_port[1] + s.other_port[0], 0);
    cr_assert(s.other_port[1]);

    /* What comes to that port in answer is told, if it names a session. */
    struct veld_dataplane_worker second;
    uint32_t peer = 0;
    unsigned worker = 0;
    uint8_t stray[VELD_DATA_OVERHEAD + 9] = {0};
    veld_dataplane_get_worker(a, 1, &second);
    struct veld_endpoint to = {.ip = {.family = 4, .b = {127, 0, 0, 1}},
                               .port = second.own_port};
    cr_assert_not(veld_dataplane_next_stray(a, &peer, &worker));
    veld_header_write(stray, &(struct veld_header){.type = VELD_DATA, .index = A_INDEX + 1});
    cr_assert_eq(veld_dataplane_send_datagram(b, &to, stray, sizeof stray), 0);
    usleep(10000);
    cr_assert_not(veld_dataplane_next_stray(a, &peer, &worker), "of no session");
    veld_header_write(stray, &(struct veld_header){.type = VELD_DATA, .index = A_INDEX});
    cr_assert_eq(veld_dataplane_send_datagram(b, &to, stray, sizeof stray), 0);
    usleep(10000);
    cr_assert(veld_dataplane_next_stray(a, &peer, &worker));
    cr_assert_eq(peer, 1);
    cr_assert_eq(worker, 1);
    cr_assert_not(veld_dataplane_next_stray(a, &peer, &worker));

    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 0, message, 0), 0);
    cr_assert_gt(lane_use(0).lane0_ns, 0);
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 2, message, 20), VELD_E_UNSUPPORTED);
    close(sniff);
    teardown();

    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    install_both(1);
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 1, message, 20), VELD_E_UNSUPPORTED,
                 "the peer has one lane: all of it is lane 0");
    teardown();
}

Test(dataplane, open_says_what_is_missing)
{
    cr_assert_eq(veld_crypto_init(), 0);
    new_namespace(&ns1);
    struct veld_dataplane *dp = NULL;
    struct veld_dataplane_config cfg = {
        .interface = "veld-a", .workers = 2, .mtu = 1420, .aead = "auto"};
    cr_assert_eq(veld_endpoint_parse("127.0.0.1:5001", &cfg.listen), 0);
    cfg.workers = 0;
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_RANGE);
    cfg.workers = 2;
    cfg.aead = "rot13";
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_UNSUPPORTED);
    cfg.aead = "auto";
    cfg.interface = "a-name-that-is-too-long";
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_INVAL);
    cfg.interface = "veld-a";
    a = open_one("veld-b", "127.0.0.1:5001", 2);
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_EXIST);
    cr_assert(strstr(diag.text, "127.0.0.1:5001"), "%s", diag.text);
    cfg.listen.port = 5003;
    cfg.interface = "veld-b";
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_EXIST);
    cr_assert(strstr(diag.text, "veld-b"), "%s", diag.text);
    veld_dataplane_close(a);
    cfg.listen.port = 5001;
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), 0, "all is free again: %s", diag.text);
    struct veld_dataplane_info info;
    veld_dataplane_get_info(dp, &info);
    cr_assert_str_eq(info.interface, "veld-b");
    cr_assert_eq(info.listen_port, 5001);
    cr_assert_eq(info.lanes, 2);
    cr_assert_neq(info.ifindex, 0);
    cr_assert(info.udp_segment && info.udp_gro, "every kernel these tests run on has both");
    veld_dataplane_close(dp);
}

/* ---- Where io_uring is forbidden ---- */

/* From here on this call fails in this process, as under an administrator or a sandbox. */
static void forbid(unsigned call, unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    struct veld_uring_features features;
    if (veld_uring_probe(&features, &diag) < 0)
        cr_skip_test("no io_uring here to forbid");
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void expect_engine(const char *name)
{
    struct veld_dataplane_info info;
    veld_dataplane_get_info(a, &info);
    cr_assert_str_eq(info.engine, name);
    cr_assert_gt(strlen(info.engine_features), 0);
}

static void auto_falls_back(void)
{
    setup("127.0.0.1:5001", "127.0.0.1:5002", 1);
    expect_engine("poll");
    install_both(1);
    udp_both_ways("10.9.1.1:7001", "10.9.2.1:7002");
    teardown();
}

Test(dataplane, auto_takes_io_uring_where_it_works)
{
    struct veld_uring_features features;
    bool works = veld_uring_probe(&features, &diag) == 0;
    setup("127.0.0.1:5001", "127.0.0.1:5002", 1);
    expect_engine(works ? "io_uring" : "poll");
    teardown();
}

Test(dataplane, auto_falls_back_when_forbidden)
{
    forbid(SYS_io_uring_setup, EPERM);
    auto_falls_back();
}

Test(dataplane, auto_falls_back_when_the_kernel_has_none)
{
    forbid(SYS_io_uring_setup, ENOSYS);
    auto_falls_back();
}

Test(dataplane, auto_falls_back_when_a_ring_can_be_made_but_not_used)
{
    forbid(SYS_io_uring_enter, EPERM);
    auto_falls_back();
}

Test(dataplane, io_uring_asked_for_and_forbidden_says_so_and_leaves_nothing)
{
    cr_assert_eq(veld_crypto_init(), 0);
    new_namespace(&ns1);
    forbid(SYS_io_uring_setup, EPERM);
    struct veld_dataplane *dp = NULL;
    struct veld_dataplane_config cfg = {.interface = "veld-a",
                                        .workers = 1,
                                        .mtu = 1420,
                                        .engine = VELD_DP_ENGINE_IO_URING,
                                        .aead = "auto"};
    cr_assert_eq(veld_endpoint_parse("127.0.0.1:5001", &cfg.listen), 0);
    cr_assert_eq(veld_dataplane_open(&dp, &cfg, &diag), VELD_E_PERM);
    cr_assert(strstr(diag.text, "kernel.io_uring_disabled"), "%s", diag.text);
    cr_assert(strstr(diag.text, "--engine poll"), "%s", diag.text);
    cr_assert_eq(if_nametoindex("veld-a"), 0);
    cr_assert_null(dp);
}

/* ---- Through a relay ---- */

#define TO_A   0xaaaa0001u /* numbers, as their readers gave them */
#define TO_B   0xbbbb0002u
#define FROM_A 0xcccc0003u
#define FROM_B 0xdddd0004u

static void use_relay(struct veld_dataplane *dp, const char *relay, uint32_t number,
                      uint32_t index)
{
    struct veld_endpoint at, circuit = veld_endpoint_circuit(number);
    struct veld_circuit c = {.number = number, .relay = 9, .remote_index = index};
    cr_assert_eq(veld_endpoint_parse(relay, &at), 0);
    cr_assert_eq(veld_dataplane_circuit_set(dp, &c), VELD_E_NOENT, "no such peer yet");
    cr_assert_eq(veld_dataplane_peer_add(dp, 9), 0);
    cr_assert_eq(veld_dataplane_peer_set_endpoint(dp, 9, &at), 0);
    cr_assert_eq(veld_dataplane_circuit_set(dp, &c), 0);
    cr_assert_eq(veld_dataplane_peer_set_endpoint(dp, 1, &circuit), 0);
    cr_assert_eq(veld_dataplane_peer_set_lane_ports(dp, 1, 2), VELD_E_UNSUPPORTED);
    cr_assert_eq(veld_dataplane_peer_set_mtu(dp, 1, (struct veld_path_size){1404, true}), 0);
}

static void add_member(struct veld_dataplane *r, uint32_t id, const char *endpoint)
{
    struct veld_endpoint ep;
    cr_assert_eq(veld_endpoint_parse(endpoint, &ep), 0);
    cr_assert_eq(veld_dataplane_peer_add(r, id), 0);
    cr_assert_eq(veld_dataplane_peer_set_endpoint(r, id, &ep), 0);
}

/* a and b reach each other by r alone, which has no session with them. */
static struct veld_dataplane *open_relay(const char *a_at, const char *b_at, const char *r_at,
                                         unsigned workers)
{
    struct veld_dataplane *r = open_one("veld-r", r_at, workers);
    struct veld_forward to_b = {.number = FROM_A, .from = 1, .to = 2, .to_index = TO_B};
    struct veld_forward to_a = {.number = FROM_B, .from = 2, .to = 1, .to_index = TO_A};
    add_member(r, 1, a_at);
    cr_assert_eq(veld_dataplane_forward_set(r, &to_b), VELD_E_NOENT);
    add_member(r, 2, b_at);
    cr_assert_eq(veld_dataplane_forward_set(r, &to_b), 0);
    cr_assert_eq(veld_dataplane_forward_set(r, &to_a), 0);
    cr_assert_eq(veld_dataplane_start(r, &diag), 0, "%s", diag.text);
    use_relay(a, r_at, TO_A, FROM_A);
    use_relay(b, r_at, TO_B, FROM_B);
    return r;
}

static void relay_everything(const char *a_at, const char *b_at, const char *r_at,
                             unsigned workers)
{
    struct veld_forward_use use;
    struct veld_dataplane_stats s;
    setup(a_at, b_at, workers);
    install_both((uint8_t)workers);
    struct veld_dataplane *r = open_relay(a_at, b_at, r_at, workers);
    carry_everything();
    check_clean(r);
    /* What is under way when the last stream ends is told a moment later. */
    for (unsigned ms = 0; ms < 5000; ms++, usleep(1000)) {
        veld_dataplane_get_stats(r, &s);
        if (s.datagrams_forwarded == s.datagrams_received &&
            s.datagrams_sent == s.datagrams_received)
            break;
    }
    cr_assert_eq(s.datagrams_forwarded, s.datagrams_received);
    cr_assert_eq(s.datagrams_sent, s.datagrams_received);
    cr_assert_eq(veld_dataplane_forward_use(r, FROM_A, &use), 0);
    cr_assert_gt(use.bytes, 2 * STREAM_BYTES);
    cr_assert_gt(use.last_ns, 0);
    veld_dataplane_peer_remove(r, 2);
    cr_assert_eq(veld_dataplane_forward_use(r, FROM_A, &use), VELD_E_NOENT, "it ends with b");
    cr_assert_eq(veld_dataplane_forward_use(r, FROM_B, &use), VELD_E_NOENT);
    teardown();
    veld_dataplane_close(r);
}

BY_EACH_ENGINE(relays_over_v4)
{
    relay_everything("127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003", 1);
}

BY_EACH_ENGINE(relays_over_v6_with_two_workers)
{
    relay_everything("[::1]:5001", "[::1]:5002", "[::1]:5003", 2);
}

BY_EACH_ENGINE(control_sends_by_a_circuit)
{
    struct veld_dataplane_event ev;
    struct veld_endpoint circuit = veld_endpoint_circuit(TO_A),
                         none = veld_endpoint_circuit(TO_A + 1);
    static const uint8_t message[] = {9, 1, 0, 0};
    uint8_t handshake[VELD_INITIATION_SIZE] = {0},
            stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    install_both(2);
    struct veld_dataplane *r =
        open_relay("127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003", 1);
    veld_header_write(handshake, &(struct veld_header){.type = VELD_INITIATION, .index = 3});
    cr_assert_eq(veld_dataplane_send_datagram(a, &circuit, handshake, sizeof handshake), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_HANDSHAKE);
    cr_assert_arr_eq(ev.bytes, handshake, sizeof handshake);
    struct veld_endpoint at_b = veld_endpoint_circuit(TO_B);
    cr_assert(veld_endpoint_equal(&ev.from, &at_b));
    cr_assert_eq(veld_dataplane_send_datagram(a, &none, handshake, sizeof handshake),
                 VELD_E_NOENT);
    cr_assert_eq(veld_dataplane_send_datagram(a, &circuit, stun, sizeof stun),
                 VELD_E_UNSUPPORTED);

    cr_assert_eq(veld_dataplane_send_message(a, A_INDEX, NULL, message, sizeof message), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_CONFIRMED);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.type, VELD_DP_MESSAGE);
    cr_assert(veld_endpoint_equal(&ev.from, &at_b));
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 0, message, sizeof message), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(veld_dataplane_send_on_lane(a, 1, 1, message, sizeof message),
                 VELD_E_UNSUPPORTED);

    const struct veld_message probe = {.type = VELD_MSG_PROBE, .id = 9, .size = 1424};
    uint8_t head[VELD_MESSAGE_MAX];
    size_t len = veld_message_write(head, &probe);
    shell("ip link set lo mtu 1500");
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, 1425), VELD_E_LIMIT,
                 "16 bytes less than directly");
    cr_assert_eq(veld_dataplane_send_probe(a, A_INDEX, head, len, 1424), 0);
    cr_assert(wait_event(b, &ev));
    cr_assert_eq(ev.len, 1424);

    veld_dataplane_peer_remove(a, 9);
    cr_assert_eq(veld_dataplane_send_message(a, A_INDEX, NULL, message, sizeof message),
                 VELD_E_NOENT, "the circuit ended with its relay");
    teardown();
    veld_dataplane_close(r);
}

/*
 * The boundary between the control thread and the workers: sessions, peers,
 * endpoints and routes change under traffic both ways, and everything is taken down in the
 * middle of it. Nothing is used after it was freed, nothing races.
 *
 * dataplane [ENGINE]
 */
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition, ...)                                                                  \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                    \
            fprintf(stderr, __VA_ARGS__);                                                      \
            fputc('\n', stderr);                                                               \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)
#define SKIP(text) (puts(text), exit(77))
#include "support/two_dataplanes.h"

#define ROUNDS 300

static _Atomic bool flooding = true;

struct flow {
    int ns;
    const char *from, *to;
};

static void *flood(void *arg)
{
    const struct flow *flow = arg;
    struct sockaddr_storage sa;
    socklen_t len;
    address(&sa, &len, flow->to);
    int fd = bound(flow->ns, SOCK_DGRAM, flow->from);
    while (flooding)
        (void)sendto(fd, "churn", 5, 0, (struct sockaddr *)&sa, len);
    close(fd);
    return NULL;
}

/* Tables of any size, with and without the traffic's own prefixes, and a peer that comes and goes. */
static void change_routes(struct veld_dataplane *dp, uint32_t i, const char *v4, const char *v6)
{
    static struct veld_route routes[500];
    size_t n = 0;
    if (i % 5 != 4) { /* else what comes has no route, or a source that is nobody's */
        CHECK(veld_prefix_parse(v4, &routes[n++].prefix) == 0, "%s", v4);
        CHECK(veld_prefix_parse(v6, &routes[n++].prefix) == 0, "%s", v6);
    }
    for (; n < 2 + i * 7 % 498; n++)
        routes[n].prefix = (struct veld_prefix){
            .ip = {.family = 4, .b = {172, 16, (uint8_t)(n >> 8), (uint8_t)n}}, .len = 32};
    if (i % 20 == 0)
        CHECK(veld_dataplane_peer_add(dp, 2) == 0, "%u", i);
    for (size_t k = 0; k < n; k++)
        routes[k].peer = k < 2 ? 1 : 1 + (i % 20 < 10 ? k % 2 : 0);
    CHECK(veld_dataplane_routes_publish(dp, routes, n) == 0, "%u", i);
    if (i % 20 == 10)
        veld_dataplane_peer_remove(dp, 2);
}

/* Its sessions end with it, under the traffic of both ways. */
static void replace_peer(struct veld_dataplane *dp, const char *endpoint, const char *v4,
                         const char *v6)
{
    veld_dataplane_peer_remove(dp, 1);
    add_peer(dp, endpoint, v4, v6);
}

/*
 * a sends to b by a circuit, on and off, and b is its relay, which forwards it all to itself.
 * Circuit and forward change, and end with their peers, under the traffic.
 */
static void change_circuits(uint32_t i)
{
    const struct veld_circuit circuit = {.number = 0x55000001, .relay = 3, .remote_index = i};
    const struct veld_forward forward = {
        .number = 0x66000002, .from = 1, .to = 3, .to_index = i, .bytes_per_s = i};
    struct veld_endpoint relay, by_circuit = veld_endpoint_circuit(circuit.number);
    struct veld_forward_use use;
    CHECK(veld_endpoint_parse("127.0.0.1:5002", &relay) == 0, "endpoint");
    if (i % 8 == 0) {
        CHECK(veld_dataplane_peer_add(a, 3) == 0, "%u", i);
        CHECK(veld_dataplane_peer_set_endpoint(a, 3, &relay) == 0, "%u", i);
        CHECK(veld_dataplane_peer_add(b, 3) == 0, "%u", i);
        CHECK(veld_dataplane_peer_set_endpoint(b, 3, &relay) == 0, "%u", i);
    }
    if (i % 8 < 6) {
        struct veld_circuit c = circuit;
        c.remote_index = forward.number;
        CHECK(veld_dataplane_circuit_set(a, &c) == 0, "%u", i);
        CHECK(veld_dataplane_forward_set(b, &forward) == 0, "%u", i);
        CHECK(veld_dataplane_peer_set_endpoint(a, 1, i % 2 ? &by_circuit : &relay) == 0, "%u",
              i);
        CHECK(veld_dataplane_forward_use(b, forward.number, &use) == 0, "%u", i);
        veld_dataplane_set_forward_rate(b, i % 4 ? 0 : 1000000);
    }
    if (i % 8 == 4)
        veld_dataplane_circuit_remove(a, circuit.number);
    if (i % 8 == 7) {
        CHECK(veld_dataplane_peer_set_endpoint(a, 1, &relay) == 0, "%u", i);
        veld_dataplane_peer_remove(a, 3);
        veld_dataplane_peer_remove(b, 3);
    }
}

static void change(uint32_t i)
{
    struct veld_endpoint ep;
    install(a, A_INDEX + i, B_INDEX + i, 2, 1, 2);
    install(b, B_INDEX + i, A_INDEX + i, 2, 2, 1);
    CHECK(veld_dataplane_session_use(a, A_INDEX + i) == 0, "%u", i);
    CHECK(veld_dataplane_session_use(b, B_INDEX + i) == 0, "%u", i);
    if (i > 0) {
        veld_dataplane_session_retire(a, A_INDEX + i - 1);
        veld_dataplane_session_retire(b, B_INDEX + i - 1);
    }
    if (i % 50 == 49)
        replace_peer(a, "127.0.0.1:5002", "10.9.2.0/24", "fd00:2::/64");
    if (i % 50 == 24)
        replace_peer(b, "127.0.0.1:5001", "10.9.1.0/24", "fd00:1::/64");
    change_routes(a, i, "10.9.2.0/24", "fd00:2::/64");
    change_routes(b, i + 10, "10.9.1.0/24", "fd00:1::/64");
    if (i % 10 == 0) {
        CHECK(veld_endpoint_parse("127.0.0.1:5002", &ep) == 0, "endpoint");
        CHECK(veld_dataplane_peer_set_endpoint(a, 1, &ep) == 0, "%u", i);
        veld_dataplane_peer_drop_held(a, 1);
    }
    if (i % 10 == 5) {
        int rc = veld_dataplane_peer_set_lane_ports(a, 1, i % 20 == 5 ? 2 : 0);
        CHECK(rc == 0 || rc == VELD_E_UNSUPPORTED, "%u", i);
    }
    change_circuits(i);
    if (i % 10 == 7)
        CHECK(veld_dataplane_peer_set_mtu(a, 1, (struct veld_path_size){.mtu = 1280 + i}) == 0,
              "%u", i);
}

/* What the control thread does between its changes. */
static void look(void)
{
    static const uint8_t message[] = {9, 1, 0, 0};
    struct veld_dataplane_event ev;
    struct veld_dataplane_stats stats;
    struct veld_dataplane_info info;
    struct veld_activity activity;
    while (veld_dataplane_next_event(b, &ev)) {
        const struct veld_endpoint *to = ev.from.ip.family ? &ev.from : NULL;
        int rc = veld_dataplane_send_message(b, ev.local_index, to, message, sizeof message);
        CHECK(rc == 0 || rc == VELD_E_NOENT || rc == VELD_E_FULL, "%s", veld_strerror(rc));
    }
    while (veld_dataplane_next_event(a, &ev))
        ;
    veld_dataplane_get_stats(a, &stats);
    veld_dataplane_get_info(a, &info);
    /* Beside what it never does: a new secret while the workers may read the old one. */
    static const uint8_t own_pub[32] = {1};
    struct veld_cookie_checker checker;
    veld_cookie_checker_init(&checker, own_pub);
    CHECK(veld_dataplane_set_cookies(b, &checker) == 0, "cookies");
    CHECK(veld_dataplane_peer_activity(b, 1, &activity) == 0, "activity");
    struct veld_lane_use use;
    struct veld_dataplane_worker worker;
    CHECK(veld_dataplane_peer_lane_use(a, 1, 0, &use) == 0, "lane use");
    for (unsigned w = 0; w < info.workers; w++) {
        veld_dataplane_get_worker(a, w, &worker);
        int rc = veld_dataplane_send_on_lane(a, 1, w, message, sizeof message);
        CHECK(rc == 0 || rc == VELD_E_NOENT || rc == VELD_E_FULL || rc == VELD_E_UNSUPPORTED,
              "%s", veld_strerror(rc));
    }
}

/* Traffic arrived on both sides, and both tables were without its prefixes while it came. */
static bool seen_enough(void)
{
    struct veld_dataplane_stats at_a, at_b;
    veld_dataplane_get_stats(a, &at_a);
    veld_dataplane_get_stats(b, &at_b);
    return at_a.packets_to_tun > 100 && at_b.packets_to_tun > 100 &&
           at_a.drops[VELD_DROP_NO_ROUTE] > 0 &&
           at_a.drops[VELD_DROP_SOURCE] + at_b.drops[VELD_DROP_SOURCE] > 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        CHECK(veld_dataplane_engine_parse(argv[1], &engine) == 0, "%s", argv[1]);
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    struct flow flows[] = {{ns1, "10.9.1.1:7001", "10.9.2.1:7002"},
                           {ns1, "10.9.1.1:7003", "10.9.2.1:7002"},
                           {ns2, "10.9.2.1:7004", "10.9.1.1:7002"}};
    pthread_t senders[VELD_ARRAY_LEN(flows)];
    for (size_t i = 0; i < VELD_ARRAY_LEN(flows); i++)
        CHECK(pthread_create(&senders[i], NULL, flood, &flows[i]) == 0, "sender %zu", i);
    for (uint32_t i = 0; i < ROUNDS || !seen_enough(); i++) {
        CHECK(i < 20 * ROUNDS, "too little was carried, or nothing refused for its route");
        change(i);
        look();
        usleep(1000);
    }
    struct veld_dataplane_stats s;
    veld_dataplane_get_stats(b, &s);
    CHECK(s.drops[VELD_DROP_TAG] == 0, "%lu", (unsigned long)s.drops[VELD_DROP_TAG]);
    teardown();
    flooding = false;
    for (size_t i = 0; i < VELD_ARRAY_LEN(flows); i++)
        pthread_join(senders[i], NULL);
    return 0;
}

/*
 * The boundary between the control thread and the workers: sessions, peers,
 * endpoints and routes change under traffic, and everything is taken down in the
 * middle of it. Nothing is used after it was freed, nothing races.
 *
 * dataplane [ENGINE]
 */
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

static void *flood(void *fd)
{
    struct sockaddr_storage sa;
    socklen_t len;
    address(&sa, &len, "10.9.2.1:7002");
    while (flooding)
        (void)sendto(*(int *)fd, "churn", 5, 0, (struct sockaddr *)&sa, len);
    return NULL;
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
    if (i % 50 == 49) {
        veld_dataplane_peer_remove(a, 1);
        add_peer(a, "127.0.0.1:5002", "10.9.2.0/24", "fd00:2::/64");
    }
    if (i % 10 == 0) {
        CHECK(veld_endpoint_parse("127.0.0.1:5002", &ep) == 0, "endpoint");
        CHECK(veld_dataplane_peer_set_endpoint(a, 1, &ep) == 0, "%u", i);
        veld_dataplane_peer_drop_held(a, 1);
    }
    int rc = veld_dataplane_peer_set_lane_ports(a, 1, i & 2);
    CHECK(rc == 0, "%s", veld_strerror(rc));
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
    struct veld_lane_use use;
    CHECK(veld_dataplane_peer_lane_use(a, 1, 0, &use) == 0, "lane use");
    int rc = veld_dataplane_send_on_lane(a, 1, 1, message, sizeof message);
    CHECK(rc == 0 || rc == VELD_E_NOENT || rc == VELD_E_FULL, "%s", veld_strerror(rc));
    /* Beside what it never does: a new secret while the workers may read the old one. */
    static const uint8_t own_pub[32] = {1};
    struct veld_cookie_checker checker;
    veld_cookie_checker_init(&checker, own_pub);
    CHECK(veld_dataplane_set_cookies(b, &checker) == 0, "cookies");
    CHECK(veld_dataplane_peer_activity(b, 1, &activity) == 0, "activity");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        CHECK(veld_dataplane_engine_parse(argv[1], &engine) == 0, "%s", argv[1]);
    setup("127.0.0.1:5001", "127.0.0.1:5002", 2);
    int fds[2] = {bound(ns1, SOCK_DGRAM, "10.9.1.1:7001"),
                  bound(ns1, SOCK_DGRAM, "10.9.1.1:7003")};
    pthread_t senders[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&senders[i], NULL, flood, &fds[i]) == 0, "sender %d", i);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        change(i);
        look();
        usleep(1000);
    }
    struct veld_dataplane_stats s;
    veld_dataplane_get_stats(b, &s);
    CHECK(s.packets_to_tun > 100, "only %lu packets arrived", (unsigned long)s.packets_to_tun);
    CHECK(s.drops[VELD_DROP_TAG] == 0, "%lu", (unsigned long)s.drops[VELD_DROP_TAG]);
    teardown();
    flooding = false;
    for (int i = 0; i < 2; i++)
        pthread_join(senders[i], NULL);
    return 0;
}

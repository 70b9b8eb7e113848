#include "control/api/status.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

static struct veld_prefix prefix(const char *text)
{
    struct veld_prefix p;
    cr_assert_eq(veld_prefix_parse(text, &p), 0);
    return p;
}

static struct veld_endpoint endpoint(const char *text)
{
    struct veld_endpoint e;
    cr_assert_eq(veld_endpoint_parse(text, &e), 0);
    return e;
}

/* The value at "a.b.0.c". */
static json_t *at(json_t *root, const char *path)
{
    char copy[128], *save = NULL;
    strcpy(copy, path);
    for (char *part = strtok_r(copy, ".", &save); part && root;
         part = strtok_r(NULL, ".", &save))
        root = json_is_array(root) ? json_array_get(root, (size_t)atoi(part))
                                   : json_object_get(root, part);
    cr_assert_not_null(root, "%s is missing", path);
    return root;
}

#define STR(path)  json_string_value(at(json, path))
#define NUM(path)  json_integer_value(at(json, path))
#define SIZE(path) json_array_size(at(json, path))

static struct veld_config config = {
    .path = (char *)"/etc/veld/config.toml", .name = "a", .mtu = 1420, .n_addrs = 1};
static struct veld_config_peer peers[2] = {{.name = "b", .keepalive_s = 25}, {.name = ""}};
static struct veld_ip peer_addr[1];
static struct veld_prefix peer_route[1];

static json_t *example(void)
{
    static const uint8_t pub[32] = {1};
    static const char *const health[] = {"do this"};
    static struct veld_status_peer list[2];
    config.addrs[0] = prefix("10.0.0.1/24");
    config.listen = endpoint("[::1]:1");
    memset(config.listen.ip.b, 0, 16);
    peer_addr[0] = prefix("10.0.0.2").ip;
    peer_route[0] = prefix("192.168.1.0/24");
    peers[0].addrs = peers[1].addrs = peer_addr;
    peers[0].n_addrs = peers[1].n_addrs = 1;
    peers[0].routes = peer_route;
    peers[0].n_routes = 1;
    list[0] = (struct veld_status_peer){
        .config = &peers[0],
        .info = {.state = VELD_PEER_ACTIVE,
                 .endpoint = endpoint("192.0.2.7:5"),
                 .last_handshake_wall_ns = 1700000000 * VELD_NS_PER_S + 5,
                 .rtt_ns = 1234567,
                 .mtu = 1340,
                 .mtu_known = true},
        .activity = {.sent_bytes = 10, .received_bytes = 1ull << 40},
        .lane_ports = 3};
    static const struct veld_dataplane_worker workers[] = {{.stats = {.datagrams_sent = 5}},
                                                           {.own_port = 40001,
                                                            .stats = {.datagrams_sent = 3,
                                                                      .datagrams_received = 2,
                                                                      .packets_from_tun = 6,
                                                                      .packets_to_tun = 7}}};
    list[1] = (struct veld_status_peer){.config = &peers[1], .info.mtu = 1220};
    struct veld_status s = {.config = &config,
                            .pub = pub,
                            .pid = 42,
                            .started_wall_ns = 1600000000 * VELD_NS_PER_S,
                            .dataplane = {.interface = "veld0",
                                          .listen_port = 51820,
                                          .workers = 2,
                                          .lanes = 4,
                                          .aead = "libsodium",
                                          .engine = "io_uring",
                                          .engine_features = "fixed files",
                                          .offload = "tso4",
                                          .udp_gro = true,
                                          .steered = true},
                            .workers = workers,
                            .dns_server = "127.0.86.1",
                            .dns_method = "resolvconf",
                            .peers = list,
                            .n_peers = 2,
                            .health = health,
                            .n_health = 1};
    s.dataplane_stats.drops[VELD_DROP_TAG] = 3;
    s.engine_stats.drops[VELD_DROP_TAG] = 4;
    s.engine_stats.handshakes_completed = 9;
    s.dataplane_stats.datagrams_sent = 8;
    json_t *json = veld_status_json(&s);
    cr_assert_not_null(json);
    return json;
}

Test(status, has_its_shape)
{
    json_t *json = example();
    cr_assert_eq(NUM("version"), VELD_STATUS_VERSION);
    cr_assert_str_eq(STR("name"), "a");
    cr_assert_str_eq(STR("pubkey"), "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    cr_assert_eq(strlen(STR("fingerprint")), 64);
    cr_assert_eq(NUM("pid"), 42);
    cr_assert_eq(NUM("started"), 1600000000);
    cr_assert_str_eq(STR("config"), "/etc/veld/config.toml");
    cr_assert_str_eq(STR("interface.name"), "veld0");
    cr_assert_eq(NUM("interface.mtu"), 1420);
    cr_assert_str_eq(STR("interface.addresses.0"), "10.0.0.1/24");
    cr_assert_str_eq(STR("listen"), "[::]:51820");
    cr_assert_eq(NUM("dataplane.workers"), 2);
    cr_assert_eq(NUM("dataplane.lanes"), 4);
    cr_assert_str_eq(STR("dataplane.aead"), "libsodium");
    cr_assert_str_eq(STR("dataplane.engine"), "io_uring");
    cr_assert_str_eq(STR("dataplane.engine_features"), "fixed files");
    cr_assert_str_eq(STR("dataplane.offload"), "tso4");
    cr_assert(json_is_false(at(json, "dataplane.udp_segment")));
    cr_assert(json_is_true(at(json, "dataplane.udp_gro")));
    cr_assert(json_is_true(at(json, "dataplane.lanes_steered")));
    cr_assert_eq(SIZE("workers"), 2);
    cr_assert_eq(NUM("workers.0.own_port"), 0);
    cr_assert_eq(NUM("workers.0.datagrams_sent"), 5);
    cr_assert_eq(NUM("workers.1.own_port"), 40001);
    cr_assert_eq(NUM("workers.1.datagrams_sent"), 3);
    cr_assert_eq(NUM("workers.1.datagrams_received"), 2);
    cr_assert_eq(NUM("workers.1.packets_from_tun"), 6);
    cr_assert_eq(NUM("workers.1.packets_to_tun"), 7);
    cr_assert_str_eq(STR("dns.server"), "127.0.86.1");
    cr_assert_str_eq(STR("dns.method"), "resolvconf");
    cr_assert(json_is_false(at(json, "settled")));
    cr_assert_str_eq(STR("health.0"), "do this");
    cr_assert_eq(SIZE("health"), 1);
    cr_assert_eq(NUM("counters.datagrams_sent"), 8);
    cr_assert_eq(NUM("counters.handshakes_completed"), 9);
    json_decref(json);
}

Test(status, peers)
{
    json_t *json = example();
    cr_assert_eq(SIZE("peers"), 2);
    cr_assert_str_eq(STR("peers.0.name"), "b");
    cr_assert_eq(NUM("peers.0.lane_ports"), 3);
    cr_assert_eq(NUM("peers.1.lane_ports"), 0);
    cr_assert_str_eq(STR("peers.0.addresses.0"), "10.0.0.2");
    cr_assert_str_eq(STR("peers.0.routes.0"), "192.168.1.0/24");
    cr_assert_str_eq(STR("peers.0.state"), "active");
    cr_assert_str_eq(STR("peers.0.path"), "direct");
    cr_assert_str_eq(STR("peers.0.endpoint"), "192.0.2.7:5");
    cr_assert_eq(NUM("peers.0.last_handshake"), 1700000000);
    cr_assert_eq(NUM("peers.0.rx_bytes"), 1ll << 40);
    cr_assert_eq(NUM("peers.0.tx_bytes"), 10);
    cr_assert_eq(NUM("peers.0.rtt_us"), 1234);
    cr_assert_eq(NUM("peers.0.mtu"), 1340);
    cr_assert_eq(NUM("peers.0.keepalive"), 25);

    cr_assert_str_eq(STR("peers.1.name"), "");
    cr_assert_str_eq(STR("peers.1.state"), "idle");
    cr_assert_str_eq(STR("peers.1.path"), "-");
    cr_assert_str_eq(STR("peers.1.endpoint"), "-");
    cr_assert_eq(NUM("peers.1.last_handshake"), 0);
    cr_assert(json_is_null(at(json, "peers.1.rtt_us")));
    cr_assert(json_is_null(at(json, "peers.1.mtu")));
    cr_assert_eq(SIZE("peers.1.routes"), 0);
    json_decref(json);
}

Test(status, a_path_by_a_relay_names_it)
{
    static const uint8_t homes[1][32] = {{2}};
    struct veld_config_peer relay = {
        .name = "office", .relay = true, .relays = homes, .n_relays = 1};
    const struct veld_status_peer list[] = {
        {.config = &peers[0],
         .info = {.state = VELD_PEER_ACTIVE, .endpoint = veld_endpoint_circuit(5)},
         .relay = "office"},
        {.config = &relay}};
    static const uint8_t pub[32];
    struct veld_status s = {
        .config = &config,
        .pub = pub,
        .dataplane = {.aead = "", .engine = "", .engine_features = "", .offload = ""},
        .dns_method = "off",
        .relaying =
            {.enabled = true, .circuits = 2, .half_open = 1, .refused = 3, .ignored = 4},
        .dataplane_stats = {.datagrams_forwarded = 7, .bytes_forwarded = 70},
        .peers = list,
        .n_peers = 2};
    json_t *json = veld_status_json(&s);
    cr_assert_str_eq(STR("peers.0.path"), "relay");
    cr_assert_str_eq(STR("peers.0.relay"), "office");
    cr_assert_str_eq(STR("peers.0.endpoint"), "-");
    cr_assert(json_is_false(at(json, "peers.0.relays")));
    cr_assert(json_is_null(at(json, "peers.1.relay")));
    cr_assert(json_is_true(at(json, "peers.1.relays")));
    cr_assert_eq(SIZE("peers.0.homes"), 0);
    cr_assert_eq(SIZE("peers.1.homes"), 1);
    cr_assert_str_eq(STR("peers.1.homes.0"), "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    cr_assert(json_is_true(at(json, "relaying.enabled")));
    cr_assert_eq(NUM("relaying.circuits"), 2);
    cr_assert_eq(NUM("relaying.half_open"), 1);
    cr_assert_eq(NUM("relaying.refused"), 3);
    cr_assert_eq(NUM("relaying.ignored"), 4);
    cr_assert_eq(NUM("relaying.datagrams"), 7);
    cr_assert_eq(NUM("relaying.bytes"), 70);
    json_decref(json);
}

Test(status, who_is_not_reached_has_a_reason)
{
    const struct veld_status_peer list[] = {{.config = &peers[0],
                                             .info = {.state = VELD_PEER_CONNECTING},
                                             .why = VELD_WHY_NO_COMMON},
                                            {.config = &peers[1]}};
    static const uint8_t pub[32];
    struct veld_status s = {
        .config = &config,
        .pub = pub,
        .dataplane = {.aead = "", .engine = "", .engine_features = "", .offload = ""},
        .dns_method = "off",
        .peers = list,
        .n_peers = 2};
    json_t *json = veld_status_json(&s);
    cr_assert_str_eq(STR("peers.0.why.reason"), "no_common_candidate");
    cr_assert_str_eq(STR("peers.0.why.text"), "no common candidate");
    cr_assert_not_null(strstr(STR("peers.0.why.next"), "relay = true in its config"));
    cr_assert(json_is_null(at(json, "peers.1.why")));
    json_decref(json);
}

Test(status, a_state_says_why_nothing_is_said)
{
    static const char *const texts[] = {[VELD_PEER_IDLE] = "idle",
                                        [VELD_PEER_CONNECTING] = "connecting",
                                        [VELD_PEER_ACTIVE] = "active",
                                        [VELD_PEER_OFFLINE] = "offline",
                                        [VELD_PEER_BLOCKED] = "blocked: key changed"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(texts); i++) {
        const struct veld_status_peer peer = {.config = &peers[0],
                                              .info.state = (enum veld_peer_state)i};
        static const uint8_t pub[32];
        struct veld_status s = {
            .config = &config,
            .pub = pub,
            .dataplane = {.aead = "", .engine = "", .engine_features = "", .offload = ""},
            .dns_method = "off",
            .peers = &peer,
            .n_peers = 1};
        json_t *json = veld_status_json(&s);
        cr_assert_not_null(json);
        cr_assert_str_eq(STR("peers.0.state"), texts[i]);
        json_decref(json);
    }
}

Test(status, every_drop_reason_is_there_and_summed)
{
    json_t *json = example();
    json_t *drops = at(json, "drops");
    cr_assert_eq(json_object_size(drops), VELD_DROP_COUNT);
    for (int i = 0; i < VELD_DROP_COUNT; i++)
        cr_assert(json_is_integer(json_object_get(drops, veld_drop_name((enum veld_drop)i))));
    cr_assert_eq(NUM("drops.bad_tag"), 7);
    json_decref(json);
}

Test(status, a_network)
{
    json_t *json = example();
    cr_assert_null(json_object_get(json, "network"), "there is none");
    cr_assert_null(json_object_get(json, "coord"));
    cr_assert_null(json_object_get(at(json, "peers.0"), "online"));
    json_decref(json);

    static const uint8_t pub[32] = {1};
    const struct veld_status_route route = {
        .prefix = prefix("0.0.0.0/0"), .peer = "b", .reason = "default_route", .text = "no"};
    const struct veld_status_route taken = {.prefix = prefix("10.1.0.0/16"),
                                            .peer = "b",
                                            .reason = "taken",
                                            .text = "another",
                                            .taken_by = "c"};
    const struct veld_status_route routes[] = {route, taken};
    struct veld_status_mesh mesh = {.network = "mynet",
                                    .id = "1a2b",
                                    .ipv4 = "10.100.0.1",
                                    .members = 3,
                                    .online = 2,
                                    .revocation_epoch = 9,
                                    .n_revoked = 1,
                                    .coord = "coord.example:50051",
                                    .coord_state = "waiting",
                                    .coord_since_wall_ns = 1700000000 * VELD_NS_PER_S,
                                    .coord_error = "gone",
                                    .skew_ns = -90 * (int64_t)VELD_NS_PER_S,
                                    .revision = 77,
                                    .connections = 4,
                                    .refused = {{"forged", 5}},
                                    .n_refused = 1,
                                    .routes = routes,
                                    .n_routes = 2};
    static const struct {
        struct veld_status_peer peer;
        const char *state;
    } cases[] = {
        {{.is_member = true, .online = true}, "idle"},
        {{.is_member = true}, "offline"},
        {{.is_member = true, .info.state = VELD_PEER_ACTIVE}, "active"},
        {{.is_member = true, .info.state = VELD_PEER_CONNECTING}, "connecting"},
        {{.is_member = true, .blocked = "key changed", .info.state = VELD_PEER_BLOCKED},
         "blocked: key changed"},
        {{.is_member = true,
          .blocked = "its name is another's",
          .info.state = VELD_PEER_BLOCKED},
         "blocked: its name is another's"},
    };
    for (size_t i = 0; i < VELD_ARRAY_LEN(cases); i++) {
        struct veld_status_peer peer = cases[i].peer;
        peer.config = &peers[0];
        struct veld_status s = {
            .config = &config,
            .pub = pub,
            .dataplane = {.aead = "", .engine = "", .engine_features = "", .offload = ""},
            .dns_method = "off",
            .mesh = &mesh,
            .peers = &peer,
            .n_peers = 1};
        json = veld_status_json(&s);
        cr_assert_not_null(json);
        cr_expect_str_eq(STR("peers.0.state"), cases[i].state);
        cr_expect_eq(json_is_true(at(json, "peers.0.online")), peer.online);
        if (i > 0) {
            json_decref(json);
            continue;
        }
        cr_assert_str_eq(STR("network.name"), "mynet");
        cr_assert_str_eq(STR("network.id"), "1a2b");
        cr_assert_eq(NUM("network.members"), 3);
        cr_assert_eq(NUM("network.revoked"), 1);
        cr_assert_str_eq(STR("coord.address"), "coord.example:50051");
        cr_assert_str_eq(STR("coord.state"), "waiting");
        cr_assert_str_eq(STR("coord.last_error"), "gone");
        cr_assert_eq(NUM("coord.since"), 1700000000);
        cr_assert_eq(NUM("coord.clock_ahead"), -90);
        cr_assert_eq(NUM("coord.refused.forged"), 5);
        cr_assert_str_eq(STR("refused_routes.0.route"), "0.0.0.0/0");
        cr_assert_str_eq(STR("refused_routes.0.reason"), "default_route");
        cr_assert_str_eq(STR("refused_routes.1.taken_by"), "c");
        json_decref(json);
    }
}

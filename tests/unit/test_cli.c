/*
 * The real `veld` (its path in $VELD_BIN) against the real API in a process of
 * this test, which serves a made-up daemon.
 */
#include "base/bytes.h"
#include "control/api/api.h"
#include "control/api/status.h"

#include <criterion/criterion.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/veld-test-cli.XXXXXX";
static char sock[64], config_path[64];
static pid_t server;

/* ---- The made-up daemon ---- */

static GMainLoop *loop;

static bool in_network; /* by a coord server */

static json_t *serve_status(void *ctx)
{
    static const struct veld_status_route routes[] = {
        {.prefix = {.ip = {.family = 4, .b = {10, 5}}, .len = 16},
         .peer = "b",
         .reason = "taken",
         .text = "another member offers the same",
         .taken_by = "c"},
        {.prefix = {.ip = {.family = 4, .b = {10, 6}}, .len = 16},
         .peer = "b",
         .reason = "own_lan",
         .text = "it overlaps a network that this machine is attached to"}};
    static const struct veld_status_mesh mesh = {.network = "mynet",
                                                 .id = "1a2b-3c4d",
                                                 .ipv4 = "10.0.0.1",
                                                 .members = 3,
                                                 .online = 2,
                                                 .coord = "server:50051",
                                                 .coord_state = "connected",
                                                 .coord_error = "",
                                                 .routes = routes,
                                                 .n_routes = 2,
                                                 .n_routes_refused = 2};
    static const uint8_t pub[32] = {1};
    static struct veld_ip addr = {.family = 4, .b = {10, 0, 0, 2}};
    static struct veld_config_peer peers[2] = {
        {.name = "b", .pub = {2}, .addrs = &addr, .n_addrs = 1},
        {.pub = {3}, .addrs = &addr, .n_addrs = 1}};
    static const char *const health[] = {"forwarding is off; turn it on with: sysctl"};
    struct veld_config config = {.path = config_path, .name = "a", .n_addrs = 1};
    config.listen.ip.family = 6;
    config.addrs[0] = (struct veld_prefix){.ip = {.family = 4, .b = {10, 0, 0, 1}}, .len = 24};
    struct veld_status_peer list[2] = {
        {.config = &peers[0],
         .info = {.state = VELD_PEER_ACTIVE,
                  .endpoint = {.ip = {.family = 4, .b = {192, 0, 2, 7}}, .port = 5},
                  .last_handshake_wall_ns = 1700000000ull * 1000000000,
                  .rtt_ns = 1234000,
                  .mtu = 1340,
                  .mtu_known = true},
         .activity = {.sent_bytes = 2048, .received_bytes = 1}},
        {.config = &peers[1]}};
    if (in_network) {
        peers[0].relay = true;
        list[0].info.state = VELD_PEER_CONNECTING;
        list[0].why = VELD_WHY_UDP_BLOCKED;
        list[1].info.state = VELD_PEER_ACTIVE;
        list[1].info.endpoint = veld_endpoint_circuit(7);
        list[1].relay = "office";
    }
    struct veld_status s = {.config = &config,
                            .pub = pub,
                            .pid = getpid(),
                            .dataplane_stats = {.bytes_forwarded = 3 << 20},
                            .relaying = {.enabled = in_network, .circuits = 3},
                            .dataplane = {.interface = "veld7",
                                          .listen_port = 51820,
                                          .aead = "",
                                          .engine = "poll",
                                          .engine_features = "in words",
                                          .offload = ""},
                            .dns_server = "127.0.86.1",
                            .dns_method = "off",
                            .mesh = in_network ? &mesh : NULL,
                            .peers = list,
                            .n_peers = 2,
                            .health = health,
                            .n_health = 1};
    return veld_status_json(&s);
}

static const char *serve_pubkey(void *ctx)
{
    return "the key";
}

/* First it is reached by a relay, then directly. */
static json_t *pong_from_far(void)
{
    static unsigned asked;
    bool direct = ++asked > 2;
    return json_pack("{s:s, s:i, s:s, s:b}", "ip", "10.0.0.9", "rtt_us", 1234, "path",
                     direct ? "direct 192.0.2.9:5" : "relay office", "direct", direct);
}

static int serve_ping(void *ctx, const char *peer, struct veld_api_request *req,
                      struct veld_diag *diag)
{
    if (strcmp(peer, "b") == 0)
        veld_api_reply(req, 200,
                       json_pack("{s:s, s:s, s:i, s:s, s:b}", "name", "b", "ip", "10.0.0.2",
                                 "rtt_us", 1234, "path", "direct 192.0.2.7:5", "direct", 1));
    else if (strcmp(peer, "far") == 0)
        veld_api_reply(req, 200, pong_from_far());
    else if (strcmp(peer, "lost") == 0)
        veld_api_reply(req, 504, json_pack("{s:s}", "error", "no answer from lost"));
    else
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s", peer);
    return 0;
}

static int serve_rekey(void *ctx, const char *peer, struct veld_api_request *req,
                       struct veld_diag *diag)
{
    if (peer && strcmp(peer, "nobody") == 0)
        return veld_fail(diag, VELD_E_NOENT, "no peer is called %s", peer);
    json_t *done = json_pack("{s:s, s:s, s:i}", "name", "b", "ip", "10.0.0.2", "took_us", 2345);
    json_t *failed =
        json_pack("{s:s, s:s, s:s}", "name", "c", "ip", "10.0.0.3", "error", "no answer");
    json_t *peers = json_array();
    if (!peer || strcmp(peer, "b") == 0)
        json_array_append(peers, done);
    if (!peer)
        json_array_append(peers, failed);
    json_decref(done);
    json_decref(failed);
    veld_api_reply(req, 200, json_pack("{s:o}", "peers", peers));
    return 0;
}

static void serve_down(void *ctx)
{
    g_main_loop_quit(loop);
}

static pid_t serve(void)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const struct veld_api_ops ops = {.status = serve_status,
                                         .pubkey = serve_pubkey,
                                         .ping = serve_ping,
                                         .rekey = serve_rekey,
                                         .down = serve_down};
        struct veld_api *api;
        struct veld_diag diag;
        if (veld_api_start(&api, sock, &ops, &diag) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        loop = g_main_loop_new(NULL, FALSE);
        g_main_loop_run(loop);
        veld_api_stop(api);
        g_usleep(200000); /* what a daemon still has to put away */
        _exit(0);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

/* ---- Running veld ---- */

static char output[65536];

/* Exit status; standard output and error in `output`. */
static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
    char command[1024], arguments[768];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, ap);
    va_end(ap);
    const char *veld = getenv("VELD_BIN");
    cr_assert_not_null(veld, "VELD_BIN is not set");
    snprintf(command, sizeof command, "%s %s 2>&1", veld, arguments);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    output[fread(output, 1, sizeof output - 1, f)] = '\0';
    return WEXITSTATUS(pclose(f));
}

static void says(const char *text)
{
    cr_expect_not_null(strstr(output, text), "%s\nshould say: %s", output, text);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, mode), 0);
}

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(dir));
    snprintf(sock, sizeof sock, "%s/s", dir);
    snprintf(config_path, sizeof config_path, "%s/c.toml", dir);
    write_file(config_path, "", 0644);
    setenv("VELD_SOCKET", sock, 1);
    unsetenv("VELD_CONFIG");
}

static void tear_down(void)
{
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        unlink(sock);
    }
    unlink(config_path);
    cr_assert_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

static void set_up_server(void)
{
    set_up();
    server = serve();
}

static void set_up_network(void)
{
    in_network = true;
    set_up_server();
}

TestSuite(cli_in_network, .init = set_up_network, .fini = tear_down, .timeout = 60);
TestSuite(cli, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(cli_served, .init = set_up_server, .fini = tear_down, .timeout = 60);

Test(cli, help_and_usage)
{
    static const char *const commands[] = {"up",       "down",  "status", "peers",  "ping",
                                           "netcheck", "rekey", "keygen", "pubkey", "version"};
    cr_assert_eq(run("--help"), 0);
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++)
        says(commands[i]);
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: veld %s", commands[i]);
        cr_expect_eq(run("%s --help", commands[i]), 0);
        cr_expect_eq(strncmp(output, usage, strlen(usage)), 0, "%s", output);
        cr_expect_eq(run("help %s", commands[i]), 0);
        cr_expect_eq(strncmp(output, usage, strlen(usage)), 0, "%s", output);
        cr_expect_eq(run("%s --frobnicate", commands[i]), 2);
        says("--frobnicate: unknown option");
        cr_expect_eq(run("%s a b c", commands[i]), 2);
        says("takes no ");
    }
    cr_assert_eq(run("ping a b"), 2);
    says("ping takes no more than 1 argument, and 2 were given; see: veld ping --help\n");
    cr_assert_eq(run("status a"), 2);
    says("status takes no arguments; see: veld status --help\n");
    cr_assert_eq(run("%s", ""), 2);
    cr_assert_eq(run("stauts"), 2);
    says("\"stauts\" is no command (did you mean \"veld status\"?); see: veld --help\n");
    cr_assert_eq(run("help stauts"), 2);
    cr_assert_eq(run("ping"), 2);
    says("ping needs NAME");
    cr_assert_eq(run("ping b -c 0"), 2);
    cr_assert_eq(run("status --socket"), 2);
    says("--socket: its value is missing; see: veld status --help\n");
    cr_assert_eq(run("--socket"), 2);
    says("--socket: its value is missing; see: veld --help\n");
    cr_assert_eq(run("ping b -c"), 2);
    says("-c: its value is missing");
    cr_assert_eq(run("-V"), 2);
    says("-V: unknown option; see: veld --help\n");
}

Test(cli, a_build_without_the_coord_mode_says_so)
{
    if (run("login --help") == 0)
        cr_skip_test("this build has it");
    cr_assert_eq(run("login"), 1);
    says("was built without the coord mode");
    cr_assert_eq(run("token create"), 1);
    says("was built without the coord mode");
    cr_assert_eq(run("up --network mynet"), 2);
}

Test(cli, without_a_daemon)
{
    static const char *const commands[] = {"status", "peers", "peers --dump",
                                           "ping b", "rekey", "pubkey"};
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++) {
        cr_expect_eq(run("%s", commands[i]), 1);
        says("veld is not running");
        says("sudo veld --socket ");
        says(i == 5 ? " up, or name the file of an identity, as in: veld pubkey " : " up\n");
    }
    cr_assert_eq(run("version"), 0);
    cr_assert_str_eq(output, "veld " VELD_VERSION " (protocol 1)\n");
    cr_assert_eq(run("--version"), 0);
    cr_assert_eq(run("--socket /dev/null status"), 1);
}

Test(cli, keys)
{
    char key[128];
    struct stat st;
    snprintf(key, sizeof key, "%s/id", dir);
    cr_assert_eq(run("keygen %s", key), 0);
    cr_assert_eq(strlen(output), 45);
    char *made = strdup(output);
    cr_assert_eq(stat(key, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(run("pubkey %s", key), 0);
    cr_assert_str_eq(output, made);
    cr_assert_eq(run("keygen %s", key), 1);
    says("never overwritten");
    cr_assert_eq(run("pubkey %s", key), 0);
    cr_assert_str_eq(output, made);
    cr_assert_eq(chmod(key, 0644), 0);
    cr_assert_eq(run("pubkey %s", key), 1);
    says("chmod 600");
    unlink(key);
    cr_assert_eq(run("pubkey %s", key), 1);
    free(made);
}

Test(cli_served, status)
{
    cr_assert_eq(run("status"), 0);
    char *line[5], *save = NULL;
    for (int i = 0; i < 5; i++)
        line[i] = strtok_r(i ? NULL : output, "\n", &save);
    cr_assert_str_eq(line[0], "a  10.0.0.1/24  on veld7, listening on [::]:51820, public key "
                              "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    static const char b[] =
        "10.0.0.2  b  active; direct 192.0.2.7:5, mtu 1340  tx 2.0 KiB  rx 1 B  ";
    cr_assert_eq(strncmp(line[1], b, strlen(b)), 0, "%s", line[1]);
    cr_assert_not_null(strstr(line[1], "d "), "%s", line[1]);
    cr_assert_str_eq(
        line[2],
        "10.0.0.2  -  idle                                  tx 0 B      rx 0 B  never");
    cr_assert_eq(strncmp(line[3], "0 workers by poll (in words), cipher by ", 40), 0, "%s",
                 line[3]);
    cr_assert_str_eq(line[4], "health: forwarding is off; turn it on with: sysctl");

    cr_assert_eq(run("status --json"), 0);
    json_t *json = json_loads(output, 0, NULL);
    cr_assert_not_null(json, "%s", output);
    cr_assert_eq(json_integer_value(json_object_get(json, "version")), VELD_STATUS_VERSION);
    json_decref(json);
}

Test(cli_in_network, status)
{
    cr_assert_eq(run("status"), 0);
    says("\nnetwork mynet (1a2b-3c4d)  3 members, 2 online; coord server server:50051: "
         "connected\n");
    says("\nroute not used: 10.5.0.0/16 of b: another member offers the same (c)\n");
    says("\nroute not used: 10.6.0.0/16 of b: it overlaps a network that this machine is "
         "attached to\n");
    says("  active; relay office  ");
    says("  connecting; UDP blocked; a relay  ");
    says("\nrelaying for others: 3 circuits, 3.0 MiB so far\n");
    cr_assert_eq(run("peers --dump"), 0);
    says("\t10.0.0.2\t-\trelay:office\t0\t");
    cr_assert_eq(run("up"), 0);
    says("  network    mynet\n");
}

Test(cli_served, peers_dump_is_for_scripts)
{
    cr_assert_eq(run("peers --dump"), 0);
    cr_assert_str_eq(
        output,
        "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\tb\t10.0.0.2\t192.0.2.7:5\tdirect\t"
        "1700000000\t1\t2048\t1234\n"
        "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\t-\t10.0.0.2\t-\t-\t0\t0\t0\t-\n");
    cr_assert_eq(run("peers"), 0);
    says("active; direct 192.0.2.7:5, mtu 1340");
}

Test(cli_served, ping)
{
    cr_assert_eq(run("ping b"), 0);
    cr_assert_str_eq(output, "pong from b (10.0.0.2) via direct 192.0.2.7:5 in 1.2ms\n");
    cr_assert_eq(run("ping b -c 2"), 0);
    cr_assert_not_null(strstr(strchr(output, '\n') + 1, "pong from b"));
    cr_assert_eq(run("ping A"), 1);
    says("A is this machine");
    cr_assert_eq(run("ping a.veld"), 1);
    says("a.veld is this machine");
    cr_assert_eq(run("ping nobody"), 1);
    cr_assert_str_eq(output, "veld: no peer is called nobody\n");
    cr_assert_eq(run("ping far"), 0, "on past what came by a relay");
    cr_assert_str_eq(output, "pong from far (10.0.0.9) via relay office in 1.2ms\n"
                             "pong from far (10.0.0.9) via relay office in 1.2ms\n"
                             "pong from far (10.0.0.9) via direct 192.0.2.9:5 in 1.2ms\n");
    cr_assert_eq(run("ping lost -c 1"), 1);
    cr_assert_str_eq(output, "veld: no answer from lost\n");
    cr_assert_eq(run("ping lost -c 2"), 1);
    cr_assert_str_eq(output, "veld: no answer from lost\nveld: no answer\n", "told once");
}

Test(cli_served, rekey)
{
    cr_assert_eq(run("rekey b"), 0);
    cr_assert_str_eq(output, "new keys with b (10.0.0.2) in 2.3ms\n");
    cr_assert_eq(run("rekey"), 1, "one of the two failed");
    says("new keys with b (10.0.0.2) in 2.3ms\n");
    says("veld: c: no answer\n");
    cr_assert_eq(run("rekey lonely"), 0);
    cr_assert_str_eq(output, "no peer has a session\n");
    cr_assert_eq(run("rekey nobody"), 1);
    cr_assert_str_eq(output, "veld: no peer is called nobody\n");
    cr_assert_eq(run("rekey b c"), 2);
    cr_assert_eq(run("rekey \"$(printf '\\377')\""), 1);
    says("cannot be a peer's name");
}

Test(cli_served, others)
{
    cr_assert_eq(run("pubkey"), 0);
    cr_assert_str_eq(output, "the key\n");
    cr_assert_eq(run("version"), 0);
    says("veld-daemon " VELD_VERSION " (protocol 1), running");
    setenv("http_proxy", "http://192.0.2.1:1", 1);
    cr_assert_eq(run("pubkey"), 0, "a proxy of the environment was asked");
}

Test(cli_served, permission_denied)
{
    if (geteuid() != 0)
        cr_skip_test("needs root");
    cr_assert_eq(chmod(dir, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(9);
        if (access(getenv("VELD_BIN"), X_OK) < 0)
            _exit(77);
        int rc = run("status");
        _exit(rc == 1 && strstr(output, " status, or join group veld\n") ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    if (WEXITSTATUS(status) == 77)
        cr_skip_test("others may not run the build's veld");
    cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(cli_served, down_returns_when_the_process_is_gone)
{
    cr_assert_eq(run("down"), 0);
    cr_assert_str_eq(output, "veld is down\n");
    cr_assert_eq(waitpid(server, NULL, WNOHANG), server, "it was not waited for");
    server = 0;
    cr_assert_eq(run("down"), 1);
    says("veld is not running");
    cr_assert_null(strstr(output, "start it"));
}

Test(cli_served, up_when_up_already)
{
    char other[80];
    cr_assert_eq(run("up"), 0);
    says("veld is already up: a on interface veld7\n");
    says("  addresses  10.0.0.1/24\n");
    says("  public key AQAAAAAA");
    says("  peers      2\n");
    says("try: ping b.veld\n");
    cr_assert_eq(run("up --config %s", config_path), 0);
    snprintf(other, sizeof other, "%s/other.toml", dir);
    write_file(other, "", 0644);
    cr_assert_eq(run("up --config %s", other), 1);
    says("already up with ");
    says("sudo veld down");
    unlink(other);
}

/* A script in veld-daemon's place: it stands beside a copy of veld. */
static void make_daemon(const char *script)
{
    char path[128], command[512];
    snprintf(command, sizeof command, "cp %s %s/veld", getenv("VELD_BIN"), dir);
    cr_assert_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/veld", dir);
    setenv("VELD_BIN", path, 1);
    snprintf(path, sizeof path, "%s/veld-daemon", dir);
    write_file(path, script, 0755);
}

static void remove_daemon(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/veld", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/veld-daemon", dir);
    unlink(path);
}

Test(cli, up_passes_on_failure)
{
    make_daemon("#!/bin/sh\necho \"daemon: $*\"\nexit 3\n");
    cr_assert_eq(run("up --config %s --state-dir /s", config_path), 1);
    char expected[256];
    snprintf(expected, sizeof expected, "daemon: --config %s --state-dir /s --socket %s\n",
             config_path, sock);
    cr_assert_str_eq(output, expected);
    cr_assert_eq(run("up --config %s/none", dir), 1);
    says("none: No such file");
    remove_daemon();
}

Test(cli_served, up_starts_and_says_what_it_did)
{
    char later[80];
    make_daemon("#!/bin/sh\nln -s \"$REAL\" \"$6\"\necho \"veld7 is up\"\n");
    setenv("REAL", sock, 1);
    snprintf(later, sizeof later, "%s/later", dir);
    cr_assert_eq(run("up --socket %s --config %s", later, config_path), 0);
    says("veld7 is up\n");
    says("health: ");
    cr_assert_null(strstr(output, "public key"), "the daemon's summary stands alone");
    unlink(later);
    remove_daemon();
}

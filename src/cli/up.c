#include "base/clock.h"
#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/launch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define STOP_TIMEOUT_S 15
#define POLL_MS        50

enum { OPTION_CONFIG, OPTION_STATE_DIR, OPTION_ENGINE };

/* ---- up ---- */

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    json_t *item;
    printf("  %-11s", label);
    json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
    putchar('\n');
}

/* A peer to try: by name, where names are served. */
static void print_try(const json_t *status, const json_t *peers)
{
    const json_t *peer = json_array_get(peers, 0);
    const char *name = veld_json_text(peer, "name");
    bool names = strcmp(veld_json_text(json_object_get(status, "dns"), "server"), "-") != 0;
    if (names && name[0])
        printf("try: ping %s.veld\n", name);
    else
        printf("try: ping %s\n",
               json_string_value(json_array_get(json_object_get(peer, "addresses"), 0)));
}

static void print_health(const json_t *status)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(status, "health"), i, item)
        printf("health: %s\n", json_string_value(item));
}

static void print_up(const json_t *status)
{
    const json_t *interface = json_object_get(status, "interface");
    const json_t *peers = json_object_get(status, "peers");
    printf("veld is already up: %s on interface %s\n", veld_json_text(status, "name"),
           veld_json_text(interface, "name"));
    print_list("addresses", json_object_get(interface, "addresses"));
    printf("  %-11s%s\n", "public key", veld_json_text(status, "pubkey"));
    printf("  %-11s%s\n", "listening", veld_json_text(status, "listen"));
    printf("  %-11s%zu\n", "peers", json_array_size(peers));
    print_health(status);
    if (json_array_size(peers) > 0)
        print_try(status, peers);
}

/* A daemon runs: is it the one that is wanted? */
static int already_up(const struct veld_cli *cli, const json_t *status)
{
    const char *running = veld_json_text(status, "config");
    char wanted[PATH_MAX], real[PATH_MAX];
    struct veld_diag diag;
    bool asked = cli->option[OPTION_CONFIG] || getenv("VELD_CONFIG");
    if (asked) {
        if (veld_path_config(cli->option[OPTION_CONFIG], wanted, &diag) < 0)
            return veld_cli_fail_diag(&diag);
        if (!realpath(wanted, real))
            return veld_cli_fail("cannot open config file %s: %s", wanted, strerror(errno));
        if (strcmp(real, running) != 0)
            return veld_cli_fail("veld is already up with %s; stop it first: sudo veld down",
                                 running);
    }
    const char *engine = cli->option[OPTION_ENGINE];
    const char *used = veld_json_text(json_object_get(status, "dataplane"), "engine");
    if (engine && strcmp(engine, "auto") != 0 && strcmp(engine, used) != 0)
        return veld_cli_fail("veld is already up with the engine %s; stop it first: sudo veld "
                             "down",
                             used);
    print_up(status);
    return VELD_CLI_DONE;
}

static int start(const struct veld_cli *cli)
{
    struct veld_diag diag;
    char config[PATH_MAX], real[PATH_MAX], state_dir[PATH_MAX];
    int exit_status;
    if (veld_path_config(cli->option[OPTION_CONFIG], config, &diag) < 0)
        return veld_cli_fail("%s; write one (veld-config(5) has an example), or name it: veld "
                             "up --config FILE",
                             diag.text);
    if (!realpath(config, real)) /* the daemon's messages name the file as it was given */
        return veld_cli_fail("cannot open config file %s: %s", config, strerror(errno));
    if (veld_path_state_dir(cli->option[OPTION_STATE_DIR], state_dir) < 0)
        return veld_cli_fail("the state directory's name is too long");
    char *argv[] = {NULL,
                    (char *)"--config",
                    config,
                    (char *)"--state-dir",
                    state_dir,
                    (char *)"--socket",
                    (char *)(uintptr_t)cli->socket,
                    NULL,
                    NULL,
                    NULL};
    if (cli->option[OPTION_ENGINE]) {
        argv[7] = (char *)"--engine";
        argv[8] = (char *)(uintptr_t)cli->option[OPTION_ENGINE];
    }
    if (veld_launch_daemon(argv, &exit_status, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    if (exit_status != 0) /* it has said why */
        return VELD_CLI_FAILED;
    json_t *status;
    if (veld_client_call(cli->socket, "/v1/status", NULL, &status, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    print_health(status); /* the rest the daemon has said */
    json_decref(status);
    return VELD_CLI_DONE;
}

static int up(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *status;
    int rc = veld_client_call(cli->socket, "/v1/status", NULL, &status, &diag);
    if (rc == VELD_E_NOENT)
        return start(cli);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    rc = already_up(cli, status);
    json_decref(status);
    return rc;
}

/* ---- down ---- */

/* Until the process is gone: not before are its interface, routes and names. */
static bool wait_for_end(int pidfd)
{
    struct veld_progress progress = veld_progress_begin("waiting for veld-daemon to stop");
    uint64_t end = progress.start_ns + STOP_TIMEOUT_S * VELD_NS_PER_S;
    bool gone = false;
    while (!gone && veld_clock_mono_ns() < end) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        gone = poll(&p, 1, POLL_MS) > 0;
        veld_progress_tick(&progress);
    }
    veld_progress_end(&progress);
    return gone;
}

static int down(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer;
    if (veld_client_call(cli->socket, "/v1/status", NULL, &answer, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    pid_t pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
    json_decref(answer);
    int pidfd =
        pid > 0 ? pidfd_open(pid, 0) : -1; /* before it is told: the number stays its own */
    if (pidfd < 0)
        return veld_cli_fail("cannot watch veld-daemon (process %d): %s", (int)pid,
                             strerror(errno));
    int rc = veld_client_call(cli->socket, "/v1/down", "{}", &answer, &diag);
    if (rc == 0)
        json_decref(answer);
    bool gone = rc == 0 && wait_for_end(pidfd);
    close(pidfd);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    if (!gone)
        return veld_cli_fail("veld-daemon (process %d) has not stopped after %d s; see its log",
                             (int)pid, STOP_TIMEOUT_S);
    puts("veld is down");
    return VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_up = {
    .name = "up",
    .arguments = "",
    .summary = "start veld-daemon in the background and say what it did",
    .text = "Without --config and VELD_CONFIG, the config is " VELD_DEFAULT_CONFIG ",\n"
            "else $XDG_CONFIG_HOME/veld/config.toml. Returns when the tunnel is really up.\n"
            "Does nothing when it is up already.\n",
    .options = {{"config", '\0', "FILE", "the config file"},
                {"state-dir", '\0', "DIR", "where the identity is kept"},
                {"engine", '\0', "ENGINE", "how packets are carried: auto, io_uring or poll"}},
    .run = up,
};

const struct veld_cli_command veld_cmd_down = {
    .name = "down",
    .arguments = "",
    .summary = "stop veld-daemon; returns when it is gone",
    .text = "",
    .run = down,
};

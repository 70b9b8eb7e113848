#include "base/clock.h"
#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#ifdef VELD_HAVE_COORD
#include "cli/coord/up_network.h"
#endif
#include "cli/launch.h"
#include "cli/up.h"
#include "cli/up_lan.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SETTLE_MAX_S 5
#define POLL_US      30000

enum {
    OPTION_CONFIG,
    OPTION_STATE_DIR,
    OPTION_ENGINE,
    OPTION_LAN,
    OPTION_SECRET_FILE,
    OPTION_NAME, /* from here on of a network, too */
    OPTION_LISTEN,
    OPTION_INTERFACE,
    OPTION_MTU,
    OPTION_ROUTES, /* of a network alone */
    OPTION_ACCEPT_ROUTES,
    OPTION_NETWORK,
    OPTION_FINGERPRINT,
};

static void print_list(const char *label, const json_t *list)
{
    size_t i;
    json_t *item;
    printf("  %-11s", label);
    json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
    putchar('\n');
}

/* NULL: there is none, or this machine talks to none of them. */
static const json_t *first_usable(const json_t *peers)
{
    size_t i;
    json_t *peer;
    json_array_foreach(peers, i, peer)
    {
        if (strncmp(veld_json_text(peer, "state"), "blocked", strlen("blocked")) != 0)
            return peer;
    }
    return NULL;
}

/* A peer to try: by name, where names are served. */
static void print_try(const json_t *status, const json_t *peers)
{
    const json_t *peer = first_usable(peers);
    if (!peer)
        return;
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
    const json_t *network = json_object_get(status, "network");
    printf("veld is already up: %s on interface %s\n", veld_json_text(status, "name"),
           veld_json_text(interface, "name"));
    if (network)
        printf("  %-11s%s\n", "network", veld_json_text(network, "name"));
    print_list("addresses", json_object_get(interface, "addresses"));
    printf("  %-11s%s\n", "public key", veld_json_text(status, "pubkey"));
    printf("  %-11s%s\n", "listening", veld_json_text(status, "listen"));
    printf("  %-11s%zu\n", "peers", json_array_size(peers));
    print_health(status);
    if (json_array_size(peers) > 0)
        print_try(status, peers);
}

/* What runs instead of what was asked for. */
static int fail_other(const char *what, const char *which)
{
    return veld_cli_fail("veld is already up with %s%s; stop it first: sudo veld down", what,
                         which);
}

static int check_config(const struct veld_cli *cli, const json_t *status)
{
    const char *running = veld_json_text(status, "config");
    char wanted[PATH_MAX], real[PATH_MAX];
    struct veld_diag diag;
    if (!cli->option[OPTION_CONFIG] && !getenv("VELD_CONFIG"))
        return VELD_CLI_DONE;
    if (veld_path_config(cli->option[OPTION_CONFIG], wanted, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    if (!realpath(wanted, real))
        return veld_cli_fail("cannot open config file %s: %s", wanted, strerror(errno));
    return strcmp(real, running) == 0 ? VELD_CLI_DONE : fail_other("", running);
}

/* A daemon runs: is it the one that is wanted? */
static int already_up(const struct veld_cli *cli, const json_t *status)
{
    const char *config = veld_json_text(status, "config");
    bool is_lan = veld_up_lan_is(cli->option[OPTION_STATE_DIR], config);
    const char *wanted = cli->option[OPTION_NETWORK], *engine = cli->option[OPTION_ENGINE];
    const char *network =
        json_string_value(json_object_get(json_object_get(status, "network"), "name"));
    const char *used = veld_json_text(json_object_get(status, "dataplane"), "engine");
    if ((wanted && !network) || (cli->option[OPTION_LAN] && !is_lan))
        return fail_other("", config);
    if (wanted && strcasecmp(wanted, network) != 0)
        return fail_other("network ", network);
    int rc = wanted ? VELD_CLI_DONE : check_config(cli, status);
    if (rc != VELD_CLI_DONE)
        return rc;
    if (engine && strcmp(engine, "auto") != 0 && strcmp(engine, used) != 0)
        return fail_other("the engine ", used);
    for (int i = OPTION_SECRET_FILE; i <= OPTION_ACCEPT_ROUTES; i++) {
        if (cli->option[i] && is_lan)
            return veld_cli_fail(
                "veld is already up; to go by another --%s, stop it first: sudo "
                "veld down",
                cli->command->options[i].name);
        if (cli->option[i] && i >= OPTION_LISTEN)
            return veld_cli_fail(
                "veld is already up; what it goes by is changed with: sudo veld "
                "set --%s %s",
                cli->command->options[i].name, cli->option[i]);
    }
    print_up(status);
    if (is_lan)
        veld_up_lan_tell(status, NULL);
    return VELD_CLI_DONE;
}

/* It waits for the coord server's first word, or its names are behind that. */
static bool is_settling(const json_t *status)
{
    const char *coord = veld_json_text(json_object_get(status, "coord"), "state");
    return strcmp(coord, "connecting") == 0 ||
           json_is_false(json_object_get(status, "settled"));
}

/*
 * In a network, until what is typed next finds the others by name; no longer than it
 * takes to see that the coord server cannot be reached.
 */
static int wait_to_settle(const char *socket, json_t **status, struct veld_diag *diag)
{
    struct veld_progress progress = veld_progress_begin("waiting for the coord server");
    uint64_t end = progress.start_ns + SETTLE_MAX_S * VELD_NS_PER_S;
    int rc = veld_client_call(socket, "/v1/status", NULL, status, diag);
    while (rc == 0 && is_settling(*status) && veld_clock_mono_ns() < end) {
        usleep(POLL_US);
        veld_progress_tick(&progress);
        json_decref(*status);
        rc = veld_client_call(socket, "/v1/status", NULL, status, diag);
    }
    veld_progress_end(&progress);
    return rc;
}

int veld_up_start(const struct veld_up *up)
{
    struct veld_diag diag;
    char config[PATH_MAX], real[PATH_MAX], state_dir[PATH_MAX];
    char *argv[16] = {NULL};
    size_t n = 1;
    int exit_status;
    if (up->network) {
        argv[n++] = (char *)"--network";
        argv[n++] = (char *)(uintptr_t)up->network;
    } else {
        if (veld_path_config(up->config, config, &diag) < 0)
            return veld_cli_fail_diag(&diag);
        if (!realpath(config, real)) /* the daemon's messages name the file as it was given */
            return veld_cli_fail("cannot open config file %s: %s", config, strerror(errno));
        argv[n++] = (char *)"--config";
        argv[n++] = config;
    }
    if (veld_path_state_dir(up->state_dir, state_dir) < 0)
        return veld_cli_fail("the state directory's name is too long");
    argv[n++] = (char *)"--state-dir";
    argv[n++] = state_dir;
    argv[n++] = (char *)"--socket";
    argv[n++] = (char *)(uintptr_t)up->socket;
    if (up->engine) {
        argv[n++] = (char *)"--engine";
        argv[n++] = (char *)(uintptr_t)up->engine;
    }
    fflush(stdout);
    if (veld_launch_daemon(argv, &exit_status, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    if (exit_status != 0) /* it has said why */
        return VELD_CLI_FAILED;
    json_t *status;
    if (wait_to_settle(up->socket, &status, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    print_health(status); /* the rest the daemon has said */
    json_decref(status);
    return VELD_CLI_DONE;
}

int veld_up_check_rights(struct veld_diag *diag)
{
    if (geteuid() == 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_ADMIN, 0, 0) == 1)
        return 0;
    return veld_fail(diag, VELD_E_PERM,
                     "making a network interface needs root or CAP_NET_ADMIN; run with sudo: "
                     "sudo veld %s",
                     veld_cli_running());
}

int veld_up_check_engine(const char *engine, struct veld_diag *diag)
{
    if (!engine || strcmp(engine, "auto") == 0 || strcmp(engine, "io_uring") == 0 ||
        strcmp(engine, "poll") == 0)
        return 0;
    return veld_fail(diag, VELD_E_FORMAT,
                     "--engine: \"%.40s\" is no way to carry packets; use auto, io_uring or "
                     "poll",
                     engine);
}

static struct veld_up_lan of_lan(const struct veld_cli *cli, const struct veld_up *up)
{
    return (struct veld_up_lan){.up = *up,
                                .name = cli->option[OPTION_NAME],
                                .secret_file = cli->option[OPTION_SECRET_FILE],
                                .listen = cli->option[OPTION_LISTEN],
                                .interface = cli->option[OPTION_INTERFACE],
                                .mtu = cli->option[OPTION_MTU]};
}

static int up_lan(const struct veld_cli *cli, const struct veld_up *up)
{
    const struct veld_up_lan r = of_lan(cli, up);
    return veld_up_lan(&r);
}

/* What is not of LAN mode goes not together with it. */
static int check_lan(const struct veld_cli *cli, const struct veld_up *up,
                     struct veld_diag *diag)
{
    const struct veld_up_lan r = of_lan(cli, up);
    for (int i = OPTION_ROUTES; i <= OPTION_FINGERPRINT; i++) {
        if (cli->option[i])
            return veld_fail(diag, VELD_E_FORMAT, "--%s does not go together with --lan",
                             cli->command->options[i].name);
    }
    if (up->config)
        return veld_fail(diag, VELD_E_FORMAT,
                         "pass --config or --lan, not both: in a config file, LAN mode is "
                         "[mdns] with enabled = true");
    return veld_up_lan_check(&r, diag);
}

#ifdef VELD_HAVE_COORD
static struct veld_up_network of_network(const struct veld_cli *cli, const struct veld_up *up)
{
    return (struct veld_up_network){.up = *up,
                                    .name = cli->option[OPTION_NAME],
                                    .fingerprint = cli->option[OPTION_FINGERPRINT],
                                    .wish = {.routes = cli->option[OPTION_ROUTES],
                                             .accept_routes = cli->option[OPTION_ACCEPT_ROUTES],
                                             .listen = cli->option[OPTION_LISTEN],
                                             .interface = cli->option[OPTION_INTERFACE],
                                             .mtu = cli->option[OPTION_MTU]}};
}

static int up_network(const struct veld_cli *cli, const struct veld_up *up)
{
    const struct veld_up_network r = of_network(cli, up);
    return veld_up_network(&r);
}

static int check_forms(const struct veld_cli *cli, const struct veld_up *up,
                       struct veld_diag *diag)
{
    const struct veld_up_network r = of_network(cli, up);
    int rc = veld_up_check_engine(up->engine, diag);
    if (rc == 0 && cli->option[OPTION_SECRET_FILE] && !cli->option[OPTION_LAN])
        rc = veld_fail(diag, VELD_E_FORMAT, "--secret-file is for --lan");
    if (rc == 0 && cli->option[OPTION_LAN])
        return check_lan(cli, up, diag);
    return rc < 0 ? rc : veld_up_network_check(&r, diag);
}

/* Neither a config file nor an option says what: LAN mode if that was told before. */
static int start_known(const struct veld_cli *cli, struct veld_up *up)
{
    char state_dir[PATH_MAX], **names = NULL;
    struct veld_diag diag;
    size_t n = 0;
    if (!veld_up_lan_is_kept(up->state_dir))
        return up_network(cli, up);
    if (veld_path_state_dir(up->state_dir, state_dir) < 0 ||
        veld_profile_networks(state_dir, &names, &n, &diag) < 0)
        return veld_cli_fail("the networks known here cannot be read; pass --lan");
    const char *first = n ? names[0] : "";
    int rc = n == 0 ? up_lan(cli, up)
                    : veld_cli_fail("which? Pass --lan, or --network NAME, as in: veld up "
                                    "--network %s",
                                    first);
    veld_names_free(names, n);
    return rc;
}

/* By a network, where one was named, or there is no config file. */
static int start(const struct veld_cli *cli, struct veld_up *up)
{
    struct veld_diag diag;
    char config[PATH_MAX];
    bool needs_network = false;
    if (cli->option[OPTION_LAN])
        return up_lan(cli, up);
    for (int i = OPTION_NAME; i <= OPTION_FINGERPRINT; i++)
        needs_network = needs_network || cli->option[i];
    if (up->network && up->config)
        return veld_cli_fail("pass --config or --network, not both: what a network needs is "
                             "kept by veld up and veld set"),
               VELD_CLI_USAGE;
    if (up->network)
        return up_network(cli, up);
    int rc = veld_path_config(up->config, config, &diag);
    if (rc == 0 && needs_network)
        return veld_cli_fail("the options of a network need --network NAME, or --lan (there is "
                             "a config file, %s)",
                             config),
               VELD_CLI_USAGE;
    return rc == VELD_E_NOENT ? start_known(cli, up) : veld_up_start(up);
}
#else
static int check_forms(const struct veld_cli *cli, const struct veld_up *up,
                       struct veld_diag *diag)
{
    int rc = veld_up_check_engine(up->engine, diag);
    return rc == 0 && cli->option[OPTION_LAN] ? check_lan(cli, up, diag) : rc;
}

static int start(const struct veld_cli *cli, struct veld_up *up)
{
    struct veld_diag diag;
    char config[PATH_MAX];
    int rc = veld_path_config(up->config, config, &diag);
    if (cli->option[OPTION_LAN] || (rc == VELD_E_NOENT && veld_up_lan_is_kept(up->state_dir)))
        return up_lan(cli, up);
    if (rc < 0)
        return veld_cli_fail("%s; write one (veld-config(5) has an example), or name it: veld "
                             "up --config FILE",
                             diag.text);
    return veld_up_start(up);
}
#endif

static int up(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *status;
    struct veld_up wanted = {.socket = cli->socket,
                             .state_dir = cli->option[OPTION_STATE_DIR],
                             .config = cli->option[OPTION_CONFIG],
                             .network = cli->option[OPTION_NETWORK],
                             .engine = cli->option[OPTION_ENGINE]};
    if (check_forms(cli, &wanted, &diag) < 0)
        return veld_cli_fail_diag(&diag), VELD_CLI_USAGE;
    int rc = veld_client_call(cli->socket, "/v1/status", NULL, &status, &diag);
    if (rc == VELD_E_NOENT)
        return start(cli, &wanted);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    rc = already_up(cli, status);
    json_decref(status);
    return rc;
}

const struct veld_cli_command veld_cmd_up = {
    .name = "up",
    .arguments = "",
#ifdef VELD_HAVE_COORD
    .summary = "bring the tunnel up: in a network, on a LAN, or by a config file",
    .text =
        "With --network: joins the network, if this machine is no member yet, and starts\n"
        "veld-daemon. The first machine to name a network makes it; on others it asks to be\n"
        "let in, and waits (veld approve). The coord server is the one logged in to.\n"
        "With --lan: makes a network of the machines of this LAN, without a server. Those "
        "with\n"
        "the same --secret-file find and trust each other by themselves; without one, each is\n"
        "to be accepted on the other (veld trust).\n"
        "Without both: by the config file, " VELD_DEFAULT_CONFIG " or\n"
        "$XDG_CONFIG_HOME/veld/config.toml, if there is one, else in the only network known.\n"
        "Returns when the tunnel is really up. Does nothing when it is up already. What is\n"
        "said of routes, listen, interface and mtu is kept; see veld set.\n",
#else
    .summary = "start veld-daemon in the background and say what it did",
    .text = "With --lan: makes a network of the machines of this LAN, without a server. Those\n"
            "with the same --secret-file find and trust each other by themselves; without\n"
            "one, each is to be accepted on the other (veld trust).\n"
            "Without --config and VELD_CONFIG, the config is " VELD_DEFAULT_CONFIG ",\n"
            "else $XDG_CONFIG_HOME/veld/config.toml. Returns when the tunnel is really up.\n"
            "Does nothing when it is up already.\n",
#endif
    .options =
        {
            {"config", '\0', "FILE", "the config file"},
            {"state-dir", '\0', "DIR", "where identity and networks are kept"},
            {"engine", '\0', "ENGINE", "how packets are carried: auto, io_uring or poll"},
            {"lan", '\0', NULL, "with the machines of this LAN, without a server"},
            {"secret-file", '\0', "FILE", "with those that have this secret; made if missing"},
            {"name", '\0', "NAME", "this machine's name there (default: host name)"},
            {"listen", '\0', "ADDR:PORT", "where to listen (default :51820)"},
            {"interface", '\0', "IF", "the interface (default veld0)"},
            {"mtu", '\0', "N", "its MTU (default 1420)"},
#ifdef VELD_HAVE_COORD
            {"routes", '\0', "NET,NET", "networks behind this machine, offered to others"},
            {"accept-routes", '\0', "yes|no", "use what others offer (default yes)"},
            {"network", '\0', "NAME", "the network to make or join"},
            {"fingerprint", '\0', "TEXT", "the network's: join no other of that name"},
#endif
        },
    .run = up,
};

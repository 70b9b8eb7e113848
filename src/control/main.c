/*
 * veld-daemon: options, configuration, background; the rest is control.h's.
 */
#include "base/log.h"
#include "base/paths.h"
#include "base/state_dir.h"
#include "control/host/background.h"
#include "control/config/config.h"
#include "control/control.h"
#include "control/host/privileges.h"
#include "control/lan/mode.h"
#include "control/mesh/mesh.h"
#include "control/state.h"
#include "crypto/primitives.h"
#include "wire/datagram.h"

#include <errno.h>
#include <getopt.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: veld-daemon [--config FILE | --network NAME] [--state-dir DIR] [--socket PATH]\n"
    "                   [--engine auto|io_uring|poll]\n"
    "                   [--foreground] [--log-level error|warn|info|debug]\n"
    "\n"
    "Starts the tunnel that FILE describes, or of a network that this machine joined\n"
    "('veld up', 'veld join'), and, once it is up, goes to the background. 'veld status'\n"
    "shows it, 'veld down' stops it.\n"
    "\n"
    "  -c, --config FILE     default /etc/veld/config.toml\n"
    "  -n, --network NAME    the network, by what is kept of it in the state directory\n"
    "  -s, --state-dir DIR   keys and memory; default /var/lib/veld\n"
    "      --socket PATH     local API; default /run/veld/veld.sock\n"
    "      --engine E        how packets are carried; default as FILE says, else auto:\n"
    "                        io_uring where it works, poll elsewhere\n"
    "  -f, --foreground      stay, and log to standard error (for service managers)\n"
    "  -l, --log-level L     default info\n"
    "      --version, --help\n"
    "\n"
    "VELD_CONFIG, VELD_STATE_DIR, VELD_SOCKET and VELD_ENGINE mean the same as the\n"
    "options.\n"
    "See veld-daemon(8) and veld-config(5).\n";

struct options {
    const char *config, *network, *state_dir, *socket;
    const char *engine; /* a name that is one; NULL: as the config says */
    bool foreground;
};

static void print_version(void)
{
    printf("veld-daemon " VELD_VERSION " (protocol %d)\n", VELD_PROTOCOL_VERSION);
}

/* Ends the line that says what is wrong. */
static _Noreturn void exit_with_usage(void)
{
    fputs("; see: veld-daemon --help\n", stderr);
    exit(2);
}

static void set_log_level(const char *text)
{
    enum veld_log_level level;
    if (veld_log_level_parse(text, &level) < 0) {
        fprintf(stderr, "veld-daemon: no such log level: %s; use error, warn, info or debug",
                text);
        exit_with_usage();
    }
    veld_log_set_level(level);
}

static void check_engine(const struct options *o)
{
    enum veld_dataplane_engine engine;
    if (o->engine && veld_dataplane_engine_parse(o->engine, &engine) < 0) {
        fprintf(stderr, "veld-daemon: no such engine: %s; use auto, io_uring or poll",
                o->engine);
        exit_with_usage();
    }
}

static void parse_options(int argc, char **argv, struct options *o)
{
    enum { OPT_SOCKET = 256, OPT_ENGINE, OPT_VERSION, OPT_HELP };
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"network", required_argument, NULL, 'n'},
                                          {"state-dir", required_argument, NULL, 's'},
                                          {"socket", required_argument, NULL, OPT_SOCKET},
                                          {"engine", required_argument, NULL, OPT_ENGINE},
                                          {"foreground", no_argument, NULL, 'f'},
                                          {"log-level", required_argument, NULL, 'l'},
                                          {"version", no_argument, NULL, OPT_VERSION},
                                          {"help", no_argument, NULL, OPT_HELP},
                                          {0}};
    int opt;
    o->engine = getenv("VELD_ENGINE");
    if (o->engine && !o->engine[0])
        o->engine = NULL;
    while ((opt = getopt_long(argc, argv, ":c:n:s:fl:", longs, NULL)) != -1) {
        switch (opt) {
        case 'c': o->config = optarg; break;
        case 'n': o->network = optarg; break;
        case 's': o->state_dir = optarg; break;
        case 'f': o->foreground = true; break;
        case OPT_SOCKET: o->socket = optarg; break;
        case OPT_ENGINE: o->engine = optarg; break;
        case 'l': set_log_level(optarg); break;
        case OPT_VERSION: print_version(); exit(0);
        case OPT_HELP: fputs(usage, stdout); exit(0);
        default:
            fprintf(stderr,
                    opt == ':' ? "veld-daemon: %s: its value is missing"
                               : "veld-daemon: %s: unknown option",
                    argv[optind - 1]);
            exit_with_usage();
        }
    }
    if (optind < argc) {
        fprintf(stderr, "veld-daemon: %s: too many arguments", argv[optind]);
        exit_with_usage();
    }
    if (o->config && o->network) {
        fputs("veld-daemon: --config and --network: give one of them; a config file names its "
              "network in [coord]",
              stderr);
        exit_with_usage();
    }
    check_engine(o);
}

struct paths {
    char config[PATH_MAX], state[PATH_MAX], socket[PATH_MAX];
};

/* Absolute, so that they mean the same wherever the daemon runs and are told as such. */
static int make_absolute(char path[PATH_MAX])
{
    char cwd[PATH_MAX], copy[PATH_MAX];
    if (path[0] == '/')
        return 0;
    strcpy(copy, path);
    if (!getcwd(cwd, sizeof cwd))
        return VELD_E_IO;
    int n = snprintf(path, PATH_MAX, "%s/%s", cwd, copy);
    return n > 0 && n < PATH_MAX ? 0 : VELD_E_RANGE;
}

static int find_paths(const struct options *o, struct paths *p, struct veld_diag *diag)
{
    int rc = o->network ? 0 : veld_path_config(o->config, p->config, diag);
    if (rc < 0)
        return rc;
    if ((rc = veld_path_state_dir(o->state_dir, p->state)) < 0 ||
        (rc = veld_path_socket(o->socket, p->socket)) < 0 ||
        (rc = make_absolute(p->state)) < 0 || (rc = make_absolute(p->socket)) < 0)
        return veld_fail(diag, rc,
                         "a path is too long or the home directory is unknown; "
                         "pass --state-dir and --socket");
    return 0;
}

static int go_to_background(struct veld_background *b, const struct paths *p,
                            struct veld_diag *diag)
{
    char log[PATH_MAX + 16];
    int rc = veld_state_dir_make(p->state, diag);
    if (rc < 0)
        return rc;
    snprintf(log, sizeof log, "%s/daemon.log", p->state);
    return veld_background_start(b, log, diag);
}

static void tell_made_identity(GString *text, const struct veld_config *config,
                               const struct paths *p)
{
    if (config->identity_path)
        g_string_append_printf(text, "made a new identity: %s\n", config->identity_path);
    else
        g_string_append_printf(text, "made a new identity: %s/identity\n", p->state);
}

/* After what `text` says already. */
static void tell_ready(struct veld_background *b, const struct veld_control *c, GString *text,
                       const struct paths *p)
{
    char *description = veld_control_describe(c);
    g_string_append(text, description);
    bool other = strcmp(p->socket, VELD_DEFAULT_SOCKET) != 0;
    if (b->pipe >= 0)
        g_string_append_printf(text, "log: %s/daemon.log; stop with: veld%s%s down\n", p->state,
                               other ? " --socket " : "", other ? p->socket : "");
    veld_background_ready(b, text->str);
    free(description);
}

/* From here on in the background, unless asked otherwise; everything is undone on return. */
static int serve(struct veld_background *b, const struct paths *p, struct veld_config *config,
                 struct veld_diag *diag)
{
    struct veld_state *state = NULL;
    struct veld_identity *identity = NULL;
    struct veld_mesh *mesh = NULL;
    struct veld_lan_mode *lan_mode = NULL;
    struct veld_control *control = NULL;
    bool made = false;
    int rc = veld_state_open(&state, p->state, diag);
    if (rc == 0)
        rc = veld_state_identity(state, config->identity_path, &identity, &made, diag);
    if (rc == 0 && config->network[0]) {
        struct veld_mesh_options options = {
            .state_dir = p->state, .identity = identity, .config = config};
        rc = veld_mesh_open(&mesh, &options, diag);
    } else if (rc == 0 && config->mdns) {
        struct veld_lan_mode_options options = {
            .state_dir = p->state, .identity = identity, .config = config};
        rc = veld_lan_mode_open(&lan_mode, &options, diag);
    }
    if (rc == 0) {
        struct veld_control_options options = {.config = config,
                                               .state = state,
                                               .identity = identity,
                                               .socket_path = p->socket,
                                               .mesh = mesh,
                                               .lan_mode = lan_mode};
        rc = veld_control_open(&control, &options, diag);
    }
    if (rc == 0) {
        GString *text = g_string_new(NULL);
        if (made)
            tell_made_identity(text, config, p);
        tell_ready(b, control, text, p);
        g_string_free(text, TRUE);
        veld_info("veld-daemon " VELD_VERSION " is up");
        veld_control_run(control);
        veld_info("stopping");
    }
    veld_control_close(control);
    veld_mesh_close(mesh);
    veld_lan_mode_close(lan_mode);
    veld_identity_free(identity);
    veld_state_close(state);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    static struct paths p;
    struct veld_diag diag = {""};
    struct veld_config *config = NULL;
    struct veld_background b = VELD_BACKGROUND_FOREGROUND;

    parse_options(argc, argv, &o);
    int rc = find_paths(&o, &p, &diag);
    if (rc == 0 && (rc = veld_crypto_init()) < 0)
        veld_fail(&diag, rc, "libsodium does not work here");
    if (rc == 0)
        rc = o.network ? veld_config_for_network(o.network, &config, &diag)
                       : veld_config_load(p.config, &config, &diag);
    if (rc == 0 && o.engine)
        rc = veld_dataplane_engine_parse(o.engine, &config->engine);
    if (rc == 0)
        rc = veld_privileges_check(&diag);
    veld_privileges_harden();
    if (rc == 0 && !o.foreground)
        rc = go_to_background(&b, &p, &diag);
    if (rc == 0)
        rc = serve(&b, &p, config, &diag);
    veld_config_free(config);
    if (rc < 0) {
        char text[sizeof diag.text + 16];
        snprintf(text, sizeof text, "veld-daemon: %s\n", diag.text);
        veld_background_failed(&b, text);
    }
    return rc < 0 ? 1 : 0;
}

#include "base/clock.h"
#include "base/label.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/coord/enter.h"
#include "cli/coord/login.h"
#include "cli/coord/token_text.h"
#include "cli/coord/wish.h"
#include "cli/up.h"
#include "crypto/primitives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    OPTION_TOKEN_FILE,
    OPTION_NAME,
    OPTION_ROUTES,
    OPTION_ACCEPT_ROUTES,
    OPTION_LISTEN,
    OPTION_INTERFACE,
    OPTION_MTU,
    OPTION_NO_UP,
    OPTION_CA,
    OPTION_STATE_DIR,
    OPTION_ENGINE,
};

struct joining {
    const struct veld_cli *cli;
    struct veld_token_text *text;
    struct veld_token *token; /* guarded memory */
    struct veld_machine machine;
    struct veld_entry entry;
    struct veld_membership membership; /* when is_member */
    bool is_member;
};

/* ---- The token ---- */

/* Without a word of it. */
static int fail_token(const char *text, int rc, struct veld_diag *diag)
{
    if (strncmp(text, "veld1", 5) == 0)
        return veld_fail(diag, rc,
                         "this join token was cut off, or changed on its way: %zu characters "
                         "of it came (%s); copy the whole of what veld token create printed",
                         strlen(text), veld_strerror(rc));
    return veld_fail(diag, rc,
                     "this is no join token (%s); it is one word that begins with veld1, as "
                     "veld token create prints it",
                     veld_strerror(rc));
}

static int read_token(struct joining *j, struct veld_diag *diag)
{
    const struct veld_cli *cli = j->cli;
    const char *file = cli->option[OPTION_TOKEN_FILE];
    char *argument = cli->n_args > 0 ? cli->args[0] : NULL;
    int rc = veld_token_text_take(&j->text, file ? NULL : argument, file, diag);
    if (rc < 0)
        return rc;
    j->token = veld_secure_alloc(sizeof *j->token);
    if (!j->token)
        return veld_fail(diag, VELD_E_NOMEM, "no guarded memory for the token");
    rc = veld_token_read(j->text->text, j->token);
    if (rc < 0)
        return fail_token(j->text->text, rc, diag);
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    if (j->token->expires_s > 0 && j->token->expires_s < now_s)
        return veld_fail(diag, VELD_E_RANGE,
                         "this token has expired by this machine's clock; ask for a new one: "
                         "veld token create");
    return 0;
}

/* ---- The server that it names ---- */

static int choose_ca(struct joining *j, struct veld_diag *diag)
{
    const char *path = j->cli->option[OPTION_CA];
    struct veld_profile_coord *c = &j->entry.coord;
    if (!path && !j->token->has_certificate)
        path = VELD_CONNECT_SYSTEM_CA;
    if (!path)
        return 0;
    c->ca_path = realpath(path, NULL);
    return c->ca_path ? 0
                      : veld_fail(diag, VELD_E_NOENT, "cannot read the CA file %s: %s", path,
                                  strerror(errno));
}

/* Its certificate is the token's to vouch for: nobody is asked. */
static int look_at_server(struct joining *j, struct veld_diag *diag)
{
    struct veld_profile_coord *c = &j->entry.coord;
    char shown[VELD_CERTIFICATE_STRLEN], wanted[VELD_CERTIFICATE_STRLEN];
    if (veld_host_port_parse(j->token->coord, 0, c->address) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "the token names no coord server that could be reached; ask for a new "
                         "one");
    int rc = choose_ca(j, diag);
    if (rc == 0)
        rc = veld_connect_probe(c->address, c->ca_path, c->certificate, diag);
    if (rc < 0 || !j->token->has_certificate ||
        veld_equal(c->certificate, j->token->certificate, sizeof c->certificate))
        return rc;
    return veld_fail(diag, VELD_E_AUTH,
                     "%s shows another certificate than the token says: %s, not %s. Somebody "
                     "may be between you and the server, or it has a new certificate: then ask "
                     "for a new token",
                     c->address, veld_certificate_format(c->certificate, shown),
                     veld_certificate_format(j->token->certificate, wanted));
}

/* The first server this machine hears of is the one it is logged in to. */
static int log_in(struct joining *j, struct veld_diag *diag)
{
    struct veld_profile_coord known;
    int rc = veld_profile_coord_load(j->machine.state_dir, NULL, &known, diag);
    veld_profile_coord_clear(&known);
    return rc == VELD_E_NOENT
               ? veld_profile_coord_save(j->machine.state_dir, NULL, &j->entry.coord, diag)
               : rc;
}

/* ---- Whether to go on ---- */

/* Nothing is used up for a tunnel that cannot come up here. */
static int check_daemon(const struct joining *j, struct veld_diag *diag)
{
    struct veld_diag ignored;
    json_t *status;
    if (j->cli->option[OPTION_NO_UP])
        return 0;
    int rc = veld_up_check_rights(diag);
    if (rc < 0)
        return veld_fail(diag, rc,
                         "making a network interface needs root or CAP_NET_ADMIN: run "
                         "this with sudo, or only join with --no-up");
    rc = veld_client_call(j->cli->socket, "/v1/status", NULL, &status, &ignored);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc == 0)
        json_decref(status);
    return veld_fail(diag, VELD_E_STATE,
                     "veld is already up; stop it first (sudo veld down), or only join with "
                     "--no-up");
}

static int check_member(struct joining *j, struct veld_diag *diag)
{
    struct veld_profile p;
    const struct veld_entry *e = &j->entry;
    struct veld_network known;
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    int rc = veld_profile_network_load(j->machine.state_dir, e->network_name, &known, diag);
    if (rc == VELD_E_NOENT)
        return 0;
    if (rc == 0 && !veld_equal(known.id, j->token->network_id, sizeof known.id))
        return veld_fail(diag, VELD_E_KEY,
                         "network %s is another one here than the one the token is for; forget "
                         "the one that is known with: veld leave %s",
                         e->network_name, e->network_name);
    if (rc < 0)
        return rc;
    struct veld_diag ignored;
    j->is_member = veld_profile_load(j->machine.state_dir, e->network_name, j->machine.id->pub,
                                     now_s, &p, &ignored) == 0;
    j->membership = p.membership;
    veld_profile_clear(&p);
    return 0;
}

static struct veld_wish wish_of(const struct veld_cli *cli)
{
    return (struct veld_wish){.routes = cli->option[OPTION_ROUTES],
                              .accept_routes = cli->option[OPTION_ACCEPT_ROUTES],
                              .listen = cli->option[OPTION_LISTEN],
                              .interface = cli->option[OPTION_INTERFACE],
                              .mtu = cli->option[OPTION_MTU]};
}

static int check_forms(const struct veld_cli *cli, struct veld_diag *diag)
{
    char name[VELD_LABEL_MAX + 1];
    const struct veld_wish wish = wish_of(cli);
    if ((cli->n_args > 0) == (cli->option[OPTION_TOKEN_FILE] != NULL))
        return veld_fail(diag, VELD_E_FORMAT,
                         "join needs a TOKEN, - for standard input, or --token-file FILE: one "
                         "of them");
    int rc = veld_up_check_engine(cli->option[OPTION_ENGINE], diag);
    if (rc == 0 && cli->option[OPTION_NAME])
        rc = veld_label_typed(cli->option[OPTION_NAME], "machine", name, diag);
    return rc < 0 ? rc : veld_wish_check(&wish, diag);
}

static int choose_settings(struct joining *j, struct veld_diag *diag)
{
    const struct veld_cli *cli = j->cli;
    struct veld_entry *e = &j->entry;
    const struct veld_wish wish = wish_of(cli);
    int rc = veld_settings_load(j->machine.state_dir, e->network_name, &e->settings, diag);
    if (rc == 0)
        rc = veld_wish_apply(&wish, &e->settings, diag);
    if (rc == 0 && cli->option[OPTION_NAME])
        rc = veld_label_typed(cli->option[OPTION_NAME], "machine", e->name, diag);
    else if (rc == 0)
        veld_label_of_machine(e->name);
    if (rc < 0 || veld_routes_are_within(e->settings.routes, e->settings.n_routes,
                                         j->token->routes, j->token->n_routes))
        return rc;
    char *allowed = veld_routes_format(j->token->routes, j->token->n_routes, ", ");
    rc =
        veld_fail(diag, VELD_E_PERM,
                  "the token does not allow to offer these routes (it allows: %s); ask for one "
                  "that does: veld token create --routes ...",
                  allowed ? allowed : "none");
    free(allowed);
    return rc;
}

/* ---- In ---- */

static void tell_joined(const struct joining *j)
{
    const struct veld_entry *e = &j->entry;
    char v4[VELD_IP_STRLEN], v6[VELD_IP_STRLEN];
    struct veld_ip ipv6;
    veld_network_ipv6(e->network.id, e->membership.member, &ipv6);
    printf("this machine is %s in network %s: %s, %s\n", e->membership.name, e->network.name,
           veld_ip_format(&e->ipv4, v4), veld_ip_format(&ipv6, v6));
    if (j->token->flags & VELD_MEMBER_RELAY)
        printf("it may relay for others; to do so: veld set --relay yes%s\n",
               veld_machine_option(&j->machine, e->network.name));
    if (e->settings.n_routes > 0 || j->token->n_routes == 0)
        return;
    char *allowed = veld_routes_format(j->token->routes, j->token->n_routes, ",");
    printf("it may offer routes; to do so: veld set --routes %s%s\n", allowed ? allowed : "...",
           veld_machine_option(&j->machine, e->network.name));
    free(allowed);
}

/* Already in: what was asked for besides is done, or told to be impossible. */
static int change_member(struct joining *j, struct veld_diag *diag)
{
    const struct veld_membership *m = &j->membership;
    const char *name = j->cli->option[OPTION_NAME], *dir = j->machine.state_dir;
    const char *network = j->entry.network_name;
    const struct veld_wish wish = wish_of(j->cli);
    struct veld_settings s;
    if (name && strcasecmp(name, m->name) != 0)
        return veld_fail(diag, VELD_E_STATE,
                         "this machine is %s in network %s already; to be called otherwise it "
                         "has to join anew: veld leave %s",
                         m->name, network, network);
    int rc = veld_settings_load(dir, network, &s, diag);
    if (rc == 0)
        rc = veld_wish_apply(&wish, &s, diag);
    if (rc < 0)
        return rc;
    if (wish.routes && !veld_routes_are_within(s.routes, s.n_routes, m->routes, m->n_routes))
        return veld_fail(diag, VELD_E_PERM,
                         "this machine is in network %s already, and its membership does not "
                         "allow these routes; ask for them with: veld set --routes %s%s",
                         network, wish.routes, veld_machine_option(&j->machine, network));
    printf("this machine is in network %s already, as %s; the token was not used\n", network,
           m->name);
    return veld_wish_is_empty(&wish) ? 0 : veld_settings_save(dir, network, &s, diag);
}

static int enter(struct joining *j, struct veld_diag *diag)
{
    struct veld_entry *e = &j->entry;
    int rc = read_token(j, diag);
    if (rc == 0)
        rc = check_daemon(j, diag);
    if (rc == 0)
        rc = veld_machine_open(&j->machine, j->cli->option[OPTION_STATE_DIR], diag);
    if (rc == 0)
        rc = veld_machine_identity(&j->machine, diag);
    if (rc < 0)
        return rc;
    e->machine = &j->machine;
    strcpy(e->network_name, j->token->network);
    rc = check_member(j, diag);
    if (rc < 0 || j->is_member)
        return rc < 0 ? rc : change_member(j, diag);
    rc = choose_settings(j, diag);
    if (rc == 0)
        rc = look_at_server(j, diag);
    if (rc == 0)
        rc = veld_enter_by_token(e, j->text->text, j->token, diag);
    if (rc == 0)
        rc = log_in(j, diag);
    if (rc == 0)
        tell_joined(j);
    return rc;
}

static int join(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct joining j = {.cli = cli};
    if (check_forms(cli, &diag) < 0) {
        if (cli->n_args > 0)
            veld_wipe(cli->args[0], strlen(cli->args[0]));
        return veld_cli_fail_diag(&diag), VELD_CLI_USAGE;
    }
    if (veld_crypto_init() < 0)
        return veld_cli_fail("libsodium does not work on this machine");
    int rc = enter(&j, &diag);
    veld_token_text_free(j.text); /* before anything else is run */
    veld_secure_free(j.token);
    char network[VELD_LABEL_MAX + 1];
    strcpy(network, j.entry.network_name);
    veld_entry_clear(&j.entry);
    veld_machine_close(&j.machine);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    if (cli->option[OPTION_NO_UP]) {
        printf("next: %sveld up --network %s\n", geteuid() != 0 ? "sudo " : "", network);
        return VELD_CLI_DONE;
    }
    const struct veld_up up = {.socket = cli->socket,
                               .state_dir = cli->option[OPTION_STATE_DIR],
                               .network = network,
                               .engine = cli->option[OPTION_ENGINE]};
    return veld_up_start(&up);
}

const struct veld_cli_command veld_cmd_join = {
    .name = "join",
    .arguments = "TOKEN|-",
    .summary = "join a network by a token, and bring it up",
    .text = "A token is made by veld token create, and is a secret: whoever has it is let in.\n"
            "It says which coord server, network and certificates are meant, so nothing is\n"
            "asked. It is wiped from the command line as soon as it was read; - reads it from\n"
            "standard input.\n",
    .options = {{"token-file", '\0', "FILE", "read the token from a file"},
                {"name", '\0', "NAME", "this machine's name (default: host name)"},
                {"routes", '\0', "NET,NET", "networks behind this machine, offered to others"},
                {"accept-routes", '\0', "yes|no", "use what others offer (default yes)"},
                {"listen", '\0', "ADDR:PORT", "where to listen (default :51820)"},
                {"interface", '\0', "IF", "the interface (default veld0)"},
                {"mtu", '\0', "N", "its MTU (default 1420)"},
                {"no-up", '\0', NULL, "only join"},
                {"ca", '\0', "FILE",
                 "the CAs (PEM) of a server whose certificate no token pins"},
                {"state-dir", '\0', "DIR", "where identity and networks are kept"},
                {"engine", '\0', "ENGINE", "how packets are carried: auto, io_uring or poll"}},
    .max_args = 1,
    .run = join,
};

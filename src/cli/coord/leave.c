#include "cli/cli.h"
#include "cli/coord/ask.h"
#include "cli/coord/connect.h"
#include "cli/coord/machine.h"
#include "cli/coord/reload.h"
#include "cli/down.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_YES, OPTION_NETWORK, OPTION_STATE_DIR };

struct leaving {
    const struct veld_cli *cli;
    struct veld_machine machine;
    char network[VELD_LABEL_MAX + 1];
    bool is_owner;
};

static bool has_owner_key(const struct leaving *l)
{
    char path[VELD_PROFILE_PATH_MAX];
    struct veld_diag ignored;
    return veld_profile_path(l->machine.state_dir, l->network, VELD_PROFILE_OWNER, path,
                             &ignored) == 0 &&
           access(path, F_OK) == 0;
}

static int confirm(const struct leaving *l, struct veld_diag *diag)
{
    char question[512];
    if (l->cli->option[OPTION_YES])
        return 0;
    if (!veld_can_ask())
        return veld_fail(diag, VELD_E_STATE,
                         "there is no terminal to ask at; pass --yes if you are sure%s%s%s",
                         l->is_owner
                             ? " (the owner's key is here, and would be lost: veld owner "
                               "export "
                             : "",
                         l->is_owner ? l->network : "", l->is_owner ? " FILE)" : "");
    if (l->is_owner)
        snprintf(question, sizeof question,
                 "This machine holds the owner's key of network %s. Without it nobody can be\n"
                 "let in, made admin or put out any more, except by admins there are, and the\n"
                 "name stays taken on this server; keep the key first: veld owner export %s "
                 "FILE\n"
                 "Leave the network and delete the key?",
                 l->network, l->network);
    else
        snprintf(question, sizeof question, "Leave network %s?", l->network);
    return veld_ask(question) ? 0 : veld_fail(diag, VELD_E_PERM, "nothing was changed");
}

/* Give up name and address at the server; the rest goes on without it. */
static void tell_server(struct leaving *l)
{
    struct veld_diag why;
    struct veld_profile_coord coord = {0};
    struct veld_network network;
    struct veld_rpc_client *client = NULL;
    struct veld_blob chain = {0};
    const char *dir = l->machine.state_dir;
    int rc = veld_profile_read(dir, l->network, VELD_PROFILE_MEMBERSHIP, VELD_CHAIN_MAX, &chain,
                               &why);
    veld_blob_clear(&chain);
    if (rc == VELD_E_NOENT) /* never was a member: the server knows of nothing to forget */
        return;
    rc = veld_profile_network_load(dir, l->network, &network, &why);
    if (rc == 0)
        rc = veld_machine_identity(&l->machine, &why);
    if (rc == 0)
        rc = veld_profile_coord_load(dir, l->network, &coord, &why);
    if (rc == 0)
        rc = veld_connect(&client, &coord, &why);
    if (rc == 0) {
        const struct veld_rpc_key key = {.seed = l->machine.id->seed,
                                         .pub = l->machine.id->pub};
        rc = VELD_ASKING(veld_coord_leave(client, &key, network.id, true, &why));
    }
    veld_rpc_close(client);
    veld_profile_coord_clear(&coord);
    if (rc == VELD_E_PERM)
        fprintf(stderr, "veld: the coord server counts this machine as no member any more: "
                        "there was nothing to give up\n");
    else if (rc < 0)
        fprintf(stderr,
                "veld: the coord server was not told (%s): others see this machine as offline "
                "until it is put out with: veld revoke\n",
                why.text);
}

/* A daemon in this network is stopped first. */
static int stop_daemon(const struct leaving *l, struct veld_diag *diag)
{
    json_t *status;
    int rc = veld_client_call(l->cli->socket, "/v1/status", NULL, &status, diag);
    if (rc < 0)
        return rc == VELD_E_NOENT ? 0 : rc;
    const char *runs = veld_status_network(status);
    bool ours = runs && strcmp(runs, l->network) == 0;
    json_decref(status);
    return ours ? veld_down(l->cli->socket, diag) : 0;
}

static int run(struct leaving *l, struct veld_diag *diag)
{
    const struct veld_cli *cli = l->cli;
    int rc = veld_machine_open(&l->machine, cli->option[OPTION_STATE_DIR], diag);
    if (rc == 0)
        rc = veld_machine_network(&l->machine,
                                  cli->n_args > 0 ? cli->args[0] : cli->option[OPTION_NETWORK],
                                  NULL, l->network, diag);
    if (rc < 0)
        return rc;
    struct veld_blob network = {0};
    rc = veld_profile_read(l->machine.state_dir, l->network, VELD_PROFILE_NETWORK,
                           VELD_SIGNED_MAX, &network, diag);
    veld_blob_clear(&network);
    if (rc == VELD_E_NOENT) /* one that is broken can be left all the same */
        return veld_fail(diag, rc, "network %s is not known on this machine%s", l->network,
                         veld_machine_hint(&l->machine));
    l->is_owner = has_owner_key(l);
    rc = confirm(l, diag);
    if (rc == 0)
        rc = stop_daemon(l, diag);
    if (rc < 0)
        return rc;
    tell_server(l);
    rc = veld_profile_remove(l->machine.state_dir, l->network, diag);
    if (rc == 0)
        printf("left network %s\n", l->network);
    return rc;
}

static int leave(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct leaving l = {.cli = cli};
    if (cli->n_args > 0 && cli->option[OPTION_NETWORK])
        return veld_cli_fail("name the network once: as the argument, or with --network"),
               VELD_CLI_USAGE;
    int rc = run(&l, &diag);
    veld_machine_close(&l.machine);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_leave = {
    .name = "leave",
    .arguments = "[NETWORK]",
    .summary = "leave a network, and forget it on this machine",
    .text =
        "Stops the daemon if it is in this network, gives up name and address, and removes\n"
        "what is kept of the network, the owner's key too. Asks before.\n",
    .options = {{"yes", 'y', NULL, "do not ask"},
                {"network", '\0', "NAME", "the same as NETWORK"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .max_args = 1,
    .run = leave,
};

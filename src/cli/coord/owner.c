#include "cli/cli.h"
#include "cli/coord/connect.h"
#include "cli/coord/login.h"
#include "cli/coord/machine.h"
#include "crypto/primitives.h"
#include "crypto/secret_file.h"

#include <stdio.h>
#include <string.h>

#define IMPORT_NETWORKS_MAX 16

enum { OPTION_STATE_DIR };

/* ---- export ---- */

static int export_key(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_machine m;
    char network[VELD_LABEL_MAX + 1];
    uint8_t *seed = NULL;
    int rc = veld_machine_open(&m, cli->option[OPTION_STATE_DIR], &diag);
    if (rc == 0)
        rc = veld_label_typed(cli->args[0], "network", network, &diag);
    if (rc == 0 && !(seed = veld_secure_alloc(32)))
        rc = veld_fail(&diag, VELD_E_NOMEM, "no guarded memory for the owner's key");
    if (rc == 0)
        rc = veld_profile_owner_load(m.state_dir, network, seed, &diag);
    if (rc == VELD_E_NOENT)
        rc = veld_fail(
            &diag, rc,
            "the owner's key of network %s is not on this machine%s; it is on the one "
            "that made the network",
            network, veld_machine_hint(&m));
    if (rc == 0)
        rc = veld_secret_file_create(cli->args[1], "owner's key", seed, &diag);
    veld_secure_free(seed);
    veld_machine_close(&m);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    printf("the owner's key of network %s is in %s: whoever has it decides who is in the "
           "network; keep it offline\n",
           network, cli->args[1]);
    return VELD_CLI_DONE;
}

/* ---- import ---- */

struct import {
    struct veld_machine machine;
    uint8_t *seed; /* guarded memory */
    uint8_t pub[32];
};

static int fail_other_key(const char *network, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_KEY, "this is not the key of the owner of network %s",
                     network);
}

static int put(const struct import *i, const char *network, struct veld_diag *diag)
{
    uint8_t *there = veld_secure_alloc(32);
    if (!there)
        return veld_fail(diag, VELD_E_NOMEM, "no guarded memory for the owner's key");
    int rc = veld_profile_owner_load(i->machine.state_dir, network, there, diag);
    veld_secure_free(there); /* it is the same: owner_load has compared it */
    if (rc == VELD_E_NOENT)
        rc = veld_profile_owner_save(i->machine.state_dir, network, i->seed, diag);
    if (rc == 0)
        printf("this machine holds the owner's key of network %s\n", network);
    return rc;
}

/* A network that this machine knows nothing of yet: the server has it, and the key proves it. */
static int learn(struct import *i, const char *network, struct veld_diag *diag)
{
    struct veld_profile_coord coord;
    struct veld_rpc_client *client = NULL;
    struct veld_blob answer = {0};
    struct veld_network n;
    const char *dir = i->machine.state_dir;
    const struct veld_rpc_key key = {.seed = i->seed, .pub = i->pub};
    int rc = veld_profile_coord_load(dir, NULL, &coord, diag);
    if (rc == VELD_E_NOENT)
        return veld_fail(diag, rc,
                         "network %s is not known on this machine, nor a coord server to look "
                         "it up; log in first: " VELD_LOGIN_REMEDY,
                         network);
    if (rc == 0)
        rc = veld_connect(&client, &coord, diag);
    if (rc == 0)
        rc = VELD_ASKING(veld_coord_lookup_network(client, &key, network, &answer, diag));
    if (rc == 0 && veld_network_read(answer.p, answer.len, &n) < 0)
        rc = veld_fail(diag, VELD_E_AUTH,
                       "what %s says of network %s is not signed by its owner", coord.address,
                       network);
    if (rc == 0 && !veld_equal(n.owner, i->pub, sizeof n.owner))
        rc = fail_other_key(network, diag);
    if (rc == 0)
        rc = veld_profile_network_pin(dir, network, &answer, &n, diag);
    if (rc == 0)
        rc = veld_profile_coord_save(dir, network, &coord, diag);
    veld_rpc_close(client);
    veld_blob_clear(&answer);
    veld_profile_coord_clear(&coord);
    return rc;
}

static int import_one(struct import *i, const char *typed, struct veld_diag *diag)
{
    char network[VELD_LABEL_MAX + 1];
    struct veld_network n;
    int rc = veld_label_typed(typed, "network", network, diag);
    if (rc < 0)
        return rc;
    rc = veld_profile_network_load(i->machine.state_dir, network, &n, diag);
    if (rc == VELD_E_NOENT)
        rc = learn(i, network, diag);
    else if (rc == 0 && !veld_equal(n.owner, i->pub, sizeof n.owner))
        rc = fail_other_key(network, diag);
    return rc < 0 ? rc : put(i, network, diag);
}

/* Those known here that it is the key of. */
static int import_known(struct import *i, struct veld_diag *diag)
{
    char **names;
    size_t n, found = 0;
    int rc = veld_profile_networks(i->machine.state_dir, &names, &n, diag);
    for (size_t k = 0; rc == 0 && k < n; k++) {
        struct veld_network one;
        rc = veld_profile_network_load(i->machine.state_dir, names[k], &one, diag);
        if (rc == 0 && veld_equal(one.owner, i->pub, sizeof one.owner)) {
            found++;
            rc = put(i, names[k], diag);
        }
    }
    veld_names_free(names, n);
    if (rc == 0 && found == 0)
        rc =
            veld_fail(diag, VELD_E_NOENT,
                      "of no network known on this machine is this the owner's key%s; name the "
                      "network, to look it up at the coord server: veld owner import FILE "
                      "NETWORK",
                      veld_machine_hint(&i->machine));
    return rc;
}

static int import_key(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct import i = {0};
    int rc = veld_machine_open(&i.machine, cli->option[OPTION_STATE_DIR], &diag);
    if (rc == 0 && !(i.seed = veld_secure_alloc(32)))
        rc = veld_fail(&diag, VELD_E_NOMEM, "no guarded memory for the owner's key");
    if (rc == 0)
        rc = veld_secret_file_read(
            cli->args[0], "owner's key",
            "veld owner export NETWORK FILE, on the machine that made it", i.seed, &diag);
    if (rc == 0) {
        veld_ed25519_keypair(i.seed, i.pub);
        if (cli->n_args == 1)
            rc = import_known(&i, &diag);
    }
    for (int k = 1; rc == 0 && k < cli->n_args; k++)
        rc = import_one(&i, cli->args[k], &diag);
    veld_secure_free(i.seed);
    veld_machine_close(&i.machine);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

static const struct veld_cli_command cmd_export = {
    .name = "export",
    .group = "owner",
    .arguments = "NETWORK FILE",
    .summary = "copy the owner's key into FILE (0600, never over another)",
    .text = "",
    .options = {{"state-dir", '\0', "DIR", "where networks are kept"}},
    .min_args = 2,
    .max_args = 2,
    .run = export_key,
};

static const struct veld_cli_command cmd_import = {
    .name = "import",
    .group = "owner",
    .arguments = "FILE [NETWORK...]",
    .summary = "hold an owner's key on this machine",
    .text =
        "Without NETWORK: of the networks known here that it is the key of. One that is not\n"
        "known here is looked up at the coord server that was logged in to.\n",
    .options = {{"state-dir", '\0', "DIR", "where networks are kept"}},
    .min_args = 1,
    .max_args = 1 + IMPORT_NETWORKS_MAX,
    .run = import_key,
};

static const struct veld_cli_command *const subs[] = {&cmd_export, &cmd_import, NULL};

const struct veld_cli_command veld_cmd_owner = {
    .name = "owner",
    .arguments = "",
    .summary = "copy the key of a network's owner to a safe place, or bring it back",
    .text = "The owner's key decides who is in a network. It is on the machine that made the\n"
            "network, and nowhere else until it is exported.\n",
    .sub = subs,
};

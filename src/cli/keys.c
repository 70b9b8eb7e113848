#include "base/paths.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "crypto/identity.h"
#include "crypto/primitives.h"
#include "wire/datagram.h"

#include <stdio.h>

static void print_pubkey(const struct veld_identity *id)
{
    char text[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(id->pub, text);
    puts(text);
}

static int keygen(const struct veld_cli *cli)
{
    struct veld_diag diag;
    if (veld_crypto_init() < 0)
        return veld_cli_fail("libsodium does not work on this machine");
    struct veld_identity *id = veld_identity_generate();
    if (!id)
        return veld_cli_fail("no guarded memory for the identity; raise `ulimit -l`");
    int rc = veld_identity_save(id, cli->args[0], &diag);
    if (rc == 0)
        print_pubkey(id);
    veld_identity_free(id);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

static int pubkey_of_file(const char *path)
{
    struct veld_diag diag;
    struct veld_identity *id;
    if (veld_crypto_init() < 0)
        return veld_cli_fail("libsodium does not work on this machine");
    if (veld_identity_load(path, &id, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    print_pubkey(id);
    veld_identity_free(id);
    return VELD_CLI_DONE;
}

static int pubkey_of_daemon(const char *socket)
{
    struct veld_diag diag;
    json_t *answer;
    char state_dir[PATH_MAX];
    int called = veld_client_call(socket, "/v1/pubkey", NULL, &answer, &diag);
    if (called == VELD_E_NOENT && veld_path_state_dir(NULL, state_dir) == 0)
        return veld_cli_fail("%s, or name the file of an identity, as in: veld pubkey "
                             "%s/identity",
                             diag.text, state_dir);
    if (called < 0)
        return veld_cli_fail_diag(&diag);
    const char *text = json_string_value(json_object_get(answer, "pubkey"));
    int rc = text ? VELD_CLI_DONE : veld_cli_fail("veld-daemon did not tell its public key");
    if (text)
        puts(text);
    json_decref(answer);
    return rc;
}

static int pubkey(const struct veld_cli *cli)
{
    return cli->n_args > 0 ? pubkey_of_file(cli->args[0]) : pubkey_of_daemon(cli->socket);
}

static int version(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer;
    printf("veld %s (protocol %d)\n", VELD_VERSION, VELD_PROTOCOL_VERSION);
    if (veld_client_call(cli->socket, "/v1/version", NULL, &answer, &diag) < 0)
        return VELD_CLI_DONE; /* whether a daemon runs is for `veld status` to tell */
    const char *text = json_string_value(json_object_get(answer, "version"));
    json_int_t protocol = json_integer_value(json_object_get(answer, "protocol"));
    if (text)
        printf("veld-daemon %s (protocol %lld), running\n", text, (long long)protocol);
    json_decref(answer);
    return VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_keygen = {
    .name = "keygen",
    .arguments = "FILE",
    .summary = "make a new identity and print its public key",
    .text = "Writes FILE with mode 0600 and never over an existing one. The public key is\n"
            "what goes into the other machines' config as pubkey.\n",
    .min_args = 1,
    .max_args = 1,
    .run = keygen,
};

const struct veld_cli_command veld_cmd_pubkey = {
    .name = "pubkey",
    .arguments = "[FILE]",
    .summary = "print the public key of an identity file, or of the running daemon",
    .text = "",
    .max_args = 1,
    .run = pubkey,
};

const struct veld_cli_command veld_cmd_version = {
    .name = "version",
    .arguments = "",
    .summary = "print the version of veld, and of veld-daemon if it runs",
    .text = "",
    .run = version,
};

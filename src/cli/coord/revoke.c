#include "cli/cli.h"
#include "cli/coord/ask.h"
#include "cli/coord/revoking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_YES, OPTION_NETWORK, OPTION_STATE_DIR };

/* By name or key; a key that is no member's is taken as it is: it may be one that is not listed. */
static int find(const struct veld_admin *a, const struct veld_members *members,
                const char *typed, uint8_t key[32], const struct veld_membership **member,
                struct veld_diag *diag)
{
    char name[VELD_LABEL_MAX + 1];
    struct veld_diag ignored;
    if (veld_pubkey_parse(typed, key) == 0) {
        *member = veld_members_by_key(members, key);
        return 0;
    }
    *member = veld_label_typed(typed, "machine", name, &ignored) == 0
                  ? veld_members_by_name(members, name)
                  : NULL;
    if (!*member)
        return veld_fail(
            diag, VELD_E_NOENT,
            "network %s has no member \"%.80s\"; see: veld peers (one that never came "
            "up is known by its public key alone)",
            a->network.name, typed);
    memcpy(key, (*member)->member, 32);
    return 0;
}

static int check(const struct veld_admin *a, const struct veld_membership *m,
                 const uint8_t key[32], struct veld_diag *diag)
{
    if (memcmp(key, a->machine.id->pub, 32) == 0)
        return veld_fail(diag, VELD_E_STATE,
                         "that is this machine; to give up its membership: veld leave %s",
                         a->network.name);
    if (m && (m->flags & VELD_MEMBER_ADMIN) && !a->is_owner)
        return veld_fail(diag, VELD_E_PERM,
                         "%s is an admin, whom only the owner of network %s can put out",
                         m->name, a->network.name);
    return 0;
}

static int confirm(const struct veld_cli *cli, const struct veld_admin *a,
                   const struct veld_membership *m, const uint8_t key[32],
                   struct veld_diag *diag)
{
    char text[VELD_PUBKEY_STRLEN], question[256];
    veld_pubkey_format(key, text);
    if (cli->option[OPTION_YES])
        return 0;
    if (!veld_can_ask())
        return veld_fail(diag, VELD_E_STATE,
                         "there is no terminal to ask at; pass --yes if you are sure");
    snprintf(question, sizeof question, "Put %s (key %s) out of network %s, for good?",
             m ? m->name : "this key", text, a->network.name);
    return veld_ask(question) ? 0 : veld_fail(diag, VELD_E_PERM, "nothing was revoked");
}

static int put_out(struct veld_admin *a, const struct veld_cli *cli,
                   const struct veld_members *members, struct veld_diag *diag)
{
    uint8_t key[32];
    const struct veld_membership *m;
    uint8_t(*kept)[32] = NULL;
    size_t n = 0;
    int rc = find(a, members, cli->args[0], key, &m, diag);
    if (rc == 0)
        rc = check(a, m, key, diag);
    if (rc == 0)
        rc = confirm(cli, a, m, key, diag);
    if (rc == 0)
        rc = veld_members_signed_by(members, key, &kept, &n, diag);
    if (rc == 0)
        rc = veld_revoking_publish(a, key, (const uint8_t(*)[32])kept, n, cli->socket, diag);
    if (rc == VELD_E_EXIST)
        rc = veld_fail(diag, rc, "%s is revoked already", m ? m->name : cli->args[0]);
    free(kept);
    if (rc < 0)
        return rc;
    printf("%s is put out of network %s; its sessions end as the members hear of it\n",
           m ? m->name : cli->args[0], a->network.name);
    if (n > 0)
        printf("the %zu that it let in stay\n", n);
    return 0;
}

/* Without the server nobody would hear of it. */
static int ask_server(struct veld_admin *a, struct veld_members *members,
                      struct veld_diag *diag)
{
    struct veld_diag why;
    int rc = veld_admin_connect(a, &why);
    if (rc == 0)
        rc = veld_admin_members(a, members, &why);
    return rc < 0 ? veld_fail(diag, rc, "nothing was revoked: %.900s", why.text) : 0;
}

static int revoke(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_admin a;
    struct veld_members members = {0};
    int rc = veld_admin_open(&a, cli->option[OPTION_STATE_DIR], cli->option[OPTION_NETWORK],
                             cli->socket, &diag);
    if (rc == 0)
        rc = ask_server(&a, &members, &diag);
    if (rc == 0)
        rc = put_out(&a, cli, &members, &diag);
    veld_members_clear(&members);
    veld_admin_close(&a);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_revoke = {
    .name = "revoke",
    .arguments = "NAME|KEY",
    .summary = "put a member out of the network, for good",
    .text =
        "Members end their sessions with it within seconds of hearing of it, from the coord\n"
        "server or from each other. Whom a revoked admin let in stays. The machine can only\n"
        "come back with a new identity.\n",
    .options = {{"yes", 'y', NULL, "do not ask"},
                {"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .min_args = 1,
    .max_args = 1,
    .run = revoke,
};

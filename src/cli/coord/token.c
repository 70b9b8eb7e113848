#include "base/clock.h"
#include "cli/cli.h"
#include "cli/coord/admin.h"
#include "cli/coord/revoking.h"
#include "cli/coord/wish.h"
#include "cli/format.h"
#include "crypto/primitives.h"
#include "trust/token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_USES   1
#define DEFAULT_SPAN_S (24 * 3600u)
#define USES_MAX       1000000

static uint64_t clock_s(void)
{
    return veld_clock_now().wall_ns / VELD_NS_PER_S;
}

/* ---- create ---- */

enum {
    CREATE_USES,
    CREATE_EXPIRES,
    CREATE_ROUTES,
    CREATE_RELAY,
    CREATE_COORD,
    CREATE_NETWORK,
    CREATE_STATE_DIR,
};

static int read_limits(const struct veld_cli *cli, struct veld_token *t, struct veld_diag *diag)
{
    const char *uses = cli->option[CREATE_USES], *expires = cli->option[CREATE_EXPIRES];
    const char *routes = cli->option[CREATE_ROUTES];
    uint64_t span = DEFAULT_SPAN_S;
    t->uses = DEFAULT_USES;
    t->created_s = clock_s();
    t->flags = cli->option[CREATE_RELAY] ? VELD_MEMBER_RELAY : 0;
    if (uses && veld_count_parse(uses, USES_MAX, "unlimited", &t->uses) < 0)
        return veld_fail(diag, VELD_E_FORMAT,
                         "--uses: \"%.40s\" is not a number from 1 to %d, nor \"unlimited\"",
                         uses, USES_MAX);
    if (expires && veld_span_parse(expires, &span) < 0)
        return veld_fail(
            diag, VELD_E_FORMAT,
            "--expires: \"%.40s\" is no span of time; write it as in 30m, 24h, 7d, "
            "or never",
            expires);
    t->expires_s = span ? t->created_s + span : 0;
    return routes ? veld_routes_parse(routes, t->routes, &t->n_routes, diag) : 0;
}

/* Where the other machine finds the server: as named, else as this one does. */
static int fail_coord(const char *text, struct veld_diag *diag)
{
    return veld_fail(diag, VELD_E_FORMAT, "--coord: \"%.100s\" is not HOST or HOST:PORT", text);
}

static int check_coord(const struct veld_cli *cli, struct veld_diag *diag)
{
    const char *option = cli->option[CREATE_COORD];
    char address[VELD_COORD_TEXT_MAX];
    return option && veld_host_port_parse(option, VELD_COORD_PORT, address) < 0
               ? fail_coord(option, diag)
               : 0;
}

static int choose_server(const struct veld_admin *a, const char *option, struct veld_token *t,
                         struct veld_diag *diag)
{
    char host[VELD_HOST_PORT_STRLEN];
    if (option && veld_host_port_parse(option, VELD_COORD_PORT, t->coord) < 0)
        return fail_coord(option, diag);
    if (!option)
        strcpy(t->coord, a->coord.address);
    t->has_certificate = !a->coord.ca_path;
    memcpy(t->certificate, a->coord.certificate, sizeof t->certificate);
    strcpy(host, t->coord);
    *strrchr(host, ':') = '\0';
    struct veld_ip ip;
    bool here = strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
                (veld_ip_parse(host, &ip) == 0 && ip.family == 4 && ip.b[0] == 127);
    if (here)
        fprintf(stderr,
                "veld: the token names the coord server as %s, which means another machine "
                "itself; pass --coord with an address that others reach\n",
                t->coord);
    return 0;
}

/* On disk before it is shown: one that nobody could list or revoke must not exist. */
static int remember(const struct veld_admin *a, const struct veld_token *t,
                    struct veld_diag *diag)
{
    int lock = -1;
    struct veld_made_token made = {.created_s = t->created_s,
                                   .expires_s = t->expires_s,
                                   .uses = t->uses,
                                   .n_routes = t->n_routes,
                                   .flags = t->flags};
    veld_ed25519_keypair(t->seed, made.key);
    memcpy(made.routes, t->routes, sizeof made.routes);
    int rc = veld_profile_lock(a->machine.state_dir, a->network.name, &lock, diag);
    if (rc == 0)
        rc = veld_tokens_add(a->machine.state_dir, a->network.name, &made, t->created_s, diag);
    if (lock >= 0)
        close(lock);
    return rc;
}

/* One line on standard output, and not by stdio, whose buffer nobody wipes. */
static int show(char *text, struct veld_diag *diag)
{
    size_t len = strlen(text), done = 0;
    text[len++] = '\n';
    while (done < len) {
        ssize_t n = TEMP_FAILURE_RETRY(write(STDOUT_FILENO, text + done, len - done));
        if (n < 0)
            return veld_fail(diag, VELD_E_IO, "cannot write the token: %s", strerror(errno));
        done += (size_t)n;
    }
    return 0;
}

static int make(struct veld_admin *a, const struct veld_cli *cli, struct veld_token *t,
                char *text, struct veld_diag *diag)
{
    int rc = choose_server(a, cli->option[CREATE_COORD], t, diag);
    if (rc < 0)
        return rc;
    strcpy(t->network, a->network.name);
    veld_random(t->seed, sizeof t->seed);
    rc = veld_token_make(text, &a->signer, a->network.id, t);
    if (rc < 0)
        return veld_fail(diag, rc, "cannot sign the token: %s", veld_strerror(rc));
    rc = remember(a, t, diag);
    return rc < 0 ? rc : show(text, diag);
}

static int create(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_admin a = {0};
    struct limits {
        struct veld_token token;
        char text[VELD_TOKEN_TEXT_MAX + 1];
    };
    if (veld_crypto_init() < 0)
        return veld_cli_fail("libsodium does not work on this machine");
    struct limits *l = veld_secure_alloc(sizeof *l);
    if (!l)
        return veld_cli_fail("no guarded memory for the token");
    memset(l, 0, sizeof *l);
    int status = VELD_CLI_DONE;
    if (read_limits(cli, &l->token, &diag) < 0 || check_coord(cli, &diag) < 0) {
        veld_cli_fail_diag(&diag);
        status = VELD_CLI_USAGE;
    } else if (veld_admin_open(&a, cli->option[CREATE_STATE_DIR], cli->option[CREATE_NETWORK],
                               cli->socket, &diag) < 0 ||
               make(&a, cli, &l->token, l->text, &diag) < 0) {
        status = veld_cli_fail_diag(&diag);
    }
    veld_admin_close(&a);
    veld_secure_free(l);
    return status;
}

/* ---- list ---- */

enum { LIST_NETWORK, LIST_STATE_DIR };

/* "vm1, vm2", of those whom this token let in; "-" when it is not known. The caller frees. */
static char *joined_by(const struct veld_members *members, const uint8_t key[32])
{
    char *out = NULL;
    size_t size, n = 0;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; members && i < members->n; i++) {
        const struct veld_membership *m = &members->list[i].membership;
        if (m->by_token && memcmp(m->signer, key, 32) == 0)
            fprintf(f, "%s%s", n++ ? ", " : "", m->name);
    }
    fputs(!members ? "-" : n == 0 ? "nobody" : "", f);
    fclose(f);
    return out;
}

static void describe(const struct veld_made_token *t, bool revoked, uint64_t now_s,
                     char state[64], char uses[32])
{
    char age[VELD_FORMAT_SIZE];
    if (revoked)
        strcpy(state, "revoked");
    else if (t->expires_s == 0)
        strcpy(state, "never expires");
    else if (t->expires_s < now_s)
        strcpy(state, "expired");
    else
        snprintf(state, 64, "expires in %s", veld_format_age(t->expires_s - now_s, age));
    if (t->uses == 0)
        strcpy(uses, "any number of uses");
    else
        snprintf(uses, 32, "%" PRIu32 " use%s", t->uses, t->uses == 1 ? "" : "s");
}

static int add_row(struct veld_table *table, const struct veld_admin *a,
                   const struct veld_made_token *t, const struct veld_members *members)
{
    char id[VELD_TOKEN_ID_STRLEN], age[VELD_FORMAT_SIZE], made[VELD_FORMAT_SIZE + 16];
    char state[64], uses[32];
    uint64_t now_s = clock_s();
    bool revoked = veld_revoked(a->revocations, t->key);
    bool usable = !revoked && (t->expires_s == 0 || t->expires_s >= now_s);
    describe(t, revoked, now_s, state, uses);
    snprintf(made, sizeof made, "made %s ago",
             veld_format_age(now_s > t->created_s ? now_s - t->created_s : 0, age));
    char *joined = joined_by(members, t->key);
    char *routes = veld_routes_format(t->routes, t->n_routes, ",");
    char joined_cell[512], may_cell[512];
    snprintf(joined_cell, sizeof joined_cell, "joined: %s", joined ? joined : "-");
    bool offers = t->n_routes > 0, relays = t->flags & VELD_MEMBER_RELAY;
    snprintf(may_cell, sizeof may_cell, "%s%.400s%s", offers ? "routes: " : "",
             offers && routes ? routes : "",
             !relays  ? ""
             : offers ? "; relay"
                      : "relay");
    const struct veld_table_cell cells[] = {
        {veld_token_id(t->key, id), VELD_PLAIN},
        {made, VELD_PLAIN},
        {state, usable ? VELD_GREEN : VELD_DIM},
        {uses, VELD_PLAIN},
        {joined_cell, VELD_PLAIN},
        {may_cell, VELD_PLAIN},
    };
    int rc = veld_table_add(table, cells);
    free(joined);
    free(routes);
    return rc;
}

static int print_tokens(struct veld_admin *a, struct veld_diag *diag)
{
    struct veld_made_token *tokens;
    struct veld_members members = {0};
    struct veld_diag why;
    size_t n;
    int rc = veld_tokens_load(a->machine.state_dir, a->network.name, &tokens, &n, diag);
    if (rc < 0)
        return rc;
    bool asked =
        n > 0 && veld_admin_connect(a, &why) == 0 && veld_admin_members(a, &members, &why) == 0;
    if (n > 0 && !asked)
        fprintf(stderr, "veld: %s; who joined by which is not known\n", why.text);
    if (n == 0)
        fprintf(stderr, "no tokens of network %s were made on this machine\n", a->network.name);
    struct veld_table *table = veld_table_new(6);
    rc = table ? 0 : VELD_E_NOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_row(table, a, &tokens[i], asked ? &members : NULL);
    if (rc == 0)
        veld_table_print(table, stdout, veld_wants_colour(stdout));
    else
        veld_fail(diag, rc, "out of memory");
    veld_table_free(table);
    veld_members_clear(&members);
    free(tokens);
    return rc;
}

static int list(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_admin a;
    int rc = veld_admin_open(&a, cli->option[LIST_STATE_DIR], cli->option[LIST_NETWORK],
                             cli->socket, &diag);
    if (rc == 0)
        rc = print_tokens(&a, &diag);
    veld_admin_close(&a);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

/* ---- revoke ---- */

static int find_token(const struct veld_admin *a, const char *id, uint8_t key[32],
                      struct veld_diag *diag)
{
    struct veld_made_token *tokens;
    size_t n, found = 0;
    int rc = veld_tokens_load(a->machine.state_dir, a->network.name, &tokens, &n, diag);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        char text[VELD_TOKEN_ID_STRLEN], full[VELD_PUBKEY_STRLEN];
        veld_pubkey_format(tokens[i].key, full);
        if (strcmp(id, veld_token_id(tokens[i].key, text)) != 0 && strcmp(id, full) != 0)
            continue;
        memcpy(key, tokens[i].key, 32);
        found++;
    }
    free(tokens);
    if (found == 1)
        return 0;
    return veld_fail(diag, found ? VELD_E_STATE : VELD_E_NOENT,
                     found ? "%.60s is the id of several tokens"
                           : "no token made here has the "
                             "id %.60s; see: veld token "
                             "list",
                     id);
}

/* Whom it let in stays. */
static int revoke_token(struct veld_admin *a, const struct veld_cli *cli,
                        struct veld_diag *diag)
{
    uint8_t key[32];
    struct veld_members members = {0};
    uint8_t(*kept)[32] = NULL;
    size_t n = 0;
    int rc = find_token(a, cli->args[0], key, diag);
    if (rc == 0)
        rc = veld_admin_connect(a, diag);
    if (rc == 0)
        rc = veld_admin_members(a, &members, diag);
    if (rc == 0)
        rc = veld_members_signed_by(&members, key, &kept, &n, diag);
    if (rc == 0)
        rc = veld_revoking_publish(a, key, (const uint8_t(*)[32])kept, n, cli->socket, diag);
    if (rc == VELD_E_EXIST)
        rc = veld_fail(diag, rc, "token %s is revoked already", cli->args[0]);
    if (rc == 0 && n == 0)
        printf("token %s lets nobody in any more; nobody had joined by it\n", cli->args[0]);
    else if (rc == 0)
        printf(
            "token %s lets nobody in any more; the %zu it let in stay (veld revoke NAME puts "
            "one out)\n",
            cli->args[0], n);
    free(kept);
    veld_members_clear(&members);
    return rc;
}

static int run_revoke(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct veld_admin a;
    int rc = veld_admin_open(&a, cli->option[LIST_STATE_DIR], cli->option[LIST_NETWORK],
                             cli->socket, &diag);
    if (rc == 0)
        rc = revoke_token(&a, cli, &diag);
    veld_admin_close(&a);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

/* ---- Tables ---- */

static const struct veld_cli_command cmd_create = {
    .name = "create",
    .group = "token",
    .arguments = "",
    .summary = "make a token and print it, and nothing else, on standard output",
    .text =
        "Whoever has the token may join the network, as often and as long as it says; keep\n"
        "it secret. By default it is good for one machine and one day. It never lets in an\n"
        "admin: those the owner approves by name (veld approve CODE --admin).\n",
    .options = {{"uses", '\0', "N", "for so many machines, or \"unlimited\" (default 1)"},
                {"expires", '\0', "SPAN", "30m, 24h, 7d, or never (default 24h)"},
                {"routes", '\0', "NET,NET", "networks that who joins may offer"},
                {"relay", '\0', NULL, "who joins may relay for others"},
                {"coord", '\0', "HOST[:PORT]",
                 "where the other machine finds the coord server"},
                {"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .run = create,
};

static const struct veld_cli_command cmd_list = {
    .name = "list",
    .group = "token",
    .arguments = "",
    .summary = "list the tokens made on this machine, and who joined by them",
    .text = "",
    .options = {{"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .run = list,
};

static const struct veld_cli_command cmd_revoke = {
    .name = "revoke",
    .group = "token",
    .arguments = "ID",
    .summary = "let nobody in by this token any more",
    .text = "ID is what veld token list shows. Whom the token let in stays.\n",
    .options = {{"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .min_args = 1,
    .max_args = 1,
    .run = run_revoke,
};

static const struct veld_cli_command *const subs[] = {&cmd_create, &cmd_list, &cmd_revoke,
                                                      NULL};

const struct veld_cli_command veld_cmd_token = {
    .name = "token",
    .arguments = "",
    .summary = "make, list or revoke join tokens",
    .text = "",
    .sub = subs,
};

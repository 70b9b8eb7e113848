#include "base/clock.h"
#include "cli/cli.h"
#include "cli/coord/admin.h"
#include "cli/coord/requests.h"
#include "cli/coord/wish.h"
#include "cli/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_ROUTES,
    OPTION_RELAY,
    OPTION_ADMIN,
    OPTION_REFUSE,
    OPTION_NETWORK,
    OPTION_STATE_DIR,
};

struct approving {
    const struct veld_cli *cli;
    struct veld_admin admin;
    struct veld_requests requests;
};

/* ---- Who waits ---- */

static int fetch(struct approving *a, struct veld_diag *diag)
{
    struct veld_blob *blobs = NULL;
    size_t n = 0;
    const struct veld_admin *admin = &a->admin;
    int rc = VELD_ASKING(
        veld_coord_list_joins(admin->client, &admin->key, admin->network.id, &blobs, &n, diag));
    if (rc < 0)
        return rc;
    if (veld_requests_read(&a->requests, blobs, n, admin->network.id) < 0)
        rc = veld_fail(diag, VELD_E_NOMEM, "out of memory");
    veld_blobs_free(blobs, n);
    return rc;
}

static int add_row(struct veld_table *t, const struct veld_waiting_request *w)
{
    char key[VELD_PUBKEY_STRLEN], age[VELD_FORMAT_SIZE], cell[VELD_FORMAT_SIZE + 16];
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    char *routes = veld_routes_format(w->request.routes, w->request.n_routes, ",");
    char wish_cell[1024] = "";
    veld_pubkey_format(w->request.member, key);
    snprintf(
        cell, sizeof cell, "asked %s ago",
        veld_format_age(now_s > w->request.created_s ? now_s - w->request.created_s : 0, age));
    bool offers = w->request.n_routes > 0;
    if (offers || w->request.relay)
        snprintf(wish_cell, sizeof wish_cell, "would %s%s%s", offers ? "offer " : "relay",
                 offers && routes ? routes : "", offers && w->request.relay ? ", relay" : "");
    const struct veld_table_cell cells[] = {
        {w->code, VELD_PLAIN}, {w->request.name, VELD_PLAIN}, {key, VELD_DIM},
        {cell, VELD_PLAIN},    {wish_cell, VELD_YELLOW},
    };
    int rc = veld_table_add(t, cells);
    free(routes);
    return rc;
}

/* What allows all that it asks for: " --routes ... --relay", or "". The caller frees. */
static char *grants_of(const struct veld_join_request *r)
{
    char *routes = veld_routes_format(r->routes, r->n_routes, ","), *out = NULL;
    bool offers = r->n_routes > 0 && routes;
    if (asprintf(&out, "%s%s%s", offers ? " --routes " : "", offers ? routes : "",
                 r->relay ? " --relay" : "") < 0)
        out = NULL;
    free(routes);
    return out;
}

/* The whole command, of one that would do more than be a member. */
static void print_commands(const struct approving *a)
{
    const char *option = veld_machine_option(&a->admin.machine, a->admin.network.name);
    if (a->requests.n > 0)
        printf("let one in with: veld approve CODE%s\n", option);
    for (size_t i = 0; i < a->requests.n; i++) {
        const struct veld_waiting_request *w = &a->requests.list[i];
        char *grants = grants_of(&w->request);
        if (grants && *grants)
            printf("%s and all it asks for with: veld approve %s%s%s\n", w->request.name,
                   w->code, grants, option);
        free(grants);
    }
}

static int print_waiting(const struct approving *a, struct veld_diag *diag)
{
    char text[VELD_NETWORK_TEXT_STRLEN];
    struct veld_table *t = veld_table_new(5);
    int rc = t ? 0 : VELD_E_NOMEM;
    printf("network %s, fingerprint %s: %zu waiting\n", a->admin.network.name,
           veld_network_text(a->admin.network.id, text), a->requests.n);
    for (size_t i = 0; rc == 0 && i < a->requests.n; i++)
        rc = add_row(t, &a->requests.list[i]);
    if (rc == 0)
        veld_table_print(t, stdout, veld_wants_colour(stdout));
    veld_table_free(t);
    if (rc == 0)
        print_commands(a);
    return rc < 0 ? veld_fail(diag, rc, "out of memory") : 0;
}

/* ---- One of them ---- */

static int fail_how_much(const struct approving *a, const struct veld_join_request *r,
                         struct veld_diag *diag)
{
    const char *code = a->cli->args[0];
    char *grants = grants_of(r);
    int rc = veld_fail(
        diag, VELD_E_STATE,
        "%s is a member already, and asks for more than it may; to allow it: veld approve "
        "%.64s%s%s; to refuse it: veld approve %.64s --refuse",
        r->name, code, grants ? grants : "",
        veld_machine_option(&a->admin.machine, a->admin.network.name), code);
    free(grants);
    return rc;
}

/* What is named, or else of a member what it asks for, as far as it had it before. */
static int draft_routes(const struct approving *a, const struct veld_join_request *r,
                        const struct veld_membership *before, struct veld_membership *m,
                        struct veld_diag *diag)
{
    const char *named = a->cli->option[OPTION_ROUTES];
    if (named)
        return veld_routes_parse(named, m->routes, &m->n_routes, diag);
    if (!before)
        return 0;
    if (!veld_routes_are_within(r->routes, r->n_routes, before->routes, before->n_routes) ||
        (r->relay && !(m->flags & VELD_MEMBER_RELAY)))
        return fail_how_much(a, r, diag);
    memcpy(m->routes, r->routes, sizeof m->routes);
    m->n_routes = r->n_routes;
    return 0;
}

/* What its membership shall say: of what it had, if it was a member, what it still asks for. */
static int draft(const struct approving *a, const struct veld_join_request *r,
                 const struct veld_members *members, struct veld_membership *m,
                 struct veld_diag *diag)
{
    const struct veld_cli *cli = a->cli;
    const struct veld_membership *before = veld_members_by_key(members, r->member);
    const struct veld_membership *named = veld_members_by_name(members, r->name);
    uint64_t now_s = veld_clock_now().wall_ns / VELD_NS_PER_S;
    if (named && memcmp(named->member, r->member, 32) != 0) {
        char key[VELD_PUBKEY_STRLEN];
        veld_pubkey_format(named->member, key);
        return veld_fail(diag, VELD_E_EXIST,
                         "the name %s is that of the member with key %s; on the machine that "
                         "asks: veld up --network %s --name OTHER",
                         r->name, key, a->admin.network.name);
    }
    *m = (struct veld_membership){.not_before_s = now_s, .serial = now_s};
    if (before) {
        m->flags = before->flags;
        m->serial = veld_serial_after(before->serial, now_s);
    }
    if (!r->relay)
        m->flags &= ~(uint32_t)VELD_MEMBER_RELAY;
    if (cli->option[OPTION_RELAY])
        m->flags |= VELD_MEMBER_RELAY;
    if (cli->option[OPTION_ADMIN])
        m->flags |= VELD_MEMBER_ADMIN;
    if ((m->flags & VELD_MEMBER_ADMIN) && !a->admin.is_owner)
        return veld_fail(diag, VELD_E_PERM,
                         "%s %s an admin, which only the owner of network %s can make: do this "
                         "on the machine that made it",
                         r->name,
                         before && (before->flags & VELD_MEMBER_ADMIN) ? "is" : "would be",
                         a->admin.network.name);
    memcpy(m->network_id, r->network_id, sizeof m->network_id);
    memcpy(m->member, r->member, sizeof m->member);
    strcpy(m->name, r->name);
    return draft_routes(a, r, before, m, diag);
}

/* Of a member already, before anything is signed: what it could do, and what it will. */
static void tell_again(const struct veld_membership *before, const struct veld_membership *m)
{
    char *had = veld_routes_format(before->routes, before->n_routes, ", ");
    char *gets = veld_routes_format(m->routes, m->n_routes, ", ");
    printf("%s is a member already%s\n", before->name,
           before->flags & VELD_MEMBER_ADMIN ? ", and stays an admin" : "");
    if (before->n_routes > 0 || m->n_routes > 0)
        printf("  %-11s%s; until now: %s\n", "routes", m->n_routes > 0 && gets ? gets : "none",
               before->n_routes > 0 && had ? had : "none");
    if ((m->flags | before->flags) & VELD_MEMBER_RELAY)
        printf("  %-11s%s; until now: %s\n", "may relay",
               m->flags & VELD_MEMBER_RELAY ? "yes" : "no",
               before->flags & VELD_MEMBER_RELAY ? "yes" : "no");
    fflush(stdout);
    free(had);
    free(gets);
}

static void tell_done(const struct approving *a, const char *done,
                      const struct veld_waiting_request *w, const struct veld_membership *m)
{
    const struct veld_join_request *r = &w->request;
    char text[VELD_NETWORK_TEXT_STRLEN], key[VELD_PUBKEY_STRLEN];
    veld_pubkey_format(m->member, key);
    printf("%s: %s%s\n", done, m->name, m->flags & VELD_MEMBER_ADMIN ? ", as an admin" : "");
    printf("  %-11s%s\n", "key", key);
    printf("  %-11s%s, fingerprint %s (compare: it shows the same)\n", "network",
           a->admin.network.name, veld_network_text(a->admin.network.id, text));
    char *routes = veld_routes_format(m->routes, m->n_routes, ", ");
    if (m->n_routes > 0)
        printf("  %-11s%s\n", "may offer", routes ? routes : "-");
    free(routes);
    if (m->flags & VELD_MEMBER_RELAY)
        printf("  %-11sfor others\n", "may relay");
    else if (r->relay)
        printf("It asked to relay for others, which it may not: let it ask again (veld set "
               "--relay yes) and add --relay to veld approve.\n");
    if (veld_routes_are_within(r->routes, r->n_routes, m->routes, m->n_routes))
        return;
    char *asked = veld_routes_format(r->routes, r->n_routes, ",");
    printf(
        "It asked to offer %s, which it may not: let it ask again (veld set --routes %s) and "
        "add --routes %s to veld approve.\n",
        asked ? asked : "-", asked ? asked : "-", asked ? asked : "-");
    free(asked);
}

static int answer(struct approving *a, const struct veld_waiting_request *w,
                  const struct veld_blob *chain, struct veld_diag *diag)
{
    const struct veld_admin *admin = &a->admin;
    return VELD_ASKING(veld_coord_answer_join(admin->client, &admin->key, admin->network.id,
                                              w->request.member, chain, diag));
}

static int approve_one(struct approving *a, const struct veld_waiting_request *w,
                       struct veld_diag *diag)
{
    struct veld_members members = {0};
    struct veld_membership m;
    struct veld_blob chain = {0};
    int rc = veld_admin_members(&a->admin, &members, diag);
    if (rc == 0)
        rc = draft(a, &w->request, &members, &m, diag);
    const struct veld_membership *before =
        rc == 0 ? veld_members_by_key(&members, w->request.member) : NULL;
    const char *done = before ? "granted" : "let in";
    if (before)
        tell_again(before, &m);
    veld_members_clear(&members);
    if (rc < 0)
        return rc;
    rc = veld_membership_issue(&chain, &a->admin.signer, &m);
    rc = rc < 0 ? veld_fail(diag, rc, "cannot sign the membership: %s", veld_strerror(rc))
                : answer(a, w, &chain, diag);
    veld_blob_clear(&chain);
    if (rc == 0)
        tell_done(a, done, w, &m);
    return rc;
}

/* By the code; or a member's name: its key is known, so that nobody else can ask as it. */
static int find(struct approving *a, const struct veld_waiting_request **out,
                struct veld_diag *diag)
{
    const char *typed = a->cli->args[0];
    struct veld_members members;
    struct veld_diag why;
    int rc = veld_requests_find(&a->requests, typed, out, diag);
    if (rc != VELD_E_NOENT)
        return rc;
    if (veld_admin_members(&a->admin, &members, &why) < 0)
        return rc;
    const struct veld_membership *member = veld_members_by_name(&members, typed);
    for (size_t i = 0; member && rc < 0 && i < a->requests.n; i++) {
        *out = &a->requests.list[i];
        rc = memcmp((*out)->request.member, member->member, 32) == 0 ? 0 : VELD_E_NOENT;
    }
    if (rc < 0 && member)
        veld_fail(
            diag, rc,
            "%s is a member, and asks for nothing more; let it ask first, there: veld set "
            "--relay yes, or veld set --routes NET",
            member->name);
    veld_members_clear(&members);
    return rc;
}

static int refuse_one(struct approving *a, const struct veld_waiting_request *w,
                      struct veld_diag *diag)
{
    int rc = answer(a, w, NULL, diag);
    if (rc == 0)
        printf("refused: %s\n", w->request.name);
    return rc;
}

/* ---- The command ---- */

static int run(struct approving *a, struct veld_diag *diag)
{
    const struct veld_cli *cli = a->cli;
    const struct veld_waiting_request *w = NULL;
    int rc = veld_admin_open(&a->admin, cli->option[OPTION_STATE_DIR],
                             cli->option[OPTION_NETWORK], cli->socket, diag);
    if (rc == 0)
        rc = veld_admin_connect(&a->admin, diag);
    if (rc == 0)
        rc = fetch(a, diag);
    if (rc < 0)
        return rc;
    if (a->requests.refused > 0)
        fprintf(stderr, "veld: %zu requests that do not prove were left out\n",
                a->requests.refused);
    if (cli->n_args == 0)
        return print_waiting(a, diag);
    rc = find(a, &w, diag);
    if (rc < 0)
        return rc;
    return cli->option[OPTION_REFUSE] ? refuse_one(a, w, diag) : approve_one(a, w, diag);
}

static int approve(const struct veld_cli *cli)
{
    struct veld_diag diag;
    struct approving a = {.cli = cli};
    bool grants =
        cli->option[OPTION_ROUTES] || cli->option[OPTION_RELAY] || cli->option[OPTION_ADMIN];
    if (cli->n_args == 0 && (grants || cli->option[OPTION_REFUSE])) {
        veld_cli_fail("--routes, --relay, --admin and --refuse need the CODE of a request");
        return VELD_CLI_USAGE;
    }
    if (grants && cli->option[OPTION_REFUSE]) {
        veld_cli_fail("--refuse grants nothing: leave out --routes, --relay and --admin");
        return VELD_CLI_USAGE;
    }
    struct veld_prefix routes[VELD_MEMBER_ROUTES_MAX];
    size_t n;
    if (cli->option[OPTION_ROUTES] &&
        veld_routes_parse(cli->option[OPTION_ROUTES], routes, &n, &diag) < 0)
        return veld_cli_fail("--routes: %s", diag.text), VELD_CLI_USAGE;
    int rc = run(&a, &diag);
    veld_requests_clear(&a.requests);
    veld_admin_close(&a.admin);
    return rc < 0 ? veld_cli_fail_diag(&diag) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_approve = {
    .name = "approve",
    .arguments = "[CODE | NAME]",
    .summary = "let a machine into the network that asked for it; without CODE, list who waits",
    .text = "CODE is what veld up shows on the machine that asks. Compare the network's\n"
            "fingerprint, too: both sides show it. Routes that it would like to offer are not\n"
            "allowed unless --routes names them; a member that asks anew gets of what it had\n"
            "what it still asks for. One that is a member may be named instead of its code.\n",
    .options = {{"routes", '\0', "NET,NET", "networks that it may offer"},
                {"relay", '\0', NULL, "it may relay for others"},
                {"admin", '\0', NULL,
                 "it may let in and put out others; the owner alone makes admins"},
                {"refuse", '\0', NULL, "turn it away"},
                {"network", '\0', "NAME", "the network, where several are known"},
                {"state-dir", '\0', "DIR", "where networks are kept"}},
    .max_args = 1,
    .run = approve,
};

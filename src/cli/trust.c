#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"
#include "cli/pending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- list ---- */

static int add_pin(struct veld_table *t, const json_t *pin)
{
    char age[VELD_FORMAT_SIZE], since[VELD_FORMAT_SIZE + 16] = "";
    json_int_t then = json_integer_value(json_object_get(pin, "since"));
    time_t now = time(NULL);
    const char *blocked = json_string_value(json_object_get(pin, "blocked"));
    const json_t *addresses = json_object_get(pin, "addresses");
    char joined[256] = "", state[256] = "";
    size_t i;
    json_t *item;
    json_array_foreach(addresses, i, item)
    {
        size_t used = strlen(joined);
        const char *text = json_string_value(item);
        snprintf(joined + used, sizeof joined - used, "%s%s", i ? "," : "", text ? text : "-");
    }
    if (then > 0)
        snprintf(since, sizeof since, "since %s",
                 veld_format_age(now > then ? (uint64_t)(now - then) : 0, age));
    if (json_is_true(json_object_get(pin, "revoked")))
        snprintf(state, sizeof state, "revoked: its name and addresses are free again");
    if (blocked)
        snprintf(state, sizeof state, "blocked: %s", blocked);
    const struct veld_table_cell cells[] = {
        {veld_json_text(pin, "name"), VELD_PLAIN},
        {veld_json_text(pin, "pubkey"), VELD_PLAIN},
        {joined, VELD_PLAIN},
        {since, VELD_DIM},
        {state, VELD_RED},
    };
    return veld_table_add(t, cells);
}

static int list(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer, *pin;
    size_t i;
    if (veld_client_call(cli->socket, "/v1/trust", NULL, &answer, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    struct veld_table *t = veld_table_new(5);
    int rc = t ? 0 : VELD_E_NOMEM;
    json_array_foreach(json_object_get(answer, "pins"), i, pin)
    {
        if (rc == 0)
            rc = add_pin(t, pin);
    }
    if (rc == 0)
        veld_table_print(t, stdout, veld_wants_colour(stdout));
    veld_table_free(t);
    if (rc == 0)
        rc = veld_pending_print(json_object_get(answer, "pending"), stdout);
    json_decref(answer);
    return rc < 0 ? veld_cli_fail("%s", veld_strerror(rc)) : VELD_CLI_DONE;
}

/* ---- accept and forget ---- */

static int post(const struct veld_cli *cli, const char *url, json_t **answer,
                struct veld_diag *diag)
{
    json_t *request = json_pack("{s:s}", "name", cli->args[0]);
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!body)
        return veld_fail(diag, VELD_E_FORMAT, "\"%.64s\" cannot be a peer's name",
                         cli->args[0]);
    int rc = veld_client_call(cli->socket, url, body, answer, diag);
    free(body);
    return rc;
}

static int accept_key(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer;
    if (post(cli, "/v1/trust/accept", &answer, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    printf("%s is trusted with the key it shows now", cli->args[0]);
    if (json_is_string(json_object_get(answer, "pubkey")))
        printf(": %s", veld_json_text(answer, "pubkey"));
    putchar('\n');
    json_decref(answer);
    return VELD_CLI_DONE;
}

static int forget(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer;
    if (post(cli, "/v1/trust/forget", &answer, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    printf("%s is forgotten; %s\n", cli->args[0],
           json_is_true(json_object_get(answer, "pending"))
               ? "nothing is said to it until it is accepted again"
               : "its key is pinned anew at the next handshake");
    json_decref(answer);
    return VELD_CLI_DONE;
}

static const struct veld_cli_command cmd_list = {
    .name = "list",
    .group = "trust",
    .arguments = "",
    .summary = "list whose key is pinned, who is blocked for showing another, and who waits",
    .text = "",
    .run = list,
};

static const struct veld_cli_command cmd_accept = {
    .name = "accept",
    .group = "trust",
    .arguments = "NAME",
    .summary = "trust a peer with the key that it shows now",
    .text = "For a peer that is blocked because its key changed, and for a machine that was\n"
            "found on the LAN: NAME is then its name, key or fingerprint, and both have to\n"
            "accept each other. Ask its owner first: compare what veld pubkey prints there\n"
            "with what veld trust list shows here.\n",
    .min_args = 1,
    .max_args = 1,
    .run = accept_key,
};

static const struct veld_cli_command cmd_forget = {
    .name = "forget",
    .group = "trust",
    .arguments = "NAME",
    .summary = "forget a peer's key; the next one it shows is pinned",
    .text = "On a LAN without a secret: it is no peer any more, until it is accepted again.\n",
    .min_args = 1,
    .max_args = 1,
    .run = forget,
};

static const struct veld_cli_command *const subs[] = {&cmd_list, &cmd_accept, &cmd_forget,
                                                      NULL};

const struct veld_cli_command veld_cmd_trust = {
    .name = "trust",
    .arguments = "",
    .summary = "see and change which keys peers are known by",
    .text =
        "A peer's key is pinned at the first handshake. One that shows another afterwards is\n"
        "blocked until it is accepted here. On a LAN without a server and without a secret\n"
        "nobody is a peer before that.\n",
    .sub = subs,
};

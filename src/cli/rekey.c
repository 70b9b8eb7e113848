#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"

#include <stdio.h>
#include <stdlib.h>

/* True when this peer has new keys. */
static bool print_peer(const json_t *peer)
{
    char took[VELD_FORMAT_SIZE];
    const json_t *us = json_object_get(peer, "took_us");
    const char *name = veld_json_text(peer, "name");
    if (!us) {
        veld_cli_fail("%s: %s", name, veld_json_text(peer, "error"));
        return false;
    }
    json_int_t value = json_integer_value(us);
    printf("new keys with %s (%s) in %s\n", name, veld_json_text(peer, "ip"),
           veld_format_rtt(value < 0 ? 0 : (uint64_t)value, took));
    return true;
}

static int rekey(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *request = json_object(), *answer, *peer;
    if (cli->n_args > 0)
        json_object_set_new(request, "peer", json_string(cli->args[0]));
    char *body = cli->n_args > 0 && json_object_size(request) == 0
                     ? NULL /* not UTF-8 */
                     : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!body)
        return veld_cli_fail("\"%.64s\" cannot be a peer's name", cli->args[0]);
    int rc = veld_client_call(cli->socket, "/v1/rekey", body, &answer, &diag);
    free(body);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    const json_t *peers = json_object_get(answer, "peers");
    size_t i, failed = 0;
    json_array_foreach(peers, i, peer) failed += !print_peer(peer);
    if (json_array_size(peers) == 0)
        puts("no peer has a session");
    json_decref(answer);
    return failed ? VELD_CLI_FAILED : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_rekey = {
    .name = "rekey",
    .arguments = "[NAME]",
    .summary = "replace the session keys with a peer, or with all, now",
    .text =
        "NAME is a peer's name or address; without it, all peers that have a session.\n"
        "Keys are replaced every two minutes anyway. Traffic goes on meanwhile. Returns when\n"
        "it is done, after 10 seconds at most. Exit status 1 when it failed with a peer;\n"
        "keys younger than a second are not replaced.\n",
    .max_args = 1,
    .run = rekey,
};

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"
#include "cli/pending.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

enum { OPTION_JSON, OPTION_DUMP = 0 };

static uint64_t number_at(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n < 0 ? 0 : (uint64_t)n;
}

/* The strings of an array, joined. The caller frees; NULL when out of memory. */
static char *joined(const json_t *list, const char *separator)
{
    char *out = NULL;
    size_t size = 0, i;
    json_t *item;
    FILE *f = open_memstream(&out, &size);
    if (!f)
        return NULL;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        fprintf(f, "%s%s", i ? separator : "", text ? text : "-");
    }
    if (json_array_size(list) == 0)
        fputc('-', f);
    fclose(f);
    return out;
}

static const char *name_or(const json_t *peer, const char *otherwise)
{
    const char *name = veld_json_text(peer, "name");
    return name[0] ? name : otherwise;
}

static enum veld_colour colour_of(const char *state)
{
    if (strcmp(state, "active") == 0)
        return VELD_GREEN;
    if (strcmp(state, "connecting") == 0)
        return VELD_YELLOW;
    return strcmp(state, "idle") == 0 ? VELD_DIM : VELD_RED;
}

/* Why it is not reached, after the state; of one that is offline instead of it. */
static void why_text(const json_t *why, const char *state, char *out, size_t size)
{
    static const char peer[] = "peer ";
    const char *text = veld_json_text(why, "text");
    if (strcmp(veld_json_text(why, "reason"), "offline") == 0 &&
        strncmp(text, peer, strlen(peer)) == 0)
        snprintf(out, size, "%s", text + strlen(peer));
    else
        snprintf(out, size, "%s; %s", state, text);
}

/*
 * "active; direct 192.0.2.1:51820, mtu 1420", "active; relay NAME, ...", "connecting; UDP blocked",
 * or the state alone.
 */
static void state_text(const json_t *peer, char *out, size_t size)
{
    const char *state = veld_json_text(peer, "state");
    char mtu[32] = "";
    if (number_at(peer, "mtu"))
        snprintf(mtu, sizeof mtu, ", mtu %" PRIu64, number_at(peer, "mtu"));
    bool relayed = strcmp(veld_json_text(peer, "path"), "relay") == 0;
    if (strcmp(state, "active") == 0)
        snprintf(out, size, "%s; %s %s%s", state, veld_json_text(peer, "path"),
                 veld_json_text(peer, relayed ? "relay" : "endpoint"), mtu);
    else if (json_is_object(json_object_get(peer, "why")))
        why_text(json_object_get(peer, "why"), state, out, size);
    else
        snprintf(out, size, "%s", state);
}

static void age_text(const json_t *peer, char out[VELD_FORMAT_SIZE * 2])
{
    char age[VELD_FORMAT_SIZE];
    uint64_t then = number_at(peer, "last_handshake"), now = (uint64_t)time(NULL);
    if (then == 0)
        strcpy(out, "never");
    else
        snprintf(out, VELD_FORMAT_SIZE * 2, "%s ago",
                 veld_format_age(now > then ? now - then : 0, age));
}

static int add_peer(struct veld_table *t, const json_t *peer)
{
    char state[256], tx[VELD_FORMAT_SIZE], rx[VELD_FORMAT_SIZE], age[VELD_FORMAT_SIZE * 2];
    char tx_cell[VELD_FORMAT_SIZE + 4], rx_cell[VELD_FORMAT_SIZE + 4];
    char *addresses = joined(json_object_get(peer, "addresses"), ",");
    if (!addresses)
        return VELD_E_NOMEM;
    state_text(peer, state, sizeof state);
    if (json_is_true(json_object_get(peer, "relays")))
        snprintf(state + strlen(state), sizeof state - strlen(state), "; a relay");
    age_text(peer, age);
    snprintf(tx_cell, sizeof tx_cell, "tx %s",
             veld_format_bytes(number_at(peer, "tx_bytes"), tx));
    snprintf(rx_cell, sizeof rx_cell, "rx %s",
             veld_format_bytes(number_at(peer, "rx_bytes"), rx));
    const struct veld_table_cell cells[] = {{addresses, VELD_PLAIN},
                                            {name_or(peer, "-"), VELD_PLAIN},
                                            {state, colour_of(veld_json_text(peer, "state"))},
                                            {tx_cell, VELD_PLAIN},
                                            {rx_cell, VELD_PLAIN},
                                            {age, VELD_PLAIN}};
    int rc = veld_table_add(t, cells);
    free(addresses);
    return rc;
}

static int print_peers(const json_t *status, FILE *out)
{
    const json_t *peers = json_object_get(status, "peers");
    size_t i;
    json_t *peer;
    struct veld_table *t = veld_table_new(6);
    int rc = t ? 0 : VELD_E_NOMEM;
    json_array_foreach(peers, i, peer)
    {
        if (rc == 0)
            rc = add_peer(t, peer);
    }
    if (rc == 0)
        veld_table_print(t, out, veld_wants_colour(out));
    veld_table_free(t);
    return rc;
}

static int print_own(const json_t *status, FILE *out)
{
    const json_t *interface = json_object_get(status, "interface");
    char *addresses = joined(json_object_get(interface, "addresses"), ",");
    if (!addresses)
        return VELD_E_NOMEM;
    fprintf(out, "%s  %s  on %s, listening on %s, public key %s\n",
            veld_json_text(status, "name"), addresses, veld_json_text(interface, "name"),
            veld_json_text(status, "listen"), veld_json_text(status, "pubkey"));
    free(addresses);
    return 0;
}

/* The network this machine is in by a coord server; nothing where it is in none. */
static void print_network(const json_t *status, FILE *out)
{
    const json_t *network = json_object_get(status, "network");
    const json_t *coord = json_object_get(status, "coord");
    uint64_t members = number_at(network, "members");
    if (!network)
        return;
    fprintf(out, "network %s (%s)  %" PRIu64 " member%s, %" PRIu64 " online",
            veld_json_text(network, "name"), veld_json_text(network, "id"), members,
            members == 1 ? "" : "s", number_at(network, "online"));
    if (coord)
        fprintf(out, "; coord server %s: %s", veld_json_text(coord, "address"),
                veld_json_text(coord, "state"));
    fputc('\n', out);
}

static void print_lan(const json_t *status, FILE *out)
{
    const json_t *lan = json_object_get(status, "lan");
    uint64_t members = number_at(lan, "members"), found = number_at(lan, "found");
    if (!lan)
        return;
    fprintf(out, "on this LAN, %s  %" PRIu64 " member%s, %" PRIu64 " other device%s found\n",
            json_is_true(json_object_get(lan, "secret")) ? "by a secret" : "by accepted keys",
            members, members == 1 ? "" : "s", found, found == 1 ? "" : "s");
}

/* Routes that are offered to this machine, and why it does not use them. */
static void print_refused_routes(const json_t *status, FILE *out)
{
    bool colour = veld_wants_colour(out);
    size_t i;
    json_t *route;
    json_array_foreach(json_object_get(status, "refused_routes"), i, route)
    {
        const char *taken_by = json_string_value(json_object_get(route, "taken_by"));
        fprintf(out, "%sroute not used:%s %s of %s: %s%s%s%s\n",
                veld_colour_start(VELD_YELLOW, colour), veld_colour_end(VELD_YELLOW, colour),
                veld_json_text(route, "route"), veld_json_text(route, "peer"),
                veld_json_text(route, "text"), taken_by ? " (" : "", taken_by ? taken_by : "",
                taken_by ? ")" : "");
    }
}

/* What carries packets here, and how. */
static void print_dataplane(const json_t *status, FILE *out)
{
    const json_t *d = json_object_get(status, "dataplane");
    uint64_t workers = number_at(d, "workers");
    fprintf(out, "%" PRIu64 " worker%s by %s (%s), cipher by %s, offload %s\n", workers,
            workers == 1 ? "" : "s", veld_json_text(d, "engine"),
            veld_json_text(d, "engine_features"), veld_json_text(d, "aead"),
            veld_json_text(d, "offload"));
}

/* What this machine forwards for others; nothing where it does not relay. */
static void print_relaying(const json_t *status, FILE *out)
{
    const json_t *r = json_object_get(status, "relaying");
    uint64_t circuits = number_at(r, "circuits");
    char bytes[VELD_FORMAT_SIZE];
    if (json_is_true(json_object_get(r, "enabled")))
        fprintf(out, "relaying for others: %" PRIu64 " circuit%s, %s so far\n", circuits,
                circuits == 1 ? "" : "s", veld_format_bytes(number_at(r, "bytes"), bytes));
}

static void print_health(const json_t *status, FILE *out)
{
    bool colour = veld_wants_colour(out);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(status, "health"), i, item)
        fprintf(out, "%shealth:%s %s\n", veld_colour_start(VELD_YELLOW, colour),
                veld_colour_end(VELD_YELLOW, colour), json_string_value(item));
}

static int status(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *json;
    if (veld_client_call(cli->socket, "/v1/status", NULL, &json, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    int rc = 0;
    if (cli->option[OPTION_JSON]) {
        rc = json_dumpf(json, stdout, JSON_INDENT(2)) < 0 ? VELD_E_IO : 0;
        putchar('\n');
    } else {
        rc = print_own(json, stdout);
        print_network(json, stdout);
        print_lan(json, stdout);
        if (rc == 0)
            rc = print_peers(json, stdout);
        print_refused_routes(json, stdout);
        if (rc == 0)
            rc = veld_pending_print(json_object_get(json_object_get(json, "lan"), "pending"),
                                    stdout);
        print_dataplane(json, stdout);
        print_relaying(json, stdout);
        print_health(json, stdout);
    }
    json_decref(json);
    return rc < 0 ? veld_cli_fail("%s", veld_strerror(rc)) : VELD_CLI_DONE;
}

/* Tab-separated, for scripts: this line's fields and their order stay as they are. */
static int dump_peer(const json_t *peer, FILE *out)
{
    const json_t *rtt = json_object_get(peer, "rtt_us");
    char *addresses = joined(json_object_get(peer, "addresses"), ",");
    if (!addresses)
        return VELD_E_NOMEM;
    const char *path = veld_json_text(peer, "path");
    bool relayed = strcmp(path, "relay") == 0;
    fprintf(out, "%s\t%s\t%s\t%s\t%s%s%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t",
            veld_json_text(peer, "pubkey"), name_or(peer, "-"), addresses,
            veld_json_text(peer, "endpoint"), path, relayed ? ":" : "",
            relayed ? veld_json_text(peer, "relay") : "", number_at(peer, "last_handshake"),
            number_at(peer, "rx_bytes"), number_at(peer, "tx_bytes"));
    if (json_is_integer(rtt))
        fprintf(out, "%" PRIu64 "\n", number_at(peer, "rtt_us"));
    else
        fputs("-\n", out);
    free(addresses);
    return 0;
}

static int peers(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *json, *peer;
    size_t i;
    if (veld_client_call(cli->socket, "/v1/status", NULL, &json, &diag) < 0)
        return veld_cli_fail_diag(&diag);
    int rc = 0;
    if (!cli->option[OPTION_DUMP]) {
        rc = print_peers(json, stdout);
        if (json_array_size(json_object_get(json, "peers")) == 0 && isatty(STDOUT_FILENO))
            puts("there are no peers yet");
    } else {
        json_array_foreach(json_object_get(json, "peers"), i, peer)
        {
            if (rc == 0)
                rc = dump_peer(peer, stdout);
        }
    }
    json_decref(json);
    return rc < 0 ? veld_cli_fail("%s", veld_strerror(rc)) : VELD_CLI_DONE;
}

const struct veld_cli_command veld_cmd_status = {
    .name = "status",
    .arguments = "",
    .summary = "show this machine, its peers, and what is wrong",
    .text =
        "One line about this machine, one about its network, if it is in one by a coord\n"
        "server or by LAN mode, then one a peer: addresses, name, state, sent, received, time\n"
        "since the last handshake. Then routes that are offered and not used, devices that\n"
        "wait to be trusted, how packets are carried, and what is wrong, each with the\n"
        "command that mends it. Exit status 0 when veld runs, 1 when not.\n",
    .options = {{"json", '\0', NULL, "everything, as JSON; its \"version\" is its shape's"}},
    .run = status,
};

const struct veld_cli_command veld_cmd_peers = {
    .name = "peers",
    .arguments = "",
    .summary = "list the peers",
    .text = "With --dump one line a peer, separated by tabs: public key, name, addresses,\n"
            "endpoint, path (direct or relay:NAME), last handshake (Unix seconds, 0 never),\n"
            "received bytes, sent bytes, round trip in microseconds. What is not known is\n"
            "\"-\".\n",
    .options = {{"dump", '\0', NULL, "for scripts"}},
    .run = peers,
};

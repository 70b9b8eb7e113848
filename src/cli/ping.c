#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DEFAULT_TRIES 3  /* without an answer */
#define RELAYED_MAX   10 /* answers by a relay, while a direct path is sought */
#define COUNT_MAX     1000000

enum { OPTION_COUNT };

/* Was it direct? */
static bool print_pong(const json_t *pong, const char *asked)
{
    char rtt[VELD_FORMAT_SIZE];
    const char *name = json_string_value(json_object_get(pong, "name"));
    const char *ip = json_string_value(json_object_get(pong, "ip"));
    const char *path = json_string_value(json_object_get(pong, "path"));
    json_int_t us = json_integer_value(json_object_get(pong, "rtt_us"));
    printf("pong from %s (%s) via %s in %s\n", name && name[0] ? name : asked, ip ? ip : "-",
           path ? path : "-", veld_format_rtt(us < 0 ? 0 : (uint64_t)us, rtt));
    fflush(stdout);
    return json_is_true(json_object_get(pong, "direct"));
}

/* 0 when it was answered, 1 by a relay. VELD_E_LIMIT: try again; else there is no use. */
static int ping_once(const struct veld_cli *cli, struct veld_diag *diag)
{
    json_t *request = json_pack("{s:s}", "peer", cli->args[0]), *pong;
    char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!body)
        return veld_fail(diag, VELD_E_NOMEM, "\"%.64s\" cannot be a peer's name", cli->args[0]);
    int rc = veld_client_call(cli->socket, "/v1/ping", body, &pong, diag);
    free(body);
    if (rc < 0)
        return rc;
    bool direct = print_pong(pong, cli->args[0]);
    json_decref(pong);
    return direct ? 0 : 1;
}

/* By its name, in full or not, or one of its addresses. */
static bool is_self(const struct veld_cli *cli)
{
    struct veld_diag ignored;
    const char *asked = cli->args[0];
    json_t *status, *item;
    size_t i;
    if (veld_client_call(cli->socket, "/v1/status", NULL, &status, &ignored) < 0)
        return false;
    const char *name = veld_json_text(status, "name");
    size_t len = strlen(name);
    bool self = strncasecmp(asked, name, len) == 0 &&
                (!asked[len] || strcasecmp(asked + len, ".veld") == 0);
    json_array_foreach(json_object_get(json_object_get(status, "interface"), "addresses"), i,
                       item)
    {
        const char *address = json_string_value(item) ? json_string_value(item) : "";
        len = strcspn(address, "/");
        self = self || (len > 0 && strlen(asked) == len && strncmp(asked, address, len) == 0);
    }
    json_decref(status);
    return self;
}

/* 0: as often as is sensible. VELD_E_FORMAT, told. */
static int read_count(const char *text, long *count)
{
    char *end;
    *count = text ? strtol(text, &end, 10) : 0;
    if (!text || (!*end && end != text && *count >= 1 && *count <= COUNT_MAX))
        return 0;
    veld_cli_fail("--count: \"%s\" is not a number from 1 to %d", text, COUNT_MAX);
    return VELD_E_FORMAT;
}

static int ping(const struct veld_cli *cli)
{
    long count, answered = 0, relayed = 0, failed = 0;
    struct veld_diag last = {0};
    if (read_count(cli->option[OPTION_COUNT], &count) < 0)
        return VELD_CLI_USAGE;
    while (count ? answered + failed < count
                 : failed < DEFAULT_TRIES && relayed < RELAYED_MAX && answered == relayed) {
        struct veld_diag diag;
        if (answered + failed > 0)
            sleep(1);
        int rc = ping_once(cli, &diag);
        if (rc >= 0) {
            answered++;
            relayed += rc;
            continue;
        }
        failed++;
        if (rc != VELD_E_LIMIT && is_self(cli))
            return veld_cli_fail("%s is this machine", cli->args[0]);
        if (strcmp(diag.text, last.text) == 0)
            veld_cli_fail("no answer");
        else
            veld_cli_fail_diag(&diag);
        if (rc != VELD_E_LIMIT)
            return VELD_CLI_FAILED;
        last = diag;
    }
    if (!count && relayed == RELAYED_MAX)
        fprintf(
            stderr,
            "veld: no direct path to %s was found; veld netcheck, here and there, says what "
            "NATs are between\n",
            cli->args[0]);
    return answered > 0 ? VELD_CLI_DONE : VELD_CLI_FAILED;
}

const struct veld_cli_command veld_cmd_ping = {
    .name = "ping",
    .arguments = "NAME",
    .summary = "ask a peer for an answer through the tunnel, and say by which way it came",
    .text =
        "NAME is a peer's name or address. Stops at the first answer that came directly,\n"
        "after ten by a relay, or after three tries of 5 seconds without any. Exit status 1\n"
        "when no answer came.\n",
    .options = {{"count", 'c', "N", "ask N times, one second apart"}},
    .min_args = 1,
    .max_args = 1,
    .run = ping,
};

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_JSON };

static void print_family(const char *what, const json_t *f)
{
    const char *mapped = veld_json_text(f, "mapped");
    bool nat = json_is_true(json_object_get(f, "behind_nat"));
    if (strcmp(mapped, "-") == 0)
        printf("%-22s no answer\n", what);
    else
        printf("%-22s %s%s\n", what, mapped, nat ? " (behind a NAT)" : " (no NAT)");
}

static const char *mapping_text(const json_t *f, bool has_coord)
{
    const char *mapping = veld_json_text(f, "mapping");
    return strcmp(mapping, "varies") == 0
               ? "yes: a symmetric NAT; direct paths may need a relay first"
           : strcmp(mapping, "same") == 0 ? "no"
           : has_coord ? "unknown: it takes answers of two servers; name them in "
                         "/etc/veld/config.toml: stun_servers, beside [coord] and its "
                         "network, see veld-config(5)"
                       : "unknown: it takes answers of two servers (stun_servers in the "
                         "config)";
}

static void print_servers(const json_t *servers)
{
    const json_t *s;
    size_t i;
    char took[VELD_FORMAT_SIZE];
    json_array_foreach(servers, i, s)
    {
        const json_t *rtt = json_object_get(s, "rtt_us");
        printf("%-22s %s %s%s\n", i ? "" : "STUN servers:", veld_json_text(s, "address"),
               rtt                                            ? "answered in "
               : json_is_true(json_object_get(s, "answered")) ? "answered"
                                                              : "silent",
               rtt ? veld_format_rtt((uint64_t)json_integer_value(rtt), took) : "");
    }
}

static void print_paths(const json_t *paths)
{
    const json_t *p;
    size_t i;
    json_array_foreach(paths, i, p)
        printf("%-22s %s %lld bytes%s\n", i ? "" : "Path MTU:", veld_json_text(p, "peer"),
               (long long)json_integer_value(json_object_get(p, "mtu")),
               json_is_true(json_object_get(p, "known")) ? "" : ", and perhaps more");
}

static void print_coord(const json_t *coord)
{
    const json_t *rtt = json_object_get(coord, "rtt_us");
    char took[VELD_FORMAT_SIZE];
    if (json_is_object(coord))
        printf("%-22s %s %s%s\n", "Coord server:", veld_json_text(coord, "address"),
               json_is_integer(rtt) ? "answers in " : "does not answer; see: veld status",
               json_is_integer(rtt) ? veld_format_rtt((uint64_t)json_integer_value(rtt), took)
                                    : "");
}

static void print_relays(const json_t *relays)
{
    const json_t *r;
    size_t i;
    char took[VELD_FORMAT_SIZE];
    if (json_array_size(relays) == 0)
        printf("%-22s none\n", "Relays:");
    json_array_foreach(relays, i, r)
    {
        const json_t *rtt = json_object_get(r, "rtt_us");
        bool answers = json_is_integer(rtt);
        printf("%-22s %s %s%s%s\n", i ? "" : "Relays:", veld_json_text(r, "name"),
               answers ? "answers in " : "does not answer",
               answers ? veld_format_rtt((uint64_t)json_integer_value(rtt), took) : "",
               json_is_true(json_object_get(r, "home")) ? ", a home of this machine" : "");
    }
}

static const char *hairpin_text(const json_t *hairpin)
{
    return json_is_true(hairpin)    ? "yes"
           : json_is_false(hairpin) ? "no: machines behind this NAT reach each other by their "
                                      "own addresses, or by a relay"
                                    : "unknown: no NAT is seen, or the answers came too late";
}

static void print_port_mapping(const json_t *m)
{
    const char *method = json_string_value(json_object_get(m, "method"));
    if (method)
        printf("%-22s %s %s\n",
               "Port mapping:", strcmp(method, "upnp") == 0 ? "UPnP" : "NAT-PMP",
               veld_json_text(m, "mapped"));
    else
        printf("%-22s none: %s\n", "Port mapping:", veld_json_text(m, "reason"));
}

static void print(const json_t *answer)
{
    const json_t *reach = json_object_get(answer, "reach"), *e;
    const json_t *udp = json_object_get(answer, "udp"), *v4 = json_object_get(reach, "ipv4");
    size_t i;
    printf("%-22s %s\n", "UDP:",
           json_is_null(udp)   ? "unknown: there is no STUN server to ask; name some in the "
                                 "config (stun_servers)"
           : json_is_true(udp) ? "yes"
                               : "no answer: see that the firewall lets UDP out, and that the "
                                 "STUN servers are up");
    print_family("IPv4:", v4);
    print_family("IPv6:", json_object_get(reach, "ipv6"));
    printf("%-22s %s\n", "Mapping varies:",
           mapping_text(v4, json_is_object(json_object_get(answer, "coord"))));
    printf("%-22s %s\n", "Hairpinning:", hairpin_text(json_object_get(answer, "hairpin")));
    print_port_mapping(json_object_get(reach, "port_mapping"));
    json_array_foreach(json_object_get(reach, "candidates"), i, e)
        printf("%-22s %s\n", i ? "" : "Candidates:", json_string_value(e));
    print_coord(json_object_get(answer, "coord"));
    print_relays(json_object_get(answer, "relays"));
    print_servers(json_object_get(answer, "stun_servers"));
    print_paths(json_object_get(answer, "paths"));
}

static int netcheck(const struct veld_cli *cli)
{
    struct veld_diag diag;
    json_t *answer;
    bool tells = isatty(STDERR_FILENO);
    if (tells)
        fputs("asking STUN servers...\r", stderr);
    int rc = veld_client_call(cli->socket, "/v1/netcheck", "{}", &answer, &diag);
    if (tells)
        fputs("\033[K", stderr);
    if (rc < 0)
        return veld_cli_fail_diag(&diag);
    if (cli->option[OPTION_JSON]) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print(answer);
    }
    int result =
        json_is_false(json_object_get(answer, "udp")) ? VELD_CLI_FAILED : VELD_CLI_DONE;
    json_decref(answer);
    return result;
}

const struct veld_cli_command veld_cmd_netcheck = {
    .name = "netcheck",
    .arguments = "",
    .summary = "show how this machine may be reached: UDP, NAT, addresses",
    .text =
        "Asks the STUN servers (stun_servers in the config, else the coord server) at which\n"
        "address they see this machine. Takes 5 seconds at most. Exit status 1 when servers\n"
        "were asked and none answered, or veld is not running.\n",
    .options = {[OPTION_JSON] = {"json", '\0', NULL, "print JSON"}},
    .run = netcheck,
};

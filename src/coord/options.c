#include "coord/options.h"

#include "base/host_port.h"
#include "base/nearest.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 50051

static const char usage[] =
    "usage: veld-coord --db FILE [--listen ADDR:PORT] [OPTION...]\n"
    "       veld-coord fingerprint --db FILE\n"
    "       veld-coord backup --db FILE OUT\n"
    "       veld-coord health [--connect HOST[:PORT]]\n"
    "\n"
    "Serves networks of Veld: who their members are and where they may be reached.\n"
    "Nobody has to trust it with more than that it answers.\n"
    "\n"
    "  -d, --db FILE           everything there is to keep, certificate included; made\n"
    "                          when missing\n"
    "      --listen ADDR:PORT  default :50051, every address of IPv4 and IPv6\n"
    "      --tls-cert FILE     a certificate chain of your own, in PEM, and its key;\n"
    "      --tls-key FILE      without them the server makes itself one\n"
    "      --stun ADDR:PORT    where to tell machines their address as it is seen from\n"
    "                          outside, over UDP; default: where --listen is; off: nowhere\n"
    "      --metrics ADDR:PORT numbers for Prometheus, over plain HTTP\n"
    "      --max-connections N, --max-per-address N, --max-streams N\n"
    "                          default 16384; 1024 of one IPv4 address or IPv6 /64; 32\n"
    "                          calls at once on a connection\n"
    "      --no-rate-limits    answer everybody as often as they ask: for a lab\n"
    "  -l, --log-level L       error, warn, info or debug; default info\n"
    "      --log-format F      text or json; default text\n"
    "      --no-supervise      one process, which is not started again if it crashes\n"
    "      --version, --help\n"
    "\n"
    "fingerprint: the certificate's, as 'veld login' shows it.\n"
    "backup:      a copy in a new file OUT; beside a running server too.\n"
    "health:      exit 0 when the server at HOST[:PORT] (default localhost:50051)\n"
    "             serves.\n";

static int wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("veld-coord: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("; see: veld-coord --help\n", stderr);
    return VELD_COORD_USAGE;
}

enum {
    OPT_LISTEN = 256,
    OPT_CERT,
    OPT_KEY,
    OPT_METRICS,
    OPT_STUN,
    OPT_CONNECTIONS,
    OPT_PER_ADDRESS,
    OPT_STREAMS,
    OPT_FORMAT,
    OPT_NO_RATES,
    OPT_NO_SUPERVISE,
    OPT_CONNECT,
    OPT_VERSION,
    OPT_HELP,
};
static const struct option longs[] = {
    {"db", required_argument, NULL, 'd'},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"tls-cert", required_argument, NULL, OPT_CERT},
    {"tls-key", required_argument, NULL, OPT_KEY},
    {"metrics", required_argument, NULL, OPT_METRICS},
    {"stun", required_argument, NULL, OPT_STUN},
    {"max-connections", required_argument, NULL, OPT_CONNECTIONS},
    {"max-per-address", required_argument, NULL, OPT_PER_ADDRESS},
    {"max-streams", required_argument, NULL, OPT_STREAMS},
    {"log-level", required_argument, NULL, 'l'},
    {"log-format", required_argument, NULL, OPT_FORMAT},
    {"no-rate-limits", no_argument, NULL, OPT_NO_RATES},
    {"no-supervise", no_argument, NULL, OPT_NO_SUPERVISE},
    {"connect", required_argument, NULL, OPT_CONNECT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static int set_address(const char *option, struct veld_listen_address *out)
{
    if (veld_listen_parse(optarg, out) < 0)
        return wrong("%s %s: not an address and port, such as :50051, 127.0.0.1:50051 or "
                     "[::1]:50051",
                     option, optarg);
    return -1;
}

static int set_stun(struct veld_coord_options *o)
{
    o->stun_at = strcmp(optarg, "off") == 0 ? VELD_COORD_STUN_OFF : VELD_COORD_STUN_AT;
    if (o->stun_at == VELD_COORD_STUN_OFF)
        return -1;
    int rc = set_address("--stun", &o->stun);
    o->stun.transport = VELD_LISTEN_UDP;
    return rc;
}

static int set_limit(const char *option, uint32_t max, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(optarg, &end, 10);
    if (optarg[0] < '0' || optarg[0] > '9' || *end || v < 1 || v > max)
        return wrong("%s %s: not a number of 1 to %u", option, optarg, max);
    *out = (uint32_t)v;
    return -1;
}

static int set_log(struct veld_coord_options *o, int opt)
{
    if (opt == 'l' && veld_log_level_parse(optarg, &o->log_level) < 0)
        return wrong("--log-level %s: use error, warn, info or debug", optarg);
    if (opt == OPT_FORMAT && veld_log_format_parse(optarg, &o->log_format) < 0)
        return wrong("--log-format %s: use text or json", optarg);
    return -1;
}

static int set_connect(struct veld_coord_options *o)
{
    if (veld_host_port_parse(optarg, DEFAULT_PORT, o->connect) < 0)
        return wrong("--connect %s: not a host and port, such as localhost:50051 or "
                     "[::1]:50051",
                     optarg);
    return -1;
}

/* -1: go on. */
static int set_option(struct veld_coord_options *o, int opt)
{
    switch (opt) {
    case 'd': o->db = optarg; return -1;
    case OPT_LISTEN: return set_address("--listen", &o->listen);
    case OPT_CERT: o->tls_cert = optarg; return -1;
    case OPT_KEY: o->tls_key = optarg; return -1;
    case OPT_METRICS: o->has_metrics = true; return set_address("--metrics", &o->metrics);
    case OPT_STUN: return set_stun(o);
    case OPT_CONNECTIONS:
        return set_limit("--max-connections", 1000000, &o->limits.connections);
    case OPT_PER_ADDRESS:
        return set_limit("--max-per-address", 1000000, &o->limits.connections_per_address);
    case OPT_STREAMS: return set_limit("--max-streams", 10000, &o->limits.streams);
    case 'l':
    case OPT_FORMAT: return set_log(o, opt);
    case OPT_NO_RATES: o->rate_limits = false; return -1;
    case OPT_NO_SUPERVISE: o->supervise = false; return -1;
    case OPT_CONNECT: return set_connect(o);
    case OPT_VERSION: puts("veld-coord " VELD_VERSION); return VELD_COORD_DONE;
    case OPT_HELP: fputs(usage, stdout); return VELD_COORD_DONE;
    default: return VELD_COORD_USAGE;
    }
}

static const char *const commands[] = {
    [VELD_COORD_SERVE] = "serve", /* what it does when none is named; may be named */
    [VELD_COORD_FINGERPRINT] = "fingerprint",
    [VELD_COORD_BACKUP] = "backup",
    [VELD_COORD_HEALTH] = "health",
};

static int set_command(struct veld_coord_options *o, const char *name)
{
    for (size_t i = 0; i < VELD_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i], name) == 0) {
            o->command = (enum veld_coord_command)i;
            return -1;
        }
    }
    const char *nearest = veld_nearest(name, commands, VELD_ARRAY_LEN(commands));
    if (nearest)
        return wrong("\"%s\" is no command (did you mean \"veld-coord %s\"?)", name, nearest);
    return wrong("\"%s\" is no command", name);
}

/* What each command needs; -1: all is there. */
static int check(const struct veld_coord_options *o)
{
    if (o->command != VELD_COORD_HEALTH && !o->db)
        return wrong("--db FILE is missing: the file that keeps the registry, such as "
                     "--db ./peers.db");
    if (o->command == VELD_COORD_BACKUP && !o->out)
        return wrong("backup needs the name of a new file");
    if (!o->tls_cert != !o->tls_key)
        return wrong("--tls-cert and --tls-key go together: %s is missing",
                     o->tls_cert ? "--tls-key" : "--tls-cert");
    return -1;
}

int veld_coord_options_parse(struct veld_coord_options *o, int argc, char **argv)
{
    *o = (struct veld_coord_options){.connect = "localhost:50051",
                                     .listen = {.port = DEFAULT_PORT},
                                     .limits = VELD_COORD_LIMITS_DEFAULT,
                                     .log_level = VELD_LOG_INFO,
                                     .rate_limits = true,
                                     .supervise = true};
    int opt, rc = -1;
    opterr = 0;
    while (rc < 0 && (opt = getopt_long(argc, argv, ":d:l:", longs, NULL)) != -1) {
        if (opt == ':' || opt == '?')
            return wrong(opt == ':' ? "%s: its value is missing" : "%s: unknown option",
                         argv[optind - 1]);
        rc = set_option(o, opt);
    }
    /* getopt_long has put what are no options at the end. */
    if (rc < 0 && optind < argc)
        rc = set_command(o, argv[optind++]);
    if (rc < 0 && o->command == VELD_COORD_BACKUP && optind < argc)
        o->out = argv[optind++];
    if (rc < 0 && optind < argc)
        rc = wrong("%s: too many arguments", argv[optind]);
    return rc < 0 ? check(o) : rc;
}

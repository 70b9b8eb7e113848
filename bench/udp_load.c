/*
 * UDP load, and what came of it. One receiver, one sender at a time:
 *
 *   udp-load serve  ADDRESS PORT [--key TEXT] [--seconds S]
 *   udp-load send   ADDRESS PORT [--size N] [--rate PPS] [--seconds S] [--flows N]
 *   udp-load search ADDRESS PORT [--size N] [--loss SHARE] [--budget S] [--flows N]
 *   udp-load ping   ADDRESS PORT [--size N] [--seconds S] [--interval US]
 *
 * serve   counts datagrams, duplicates, reordering, corruption; answers the others.
 *         Says "ready" in a line, runs until SIGTERM or SIGINT, then prints the last
 *         trial's counters.
 * send    a trial at a rate (0, the default: as fast as it goes)
 * search  the highest rate with at most that loss (default 0.001)
 * ping    round trips: median, p99, p99.9
 *
 * Both sides must be given the same --key. Sizes are of the UDP payload, 32 bytes and
 * more. Each prints one JSON object. Exit 0 when it ran, 1 when it could not.
 * What each number means: load/probe.h, load/send.h, load/search.h, load/ping.h.
 */
#include "base/bytes.h"
#include "load/ping.h"
#include "load/search.h"
#include "load/send.h"
#include "load/serve.h"
#include "load/sockets.h"
#include "load/tally.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In less, one late wake-up of the sender or the receiver decides a trial. */
#define TRIAL_SECONDS_MIN 0.15
#define WAIT_SECONDS      2 /* for a receiver to answer */

struct options {
    const char *address, *port;
    uint64_t key;
    size_t size;
    unsigned flows;
    double rate, seconds, loss, budget, interval_us;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

static _Noreturn void usage(void)
{
    fputs("usage: udp-load serve|send|search|ping ADDRESS PORT [--key TEXT] [--size N]\n"
          "       [--rate PPS] [--seconds S] [--flows N] [--loss SHARE] [--budget S]\n"
          "       [--interval US]\n",
          stderr);
    exit(2);
}

static double number(const char *text, double min, double max, const char *what)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max)) {
        fprintf(stderr, "udp-load: %s must be a number from %g to %g, not \"%s\"\n", what, min,
                max, text);
        exit(2);
    }
    return v;
}

static void print_counters(const uint64_t counters[PROBE_COUNTERS])
{
    for (int i = 0; i < PROBE_COUNTERS; i++)
        printf(", \"%s\": %llu", probe_counter_names[i], (unsigned long long)counters[i]);
}

/* ---- modes ---- */

static int run_serve(const struct options *o)
{
    struct serve_result r;
    int fd = sockets_listen(o->address, o->port);
    puts("ready");
    fflush(stdout);
    serve(fd, o->key, o->seconds, &stop, &r);
    close(fd);
    printf("{\"trials\": %llu, \"pings\": %llu", (unsigned long long)r.trials,
           (unsigned long long)r.pings);
    print_counters(r.last);
    puts("}");
    return 0;
}

static struct sender *open_sender(const struct options *o)
{
    struct sender *s = sender_open(o->address, o->port, o->key, o->flows);
    if (!sender_wait(s, WAIT_SECONDS))
        sockets_die("no udp-load serve with this key answers at", o->address, 0);
    return s;
}

static int run_send(const struct options *o)
{
    struct sender_result r;
    struct sender *s = open_sender(o);
    const struct sender_plan plan = {
        .rate = o->rate, .seconds = o->seconds > 0 ? o->seconds : 1, .size = o->size};
    sender_run(s, &plan, &stop, &r);
    sender_close(s);
    if (!r.answered)
        sockets_die("the receiver stopped answering:", o->address, 0);
    printf("{\"size\": %zu, \"flows\": %u, \"seconds\": %.3f, \"sent\": %llu, "
           "\"refused\": %llu, \"loss\": %.6f",
           o->size, o->flows, r.seconds, (unsigned long long)r.sent,
           (unsigned long long)r.refused, sender_loss(&r));
    print_counters(r.counters);
    puts("}");
    return 0;
}

struct path {
    struct sender *sender;
    size_t size;
    uint64_t faults; /* duplicates and corruption, over all trials */
};

static bool try_rate(void *context, double rate, double seconds, struct search_trial *out)
{
    struct path *path = context;
    struct sender_result r;
    const struct sender_plan plan = {.rate = rate, .seconds = seconds, .size = path->size};
    sender_run(path->sender, &plan, &stop, &r);
    if (stop)
        return false;
    path->faults += r.counters[COUNT_DUPLICATES] + r.counters[COUNT_CORRUPT];
    *out = (struct search_trial){.offered = (double)r.sent / r.seconds,
                                 .delivered = (double)r.counters[COUNT_RECEIVED] / r.seconds,
                                 .loss = sender_loss(&r)};
    return true;
}

static int run_search(const struct options *o)
{
    const struct search_plan plan = {.start = 16000,
                                     .loss = o->loss,
                                     .tolerance = 0.04,
                                     .seconds = VELD_MAX(o->budget / 20, TRIAL_SECONDS_MIN),
                                     .budget = o->budget};
    struct path path = {.sender = open_sender(o), .size = o->size};
    struct search_result r;
    bool done = search_run(&plan, try_rate, &path, &r);
    sender_close(path.sender);
    if (!done)
        return 1;
    printf("{\"size\": %zu, \"flows\": %u, \"loss_allowed\": %g, \"rate\": %.0f, "
           "\"delivered\": %.0f, \"loss\": %.6f, \"trials\": %u, \"sender_limited\": %s, "
           "\"faults\": %llu}\n",
           o->size, o->flows, o->loss, r.rate, r.trial.delivered, r.trial.loss, r.trials,
           r.sender_limited ? "true" : "false", (unsigned long long)path.faults);
    return 0;
}

static int run_ping(const struct options *o)
{
    sender_close(open_sender(o)); /* the path is up */
    int fd = sockets_connect(o->address, o->port);
    const struct ping_plan plan = {.seconds = o->seconds > 0 ? o->seconds : 1,
                                   .interval_us = o->interval_us,
                                   .size = o->size};
    struct ping_result r;
    ping_run(fd, o->key, &plan, &stop, &r);
    close(fd);
    printf("{\"size\": %zu, \"sent\": %llu, \"lost\": %llu, \"min_us\": %.1f, "
           "\"mean_us\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f}\n",
           o->size, (unsigned long long)r.sent, (unsigned long long)r.lost, r.min_us, r.mean_us,
           r.p50_us, r.p99_us, r.p999_us, r.max_us);
    return 0;
}

/* ---- start ---- */

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"key", required_argument, NULL, 'k'},
                                          {"size", required_argument, NULL, 'n'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"flows", required_argument, NULL, 'f'},
                                          {"loss", required_argument, NULL, 'l'},
                                          {"budget", required_argument, NULL, 'b'},
                                          {"interval", required_argument, NULL, 'i'},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'k': o->key = probe_key(optarg); break;
        case 'n':
            o->size = (size_t)number(optarg, PROBE_SIZE_MIN, PROBE_SIZE_MAX, "--size");
            break;
        case 'r': o->rate = number(optarg, 0, 1e8, "--rate"); break;
        case 's': o->seconds = number(optarg, 0.01, 1e6, "--seconds"); break;
        case 'f': o->flows = (unsigned)number(optarg, 1, TALLY_FLOWS, "--flows"); break;
        case 'l': o->loss = number(optarg, 0, 1, "--loss"); break;
        case 'b': o->budget = number(optarg, 0.1, 3600, "--budget"); break;
        case 'i': o->interval_us = number(optarg, 0, 1e6, "--interval"); break;
        default: usage();
        }
    }
    if (argc - optind != 2)
        usage();
    o->address = argv[optind];
    o->port = argv[optind + 1];
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct options *);
    } modes[] = {
        {"serve", run_serve}, {"send", run_send}, {"search", run_search}, {"ping", run_ping}};
    struct options o = {.key = probe_key("veld"),
                        .size = 64,
                        .flows = 1,
                        .loss = 0.001,
                        .budget = 6,
                        .interval_us = 200};
    if (argc < 2)
        usage();
    parse(argc - 1, argv + 1, &o);
    /* No SA_RESTART: a signal ends the wait for datagrams. */
    const struct sigaction end = {.sa_handler = on_signal};
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    for (size_t i = 0; i < VELD_ARRAY_LEN(modes); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(&o);
    usage();
}

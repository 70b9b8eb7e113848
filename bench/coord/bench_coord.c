/*
 * Load for a coord server, by its real protocol: as many members as asked for,
 * each with a connection of its own.
 *
 *   bench-coord HOST:PORT     commands on standard input, one line of JSON for each on
 *                             standard output; bench/coord-server drives it
 *
 *   register N CONNECTIONS    N new members, over so many connections at once
 *   idle N                    N connections that have asked Hello, and stay open
 *   watch N                   the first N members connect and watch; done when all are synced
 *   join N                    N new members, one after another, each when every watcher
 *                             knows of the one before: how long until they knew
 *   resync SECONDS            wait until every watcher that lost its stream is synced again
 *   quit
 */
#include "base/clock.h"
#include "coord/net.h"
#include "crypto/primitives.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMBERS_MAX     100000
#define CONNECTING_MAX  64   /* watchers that are not synced yet, at once */
#define REWATCH_FROM_MS 200  /* a lost stream is opened again after so long, and up to */
#define REWATCH_TO_MS   5000 /* so long: by chance, as daemons do */
#define STUCK_S         120
#define QUIET_S         10

struct watcher {
    struct bench_member who;
    struct connection *connection;
    uint64_t revision;
    uint64_t again_ns; /* when to open its stream again; 0: it is open */
    bool synced;
};

static struct net *net;
static struct bench_network network;
static struct connection *first; /* for what is asked once */
static struct watcher *watchers;
static size_t n_watchers, n_synced, n_opened, n_lost;
static unsigned n_members;
static uint64_t newest; /* revision that the server told last */

/* One joiner at a time: how many watchers know, and when they knew. */
static struct {
    uint8_t pub[32];
    uint64_t began_ns;
    uint64_t *took_ns; /* of all joins */
    size_t n_took, n_told;
    bool open;
} join;

static uint64_t events, event_bytes, failures;
static char last_failure[256];

static void fail(int code, const char *text)
{
    failures++;
    snprintf(last_failure, sizeof last_failure, "%d: %s", code, text);
}

/* ---- Registrations ---- */

static unsigned registering;

static void on_registered(void *ctx, int code, const char *text, const uint8_t *reply,
                          size_t len)
{
    uint64_t revision;
    registering--;
    if (code != 0)
        fail(code, text);
    else if (!bench_registered(reply, len, &revision))
        fail(code, "not published");
    else if (revision > newest)
        newest = revision;
}

static void register_one(struct connection *c, unsigned number)
{
    struct bench_member m;
    bench_member_make(&network, number, &m);
    struct veld_blob body = bench_register(&network, &m);
    registering++;
    net_call(c, &m, "RegisterMember", body.p, body.len, on_registered, NULL);
    veld_blob_clear(&body);
}

static void cmd_register(unsigned n, unsigned n_connections)
{
    if (n > MEMBERS_MAX - n_members)
        n = MEMBERS_MAX - n_members;
    struct connection **c = calloc(n_connections, sizeof *c);
    for (unsigned i = 0; i < n_connections; i++)
        c[i] = net_connect(net);
    uint64_t began = veld_clock_mono_ns();
    for (unsigned i = 0; i < n;) {
        while (i < n && registering < 4 * n_connections)
            register_one(c[i % n_connections], n_members + i), i++;
        net_turn(net, 100);
    }
    while (registering > 0)
        net_turn(net, 1000);
    double s = (double)(veld_clock_mono_ns() - began) / VELD_NS_PER_S;
    n_members += n;
    for (unsigned i = 0; i < n_connections; i++)
        net_disconnect(c[i]);
    free(c);
    printf(
        "{\"registered\": %u, \"seconds\": %.3f, \"per_second\": %.0f, \"failures\": %" PRIu64
        ", \"last_failure\": \"%s\"}\n",
        n, s, n / s, failures, last_failure);
}

/* ---- Connections that only exist ---- */

static unsigned asking;

static void on_hello(void *ctx, int code, const char *text, const uint8_t *reply, size_t len)
{
    asking--;
    if (code != 0)
        fail(code, text);
}

static void cmd_idle(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        asking++;
        net_call(net_connect(net), NULL, "Hello", "", 0, on_hello, NULL);
        while (asking >= CONNECTING_MAX)
            net_turn(net, 1000);
    }
    while (asking > 0)
        net_turn(net, 1000);
    printf("{\"idle\": %u, \"failures\": %" PRIu64 "}\n", n, failures);
}

/* ---- Watches ---- */

static void on_event(void *ctx, const uint8_t *bytes, size_t len)
{
    struct watcher *w = ctx;
    struct bench_event e;
    events++;
    event_bytes += len;
    if (!bench_event_read(bytes, len, &e)) {
        fail(0, "an event cannot be read");
        return;
    }
    if (e.synced)
        w->revision = e.revision;
    if (e.revision > newest)
        newest = e.revision;
    if (e.synced && !w->synced) {
        w->synced = true;
        n_synced++;
    }
    if (join.open && e.members > 0 && memcmp(e.last, join.pub, 32) == 0) {
        join.took_ns[join.n_took++] = veld_clock_mono_ns() - join.began_ns;
        join.n_told++;
    }
}

static void on_watch_end(void *ctx, int code, const char *text, const uint8_t *reply,
                         size_t len)
{
    struct watcher *w = ctx;
    n_lost++;
    n_opened--;
    if (w->synced)
        n_synced--;
    w->synced = false;
    uint32_t r;
    veld_random(&r, sizeof r);
    w->again_ns = veld_clock_mono_ns() +
                  (REWATCH_FROM_MS + r % (REWATCH_TO_MS - REWATCH_FROM_MS)) * VELD_NS_PER_MS;
    snprintf(last_failure, sizeof last_failure, "watch ended, %d: %s", code, text);
}

static void open_watch(struct watcher *w)
{
    struct veld_blob body = bench_watch(&network, w->revision);
    w->again_ns = 0;
    n_opened++;
    net_watch(w->connection, &w->who, body.p, body.len, on_event, on_watch_end, w);
    veld_blob_clear(&body);
}

static void open_again(void)
{
    uint64_t now = veld_clock_mono_ns();
    for (size_t i = 0; i < n_watchers; i++) {
        if (watchers[i].again_ns && watchers[i].again_ns <= now)
            open_watch(&watchers[i]);
    }
}

static void turn_until_synced(double seconds)
{
    uint64_t end = veld_clock_mono_ns() + (uint64_t)(seconds * 1e9), look = 0;
    while (n_synced < n_watchers && veld_clock_mono_ns() < end) {
        net_turn(net, 20);
        if (veld_clock_mono_ns() > look) {
            open_again();
            look = veld_clock_mono_ns() + 20 * VELD_NS_PER_MS;
        }
    }
}

static void cmd_watch(unsigned n)
{
    uint64_t began = veld_clock_mono_ns();
    size_t before = n_watchers;
    for (; n_watchers < n && n_watchers < n_members; n_watchers++) {
        struct watcher *w = &watchers[n_watchers];
        bench_member_make(&network, (unsigned)n_watchers, &w->who);
        w->connection = net_connect(net);
        w->revision = newest; /* as one that was up to date a moment ago */
        open_watch(w);
        while (n_watchers + 1 - n_synced > CONNECTING_MAX)
            net_turn(net, 100);
    }
    turn_until_synced(STUCK_S);
    printf("{\"watchers\": %zu, \"synced\": %zu, \"opened\": %zu, \"seconds\": %.3f, "
           "\"events\": %" PRIu64 ", \"event_bytes\": %" PRIu64 ", \"lost\": %zu, "
           "\"last_failure\": \"%s\"}\n",
           n_watchers, n_synced, n_watchers - before,
           (double)(veld_clock_mono_ns() - began) / VELD_NS_PER_S, events, event_bytes, n_lost,
           last_failure);
}

/* ---- Joins ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double at_ms(double part)
{
    size_t i = (size_t)(part * (double)(join.n_took - 1));
    return join.n_took ? (double)join.took_ns[i] / VELD_NS_PER_MS : 0;
}

/* Until all have been told who came before: a server takes its time with that. */
static void turn_until_quiet(void)
{
    uint64_t end = veld_clock_mono_ns() + STUCK_S * VELD_NS_PER_S, quiet_ns = 0, seen = events;
    while (veld_clock_mono_ns() < end) {
        net_turn(net, 100);
        if (events != seen || !quiet_ns)
            quiet_ns = veld_clock_mono_ns() + QUIET_S * VELD_NS_PER_S;
        else if (veld_clock_mono_ns() > quiet_ns)
            return;
        seen = events;
    }
}

static void cmd_join(unsigned n)
{
    turn_until_quiet();
    size_t all = (size_t)n * n_watchers, missing = 0;
    events = event_bytes = 0;
    join.took_ns = calloc(all + 1, sizeof *join.took_ns);
    join.n_took = 0;
    for (unsigned i = 0; i < n; i++) {
        struct bench_member m;
        bench_member_make(&network, n_members, &m);
        memcpy(join.pub, m.pub, sizeof join.pub);
        join.n_told = 0;
        join.open = true;
        struct veld_blob body = bench_register(&network, &m);
        join.began_ns = veld_clock_mono_ns();
        registering++;
        net_call(first, &m, "RegisterMember", body.p, body.len, on_registered, NULL);
        veld_blob_clear(&body);
        n_members++;
        uint64_t end = join.began_ns + STUCK_S * VELD_NS_PER_S;
        while ((registering > 0 || join.n_told < n_watchers) && veld_clock_mono_ns() < end)
            net_turn(net, 100);
        join.open = false;
        missing += n_watchers - join.n_told;
    }
    qsort(join.took_ns, join.n_took, sizeof *join.took_ns, compare);
    printf("{\"joins\": %u, \"watchers\": %zu, \"missing\": %zu, \"p50_ms\": %.2f, \"p99_ms\": "
           "%.2f, \"max_ms\": %.2f, \"bytes_each\": %.0f, \"failures\": %" PRIu64
           ", \"lost\": %zu, \"last_failure\": \"%s\"}\n",
           n, n_watchers, missing, at_ms(0.5), at_ms(0.99), at_ms(1),
           all ? (double)event_bytes / (double)all : 0, failures, n_lost, last_failure);
    free(join.took_ns);
}

/* Streams end when the server does: whoever asks has seen to that. */
static void cmd_resync(unsigned seconds)
{
    uint64_t began = veld_clock_mono_ns();
    while (n_lost == 0 && veld_clock_mono_ns() - began < 10 * VELD_NS_PER_S)
        net_turn(net, 20);
    turn_until_synced(seconds);
    printf("{\"lost\": %zu, \"synced\": %zu, \"seconds\": %.3f, \"last_failure\": \"%s\"}\n",
           n_lost, n_synced, (double)(veld_clock_mono_ns() - began) / VELD_NS_PER_S,
           last_failure);
    n_lost = 0;
}

/* ---- Commands ---- */

static bool run(const char *line)
{
    unsigned a = 0, b = 0;
    if (sscanf(line, "register %u %u", &a, &b) == 2 && a > 0 && b > 0)
        cmd_register(a, b);
    else if (sscanf(line, "idle %u", &a) == 1)
        cmd_idle(a);
    else if (sscanf(line, "watch %u", &a) == 1)
        cmd_watch(a);
    else if (sscanf(line, "join %u", &a) == 1)
        cmd_join(a);
    else if (sscanf(line, "resync %u", &a) == 1)
        cmd_resync(a);
    else
        return false;
    fflush(stdout);
    return true;
}

static void on_created(void *ctx, int code, const char *text, const uint8_t *reply, size_t len)
{
    if (code != 0) {
        fprintf(stderr, "bench-coord: cannot create a network: %s\n", text);
        exit(1);
    }
    *(bool *)ctx = true;
}

int main(int argc, char **argv)
{
    char line[128];
    struct rlimit files;
    bool created = false;
    if (argc != 2 || veld_crypto_init() < 0) {
        fputs("usage: bench-coord HOST:PORT\n", stderr);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    net = net_open(argv[1]);
    first = net_connect(net);
    watchers = calloc(MEMBERS_MAX, sizeof *watchers);
    bench_network_make(&network);
    struct veld_blob body = bench_create_network(&network);
    net_call(first, &network.owner, "CreateNetwork", body.p, body.len, on_created, &created);
    veld_blob_clear(&body);
    while (!created)
        net_turn(net, 1000);
    /* Between commands nothing is read: what comes waits. */
    while (fgets(line, sizeof line, stdin)) {
        if (!run(line) && strncmp(line, "quit", 4) == 0)
            break;
    }
    _exit(0); /* ten thousand connections end with the process */
}

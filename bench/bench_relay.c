/*
 * What relaying costs beside a hop that decrypts, without a kernel: a receive of 45
 * data datagrams of 1420 inner bytes,
 *
 *   relayed   forwarded as it came, with another index, in one send
 *   hop       opened, and sealed again for the next peer, as a router of the tunnel does
 *
 * The receive's bytes are copied fresh each time, for both alike, as the kernel would; the hop's
 * way through the kernel's routing, and its second pass over a TUN, are not counted, which
 * flatters the hop. Both on one thread, by CPU time, in turns within a round; the median of the rounds'
 * ratios is shown.
 *
 * bench-relay [--quick] [--json]
 */
#include "base/clock.h"
#include "crypto/primitives.h"
#include "dataplane/forward.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DATAGRAMS  45 /* what one send can hold of them */
#define INNER      1420
#define DIRECT     (INNER + VELD_DATA_OVERHEAD)
#define RELAYED    (DIRECT + VELD_RELAYED_OVERHEAD)
#define NUMBER     0x12345001u
#define ROUNDS_MAX 25

enum { RELAY, HOP, WAYS };
static const char *const way_names[] = {"relayed", "hop"};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench-relay: %s\n", what);
    exit(1);
}

static struct bench {
    struct veld_io io; /* first */
    struct veld_tables tables;
    struct veld_counters counters;
    struct veld_context ctx;
    struct veld_forwarder forwarder;
    const struct veld_aead_backend *aead;
    struct veld_aead_ctx *aead_ctx;
    struct veld_endpoint from;
    uint64_t sent;
    uint32_t token;
    uint8_t key[2][VELD_KEY_SIZE];
    uint8_t wire[WAYS][DATAGRAMS * RELAYED], received[DATAGRAMS * RELAYED];
    struct veld_aead_job jobs[DATAGRAMS];
} b;

static void take_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                      uint32_t token)
{
    b.sent += msg->msg_iov->iov_len;
    b.token = token;
}

static const struct veld_io_ops ops = {.name = "none", .send = take_send};

static struct veld_peer_ref add_peer(uint32_t id, const char *endpoint)
{
    struct veld_path *path = calloc(1, sizeof *path);
    struct sockaddr_storage sa;
    if (!path || veld_peers_add(&b.tables.peers, id) < 0 ||
        veld_endpoint_parse(endpoint, &path->endpoint) < 0 ||
        veld_endpoint_to_sockaddr(&path->endpoint, AF_INET, &sa, &path->to_len) < 0)
        die("cannot add a peer");
    memcpy(&path->to, &sa, path->to_len);
    struct veld_peer *peer = veld_peers_get(&b.tables.peers, id);
    veld_peer_set_path(peer, path);
    return peer->ref;
}

/* A job for each datagram of `bytes`. */
static void fill_jobs(uint8_t *bytes, const uint8_t *key)
{
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        uint8_t *d = bytes + i * DIRECT;
        b.jobs[i] = (struct veld_aead_job){.key = key,
                                           .ad = d,
                                           .ad_len = VELD_HEADER_SIZE,
                                           .data = d + VELD_HEADER_SIZE,
                                           .len = INNER};
        veld_aead_nonce(b.jobs[i].nonce, i);
    }
}

static void make_wire(void)
{
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        struct veld_header h = {.type = VELD_DATA, .index = 7, .counter = i};
        veld_header_write(b.wire[HOP] + i * DIRECT, &h);
    }
    fill_jobs(b.wire[HOP], b.key[0]);
    b.aead->seal(b.aead_ctx, b.jobs, DATAGRAMS);
    for (unsigned i = 0; i < DATAGRAMS; i++) {
        uint8_t *d = b.wire[RELAY] + i * RELAYED;
        veld_relayed_write(d, &(struct veld_relayed){0, NUMBER});
        memcpy(d + VELD_RELAYED_OVERHEAD, b.wire[HOP] + i * DIRECT, DIRECT);
    }
}

static void make(void)
{
    struct veld_diag diag;
    if (veld_crypto_init() < 0 || veld_aead_select("auto", &b.aead, &diag) < 0 ||
        veld_peers_init(&b.tables.peers) < 0 || veld_circuits_init(&b.tables.circuits) < 0 ||
        !(b.aead_ctx = b.aead->new_ctx()))
        die("cannot begin");
    memset(b.key, 7, sizeof b.key);
    b.io.ops = &ops;
    b.ctx = (struct veld_context){
        .tables = &b.tables, .stats = &b.counters, .io = &b.io, .now_ns = VELD_NS_PER_S};
    veld_forwarder_init(&b.forwarder, &b.ctx);
    struct veld_circuit_spec s = {.number = NUMBER,
                                  .remote_index = 5,
                                  .kind = VELD_FORWARD,
                                  .bytes_per_s =
                                      UINT32_MAX * 1000ull, /* looked at, never met */
                                  .n_lines = 1};
    s.from = add_peer(1, "192.0.2.1:1000");
    s.to = add_peer(2, "192.0.2.2:2000");
    if (veld_circuits_set(&b.tables.circuits, &s) < 0 ||
        veld_endpoint_parse("192.0.2.1:1000", &b.from) < 0)
        die("cannot make a forward");
    make_wire();
}

static void relay_once(void)
{
    unsigned n;
    struct veld_forward_arrival a = {
        .data = b.received, .len = DATAGRAMS * RELAYED, .segment = RELAYED, .from = &b.from};
    b.ctx.now_ns += VELD_NS_PER_MS;
    veld_forwarder_begin(&b.forwarder);
    struct veld_circuit_entry *e = veld_circuits_find(&b.tables.circuits, NUMBER);
    if (veld_forwarder_take(&b.forwarder, e, &a, &n) != VELD_FORWARD_QUEUED || n != DATAGRAMS)
        die("it was not forwarded");
    veld_forwarder_sent(&b.forwarder, b.token, (int)a.len);
}

static void hop_once(void)
{
    fill_jobs(b.received, b.key[0]);
    b.aead->open(b.aead_ctx, b.jobs, DATAGRAMS);
    if (!b.jobs[0].ok)
        die("it does not open");
    fill_jobs(b.received, b.key[1]);
    b.aead->seal(b.aead_ctx, b.jobs, DATAGRAMS);
}

static uint64_t cpu_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * VELD_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Datagrams a CPU second. */
static double measure(int way, uint64_t slice_ns)
{
    static void (*const once[])(void) = {[RELAY] = relay_once, [HOP] = hop_once};
    uint64_t began = cpu_time_ns(), now, n = 0;
    do {
        memcpy(b.received, b.wire[way], DATAGRAMS * (way == RELAY ? RELAYED : DIRECT));
        once[way]();
        n += DATAGRAMS;
    } while ((now = cpu_time_ns()) - began < slice_ns);
    return (double)n * VELD_NS_PER_S / (double)(now - began);
}

static int compare(const void *a, const void *c)
{
    double x = *(const double *)a, y = *(const double *)c;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, compare);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {0}};
    unsigned rounds = ROUNDS_MAX;
    uint64_t slice_ns = 100 * VELD_NS_PER_MS;
    int json = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q')
            rounds = 7, slice_ns = 20 * VELD_NS_PER_MS;
        else if (c == 'j')
            json = 1;
        else
            return 2;
    }
    make();
    double rate[WAYS][ROUNDS_MAX], ratio[ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++) {
        for (int way = 0; way < WAYS; way++)
            rate[way][i] = measure(way, slice_ns);
        ratio[i] = rate[RELAY][i] / rate[HOP][i];
    }
    double relayed = median(rate[RELAY], rounds), hop = median(rate[HOP], rounds),
           times = median(ratio, rounds);
    if (json) {
        json_t *out = json_pack("{s:f, s:f, s:f, s:s}", way_names[RELAY], relayed,
                                way_names[HOP], hop, "ratio", times, "aead", b.aead->name);
        json_dumpf(out, stdout, JSON_INDENT(1));
        puts("");
        json_decref(out);
    } else {
        printf("datagrams of %d inner bytes a CPU second, AEAD by %s\n", INNER, b.aead->name);
        printf("  %-8s %12.0f\n  %-8s %12.0f\n  ratio    %12.2f\n", way_names[RELAY], relayed,
               way_names[HOP], hop, times);
    }
    return 0;
}

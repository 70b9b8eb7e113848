/*
 * How the packet path grows with workers, without a kernel: each worker splits,
 * seals and "sends" what a TUN read gave, then "receives", opens, checks and
 * joins it again, all on its own lane of one session and on its own thread. So
 * whatever the workers share that one of them writes shows here, and nothing else.
 *
 *   super-packets   64 KB TCP reads, cut into segments of 1380 bytes
 *   64-byte         single packets, where a shared line would cost the most
 *
 * Each for lanes of their own, as workers have, and for comparison for one lane
 * of all, which is what sharing costs.
 *
 * The rate per CPU second is what a thread did in the time it had a core, so it
 * shows sharing, also on a machine with other work; wall time is honest only on
 * a quiet one. Runs of 1..N workers are interleaved, and medians shown, also of the
 * ratios within a round.
 *
 * bench-workers [--quick] [--json] [--workers N]
 */
#include "base/clock.h"
#include "crypto/primitives.h"
#include "dataplane/inbound.h"
#include "dataplane/outbound.h"

#include <getopt.h>
#include <jansson.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS_MAX  25
#define SENDS_MAX   VELD_RUNS_MAX
#define MTU         1420
#define PEER        1
#define SUPER_BYTES 65000
#define NOW_NS      VELD_NS_PER_S

enum { SUPER, SMALL, WORKLOADS };
enum { OWN_LANES, ONE_LANE, SHARINGS };
static const char *const workload_names[] = {"super-packets", "64-byte"};
static const char *const sharing_names[] = {"own lanes", "one lane"};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench-workers: %s\n", what);
    exit(1);
}

/* ---- A worker's two ends, over an engine that only remembers ---- */

struct end {
    struct veld_io io; /* first */
    struct veld_counters counters;
    struct veld_event_queue events;
    struct veld_context ctx;
    struct veld_outbound out;
    struct veld_inbound in;
    unsigned n_sent, n_written;
    struct {
        uint8_t *data;
        uint32_t len, segment, token;
    } sent[SENDS_MAX];
    uint32_t written[VELD_JOINS_MAX];
};

static void take_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                      uint32_t token)
{
    struct end *e = (struct end *)io;
    uint32_t len = (uint32_t)msg->msg_iov->iov_len, segment = len;
    if (msg->msg_controllen) { /* UDP_SEGMENT; without ECN marks there is no other */
        uint16_t size;
        memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(msg)), sizeof size);
        segment = size;
    }
    e->sent[e->n_sent].data = msg->msg_iov->iov_base;
    e->sent[e->n_sent].len = len;
    e->sent[e->n_sent].segment = segment;
    e->sent[e->n_sent++].token = token;
}

static void take_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct end *e = (struct end *)io;
    e->written[e->n_written++] = token;
}

static void done_receive(struct veld_io *io, uint16_t buffer)
{
}

static const struct veld_io_ops ops = {
    .name = "none", .send = take_send, .write = take_write, .done_receive = done_receive};

static struct end *end_new(const struct veld_tables *tables, unsigned thread)
{
    struct end *e = aligned_alloc(VELD_CACHE_LINE, sizeof *e);
    struct veld_diag diag;
    if (!e)
        die("out of memory");
    memset(e, 0, sizeof *e);
    e->io.ops = &ops;
    e->ctx = (struct veld_context){.tables = tables,
                                   .stats = &e->counters,
                                   .events = &e->events,
                                   .io = &e->io,
                                   .thread = thread,
                                   .now_ns = NOW_NS};
    if (veld_aead_select("auto", &e->ctx.aead, &diag) < 0)
        die(diag.text);
    if (!(e->ctx.aead_ctx = e->ctx.aead->new_ctx()) ||
        veld_event_queue_init(&e->events, VELD_EVENT_QUEUE_SIZE, -1) < 0 ||
        veld_outbound_init(&e->out, &e->ctx, MTU) < 0)
        die("out of memory");
    veld_inbound_init(&e->in, &e->ctx, 64);
    return e;
}

/* ---- Two sites that all workers share, as a daemon's workers do ---- */

static struct veld_tables sites[2];
static const char *const endpoints[2] = {"192.0.2.1:1000", "192.0.2.2:2000"};
static const char *const networks[2] = {"10.9.1.0/24", "10.9.2.0/24"};

/* Site `i` knows the other one, with a session of `lanes`, used and confirmed. */
static void site_open(unsigned i, unsigned workers, uint8_t lanes)
{
    struct veld_tables *t = &sites[i];
    struct sockaddr_storage sa;
    struct veld_path *path = calloc(1, sizeof *path);
    if (!path || veld_peers_init(&t->peers) < 0 || veld_index_init(&t->index) < 0 ||
        veld_peers_add(&t->peers, PEER) < 0)
        die("out of memory");
    struct veld_peer *peer = veld_peers_get(&t->peers, PEER);
    size_t size = (workers + 1) * sizeof *peer->activity;
    peer->activity = aligned_alloc(VELD_CACHE_LINE, size);
    if (!peer->activity || veld_endpoint_parse(endpoints[!i], &path->endpoint) < 0 ||
        veld_endpoint_to_sockaddr(&path->endpoint, AF_INET, &sa, &path->to_len) < 0)
        die("out of memory");
    memset(peer->activity, 0, size);
    memcpy(&path->to, &sa, path->to_len);
    path->mtu = MTU;
    path->mtu_known = true;
    veld_peer_set_path(peer, path);

    struct veld_route_entry route = {.peer = peer->ref};
    if (veld_prefix_parse(networks[!i], &route.prefix) < 0)
        die("a bad prefix");
    atomic_init(&t->routes, veld_routes_build(&route, 1));

    struct veld_session_params p = {.local_index = 1 + i,
                                    .remote_index = 2 - i,
                                    .lanes = lanes,
                                    .reject_at_ns = UINT64_MAX};
    memset(p.send_key, (int)(1 + i), sizeof p.send_key);
    memset(p.recv_key, (int)(2 - i), sizeof p.recv_key);
    struct veld_session *s = veld_session_new(&p, peer);
    if (!s || veld_index_insert(&t->index, s) < 0)
        die("out of memory");
    atomic_init(&s->confirmed, true);
    atomic_init(&peer->tx, s);
}

static void site_close(unsigned i)
{
    struct veld_tables *t = &sites[i];
    veld_session_free(veld_index_find(&t->index, 1 + i));
    veld_index_free(&t->index);
    veld_peers_free(&t->peers);
    veld_routes_free(atomic_load(&t->routes));
}

/* ---- What a worker does ---- */

struct read {
    struct virtio_net_hdr vh;
    uint8_t packet[SUPER_BYTES];
    uint32_t len;
};

static void make_read(struct read *r, int workload)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64};
    struct tcphdr tcp = {.doff = 5, .ack = 1};
    memset(r, 0, sizeof *r);
    r->len = workload == SUPER ? SUPER_BYTES : 64;
    ip.tot_len = htobe16((uint16_t)r->len);
    ip.protocol = workload == SUPER ? IPPROTO_TCP : 253;
    ip.saddr = htobe32(0x0a090101);
    ip.daddr = htobe32(0x0a090201);
    memcpy(r->packet, &ip, sizeof ip);
    if (workload == SMALL)
        return;
    memcpy(r->packet + sizeof ip, &tcp, sizeof tcp);
    r->vh = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                    .gso_size = MTU - sizeof ip - sizeof tcp,
                                    .csum_start = sizeof ip,
                                    .csum_offset = offsetof(struct tcphdr, check)};
}

struct worker {
    pthread_t thread;
    int workload, cpu;
    struct end *from, *to;
    uint64_t packets, cpu_ns;
};

static struct {
    pthread_barrier_t start;
    atomic_bool stop;
} run;

/* What `from` sent, as one receive each. */
static void receive(struct end *to, const struct end *from)
{
    static const struct sockaddr_in address = {.sin_family = AF_INET};
    struct sockaddr_in a = address;
    a.sin_port = htobe16(1000);
    a.sin_addr.s_addr = htobe32(0xc0000201);
    for (unsigned i = 0; i < from->n_sent; i++) {
        if (!veld_inbound_has_room(&to->in)) {
            veld_inbound_flush(&to->in);
            for (unsigned k = 0; k < to->n_written; k++)
                veld_inbound_written(&to->in, to->written[k], 0);
            to->n_written = 0;
            veld_inbound_begin(&to->in);
        }
        struct veld_udp_receive r = {.data = from->sent[i].data,
                                     .len = from->sent[i].len,
                                     .segment = from->sent[i].segment,
                                     .from = (const struct sockaddr *)&a,
                                     .from_len = sizeof a};
        veld_inbound_receive(&to->in, &r);
    }
}

static void turn(struct worker *w, const struct read *read)
{
    struct end *from = w->from, *to = w->to;
    veld_outbound_begin(&from->out);
    for (unsigned i = 0; i < 64 && veld_outbound_has_room(&from->out); i++)
        veld_outbound_packet(&from->out, (const uint8_t *)read, sizeof read->vh + read->len);
    veld_outbound_flush(&from->out);
    veld_inbound_begin(&to->in);
    receive(to, from);
    veld_inbound_flush(&to->in);
    for (unsigned i = 0; i < to->n_written; i++)
        veld_inbound_written(&to->in, to->written[i], 0);
    for (unsigned i = 0; i < from->n_sent; i++)
        veld_outbound_sent(&from->out, from->sent[i].token, (int)from->sent[i].len);
    from->n_sent = to->n_written = 0;
}

static uint64_t cpu_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * VELD_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct read *read = aligned_alloc(VELD_CACHE_LINE, (sizeof *read + 63) & ~(size_t)63);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)w->cpu, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    if (!read)
        die("out of memory");
    make_read(read, w->workload);
    veld_rcu_reader_begin();
    turn(w, read); /* warm */
    uint64_t before = veld_counter_get(&w->to->counters.packets_to_tun);
    veld_rcu_offline();
    pthread_barrier_wait(&run.start);
    uint64_t began = cpu_time_ns();
    while (!atomic_load_explicit(&run.stop, memory_order_relaxed)) {
        veld_rcu_online();
        turn(w, read);
        veld_rcu_offline();
    }
    w->cpu_ns = cpu_time_ns() - began;
    w->packets = veld_counter_get(&w->to->counters.packets_to_tun) - before;
    veld_rcu_online();
    veld_rcu_reader_end();
    free(read);
    return NULL;
}

/* ---- Measurements ---- */

struct samples {
    double v[ROUNDS_MAX];
    size_t n;
};

struct result {
    struct samples wall, cpu; /* packets a second: of wall time; a CPU second, times workers */
};

struct bench {
    unsigned rounds, workers;
    uint64_t slice_ns;
    struct worker worker[VELD_WORKERS_MAX];
    struct result result[WORKLOADS][SHARINGS][VELD_WORKERS_MAX];
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const struct samples *s)
{
    struct samples sorted = *s;
    qsort(sorted.v, sorted.n, sizeof sorted.v[0], compare);
    return sorted.n ? sorted.v[sorted.n / 2] : 0;
}

/* Of what stood beside each other in a round, so that a disturbance hits both. */
static double median_ratio(const struct samples *s, const struct samples *base)
{
    struct samples ratios = {.n = s->n};
    for (size_t i = 0; i < s->n; i++)
        ratios.v[i] = s->v[i] / base->v[i];
    return median(&ratios);
}

static void measure(struct bench *b, int workload, struct result *r, unsigned n)
{
    atomic_store(&run.stop, false);
    pthread_barrier_init(&run.start, NULL, n + 1);
    for (unsigned i = 0; i < n; i++) {
        b->worker[i].workload = workload;
        if (pthread_create(&b->worker[i].thread, NULL, work, &b->worker[i]))
            die("cannot start a thread");
    }
    pthread_barrier_wait(&run.start);
    uint64_t began = veld_clock_mono_ns();
    nanosleep(&(struct timespec){.tv_nsec = (long)b->slice_ns}, NULL);
    atomic_store(&run.stop, true);
    uint64_t wall_ns = veld_clock_mono_ns() - began;
    double packets = 0, by_cpu = 0;
    for (unsigned i = 0; i < n; i++) {
        pthread_join(b->worker[i].thread, NULL);
        packets += (double)b->worker[i].packets;
        by_cpu += (double)b->worker[i].packets * 1e9 / (double)b->worker[i].cpu_ns;
    }
    pthread_barrier_destroy(&run.start);
    if (packets == 0)
        die("nothing arrived");
    r->wall.v[r->wall.n++] = packets * 1e9 / (double)wall_ns;
    r->cpu.v[r->cpu.n++] = by_cpu;
}

static void measure_all(struct bench *b, int sharing)
{
    site_open(0, b->workers, sharing == OWN_LANES ? (uint8_t)b->workers : 1);
    site_open(1, b->workers, sharing == OWN_LANES ? (uint8_t)b->workers : 1);
    for (unsigned i = 0; i < b->workers; i++) {
        b->worker[i].from = end_new(&sites[0], i);
        b->worker[i].to = end_new(&sites[1], i);
    }
    for (unsigned round = 0; round < b->rounds; round++)
        for (int workload = 0; workload < WORKLOADS; workload++)
            for (unsigned n = 1; n <= b->workers; n++)
                measure(b, workload, &b->result[workload][sharing][n - 1], n);
    for (unsigned i = 0; i < b->workers; i++) {
        struct end *ends[] = {b->worker[i].from, b->worker[i].to};
        for (unsigned k = 0; k < 2; k++) {
            for (unsigned d = 0; d < VELD_DROP_COUNT; d++)
                if (veld_counter_get(&ends[k]->counters.drops[d]) &&
                    (sharing == OWN_LANES || d != VELD_DROP_REPLAY))
                    die(veld_drop_text((enum veld_drop)d));
            veld_outbound_free(&ends[k]->out);
            veld_event_queue_free(&ends[k]->events);
            ends[k]->ctx.aead->free_ctx(ends[k]->ctx.aead_ctx);
            free(ends[k]);
        }
    }
    site_close(0);
    site_close(1);
}

/* ---- Results ---- */

static void print_table(struct bench *b, const char *aead)
{
    printf("Packet path without a kernel, both ways, %s, medians of %u\n\n", aead, b->rounds);
    printf("%-14s %-10s %8s  %20s  %20s\n", "", "", "", "in a CPU second", "in a second");
    printf("%-14s %-10s %8s  %12s %7s  %12s %7s\n", "packets", "", "workers", "packets",
           "times", "packets", "times");
    for (int w = 0; w < WORKLOADS; w++)
        for (int s = 0; s < SHARINGS; s++)
            for (unsigned n = 0; n < b->workers; n++) {
                const struct result *r = &b->result[w][s][n], *one = &b->result[w][s][0];
                printf("%-14s %-10s %8u  %12.0f %7.2f  %12.0f %7.2f\n", workload_names[w],
                       sharing_names[s], n + 1, median(&r->cpu),
                       median_ratio(&r->cpu, &one->cpu), median(&r->wall),
                       median_ratio(&r->wall, &one->wall));
            }
}

static void print_json(struct bench *b, const char *aead)
{
    json_t *list = json_array();
    for (int w = 0; w < WORKLOADS; w++)
        for (int s = 0; s < SHARINGS; s++)
            for (unsigned n = 0; n < b->workers; n++) {
                const struct result *r = &b->result[w][s][n], *one = &b->result[w][s][0];
                json_array_append_new(
                    list,
                    json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:f}", "packets",
                              workload_names[w], "lanes", sharing_names[s], "workers",
                              (int)n + 1, "per_cpu_second", median(&r->cpu), "scaling_cpu",
                              median_ratio(&r->cpu, &one->cpu), "per_second", median(&r->wall),
                              "scaling_wall", median_ratio(&r->wall, &one->wall)));
            }
    json_t *root = json_pack("{s:i, s:s, s:i, s:o}", "version", 1, "aead", aead, "rounds",
                             (int)b->rounds, "results", list);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

/* One for each core we may run on, at most `limit` (0: no limit); each is given its core. */
static unsigned choose_cores(struct bench *b, unsigned limit)
{
    cpu_set_t cores;
    unsigned n = 0;
    if (sched_getaffinity(0, sizeof cores, &cores) < 0)
        die("cannot learn which cores there are");
    for (int cpu = 0; cpu < CPU_SETSIZE && n < VELD_WORKERS_MAX && (!limit || n < limit); cpu++)
        if (CPU_ISSET((size_t)cpu, &cores))
            b->worker[n++].cpu = cpu;
    return n;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {0}};
    static struct bench b = {.rounds = ROUNDS_MAX, .slice_ns = 100 * VELD_NS_PER_MS};
    bool json = false;
    unsigned limit = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q') {
            b.rounds = 5;
            b.slice_ns = 40 * VELD_NS_PER_MS;
        } else if (c == 'j') {
            json = true;
        } else if (c == 'w') {
            limit = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            fprintf(stderr, "usage: bench-workers [--quick] [--json] [--workers N]\n");
            return 2;
        }
    }
    const struct veld_aead_backend *aead;
    struct veld_diag diag;
    if (veld_crypto_init() < 0 || veld_aead_select("auto", &aead, &diag) < 0)
        die("the cryptography does not start");
    b.workers = choose_cores(&b, limit);
    veld_rcu_updater_begin();
    for (int sharing = 0; sharing < SHARINGS; sharing++)
        measure_all(&b, sharing);
    veld_rcu_updater_end();
    if (json)
        print_json(&b, aead->name);
    else
        print_table(&b, aead->name);
    return 0;
}

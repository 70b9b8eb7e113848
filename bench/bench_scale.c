/*
 * What many peers cost the packet path, in this process, without a kernel:
 *
 *   routes      lookups a second and the time to build, 1 to 100,000 prefixes
 *   forwarding  packets a second sealed, handed over, opened and delivered by one
 *               thread, spread over 1 to 10,000 live sessions, one by one and in
 *               trains of 16 for one session
 *   gate        nanoseconds a handshake datagram of a flood costs the worker
 *
 * Everything is measured in turn, over and over, and the median is shown.
 *
 * bench-scale [--quick] [--json]
 */
#include "base/clock.h"
#include "crypto/primitives.h"
#include "dataplane/gate.h"
#include "dataplane/inbound.h"
#include "dataplane/outbound.h"
#include "samples.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PEERS       10000u
#define PACKET      1400u
#define LOOKUPS     200000u
#define DATAGRAMS   20000u
#define INSIDE      0x0a000000u /* peer i is 10.x.y.z of i + 1 */
#define OF_SITE(i)  (INSIDE + (i) + 1)
#define INDEX_OF(i) (0x00100000u + (i)) /* of the session with peer i, at both sites */
#define FOREVER     (UINT64_MAX / 2)

static const unsigned route_counts[] = {1, 1000, 100000};
static const unsigned session_counts[] = {1, 100, 1000, PEERS};
static const unsigned trains[] = {1, 16};

/* One end: the packet path of a worker over an engine that hands datagrams over. */
struct site {
    struct veld_io io; /* first */
    struct veld_tables tables;
    struct veld_counters counters;
    struct veld_event_queue events, handshakes;
    struct veld_context ctx;
    struct veld_outbound out;
    struct veld_inbound in;
    struct {
        struct iovec iov;
        uint32_t segment, token;
    } sent[VELD_RUNS_MAX];
    uint32_t written[VELD_JOINS_MAX];
    unsigned n_sent, n_written;
    uint64_t delivered;
};

struct bench {
    unsigned rounds;
    unsigned packets; /* of one measurement of forwarding */
    struct site *a, *b;
    struct samples lookup_v4[VELD_ARRAY_LEN(route_counts)], /* per second */
        lookup_v6[VELD_ARRAY_LEN(route_counts)], build_ms[VELD_ARRAY_LEN(route_counts)];
    struct samples forward[VELD_ARRAY_LEN(trains)][VELD_ARRAY_LEN(session_counts)];
    struct samples bad_mac1_ns, unproved_ns, bad_mac2_ns, unknown_answer_ns;
};

static void die(const char *what)
{
    fprintf(stderr, "bench-scale: %s\n", what);
    exit(1);
}

static void *need(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

/* Repeatable and fast; spreads what is measured over all of it. */
static uint32_t scatter(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- Routes ---- */

static struct veld_ip address(bool v6, uint32_t number)
{
    struct veld_ip ip = {.family = v6 ? 6 : 4};
    if (v6)
        ip.b[0] = 0xfd;
    veld_store_be32(v6 ? ip.b + 12 : ip.b, number);
    return ip;
}

static void measure_routes(struct bench *b, size_t which)
{
    unsigned n = route_counts[which];
    struct veld_route_entry *entries = need(calloc(2 * n, sizeof *entries));
    for (unsigned i = 0; i < 2 * n; i++) {
        struct veld_ip ip = address(i % 2, INSIDE + (i / 2) * 64);
        entries[i].prefix = (struct veld_prefix){ip, (uint8_t)(veld_ip_bits(&ip) - 6)};
        entries[i].peer = (struct veld_peer_ref){i, 1};
    }
    uint64_t start = cpu_ns();
    struct veld_routes *r = need(veld_routes_build(entries, 2 * n));
    add(&b->build_ms[which], (double)(cpu_ns() - start) / 1e6);
    for (int v6 = 0; v6 < 2; v6++) {
        uint32_t state = 1, found = 0;
        start = cpu_ns();
        for (unsigned i = 0; i < LOOKUPS; i++) {
            struct veld_ip ip = address(v6, INSIDE + scatter(&state) % (n * 64));
            found += veld_routes_find(r, &ip).generation;
        }
        add(v6 ? &b->lookup_v6[which] : &b->lookup_v4[which],
            LOOKUPS * 1e9 / (double)(cpu_ns() - start));
        if (found != LOOKUPS)
            die("a route was not found");
    }
    veld_routes_free(r);
    free(entries);
}

/* ---- The two sites ---- */

static void io_send(struct veld_io *io, enum veld_io_socket from, const struct msghdr *msg,
                    uint32_t token)
{
    struct site *s = (struct site *)io;
    if (s->n_sent == VELD_RUNS_MAX)
        die("too many sends at once");
    const struct veld_run *run = &s->out.runs[token];
    s->sent[s->n_sent].iov = msg->msg_iov[0];
    s->sent[s->n_sent].segment = run->send.segment;
    s->sent[s->n_sent++].token = token;
}

static void io_write(struct veld_io *io, const struct iovec *iov, unsigned n, uint32_t token)
{
    struct site *s = (struct site *)io;
    s->delivered += n - 1; /* the first is the virtio header */
    s->written[s->n_written++] = token;
}

static void io_done_receive(struct veld_io *io, uint16_t buffer)
{
}

static const struct veld_io_ops ops = {
    .name = "hand over", .send = io_send, .write = io_write, .done_receive = io_done_receive};

static void add_session(struct site *s, uint32_t i)
{
    if (veld_peers_add(&s->tables.peers, i) < 0)
        die("out of memory");
    struct veld_peer *peer = veld_peers_get(&s->tables.peers, i);
    peer->activity = need(aligned_alloc(VELD_CACHE_LINE, 2 * sizeof *peer->activity));
    memset(peer->activity, 0, 2 * sizeof *peer->activity);
    struct veld_path *path = need(calloc(1, sizeof *path));
    path->endpoint = (struct veld_endpoint){.ip = address(false, 0xc6120000u + i), .port = 1};
    path->to_len = sizeof(struct sockaddr_in);
    path->mtu = UINT16_MAX;
    veld_peer_set_path(peer, path);
    struct veld_session_params p = {.peer = i,
                                    .local_index = INDEX_OF(i),
                                    .remote_index = INDEX_OF(i),
                                    .lanes = 2,
                                    .reject_at_ns = FOREVER};
    veld_store_be32(p.send_key, i);
    veld_store_be32(p.recv_key, i);
    struct veld_session *session = need(veld_session_new(&p, peer));
    if (veld_index_insert(&s->tables.index, session) < 0)
        die("an index is taken");
    atomic_store(&session->confirmed, true);
    atomic_store(&peer->tx, session);
}

static struct site *make_site(void)
{
    struct veld_diag diag;
    struct site *s = need(aligned_alloc(VELD_CACHE_LINE, sizeof *s));
    memset(s, 0, sizeof *s);
    s->io.ops = &ops;
    s->ctx = (struct veld_context){.tables = &s->tables,
                                   .stats = &s->counters,
                                   .events = &s->events,
                                   .handshakes = &s->handshakes,
                                   .io = &s->io,
                                   .now_ns = veld_clock_mono_ns()};
    int fd = eventfd(0, EFD_NONBLOCK);
    if (veld_peers_init(&s->tables.peers) < 0 || veld_index_init(&s->tables.index) < 0 ||
        veld_handshakes_init(&s->tables.handshakes) < 0 ||
        veld_event_queue_init(&s->events, VELD_EVENT_QUEUE_SIZE, fd) < 0 ||
        veld_event_queue_init(&s->handshakes, VELD_HANDSHAKE_QUEUE_SIZE, fd) < 0 ||
        veld_aead_select("auto", &s->ctx.aead, &diag) < 0 ||
        veld_outbound_init(&s->out, &s->ctx, 1420) < 0)
        die("cannot make a site");
    s->ctx.aead_ctx = need(s->ctx.aead->new_ctx());
    veld_inbound_init(&s->in, &s->ctx, 64);
    struct veld_route_entry *entries = need(calloc(PEERS, sizeof *entries));
    for (uint32_t i = 0; i < PEERS; i++) {
        struct veld_ip ip = address(false, OF_SITE(i));
        add_session(s, i);
        entries[i].prefix = veld_prefix_host(&ip);
        entries[i].peer = veld_peers_get(&s->tables.peers, i)->ref;
    }
    atomic_init(&s->tables.routes, need(veld_routes_build(entries, PEERS)));
    free(entries);
    return s;
}

/* ---- Forwarding ---- */

/* What a sent, into b, as much at a time as a turn of b takes. */
static void hand_over(struct site *a, struct site *b)
{
    static const struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = 1};
    for (unsigned i = 0; i < a->n_sent;) {
        veld_inbound_begin(&b->in);
        for (; i < a->n_sent && veld_inbound_has_room(&b->in); i++) {
            struct veld_udp_receive r = {.data = a->sent[i].iov.iov_base,
                                         .len = (uint32_t)a->sent[i].iov.iov_len,
                                         .segment = a->sent[i].segment,
                                         .from = (const struct sockaddr *)&from,
                                         .from_len = sizeof from};
            veld_inbound_receive(&b->in, &r);
        }
        veld_inbound_flush(&b->in);
        for (unsigned k = 0; k < b->n_written; k++)
            veld_inbound_written(&b->in, b->written[k], 1);
        b->n_written = 0;
    }
    for (unsigned i = 0; i < a->n_sent; i++)
        veld_outbound_sent(&a->out, a->sent[i].token, 1);
    a->n_sent = 0;
}

/* A packet of protocol 253 to and, since both sites know all peers alike, from peer `i`. */
static void make_packet(uint8_t *read, uint32_t i)
{
    uint8_t *p = read + sizeof(struct virtio_net_hdr);
    memcpy(p, (uint8_t[12]){0x45, 0, PACKET >> 8, PACKET & 0xff, 0, 0, 0, 0, 64, 253}, 12);
    veld_store_be32(p + 12, OF_SITE(i));
    veld_store_be32(p + 16, OF_SITE(i));
}

static void measure_forwarding(struct bench *b, size_t which, unsigned train,
                               struct samples *into)
{
    static uint8_t read[sizeof(struct virtio_net_hdr) + PACKET];
    unsigned sessions = session_counts[which], sent = 0;
    uint32_t state = 7;
    uint64_t delivered = b->b->delivered, start = cpu_ns();
    while (sent < b->packets) {
        veld_outbound_begin(&b->a->out);
        for (unsigned n = 0; n < 64; n += train) {
            make_packet(read, scatter(&state) % sessions);
            for (unsigned k = 0; k < train; k++)
                veld_outbound_packet(&b->a->out, read, sizeof read);
        }
        veld_outbound_flush(&b->a->out);
        hand_over(b->a, b->b);
        sent += 64;
    }
    double took = (double)(cpu_ns() - start);
    if (b->b->delivered - delivered != sent)
        die("not everything was delivered");
    add(into, sent * 1e9 / took);
}

/* ---- The gate ---- */

static void random_bytes(void *ctx, void *out, size_t len)
{
    veld_random(out, len);
}

/* Nanoseconds to turn one away; those let through are thrown away. */
static void measure_refusals(struct bench *b, struct veld_dataplane_event *ev,
                             enum veld_drop expected, struct samples *into)
{
    uint32_t refused = 0;
    uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < DATAGRAMS; i++) {
        enum veld_drop reason = VELD_DROP_COUNT;
        veld_store_be32(ev->from.ip.b, INSIDE + i % 20000);
        refused +=
            !veld_gate_admit(&b->b->in.gate, &b->b->ctx, ev, &reason) && reason == expected;
    }
    add(into, (double)(cpu_ns() - start) / DATAGRAMS);
    if (refused < DATAGRAMS / 10 * 9)
        die("the gate is open");
}

static void measure_gate(struct bench *b)
{
    static const uint8_t own[32] = {1};
    struct veld_cookie_checker checker;
    struct veld_cookie_jar jar;
    struct veld_dataplane_event ev = {.type = VELD_DP_HANDSHAKE, .len = VELD_INITIATION_SIZE};
    uint8_t reply[VELD_COOKIE_REPLY_SIZE];
    veld_cookie_checker_init(&checker, own);
    veld_cookie_jar_init(&jar, own);
    veld_header_write(ev.bytes, &(struct veld_header){.type = VELD_INITIATION, .index = 1});
    ev.from = (struct veld_endpoint){.ip.family = 4, .port = 1};
    veld_cookie_sign(&jar, ev.bytes, ev.len, b->b->ctx.now_ns);
    veld_cookie_reply(&checker, ev.bytes, ev.len, 1, &ev.from, b->b->ctx.now_ns, random_bytes,
                      NULL, reply); /* so that there is a secret */
    if (veld_handshakes_set_cookies(&b->b->tables.handshakes, &checker) < 0)
        die("out of memory");
    measure_refusals(b, &ev, VELD_DROP_MAC2, &b->unproved_ns);
    memset(ev.bytes + ev.len - VELD_MAC_SIZE, 0x5a, VELD_MAC_SIZE);
    measure_refusals(b, &ev, VELD_DROP_MAC2, &b->bad_mac2_ns);
    ev.bytes[20] ^= 1;
    measure_refusals(b, &ev, VELD_DROP_MAC1, &b->bad_mac1_ns);
    ev.bytes[0] = VELD_RESPONSE;
    measure_refusals(b, &ev, VELD_DROP_INDEX, &b->unknown_answer_ns);
}

/* ---- Results ---- */

static void print_table(struct bench *b)
{
    printf("One core, medians of %u\n\nroutes a family  build both   IPv4 lookups/s  IPv6 "
           "lookups/s\n",
           b->rounds);
    for (size_t i = 0; i < VELD_ARRAY_LEN(route_counts); i++)
        printf("%15u  %7.2f ms  %15.0f %15.0f\n", route_counts[i], median(&b->build_ms[i]),
               median(&b->lookup_v4[i]), median(&b->lookup_v6[i]));
    printf("\nforwarding, %u bytes, sealed and opened by one thread\n\nsessions", PACKET);
    for (size_t t = 0; t < VELD_ARRAY_LEN(trains); t++)
        printf("   trains of %-2u  of one session", trains[t]);
    putchar('\n');
    for (size_t i = 0; i < VELD_ARRAY_LEN(session_counts); i++) {
        printf("%8u", session_counts[i]);
        for (size_t t = 0; t < VELD_ARRAY_LEN(trains); t++)
            printf("   %10.0f/s  %14.2f", median(&b->forward[t][i]),
                   median(&b->forward[t][i]) / median(&b->forward[t][0]));
        putchar('\n');
    }
    printf("\na worker turns away, ns each: bad mac1 %.0f, unproved under load %.0f, "
           "bad mac2 %.0f, answer to nothing %.0f\n",
           median(&b->bad_mac1_ns), median(&b->unproved_ns), median(&b->bad_mac2_ns),
           median(&b->unknown_answer_ns));
}

static void print_json(struct bench *b)
{
    json_t *routes = json_array(), *forwarding = json_array();
    for (size_t i = 0; i < VELD_ARRAY_LEN(route_counts); i++)
        json_array_append_new(routes,
                              json_pack("{s:i, s:f, s:f, s:f}", "routes", (int)route_counts[i],
                                        "build_ms", median(&b->build_ms[i]), "v4_lookups_per_s",
                                        median(&b->lookup_v4[i]), "v6_lookups_per_s",
                                        median(&b->lookup_v6[i])));
    for (size_t t = 0; t < VELD_ARRAY_LEN(trains); t++)
        for (size_t i = 0; i < VELD_ARRAY_LEN(session_counts); i++)
            json_array_append_new(
                forwarding, json_pack("{s:i, s:i, s:f, s:f}", "train", (int)trains[t],
                                      "sessions", (int)session_counts[i], "packets_per_s",
                                      median(&b->forward[t][i]), "of_one_session",
                                      median(&b->forward[t][i]) / median(&b->forward[t][0])));
    json_t *root = json_pack(
        "{s:i, s:i, s:o, s:i, s:o, s:{s:f, s:f, s:f, s:f}}", "version", 1, "rounds",
        (int)b->rounds, "routes", routes, "packet_bytes", (int)PACKET, "forwarding", forwarding,
        "gate_ns", "bad_mac1", median(&b->bad_mac1_ns), "unproved", median(&b->unproved_ns),
        "bad_mac2", median(&b->bad_mac2_ns), "unknown_answer", median(&b->unknown_answer_ns));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {0}};
    static struct bench b = {.rounds = ROUNDS_MAX, .packets = 64000};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q') {
            b.rounds = 5;
            b.packets = 32000;
        } else if (c == 'j') {
            json = true;
        } else {
            fprintf(stderr, "usage: bench-scale [--quick] [--json]\n");
            return 2;
        }
    }
    if (veld_crypto_init() < 0)
        die("libsodium does not start");
    veld_rcu_updater_begin();
    b.a = make_site();
    b.b = make_site();
    for (unsigned round = 0; round < b.rounds; round++) {
        for (size_t i = 0; i < VELD_ARRAY_LEN(route_counts); i++)
            measure_routes(&b, i);
        for (size_t i = 0; i < VELD_ARRAY_LEN(session_counts); i++)
            for (size_t t = 0; t < VELD_ARRAY_LEN(trains); t++)
                measure_forwarding(&b, i, trains[t], &b.forward[t][i]);
        measure_gate(&b);
    }
    if (json)
        print_json(&b);
    else
        print_table(&b);
    return 0; /* the process ends: what the sites have goes with it */
}

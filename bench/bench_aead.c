/*
 * What the cryptography costs on this machine, on one core:
 *
 *   AEAD seal and open, GB/s by backend and datagram size, in batches of 64
 *   X25519 operations and whole Noise IKpsk2 handshakes (both sides), per second
 *
 * Everything is measured in turn, over and over, and the median is shown, so
 * that a disturbance of the machine hits all alike.
 *
 * bench-aead [--quick] [--json]
 */
#include "base/clock.h"
#include "crypto/aead.h"
#include "crypto/identity.h"
#include "crypto/noise.h"
#include "crypto/primitives.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH        64
#define BACKENDS_MAX 8
#define ROUNDS_MAX   25

static const uint32_t sizes[] = {64, 256, 1420, 8192, 16384};
#define SIZES      VELD_ARRAY_LEN(sizes)
#define PACKET_MAX 16384

struct samples {
    double v[ROUNDS_MAX];
    size_t n;
};

struct bench {
    unsigned rounds;
    uint64_t slice_ns; /* one measurement lasts at least this long */
    struct {
        const struct veld_aead_backend *backend;
        struct veld_aead_ctx *ctx;
        struct samples seal[SIZES], open[SIZES]; /* GB/s */
    } aead[BACKENDS_MAX];
    size_t backends;
    struct samples x25519, handshakes; /* per second */
};

static void add(struct samples *s, double v)
{
    if (s->n < ROUNDS_MAX)
        s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct samples *s)
{
    qsort(s->v, s->n, sizeof s->v[0], compare);
    return s->n ? s->v[s->n / 2] : 0;
}

static void die(const char *what)
{
    fprintf(stderr, "bench-aead: %s\n", what);
    exit(1);
}

/* ---- measurements ---- */

static void measure_aead(const struct bench *b, const struct veld_aead_backend *backend,
                         struct veld_aead_ctx *ctx, uint32_t size, struct samples *seal,
                         struct samples *open)
{
    static uint8_t packets[BATCH][16 + PACKET_MAX + 16];
    static uint8_t key[32];
    struct veld_aead_job jobs[BATCH];
    uint64_t counter = 0, sealing = 0, opening = 0, bytes = 0;
    do {
        for (size_t i = 0; i < BATCH; i++) {
            jobs[i] = (struct veld_aead_job){.key = key,
                                             .ad = packets[i],
                                             .ad_len = 16,
                                             .data = packets[i] + 16,
                                             .len = size};
            veld_aead_nonce(jobs[i].nonce, counter++);
        }
        uint64_t start = veld_clock_mono_ns();
        backend->seal(ctx, jobs, BATCH);
        uint64_t sealed = veld_clock_mono_ns();
        backend->open(ctx, jobs, BATCH);
        opening += veld_clock_mono_ns() - sealed;
        sealing += sealed - start;
        bytes += (uint64_t)BATCH * size;
        if (!jobs[BATCH - 1].ok)
            die("what was sealed does not open");
    } while (sealing + opening < 2 * b->slice_ns);
    add(seal, (double)bytes / (double)sealing);
    add(open, (double)bytes / (double)opening);
}

static void measure_x25519(struct bench *b)
{
    uint8_t secret[32] = {1}, point[32];
    veld_x25519_public(point, secret);
    unsigned n = 0;
    uint64_t start = veld_clock_mono_ns(), took;
    do {
        if (veld_x25519(point, secret, point) < 0)
            die("X25519 failed");
        n++;
        took = veld_clock_mono_ns() - start;
    } while (took < b->slice_ns);
    add(&b->x25519, n * 1e9 / (double)took);
}

static void handshake(const struct veld_identity *a, const struct veld_identity *b)
{
    static const uint8_t psk[32], ea[32] = {1}, eb[32] = {2};
    uint8_t initiation[32 + 48 + 48 + 16], response[32 + 8 + 16], payload[48] = {0};
    struct veld_noise i, r;
    struct veld_noise_keys ki, kr;
    struct veld_noise_config cfg = {.pattern = VELD_NOISE_IKPSK2,
                                    .static_secret = a->x_secret,
                                    .static_public = a->x_pub,
                                    .remote_static = b->x_pub,
                                    .psk = psk,
                                    .prologue = (const uint8_t *)"veld/1",
                                    .prologue_len = 6};
    veld_noise_init(&i, VELD_NOISE_INITIATOR, &cfg);
    cfg.static_secret = b->x_secret;
    cfg.static_public = b->x_pub;
    veld_noise_init(&r, VELD_NOISE_RESPONDER, &cfg);
    if (veld_noise_write_initiation(&i, ea, payload, 48, initiation) < 0 ||
        veld_noise_read_initiation(&r, initiation, sizeof initiation, payload) < 0 ||
        veld_noise_write_response(&r, eb, payload, 8, response) < 0 ||
        veld_noise_read_response(&i, response, sizeof response, payload) < 0)
        die("the handshake failed");
    veld_noise_split(&i, &ki);
    veld_noise_split(&r, &kr);
}

static void measure_handshakes(struct bench *b, const struct veld_identity *one,
                               const struct veld_identity *two)
{
    unsigned n = 0;
    uint64_t start = veld_clock_mono_ns(), took;
    do {
        handshake(one, two);
        n++;
        took = veld_clock_mono_ns() - start;
    } while (took < b->slice_ns);
    add(&b->handshakes, n * 1e9 / (double)took);
}

static void run(struct bench *b)
{
    struct veld_identity *one = veld_identity_generate(), *two = veld_identity_generate();
    if (!one || !two)
        die("no guarded memory");
    for (unsigned round = 0; round < b->rounds; round++) {
        for (size_t s = 0; s < SIZES; s++)
            for (size_t i = 0; i < b->backends; i++)
                measure_aead(b, b->aead[i].backend, b->aead[i].ctx, sizes[s],
                             &b->aead[i].seal[s], &b->aead[i].open[s]);
        measure_x25519(b);
        measure_handshakes(b, one, two);
    }
    veld_identity_free(one);
    veld_identity_free(two);
}

/* ---- results ---- */

static void print_table(struct bench *b)
{
    printf("AEAD, one core, batches of %d, GB/s (medians of %u)\n\n", BATCH, b->rounds);
    printf("%-14s", "bytes");
    for (size_t s = 0; s < SIZES; s++)
        printf("  %11u", sizes[s]);
    printf("\n%-14s", "");
    for (size_t s = 0; s < SIZES; s++)
        printf("  %5s %5s", "seal", "open");
    putchar('\n');
    for (size_t i = 0; i < b->backends; i++) {
        printf("%-14s", b->aead[i].backend->name);
        for (size_t s = 0; s < SIZES; s++)
            printf("  %5.2f %5.2f", median(&b->aead[i].seal[s]), median(&b->aead[i].open[s]));
        putchar('\n');
    }
    printf("\nX25519                  %8.0f /s\n", median(&b->x25519));
    printf("handshakes, both sides  %8.0f /s\n", median(&b->handshakes));
}

static void print_json(struct bench *b)
{
    json_t *aead = json_array();
    for (size_t i = 0; i < b->backends; i++)
        for (size_t s = 0; s < SIZES; s++)
            json_array_append_new(aead,
                                  json_pack("{s:s, s:i, s:f, s:f}", "backend",
                                            b->aead[i].backend->name, "bytes", (int)sizes[s],
                                            "seal_gb_per_s", median(&b->aead[i].seal[s]),
                                            "open_gb_per_s", median(&b->aead[i].open[s])));
    json_t *root = json_pack("{s:i, s:i, s:i, s:o, s:f, s:f}", "version", 1, "batch", BATCH,
                             "rounds", (int)b->rounds, "aead", aead, "x25519_per_s",
                             median(&b->x25519), "handshakes_per_s", median(&b->handshakes));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {0}};
    static struct bench b = {.rounds = ROUNDS_MAX, .slice_ns = 10 * VELD_NS_PER_MS};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q') {
            b.rounds = 5;
            b.slice_ns = 2 * VELD_NS_PER_MS;
        } else if (c == 'j') {
            json = true;
        } else {
            fprintf(stderr, "usage: bench-aead [--quick] [--json]\n");
            return 2;
        }
    }
    if (veld_crypto_init() < 0)
        die("libsodium does not start");
    for (const struct veld_aead_backend *const *p = veld_aead_backends(); *p; p++) {
        if (!(*p)->usable() || b.backends == BACKENDS_MAX)
            continue;
        b.aead[b.backends].backend = *p;
        if (!(b.aead[b.backends].ctx = (*p)->new_ctx()))
            die("out of memory");
        b.backends++;
    }
    run(&b);
    if (json)
        print_json(&b);
    else
        print_table(&b);
    for (size_t i = 0; i < b.backends; i++)
        b.aead[i].backend->free_ctx(b.aead[i].ctx);
    return 0;
}

/*
 * What sealing and opening costs on this machine, on one core: GB/s by backend,
 * datagram size and jobs in a batch, by the thread's CPU time.
 *
 * Datagrams lie one after the other, as in a send buffer. Everything is measured in
 * turn, over and over, so that a disturbance of the machine hits all alike; shown
 * are medians, and in the JSON also the spread: what lies between the quartiles,
 * as a part of the median. Only figures of one run compare.
 *
 * bench-aead [--quick] [--json]
 */
#include "base/clock.h"
#include "crypto/aead.h"
#include "crypto/primitives.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKENDS_MAX 8
#define ROUNDS_MAX   15

static const uint32_t sizes[] = {64, 256, 512, 1420, 8192, 16384};
static const uint32_t batches[] = {1, 8, 64, VELD_AEAD_BATCH_MAX};
#define SIZES   VELD_ARRAY_LEN(sizes)
#define BATCHES VELD_ARRAY_LEN(batches)

enum { SEAL, OPEN, OPS };
static const char *const op_names[OPS] = {"seal", "open"};

#define SIZE_MAX_BYTES 16384
#define POOL_BYTES     (64 * 1024) /* of datagrams between two looks at the clock, at least */
#define POOL_MAX       1024        /* datagrams */

struct samples {
    double v[ROUNDS_MAX]; /* GB/s; sorted once all are there */
    size_t n;
};

struct backend {
    const struct veld_aead_backend *backend;
    struct veld_aead_ctx *ctx;
    struct samples samples[SIZES][BATCHES][OPS];
};

struct bench {
    unsigned rounds;
    uint64_t slice_ns; /* one measurement of an operation lasts at least this long */
    struct backend backends[BACKENDS_MAX];
    size_t n_backends;
};

static void die(const char *what)
{
    fprintf(stderr, "bench-aead: %s\n", what);
    exit(1);
}

/* ---- measurement ---- */

static uint64_t thread_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
        die("the thread has no CPU clock");
    return (uint64_t)t.tv_sec * VELD_NS_PER_S + (uint64_t)t.tv_nsec;
}

static _Alignas(
    VELD_CACHE_LINE) uint8_t buffer[VELD_AEAD_BATCH_MAX * (16 + SIZE_MAX_BYTES + 16)];
static struct veld_aead_job jobs[POOL_MAX];

/* Datagrams of `size` in the buffer, whole batches of them; returns how many. */
static size_t lay_out(uint32_t size, uint32_t batch)
{
    static const uint8_t key[32] = {1};
    size_t n = POOL_BYTES / size / batch * batch;
    n = VELD_MIN(VELD_MAX(n, (size_t)batch), (size_t)POOL_MAX);
    for (size_t i = 0; i < n; i++) {
        uint8_t *at = buffer + i * (16 + size + 16);
        jobs[i] = (struct veld_aead_job){
            .key = key, .ad = at, .ad_len = 16, .data = at + 16, .len = size};
        veld_aead_nonce(jobs[i].nonce, i);
    }
    return n;
}

static void measure(const struct bench *b, struct backend *k, size_t s, size_t t)
{
    size_t n = lay_out(sizes[s], batches[t]);
    uint64_t took[OPS] = {0}, bytes = 0;
    do {
        uint64_t start = thread_ns();
        for (size_t i = 0; i < n; i += batches[t])
            k->backend->seal(k->ctx, jobs + i, batches[t]);
        uint64_t sealed = thread_ns();
        for (size_t i = 0; i < n; i += batches[t])
            k->backend->open(k->ctx, jobs + i, batches[t]);
        took[OPEN] += thread_ns() - sealed;
        took[SEAL] += sealed - start;
        bytes += n * sizes[s];
        for (size_t i = 0; i < n; i++)
            if (!jobs[i].ok)
                die("what was sealed does not open");
    } while (took[SEAL] + took[OPEN] < OPS * b->slice_ns);
    for (int op = 0; op < OPS; op++) {
        struct samples *to = &k->samples[s][t][op];
        to->v[to->n++] = (double)bytes / (double)took[op];
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(struct bench *b)
{
    for (unsigned round = 0; round < b->rounds; round++)
        for (size_t s = 0; s < SIZES; s++)
            for (size_t t = 0; t < BATCHES; t++)
                for (size_t i = 0; i < b->n_backends; i++)
                    measure(b, &b->backends[i], s, t);
    for (size_t i = 0; i < b->n_backends; i++)
        for (size_t k = 0; k < SIZES * BATCHES * OPS; k++) {
            struct samples *s = &b->backends[i].samples[0][0][0] + k;
            qsort(s->v, s->n, sizeof s->v[0], compare);
        }
}

/* ---- results ---- */

static double median(const struct samples *s)
{
    return s->v[s->n / 2];
}

static double spread(const struct samples *s)
{
    return (s->v[s->n * 3 / 4] - s->v[s->n / 4]) / median(s);
}

static void print_table(const struct bench *b)
{
    printf("AEAD, one core, GB/s of CPU time (medians of %u)\n", b->rounds);
    for (size_t t = 0; t < BATCHES; t++) {
        printf("\nbatch %-8u", batches[t]);
        for (size_t s = 0; s < SIZES; s++)
            printf("  %8u B", sizes[s]);
        printf("\n%-14s", "");
        for (size_t s = 0; s < SIZES; s++)
            printf("  seal  open");
        putchar('\n');
        for (size_t i = 0; i < b->n_backends; i++) {
            printf("%-14s", b->backends[i].backend->name);
            for (size_t s = 0; s < SIZES; s++)
                printf("  %4.2f  %4.2f", median(&b->backends[i].samples[s][t][SEAL]),
                       median(&b->backends[i].samples[s][t][OPEN]));
            putchar('\n');
        }
    }
}

static void print_json(const struct bench *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->n_backends; i++)
        for (size_t t = 0; t < BATCHES; t++)
            for (size_t s = 0; s < SIZES; s++)
                for (int op = 0; op < OPS; op++) {
                    const struct samples *got = &b->backends[i].samples[s][t][op];
                    json_array_append_new(
                        list, json_pack("{s:s, s:i, s:i, s:s, s:f, s:f}", "backend",
                                        b->backends[i].backend->name, "size", (int)sizes[s],
                                        "batch", (int)batches[t], "op", op_names[op], "gbps",
                                        median(got), "spread", spread(got)));
                }
    json_t *root =
        json_pack("{s:i, s:i, s:o}", "version", 2, "rounds", (int)b->rounds, "aead", list);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
    putchar('\n');
    json_decref(root);
}

static void start_backends(struct bench *b)
{
    for (const struct veld_aead_backend *const *p = veld_aead_backends(); *p; p++) {
        if (!(*p)->usable() || b->n_backends == BACKENDS_MAX)
            continue;
        struct backend *k = &b->backends[b->n_backends++];
        k->backend = *p;
        k->ctx = (*p)->new_ctx();
        if (!k->ctx)
            die("out of memory");
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'}, {0}};
    static struct bench b = {.rounds = ROUNDS_MAX, .slice_ns = 8 * VELD_NS_PER_MS};
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q') {
            b.rounds = 5;
            b.slice_ns = VELD_NS_PER_MS;
        } else if (c == 'j') {
            json = true;
        } else {
            fprintf(stderr, "usage: bench-aead [--quick] [--json]\n");
            return 2;
        }
    }
    if (veld_crypto_init() < 0)
        die("libsodium does not start");
    start_backends(&b);
    run(&b);
    if (json)
        print_json(&b);
    else
        print_table(&b);
    for (size_t i = 0; i < b.n_backends; i++)
        b.backends[i].backend->free_ctx(b.backends[i].ctx);
    return 0;
}

#include "load/tally.h"

#include <stdlib.h>
#include <sys/mman.h>

#define SEEN_BYTES (TALLY_SEQUENCES_MAX / 8)

struct flow {
    uint64_t *seen; /* one bit a sequence number; address space only, until touched */
    uint64_t next;  /* one more than the highest */
    uint64_t received;
};

struct tally {
    uint64_t key, trial;
    uint64_t counters[PROBE_COUNTERS]; /* but COUNT_RECEIVED and COUNT_GAPS: see the flows */
    struct flow flows[TALLY_FLOWS];
};

struct tally *tally_new(uint64_t key)
{
    struct tally *t = calloc(1, sizeof *t);
    if (t)
        t->key = key;
    return t;
}

void tally_free(struct tally *t)
{
    for (size_t i = 0; t && i < TALLY_FLOWS; i++)
        if (t->flows[i].seen)
            munmap(t->flows[i].seen, SEEN_BYTES);
    free(t);
}

static void begin(struct tally *t, uint64_t trial)
{
    t->trial = trial;
    for (int i = 0; i < PROBE_COUNTERS; i++)
        if (i != COUNT_CORRUPT && i != COUNT_FOREIGN && i != COUNT_LATE)
            t->counters[i] = 0;
    for (size_t i = 0; i < TALLY_FLOWS; i++) {
        struct flow *f = &t->flows[i];
        if (f->seen)
            madvise(f->seen, SEEN_BYTES, MADV_DONTNEED); /* reads as zero again */
        f->next = f->received = 0;
    }
}

/* Sets the bit and returns what it was. */
static bool mark(struct flow *f, uint64_t sequence)
{
    if (!f->seen) {
        f->seen = mmap(NULL, SEEN_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->seen == MAP_FAILED)
            abort();
    }
    uint64_t *word = &f->seen[sequence / 64], bit = 1ull << sequence % 64;
    bool was = *word & bit;
    *word |= bit;
    return was;
}

static void count(struct tally *t, const struct probe *p, size_t size)
{
    struct flow *f = &t->flows[p->flow];
    if (mark(f, p->sequence)) {
        t->counters[COUNT_DUPLICATES]++;
        return;
    }
    f->received++;
    t->counters[COUNT_BYTES] += size;
    if (p->sequence >= f->next) {
        f->next = p->sequence + 1;
        return;
    }
    uint64_t extent = f->next - 1 - p->sequence;
    t->counters[COUNT_REORDERED]++;
    if (extent > t->counters[COUNT_EXTENT])
        t->counters[COUNT_EXTENT] = extent;
}

int tally_add(struct tally *t, const uint8_t *datagram, size_t size, struct probe *p)
{
    if (!probe_parse(datagram, size, p)) {
        t->counters[COUNT_FOREIGN]++;
        return 0;
    }
    if (p->kind < PROBE_DATA || p->kind >= PROBE_KINDS || p->flow >= TALLY_FLOWS ||
        p->sequence >= TALLY_SEQUENCES_MAX || !probe_intact(t->key, p, datagram, size)) {
        t->counters[COUNT_CORRUPT]++;
        return 0;
    }
    if (p->kind != PROBE_DATA)
        return p->kind;
    if (p->trial > t->trial)
        begin(t, p->trial);
    if (p->trial == t->trial)
        count(t, p, size);
    else
        t->counters[COUNT_LATE]++;
    return p->kind;
}

uint64_t tally_trial(const struct tally *t)
{
    return t->trial;
}

void tally_counters(const struct tally *t, uint64_t counters[PROBE_COUNTERS])
{
    for (int i = 0; i < PROBE_COUNTERS; i++)
        counters[i] = t->counters[i];
    for (size_t i = 0; i < TALLY_FLOWS; i++) {
        counters[COUNT_RECEIVED] += t->flows[i].received;
        counters[COUNT_GAPS] += t->flows[i].next - t->flows[i].received;
    }
}

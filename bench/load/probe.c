#include "load/probe.h"

#include "base/bytes.h"

#include <string.h>

#define MAGIC 0x31444c56u /* "VLD1" */
#define STEP  0x9e3779b97f4a7c15ull

const char *const probe_counter_names[PROBE_COUNTERS] = {
    "received", "bytes",   "duplicates", "reordered", "reorder_extent",
    "gaps",     "corrupt", "foreign",    "late",
};

/* The finisher of splitmix64: every bit of the input changes half of the output. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint64_t probe_key(const char *text)
{
    uint64_t key = STEP;
    for (; *text; text++)
        key = mix(key ^ (uint8_t)*text) + STEP;
    return key;
}

/* Word i of a datagram's pattern is its seed plus i steps: cheap, so that the
 * generator measures the path and not itself. */
static uint64_t seed_of(uint64_t key, const struct probe *p, size_t size)
{
    uint64_t seed = mix(key ^ (((uint64_t)size << 16) | ((uint64_t)p->kind << 8) | p->flow));
    seed = mix(seed + p->trial);
    return mix(seed + p->sequence);
}

static void write_header(const struct probe *p, uint8_t *out)
{
    veld_store_le32(out, MAGIC);
    veld_store_le32(out + 4, (uint32_t)p->kind | (uint32_t)p->flow << 8);
    veld_store_le64(out + 8, p->trial);
    veld_store_le64(out + 16, p->sequence);
}

void probe_write(uint64_t key, const struct probe *p, uint8_t *out, size_t size)
{
    write_header(p, out);
    uint64_t word = seed_of(key, p, size);
    size_t at = PROBE_HEADER;
    for (; at + 8 <= size; at += 8, word += STEP)
        veld_store_le64(out + at, word);
    uint8_t last[8];
    veld_store_le64(last, word);
    memcpy(out + at, last, size - at);
}

bool probe_parse(const uint8_t *in, size_t size, struct probe *p)
{
    if (size < PROBE_SIZE_MIN || veld_load_le32(in) != MAGIC)
        return false;
    *p = (struct probe){.kind = in[4],
                        .flow = in[5],
                        .trial = veld_load_le64(in + 8),
                        .sequence = veld_load_le64(in + 16)};
    return true;
}

bool probe_intact(uint64_t key, const struct probe *p, const uint8_t *in, size_t size)
{
    uint64_t word = seed_of(key, p, size), wrong = (uint64_t)(in[6] | in[7]);
    size_t at = PROBE_HEADER;
    for (; at + 8 <= size; at += 8, word += STEP)
        wrong |= veld_load_le64(in + at) ^ word;
    uint8_t last[8];
    veld_store_le64(last, word);
    return wrong == 0 && memcmp(in + at, last, size - at) == 0;
}

/* The word that ends a report. */
static uint64_t seal_of(uint64_t key, uint64_t trial, const uint64_t counters[PROBE_COUNTERS])
{
    const struct probe p = {.kind = PROBE_REPORT, .trial = trial};
    uint64_t seal = seed_of(key, &p, PROBE_REPORT_LEN);
    for (size_t i = 0; i < PROBE_COUNTERS; i++)
        seal = mix(seal + counters[i]);
    return seal;
}

void probe_write_report(uint64_t key, uint64_t trial, const uint64_t counters[PROBE_COUNTERS],
                        uint8_t out[PROBE_REPORT_LEN])
{
    write_header(&(struct probe){.kind = PROBE_REPORT, .trial = trial}, out);
    for (size_t i = 0; i < PROBE_COUNTERS; i++)
        veld_store_le64(out + PROBE_HEADER + 8 * i, counters[i]);
    veld_store_le64(out + PROBE_REPORT_LEN - 8, seal_of(key, trial, counters));
}

bool probe_read_report(uint64_t key, uint64_t trial, const uint8_t *in, size_t size,
                       uint64_t counters[PROBE_COUNTERS])
{
    struct probe p;
    uint64_t read[PROBE_COUNTERS];
    if (size != PROBE_REPORT_LEN || !probe_parse(in, size, &p) || p.kind != PROBE_REPORT ||
        p.trial != trial)
        return false;
    for (size_t i = 0; i < PROBE_COUNTERS; i++)
        read[i] = veld_load_le64(in + PROBE_HEADER + 8 * i);
    if (veld_load_le64(in + size - 8) != seal_of(key, trial, read))
        return false;
    memcpy(counters, read, sizeof read);
    return true;
}

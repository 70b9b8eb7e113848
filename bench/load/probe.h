/*
 * The datagrams of the load generator: what is in them and how each is known to
 * be whole and ours.
 *
 *   0  magic "VLD1"   4  kind   5  flow   6  zero, 16 bits
 *   8  trial, 64 bits: the sender's clock when it began; later trials are larger
 *   16 sequence, 64 bits, from 0, counted for each flow
 *   24 the pattern, to the end (a report: its counters, then one word)
 *
 * All little-endian. The pattern is made of a key and of everything above,
 * and of the length, so a datagram that was changed, cut, or made by
 * somebody without the key is noticed. It is no protection against one who
 * reads the traffic.
 *
 * Pure functions; any thread.
 */
#ifndef VELD_BENCH_PROBE_H
#define VELD_BENCH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_HEADER     24
#define PROBE_SIZE_MIN   32 /* a header and a word of pattern */
#define PROBE_SIZE_MAX   65000
#define PROBE_REPORT_LEN (PROBE_HEADER + 8 * (PROBE_COUNTERS + 1))

enum probe_kind {
    PROBE_DATA = 1,
    PROBE_PING, /* is sent back as PROBE_PONG, at once */
    PROBE_PONG,
    PROBE_ASK,    /* what came of this trial? */
    PROBE_REPORT, /* the answer */
    PROBE_KINDS,
};

struct probe {
    enum probe_kind kind;
    uint8_t flow;
    uint64_t trial, sequence;
};

/* What a receiver counts, in the order of a report. */
enum probe_counter {
    COUNT_RECEIVED,   /* whole and of this trial, duplicates not counted */
    COUNT_BYTES,      /* of these, UDP payload */
    COUNT_DUPLICATES, /* a sequence number that had come before */
    COUNT_REORDERED,  /* came after a higher one of its flow (RFC 4737) */
    COUNT_EXTENT,     /* how far behind the highest, at most */
    COUNT_GAPS,       /* missing below the highest of each flow */
    COUNT_CORRUPT,    /* ours by the magic, but not as it was sent */
    COUNT_FOREIGN,    /* without the magic, or too short */
    COUNT_LATE,       /* of a trial that has ended */
    PROBE_COUNTERS,
};

/* Their names in JSON. */
extern const char *const probe_counter_names[PROBE_COUNTERS];

/* The pattern's secret, from any text. */
uint64_t probe_key(const char *text);

/* Writes a whole datagram of `size` bytes (PROBE_SIZE_MIN..PROBE_SIZE_MAX). */
void probe_write(uint64_t key, const struct probe *p, uint8_t *out, size_t size);

/* The header's fields, unchecked; false when this is no datagram of ours at all. */
bool probe_parse(const uint8_t *in, size_t size, struct probe *p);

/* Whether a datagram that probe_parse took is as probe_write made it. */
bool probe_intact(uint64_t key, const struct probe *p, const uint8_t *in, size_t size);

/* A report of PROBE_REPORT_LEN bytes, and back; read says false if it was damaged. */
void probe_write_report(uint64_t key, uint64_t trial, const uint64_t counters[PROBE_COUNTERS],
                        uint8_t out[PROBE_REPORT_LEN]);
bool probe_read_report(uint64_t key, uint64_t trial, const uint8_t *in, size_t size,
                       uint64_t counters[PROBE_COUNTERS]);

#endif

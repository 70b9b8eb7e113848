/*
 * What came of a trial, counted at the receiver: every sequence number seen once,
 * exactly (one bit each, no window), so a duplicate is found however late it comes.
 *
 * Invariant: received + gaps of a flow is one more than its highest sequence.
 *
 * Order of calls: tally_new once; tally_add for each datagram that came;
 * tally_counters at any time. One thread.
 */
#ifndef VELD_BENCH_TALLY_H
#define VELD_BENCH_TALLY_H

#include "load/probe.h"

#define TALLY_FLOWS         64
#define TALLY_SEQUENCES_MAX (1ull << 32) /* of one flow in one trial */

struct tally;

/* NULL when out of memory. Freed by tally_free. */
struct tally *tally_new(uint64_t key);
void tally_free(struct tally *t);

/*
 * One datagram that came, whatever it is. A PROBE_DATA one that is whole and of a
 * later trial than the present one begins that trial: all counters start at 0 but
 * those of corrupt, foreign and late ones. Returns its kind when it is whole (and
 * fills `p`), else 0.
 */
int tally_add(struct tally *t, const uint8_t *datagram, size_t size, struct probe *p);

/* The trial the counters are of; 0 before the first. */
uint64_t tally_trial(const struct tally *t);

void tally_counters(const struct tally *t, uint64_t counters[PROBE_COUNTERS]);

#endif

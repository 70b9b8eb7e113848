/*
 * The sending side: one trial, that is so many datagrams a second for so long,
 * and then the question what came of it.
 *
 * Datagrams leave in the turn of their flows, each from a source port of its own.
 * One that the kernel refuses (ENOBUFS) was not sent and is not a loss.
 *
 * Order of calls: sender_open; sender_wait once; sender_run any number of times;
 * sender_close. One thread.
 */
#ifndef VELD_BENCH_SEND_H
#define VELD_BENCH_SEND_H

#include "load/probe.h"

#include <signal.h>

struct sender;

struct sender_plan {
    double rate; /* datagrams a second; 0 = as many as go */
    double seconds;
    size_t size; /* UDP payload, PROBE_SIZE_MIN..PROBE_SIZE_MAX */
};

struct sender_result {
    uint64_t trial, sent, refused;
    double seconds; /* it took to send */
    bool answered;  /* the counters below are the receiver's; else zero */
    uint64_t counters[PROBE_COUNTERS];
};

/* `flows` 1..TALLY_FLOWS. Ends the program when there is no socket or memory. */
struct sender *sender_open(const char *address, const char *port, uint64_t key, unsigned flows);
void sender_close(struct sender *s);

/* Waits until the receiver answers; false when it did not within `seconds`. */
bool sender_wait(struct sender *s, double seconds);

/* One trial; ends early when *stop is set. */
void sender_run(struct sender *s, const struct sender_plan *plan,
                const volatile sig_atomic_t *stop, struct sender_result *result);

/* What did not arrive, as a share of what was sent; 1 when nobody answered. */
double sender_loss(const struct sender_result *r);

#endif

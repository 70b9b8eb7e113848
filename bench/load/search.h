/*
 * The highest rate that arrives with at most a given loss (RFC 2544, section 26.1,
 * bounded in time): the rate doubles until a trial fails, the two bounds close in
 * on each other, and a longer trial at the end must hold what was found.
 *
 * A trial that fails, or in which the sender did not keep up, is repeated once: on a
 * machine that also does other things, a moment without a CPU loses more than the path
 * does. A sender that was short twice, and delivered no more than at half the rate, is at
 * its end, and so is the search.
 *
 * The trials are behind a function, so that a test can stand in for the path.
 */
#ifndef VELD_BENCH_SEARCH_H
#define VELD_BENCH_SEARCH_H

#include <stdbool.h>

struct search_trial {
    double offered;   /* datagrams a second that were really sent */
    double delivered; /* that arrived */
    double loss;      /* 0..1 */
};

/* One trial at `rate` for `seconds`; false to give the search up. */
typedef bool search_try(void *context, double rate, double seconds, struct search_trial *out);

struct search_plan {
    double start;     /* datagrams a second to begin with */
    double loss;      /* that is let pass, 0..1 */
    double tolerance; /* the bounds are this close at the end: 0.04 is 4 % */
    double seconds;   /* of one trial; the last one takes thrice as long */
    double budget;    /* seconds of trials in all, but for the last */
};

struct search_result {
    double rate;               /* asked for in the last trial; 0 when nothing passed */
    struct search_trial trial; /* that last one */
    unsigned trials;
    bool sender_limited; /* the generator, not the path, was at its end */
};

/* False when the search was given up. */
bool search_run(const struct search_plan *plan, search_try *try, void *context,
                struct search_result *result);

#endif

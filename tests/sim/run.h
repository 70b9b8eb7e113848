/*
 * What the simulators' programs share: NAME [--runs N] [--seed S] [--verbose] [--one-in K] runs
 * N / K worlds, seeds S, S + 1, ...; exit 0 when all held, 1 with the failing seed and how to run it again.
 */
#ifndef VELD_TESTS_SIM_RUN_H
#define VELD_TESTS_SIM_RUN_H

#include "world.h"

/* One world of this seed, from world_init to world_end; false when something did not hold. */
typedef bool sim_run_fn(struct world *w, uint64_t seed);

int sim_main(int argc, char **argv, sim_run_fn *run);

#endif

#include "run.h"

#include "crypto/primitives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sim_main(int argc, char **argv, sim_run_fn *run)
{
    uint64_t runs = 1000, one_in = 1, seed = 1;
    static struct world w;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            w.verbose = true;
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--one-in") == 0 && i + 1 < argc)
            one_in = strtoull(argv[++i], NULL, 10);
        else {
            fprintf(stderr, "usage: %s [--runs N] [--seed S] [--verbose] [--one-in K]\n",
                    argv[0]);
            return 2;
        }
    }
    if (veld_crypto_init() < 0) {
        fprintf(stderr, "sim: crypto cannot be initialised\n");
        return 1;
    }
    runs /= one_in ? one_in : 1;
    uint64_t virtual_ns = 0;
    for (uint64_t k = 0; k < runs; k++) {
        if (!run(&w, seed + k)) {
            fprintf(stderr,
                    "sim: seed %llu failed %s\nrun again: %s --runs 1 --seed %llu --verbose\n",
                    (unsigned long long)(seed + k), w.why, argv[0],
                    (unsigned long long)(seed + k));
            return 1;
        }
        virtual_ns += w.now_ns;
    }
    printf("sim: %llu runs from seed %llu, %llu h of protocol time, all converged\n",
           (unsigned long long)runs, (unsigned long long)seed,
           (unsigned long long)(virtual_ns / VELD_NS_PER_S / 3600));
    return 0;
}

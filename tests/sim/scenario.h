/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One seeded run of the core in the simulated world: nodes that append,
 * fetch, trim, flush, delete, close and crash at random, on disks and a store
 * that misbehave, compared with a plain model at every step.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include <stdint.h>

/** What a run came to. */
struct scenario_result {
    char failure[512]; /* What was breached, or "". */
    unsigned long acked;
    unsigned long unknown; /* Appends whose outcome was not known. */
    unsigned long fetched; /* Batches read and checked. */
    unsigned long crashes;
    unsigned long opens; /* Of nodes, with success. */
    uint64_t seconds;    /* Virtual. */
    uint64_t trace_hash; /* The same for the same seed. */
};

/**
 * Run a seed.
 *
 * @param seed    Seed of everything.
 * @param trace   One line of the trace; may be NULL.
 * @param ctx     Passed to `trace`.
 * @param result  Filled in.
 * @return 0, or 1 if an invariant was breached.
 */
int scenario_run(uint64_t seed, void (*trace)(void *ctx, const char *line),
                 void *ctx, struct scenario_result *result);

#endif

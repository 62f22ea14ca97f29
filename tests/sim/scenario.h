/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One seeded run of the core in the simulated world: nodes that append,
 * fetch, trim, flush, delete, close and crash at random, on disks and a store
 * that misbehave, compared with a plain model at every step.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "sim/run.h"

/** Run a seed: 0, or 1 if an invariant was breached. */
int scenario_run(const struct run_options *given, struct run_result *result);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * One seeded run of a cluster in the simulated world: three to five nodes on
 * one store, on file logs or on the object log, whose streams move while nodes
 * crash, sleep through their leases, wake up as zombies, hand over and take
 * over, and while the store fails.  Held to what docs/guarantees.md promises
 * by a checker that knows offsets and numbers alone.
 */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "sim/run.h"

/** Run a seed: 0, or 1 if an invariant was breached. */
int cluster_run(const struct run_options *options, struct run_result *result);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Files of runs: one a line, "KIND SEED STEPS FAULTS", behind a first line
 * that tells the version, as a seed means nothing to another scenario.
 */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include "sim/run.h"

#include <stddef.h>

/** Of the scenarios: raised with each change of what a seed does. */
#define SEEDS_VERSION 3

/** Names of faults with commas between, to bits: 0, or -1. */
int seeds_parse_faults(const char *text, unsigned *bits);
/** And back; "" for none. */
void seeds_print_faults(char *to, size_t room, unsigned bits);

/** Add a run to a file, which is made if it is not there: 0 or -1. */
int seeds_save(const char *path, const char *kind,
               const struct run_options *run);

/** Run what a file names: 0, or -1 with a line on standard error. */
int seeds_load(const char *path,
               void (*run)(void *ctx, const char *kind,
                           const struct run_options *run),
               void *ctx);

#endif

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
#define SEEDS_VERSION 8

/** Names of faults with commas between, to bits: 0, or -1. */
int seeds_parse_faults(const char *text, unsigned *bits);
/** And back; "" for none. */
void seeds_print_faults(char *to, size_t room, unsigned bits);

/** Whether runs can be added to a file, which need not be there: 0, or -1 with
 * a line on standard error. */
int seeds_check_save(const char *path);
/** Add a run to it: 0, or -1 with a line on standard error. */
int seeds_save(const char *path, const char *kind,
               const struct run_options *run);

/** Run what a file names, after a look at the whole of it; `kind` is that of
 * tool.h.  0, or -1 with a line on standard error. */
int seeds_load(const char *path,
               void (*run)(void *ctx, int kind, const struct run_options *run),
               void *ctx);

#endif

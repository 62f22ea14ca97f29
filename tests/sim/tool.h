/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Parts of the program weir-sim: what it is asked for (tool_options.c), what
 * it tells of a run that fails (tool_report.c).
 */
#ifndef TESTS_SIM_TOOL_H
#define TESTS_SIM_TOOL_H

#include "sim/run.h"

/** Kinds of scenarios, as bits. */
enum { KIND_CORE = 1, KIND_CLUSTER = 2 };

/** What weir-sim is asked for. */
struct tool_options {
    const char *program; /* As it was called. */
    uint64_t first;
    uint64_t last;
    int seeds;   /* 1: --seeds or --seed. */
    int endless; /* 1: no last seed was given. */
    int kinds;   /* 0 if not given. */
    unsigned minutes;
    unsigned limit; /* Seconds of real time for a run. */
    struct run_options run;
    const char *save;
    const char *load;
    int quiet;
    int keep_going;
    int no_shrink;
    int all_marks;
};

/** Read the command line: 0; 2 for a wrong use, of which a line was printed;
 * -1: help was printed. */
int tool_parse(int argc, char **argv, struct tool_options *o);

const char *tool_kind_name(int kind);
/** Run a seed: 0, or 1 if it failed. */
int tool_run(int kind, const struct run_options *run, struct run_result *r);

/** Tell of a run that failed with `r`: the shortest that fails too, the end of
 * its trace, the command that repeats it.  Adds it to the file of --save. */
void tool_report(int kind, const struct tool_options *o,
                 const struct run_options *run, const struct run_result *r);

/** From now on, a run that takes too long of real time is told of and ends the
 * program: code that never comes back cannot be ended otherwise.  So is one in
 * which the program dies of a signal or of a sanitizer's finding. */
void tool_watch(const struct tool_options *o, int kind,
                const struct run_options *run);
/** What happens from now on, a leak that is found at the end, is no run's. */
void tool_watch_end(void);

/** Write over the line of progress on a terminal; nothing where there is
 * none. */
void tool_clear_progress(void);

#endif

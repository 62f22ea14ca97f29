/* SPDX-License-Identifier: Apache-2.0 */
/* weir-sim: run scenarios for many seeds, or one of them with its trace; and
 * make one that fails as short as it can be. */
#include "sim/marks.h"
#include "sim/seeds.h"
#include "sim/tool.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Where nobody watches a terminal, a line of progress every so often. */
enum { SECONDS_OF_A_LINE = 60 };

/* What each run of a cluster is to have. */
enum { OPERATIONS_MIN = 200, FAULTS_MIN = 10 };

/* What all runs came to. */
static struct {
    unsigned long runs;
    unsigned long clusters;
    unsigned long few; /* Of them: with fewer operations or faults. */
    unsigned long failed;
    struct run_result sum;
    time_t started;
    time_t shown;
    int on_terminal; /* 1: the line of progress is written over. */
    int dirty;       /* 1: it is there. */
} all;

/* Who ends it early still wants the sum: the signal that came, or 0. */
static volatile sig_atomic_t ended_by;

static void note(int number)
{
    ended_by = number;
}

/* The second one ends the program at once.  What is ignored stays so. */
static void watch_for_the_end(void)
{
    static const int signals[] = {SIGINT, SIGTERM};
    const struct sigaction action = {
        .sa_handler = note, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    struct sigaction former;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (sigaction(signals[i], NULL, &former) == 0 &&
            former.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

static unsigned long faults_of(const struct run_result *r)
{
    unsigned long faults = 0;

    for (int i = 0; i < FAULTS; i++)
        faults += r->faults[i];
    return faults;
}

static void add(int kind, const struct run_result *r)
{
    all.runs++;
    if (kind == KIND_CLUSTER) {
        all.clusters++;
        all.few += r->operations < OPERATIONS_MIN || faults_of(r) < FAULTS_MIN;
    }
    all.sum.acked += r->acked;
    all.sum.unknown += r->unknown;
    all.sum.fetched += r->fetched;
    all.sum.operations += r->operations;
    all.sum.opens += r->opens;
    all.sum.moves += r->moves;
    all.sum.seconds += r->seconds;
    for (int i = 0; i < FAULTS; i++)
        all.sum.faults[i] += r->faults[i];
}

void tool_clear_progress(void)
{
    if (all.dirty)
        fputs("\r\033[K", stderr);
    all.dirty = 0;
}

/* For whoever waits and sees nothing else. */
static void show_progress(const struct tool_options *o, uint64_t seed)
{
    time_t now = time(NULL);
    long seconds = (long)(now > all.started ? now - all.started : 1);

    if (!o->quiet ||
        now - all.shown < (all.on_terminal ? 1 : SECONDS_OF_A_LINE))
        return;
    all.shown = now;
    all.dirty = all.on_terminal;
    fprintf(stderr,
            "%sseed %" PRIu64 ": %lu runs in %ld s, %ld a minute, %lu failed%s",
            all.on_terminal ? "\r\033[K" : "", seed, all.runs, seconds,
            (long)(all.runs * 60) / seconds, all.failed,
            all.on_terminal ? "" : "\n");
}

static void print_result(int kind, uint64_t seed, const struct run_result *r)
{
    printf("seed %" PRIu64 " %s: %u nodes, %lu operations, %lu acked, %lu "
           "unknown, %lu fetched, %lu opens, %lu moves, %lu faults, %" PRIu64
           " s, trace %016" PRIx64 "\n",
           seed, tool_kind_name(kind), r->nodes, r->operations, r->acked,
           r->unknown, r->fetched, r->opens, r->moves, faults_of(r), r->seconds,
           r->trace_hash);
}

/* 1 if it failed. */
static int run_one(int kind, const struct tool_options *o,
                   const struct run_options *run)
{
    struct run_result r;
    int failed;

    tool_watch(o, kind, run);
    failed = tool_run(kind, run, &r);
    add(kind, &r);
    all.failed += failed != 0;
    if (failed)
        tool_report(kind, o, run, &r);
    else if (!o->quiet)
        print_result(kind, run->seed, &r);
    fflush(stdout);
    return failed;
}

static void run_seeds(const struct tool_options *o)
{
    time_t end = all.started + (time_t)o->minutes * 60;
    uint64_t seed = o->first;

    for (;; seed++) {
        struct run_options run = o->run;

        run.seed = seed;
        for (int kind = KIND_CORE; kind <= KIND_CLUSTER && ended_by == 0;
             kind *= 2)
            if ((o->kinds & kind) != 0 && run_one(kind, o, &run) &&
                !o->keep_going)
                return;
        show_progress(o, seed);
        if (seed == o->last || ended_by != 0 ||
            (o->minutes != 0 && time(NULL) >= end))
            return;
    }
}

static void run_saved(void *ctx, int kind, const struct run_options *saved)
{
    const struct tool_options *o = ctx;
    struct run_options run = o->run;

    run.seed = saved->seed;
    run.steps = saved->steps;
    run.without = saved->without;
    run_one(kind, o, &run);
    show_progress(o, run.seed);
}

static void print_sum(void)
{
    printf("%lu runs, %lu failed: %lu operations, %lu acknowledged batches, "
           "%lu of unknown outcome, %lu read and checked, %lu opens, %lu "
           "streams moved, %" PRIu64 " virtual hours\n",
           all.runs, all.failed, all.sum.operations, all.sum.acked,
           all.sum.unknown, all.sum.fetched, all.sum.opens, all.sum.moves,
           all.sum.seconds / 3600);
    if (all.clusters > 0)
        printf("%lu of %lu clusters had fewer than %d operations or %d "
               "faults\n",
               all.few, all.clusters, OPERATIONS_MIN, FAULTS_MIN);
    fputs("faults:", stdout);
    for (int i = 0; i < FAULTS; i++)
        printf(" %s %lu", run_fault_names[i], all.sum.faults[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct tool_options o = {.kinds = 0};
    int rc = tool_parse(argc, argv, &o);

    if (rc != 0)
        return rc < 0 ? 0 : rc;
    all.started = all.shown = time(NULL);
    all.on_terminal = isatty(STDERR_FILENO) == 1;
    if (o.run.trace != NULL)
        setvbuf(stdout, NULL, _IOLBF, 0); /* A run may be ended by force. */
    watch_for_the_end();
    if (o.load == NULL)
        run_seeds(&o);
    else if (seeds_load(o.load, run_saved, &o) != 0)
        return 2;
    tool_watch_end();
    tool_clear_progress();
    print_sum();
    if (marks_print() != 0 && o.all_marks && ended_by == 0)
        return 1;
    return all.failed > 0 ? 1 : ended_by != 0 ? 128 + ended_by : 0;
}

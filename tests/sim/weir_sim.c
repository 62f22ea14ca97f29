/* SPDX-License-Identifier: Apache-2.0 */
/* weir-sim: run scenarios for many seeds, or one of them with its trace; and
 * make one that fails as short as it can be. */
#include "sim/cluster.h"
#include "sim/marks.h"
#include "sim/scenario.h"
#include "sim/seeds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "Usage: weir-sim --seeds A..B [--minutes M] [--kind KIND] [--save FILE]\n"
    "       weir-sim --seed N [--kind KIND] [--steps K] [--without LIST] "
    "[--trace]\n"
    "       weir-sim --load FILE\n"
    "\n"
    "Run the library's core in a simulated world, in which one seed decides\n"
    "all that happens, and hold each run to what the library promises.\n"
    "\n"
    "  --seeds A..B    Run the seeds from A to B; stop at the first that "
    "fails.\n"
    "  --minutes M     Stop after M minutes; B may be left out (A..) then.\n"
    "  --seed N        Run one seed.\n"
    "  --kind KIND     core: one or two nodes, against a plain model;\n"
    "                  cluster: three to five, whose streams move; both.\n"
    "  --steps K       Only the first K steps of a run.\n"
    "  --without LIST  Without these faults: a list with commas.\n"
    "  --keep-going    Do not stop at a seed that fails.\n"
    "  --no-shrink     Do not look for a shorter run that fails too.\n"
    "  --save FILE     Add what fails to FILE.\n"
    "  --load FILE     Run what FILE names.\n"
    "  --all-marks     Fail if a rare state was not reached (make MARKS=1).\n"
    "  --trace         Print what happens, a line for each thing.\n"
    "  --quiet         Print failures and the sum only.\n"
    "  --help          Print this.\n"
    "\n"
    "Exit status: 0, 1 if a run failed, 2 for a wrong use.\n";

enum { CORE = 1, CLUSTER = 2 };

struct options {
    uint64_t first;
    uint64_t last;
    int seeds; /* 1: --seeds or --seed. */
    int kinds;
    unsigned minutes;
    struct run_options run;
    const char *save;
    const char *load;
    int quiet;
    int keep_going;
    int no_shrink;
    int all_marks;
};

/* What all runs came to. */
static struct {
    unsigned long runs;
    unsigned long failed;
    struct run_result sum;
    time_t started;
    time_t shown;
} all;

static void print_line(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

static int bad_use(const char *what)
{
    fprintf(stderr, "weir-sim: %s\nTry `weir-sim --help`.\n", what);
    return 2;
}

/* ---- Options ------------------------------------------------------------- */

static int parse_number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (*text < '0' || *text > '9')
        return -1;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return 0;
}

static int parse_seeds(const char *text, struct options *o)
{
    const char *end;

    o->seeds = 1;
    o->last = UINT64_MAX;
    if (parse_number(text, &end, &o->first) != 0 ||
        strncmp(end, "..", 2) != 0 ||
        (end[2] != '\0' &&
         (parse_number(end + 2, &end, &o->last) != 0 || *end != '\0')) ||
        o->last < o->first)
        return bad_use("--seeds: expected A..B, such as 1..1000");
    return 0;
}

static int parse_one(const char *text, uint64_t *out, uint64_t most,
                     const char *option)
{
    const char *end;
    char message[80];

    if (parse_number(text, &end, out) == 0 && *end == '\0' && *out <= most)
        return 0;
    snprintf(message, sizeof(message), "%s: expected a number", option);
    return bad_use(message);
}

static int parse_kind(const char *text, struct options *o)
{
    o->kinds = strcmp(text, "core") == 0      ? CORE
               : strcmp(text, "cluster") == 0 ? CLUSTER
               : strcmp(text, "both") == 0    ? CORE | CLUSTER
                                              : 0;
    return o->kinds != 0 ? 0
                         : bad_use("--kind: expected core, cluster or both");
}

static int parse_without(const char *text, struct options *o)
{
    if (seeds_parse_faults(text, &o->run.without) == 0)
        return 0;
    fprintf(stderr, "weir-sim: --without: expected a list of");
    for (int i = 0; i < FAULTS; i++)
        fprintf(stderr, " %s", run_fault_names[i]);
    fputs("\n", stderr);
    return 2;
}

static int parse_value(const char *name, const char *value, struct options *o)
{
    uint64_t n = 0;
    int rc = 0;

    if (strcmp(name, "--seeds") == 0)
        return parse_seeds(value, o);
    if (strcmp(name, "--kind") == 0)
        return parse_kind(value, o);
    if (strcmp(name, "--without") == 0)
        return parse_without(value, o);
    if (strcmp(name, "--save") == 0) {
        o->save = value;
    } else if (strcmp(name, "--load") == 0) {
        o->load = value;
    } else if (strcmp(name, "--seed") == 0) {
        rc = parse_one(value, &o->first, UINT64_MAX, name);
        o->last = o->first;
        o->seeds = 1;
    } else if (strcmp(name, "--minutes") == 0) {
        rc = parse_one(value, &n, 100000, name);
        o->minutes = (unsigned)n;
    } else if (strcmp(name, "--steps") == 0) {
        rc = parse_one(value, &n, 1000000, name);
        o->run.steps = (unsigned)n;
    } else {
        return bad_use("unknown option, or one without its value");
    }
    return rc;
}

static int parse_flag(const char *name, struct options *o)
{
    if (strcmp(name, "--trace") == 0)
        o->run.trace = print_line;
    else if (strcmp(name, "--quiet") == 0)
        o->quiet = o->run.unhashed = 1;
    else if (strcmp(name, "--keep-going") == 0)
        o->keep_going = 1;
    else if (strcmp(name, "--no-shrink") == 0)
        o->no_shrink = 1;
    else if (strcmp(name, "--all-marks") == 0)
        o->all_marks = 1;
    else
        return 0;
    return 1;
}

/* 0, 2 for a wrong use, or -1: help was printed. */
static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        int rc;

        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return -1;
        }
        if (parse_flag(argv[i], o))
            continue;
        if (i + 1 == argc)
            return bad_use("unknown option, or one without its value");
        rc = parse_value(argv[i], argv[i + 1], o);
        if (rc != 0)
            return rc;
        i++;
    }
    if (!o->seeds == (o->load == NULL))
        return bad_use("expected --seeds A..B, --seed N or --load FILE");
    if (o->last == UINT64_MAX && o->seeds && o->minutes == 0)
        return bad_use("--seeds: expected A..B, or --minutes with it");
    return 0;
}

/* ---- Runs ---------------------------------------------------------------- */

static int run_kind(int kind, const struct run_options *run,
                    struct run_result *r)
{
    return kind == CORE ? scenario_run(run, r) : cluster_run(run, r);
}

static const char *name_of(int kind)
{
    return kind == CORE ? "core" : "cluster";
}

/* The fewest steps, and then the fewest kinds of faults, with which it fails
 * too.  Every run is tried with fewer steps than the last that failed, so the
 * end is near. */
static void shrink(int kind, struct run_options *run)
{
    struct run_result r;
    unsigned least = 0;

    run->trace = NULL;
    if (run_kind(kind, run, &r) == 0)
        return;
    run->steps = r.steps > 0 ? r.steps : 1;
    while (run->steps - least > 1) {
        struct run_options shorter = *run;

        shorter.steps = least + (run->steps - least) / 2;
        if (run_kind(kind, &shorter, &r) != 0)
            run->steps = shorter.steps;
        else
            least = shorter.steps;
    }
    for (unsigned i = 0; i < FAULTS; i++) {
        struct run_options fewer = *run;

        fewer.without |= 1u << i;
        if (fewer.without != run->without && run_kind(kind, &fewer, &r) != 0)
            *run = fewer;
    }
}

static void print_again(int kind, const struct run_options *run)
{
    char list[400];

    printf("  run it again: weir-sim --kind %s --seed %" PRIu64, name_of(kind),
           run->seed);
    if (run->steps != 0)
        printf(" --steps %u", run->steps);
    seeds_print_faults(list, sizeof(list), run->without);
    if (list[0] != '\0')
        printf(" --without %s", list);
    printf(" --trace\n");
}

static void report(int kind, const struct options *o,
                   const struct run_options *run, const struct run_result *r)
{
    struct run_options least = *run;

    printf("seed %" PRIu64 " (%s) FAILED after %u steps: %s\n", run->seed,
           name_of(kind), r->steps, r->failure);
    fflush(stdout);
    if (!o->no_shrink) {
        shrink(kind, &least);
        printf("  the shortest that fails too has %u steps\n", least.steps);
    }
    print_again(kind, &least);
    if (o->save != NULL && seeds_save(o->save, name_of(kind), &least) != 0)
        fprintf(stderr, "weir-sim: cannot write %s\n", o->save);
}

static void add(const struct run_result *r)
{
    all.runs++;
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

/* A line that is written over, for whoever waits. */
static void show_progress(uint64_t seed)
{
    time_t now = time(NULL);

    if (now == all.shown || isatty(STDERR_FILENO) != 1)
        return;
    all.shown = now;
    fprintf(stderr, "\rseed %" PRIu64 ": %lu runs, %lu failed, %ld a minute ",
            seed, all.runs, all.failed,
            (long)(all.runs * 60) /
                (long)(now > all.started ? now - all.started : 1));
}

static void print_result(int kind, uint64_t seed, const struct run_result *r)
{
    unsigned long faults = 0;

    for (int i = 0; i < FAULTS; i++)
        faults += r->faults[i];
    printf("seed %" PRIu64 " %s: %u nodes, %lu operations, %lu acked, %lu "
           "unknown, %lu fetched, %lu opens, %lu moves, %lu faults, %" PRIu64
           " s, trace %016" PRIx64 "\n",
           seed, name_of(kind), r->nodes, r->operations, r->acked, r->unknown,
           r->fetched, r->opens, r->moves, faults, r->seconds, r->trace_hash);
}

/* 1 if it failed. */
static int run_one(int kind, const struct options *o,
                   const struct run_options *run)
{
    struct run_result r;
    int failed = run_kind(kind, run, &r);

    add(&r);
    all.failed += failed != 0;
    if (failed)
        report(kind, o, run, &r);
    else if (!o->quiet)
        print_result(kind, run->seed, &r);
    fflush(stdout);
    return failed;
}

static void run_seeds(const struct options *o)
{
    time_t end = all.started + (time_t)o->minutes * 60;
    uint64_t seed = o->first;

    for (;; seed++) {
        struct run_options run = o->run;

        run.seed = seed;
        for (int kind = CORE; kind <= CLUSTER; kind *= 2)
            if ((o->kinds & kind) != 0 && run_one(kind, o, &run) &&
                !o->keep_going)
                return;
        show_progress(seed);
        if (seed == o->last || (o->minutes != 0 && time(NULL) >= end))
            return;
    }
}

static void run_saved(void *ctx, const char *kind,
                      const struct run_options *run)
{
    run_one(strcmp(kind, "core") == 0 ? CORE : CLUSTER, ctx, run);
}

static void print_sum(void)
{
    printf("%lu runs, %lu failed: %lu operations, %lu acknowledged batches, "
           "%lu of unknown outcome, %lu read and checked, %lu opens, %lu "
           "streams moved, %" PRIu64 " virtual hours\nfaults:",
           all.runs, all.failed, all.sum.operations, all.sum.acked,
           all.sum.unknown, all.sum.fetched, all.sum.opens, all.sum.moves,
           all.sum.seconds / 3600);
    for (int i = 0; i < FAULTS; i++)
        printf(" %s %lu", run_fault_names[i], all.sum.faults[i]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct options o = {.kinds = CORE | CLUSTER};
    int rc = parse(argc, argv, &o);

    if (rc != 0)
        return rc < 0 ? 0 : rc;
    all.started = time(NULL);
    if (o.load == NULL)
        run_seeds(&o);
    else if (seeds_load(o.load, run_saved, &o) != 0)
        return 2;
    if (isatty(STDERR_FILENO) == 1)
        fputc('\n', stderr);
    print_sum();
    if (marks_print() != 0 && o.all_marks)
        return 1;
    return all.failed > 0;
}

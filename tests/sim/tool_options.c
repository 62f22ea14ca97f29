/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plant.h"
#include "sim/seeds.h"
#include "sim/tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 1000000, MINUTES_MAX = 100000, LIMIT_MAX = 1000000 };

/* A run takes less than a second, a hundred times that under sanitizers on a
 * busy machine. */
enum { LIMIT = 300 };

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
    "  --no-shrink     Do not look for the shortest run that fails too, by\n"
    "                  running all that are shorter.\n"
    "  --save FILE     Add what fails to FILE.\n"
    "  --load FILE     Run what FILE names.\n"
    "  --all-marks     Fail if a rare state was not reached (make MARKS=1).\n"
    "  --limit S       Take a run for hung after S seconds of real time "
    "(300).\n"
    "  --trace         Print what happens, a line for each thing.\n"
    "  --quiet         Print failures and the sum only.\n"
    "  --plant NAME    Plant a failure, to see what the program makes of it:\n"
    "                  breach, busy (no time passes), slow (very little),\n"
    "                  endless (of real time), wait (for what never comes),\n"
    "                  crash (the program dies).\n"
    "  --help          Print this.\n"
    "\n"
    "Each run has limits of virtual time, of steps and of real time: none\n"
    "hangs.\n"
    "\n"
    "Ctrl-C ends it after the run under way, with the sum; twice: at once.\n"
    "\n"
    "Exit status: 0, 1 if a run failed, 2 for a wrong use, 130 for Ctrl-C.\n";

static int bad_use(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static int bad_use(const char *format, ...)
{
    va_list args;

    fputs("weir-sim: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry `weir-sim --help`.\n", stderr);
    return 2;
}

/* Digits that are a number of 64 bits: 0 or -1. */
static int parse_number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return errno != 0 ? -1 : 0;
}

static int parse_seeds(const char *text, struct tool_options *o)
{
    const char *end;

    o->seeds = 1;
    o->last = UINT64_MAX;
    o->endless = 0;
    if (parse_number(text, &end, &o->first) == 0 &&
        strncmp(end, "..", 2) == 0) {
        o->endless = end[2] == '\0';
        if (!o->endless && parse_number(end + 2, &end, &o->last) != 0)
            end = text;
        if (!o->endless && *end == '\0' && o->last < o->first)
            return bad_use("--seeds %s: the last seed is below the first",
                           text);
        if (o->endless || *end == '\0')
            return 0;
    }
    return bad_use("--seeds %s: expected A..B, such as 1..1000, with numbers "
                   "below 2^64",
                   text);
}

static int parse_one(const char *text, uint64_t *out, uint64_t least,
                     uint64_t most, const char *option)
{
    const char *end;

    if (parse_number(text, &end, out) == 0 && *end == '\0' && *out >= least &&
        *out <= most)
        return 0;
    return bad_use("%s %s: expected a number from %" PRIu64 " to %" PRIu64,
                   option, text, least, most);
}

static int parse_kind(const char *text, struct tool_options *o)
{
    o->kinds = strcmp(text, "core") == 0      ? KIND_CORE
               : strcmp(text, "cluster") == 0 ? KIND_CLUSTER
               : strcmp(text, "both") == 0    ? KIND_CORE | KIND_CLUSTER
                                              : 0;
    return o->kinds != 0
               ? 0
               : bad_use("--kind %s: expected core, cluster or both", text);
}

static int parse_without(const char *text, struct tool_options *o)
{
    char list[400];

    if (*text != '\0' && seeds_parse_faults(text, &o->run.without) == 0)
        return 0;
    seeds_print_faults(list, sizeof(list), (1u << FAULTS) - 1);
    return bad_use("--without %s: expected a list of these: %s", text, list);
}

static int parse_plant(const char *text, struct tool_options *o)
{
    o->run.plant = plant_named(text);
    return o->run.plant != PLANT_NOTHING
               ? 0
               : bad_use("--plant %s: expected breach, busy, slow, endless, "
                         "wait or crash",
                         text);
}

static int parse_value(const char *name, const char *value,
                       struct tool_options *o)
{
    uint64_t n = 0;
    int rc = 0;

    if (strcmp(name, "--seeds") == 0)
        return parse_seeds(value, o);
    if (strcmp(name, "--kind") == 0)
        return parse_kind(value, o);
    if (strcmp(name, "--without") == 0)
        return parse_without(value, o);
    if (strcmp(name, "--plant") == 0)
        return parse_plant(value, o);
    if (strcmp(name, "--save") == 0) {
        o->save = value;
    } else if (strcmp(name, "--load") == 0) {
        o->load = value;
    } else if (strcmp(name, "--seed") == 0) {
        rc = parse_one(value, &o->first, 0, UINT64_MAX, name);
        o->last = o->first;
        o->seeds = 1;
        o->endless = 0;
    } else if (strcmp(name, "--minutes") == 0) {
        rc = parse_one(value, &n, 1, MINUTES_MAX, name);
        o->minutes = (unsigned)n;
    } else if (strcmp(name, "--limit") == 0) {
        rc = parse_one(value, &n, 1, LIMIT_MAX, name);
        o->limit = (unsigned)n;
    } else {
        rc = parse_one(value, &n, 1, STEPS_MAX, name);
        o->run.steps = (unsigned)n;
    }
    return rc;
}

static void print_line(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

static int parse_flag(const char *name, struct tool_options *o)
{
    if (strcmp(name, "--trace") == 0)
        o->run.trace = print_line;
    else if (strcmp(name, "--quiet") == 0)
        o->quiet = 1;
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

static int takes_value(const char *name)
{
    static const char *const names[] = {
        "--seeds", "--seed", "--minutes", "--kind",  "--without",
        "--save",  "--load", "--steps",   "--plant", "--limit"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

/* What goes with what. */
static int check(struct tool_options *o)
{
    if (o->seeds == (o->load != NULL))
        return bad_use("expected one of --seeds A..B, --seed N and --load "
                       "FILE");
    if (o->load != NULL &&
        (o->kinds != 0 || o->run.steps != 0 || o->run.without != 0))
        return bad_use("--load %s: each line of the file tells kind, steps and "
                       "faults; leave --kind, --steps and --without out",
                       o->load);
    if (o->endless && o->minutes == 0)
        return bad_use("--seeds %" PRIu64 "..: without a last seed it needs "
                       "--minutes",
                       o->first);
    if (o->minutes != 0 && !o->seeds)
        return bad_use("--minutes: only with --seeds");
    if (o->save != NULL && seeds_check_save(o->save) != 0)
        return 2;
    if (o->kinds == 0)
        o->kinds = KIND_CORE | KIND_CLUSTER;
    /* Who prints results prints the hash of the trace. */
    o->run.unhashed = o->quiet && o->run.trace == NULL;
    return 0;
}

int tool_parse(int argc, char **argv, struct tool_options *o)
{
    o->program = argv[0];
    o->limit = LIMIT;
    for (int i = 1; i < argc; i++) {
        int rc;

        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return -1;
        }
        if (parse_flag(argv[i], o))
            continue;
        if (!takes_value(argv[i]))
            return bad_use("%s: unknown option", argv[i]);
        if (i + 1 == argc)
            return bad_use("%s: expected a value behind it", argv[i]);
        rc = parse_value(argv[i], argv[i + 1], o);
        if (rc != 0)
            return rc;
        i++;
    }
    return check(o);
}

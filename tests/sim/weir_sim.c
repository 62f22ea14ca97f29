/* SPDX-License-Identifier: Apache-2.0 */
/* weir-sim: run the scenario for many seeds, or one of them with its trace. */
#include "sim/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: weir-sim --seeds A..B [--quiet]\n"
    "       weir-sim --seed N [--trace]\n"
    "\n"
    "Run the library's core in a simulated world, in which one seed decides\n"
    "all that happens, and compare it with a plain model.\n"
    "\n"
    "  --seeds A..B  Run the seeds from A to B; stop at the first that fails.\n"
    "  --seed N      Run one seed.\n"
    "  --keep-going  Do not stop at a seed that fails.\n"
    "  --trace       Print what happens, a line for each thing.\n"
    "  --quiet       Print failures and the sum only.\n"
    "  --help        Print this.\n"
    "\n"
    "Exit status: 0, 1 if a seed failed, 2 for a wrong use.\n";

struct options {
    uint64_t first;
    uint64_t last;
    int trace;
    int quiet;
    int keep_going;
};

static void print_line(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

static int bad_use(const char *what)
{
    fprintf(stderr, "weir-sim: %s\n%s", what, usage);
    return 2;
}

static int parse_number(const char *text, const char **end, uint64_t *out)
{
    char *stop;

    if (*text < '0' || *text > '9')
        return -1;
    *out = strtoull(text, &stop, 10);
    *end = stop;
    return 0;
}

static int parse_seeds(const char *text, struct options *options)
{
    const char *end;

    if (parse_number(text, &end, &options->first) != 0 ||
        strncmp(end, "..", 2) != 0 ||
        parse_number(end + 2, &end, &options->last) != 0 || *end != '\0' ||
        options->last < options->first)
        return bad_use("--seeds: expected A..B, such as 1..1000");
    return 0;
}

static int parse_seed(const char *text, struct options *options)
{
    const char *end;

    if (parse_number(text, &end, &options->first) != 0 || *end != '\0')
        return bad_use("--seed: expected a number");
    options->last = options->first;
    return 0;
}

/* 0, 2 for a wrong use, or -1: help was printed. */
static int parse(int argc, char **argv, struct options *options)
{
    int seen = 0;
    int rc = 0;
    int i;

    for (i = 1; i < argc && rc == 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return -1;
        }
        if (strcmp(argv[i], "--trace") == 0) {
            options->trace = 1;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            options->quiet = 1;
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            options->keep_going = 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            rc = parse_seeds(argv[++i], options);
            seen = 1;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            rc = parse_seed(argv[++i], options);
            seen = 1;
        } else {
            return bad_use("unknown option, or one without its value");
        }
    }
    if (rc == 0 && !seen)
        return bad_use("expected --seeds A..B or --seed N");
    return rc;
}

static void print_result(uint64_t seed, const struct scenario_result *r)
{
    printf("seed %" PRIu64 ": %lu acked, %lu unknown, %lu fetched, %lu opens, "
           "%lu crashes, %" PRIu64 " s, trace %016" PRIx64 "\n",
           seed, r->acked, r->unknown, r->fetched, r->opens, r->crashes,
           r->seconds, r->trace_hash);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct scenario_result r;
    unsigned long acked = 0;
    unsigned long crashes = 0;
    unsigned long failed = 0;
    uint64_t seconds = 0;
    uint64_t seed;
    int rc = parse(argc, argv, &options);

    if (rc != 0)
        return rc < 0 ? 0 : rc;
    for (seed = options.first; seed <= options.last; seed++) {
        if (scenario_run(seed, options.trace ? print_line : NULL, NULL, &r)) {
            printf("seed %" PRIu64 " FAILED: %s\n"
                   "  run it again: weir-sim --seed %" PRIu64 " --trace\n",
                   seed, r.failure, seed);
            failed++;
        }
        if (!options.quiet)
            print_result(seed, &r);
        fflush(stdout);
        acked += r.acked;
        crashes += r.crashes;
        seconds += r.seconds;
        if (failed > 0 && !options.keep_going)
            break;
    }
    printf("%lu acknowledged batches, %lu crashes, %" PRIu64
           " virtual hours, %lu seeds failed\n",
           acked, crashes, seconds / 3600, failed);
    return failed > 0;
}

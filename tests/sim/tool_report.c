/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"
#include "sim/scenario.h"
#include "sim/seeds.h"
#include "sim/shortest.h"
#include "sim/tool.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_ROOM = 1024, LINE_ROOM = 512, TAIL = 30 };

/* Runs to look for the fewest steps in: no scenario has as many steps. */
enum { SHORTER_MOST = 1000 };

const char *tool_kind_name(int kind)
{
    return kind == KIND_CORE ? "core" : "cluster";
}

int tool_run(int kind, const struct run_options *run, struct run_result *r)
{
    return kind == KIND_CORE ? scenario_run(run, r) : cluster_run(run, r);
}

/* ---- The command that repeats a run -------------------------------------- */

static void write_command(char to[COMMAND_ROOM], const struct tool_options *o,
                          int kind, const struct run_options *run)
{
    char list[400];
    char steps[32] = "";

    if (run->steps != 0)
        snprintf(steps, sizeof(steps), " --steps %u", run->steps);
    seeds_print_faults(list, sizeof(list), run->without);
    snprintf(to, COMMAND_ROOM,
             "%s --kind %s --seed %" PRIu64 "%s%s%s%s%s --no-shrink --trace",
             o->program, tool_kind_name(kind), run->seed, steps,
             list[0] != '\0' ? " --without " : "", list,
             run->plant != PLANT_NOTHING ? " --plant " : "",
             run->plant != PLANT_NOTHING ? plant_name(run->plant) : "");
}

/* ---- A run that ends the program ----------------------------------------- */

/* Written before each run.  The code that is interrupted may hold any lock: no
 * stdio then. */
static char too_long[COMMAND_ROOM + 400];
static char died[COMMAND_ROOM + 400];

static void tell_and_leave(int number)
{
    (void)number;
    (void)!write(STDOUT_FILENO, too_long, strlen(too_long));
    _exit(1);
}

static void tell_of_death(void)
{
    (void)!write(STDOUT_FILENO, died, strlen(died));
}

/* The signal has its default action again (SA_RESETHAND). */
static void tell_and_die(int number)
{
    tell_of_death();
    raise(number);
}

/* A sanitizer tells of what it finds by itself, and calls back. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>

static const int deaths[] = {SIGABRT};

static void prepare(void)
{
    __sanitizer_set_death_callback(tell_of_death);
}
#else
static const int deaths[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};

/* On a stack of its own, as it may be the usual one that has no room. */
static void prepare(void)
{
    static char room[64 << 10];
    const stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};

    sigaltstack(&stack, NULL);
}
#endif

static void watch_deaths(void)
{
    const struct sigaction action = {.sa_handler = tell_and_die,
                                     .sa_flags =
                                         (int)(SA_RESETHAND | SA_ONSTACK)};

    if (died[0] != '\0')
        return; /* They are watched. */
    prepare();
    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
        sigaction(deaths[i], &action, NULL);
}

void tool_watch(const struct tool_options *o, int kind,
                const struct run_options *run)
{
    struct sigaction action = {.sa_handler = tell_and_leave};
    char command[COMMAND_ROOM];

    watch_deaths();
    write_command(command, o, kind, run);
    snprintf(died, sizeof(died),
             "\nseed %" PRIu64 " (%s) FAILED: the program died in it\n"
             "  run it again, under a debugger: %s\n",
             run->seed, tool_kind_name(kind), command);
    snprintf(too_long, sizeof(too_long),
             "\nseed %" PRIu64 " (%s) FAILED after %u s of real time: it "
             "hangs, in code that does not come back\n"
             "  run it again, under a debugger: %s\n",
             run->seed, tool_kind_name(kind), o->limit, command);
    sigaction(SIGALRM, &action, NULL);
    alarm(o->limit);
}

void tool_watch_end(void)
{
    alarm(0);
    died[0] = '\0';
}

/* ---- Shorter ------------------------------------------------------------- */

/* A run that fails, made as short as it goes. */
struct shrinking {
    const struct tool_options *options;
    int kind;
    struct run_options least;
    struct run_result result; /* Of `least`. */
    unsigned runs;
    int exact; /* Each run of fewer steps was tried, with the same faults. */
};

/* 1 if it fails: it is the least one then. */
static int fails(struct shrinking *s, const struct run_options *run)
{
    struct run_result r;

    s->runs++;
    tool_watch(s->options, s->kind, run);
    if (tool_run(s->kind, run, &r) == 0)
        return 0;
    s->least = *run;
    s->result = r;
    return 1;
}

static int fails_within(void *ctx, unsigned steps)
{
    struct shrinking *s = ctx;
    struct run_options run = s->least;

    run.steps = steps;
    return fails(s, &run);
}

/* The fewest steps, and then, with these, the fewest kinds of faults, with
 * which it fails too: 0, or -1 if it does not fail again.  Each run ends by
 * the limits of its world; there is one for each number of steps that is
 * smaller, some for halving, and one for each kind of fault that has
 * happened. */
static int shrink(struct shrinking *s)
{
    struct shortest search = {
        .fails = fails_within, .ctx = s, .most = SHORTER_MOST};
    struct run_options run = s->least;

    if (!fails(s, &run))
        return -1;
    s->least.steps = s->result.steps > 0 ? s->result.steps : 1;
    search.steps = s->least.steps;
    shortest_find(&search);
    s->exact = search.exact;
    for (unsigned i = 0; i < FAULTS; i++) {
        run = s->least;
        run.without |= 1u << i;
        if (s->result.faults[i] > 0)
            fails(s, &run);
    }
    return 0;
}

/* ---- The end of its trace ------------------------------------------------ */

struct tail {
    char lines[TAIL][LINE_ROOM];
    unsigned long count;
};

static void keep_line(void *ctx, const char *line)
{
    struct tail *tail = ctx;

    snprintf(tail->lines[tail->count++ % TAIL], LINE_ROOM, "%s", line);
}

static void print_tail(struct shrinking *s)
{
    struct tail *tail = calloc(1, sizeof(*tail));
    struct run_options run = s->least;
    struct run_result r;
    unsigned long i;

    if (tail == NULL)
        return;
    run.trace = keep_line;
    run.ctx = tail;
    run.unhashed = 0;
    tool_watch(s->options, s->kind, &run);
    (void)tool_run(s->kind, &run, &r);
    i = tail->count > TAIL ? tail->count - TAIL : 0;
    printf("  its trace, %lu lines (--trace prints all), ends with, behind "
           "virtual nanoseconds:\n",
           tail->count);
    for (; i < tail->count; i++)
        printf("    %s\n", tail->lines[i % TAIL]);
    free(tail);
}

/* ---- The report ---------------------------------------------------------- */

static void print_least(const struct shrinking *s)
{
    char list[400];

    seeds_print_faults(list, sizeof(list), s->least.without);
    printf("  the shortest that fails too (%u runs were tried, %s that have "
           "fewer steps) has %u steps%s%s: %s\n",
           s->runs, s->exact ? "all" : "not all", s->least.steps,
           list[0] != '\0' ? " without " : "", list, s->result.failure);
}

void tool_report(int kind, const struct tool_options *o,
                 const struct run_options *run, const struct run_result *r)
{
    struct shrinking s = {
        .options = o, .kind = kind, .least = *run, .result = *r};
    char command[COMMAND_ROOM];

    tool_clear_progress();
    printf("seed %" PRIu64 " (%s) FAILED after %u steps: %s\n", run->seed,
           tool_kind_name(kind), r->steps, r->failure);
    fflush(stdout);
    s.least.trace = NULL;
    s.least.unhashed = 1;
    if (!o->no_shrink && shrink(&s) != 0)
        printf("  it does not fail again: what happens does not depend on the "
               "seed alone\n");
    else if (!o->no_shrink)
        print_least(&s);
    if (run->trace == NULL)
        print_tail(&s);
    write_command(command, o, kind, &s.least);
    printf("  run it again: %s\n", command);
    fflush(stdout);
    if (o->save != NULL)
        (void)seeds_save(o->save, tool_kind_name(kind), &s.least);
}

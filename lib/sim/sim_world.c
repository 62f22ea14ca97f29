/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <weir/error.h>

/* Uses of random numbers; nodes and disks come after these. */
enum { USE_ORDER = 1, USE_STORE, USE_TEST, USE_MESSAGE, USE_WATCH };

/* What a task takes, at most: enough for I/O to end between two tasks. */
enum { TASK_NS = 2000 };

enum { BUSY_LIMIT = 10000000 };

/* What I/O typically takes: at least so long that it ends after it began, and
 * no more than can be doubled some times. */
static int set_time(uint64_t *time, uint64_t usual)
{
    if (*time == 0)
        *time = usual;
    return *time < SIM_US || *time > 3600 * SIM_SECOND ? WEIR_EINVAL : 0;
}

/* What was left to the world. */
static int set_options(struct weir_sim_options *options)
{
    if (options->limit > INT64_MAX)
        options->limit = INT64_MAX; /* UINT64_MAX is "never" to many. */
    if (options->busy_limit == 0)
        options->busy_limit = BUSY_LIMIT;
    if (options->step_limit == 0)
        options->step_limit = UINT64_MAX;
    if (set_time(&options->store_time, 8 * SIM_MS) != 0)
        return WEIR_EINVAL;
    return set_time(&options->disk_time, 200 * SIM_US);
}

int weir_sim_new(struct weir_sim **out, const struct weir_sim_options *options)
{
    const struct weir_alloc *alloc;
    struct weir_sim_options given;
    struct weir_sim *sim;

    *out = NULL;
    if (options->size != sizeof(*options) || options->limit <= SIM_SECOND)
        return WEIR_EINVAL;
    given = *options;
    if (set_options(&given) != 0)
        return WEIR_EINVAL;
    alloc = options->alloc != NULL ? options->alloc : weir_alloc_default();
    sim = weir__calloc(alloc, 1, sizeof(*sim));
    *out = sim;
    if (sim == NULL)
        return WEIR_ENOMEM;
    sim->alloc = alloc;
    sim->options = given;
    sim->now = SIM_SECOND; /* 0 means "none" to many. */
    sim->busy_end = sim->options.busy_limit;
    snprintf(sim->ended, sizeof(sim->ended),
             "the limit of %" PRIu64 " s of virtual time is reached",
             options->limit / SIM_SECOND);
    sim->faults.disk_garble = 10000;
    weir__sim_random_init(&sim->order, options->seed, USE_ORDER);
    weir__sim_random_init(&sim->store_random, options->seed, USE_STORE);
    weir__sim_random_init(&sim->random, options->seed, USE_TEST);
    weir__sim_random_init(&sim->message_random, options->seed, USE_MESSAGE);
    weir__sim_random_init(&sim->watch_random, options->seed, USE_WATCH);
    weir__list_init(&sim->messages);
    weir__list_init(&sim->cuts);
    weir__list_init(&sim->requests);
    weir__list_init(&sim->watches);
    return 0;
}

void weir_sim_free(struct weir_sim *sim)
{
    struct weir_sim_node *node;

    if (sim == NULL)
        return;
    for (node = sim->nodes; node != NULL; node = node->next)
        weir_sim_crash(node);
    weir__sim_messages_free(sim);
    while ((node = sim->nodes) != NULL) {
        sim->nodes = node->next;
        weir__sim_node_free(node);
    }
    weir__sim_watch_free(sim);
    weir__sim_store_free(sim);
    weir__sim_objects_free(sim);
    weir__free(sim->alloc, sim);
}

struct weir_sim_faults *weir_sim_faults(struct weir_sim *sim)
{
    return &sim->faults;
}

const struct weir_sim_faults *weir_sim_faults_seen(const struct weir_sim *sim)
{
    return &sim->seen;
}

uint64_t weir_sim_now(const struct weir_sim *sim)
{
    return sim->now;
}

const char *weir_sim_ended(const struct weir_sim *sim)
{
    return sim->now < sim->options.limit ? NULL : sim->ended;
}

uint64_t weir_sim_below(struct weir_sim *sim, uint64_t n)
{
    return weir__sim_random_below(&sim->random, n);
}

void weir_sim_trace(struct weir_sim *sim, const char *format, ...)
{
    char line[512];
    int len;
    va_list args;

    if (sim->options.trace == NULL)
        return;
    len = snprintf(line, sizeof(line), "%" PRIu64 " ", sim->now);
    va_start(args, format);
    vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    va_end(args);
    sim->options.trace(sim->options.trace_ctx, line);
}

void weir_sim_at(struct weir_sim *sim, struct weir_timer *timer)
{
    weir__timers_start(&sim->events, timer);
}

void weir_sim_cancel(struct weir_sim *sim, struct weir_timer *timer)
{
    weir__timers_stop(&sim->events, timer);
}

/* ---- What happens next --------------------------------------------------- */

static int is_due(const struct weir_sim *sim, const struct weir__timers *timers)
{
    return timers->first != NULL && timers->first->deadline <= sim->now;
}

/* Things that could happen now: the next task of each node, its next timer,
 * and the next event of the world. */
static uint64_t count_due(const struct weir_sim *sim)
{
    uint64_t count = (uint64_t)is_due(sim, &sim->events);
    const struct weir_sim_node *node;

    for (node = sim->nodes; node != NULL; node = node->next)
        if (!node->paused)
            count += (uint64_t)(node->tasks != NULL) +
                     (uint64_t)is_due(sim, &node->timers);
    return count;
}

static void fire(struct weir_sim *sim, struct weir__timers *timers)
{
    struct weir_timer *timer = weir__timers_due(timers, sim->now, UINT64_MAX);

    timer->fire(timer);
}

static void run_event(struct weir_sim *sim)
{
    sim->in_event = 1;
    fire(sim, &sim->events);
    sim->in_event = 0;
}

static void run_in_core(struct weir_sim_node *node, int timer)
{
    struct weir_sim *sim = node->sim;
    struct weir_task *task = node->tasks;

    sim->running = node;
    if (timer) {
        fire(sim, &node->timers);
    } else {
        node->tasks = task->next;
        if (node->tasks == NULL)
            node->tasks_end = &node->tasks;
        task->run(task);
    }
    sim->running = NULL;
    sim->now += weir__sim_random_below(&sim->order, TASK_NS);
    weir__sim_reap(node);
}

/* Let the thing of that number happen: the node that it was of, or NULL. */
static struct weir_sim_node *run_due(struct weir_sim *sim, uint64_t number)
{
    struct weir_sim_node *node;

    if (is_due(sim, &sim->events) && number-- == 0) {
        run_event(sim);
        return NULL;
    }
    for (node = sim->nodes; node != NULL; node = node->next) {
        if (node->paused)
            continue;
        if (node->tasks != NULL && number-- == 0) {
            run_in_core(node, 0);
            return node;
        }
        if (is_due(sim, &node->timers) && number-- == 0) {
            run_in_core(node, 1);
            return node;
        }
    }
    return NULL;
}

static uint64_t earlier(uint64_t time, const struct weir__timers *timers)
{
    if (timers->first != NULL && timers->first->deadline < time)
        return timers->first->deadline;
    return time;
}

/* When the next thing can happen; UINT64_MAX: never. */
static uint64_t next_time(const struct weir_sim *sim)
{
    uint64_t next = earlier(UINT64_MAX, &sim->events);
    const struct weir_sim_node *node;

    for (node = sim->nodes; node != NULL; node = node->next)
        if (!node->paused)
            next = earlier(next, &node->timers);
    return next;
}

/* The clock goes to its limit, where every wait ends. */
static void end_world(struct weir_sim *sim, uint64_t steps, const char *how,
                      const struct weir_sim_node *last)
{
    char of[32] = "the world's own";

    if (last != NULL)
        snprintf(of, sizeof(of), "node %" PRIu32 "'s", last->id);
    snprintf(sim->ended, sizeof(sim->ended),
             "%" PRIu64 " steps were made %s, at %" PRIu64
             ".%03u s of virtual time; the last was %s",
             steps, how, sim->now / SIM_SECOND,
             (unsigned)(sim->now % SIM_SECOND / SIM_MS), of);
    weir_sim_trace(sim, "the world ends: %s", sim->ended);
    sim->now = sim->options.limit;
}

static void count_step(struct weir_sim *sim, const struct weir_sim_node *of)
{
    sim->steps++;
    if (sim->now >= sim->options.limit)
        return;
    if (sim->steps >= sim->busy_end)
        end_world(sim, sim->options.busy_limit, "without a pause", of);
    else if (sim->steps >= sim->options.step_limit)
        end_world(sim, sim->steps, "in all", of);
}

void weir__sim_polled_idle(struct weir_sim_node *node, uint64_t ns)
{
    node->sim->now += ns;
    count_step(node->sim, node);
}

/* Nothing is due: go to when something is. */
static enum sim_step jump(struct weir_sim *sim, uint64_t until)
{
    uint64_t next = next_time(sim);

    if (next > until || next == UINT64_MAX) {
        if (until != UINT64_MAX && until > sim->now)
            sim->now = until;
        return next == UINT64_MAX ? SIM_IDLE : SIM_REACHED;
    }
    if (next - sim->now >= SIM_US)
        sim->busy_end = sim->steps + sim->options.busy_limit;
    sim->now = next;
    return SIM_RAN;
}

enum sim_step weir__sim_step(struct weir_sim *sim, uint64_t until)
{
    uint64_t count = count_due(sim);

    if (sim->now >= sim->options.limit)
        return SIM_IDLE;
    if (count == 0) {
        enum sim_step rc = jump(sim, until);

        if (rc != SIM_RAN)
            return rc;
        count = count_due(sim);
    }
    count_step(sim, run_due(sim, weir__sim_random_below(&sim->order, count)));
    return SIM_RAN;
}

/* ---- Runs ---------------------------------------------------------------- */

/* The end of a run of `ns`, within the limit of the world. */
static uint64_t end_of(const struct weir_sim *sim, uint64_t ns)
{
    uint64_t limit = sim->options.limit;

    if (sim->now >= limit || ns >= limit - sim->now)
        return limit;
    return sim->now + ns;
}

static int is_inside(const struct weir_sim *sim)
{
    return sim->running != NULL || sim->in_event;
}

int weir_sim_run(struct weir_sim *sim, uint64_t ns)
{
    uint64_t until = end_of(sim, ns);

    if (is_inside(sim))
        return WEIR_EBUSY;
    while (sim->now < until)
        weir__sim_step(sim, until);
    return sim->now < sim->options.limit ? 0 : WEIR_ETIMEDOUT;
}

/* A run that ends without what it was to reach. */
static int out_of_time(const struct weir_sim *sim, uint64_t start,
                       const char *what, int idle, struct weir_error *err)
{
    uint64_t ns = sim->now - start;

    if (weir_sim_ended(sim) != NULL)
        return weir__fail(err, WEIR_ETIMEDOUT, "%s: %s", what,
                          weir_sim_ended(sim));
    return weir__fail(err, WEIR_ETIMEDOUT,
                      "%s after %" PRIu64 ".%03u s of virtual time%s", what,
                      ns / SIM_SECOND, (unsigned)(ns % SIM_SECOND / SIM_MS),
                      idle ? ": nothing can happen any more" : "");
}

int weir_sim_run_until(struct weir_sim *sim, weir_sim_predicate_fn *holds,
                       void *ctx, uint64_t ns, struct weir_error *err)
{
    uint64_t start = sim->now;
    uint64_t until = end_of(sim, ns);
    int idle = 0;

    if (is_inside(sim))
        return weir__fail(err, WEIR_EBUSY, "run: called inside of the world");
    while (!holds(ctx)) {
        if (idle || sim->now >= until)
            return out_of_time(sim, start, "the predicate does not hold", idle,
                               err);
        idle = weir__sim_step(sim, until) == SIM_IDLE;
    }
    return 0;
}

int weir_sim_run_idle(struct weir_sim *sim, uint64_t quiet, uint64_t ns,
                      struct weir_error *err)
{
    uint64_t start = sim->now;
    uint64_t until = end_of(sim, ns);

    if (is_inside(sim))
        return weir__fail(err, WEIR_EBUSY, "run: called inside of the world");
    for (;;) {
        uint64_t next = next_time(sim);

        if (count_due(sim) == 0 &&
            (next == UINT64_MAX || next - sim->now > quiet))
            return 0;
        if (sim->now >= until)
            return out_of_time(sim, start, "the world is not idle", 0, err);
        weir__sim_step(sim, until);
    }
}

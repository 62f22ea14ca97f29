/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "sim/world.h"

/* 2026-01-01, in milliseconds since 1970. */
#define EPOCH_MS ((int64_t)1767225600000)

/* Work under way on a "worker". */
struct sim_work {
    struct weir__list node; /* In `works`. */
    struct weir_sim_node *owner;
    struct weir_work *work;
    struct weir_timer timer;
};

static struct weir_sim_node *node_of(struct weir_env *env)
{
    return WEIR__CONTAINER(env, struct weir_sim_node, env);
}

static uint64_t sim_env_now(struct weir_env *env)
{
    return node_of(env)->sim->now;
}

static int64_t sim_env_wall(struct weir_env *env)
{
    struct weir_sim_node *node = node_of(env);

    return EPOCH_MS + node->skew + (int64_t)(node->sim->now / SIM_MS);
}

static void sim_env_random(struct weir_env *env, void *data, size_t len)
{
    unsigned char *at = data;

    while (len-- > 0)
        *at++ = (unsigned char)weir__sim_random_next(&node_of(env)->random);
}

static void sim_env_post(struct weir_env *env, struct weir_task *task)
{
    struct weir_sim_node *node = node_of(env);

    if (!node->up)
        return;
    task->next = NULL;
    *node->tasks_end = task;
    node->tasks_end = &task->next;
}

static void sim_env_timer_start(struct weir_env *env, struct weir_timer *timer)
{
    if (node_of(env)->up)
        weir__timers_start(&node_of(env)->timers, timer);
}

static void sim_env_timer_stop(struct weir_env *env, struct weir_timer *timer)
{
    if (node_of(env)->up)
        weir__timers_stop(&node_of(env)->timers, timer);
}

static void work_done(struct weir_task *task)
{
    struct weir_work *work = WEIR__CONTAINER(task, struct weir_work, task);

    work->done(work);
}

static void work_run(struct weir_timer *timer)
{
    struct sim_work *job = WEIR__CONTAINER(timer, struct sim_work, timer);
    struct weir_work *work = job->work;
    struct weir_sim_node *node = job->owner;

    weir__list_remove(&job->node);
    weir__free(node->sim->alloc, job);
    work->work(work);
    work->task.run = work_done;
    sim_env_post(&node->env, &work->task);
}

static void sim_env_work(struct weir_env *env, struct weir_work *work)
{
    struct weir_sim_node *node = node_of(env);
    struct sim_work *job;

    if (!node->up)
        return;
    job = weir__calloc(node->sim->alloc, 1, sizeof(*job));
    if (job == NULL) { /* As slow as can be: at once, in the core. */
        work->work(work);
        work->task.run = work_done;
        sim_env_post(env, &work->task);
        return;
    }
    job->owner = node;
    job->work = work;
    job->timer.fire = work_run;
    job->timer.deadline =
        node->sim->now + weir__sim_random_time(&node->random, 50 * SIM_US);
    weir__list_push(&node->works, &job->node);
    weir_sim_at(node->sim, &job->timer);
}

void weir__sim_env_crash(struct weir_sim_node *node)
{
    struct weir__list *at;

    node->tasks = NULL;
    node->tasks_end = &node->tasks;
    node->timers = (struct weir__timers){0};
    while ((at = weir__list_pop(&node->works)) != NULL) {
        struct sim_work *job = WEIR__CONTAINER(at, struct sim_work, node);

        weir_sim_cancel(node->sim, &job->timer);
        weir__free(node->sim->alloc, job);
    }
}

static uint64_t deadline_of(const struct weir_sim *sim, int64_t timeout)
{
    uint64_t left =
        sim->options.limit > sim->now ? sim->options.limit - sim->now : 0;

    if (timeout < 0)
        return sim->now;
    return sim->now + ((uint64_t)timeout < left ? (uint64_t)timeout : left);
}

/* Whoever drives in a paused node waits: 0 if it is never resumed. */
static int resumed(struct weir_sim_node *node)
{
    struct weir_sim *sim = node->sim;

    while (node->paused && sim->now < sim->options.limit &&
           weir__sim_step(sim, sim->options.limit) != SIM_IDLE)
        ;
    return !node->paused;
}

/* What a look takes that does not wait: a program may do nothing else. */
enum { POLL_NS = 10000 };

static int sim_env_poll(struct weir_env *env, int64_t timeout)
{
    struct weir_sim_node *node = node_of(env);
    struct weir_sim *sim = node->sim;
    uint64_t until = deadline_of(sim, timeout);
    int ran = 0;

    if (sim->running != NULL || sim->in_event)
        return WEIR_EBUSY;
    /* Whatever is due; if nothing was, the first thing to come. */
    while (ran < 1000 && node->up && !node->paused &&
           weir__sim_step(sim, ran > 0 ? sim->now : until) == SIM_RAN)
        ran++;
    if (!resumed(node))
        weir__sim_leave(node, WEIR_ETIMEDOUT);
    else if (!node->up)
        weir__sim_leave(node, WEIR_ECANCELED);
    if (ran == 0)
        weir__sim_polled_idle(node, timeout > 0 ? 0 : POLL_NS);
    if (ran > 0 || weir_sim_ended(sim) == NULL)
        return ran;
    /* Whoever polls until something comes would do so for ever. */
    weir__sim_leave(node, WEIR_ETIMEDOUT);
    return WEIR_ETIMEDOUT;
}

static int sim_env_poll_fd(struct weir_env *env)
{
    (void)env;
    return -1;
}

static int sim_env_wait(struct weir_env *env, struct weir_event *event,
                        int64_t timeout)
{
    struct weir_sim_node *node = node_of(env);
    struct weir_sim *sim = node->sim;
    uint64_t until = deadline_of(sim, timeout);
    int hung = 0;

    if (sim->running != NULL || sim->in_event)
        return WEIR_EBUSY;
    while (resumed(node) && !event->set && node->up && sim->now < until &&
           !hung)
        hung =
            weir__sim_step(sim, until) == SIM_IDLE && timeout == WEIR_FOREVER;
    if (!node->up)
        weir__sim_leave(node, WEIR_ECANCELED);
    else if (event->set && !node->paused)
        return 0;
    /* For ever is not to be waited for. */
    else if (hung || node->paused || sim->now >= sim->options.limit)
        weir__sim_leave(node, WEIR_ETIMEDOUT);
    return WEIR_ETIMEDOUT;
}

static void sim_env_signal(struct weir_env *env, struct weir_event *event)
{
    (void)env;
    event->set = 1;
}

/* The environment is the world's: it ends with it. */
static void sim_env_close(struct weir_env *env)
{
    (void)env;
}

const struct weir_env_ops weir__sim_env_ops = {
    .size = sizeof(struct weir_env_ops),
    .now = sim_env_now,
    .wall = sim_env_wall,
    .random = sim_env_random,
    .post = sim_env_post,
    .timer_start = sim_env_timer_start,
    .timer_stop = sim_env_timer_stop,
    .work = sim_env_work,
    .poll = sim_env_poll,
    .poll_fd = sim_env_poll_fd,
    .wait = sim_env_wait,
    .signal = sim_env_signal,
    .close = sim_env_close,
};

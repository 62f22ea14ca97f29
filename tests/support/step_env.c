/* SPDX-License-Identifier: Apache-2.0 */
#include "support/step_env.h"

#include <string.h>

static struct step_env *step_env(struct weir_env *env)
{
    return (struct step_env *)(void *)env;
}

static uint64_t step_now(struct weir_env *env)
{
    return step_env(env)->now;
}

static int64_t step_wall(struct weir_env *env)
{
    return (int64_t)(step_env(env)->now / 1000000u);
}

static void step_random(struct weir_env *env, void *data, size_t len)
{
    struct step_env *e = step_env(env);
    unsigned char *to = data;

    for (size_t i = 0; i < len; i++) {
        e->random = e->random * 6364136223846793005u + 1442695040888963407u;
        to[i] = (unsigned char)(e->random >> 56);
    }
}

static void step_post(struct weir_env *env, struct weir_task *task)
{
    struct step_env *e = step_env(env);

    task->next = NULL;
    if (e->last == NULL)
        e->first = task;
    else
        e->last->next = task;
    e->last = task;
}

static void step_timer_stop(struct weir_env *env, struct weir_timer *timer)
{
    struct step_env *e = step_env(env);

    for (size_t i = 0; i < STEP_ENV_TIMERS; i++)
        if (e->timers[i] == timer)
            e->timers[i] = NULL;
}

static void step_timer_start(struct weir_env *env, struct weir_timer *timer)
{
    struct step_env *e = step_env(env);

    step_timer_stop(env, timer);
    for (size_t i = 0; i < STEP_ENV_TIMERS; i++) {
        if (e->timers[i] == NULL) {
            e->timers[i] = timer;
            return;
        }
    }
}

static void work_done(struct weir_task *task)
{
    struct weir_work *work =
        (struct weir_work *)(void *)((char *)task -
                                     offsetof(struct weir_work, task));

    work->done(work);
}

static void step_work(struct weir_env *env, struct weir_work *work)
{
    work->work(work);
    work->task.run = work_done;
    step_post(env, &work->task);
}

static struct weir_timer **earliest(struct step_env *e)
{
    struct weir_timer **best = NULL;

    for (size_t i = 0; i < STEP_ENV_TIMERS; i++) {
        if (e->timers[i] != NULL &&
            (best == NULL || e->timers[i]->deadline < (*best)->deadline))
            best = &e->timers[i];
    }
    return best;
}

static int run_tasks(struct step_env *e)
{
    struct weir_task *task;
    int n = 0;

    while ((task = e->first) != NULL) {
        e->first = task->next;
        if (e->first == NULL)
            e->last = NULL;
        task->run(task);
        n++;
    }
    return n;
}

static int fire_before(struct step_env *e, uint64_t limit)
{
    struct weir_timer **slot = earliest(e);
    struct weir_timer *timer;

    if (slot == NULL || (*slot)->deadline > limit)
        return 0;
    timer = *slot;
    *slot = NULL;
    if (timer->deadline > e->now)
        e->now = timer->deadline;
    timer->fire(timer);
    return 1;
}

static int step_poll(struct weir_env *env, int64_t timeout)
{
    struct step_env *e = step_env(env);
    int n = run_tasks(e);

    if (n == 0 && timeout > 0)
        n = fire_before(e, UINT64_MAX);
    return n;
}

static int step_poll_fd(struct weir_env *env)
{
    (void)env;
    return -1;
}

static int step_wait(struct weir_env *env, struct weir_event *event,
                     int64_t timeout)
{
    while (event->set == 0)
        if (step_poll(env, timeout) == 0)
            return WEIR_ETIMEDOUT;
    return 0;
}

static void step_signal(struct weir_env *env, struct weir_event *event)
{
    (void)env;
    event->set = 1;
}

static void step_close(struct weir_env *env)
{
    (void)env;
}

static const struct weir_env_ops step_ops = {
    sizeof(struct weir_env_ops),
    step_now,
    step_wall,
    step_random,
    step_post,
    step_timer_start,
    step_timer_stop,
    step_work,
    step_poll,
    step_poll_fd,
    step_wait,
    step_signal,
    step_close,
};

void step_env_init(struct step_env *env, uint64_t seed)
{
    memset(env, 0, sizeof(*env));
    env->env.ops = &step_ops;
    env->random = seed;
    env->now = 1000000000u;
}

void step_env_settle(struct step_env *env)
{
    run_tasks(env);
}

void step_env_advance(struct step_env *env, uint64_t ns)
{
    uint64_t until = env->now + ns;

    do {
        run_tasks(env);
    } while (fire_before(env, until) != 0);
    env->now = until;
}

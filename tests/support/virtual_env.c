/* SPDX-License-Identifier: Apache-2.0 */
#include "support/virtual_env.h"

#include "support/test.h"

#include "base/list.h"

#include <stdbool.h>
#include <string.h>

#define HOUR_NS UINT64_C(3600000000000)

static struct virtual_env *self(struct weir_env *env)
{
    return WEIR__CONTAINER(env, struct virtual_env, base);
}

static uint64_t env_now(struct weir_env *env)
{
    return self(env)->now;
}

static int64_t env_wall(struct weir_env *env)
{
    return (int64_t)(self(env)->now / 1000000) + INT64_C(1700000000000);
}

static uint64_t next_random(struct virtual_env *env)
{
    uint64_t x = env->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void env_random(struct weir_env *env, void *data, size_t len)
{
    unsigned char *at = data;

    while (len-- > 0)
        *at++ = (unsigned char)next_random(self(env));
}

static void env_post(struct weir_env *base, struct weir_task *task)
{
    struct virtual_env *env = self(base);

    task->next = NULL;
    *env->tasks_end = task;
    env->tasks_end = &task->next;
}

static void env_timer_start(struct weir_env *env, struct weir_timer *timer)
{
    weir__timers_start(&self(env)->timers, timer);
}

static void env_timer_stop(struct weir_env *env, struct weir_timer *timer)
{
    weir__timers_stop(&self(env)->timers, timer);
}

static void work_done(struct weir_task *task)
{
    struct weir_work *work = WEIR__CONTAINER(task, struct weir_work, task);

    work->done(work);
}

static void env_work(struct weir_env *env, struct weir_work *work)
{
    self(env)->works++;
    work->work(work);
    work->task.run = work_done;
    env_post(env, &work->task);
}

static bool step(struct virtual_env *env);
static bool jump(struct virtual_env *env, uint64_t until);

static int env_poll(struct weir_env *base, int64_t timeout)
{
    struct virtual_env *env = self(base);
    int ran = 0;

    if (env->inside)
        return WEIR_EBUSY;
    while (step(env))
        ran++;
    if (timeout > (int64_t)HOUR_NS)
        timeout = (int64_t)HOUR_NS;
    if (ran == 0 && timeout > 0 && jump(env, env->now + (uint64_t)timeout))
        ran++;
    return ran;
}

static int env_poll_fd(struct weir_env *env)
{
    (void)env;
    return -1;
}

/* What would be waited for in vain for ever fails the test. */
static int env_wait(struct weir_env *base, struct weir_event *event,
                    int64_t timeout)
{
    struct virtual_env *env = self(base);
    uint64_t until =
        env->now + (timeout == WEIR_FOREVER ? HOUR_NS : (uint64_t)timeout);

    if (env->inside)
        return WEIR_EBUSY;
    while (event->set == 0) {
        if (step(env) || jump(env, until))
            continue;
        ck_assert_msg(timeout != WEIR_FOREVER,
                      "a call has not ended in an hour");
        env->now = until;
        return WEIR_ETIMEDOUT;
    }
    return 0;
}

static void env_signal(struct weir_env *env, struct weir_event *event)
{
    (void)env;
    event->set = 1;
}

static void env_close(struct weir_env *env)
{
    (void)env;
}

static const struct weir_env_ops virtual_ops = {
    .size = sizeof(struct weir_env_ops),
    .now = env_now,
    .wall = env_wall,
    .random = env_random,
    .post = env_post,
    .timer_start = env_timer_start,
    .timer_stop = env_timer_stop,
    .work = env_work,
    .poll = env_poll,
    .poll_fd = env_poll_fd,
    .wait = env_wait,
    .signal = env_signal,
    .close = env_close,
};

void virtual_env_init(struct virtual_env *env, uint64_t seed)
{
    memset(env, 0, sizeof(*env));
    test_alloc_init(&env->alloc);
    env->base.ops = &virtual_ops;
    env->tasks_end = &env->tasks;
    env->now = 1;
    env->random = seed;
    env->host.alloc = &env->alloc.alloc;
    env->host.env = &env->base;
}

/* Run the first task, if there is one. */
static bool step(struct virtual_env *env)
{
    struct weir_task *task = env->tasks;

    if (task == NULL)
        return false;
    env->tasks = task->next;
    if (env->tasks == NULL)
        env->tasks_end = &env->tasks;
    env->inside = 1;
    task->run(task);
    env->inside = 0;
    return true;
}

/* Fire the next timer that is due by `until`; the clock moves to it. */
static bool jump(struct virtual_env *env, uint64_t until)
{
    struct weir_timer *timer =
        weir__timers_due(&env->timers, until, UINT64_MAX);

    if (timer == NULL)
        return false;
    if (timer->deadline > env->now)
        env->now = timer->deadline;
    env->inside = 1;
    timer->fire(timer);
    env->inside = 0;
    return true;
}

int virtual_env_run(struct virtual_env *env, const int *flag)
{
    while (*flag == 0)
        if (!step(env) && !jump(env, UINT64_MAX))
            return -1;
    return 0;
}

int virtual_env_step(struct virtual_env *env)
{
    return step(env);
}

void virtual_env_settle(struct virtual_env *env)
{
    while (step(env))
        ;
}

void virtual_env_sleep(struct virtual_env *env, uint64_t nanoseconds)
{
    uint64_t until = env->now + nanoseconds;

    while (step(env) || jump(env, until))
        ;
    env->now = until;
}

void virtual_env_close(struct virtual_env *env)
{
    while (step(env) || jump(env, UINT64_MAX))
        ;
    test_alloc_check(&env->alloc);
}

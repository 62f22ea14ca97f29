/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env_real.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Rounds of tasks in one turn: those that tasks post run in the same turn,
 * but tasks that post tasks for ever do not hold the thread. */
enum { ROUNDS = 8, SECOND = 1000000000 };

static void write_event(struct env_real *real)
{
    static const uint64_t one = 1;
    ssize_t n;

    /* It cannot block: the count is at most a few. */
    do
        n = write(real->event_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

void weir__env_wake(struct env_real *real)
{
    /* The load keeps the cache line shared while nobody sleeps. */
    if (__atomic_load_n(&real->inbox.armed, __ATOMIC_SEQ_CST) != 0 &&
        __atomic_exchange_n(&real->inbox.armed, 0, __ATOMIC_SEQ_CST) != 0)
        write_event(real);
}

void weir__env_post(struct weir_env *env, struct weir_task *task)
{
    struct env_real *real = env_real(env);
    struct weir_task *newest;

    newest = __atomic_load_n(&real->inbox.newest, __ATOMIC_RELAXED);
    do
        task->next = newest;
    while (!__atomic_compare_exchange_n(&real->inbox.newest, &newest, task,
                                        true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
    /* From here on the task may run and be gone.  Sequential consistency
     * makes this one of two: we see the driver armed, or it sees the task. */
    weir__env_wake(real);
}

static bool inbox_empty(struct env_real *real)
{
    return __atomic_load_n(&real->inbox.newest, __ATOMIC_SEQ_CST) == NULL;
}

/* Let the descriptor become readable at the earliest deadline. */
static void set_alarm(struct env_real *real)
{
    const struct weir_timer *first = real->core.timers.first;
    uint64_t at = first == NULL ? 0 : first->deadline;
    struct itimerspec spec = {0};

    if (first != NULL && at == 0)
        at = 1; /* 0 would turn it off. */
    if (at == real->core.alarm)
        return;
    real->core.alarm = at;
    spec.it_value.tv_sec = (time_t)(at / SECOND);
    spec.it_value.tv_nsec = (long)(at % SECOND);
    (void)timerfd_settime(real->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void weir__env_arm(struct env_real *real)
{
    set_alarm(real);
    real->core.asleep = 1;
    __atomic_store_n(&real->inbox.armed, 1, __ATOMIC_SEQ_CST);
    if (!inbox_empty(real) || real->core.tasks != NULL)
        weir__env_wake(real);
}

/* Take `armed` back.  If another thread was faster it has written the event
 * or is about to, so that the read ends soon. */
static void disarm(struct env_real *real)
{
    uint64_t count;
    ssize_t n;

    if (!real->core.asleep)
        return;
    real->core.asleep = 0;
    if (__atomic_exchange_n(&real->inbox.armed, 0, __ATOMIC_SEQ_CST) != 0)
        return;
    do
        n = read(real->event_fd, &count, sizeof(count));
    while (n < 0 && errno == EINTR);
}

static int run_timers(struct env_real *real)
{
    /* Not those that are started meanwhile: they wait for the next round. */
    uint64_t order = real->core.timers.order;
    struct weir_timer *timer;
    uint64_t now;
    int ran = 0;

    if (real->core.timers.first == NULL)
        return 0;
    now = weir__env_now(&real->base);
    while ((timer = weir__timers_due(&real->core.timers, now, order)) != NULL) {
        timer->fire(timer);
        ran++;
    }
    return ran;
}

/* The inbox has the newest first. */
static struct weir_task *take_inbox(struct env_real *real)
{
    struct weir_task *task;
    struct weir_task *oldest = NULL;

    if (inbox_empty(real))
        return NULL;
    task = __atomic_exchange_n(&real->inbox.newest, NULL, __ATOMIC_ACQUIRE);
    while (task != NULL) {
        struct weir_task *next = task->next;

        task->next = oldest;
        oldest = task;
        task = next;
    }
    return oldest;
}

static int run_tasks(struct env_real *real)
{
    struct weir_task *task;
    int ran = 0;

    real->core.tasks = take_inbox(real);
    while ((task = real->core.tasks) != NULL) {
        real->core.tasks = task->next;
        task->run(task);
        ran++;
    }
    return ran;
}

static bool is_set(struct weir_event *event)
{
    return event != NULL && __atomic_load_n(&event->set, __ATOMIC_SEQ_CST) != 0;
}

static int run_rounds(struct env_real *real, struct weir_event *event)
{
    int total = 0;
    int round;
    int ran;

    for (round = 0; round < ROUNDS && !is_set(event); round++) {
        ran = run_timers(real);
        ran += run_tasks(real);
        if (ran == 0)
            break;
        total += ran;
    }
    return total;
}

/* Until a task comes, a timer is due, `event` is set or `deadline` is over. */
static void sleep_until(struct env_real *real, struct weir_event *event,
                        uint64_t deadline)
{
    struct pollfd fds[2] = {{.fd = real->event_fd, .events = POLLIN},
                            {.fd = real->timer_fd, .events = POLLIN}};
    uint64_t now = weir__env_now(&real->base);
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec time = {.tv_sec = (time_t)(left / SECOND),
                            .tv_nsec = (long)(left % SECOND)};

    weir__env_arm(real);
    if (!is_set(event) &&
        __atomic_load_n(&real->inbox.armed, __ATOMIC_SEQ_CST) != 0)
        (void)ppoll(fds, 2, deadline == UINT64_MAX ? NULL : &time, NULL);
    disarm(real);
}

int weir__env_turn(struct env_real *real, struct weir_event *event,
                   uint64_t deadline)
{
    int ran;

    disarm(real);
    ran = run_rounds(real, event);
    if (ran == 0 && deadline != 0 && !is_set(event)) {
        sleep_until(real, event, deadline);
        ran = run_rounds(real, event);
    }
    return ran;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env_real.h"

#include <limits.h>
#include <stdbool.h>
#include <time.h>

enum { SECOND = 1000000000 };

/* A thread that blocks in `wait` while another one drives. */
struct env_waiter {
    struct weir__list node;
    struct weir_event *event;
    pthread_cond_t wake;
};

/* With the lock. */
static bool in_core(const struct env_role *role)
{
    return role->taken && pthread_equal(role->driver, pthread_self());
}

static void take_role(struct env_role *role)
{
    role->taken = 1;
    role->driver = pthread_self();
}

/* With the lock: nobody drives, so one who waits has to. */
static void pass_role_on(struct env_role *role)
{
    struct weir__list *first = role->waiters.next;

    if (!role->taken && !weir__list_empty(&role->waiters))
        pthread_cond_signal(
            &WEIR__CONTAINER(first, struct env_waiter, node)->wake);
}

static void leave_role(struct env_real *real)
{
    if (real->role.watched)
        weir__env_arm(real);
    real->role.taken = 0;
    pass_role_on(&real->role);
}

static uint64_t deadline_of(struct weir_env *env, int64_t timeout)
{
    uint64_t now;

    if (timeout == WEIR_FOREVER)
        return UINT64_MAX;
    now = weir__env_now(env);
    if (timeout < 0)
        return now;
    return now > UINT64_MAX - (uint64_t)timeout ? UINT64_MAX
                                                : now + (uint64_t)timeout;
}

int weir__env_poll(struct weir_env *env, int64_t timeout)
{
    struct env_real *real = env_real(env);
    uint64_t deadline = timeout > 0 ? deadline_of(env, timeout) : 0;
    bool busy;
    int ran;

    pthread_mutex_lock(&real->role.lock);
    busy = real->role.taken != 0;
    if (!busy)
        take_role(&real->role);
    pthread_mutex_unlock(&real->role.lock);
    if (busy)
        return WEIR_EBUSY;

    do
        ran = weir__env_turn(real, NULL, deadline);
    while (ran == 0 && deadline != 0 && weir__env_now(env) < deadline);

    pthread_mutex_lock(&real->role.lock);
    leave_role(real);
    pthread_mutex_unlock(&real->role.lock);
    return ran;
}

int weir__env_poll_fd(struct weir_env *env)
{
    struct env_real *real = env_real(env);

    pthread_mutex_lock(&real->role.lock);
    /* Who drives at the moment arms it when it leaves. */
    if (!real->role.watched && !real->role.taken)
        weir__env_arm(real);
    real->role.watched = 1;
    pthread_mutex_unlock(&real->role.lock);
    return real->poll_fd;
}

static bool is_set(struct weir_event *event)
{
    return __atomic_load_n(&event->set, __ATOMIC_SEQ_CST) != 0;
}

/* With the lock and the role free: drive until the event or the deadline. */
static void drive_until(struct env_real *real, struct weir_event *event,
                        uint64_t deadline)
{
    take_role(&real->role);
    pthread_mutex_unlock(&real->role.lock);
    while (!is_set(event) &&
           (deadline == UINT64_MAX || weir__env_now(&real->base) < deadline))
        weir__env_turn(real, event, deadline);
    pthread_mutex_lock(&real->role.lock);
    leave_role(real);
}

/* With the lock: sleep until the event is set, the role is free, or the
 * deadline is over.  It may return earlier. */
static void wait_for_driver(struct env_real *real, struct env_waiter *waiter,
                            uint64_t deadline)
{
    uint64_t now;
    struct timespec at;

    if (deadline == UINT64_MAX) {
        pthread_cond_wait(&waiter->wake, &real->role.lock);
        return;
    }
    now = weir__env_now(&real->base);
    if (now >= deadline)
        return;
    clock_gettime(CLOCK_MONOTONIC, &at);
    deadline = deadline - now + (uint64_t)at.tv_nsec;
    at.tv_sec += (time_t)(deadline / SECOND);
    at.tv_nsec = (long)(deadline % SECOND);
    pthread_cond_timedwait(&waiter->wake, &real->role.lock, &at);
}

static void waiter_init(struct env_waiter *waiter, struct weir_event *event)
{
    pthread_condattr_t attr;

    waiter->event = event;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->wake, &attr);
    pthread_condattr_destroy(&attr);
}

/* With the lock, and another thread driving. */
static void wait_as_guest(struct env_real *real, struct weir_event *event,
                          uint64_t deadline)
{
    struct env_role *role = &real->role;
    struct env_waiter waiter;

    waiter_init(&waiter, event);
    weir__list_push(&role->waiters, &waiter.node);
    /* Before the look at the event: see `weir__env_signal`. */
    __atomic_add_fetch(&role->waiting, 1, __ATOMIC_SEQ_CST);
    while (role->taken && !is_set(event) &&
           (deadline == UINT64_MAX || weir__env_now(&real->base) < deadline))
        wait_for_driver(real, &waiter, deadline);
    __atomic_sub_fetch(&role->waiting, 1, __ATOMIC_SEQ_CST);
    weir__list_remove(&waiter.node);
    pthread_cond_destroy(&waiter.wake);
}

int weir__env_wait(struct weir_env *env, struct weir_event *event,
                   int64_t timeout)
{
    struct env_real *real = env_real(env);
    uint64_t deadline = deadline_of(env, timeout);
    int rc = 0;

    pthread_mutex_lock(&real->role.lock);
    if (in_core(&real->role))
        rc = WEIR_EBUSY;
    while (rc == 0 && !is_set(event)) {
        if (deadline != UINT64_MAX && weir__env_now(env) >= deadline)
            rc = WEIR_ETIMEDOUT;
        else if (real->role.taken)
            wait_as_guest(real, event, deadline);
        else
            drive_until(real, event, deadline);
    }
    /* The role may have been offered to us just now. */
    pass_role_on(&real->role);
    pthread_mutex_unlock(&real->role.lock);
    return rc;
}

void weir__env_signal(struct weir_env *env, struct weir_event *event)
{
    struct env_real *real = env_real(env);
    struct env_role *role = &real->role;
    struct weir__list *node;

    /* From here on the event may be gone: only its address is used.  Either
     * we see that somebody waits, or who begins to wait sees the event. */
    __atomic_store_n(&event->set, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&role->waiting, __ATOMIC_SEQ_CST) != 0) {
        pthread_mutex_lock(&role->lock);
        for (node = role->waiters.next; node != &role->waiters;
             node = node->next) {
            struct env_waiter *waiter =
                WEIR__CONTAINER(node, struct env_waiter, node);

            if (waiter->event == event)
                pthread_cond_signal(&waiter->wake);
        }
        pthread_mutex_unlock(&role->lock);
    }
    /* The driver may be the one who waits for it. */
    weir__env_wake(real);
}

void *weir__env_drive(void *arg)
{
    struct env_real *real = arg;

    /* The role was taken in the name of this thread when it was started. */
    while (!real->stop)
        weir__env_turn(real, NULL, UINT64_MAX);
    pthread_mutex_lock(&real->role.lock);
    leave_role(real);
    pthread_mutex_unlock(&real->role.lock);
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "support/host.h"
#include "support/test.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, TASKS = 5000, MS = 1000000 };
#define MINUTE ((int64_t)60 * 1000 * MS)

static struct test_alloc alloc;
static struct weir_env *env;

static void open_env(int driver)
{
    test_alloc_init(&alloc);
    ck_assert_int_eq(weir_env_real(&env, &alloc.alloc, 2, driver, NULL), 0);
}

static void close_env(void)
{
    env->ops->close(env);
    test_alloc_check(&alloc);
}

static int readable(void)
{
    struct pollfd fd = {.fd = env->ops->poll_fd(env), .events = POLLIN};

    return poll(&fd, 1, 0);
}

/* A task that appends its number to a list of what ran. */
struct note {
    struct weir_task task;
    int number;
};

static int ran[64];
static int ran_count;

static void note_run(struct weir_task *task)
{
    ran[ran_count++] = WEIR__CONTAINER(task, struct note, task)->number;
}

/* A timer that does. */
struct alarm {
    struct weir_timer timer;
    int number;
};

static void alarm_fire(struct weir_timer *timer)
{
    ran[ran_count++] = WEIR__CONTAINER(timer, struct alarm, timer)->number;
}

/* A task of one of many threads. */
struct numbered {
    struct weir_task task;
    int thread;
    int number;
};

static struct numbered *many;
static int last_of[THREADS];
static int many_ran;

static void numbered_run(struct weir_task *task)
{
    struct numbered *n = WEIR__CONTAINER(task, struct numbered, task);

    ck_assert_int_eq(n->number, last_of[n->thread] + 1);
    last_of[n->thread] = n->number;
    many_ran++;
}

static void *post_many(void *arg)
{
    int thread = *(int *)arg;
    int i;

    for (i = 0; i < TASKS; i++) {
        struct numbered *n = &many[thread * TASKS + i];

        *n = (struct numbered){{numbered_run, NULL}, thread, i + 1};
        env->ops->post(env, &n->task);
    }
    return NULL;
}

START_TEST(tasks_of_each_thread_run_in_the_order_of_posting)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    int i;

    open_env(0);
    many = calloc(THREADS * TASKS, sizeof(*many));
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, post_many, &numbers[i]);
    }
    while (many_ran < THREADS * TASKS)
        ck_assert_int_ge(env->ops->poll(env, MINUTE), 1);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(env->ops->poll(env, 0), 0);
    free(many);
    close_env();
}
END_TEST

START_TEST(timers_fire_by_deadline_then_by_start)
{
    struct alarm alarms[5];
    uint64_t now;
    int i;
    int expected[] = {3, 1, 4, 0};

    open_env(0);
    memset(alarms, 0, sizeof(alarms));
    now = env->ops->now(env);
    for (i = 0; i < 5; i++) {
        static const int after[] = {4, 2, 1, 1, 2};

        alarms[i].number = i;
        alarms[i].timer.fire = alarm_fire;
        alarms[i].timer.deadline = now + (uint64_t)after[i] * MS;
        env->ops->timer_start(env, &alarms[i].timer);
    }
    env->ops->timer_stop(env, &alarms[2].timer);
    env->ops->timer_stop(env, &alarms[2].timer);
    while (ran_count < 4)
        ck_assert_int_ge(env->ops->poll(env, MINUTE), 1);
    ck_assert_mem_eq(ran, expected, sizeof(expected));
    ck_assert_uint_ge(env->ops->now(env), now + 4 * MS);
    close_env();
}
END_TEST

START_TEST(a_timer_started_again_has_its_new_deadline)
{
    struct alarm a = {{alarm_fire, 1, 0, 0, {0}}, 7};

    open_env(0);
    env->ops->timer_start(env, &a.timer);
    a.timer.deadline = UINT64_MAX;
    env->ops->timer_start(env, &a.timer);
    ck_assert_int_eq(env->ops->poll(env, 0), 0);
    a.timer.deadline = 1;
    env->ops->timer_start(env, &a.timer);
    ck_assert_int_eq(env->ops->poll(env, 0), 1);
    ck_assert_int_eq(ran_count, 1);
    close_env();
}
END_TEST

/* Posts itself as long as it is told to. */
static int endless = 1;

static void again(struct weir_task *task)
{
    ran_count = 0;
    if (endless)
        env->ops->post(env, task);
}

START_TEST(a_task_that_posts_itself_starves_neither_timers_nor_the_caller)
{
    struct weir_task task = {again, NULL};
    struct alarm a = {{alarm_fire, 1, 0, 0, {0}}, 7};

    open_env(0);
    env->ops->post(env, &task);
    ck_assert_int_ge(env->ops->poll(env, 0), 2);
    env->ops->timer_start(env, &a.timer);
    ck_assert_int_ge(env->ops->poll(env, 0), 2);
    ck_assert_uint_eq(a.timer.slot, 0);
    endless = 0;
    ck_assert_int_eq(env->ops->poll(env, 0), 1);
    ck_assert_int_eq(env->ops->poll(env, 0), 0);
    close_env();
}
END_TEST

START_TEST(descriptor_is_readable_only_while_something_is_due)
{
    struct note note = {{note_run, NULL}, 1};
    struct alarm late = {{alarm_fire, UINT64_MAX / 2, 0, 0, {0}}, 2};
    struct alarm soon = {{alarm_fire, 0, 0, 0, {0}}, 3};
    struct pollfd fd = {.events = POLLIN};

    open_env(0);
    fd.fd = env->ops->poll_fd(env);
    ck_assert_int_eq(readable(), 0);
    env->ops->post(env, &note.task);
    ck_assert_int_eq(readable(), 1);
    ck_assert_int_eq(env->ops->poll(env, 0), 1);
    ck_assert_int_eq(readable(), 0);

    env->ops->timer_start(env, &late.timer);
    soon.timer.deadline = env->ops->now(env) + 3 * MS;
    env->ops->timer_start(env, &soon.timer);
    ck_assert_int_eq(env->ops->poll(env, 0), 0);
    ck_assert_int_eq(poll(&fd, 1, -1), 1);
    ck_assert_int_eq(env->ops->poll(env, 0), 1);
    ck_assert_int_eq(readable(), 0);

    env->ops->timer_stop(env, &late.timer);
    ck_assert_int_eq(env->ops->poll(env, 0), 0);
    ck_assert_int_eq(readable(), 0);
    close_env();
}
END_TEST

START_TEST(descriptor_stays_readable_while_a_turn_leaves_tasks_behind)
{
    struct weir_task task = {again, NULL};

    open_env(0);
    env->ops->poll_fd(env);
    env->ops->post(env, &task);
    env->ops->poll(env, 0);
    ck_assert_int_eq(readable(), 1);
    endless = 0;
    env->ops->poll(env, 0);
    ck_assert_int_eq(readable(), 0);
    close_env();
}
END_TEST

/* Waits for an event on a thread of its own. */
struct waiter {
    struct weir_event event;
    struct weir_task task;
    int status;
    pthread_t thread;
};

static void waiter_signal(struct weir_task *task)
{
    env->ops->signal(env, &WEIR__CONTAINER(task, struct waiter, task)->event);
}

static void *post_and_wait(void *arg)
{
    struct waiter *w = arg;
    int i;

    for (i = 0; i < 2000 && w->status == 0; i++) {
        w->event.set = 0;
        w->task.run = waiter_signal;
        env->ops->post(env, &w->task);
        w->status = env->ops->wait(env, &w->event, MINUTE);
    }
    return NULL;
}

static void run_waiters(void)
{
    struct waiter waiters[THREADS];
    int i;

    memset(waiters, 0, sizeof(waiters));
    for (i = 0; i < THREADS; i++)
        pthread_create(&waiters[i].thread, NULL, post_and_wait, &waiters[i]);
    for (i = 0; i < THREADS; i++) {
        pthread_join(waiters[i].thread, NULL);
        ck_assert_int_eq(waiters[i].status, 0);
    }
}

START_TEST(waits_end_whoever_drives)
{
    open_env(_i);
    run_waiters();
    close_env();
}
END_TEST

static int stop_driving;

static void *drive_now_and_then(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop_driving, __ATOMIC_RELAXED))
        env->ops->poll(env, MS);
    return NULL;
}

START_TEST(waits_end_while_a_foreign_driver_comes_and_goes)
{
    pthread_t thread;

    open_env(0);
    env->ops->poll_fd(env);
    pthread_create(&thread, NULL, drive_now_and_then, NULL);
    run_waiters();
    __atomic_store_n(&stop_driving, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    close_env();
}
END_TEST

static void *signal_it(void *arg)
{
    env->ops->signal(env, arg);
    return NULL;
}

START_TEST(an_event_set_outside_of_the_core_ends_the_wait)
{
    int i;

    open_env(_i);
    for (i = 0; i < 500; i++) {
        struct weir_event event = {0};
        pthread_t thread;

        pthread_create(&thread, NULL, signal_it, &event);
        ck_assert_int_eq(env->ops->wait(env, &event, MINUTE), 0);
        pthread_join(thread, NULL);
    }
    close_env();
}
END_TEST

START_TEST(a_wait_times_out)
{
    struct weir_event event = {0};
    uint64_t before;

    open_env(_i);
    before = env->ops->now(env);
    ck_assert_int_eq(env->ops->wait(env, &event, 2 * MS), WEIR_ETIMEDOUT);
    ck_assert_uint_ge(env->ops->now(env), before + 2 * MS);
    close_env();
}
END_TEST

static int inside_poll;
static int inside_wait;
static int inside_ran;

static void call_inside(struct weir_task *task)
{
    struct weir_event event = {0};

    (void)task;
    inside_poll = env->ops->poll(env, 0);
    inside_wait = env->ops->wait(env, &event, MINUTE);
    __atomic_store_n(&inside_ran, 1, __ATOMIC_RELEASE);
}

START_TEST(poll_and_wait_inside_of_the_core_are_refused)
{
    struct weir_task task = {call_inside, NULL};
    struct waiter w = {.task = {waiter_signal, NULL}};

    open_env(_i);
    env->ops->post(env, &task);
    env->ops->post(env, &w.task);
    ck_assert_int_eq(env->ops->wait(env, &w.event, MINUTE), 0);
    ck_assert_int_eq(__atomic_load_n(&inside_ran, __ATOMIC_ACQUIRE), 1);
    ck_assert_int_eq(inside_poll, WEIR_EBUSY);
    ck_assert_int_eq(inside_wait, WEIR_EBUSY);
    close_env();
}
END_TEST

START_TEST(with_a_driver_thread_nobody_else_drives)
{
    open_env(1);
    ck_assert_int_eq(env->ops->poll(env, 0), WEIR_EBUSY);
    close_env();
}
END_TEST

/* Work that tells where it ran. */
struct sum {
    struct weir_work work;
    pthread_t worker;
    int worked;
    int done;
};

static int sums_done;

static void sum_work(struct weir_work *work)
{
    struct sum *sum = WEIR__CONTAINER(work, struct sum, work);

    sum->worker = pthread_self();
    sum->worked = 1;
}

static void sum_done(struct weir_work *work)
{
    struct sum *sum = WEIR__CONTAINER(work, struct sum, work);

    ck_assert_int_eq(sum->worked, 1);
    ck_assert(!pthread_equal(sum->worker, pthread_self()));
    sum->done++;
    sums_done++;
}

START_TEST(work_runs_on_a_worker_and_its_end_in_the_core)
{
    static struct sum sums[100];
    int i;

    open_env(0);
    for (i = 0; i < 100; i++) {
        sums[i].work.work = sum_work;
        sums[i].work.done = sum_done;
        env->ops->work(env, &sums[i].work);
    }
    while (sums_done < 100)
        ck_assert_int_ge(env->ops->poll(env, MINUTE), 1);
    for (i = 0; i < 100; i++)
        ck_assert_int_eq(sums[i].done, 1);
    close_env();
}
END_TEST

START_TEST(close_does_not_wait_for_what_is_pending)
{
    static struct sum sums[100];
    struct note note = {{note_run, NULL}, 1};
    struct alarm late = {{alarm_fire, UINT64_MAX, 0, 0, {0}}, 2};
    int i;

    open_env(_i);
    for (i = 0; i < 100; i++) {
        sums[i].work.work = sum_work;
        sums[i].work.done = sum_done;
        env->ops->work(env, &sums[i].work);
    }
    if (_i == 0)
        env->ops->timer_start(env, &late.timer);
    env->ops->post(env, &note.task);
    close_env();
}
END_TEST

START_TEST(a_number_of_workers_out_of_range_is_refused)
{
    struct weir_error err;

    ck_assert_int_eq(weir_env_real(&env, weir_alloc_default(), 0, 0, &err),
                     WEIR_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "1 to 64"));
    ck_assert_int_eq(weir_env_real(&env, weir_alloc_default(), 65, 0, NULL),
                     WEIR_EINVAL);
    ck_assert_ptr_null(env);
}
END_TEST

START_TEST(opening_without_memory_leaves_nothing_behind)
{
    int n;

    for (n = 1; n <= 2; n++) {
        test_alloc_init(&alloc);
        test_alloc_fail(&alloc, n, 0);
        ck_assert_int_eq(weir_env_real(&env, &alloc.alloc, 2, 1, NULL),
                         WEIR_ENOMEM);
        test_alloc_check(&alloc);
    }
}
END_TEST

START_TEST(random_bytes_differ)
{
    unsigned char a[600] = {0};
    unsigned char b[600] = {0};

    open_env(0);
    env->ops->random(env, a, sizeof(a));
    env->ops->random(env, b, sizeof(b));
    ck_assert_mem_ne(a, b, sizeof(a));
    ck_assert_mem_ne(a + 300, b + 300, 300);
    close_env();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("env");

    tcase_add_test(tc, tasks_of_each_thread_run_in_the_order_of_posting);
    tcase_add_test(tc, timers_fire_by_deadline_then_by_start);
    tcase_add_test(tc, a_timer_started_again_has_its_new_deadline);
    tcase_add_test(
        tc, a_task_that_posts_itself_starves_neither_timers_nor_the_caller);
    tcase_add_test(tc, descriptor_is_readable_only_while_something_is_due);
    tcase_add_test(tc,
                   descriptor_stays_readable_while_a_turn_leaves_tasks_behind);
    tcase_add_loop_test(tc, waits_end_whoever_drives, 0, 2);
    tcase_add_test(tc, waits_end_while_a_foreign_driver_comes_and_goes);
    tcase_add_loop_test(tc, an_event_set_outside_of_the_core_ends_the_wait, 0,
                        2);
    tcase_add_loop_test(tc, a_wait_times_out, 0, 2);
    tcase_add_loop_test(tc, poll_and_wait_inside_of_the_core_are_refused, 0, 2);
    tcase_add_test(tc, with_a_driver_thread_nobody_else_drives);
    tcase_add_test(tc, work_runs_on_a_worker_and_its_end_in_the_core);
    tcase_add_loop_test(tc, close_does_not_wait_for_what_is_pending, 0, 2);
    tcase_add_test(tc, a_number_of_workers_out_of_range_is_refused);
    tcase_add_test(tc, opening_without_memory_leaves_nothing_behind);
    tcase_add_test(tc, random_bytes_differ);
    return test_run();
}

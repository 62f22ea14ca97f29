/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world as a user has it: public headers only. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20, NODES = 2 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *nodes[NODES];
static struct weir_error err;

static void open_world(uint64_t seed)
{
    struct weir_sim_options options = {
        .size = sizeof(options),
        .seed = seed,
        .limit = 7200 * SECOND,
    };
    uint32_t i;

    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    for (i = 0; i < NODES; i++)
        ck_assert_int_eq(weir_sim_node_new(&nodes[i], sim, i + 1, DISK), 0);
}

static void run(uint64_t ns)
{
    ck_assert_int_eq(weir_sim_run(sim, ns), 0);
}

START_TEST(what_no_world_can_be_made_from_is_refused)
{
    struct weir_sim_options options = {.size = sizeof(options)};
    struct weir_sim_node *node;

    ck_assert_int_eq(weir_sim_new(&sim, &options), WEIR_EINVAL);
    options.limit = SECOND;
    options.size--;
    ck_assert_int_eq(weir_sim_new(&sim, &options), WEIR_EINVAL);
    ck_assert_ptr_null(sim);
    open_world(test_seed());
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 1, DISK), WEIR_EEXIST);
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 9, 4097), WEIR_EINVAL);
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 9, 0), WEIR_EINVAL);
    ck_assert_ptr_null(node);
    weir_sim_free(sim);
}
END_TEST

/* ---- Runs ---------------------------------------------------------------- */

static int fired;

static void count(struct weir_timer *timer)
{
    (void)timer;
    fired++;
}

static int has_fired(void *ctx)
{
    return fired >= *(int *)ctx;
}

START_TEST(a_run_ends_when_its_predicate_holds)
{
    struct weir_timer timers[3] = {
        {.fire = count}, {.fire = count}, {.fire = count}};
    uint64_t start;
    int want = 2;
    int i;

    open_world(test_seed());
    start = weir_sim_now(sim);
    for (i = 0; i < 3; i++) {
        timers[i].deadline = start + (uint64_t)(i + 1) * SECOND;
        weir_sim_at(sim, &timers[i]);
    }
    ck_assert_int_eq(
        weir_sim_run_until(sim, has_fired, &want, 60 * SECOND, &err), 0);
    ck_assert_int_eq(fired, 2);
    ck_assert_uint_eq(weir_sim_now(sim), start + 2 * SECOND);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_predicate_that_never_holds_ends_by_virtual_time_and_says_so)
{
    struct weir_timer timer = {.fire = count};
    int never = 100;

    open_world(test_seed());
    timer.deadline = 100 * SECOND;
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(
        weir_sim_run_until(sim, has_fired, &never, 5 * SECOND, &err),
        WEIR_ETIMEDOUT);
    ck_assert_str_eq(err.text, "the predicate does not hold after 5.000 s of "
                               "virtual time");
    ck_assert_int_eq(
        weir_sim_run_until(sim, has_fired, &never, 200 * SECOND, &err),
        WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing can happen any more"));
    timer.deadline = 100000 * SECOND;
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(
        weir_sim_run_until(sim, has_fired, &never, UINT64_MAX, &err),
        WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err.text, "the limit of 7200 s"));
    weir_sim_free(sim);
}
END_TEST

static void again(struct weir_timer *timer)
{
    fired++;
    timer->deadline += SECOND;
    weir_sim_at(sim, timer);
}

START_TEST(a_run_until_idle_ends_when_nothing_is_near)
{
    struct weir_timer soon = {.fire = count};
    struct weir_timer ticks = {.fire = again};

    open_world(test_seed());
    ck_assert_int_eq(weir_sim_run_idle(sim, UINT64_MAX, SECOND, &err), 0);
    soon.deadline = weir_sim_now(sim) + 2 * SECOND;
    weir_sim_at(sim, &soon);
    ck_assert_int_eq(weir_sim_run_idle(sim, SECOND, 60 * SECOND, &err), 0);
    ck_assert_int_eq(fired, 0);
    ck_assert_int_eq(weir_sim_run_idle(sim, 3 * SECOND, 60 * SECOND, &err), 0);
    ck_assert_int_eq(fired, 1);
    ticks.deadline = weir_sim_now(sim);
    weir_sim_at(sim, &ticks);
    ck_assert_int_eq(weir_sim_run_idle(sim, SECOND, 60 * SECOND, &err),
                     WEIR_ETIMEDOUT);
    ck_assert_str_eq(err.text,
                     "the world is not idle after 60.000 s of virtual time");
    weir_sim_free(sim);
}
END_TEST

/* ---- Tasks, timers and pauses of a node ---------------------------------- */

static void count_task(struct weir_task *task)
{
    (void)task;
    fired++;
}

START_TEST(tasks_and_timers_of_a_paused_node_wait_until_it_is_resumed)
{
    struct weir_env *env;
    struct weir_task task = {count_task, NULL};
    struct weir_timer timer = {.fire = count};

    open_world(test_seed());
    env = weir_sim_env(nodes[0]);
    timer.deadline = weir_sim_now(sim) + SECOND;
    weir_sim_pause(nodes[0]);
    env->ops->post(env, &task);
    env->ops->timer_start(env, &timer);
    run(60 * SECOND);
    ck_assert_int_eq(fired, 0);
    weir_sim_resume(nodes[0]);
    run(MS);
    ck_assert_int_eq(fired, 2);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_crash_forgets_tasks_and_timers_and_ends_a_pause)
{
    struct weir_env *env;
    struct weir_task task = {count_task, NULL};
    struct weir_timer timer = {.fire = count};

    open_world(test_seed());
    env = weir_sim_env(nodes[0]);
    timer.deadline = weir_sim_now(sim) + SECOND;
    env->ops->post(env, &task);
    env->ops->timer_start(env, &timer);
    weir_sim_pause(nodes[0]);
    weir_sim_crash(nodes[0]);
    weir_sim_start(nodes[0]);
    run(60 * SECOND);
    ck_assert_int_eq(fired, 0);
    env->ops->post(env, &task);
    run(MS);
    ck_assert_int_eq(fired, 1);
    weir_sim_free(sim);
}
END_TEST

/* Sleeps a second, and remembers when it awoke. */
static void sleep_program(void *ctx)
{
    struct weir_env *env = weir_sim_env(nodes[0]);
    struct weir_event never = {0};

    env->ops->wait(env, &never, (int64_t)SECOND);
    *(uint64_t *)ctx = weir_sim_now(sim);
}

static void pause_first(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_pause(nodes[0]);
}

static void resume_first(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_resume(nodes[0]);
}

START_TEST(a_call_in_a_paused_node_goes_on_when_it_is_resumed)
{
    struct weir_timer pause = {.fire = pause_first};
    struct weir_timer resume = {.fire = resume_first};
    uint64_t awoke = 0;

    open_world(test_seed());
    pause.deadline = weir_sim_now(sim) + SECOND / 2;
    resume.deadline = weir_sim_now(sim) + 600 * SECOND;
    weir_sim_at(sim, &pause);
    weir_sim_at(sim, &resume);
    ck_assert_int_eq(weir_sim_call(nodes[0], sleep_program, &awoke), 0);
    ck_assert_uint_eq(awoke, resume.deadline);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_call_in_a_node_that_is_never_resumed_ends)
{
    struct weir_timer pause = {.fire = pause_first};
    uint64_t awoke = 0;

    open_world(test_seed());
    pause.deadline = weir_sim_now(sim) + SECOND / 2;
    weir_sim_at(sim, &pause);
    ck_assert_int_eq(weir_sim_call(nodes[0], sleep_program, &awoke),
                     WEIR_ETIMEDOUT);
    ck_assert_uint_eq(awoke, 0);
    ck_assert_int_eq(weir_sim_is_up(nodes[0]), 0);
    weir_sim_start(nodes[0]);
    weir_sim_pause(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], sleep_program, &awoke),
                     WEIR_EBUSY);
    weir_sim_free(sim);
}
END_TEST

/* ---- Messages ------------------------------------------------------------ */

static int got[1000];
static int got_count;

static void keep(void *ctx, uint32_t from, const void *data, size_t len)
{
    ck_assert_ptr_eq(ctx, got);
    ck_assert_uint_eq(from, 1);
    ck_assert_uint_eq(len, sizeof(int));
    memcpy(&got[got_count++], data, len);
}

/* Send the numbers from 0 to n to the second node. */
static void send_all(int n)
{
    int i;

    got_count = 0;
    weir_sim_receive(nodes[1], keep, got);
    for (i = 0; i < n; i++)
        ck_assert_int_eq(weir_sim_send(nodes[0], nodes[1], &i, sizeof(i)), 0);
}

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

START_TEST(messages_arrive_once_and_whole_and_out_of_order)
{
    int disorder = 0;
    int i;

    open_world(test_seed());
    send_all(100);
    ck_assert_int_eq(got_count, 0);
    run(SECOND);
    ck_assert_int_eq(got_count, 100);
    for (i = 1; i < 100; i++)
        disorder += got[i] < got[i - 1];
    ck_assert_int_gt(disorder, 5);
    qsort(got, 100, sizeof(int), compare);
    for (i = 0; i < 100; i++)
        ck_assert_int_eq(got[i], i);
    ck_assert_int_eq(weir_sim_send(nodes[0], nodes[1], NULL, 1), WEIR_EINVAL);
    weir_sim_free(sim);
}
END_TEST

START_TEST(messages_are_lost_doubled_and_late_as_often_as_asked_for)
{
    struct weir_sim_faults *faults;

    open_world(test_seed());
    faults = weir_sim_faults(sim);
    faults->message_lost = 500000;
    send_all(400);
    run(SECOND);
    ck_assert_int_gt(got_count, 100);
    ck_assert_int_lt(got_count, 300);
    faults->message_lost = 0;
    faults->message_twice = 1000000;
    send_all(100);
    run(SECOND);
    ck_assert_int_eq(got_count, 200);
    faults->message_twice = 0;
    faults->message_late = 1000000;
    send_all(10);
    run(SECOND);
    ck_assert_int_eq(got_count, 0);
    ck_assert_int_eq(weir_sim_run_idle(sim, UINT64_MAX, 3600 * SECOND, &err),
                     0);
    ck_assert_int_eq(got_count, 10);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_message_is_lost_when_nobody_is_there_and_waits_for_a_paused_node)
{
    int number = 1;

    open_world(test_seed());
    send_all(3);
    weir_sim_pause(nodes[1]);
    run(SECOND);
    ck_assert_int_eq(got_count, 0);
    weir_sim_resume(nodes[1]);
    run(SECOND);
    ck_assert_int_eq(got_count, 3);
    send_all(3);
    weir_sim_crash(nodes[1]);
    run(SECOND);
    ck_assert_int_eq(got_count, 0);
    weir_sim_start(nodes[1]);
    ck_assert_int_eq(weir_sim_send(nodes[0], nodes[1], &number, 4), 0);
    run(SECOND); /* Up, but the crash has forgotten who receives. */
    ck_assert_int_eq(got_count, 0);
    weir_sim_crash(nodes[0]);
    ck_assert_int_eq(weir_sim_send(nodes[0], nodes[1], &number, 4),
                     WEIR_ECANCELED);
    weir_sim_free(sim);
}
END_TEST

/* A crash with messages that have arrived and were not taken yet. */
static void count_back(void *ctx, uint32_t from, const void *data, size_t len)
{
    (void)data;
    ck_assert_uint_eq(from, 2);
    ck_assert_uint_eq(len, 0);
    ++*(int *)ctx;
}

START_TEST(a_link_that_is_cut_loses_messages_one_way_until_it_is_healed)
{
    int back = 0;

    open_world(test_seed());
    weir_sim_receive(nodes[0], count_back, &back);
    ck_assert_int_eq(weir_sim_cut_link(nodes[0], nodes[1]), 0);
    ck_assert_int_eq(weir_sim_cut_link(nodes[0], nodes[1]), 0);
    send_all(10);
    ck_assert_int_eq(weir_sim_send(nodes[1], nodes[0], NULL, 0), 0);
    run(SECOND);
    ck_assert_int_eq(got_count, 0);
    ck_assert_int_eq(back, 1);
    weir_sim_heal_link(nodes[0], nodes[1]);
    weir_sim_heal_link(nodes[0], nodes[1]);
    send_all(10);
    run(SECOND);
    ck_assert_int_eq(got_count, 10);
    send_all(10); /* What is on its way is lost as well. */
    ck_assert_int_eq(weir_sim_cut_link(nodes[0], nodes[1]), 0);
    run(SECOND);
    ck_assert_int_eq(got_count, 0);
    weir_sim_free(sim); /* With a link that is cut. */
}
END_TEST

static void crash_in_receive(void *ctx, uint32_t from, const void *data,
                             size_t len)
{
    (void)from;
    (void)data;
    (void)len;
    fired++;
    weir_sim_crash(ctx);
}

START_TEST(a_node_may_crash_in_its_receiver)
{
    int i;

    open_world(test_seed());
    weir_sim_receive(nodes[1], crash_in_receive, nodes[1]);
    weir_sim_pause(nodes[1]);
    for (i = 0; i < 10; i++)
        ck_assert_int_eq(weir_sim_send(nodes[0], nodes[1], &i, sizeof(i)), 0);
    run(SECOND);
    weir_sim_resume(nodes[1]);
    run(SECOND);
    ck_assert_int_eq(fired, 1);
    weir_sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim public");

    tcase_add_test(tc, what_no_world_can_be_made_from_is_refused);
    tcase_add_test(tc, a_run_ends_when_its_predicate_holds);
    tcase_add_test(
        tc, a_predicate_that_never_holds_ends_by_virtual_time_and_says_so);
    tcase_add_test(tc, a_run_until_idle_ends_when_nothing_is_near);
    tcase_add_test(tc,
                   tasks_and_timers_of_a_paused_node_wait_until_it_is_resumed);
    tcase_add_test(tc, a_crash_forgets_tasks_and_timers_and_ends_a_pause);
    tcase_add_test(tc, a_call_in_a_paused_node_goes_on_when_it_is_resumed);
    tcase_add_test(tc, a_call_in_a_node_that_is_never_resumed_ends);
    tcase_add_test(tc, messages_arrive_once_and_whole_and_out_of_order);
    tcase_add_test(tc,
                   messages_are_lost_doubled_and_late_as_often_as_asked_for);
    tcase_add_test(
        tc, a_message_is_lost_when_nobody_is_there_and_waits_for_a_paused_node);
    tcase_add_test(
        tc, a_link_that_is_cut_loses_messages_one_way_until_it_is_healed);
    tcase_add_test(tc, a_node_may_crash_in_its_receiver);
    return test_run();
}

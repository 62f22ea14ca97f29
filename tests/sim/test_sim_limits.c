/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a program does in a simulated world, a run of it ends, and what
 * made an end of it is told.  Public headers only. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *node;
static struct weir_error err;
static struct weir_sim_options options;

static void open_world(uint64_t busy_limit, uint64_t step_limit)
{
    options = (struct weir_sim_options){.size = sizeof(options),
                                        .seed = test_seed(),
                                        .limit = 3600 * SECOND,
                                        .busy_limit = busy_limit,
                                        .step_limit = step_limit};
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    ck_assert_int_eq(weir_sim_node_new(&node, sim, 7, DISK), 0);
}

static void assert_ended(const char *why)
{
    ck_assert_ptr_nonnull(weir_sim_ended(sim));
    ck_assert_msg(strstr(weir_sim_ended(sim), why) != NULL, "%s",
                  weir_sim_ended(sim));
    ck_assert_int_eq(weir_sim_run(sim, 1), WEIR_ETIMEDOUT);
}

static int never(void *ctx)
{
    (void)ctx;
    return 0;
}

/* ---- What goes on and on ------------------------------------------------- */

static void post_again(struct weir_task *task)
{
    weir_sim_env(node)->ops->post(weir_sim_env(node), task);
}

START_TEST(a_task_that_posts_itself_ends_the_world)
{
    struct weir_task task = {post_again, NULL};

    open_world(0, 0);
    post_again(&task);
    ck_assert_ptr_null(weir_sim_ended(sim));
    ck_assert_int_eq(weir_sim_run_until(sim, never, NULL, 600 * SECOND, &err),
                     WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(
        err.text, "the predicate does not hold: 10000000 steps were made "
                  "without a pause, at "));
    assert_ended("the last was node 7's");
    weir_sim_free(sim);
}
END_TEST

static void fire_now(struct weir_timer *timer)
{
    weir_sim_at(sim, timer);
}

START_TEST(a_timer_of_the_world_that_starts_itself_ends_it)
{
    struct weir_timer timer = {.fire = fire_now, .deadline = 2 * SECOND};

    open_world(1000, 0);
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(weir_sim_run(sim, 10 * SECOND), WEIR_ETIMEDOUT);
    assert_ended("1000 steps were made without a pause, at 2.000 s of virtual "
                 "time; the last was the world's own");
    weir_sim_free(sim);
}
END_TEST

static void fire_soon(struct weir_timer *timer)
{
    timer->deadline++;
    weir_sim_at(sim, timer);
}

/* Time passes, and never enough of it. */
START_TEST(a_timer_of_each_nanosecond_ends_the_world)
{
    struct weir_timer timer = {.fire = fire_soon, .deadline = 2 * SECOND};

    open_world(1000, 0);
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(weir_sim_run_idle(sim, SECOND, UINT64_MAX, &err),
                     WEIR_ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err.text, "the world is not idle: 1000 "));
    weir_sim_free(sim);
}
END_TEST

static void fire_later(struct weir_timer *timer)
{
    timer->deadline += 10 * MS;
    weir_sim_at(sim, timer);
}

START_TEST(a_run_of_too_many_steps_ends)
{
    struct weir_timer timer = {.fire = fire_later, .deadline = 2 * SECOND};

    open_world(0, 500);
    weir_sim_at(sim, &timer);
    ck_assert_int_eq(weir_sim_run(sim, 3 * SECOND), 0);
    ck_assert_int_eq(weir_sim_run(sim, 60 * SECOND), WEIR_ETIMEDOUT);
    assert_ended("500 steps were made in all, at 6.990 s");
    weir_sim_free(sim);
}
END_TEST

/* ---- Programs that wait for what never comes ----------------------------- */

static struct weir *opened;

static void open_program(void *ctx)
{
    struct weir_config *config;

    (void)ctx;
    ck_assert_int_eq(weir_sim_config(&config, node), 0);
    ck_assert_int_eq(weir_config_set(config, "wal", "mem:", NULL), 0);
    ck_assert_int_eq(weir_open(&opened, config, NULL), 0);
}

static void poll_program(void *ctx)
{
    open_program(NULL);
    while (weir_poll(opened, *(int64_t *)ctx) >= 0)
        ; /* Each check of Check's would be a system call. */
    ck_abort_msg("a poll failed inside of a call");
}

START_TEST(a_program_that_polls_for_ever_is_ended)
{
    static const int64_t waits[] = {0, 100, MS, SECOND, WEIR_FOREVER};
    int64_t wait = waits[_i];

    open_world(20000, 2000000);
    ck_assert_int_eq(weir_sim_call(node, poll_program, &wait), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_is_up(node), 0);
    assert_ended("");
    weir_sim_free(sim);
}
END_TEST

static void wait_program(void *ctx)
{
    struct weir_event event = {0};
    struct weir_env *env = weir_sim_env(node);

    (void)ctx;
    open_program(NULL);
    for (;;)
        env->ops->wait(env, &event, MS);
}

START_TEST(a_program_that_waits_for_ever_is_ended)
{
    open_world(0, 0);
    ck_assert_int_eq(weir_sim_call(node, wait_program, NULL), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_is_up(node), 0);
    assert_ended("the limit of 3600 s of virtual time is reached");
    weir_sim_free(sim);
}
END_TEST

/* ---- A world that has ended ---------------------------------------------- */

static void free_program(void *ctx)
{
    (void)ctx;
    weir_free(opened);
}

START_TEST(in_a_world_that_has_ended_nothing_waits)
{
    struct weir_flush flush = {.req = {.done = NULL}};

    open_world(0, 0);
    ck_assert_int_eq(weir_sim_call(node, open_program, NULL), 0);
    ck_assert_int_eq(weir_sim_run(sim, 7200 * SECOND), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_poll(opened, 0), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_poll(opened, WEIR_FOREVER), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_flush_sync(opened, &flush), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_run_until(sim, never, NULL, SECOND, &err),
                     WEIR_ETIMEDOUT);
    ck_assert_str_eq(err.text, "the predicate does not hold: the limit of "
                               "3600 s of virtual time is reached");
    ck_assert_int_eq(weir_sim_call(node, free_program, NULL), WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_is_up(node), 0);
    weir_sim_start(node);
    ck_assert_int_eq(weir_sim_call(node, open_program, NULL), WEIR_ETIMEDOUT);
    weir_sim_free(sim);
}
END_TEST

/* ---- What no world can be made from -------------------------------------- */

/* Of a machine that has a gibibyte. */
static void *small_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return size < (size_t)1 << 30 ? malloc(size) : NULL;
}

static void *small_realloc(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void *small_aligned(void *ctx, size_t align, size_t size)
{
    (void)ctx;
    return size < (size_t)1 << 30 ? aligned_alloc(align, size) : NULL;
}

static void small_free(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

START_TEST(limits_without_sense_are_refused_or_harmless)
{
    static const uint64_t bad[] = {0, 1, SECOND};
    static const struct weir_alloc alloc = {sizeof(alloc), small_malloc,
                                            small_realloc, small_aligned,
                                            small_free,    NULL};
    struct weir_sim_node *other;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options =
            (struct weir_sim_options){.size = sizeof(options), .limit = bad[i]};
        ck_assert_int_eq(weir_sim_new(&sim, &options), WEIR_EINVAL);
        ck_assert_ptr_null(sim);
    }
    options.limit = UINT64_MAX;
    options.alloc = &alloc;
    ck_assert_int_eq(weir_sim_new(&sim, &options), 0);
    ck_assert_int_eq(weir_sim_node_new(&other, sim, 0, DISK), WEIR_EINVAL);
    ck_assert_int_eq(weir_sim_node_new(&other, sim, 1, UINT64_MAX - 4095),
                     WEIR_ENOMEM);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(weir_sim_node_new(&other, sim, 1, DISK), 0);
    ck_assert_int_eq(weir_sim_run_until(sim, never, NULL, UINT64_MAX, &err),
                     WEIR_ETIMEDOUT);
    ck_assert_int_eq(weir_sim_run(sim, UINT64_MAX), WEIR_ETIMEDOUT);
    weir_sim_free(sim);
}
END_TEST

/* Every operation fails, in every way, and for ever. */
static void all_fail(struct weir_sim *world)
{
    struct weir_sim_faults *faults = weir_sim_faults(world);
    uint32_t rate = 1000000;

    for (size_t i = 0; i < sizeof(*faults); i += sizeof(rate))
        memcpy((char *)faults + i, &rate, sizeof(rate));
    faults->memory = 0;
}

static void try_open_program(void *ctx)
{
    struct weir_config *config;

    ck_assert_int_eq(weir_sim_config(&config, node), 0);
    *(int *)ctx = weir_open(&opened, config, &err);
    weir_config_free(config);
}

START_TEST(a_node_that_no_operation_succeeds_for_does_not_open_and_ends)
{
    int status = 0;
    int rc;

    open_world(0, 1000000);
    all_fail(sim);
    rc = weir_sim_call(node, try_open_program, &status);
    ck_assert_msg(rc == 0 ? status < 0 : rc == WEIR_ETIMEDOUT, "%s, %s",
                  weir_error_name(rc), weir_error_name(status));
    weir_sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim limits");

    tcase_add_test(tc, a_task_that_posts_itself_ends_the_world);
    tcase_add_test(tc, a_timer_of_the_world_that_starts_itself_ends_it);
    tcase_add_test(tc, a_timer_of_each_nanosecond_ends_the_world);
    tcase_add_test(tc, a_run_of_too_many_steps_ends);
    tcase_add_loop_test(tc, a_program_that_polls_for_ever_is_ended, 0, 5);
    tcase_add_test(tc, a_program_that_waits_for_ever_is_ended);
    tcase_add_test(tc, in_a_world_that_has_ended_nothing_waits);
    tcase_add_test(tc, limits_without_sense_are_refused_or_harmless);
    tcase_add_test(
        tc, a_node_that_no_operation_succeeds_for_does_not_open_and_ends);
    return test_run();
}

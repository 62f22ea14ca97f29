/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world as a user has it: public headers only. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>
#include <weir/sim.h>

enum { DISK = 5 << 20, NODES = 2, ROOM = 1 << 20 };
#define MS ((uint64_t)1000000)
#define SECOND ((uint64_t)1000000000)

static struct weir_sim *sim;
static struct weir_sim_node *nodes[NODES];
static struct weir_error err;

/* The trace of the world, as a hash (FNV-1a) and a length. */
static uint64_t trace_hash;
static size_t trace_lines;

static void hash_line(void *ctx, const char *line)
{
    (void)ctx;
    for (; *line != '\0'; line++)
        trace_hash = (trace_hash ^ (unsigned char)*line) * 0x100000001b3u;
    trace_lines++;
}

static void open_world(uint64_t seed)
{
    struct weir_sim_options options = {
        .size = sizeof(options),
        .seed = seed,
        .limit = 7200 * SECOND,
        .trace = hash_line,
    };
    uint32_t i;

    trace_hash = 0xcbf29ce484222325u;
    trace_lines = 0;
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

/* ---- The library in a node ----------------------------------------------- */

/* A program: open a stream and append to it, with all that it says. */
struct program {
    struct weir_sim_node *on;
    const char *stream;
    int appends;
    struct weir_config *config;
    struct weir *node;
    struct weir_stream *handle;
    int status; /* Of what failed first, or of the last step. */
    int acked;
};

static void open_program(void *ctx)
{
    struct program *p = ctx;
    struct weir_stream_open open = {.name = p->stream,
                                    .flags = WEIR_STREAM_CREATE};

    p->status = weir_sim_config(&p->config, p->on);
    if (p->status == 0)
        p->status = weir_open(&p->node, p->config, &err);
    weir_sim_trace(sim, "open %s", weir_error_name(p->status));
    if (p->status == 0)
        p->status = weir_stream_open_sync(p->node, &open);
    p->handle = open.stream;
}

static void append_program(void *ctx)
{
    struct program *p = ctx;
    int i;

    for (i = 0; i < p->appends && p->status == 0; i++) {
        struct weir_append append = {.data = "0123456789",
                                     .len = 10,
                                     .count = 1,
                                     .max_timestamp = WEIR_NO_TIMESTAMP};

        p->status = weir_append_sync(p->handle, &append);
        p->acked += p->status == 0;
    }
}

static void flush_program(void *ctx)
{
    struct program *p = ctx;
    struct weir_flush flush = {.req = {.done = NULL}};

    p->status = weir_flush_sync(p->node, &flush);
}

START_TEST(damage_to_a_disk_is_found_by_the_next_opening)
{
    struct program p = {.on = NULL, .stream = "damaged", .appends = 20};
    unsigned char *data;
    size_t size;

    open_world(test_seed());
    p.on = nodes[0];
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.acked, 20);
    weir_sim_crash(nodes[0]);
    data = weir_sim_disk_data(nodes[0], &size);
    memset(data, 0xff, size);
    weir_sim_start(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EFORMAT);
    weir_sim_free(sim);
}
END_TEST

static size_t object_count(void)
{
    size_t n;

    weir_sim_objects(sim, &n);
    return n;
}

static void open_with_data(struct program *p)
{
    open_world(test_seed());
    *p = (struct program){.on = nodes[0], .stream = "a", .appends = 10};
    ck_assert_int_eq(weir_sim_call(p->on, open_program, p), 0);
    ck_assert_int_eq(p->status, 0);
    ck_assert_int_eq(weir_sim_call(p->on, append_program, p), 0);
    ck_assert_int_eq(p->acked, 10);
}

static int more_objects(void *ctx)
{
    return object_count() > *(size_t *)ctx;
}

static void check_upload_after_heal(enum weir_sim_cut_kind kind)
{
    struct program p;
    size_t before;

    open_with_data(&p);
    before = object_count();
    weir_sim_cut(nodes[0], kind);
    ck_assert_int_eq(
        weir_sim_run_until(sim, more_objects, &before, 900 * SECOND, &err),
        WEIR_ETIMEDOUT);
    /* What the log takes does not need the store. */
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.acked, 20);
    weir_sim_heal(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], flush_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_uint_gt(object_count(), before);
    weir_sim_free(sim);
}

START_TEST(a_node_cut_from_the_store_uploads_when_it_is_healed)
{
    check_upload_after_heal(WEIR_SIM_CUT_REFUSES);
    check_upload_after_heal(WEIR_SIM_CUT_HANGS);
}
END_TEST

START_TEST(a_node_that_is_refused_by_the_store_does_not_open_and_others_do)
{
    struct program p = {.stream = "a"};
    struct program q = {.stream = "b"};

    open_world(test_seed());
    p.on = nodes[0];
    q.on = nodes[1];
    weir_sim_cut(nodes[0], WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, WEIR_EUNAVAILABLE);
    ck_assert_int_eq(weir_sim_call(q.on, open_program, &q), 0);
    ck_assert_int_eq(q.status, 0);
    weir_sim_heal(nodes[0]);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    weir_sim_free(sim);
}
END_TEST

static void heal_first(struct weir_timer *timer)
{
    (void)timer;
    weir_sim_heal(nodes[0]);
}

START_TEST(requests_that_hang_when_cut_are_carried_out_when_healed)
{
    struct weir_timer heal = {.fire = heal_first};
    struct program p = {.stream = "a"};

    open_world(test_seed());
    p.on = nodes[0];
    weir_sim_cut(nodes[0], WEIR_SIM_CUT_HANGS);
    heal.deadline = weir_sim_now(sim) + 2 * SECOND;
    weir_sim_at(sim, &heal);
    ck_assert_int_eq(weir_sim_call(p.on, open_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_uint_ge(weir_sim_now(sim), heal.deadline);
    weir_sim_free(sim);
}
END_TEST

START_TEST(a_paused_owner_loses_nothing_that_it_has_acknowledged)
{
    struct program p;
    struct weir_stream_stat stat;

    open_with_data(&p);
    weir_sim_pause(nodes[0]);
    run(1800 * SECOND);
    weir_sim_resume(nodes[0]);
    ck_assert_int_eq(weir_sim_call(nodes[0], append_program, &p), 0);
    ck_assert_int_eq(p.status, 0);
    ck_assert_int_eq(weir_stream_stat(p.handle, &stat), 0);
    ck_assert_uint_eq(stat.end, 20);
    weir_sim_free(sim);
}
END_TEST

/* ---- The same seed ------------------------------------------------------- */

static void drop(void *ctx, uint32_t from, const void *data, size_t len)
{
    (void)data;
    weir_sim_trace(ctx, "got %u of %u", (unsigned)len, (unsigned)from);
}

/* A step of a run in which everything happens. */
static void step(struct program *programs)
{
    uint64_t i = weir_sim_below(sim, NODES);
    struct program *p = &programs[i];

    switch (weir_sim_below(sim, 8)) {
    case 0:
        weir_sim_crash(p->on);
        break;
    case 1:
        weir_sim_pause(p->on);
        break;
    case 2:
        weir_sim_cut(p->on, weir_sim_below(sim, 2) == 0 ? WEIR_SIM_CUT_REFUSES
                                                        : WEIR_SIM_CUT_HANGS);
        break;
    case 3:
        weir_sim_heal(p->on);
        break;
    case 4:
        weir_sim_send(nodes[1 - i], p->on, "hello", 1 + weir_sim_below(sim, 5));
        break;
    case 5:
        weir_sim_resume(p->on);
        if (weir_sim_is_up(p->on))
            break;
        weir_sim_start(p->on);
        weir_sim_heal(p->on); /* It would wait for that until the end. */
        weir_sim_receive(p->on, drop, sim);
        p->handle = NULL;
        weir_sim_call(p->on, open_program, p);
        break;
    default:
        weir_sim_resume(p->on);
        if (weir_sim_is_up(p->on) && p->handle != NULL)
            weir_sim_call(p->on, append_program, p);
    }
    run(weir_sim_below(sim, 2 * SECOND));
}

static void mixed_run(uint64_t seed)
{
    struct program programs[NODES] = {{.stream = "a", .appends = 3},
                                      {.stream = "b", .appends = 3}};
    struct weir_sim_faults *faults;
    int i;

    open_world(seed);
    faults = weir_sim_faults(sim);
    faults->store_late = faults->store_unheard = 50000;
    faults->message_late = faults->message_twice = 200000;
    for (i = 0; i < NODES; i++) {
        programs[i].on = nodes[i];
        weir_sim_crash(nodes[i]);
    }
    for (i = 0; i < 60; i++)
        step(programs);
    weir_sim_free(sim);
}

START_TEST(twenty_seeds_give_the_same_trace_twice_and_each_its_own)
{
    uint64_t seed = test_seed();
    uint64_t last = 0;
    uint64_t i;

    for (i = 0; i < 20; i++) {
        uint64_t hash;
        size_t lines;

        mixed_run(seed + i);
        hash = trace_hash;
        lines = trace_lines;
        mixed_run(seed + i);
        ck_assert_uint_gt(lines, 5);
        ck_assert_uint_eq(trace_hash, hash);
        ck_assert_uint_eq(trace_lines, lines);
        ck_assert_uint_ne(hash, last);
        last = hash;
    }
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
    tcase_add_test(tc, damage_to_a_disk_is_found_by_the_next_opening);
    tcase_add_test(tc, a_node_cut_from_the_store_uploads_when_it_is_healed);
    tcase_add_test(
        tc, a_node_that_is_refused_by_the_store_does_not_open_and_others_do);
    tcase_add_test(tc, requests_that_hang_when_cut_are_carried_out_when_healed);
    tcase_add_test(tc, a_paused_owner_loses_nothing_that_it_has_acknowledged);
    tcase_add_test(tc, twenty_seeds_give_the_same_trace_twice_and_each_its_own);
    return test_run();
}

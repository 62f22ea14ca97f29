/* SPDX-License-Identifier: Apache-2.0 */
/* A node that lives on while its log is taken: it goes on at each moment of
 * that, one of which is the worst. */
#include "sim/machines.h"

#include "support/test.h"

#include <stddef.h>
#include <string.h>

/* Milliseconds; what is raced against takes about half of them. */
enum { MOMENTS = 25 };

static void append(struct machine *m, uint64_t number, uint64_t offset)
{
    struct appended *a = machine_append(m, 0, number);

    world_run(SECOND);
    ck_assert(a->over && a->status == 0);
    ck_assert_uint_eq(a->req.base_offset, offset);
}

static struct weir_flush flushing;

static void flushed(struct weir_req *req, int status)
{
    (void)req;
    (void)status;
}

static void flush_program(void *ctx)
{
    struct machine *m = ctx;

    flushing = (struct weir_flush){.req = {.done = flushed}};
    m->status = weir_flush(m->node, &flushing);
}

static void start_to_flush(struct machine *m)
{
    ck_assert_int_eq(machine_call(m, flush_program), 0);
    ck_assert_int_eq(m->status, 0);
}

/* Machine 0 has acknowledged two batches and begins to upload the second: that
 * will move the mark at which recovery of its log begins. */
static struct machine *uploading(void)
{
    struct machine *m = &world.machines[0];

    world_open(test_seed());
    world.wal = "object:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 1, 0);
    start_to_flush(m);
    world_run(SECOND);
    append(m, 2, 1);
    start_to_flush(m);
    return m;
}

/* ---- Takeovers ----------------------------------------------------------- */

static struct weir_takeover taking;
static int taken;
static int taking_status;

static void taking_done(struct weir_req *req, int status)
{
    (void)req;
    taken = 1;
    taking_status = status;
}

static void take_program(void *ctx)
{
    struct machine *m = ctx;

    taken = 0;
    taking = (struct weir_takeover){.req = {.done = taking_done}, .node_id = 1};
    m->status = weir_takeover(m->node, &taking);
}

/* Its lease has run out while it slept, and it goes on where it was. */
START_TEST(who_takes_over_a_node_that_wakes_up_need_not_ask_twice)
{
    for (uint64_t i = 0; i < MOMENTS; i++) {
        struct machine *m = uploading();
        struct machine *taker = &world.machines[1];

        world_run(3 * MS);
        weir_sim_pause(m->sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_call(taker, take_program), 0);
        ck_assert_int_eq(taker->status, 0);
        world_run(i * MS);
        weir_sim_resume(m->sim);
        world_run(20 * SECOND);
        ck_assert_int_eq(taken, 1);
        ck_assert_int_eq(taking_status, 0);
        ck_assert_int_eq(machine_open_stream(taker, 0), 0);
        append(taker, 3, 2);
        weir_sim_free(world.sim);
    }
}
END_TEST

/* ---- Openings ------------------------------------------------------------ */

static const char *commit_timeout;
static struct weir_error why;

/* The same node on another machine. */
static void open_program(void *ctx)
{
    struct machine *m = ctx;
    const char *const pairs[][2] = {{"node_id", "1"},
                                    {"wal", "object:"},
                                    {"commit_timeout", commit_timeout}};

    m->status = weir_sim_config(&m->config, m->sim);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (m->status == 0)
            m->status =
                weir_config_set(m->config, pairs[i][0], pairs[i][1], NULL);
    if (m->status == 0)
        m->status = weir_open(&m->node, m->config, &why);
}

/* Opens node 1 elsewhere `ns` after it has begun to upload. */
static int open_elsewhere(uint64_t ns)
{
    struct machine *m = &world.machines[2];

    uploading();
    world_run(ns);
    weir_sim_start(m->sim);
    ck_assert_int_eq(machine_call(m, open_program), 0);
    return m->status;
}

START_TEST(who_opens_a_node_that_lives_on_need_not_ask_twice)
{
    commit_timeout = "1min";
    for (uint64_t i = 0; i < MOMENTS; i++) {
        ck_assert_int_eq(open_elsewhere(i * MS), 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[2], 0), 0);
        append(&world.machines[2], 3, 2);
        weir_sim_free(world.sim);
    }
}
END_TEST

/* The first try takes longer than that. */
START_TEST(an_opening_is_not_tried_again_after_commit_timeout)
{
    int refused = 0;

    commit_timeout = "1ms";
    for (uint64_t i = 0; i < MOMENTS; i++) {
        int rc = open_elsewhere(i * MS);

        ck_assert(rc == 0 || rc == WEIR_EAGAIN);
        ck_assert_int_eq(why.code, rc);
        refused += rc == WEIR_EAGAIN;
        if (rc == WEIR_EAGAIN)
            ck_assert_ptr_nonnull(strstr(why.text, "open it again"));
        weir_sim_free(world.sim);
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim races");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, who_takes_over_a_node_that_wakes_up_need_not_ask_twice);
    tcase_add_test(tc, who_opens_a_node_that_lives_on_need_not_ask_twice);
    tcase_add_test(tc, an_opening_is_not_tried_again_after_commit_timeout);
    return test_run();
}

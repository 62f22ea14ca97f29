/* SPDX-License-Identifier: Apache-2.0 */
/* Two that race for a node: it lives on, comes back or is taken over twice, at
 * each moment of a takeover or an opening, one of which is the worst. */
#include "sim/machines.h"

#include "support/test.h"

#include <stddef.h>
#include <string.h>

/* Milliseconds; what is raced against takes about half of them.  Other worlds
 * are tried until two have met in one. */
enum { MOMENTS = 25, WORLDS = 40, FEW_WORLDS = 4 };

static uint64_t number_of_world;

/* The moment of turn `i` in nanoseconds; each world has all of them. */
static uint64_t moment(uint64_t i)
{
    number_of_world = i / MOMENTS;
    return i % MOMENTS * MS;
}

/* 1 if there is another turn: all moments of one world, or as many more as it
 * takes to meet. */
static int goes_on(uint64_t i, int met)
{
    return i < MOMENTS || (!met && i < MOMENTS * WORLDS);
}

static void append(struct machine *m, uint64_t number, uint64_t offset)
{
    ck_assert_uint_eq(machine_append_now(m, 0, number)->req.base_offset,
                      offset);
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

    world_open(test_seed() + number_of_world);
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

/** A takeover of machine 0 that others run beside. */
struct taking {
    struct weir_takeover req;
    int over;
    int status;
};

static struct taking takings[NODES]; /* By who does it. */

static void taking_done(struct weir_req *req, int status)
{
    struct taking *t = req->ctx;

    t->over = 1;
    t->status = status;
}

static void take_program(void *ctx)
{
    struct machine *m = ctx;
    struct taking *t = &takings[m - world.machines];

    *t = (struct taking){
        .req = {.req = {.done = taking_done, .ctx = t}, .node_id = 1}};
    m->status = weir_takeover(m->node, &t->req);
}

static const struct taking *start_to_take_over(int by)
{
    struct machine *m = &world.machines[by];

    ck_assert_int_eq(machine_call(m, take_program), 0);
    ck_assert_int_eq(m->status, 0);
    return &takings[by];
}

/* Its lease has run out while it slept, and it goes on where it was. */
START_TEST(who_takes_over_a_node_that_wakes_up_need_not_ask_twice)
{
    for (uint64_t i = 0; i < MOMENTS; i++) {
        uint64_t ns = moment(i);
        struct machine *m = uploading();
        const struct taking *taking;

        world_run(3 * MS);
        weir_sim_pause(m->sim);
        world_run(30 * SECOND);
        taking = start_to_take_over(1);
        world_run(ns);
        weir_sim_resume(m->sim);
        world_run(20 * SECOND);
        ck_assert_int_eq(taking->over, 1);
        ck_assert_int_eq(taking->status, 0);
        ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
        append(&world.machines[1], 3, 2);
        weir_sim_free(world.sim);
    }
}
END_TEST

/* Machine 0 is dead, with two batches in its log, and the others know it. */
static void dead(void)
{
    uploading();
    ck_assert_int_eq(machine_start(&world.machines[2]), 0);
    machine_crash(&world.machines[0]);
    world_run(30 * SECOND);
}

/* Who has got the node's epoch keeps it: the other one is told, and what it
 * had sent before counts for nothing. */
START_TEST(of_two_takeovers_at_once_one_succeeds)
{
    int met = 0;

    for (uint64_t i = 0; goes_on(i, met); i++) {
        uint64_t ns = moment(i);
        const struct taking *a, *b;

        dead();
        a = start_to_take_over(1);
        world_run(ns);
        b = start_to_take_over(2);
        world_run(20 * SECOND);
        ck_assert(a->over && b->over);
        ck_assert(a->status == 0 || b->status == 0);
        met += a->status == WEIR_EFENCED || b->status == WEIR_EFENCED;
        ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
        append(&world.machines[1], 3, 2);
        weir_sim_free(world.sim);
    }
    ck_assert_int_gt(met, 0); /* They have met. */
}
END_TEST

/* Both have ended: who has lost may come back, and is not fenced. */
static int one_has_succeeded(struct machine *m, int rc,
                             const struct taking *taking)
{
    int met = rc == WEIR_EFENCED || taking->status == WEIR_EFENCED;

    ck_assert_int_eq(taking->over, 1);
    ck_assert(rc == 0 || taking->status == 0);
    ck_assert(rc == 0 || rc == WEIR_EFENCED);
    if (rc != 0)
        ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 3, 2);
    weir_sim_free(world.sim);
    return met;
}

/* The restart is told, looks again, and finds that it was taken over. */
START_TEST(of_a_restart_during_a_takeover_one_succeeds)
{
    int met = 0;

    for (uint64_t i = 0; goes_on(i, met); i++) {
        uint64_t ns = moment(i);
        const struct taking *taking;
        int rc;

        dead();
        taking = start_to_take_over(1);
        world_run(ns);
        rc = machine_start(&world.machines[0]);
        world_run(20 * SECOND);
        met += one_has_succeeded(&world.machines[0], rc, taking);
    }
    ck_assert_int_gt(met, 0);
}
END_TEST

static void take_over_now(struct weir_timer *timer)
{
    (void)timer;
    take_program(&world.machines[1]);
}

/* The node was found dead, and is back when its takeover begins to read. */
START_TEST(of_a_takeover_during_a_restart_one_succeeds)
{
    int met = 0;

    for (uint64_t i = 0; goes_on(i, met) || i < FEW_WORLDS * MOMENTS; i++) {
        struct weir_timer timer = {.fire = take_over_now};
        uint64_t ns = moment(i);
        int rc;

        dead();
        timer.deadline = weir_sim_now(world.sim) + ns;
        weir_sim_at(world.sim, &timer);
        rc = machine_start(&world.machines[0]);
        world_run(20 * SECOND);
        ck_assert_int_eq(world.machines[1].status, 0);
        met += one_has_succeeded(&world.machines[0], rc, &takings[1]);
    }
    ck_assert_int_gt(met, 0);
}
END_TEST

/* Machine 0 has closed, and nothing is in its log: who takes it over needs
 * none.  It is back, and has acknowledged something, before that one goes on
 * (weir-sim, cluster, seed 86003429 of version 6). */
START_TEST(a_late_takeover_does_not_forget_the_log_of_who_came_back)
{
    for (uint64_t i = 0; i < MOMENTS; i++) {
        uint64_t ns = moment(i);
        struct machine *m = &world.machines[0];

        uploading();
        world_run(SECOND);
        ck_assert_int_eq(machine_call(m, machine_stop), 0);
        weir_sim_crash(m->sim);
        start_to_take_over(1);
        world_run(ns);
        weir_sim_pause(world.machines[1].sim);
        ck_assert_int_eq(machine_start(m), 0);
        ck_assert_int_eq(machine_open_stream(m, 0), 0);
        append(m, 3, 2);
        weir_sim_resume(world.machines[1].sim);
        world_run(20 * SECOND);
        machine_crash(m);
        ck_assert_int_eq(machine_start(m), 0);
        ck_assert_int_eq(machine_open_stream(m, 0), 0);
        append(m, 4, 3);
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
        uint64_t ns = moment(i);
        ck_assert_int_eq(open_elsewhere(ns), 0);
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
    for (uint64_t i = 0; goes_on(i, refused); i++) {
        uint64_t ns = moment(i);
        int rc = open_elsewhere(ns);

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

/* What that has written may be there, where the next owner would begin
 * (weir-sim, cluster, seed 140065116 of version 6). */
START_TEST(a_hand_over_does_not_pass_over_a_write_of_unknown_outcome)
{
    struct machine *m = &world.machines[0];
    struct appended *unknown;

    world_open(test_seed());
    world.wal = "object:";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 1, 0);
    weir_sim_faults(world.sim)->store_lost = 1000000;
    unknown = machine_append(m, 0, 2);
    ck_assert_int_eq(machine_hand_over(m, 0), WEIR_EPOISONED);
    ck_assert_int_eq(unknown->over, 1);
    ck_assert_int_eq(unknown->status, WEIR_EUNKNOWN);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

/* ---- A flush, and its stream is opened under it -------------------------- */

static int flush_over;
static int flush_status;

static void flush_ended(struct weir_req *req, int status)
{
    (void)req;
    flush_over = 1;
    flush_status = status;
}

static void flush_and_open_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_stream_open open = {.name = "stream-0"};

    flush_over = 0;
    flushing = (struct weir_flush){.req = {.done = flush_ended}};
    ck_assert_int_eq(weir_flush(m->node, &flushing), 0);
    m->status = weir_stream_open_sync(m->node, &open);
    m->streams[0] = open.stream;
}

/* The upload of what was recovered begins under the stream's former epoch, and
 * is not taken: the flush waits for the next one. */
START_TEST(a_flush_while_its_stream_is_opened_uploads_all)
{
    struct machine *m = &world.machines[0];
    struct weir_stream_stat stat = {0};

    world_open(test_seed());
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 1, 0);
    append(m, 2, 1);
    machine_crash(m);
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_call(m, flush_and_open_program), 0);
    ck_assert_int_eq(m->status, 0);
    world_run(60 * SECOND);
    ck_assert_int_eq(flush_over, 1);
    ck_assert_int_eq(flush_status, 0);
    ck_assert_int_eq(weir_stream_stat(m->streams[0], &stat), 0);
    ck_assert_uint_eq(stat.uploaded_end, 2);
    weir_sim_free(world.sim);
}
END_TEST

static void hand_over_and_close(uint64_t seed)
{
    struct machine *m = &world.machines[0];

    world_open(seed);
    world.wal = "mem:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 1, 0);
    ck_assert_int_eq(machine_hand_over(m, 0), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 2, 1);
    ck_assert_int_eq(machine_call(m, machine_stop), 0);
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 3, 2);
    weir_sim_free(world.sim);
    world.wal = NULL;
}

/* It owes the first batch when it closes, and has the second as the owner: one
 * upload each.  In some worlds none has come before. */
START_TEST(a_close_uploads_what_is_behind_what_was_handed_over)
{
    for (uint64_t i = 0; i < MOMENTS; i++)
        hand_over_and_close(test_seed() + i);
}
END_TEST

static void flush_told_program(void *ctx)
{
    struct machine *m = ctx;

    flush_over = 0;
    flushing = (struct weir_flush){.req = {.done = flush_ended}};
    ck_assert_int_eq(weir_flush(m->node, &flushing), 0);
}

/* A former owner has slept for long.  A flush gives it some time all the same;
 * and a close, when that is nearly over, as much again, and sees that it has
 * woken up. */
START_TEST(a_close_waits_for_a_former_owner_however_long_that_took)
{
    struct machine *former = &world.machines[0];
    struct machine *m = &world.machines[1];

    world_open(test_seed());
    world.wal = "mem:";
    world.upload_interval = "1s";
    ck_assert_int_eq(machine_start(former), 0);
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(former, 0), 0);
    append(former, 1, 0);
    ck_assert_int_eq(machine_hand_over(former, 0), 0);
    weir_sim_pause(former->sim);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 2, 1);
    world_run(60 * SECOND);
    ck_assert_int_eq(machine_call(m, flush_told_program), 0);
    world_run(4600 * MS);
    ck_assert_int_eq(flush_over, 0);
    weir_sim_resume(former->sim);
    ck_assert_int_eq(machine_call(m, machine_stop), 0);
    ck_assert_int_eq(flush_status, WEIR_ECLOSED);
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    append(m, 3, 2);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim races");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, who_takes_over_a_node_that_wakes_up_need_not_ask_twice);
    tcase_add_test(tc, of_two_takeovers_at_once_one_succeeds);
    tcase_add_test(tc, of_a_restart_during_a_takeover_one_succeeds);
    tcase_add_test(tc, of_a_takeover_during_a_restart_one_succeeds);
    tcase_add_test(tc,
                   a_late_takeover_does_not_forget_the_log_of_who_came_back);
    tcase_add_test(tc, who_opens_a_node_that_lives_on_need_not_ask_twice);
    tcase_add_test(tc, an_opening_is_not_tried_again_after_commit_timeout);
    tcase_add_test(tc,
                   a_hand_over_does_not_pass_over_a_write_of_unknown_outcome);
    tcase_add_test(tc, a_flush_while_its_stream_is_opened_uploads_all);
    tcase_add_test(tc, a_close_uploads_what_is_behind_what_was_handed_over);
    tcase_add_test(tc, a_close_waits_for_a_former_owner_however_long_that_took);
    return test_run();
}

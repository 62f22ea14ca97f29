/* SPDX-License-Identifier: Apache-2.0 */
/* What a node does whose place another one has taken: nothing more. */
#include "sim/machines.h"

#include "support/test.h"

#include <stddef.h>
#include <string.h>

/* A node with a stream, and a log of this kind, of which it uploads nothing
 * unasked. */
static struct machine *owner_on(const char *wal, uint64_t seed)
{
    struct machine *m = &world.machines[0];

    world_open(seed);
    world.wal = wal;
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    return m;
}

static void trim_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_trim req = {.start = 1};

    m->status = weir_trim_sync(m->streams[0], &req);
}

/* A machine that sleeps while another takes its log over: it has an object to
 * remove if `dead`, and batches to upload if `pending`. */
static struct machine *asleep(int dead, int pending)
{
    struct machine *m = &world.machines[0];

    world_open(test_seed());
    world.wal = "object:";
    world.upload_interval = "30s";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append_now(m, 0, 1);
    ck_assert_int_eq(machine_flush(m), 0);
    if (dead)
        ck_assert_int_eq(machine_call(m, trim_program), 0);
    if (pending)
        machine_append_now(m, 0, 2);
    weir_sim_pause(m->sim);
    world_run(30 * SECOND);
    ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
    machine_crash(&world.machines[1]);
    return m;
}

/* It is awake, and has learned of it. */
static struct machine *fenced(int dead, int pending)
{
    struct machine *m = asleep(dead, pending);

    weir_sim_resume(m->sim);
    world_run(60 * SECOND);
    return m;
}

static void is_quiet(int dead, int pending)
{
    struct machine *m = fenced(dead, pending);
    struct weir_stats before = machine_stats(m);
    struct weir_stats after;

    world_run(7200 * SECOND);
    after = machine_stats(m);
    ck_assert_uint_eq(after.store_puts, before.store_puts);
    ck_assert_uint_eq(after.store_deletes, before.store_deletes);
    world_close();
}

START_TEST(it_removes_no_objects)
{
    is_quiet(1, 0);
}
END_TEST

START_TEST(it_uploads_nothing)
{
    is_quiet(0, 1);
}
END_TEST

START_TEST(it_tells_who_asks_for_a_flush)
{
    struct machine *m = fenced(0, 1);

    ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
    world_close();
}
END_TEST

/* It does not know that yet. */
START_TEST(it_does_not_open_what_it_had)
{
    struct machine *m = asleep(0, 0);

    weir_sim_resume(m->sim);
    ck_assert_int_eq(machine_open_stream(m, 0), WEIR_EFENCED);
    world_close();
}
END_TEST

static struct weir_fetch fetched;

static void fetch_program(void *ctx)
{
    struct machine *m = ctx;

    fetched = (struct weir_fetch){.offset = 1,
                                  .max_bytes = 1,
                                  .min_bytes = 1,
                                  .max_wait = (int64_t)(60 * SECOND)};
    m->status = weir_fetch_sync(m->streams[0], &fetched);
}

/* The number in the batch at offset 1. */
static void check_second_batch(struct machine *m, uint64_t expected)
{
    uint64_t number = 0;

    ck_assert_int_eq(machine_call(m, fetch_program), 0);
    ck_assert_int_eq(m->status, 0);
    ck_assert_uint_eq(fetched.count, 1);
    memcpy(&number, fetched.batches[0].data, sizeof(number));
    weir_fetch_release(&fetched);
    ck_assert_uint_eq(number, expected);
}

/* It is cut off in the middle of an append, and owes what it had finished:
 * nobody has uploaded that.  Its successor writes another batch in the place.
 */
static void cut_off(uint64_t seed)
{
    struct machine *m = &world.machines[0];

    world_open(seed);
    world.wal = "object:";
    world.upload_interval = "1h";
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(machine_start(&world.machines[i]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append_now(m, 0, 1);
    weir_sim_cut(m->sim, WEIR_SIM_CUT_HANGS);
    machine_append(m, 0, 2);
    machine_append(m, 0, 2);
    world_run(30 * SECOND);
    ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
    machine_crash(&world.machines[1]);
    ck_assert_int_eq(machine_open_stream(&world.machines[2], 0), 0);
    machine_append_now(&world.machines[2], 0, 3);
}

/* Now and then it hears of its successor before its own append has failed. */
START_TEST(it_does_not_show_what_it_has_not_finished)
{
    struct machine *m = &world.machines[0];

    for (uint64_t i = 0; i < 50; i++) {
        cut_off(test_seed() + i);
        weir_sim_heal(m->sim);
        check_second_batch(m, 3);
        world_close();
    }
}
END_TEST

static void cut_off_in_an_append(uint64_t seed)
{
    struct machine *m = owner_on("object:", seed);

    machine_append_now(m, 0, 1);
    weir_sim_cut(m->sim, WEIR_SIM_CUT_HANGS);
    machine_append(m, 0, 2);
}

/* The lease has run out by then, which nobody waits for. */
static void open_elsewhere(void)
{
    struct machine *again = &world.machines[1];

    world_run(30 * SECOND);
    ck_assert_int_eq(machine_start_as(again, "1"), 0);
    ck_assert_int_eq(machine_open_stream(again, 0), 0);
    machine_append_now(again, 0, 3);
}

/** When the successor brings what it has into objects. */
enum flushed { NEVER, BEFORE_IT_LEARNS, AFTERWARDS };

/* Its successor has its name, and so the stream is still its own. */
static void show_what_a_successor_of_that_name_appends(enum flushed flushed)
{
    struct machine *m = &world.machines[0];

    for (uint64_t i = 0; i < 20; i++) {
        cut_off_in_an_append(test_seed() + i);
        open_elsewhere();
        if (flushed == BEFORE_IT_LEARNS)
            ck_assert_int_eq(machine_flush(&world.machines[1]), 0);
        weir_sim_heal(m->sim);
        if (flushed == AFTERWARDS) {
            world_run(60 * SECOND);
            ck_assert_int_eq(machine_flush(&world.machines[1]), 0);
        }
        check_second_batch(m, 3);
        world_close();
    }
}

START_TEST(it_does_not_show_what_it_has_not_finished_in_its_successors_place)
{
    show_what_a_successor_of_that_name_appends(BEFORE_IT_LEARNS);
    show_what_a_successor_of_that_name_appends(AFTERWARDS);
}
END_TEST

/* It knows that, though the stream is one of its name still. */
START_TEST(it_does_not_open_what_its_successor_of_that_name_has)
{
    struct machine *m = &world.machines[0];

    cut_off_in_an_append(test_seed());
    open_elsewhere();
    weir_sim_heal(m->sim);
    world_run(60 * SECOND);
    ck_assert_int_eq(machine_open_stream(m, 0), WEIR_EFENCED);
    world_close();
}
END_TEST

static void over(struct weir_req *req, int status)
{
    *(int *)req->ctx = status == 0 ? 1 : status;
}

START_TEST(who_waits_there_sees_what_a_successor_of_its_name_appends)
{
    struct machine *m = &world.machines[0];
    struct weir_fetch waiting = {.req = {.done = over},
                                 .offset = 1,
                                 .max_bytes = 1,
                                 .min_bytes = 1,
                                 .max_wait = WEIR_FOREVER};
    int ended = 0;

    waiting.req.ctx = &ended;
    cut_off_in_an_append(test_seed());
    ck_assert_int_eq(weir_fetch(m->streams[0], &waiting), 0);
    open_elsewhere();
    weir_sim_heal(m->sim);
    world_run(60 * SECOND);
    ck_assert_int_eq(ended, 1);
    weir_fetch_release(&waiting);
    world_close();
}
END_TEST

START_TEST(it_sees_what_a_successor_of_its_name_appends)
{
    show_what_a_successor_of_that_name_appends(NEVER);
}
END_TEST

/* Its log is in memory, and so nothing of what it had finished is a part of the
 * stream any more: its successor writes another batch in the place. */
START_TEST(it_does_not_show_what_went_with_its_log)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct machine *m = owner_on("mem:", test_seed() + i);

        machine_append_now(m, 0, 0);
        ck_assert_int_eq(machine_flush(m), 0);
        machine_append_now(m, 0, 1);
        machine_append_now(m, 0, 2);
        weir_sim_cut(m->sim, WEIR_SIM_CUT_HANGS);
        open_elsewhere();
        ck_assert_int_eq(machine_flush(&world.machines[1]), 0);
        weir_sim_heal(m->sim);
        world_run(60 * SECOND);
        check_second_batch(m, 3);
        ck_assert_uint_eq(fetched.end, 2);
        ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
        world_close();
    }
}
END_TEST

/* The flush waits for an upload that was begun before, and then there is
 * nothing to upload: it has gone with the log. */
START_TEST(it_tells_who_waits_for_a_flush_while_it_learns_of_it)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct machine *m = owner_on("mem:", test_seed() + i);
        struct weir_flush first = {.req = {.done = over}};
        int ended = 0;

        first.req.ctx = &ended;
        machine_append_now(m, 0, 1);
        weir_sim_cut(m->sim, WEIR_SIM_CUT_HANGS);
        ck_assert_int_eq(weir_flush(m->node, &first), 0);
        world_run(SECOND);
        open_elsewhere();
        weir_sim_heal(m->sim);
        ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
        ck_assert_int_ne(ended, 1);
        world_close();
    }
}
END_TEST

/** A flush that is not waited for. */
struct waiting {
    struct weir_flush req;
    struct weir_error err;
    int over;
    int status;
};

static struct waiting first, second;

static void flush_done(struct weir_req *req, int status)
{
    struct waiting *f = req->ctx;

    f->over = 1;
    f->status = status;
}

static void flush_twice_program(void *ctx)
{
    struct machine *m = ctx;

    first = (struct waiting){.req.req = {.done = flush_done, .ctx = &first}};
    second = (struct waiting){.req.req = {
                                  .done = flush_done,
                                  .ctx = &second,
                                  .err = &second.err,
                              }};
    ck_assert_int_eq(weir_flush(m->node, &first.req), 0);
    ck_assert_int_eq(weir_flush(m->node, &second.req), 0);
}

static void close_program(void *ctx)
{
    struct machine *m = ctx;

    m->status = weir_close(m->node, NULL);
}

/* What only its memory has is lost when another takes its place. */
static struct machine *fenced_in_memory(void (*before)(void *ctx))
{
    struct machine *m = &world.machines[0];

    world_open(test_seed());
    world.wal = "mem:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append_now(m, 0, 1);
    if (before != NULL)
        ck_assert_int_eq(machine_call(m, before), 0);
    weir_sim_pause(m->sim);
    world_run(30 * SECOND);
    ck_assert_int_eq(machine_take_over(&world.machines[1], 0), 0);
    weir_sim_resume(m->sim);
    world_run(60 * SECOND);
    return m;
}

START_TEST(it_tells_a_flush_that_waits_behind_another)
{
    struct machine *m = fenced_in_memory(flush_twice_program);

    ck_assert_int_eq(first.over, 1);
    ck_assert_int_eq(first.status, WEIR_EFENCED);
    ck_assert_int_eq(second.over, 1);
    ck_assert_int_eq(second.status, WEIR_EFENCED);
    ck_assert_ptr_nonnull(strstr(second.err.text, "has opened node 1"));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

/* Another node has opened its stream: nothing of that is in an object. */
START_TEST(a_flush_tells_what_was_lost_with_a_stream)
{
    struct machine *m = &world.machines[0];

    world_open(test_seed());
    world.wal = "mem:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    ck_assert_int_eq(machine_open_stream(m, 1), 0);
    machine_append_now(m, 0, 1);
    ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
    ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
    machine_append_now(m, 1, 2);
    ck_assert_int_eq(machine_flush(m), 0);
    ck_assert_int_eq(machine_call(m, close_program), 0);
    ck_assert_int_eq(m->status, 0);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

/* An upload is under way as it closes, and comes too late: the node has not
 * learnt why by then. */
START_TEST(a_close_tells_of_what_its_upload_was_refused)
{
    struct machine *m = &world.machines[0];
    struct machine *taker = &world.machines[1];
    int lost = 0;

    for (uint64_t i = 0; i < 20; i++) {
        world_open(test_seed() + i);
        world.wal = "mem:";
        world.upload_interval = "1s";
        ck_assert_int_eq(machine_start(m), 0);
        ck_assert_int_eq(machine_start(taker), 0);
        ck_assert_int_eq(machine_open_stream(m, 0), 0);
        machine_append_now(m, 0, 1);
        world_run(SECOND + weir_sim_below(world.sim, SECOND / 20));
        weir_sim_pause(m->sim);
        world_run(30 * SECOND);
        ck_assert_int_eq(machine_take_over(taker, 0), 0);
        ck_assert_int_eq(machine_open_stream(taker, 0), 0);
        if (machine_append_now(taker, 0, 2)->req.base_offset == 0) {
            lost++; /* What it had is in no object. */
            weir_sim_resume(m->sim);
            world_run(weir_sim_below(world.sim, SECOND / 10));
            ck_assert_int_eq(machine_call(m, close_program), 0);
            ck_assert_int_eq(m->status, WEIR_EFENCED);
        }
        world_close();
    }
    ck_assert_int_gt(lost, 0);
}
END_TEST

/* It learns of that as it closes. */
START_TEST(a_close_tells_what_was_lost_with_a_stream)
{
    struct machine *m = &world.machines[0];

    world_open(test_seed());
    world.wal = "mem:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append_now(m, 0, 1);
    ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
    ck_assert_int_eq(machine_call(m, close_program), 0);
    ck_assert_int_eq(m->status, WEIR_EFENCED);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

START_TEST(its_close_tells_what_its_memory_has_lost)
{
    struct machine *m = fenced_in_memory(NULL);

    ck_assert_int_eq(machine_call(m, close_program), 0);
    ck_assert_int_eq(m->status, WEIR_EFENCED);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim fenced");

    tcase_add_test(tc, it_removes_no_objects);
    tcase_add_test(tc, it_uploads_nothing);
    tcase_add_test(tc, it_tells_who_asks_for_a_flush);
    tcase_add_test(tc, it_does_not_open_what_it_had);
    tcase_add_test(tc, it_does_not_open_what_its_successor_of_that_name_has);
    tcase_add_test(tc, it_does_not_show_what_it_has_not_finished);
    tcase_add_test(
        tc, it_does_not_show_what_it_has_not_finished_in_its_successors_place);
    tcase_add_test(tc, it_sees_what_a_successor_of_its_name_appends);
    tcase_add_test(tc,
                   who_waits_there_sees_what_a_successor_of_its_name_appends);
    tcase_add_test(tc, it_does_not_show_what_went_with_its_log);
    tcase_add_test(tc, it_tells_who_waits_for_a_flush_while_it_learns_of_it);
    tcase_add_test(tc, it_tells_a_flush_that_waits_behind_another);
    tcase_add_test(tc, its_close_tells_what_its_memory_has_lost);
    tcase_add_test(tc, a_flush_tells_what_was_lost_with_a_stream);
    tcase_add_test(tc, a_close_tells_what_was_lost_with_a_stream);
    tcase_add_test(tc, a_close_tells_of_what_its_upload_was_refused);
    return test_run();
}

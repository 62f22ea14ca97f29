/* SPDX-License-Identifier: Apache-2.0 */
/* What a node has seen of a stream, and what became of it meanwhile: with a
 * log that is gone, and when a snapshot tells only where it all ended. */
#include "sim/machines.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

static struct weir_fetch fetched;

static void fetch_program(void *ctx)
{
    struct machine *m = ctx;

    fetched =
        (struct weir_fetch){.offset = (uint64_t)world.arg, .max_bytes = 1};
    m->status = weir_fetch_sync(
        m->readers[0] != NULL ? m->readers[0] : m->streams[0], &fetched);
}

/* How many batches it is given at an offset: one, with this number, or none. */
static size_t fetch(struct machine *m, int offset, uint64_t expected)
{
    uint64_t number = 0;
    size_t count;

    world.arg = offset;
    ck_assert_int_eq(machine_call(m, fetch_program), 0);
    ck_assert_int_eq(m->status, 0);
    count = fetched.count;
    if (count > 0) {
        memcpy(&number, fetched.batches[0].data, sizeof(number));
        ck_assert_uint_eq(number, expected);
    }
    weir_fetch_release(&fetched);
    return count;
}

static void give_back_program(void *ctx)
{
    struct machine *m = ctx;
    struct weir_handover req = {
        .streams = &m->streams[0], .count = 1, .to_node = 1};

    m->status = weir_handover_sync(m->node, &req);
}

/* As many commits as it takes to a snapshot. */
static void commit_program(void *ctx)
{
    struct machine *m = ctx;

    for (int i = 0; i < 300 && m->status == 0; i++) {
        struct weir_kv_put put = {
            .key = "k", .value = "v", .len = 1, .expected = WEIR_KV_ANY};

        m->status = weir_kv_put_sync(m->node, &put);
    }
}

static void run_program(struct machine *m, void (*program)(void *ctx))
{
    ck_assert_int_eq(machine_call(m, program), 0);
    ck_assert_int_eq(m->status, 0);
}

/* With a log in memory another node opens its stream without asking, and what
 * it had not uploaded is lost; the other one has written something in the
 * place, and given the stream back. */
START_TEST(who_has_a_stream_again_shows_what_was_written_meanwhile)
{
    struct machine *m = &world.machines[0];
    struct machine *other = &world.machines[1];

    world_open(test_seed());
    world.wal = "mem:";
    world.upload_interval = "1h";
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_start(other), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    machine_append_now(m, 0, 0);
    ck_assert_int_eq(machine_flush(m), 0);
    machine_append_now(m, 0, 1);
    machine_append_now(m, 0, 2);
    weir_sim_pause(m->sim);
    ck_assert_int_eq(machine_open_stream(other, 0), 0);
    machine_append_now(other, 0, 3);
    ck_assert_int_eq(machine_flush(other), 0);
    run_program(other, give_back_program);
    run_program(other, commit_program);
    world_run(1200 * SECOND);
    weir_sim_resume(m->sim);
    world_run(60 * SECOND);
    ck_assert_uint_eq(fetch(m, 1, 3), 1);
    ck_assert_uint_eq(fetch(m, 2, 0), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    ck_assert_uint_eq(machine_append_now(m, 0, 4)->req.base_offset, 2);
    /* It is told once what it has lost. */
    ck_assert_int_eq(machine_flush(m), WEIR_EFENCED);
    ck_assert_int_eq(machine_flush(m), 0);
    ck_assert_uint_eq(fetch(m, 2, 4), 1);
    world.arg = 0;
    run_program(other, machine_reader);
    ck_assert_uint_eq(fetch(other, 1, 3), 1);
    ck_assert_uint_eq(fetch(other, 2, 4), 1);
    weir_sim_free(world.sim);
    world.wal = NULL;
}
END_TEST

/* It has read what was in the log only. */
START_TEST(a_reader_does_not_take_what_went_with_a_log_for_the_end)
{
    struct machine *owner = &world.machines[0];
    struct machine *taker = &world.machines[1];
    struct machine *reader = &world.machines[2];

    world_open(test_seed());
    world.wal = "object:";
    world.upload_interval = "1h";
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(machine_start(&world.machines[i]), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 0);
    ck_assert_int_eq(machine_flush(owner), 0);
    machine_append_now(owner, 0, 1);
    machine_append_now(owner, 0, 2);
    world.arg = 0;
    run_program(reader, machine_reader);
    ck_assert_uint_eq(fetch(reader, 2, 2), 1);
    machine_crash(owner);
    world.takeover_flags = WEIR_TAKEOVER_FORCE | WEIR_TAKEOVER_ABANDON;
    ck_assert_int_eq(machine_take_over(taker, 0), 0);
    world_run(30 * SECOND);
    ck_assert_uint_eq(fetch(reader, 1, 0), 0);
    ck_assert_uint_eq(fetched.end, 1);
    ck_assert_int_eq(machine_open_stream(taker, 0), 0);
    machine_append_now(taker, 0, 3);
    ck_assert_uint_eq(fetch(reader, 1, 3), 1);
    ck_assert_uint_eq(fetch(reader, 2, 0), 0);
    weir_sim_free(world.sim);
    world.takeover_flags = 0;
    world.wal = NULL;
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim behind");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, who_has_a_stream_again_shows_what_was_written_meanwhile);
    tcase_add_test(tc, a_reader_does_not_take_what_went_with_a_log_for_the_end);
    return test_run();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A log on a disk whose writes fail. */
#include "sim/machines.h"

#include "support/test.h"

#include <string.h>

enum { RUNS = 100, FEW = 24, ROOM = 8 };

/* What the writes of a closing and of an opening that both failed have left in
 * the two header blocks, when the power goes: one of them is whole. */
START_TEST(a_header_block_outlasts_a_closing_and_an_opening_that_fail)
{
    struct machine *m = &world.machines[0];
    struct weir_sim_faults *faults;

    for (uint64_t i = 0; i < RUNS; i++) {
        world_open(test_seed() + i);
        faults = weir_sim_faults(world.sim);
        ck_assert_int_eq(machine_start(m), 0);
        ck_assert_int_eq(machine_open_stream(m, 0), 0);
        machine_append(m, 0, i);
        world_run(SECOND);
        faults->disk_write = 1000000;
        ck_assert_int_eq(machine_call(m, machine_stop), 0);
        ck_assert_int_ne(machine_start(m), 0);
        faults->disk_write = 0;
        machine_crash(m);
        ck_assert_msg(machine_start(m) == 0, "seed %llu: %s",
                      (unsigned long long)world.seed,
                      weir_error_name(m->status));
        weir_sim_free(world.sim);
    }
}
END_TEST

static void must(int status, const char *what)
{
    ck_assert_msg(status == 0, "seed %llu: %s: %s",
                  (unsigned long long)world.seed, what,
                  weir_error_name(status));
}

static void append(struct machine *m, uint64_t number, uint64_t offset)
{
    ck_assert_uint_eq(machine_append_now(m, 0, number)->req.base_offset,
                      offset);
}

static void restart(struct machine *m)
{
    machine_crash(m);
    must(machine_start(m), "restart");
}

/* Nothing else on a disk looks like it. */
static const uint64_t unwanted = UINT64_C(0x6465746e61776e75);

/* 1 if what failed is on the disk of a node that has crashed. */
static int is_kept(struct machine *m)
{
    size_t size;
    const unsigned char *disk = weir_sim_disk_data(m->sim, &size);

    for (size_t i = 0; i + 8 <= size; i++)
        if (memcmp(disk + i, &unwanted, 8) == 0)
            return 1;
    return 0;
}

static uint64_t found[ROOM]; /* Numbers in stream 0, by their offsets. */
static size_t found_count;

static void read_program(void *ctx)
{
    struct machine *m = ctx;
    size_t got;

    found_count = 0;
    do {
        struct weir_fetch fetch = {.offset = found_count, .max_bytes = 1 << 20};

        m->status = weir_fetch_sync(m->readers[0], &fetch);
        got = m->status == 0 ? fetch.count : 0;
        for (size_t i = 0; i < got; i++) {
            ck_assert_uint_lt(found_count, ROOM);
            ck_assert_uint_eq(fetch.batches[i].base_offset, found_count);
            memcpy(&found[found_count++], fetch.batches[i].data, 8);
        }
        weir_fetch_release(&fetch);
    } while (got > 0);
}

/* Its end, after reading it from its beginning. */
static size_t read_all(struct machine *m)
{
    world.arg = 0;
    ck_assert_int_eq(machine_call(m, machine_reader), 0);
    must(m->status, "open to read");
    ck_assert_int_eq(machine_call(m, read_program), 0);
    must(m->status, "read");
    return found_count;
}

/* Machine 0 has stream 0 with one batch, which is in an object if `flushed`;
 * the disk fails in the next one, which is or is not in its log.  That is kept,
 * for stream 1. */
static void fail_to_append(struct machine *m, struct machine *other,
                           int flushed)
{
    struct appended *failed;

    must(machine_start(m), "start");
    must(machine_start(other), "start");
    must(machine_open_stream(m, 0), "open");
    append(m, 1, 0);
    if (flushed)
        must(machine_flush(m), "flush");
    must(machine_open_stream(m, 1), "open");
    machine_append_now(m, 1, 0);
    weir_sim_faults(world.sim)->disk_sync = 1000000;
    failed = machine_append(m, 0, unwanted);
    world_run(SECOND);
    weir_sim_faults(world.sim)->disk_sync = 0;
    ck_assert_int_eq(failed->over, 1);
    ck_assert_int_ne(failed->status, 0);
}

/* The numbers that are in the end where another node had `count` of them. */
static void check_all(struct machine *m, uint64_t count)
{
    ck_assert_uint_eq(read_all(m), count + 3);
    ck_assert_uint_eq(found[0], 1);
    for (uint64_t i = 0; i < count; i++)
        ck_assert_uint_eq(found[1 + i], 10 + i);
    ck_assert_uint_eq(found[1 + count], 20);
    ck_assert_uint_eq(found[2 + count], 21);
}

/* From a failing disk to another node, which appends `count` batches, and back:
 * what failed is not there again, where others' batches or new ones are
 * (weir-sim, cluster, seed 150188891 of version 6).  1 if the disk has it. */
static int there_and_back(uint64_t seed, uint64_t count)
{
    struct machine *m = &world.machines[0];
    struct machine *other = &world.machines[1];
    int kept;

    world_open(seed);
    world.upload_interval = "1h";
    fail_to_append(m, other, 1);
    must(machine_hand_over(m, 0), "hand over");
    machine_crash(m);
    kept = is_kept(m);
    must(machine_start(m), "start again");
    must(machine_open_stream(other, 0), "open there");
    for (uint64_t i = 0; i < count; i++)
        append(other, 10 + i, 1 + i);
    must(machine_hand_over(other, 0), "hand back");
    must(machine_open_stream(m, 0), "open here");
    restart(m);
    must(machine_open_stream(m, 0), "open");
    append(m, 20, 1 + count);
    restart(m);
    must(machine_open_stream(m, 0), "open again");
    append(m, 21, 2 + count);
    must(machine_flush(other), "flush there");
    check_all(m, count);
    weir_sim_free(world.sim);
    return kept;
}

START_TEST(what_a_failing_disk_kept_does_not_come_back_with_its_stream)
{
    int kept = 0;

    for (uint64_t i = 0; i < FEW || (kept == 0 && i < RUNS); i++)
        kept += there_and_back(test_seed() + i, i % 3);
    ck_assert_int_gt(kept, 0);
}
END_TEST

/* All that was acknowledged is in objects, and the node says so when it closes:
 * what failed is no part of the stream then, the first time that the log is
 * opened or any time (weir-sim, core, seed 531512580389 of version 6). */
START_TEST(what_a_clean_log_has_does_not_come_and_go)
{
    struct machine *m = &world.machines[0];
    int kept = 0;

    for (uint64_t i = 0; i < FEW || (kept == 0 && i < RUNS); i++) {
        world_open(test_seed() + i);
        world.upload_interval = "1h";
        fail_to_append(m, &world.machines[1], 0);
        must(machine_flush(m), "flush");
        ck_assert_int_eq(machine_call(m, machine_stop), 0);
        kept += is_kept(m);
        must(machine_start(m), "start again");
        must(machine_open_stream(m, 0), "open");
        ck_assert_uint_eq(read_all(m), 1);
        append(m, 20, 1);
        restart(m);
        must(machine_open_stream(m, 0), "open again");
        ck_assert_uint_eq(read_all(m), 2);
        ck_assert_uint_eq(found[1], 20);
        weir_sim_free(world.sim);
    }
    ck_assert_int_gt(kept, 0);
}
END_TEST

static struct weir_handover late;

static int is_handed;

static void handed(struct weir_req *req, int status)
{
    (void)req;
    is_handed = status == 0;
}

static void hand_program(void *ctx)
{
    struct machine *m = ctx;

    late = (struct weir_handover){.req = {.done = handed},
                                  .streams = m->streams,
                                  .count = 1,
                                  .to_node = late.to_node};
    m->status = weir_handover(m->node, &late);
}

/* Its owner has another log, as it was left clean, and has not opened the
 * stream since: that is nothing to who owes a part of it (weir-sim, cluster,
 * seed 220048298 of version 6). */
START_TEST(who_owes_a_part_opens_whatever_log_the_owner_has)
{
    struct machine *m = &world.machines[0];
    struct machine *other = &world.machines[1];

    world_open(test_seed());
    world.upload_interval = "1h";
    must(machine_start(m), "start");
    must(machine_start(other), "start");
    must(machine_open_stream(m, 0), "open");
    append(m, 1, 0);
    late.to_node = 2;
    is_handed = 0;
    ck_assert_int_eq(machine_call(m, hand_program), 0);
    must(m->status, "hand over");
    while (!is_handed)
        world_run(MS);
    machine_crash(m); /* Before it has uploaded what it owes. */
    world_run(SECOND);
    ck_assert_int_eq(machine_call(other, machine_stop), 0);
    must(machine_start(other), "start again");
    must(machine_start(m), "restart");
    must(machine_open_stream(other, 0), "open there");
    append(other, 2, 1);
    must(machine_flush(m), "flush");
    ck_assert_uint_eq(read_all(other), 2);
    ck_assert_uint_eq(found[0], 1);
    ck_assert_uint_eq(found[1], 2);
    weir_sim_free(world.sim);
}
END_TEST

/* ---- A hand-over that comes late ----------------------------------------- */

/* Machine 0 dies while its hand-over is on the way, and its next life reads its
 * log meanwhile: 1 if that was begun once more. */
static int dies_while_it_hands_over(struct machine *m)
{
    struct weir_sim_faults *faults = weir_sim_faults(world.sim);
    uint64_t epoch = m->epoch;
    int status;

    faults->store_slow = 1000000;
    ck_assert_int_eq(machine_call(m, hand_program), 0);
    must(m->status, "hand over");
    world_run(MS);
    faults->store_slow = 0;
    machine_crash(m);
    faults->disk_slow = 1000000;
    status = machine_start(m);
    if (status == WEIR_EAGAIN) /* It was too slow to begin by itself. */
        status = machine_start(m);
    must(status, "restart");
    faults->disk_slow = 0;
    world_run(600 * SECOND);
    return m->epoch > epoch + 1;
}

/* Without a lease, so that its next commit is the one that opens the stream. */
static int hands_over_late(uint64_t seed, int flushed, uint32_t to_node)
{
    struct machine *m = &world.machines[0];

    world_open(seed);
    world.upload_interval = "1h";
    world.lease = "0s";
    late.to_node = to_node;
    fail_to_append(m, &world.machines[1], flushed);
    return dies_while_it_hands_over(m);
}

/* What the failing disk has kept is a part of the stream, or it is not: as its
 * first reader has seen it, it is for ever. */
START_TEST(a_hand_over_to_nobody_that_comes_late_leaves_no_gap)
{
    struct machine *m = &world.machines[0];
    int met = 0;

    for (uint64_t i = 0; i < FEW || (met == 0 && i < RUNS); i++) {
        size_t end;

        met += hands_over_late(test_seed() + i, 1, 0);
        must(machine_open_stream(m, 0), "open");
        end = read_all(m);
        append(m, 3, end);
        restart(m);
        must(machine_open_stream(m, 0), "open again");
        ck_assert_uint_eq(read_all(m), end + 1);
        ck_assert_uint_eq(found[0], 1);
        ck_assert_uint_eq(found[end], 3);
        weir_sim_free(world.sim);
    }
    ck_assert_int_gt(met, 0);
}
END_TEST

/* Where the next owner appends, the former one shows nothing of its own. */
START_TEST(a_hand_over_that_comes_late_gives_up_what_failed)
{
    struct machine *m = &world.machines[0];
    struct machine *other = &world.machines[1];
    int met = 0;

    for (uint64_t i = 0; i < FEW || (met == 0 && i < RUNS); i++) {
        met += hands_over_late(test_seed() + i, 0, 2);
        if (machine_open_stream(other, 0) == 0) { /* It has come. */
            append(other, 3, 1);
            must(machine_flush(m), "flush");
            must(machine_flush(other), "flush there");
            ck_assert_uint_eq(read_all(m), 2);
            ck_assert_uint_eq(found[0], 1);
            ck_assert_uint_eq(found[1], 3);
        }
        weir_sim_free(world.sim);
    }
    ck_assert_int_gt(met, 0);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim disk log");

    tcase_add_test(tc,
                   a_header_block_outlasts_a_closing_and_an_opening_that_fail);
    tcase_add_test(tc,
                   what_a_failing_disk_kept_does_not_come_back_with_its_stream);
    tcase_add_test(tc, what_a_clean_log_has_does_not_come_and_go);
    tcase_add_test(tc, who_owes_a_part_opens_whatever_log_the_owner_has);
    tcase_add_test(tc, a_hand_over_to_nobody_that_comes_late_leaves_no_gap);
    tcase_add_test(tc, a_hand_over_that_comes_late_gives_up_what_failed);
    return test_run();
}

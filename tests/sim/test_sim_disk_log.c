/* SPDX-License-Identifier: Apache-2.0 */
/* A log on a disk whose writes fail. */
#include "sim/machines.h"

#include "support/test.h"

enum { RUNS = 100, FEW = 24 };

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

/* Machine 0 has stream 0 with one batch; the disk fails in the next one, which
 * is or is not in its log.  That is kept, for stream 1. */
static void fail_to_append(struct machine *m, struct machine *other)
{
    struct appended *failed;

    must(machine_start(m), "start");
    must(machine_start(other), "start");
    must(machine_open_stream(m, 0), "open");
    append(m, 1, 0);
    must(machine_flush(m), "flush");
    must(machine_open_stream(m, 1), "open");
    machine_append_now(m, 1, 0);
    weir_sim_faults(world.sim)->disk_sync = 1000000;
    failed = machine_append(m, 0, 2);
    world_run(SECOND);
    weir_sim_faults(world.sim)->disk_sync = 0;
    ck_assert_int_eq(failed->over, 1);
    ck_assert_int_ne(failed->status, 0);
}

/* From a failing disk to another node, which appends `count` batches, and back:
 * what failed is not there again, where others' batches or new ones are
 * (weir-sim, cluster, seed 150188891 of version 6). */
static void there_and_back(uint64_t seed, uint64_t count)
{
    struct machine *m = &world.machines[0];
    struct machine *other = &world.machines[1];

    world_open(seed);
    world.upload_interval = "1h";
    fail_to_append(m, other);
    must(machine_hand_over(m, 0), "hand over");
    restart(m);
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
    weir_sim_free(world.sim);
}

START_TEST(what_a_failing_disk_kept_does_not_come_back_with_its_stream)
{
    for (uint64_t i = 0; i < FEW; i++)
        there_and_back(test_seed() + i, i % 3);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim disk log");

    tcase_add_test(tc,
                   a_header_block_outlasts_a_closing_and_an_opening_that_fail);
    tcase_add_test(tc,
                   what_a_failing_disk_kept_does_not_come_back_with_its_stream);
    return test_run();
}

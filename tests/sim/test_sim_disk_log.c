/* SPDX-License-Identifier: Apache-2.0 */
/* A log on a disk whose writes fail. */
#include "sim/machines.h"

#include "support/test.h"

enum { RUNS = 100 };

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

int main(void)
{
    TCase *tc = test_case("sim disk log");

    tcase_add_test(tc,
                   a_header_block_outlasts_a_closing_and_an_opening_that_fail);
    return test_run();
}

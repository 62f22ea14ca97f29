/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a node whose disk takes longer than its lease. */
#include "sim/machines.h"

#include "support/test.h"

#include <stddef.h>

/* An append whose write takes minutes. */
static struct appended *slow_append(void)
{
    struct machine *m = &world.machines[0];
    struct appended *append;

    world.lease = "3s";
    world_open(test_seed());
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    weir_sim_faults(world.sim)->disk_hang = 1000000;
    append = machine_append(m, 0, 1);
    world_run(SECOND / 10);
    weir_sim_faults(world.sim)->disk_hang = 0;
    ck_assert_int_eq(append->over, 0);
    return append;
}

START_TEST(a_close_keeps_the_lease_for_what_is_being_written)
{
    struct appended *append = slow_append();

    ck_assert_int_eq(machine_call(&world.machines[0], machine_stop), 0);
    ck_assert_int_eq(append->over, 1);
    ck_assert_int_eq(append->status, 0);
    weir_sim_free(world.sim);
}
END_TEST

START_TEST(a_close_ends_when_a_write_ends_and_the_lease_has_run_out)
{
    struct appended *append = slow_append();

    weir_sim_cut(world.machines[0].sim, WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(machine_call(&world.machines[0], machine_stop), 0);
    ck_assert_int_eq(append->over, 1);
    ck_assert_int_eq(append->status, WEIR_EUNKNOWN);
    weir_sim_free(world.sim);
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim close");

    tcase_add_test(tc, a_close_keeps_the_lease_for_what_is_being_written);
    tcase_add_test(tc,
                   a_close_ends_when_a_write_ends_and_the_lease_has_run_out);
    return test_run();
}

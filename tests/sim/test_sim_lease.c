/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is slow or fails while the lease runs out. */
#include "sim/machines.h"

#include "support/test.h"

#include <stddef.h>
#include <string.h>

/* A node with a stream, and a lease of three seconds. */
static struct machine *owner_with_lease(void)
{
    struct machine *m = &world.machines[0];

    world.lease = "3s";
    world_open(test_seed());
    ck_assert_int_eq(machine_start(m), 0);
    ck_assert_int_eq(machine_open_stream(m, 0), 0);
    return m;
}

/* An append of a node that is cut off, behind the end of its lease: it is on
 * the disk, and waits for that. */
static struct appended *append_when_lapsed(struct machine *m)
{
    struct appended *append;

    weir_sim_cut(m->sim, WEIR_SIM_CUT_REFUSES);
    world_run(4 * SECOND);
    append = machine_append(m, 0, 1);
    world_run(SECOND / 10);
    ck_assert_int_eq(append->over, 0);
    return append;
}

/* An append whose write takes minutes. */
static struct appended *slow_append(void)
{
    struct machine *m = owner_with_lease();
    struct appended *append;

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
    world_close();
}
END_TEST

START_TEST(a_close_ends_when_a_write_ends_and_the_lease_has_run_out)
{
    struct appended *append = slow_append();

    weir_sim_cut(world.machines[0].sim, WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(machine_call(&world.machines[0], machine_stop), 0);
    ck_assert_int_eq(append->over, 1);
    ck_assert_int_eq(append->status, WEIR_EUNKNOWN);
    world_close();
}
END_TEST

/* "one" is on the disk and waits for the lease, when the write behind it fails:
 * it keeps its offset, and a hand-over waits for it (weir-sim, cluster, seed
 * 30005317 of version 3). */
START_TEST(what_waits_for_the_lease_stays_when_a_write_behind_it_fails)
{
    struct machine *m = owner_with_lease();
    struct appended *one, *two, *next;

    ck_assert_int_eq(machine_start(&world.machines[1]), 0);
    one = append_when_lapsed(m);
    weir_sim_faults(world.sim)->disk_write = 1000000;
    two = machine_append(m, 0, 2);
    world_run(SECOND / 10);
    weir_sim_faults(world.sim)->disk_write = 0;
    ck_assert_int_eq(two->over, 1);
    ck_assert_int_eq(two->status, WEIR_EUNKNOWN);
    weir_sim_heal(m->sim);
    ck_assert_int_eq(machine_hand_over(m, 0), 0);
    ck_assert_int_eq(one->over, 1);
    ck_assert_int_eq(one->status, 0);
    ck_assert_uint_eq(one->req.base_offset, 0);
    ck_assert_int_eq(machine_open_stream(&world.machines[1], 0), 0);
    next = machine_append(&world.machines[1], 0, 3);
    world_run(SECOND);
    ck_assert_int_eq(next->status, 0);
    ck_assert_uint_eq(next->req.base_offset, 1);
    world_close();
}
END_TEST

static struct weir_handover handing;
static int handed;

static void handing_done(struct weir_req *req, int status)
{
    (void)req;
    handed = 1;
    world.machines[0].status = status;
}

static void hand_program(void *ctx)
{
    struct machine *m = ctx;

    handing = (struct weir_handover){
        .req = {.done = handing_done}, .streams = m->streams, .count = 1};
    ck_assert_int_eq(weir_handover(m->node, &handing), 0);
}

/* An append waits for the lease, and a hand-over for that.  A close gives the
 * append up, and nothing will ever end what waits for it. */
START_TEST(a_close_ends_a_hand_over_that_waits_for_the_lease)
{
    struct machine *m = owner_with_lease();
    struct appended *append = append_when_lapsed(m);

    handed = 0;
    ck_assert_int_eq(machine_call(m, hand_program), 0);
    world_run(SECOND / 10);
    ck_assert_int_eq(handed, 0);
    ck_assert_int_eq(machine_call(m, machine_stop), 0);
    ck_assert_int_eq(append->status, WEIR_EUNKNOWN);
    ck_assert_int_eq(handed, 1);
    ck_assert_int_eq(m->status, WEIR_ECLOSED);
    world_close();
}
END_TEST

static struct weir_takeover taking;
static int taken;

static void taking_done(struct weir_req *req, int status)
{
    (void)req;
    ck_assert_int_ne(status, 0);
    taken = 1;
}

static void take_program(void *ctx)
{
    struct machine *m = ctx;

    taking = (struct weir_takeover){.req = {.done = taking_done}, .node_id = 1};
    m->status = weir_takeover(m->node, &taking);
}

/* It waits for the dead node's disk for longer than `commit_timeout`, and the
 * manifest is closed by then. */
START_TEST(a_close_outlasts_a_takeover_that_waits_for_a_disk)
{
    struct machine *owner = owner_with_lease();
    struct machine *taker = &world.machines[1];

    machine_append(owner, 0, 1);
    world_run(SECOND);
    ck_assert_int_eq(machine_start(taker), 0);
    machine_crash(owner);
    world_run(30 * SECOND);
    weir_sim_faults(world.sim)->disk_hang = 1000000;
    ck_assert_int_eq(machine_call(taker, take_program), 0);
    ck_assert_int_eq(taker->status, 0);
    world_run(SECOND);
    weir_sim_faults(world.sim)->disk_hang = 0;
    ck_assert_int_eq(taken, 0);
    ck_assert_int_eq(machine_call(taker, machine_stop), 0);
    ck_assert_int_eq(taken, 1);
    world_close();
}
END_TEST

/* ---- A log on a volume that both have ------------------------------------ */

static void shared_done(struct weir_req *req, int status)
{
    (void)req;
    world.machines[1].status = status;
    taken = 1;
}

static void take_shared_program(void *ctx)
{
    struct machine *m = ctx;

    taking = (struct weir_takeover){
        .req.done = shared_done, .node_id = 1, .wal = "sim:3"};
    taken = 0;
    m->status = weir_takeover(m->node, &taking);
}

/* The world's volumes are with one node at a time: the taker gets what is on
 * it now as that of the third node. */
static void start_to_take_what_is_there(void)
{
    struct machine *taker = &world.machines[1];
    size_t size;
    unsigned char *from = weir_sim_disk_data(world.machines[0].sim, &size);
    unsigned char *to = weir_sim_disk_data(world.machines[2].sim, &size);

    memcpy(to, from, size);
    ck_assert_int_eq(machine_call(taker, take_shared_program), 0);
    ck_assert_int_eq(taker->status, 0);
}

/* A disk that takes ten minutes and more is what it waits for then. */
static void start_to_take_from_a_slow_disk(void)
{
    weir_sim_faults(world.sim)->disk_hang = 1000000;
    start_to_take_what_is_there();
    world_run(SECOND);
    weir_sim_faults(world.sim)->disk_hang = 0;
    ck_assert_int_eq(taken, 0);
}

/* How the takeover has ended after so long. */
static int taken_after(uint64_t ns)
{
    world_run(ns);
    ck_assert_int_eq(taken, 1);
    return world.machines[1].status;
}

/* A node of which no one hears any more, until its lease is over. */
static void owner_lapses(uint64_t after)
{
    weir_sim_cut(world.machines[0].sim, WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_LIVE);
    world_run(after);
    ck_assert_int_eq(machine_life_of(&world.machines[1], 0), WEIR_NODE_LAPSED);
}

/* The taker has the stream, and all that was acknowledged. */
static void check_taken_with_two_batches(void)
{
    struct machine *taker = &world.machines[1];

    ck_assert_int_eq(machine_open_stream(taker, 0), 0);
    ck_assert_uint_eq(machine_append_now(taker, 0, 3)->req.base_offset, 2);
}

/* It has lapsed, and its log is being read, for ten minutes: when it renews its
 * lease after all, and acknowledges what that reading does not see. */
START_TEST(who_lives_on_while_its_log_is_read_loses_nothing)
{
    struct machine *owner = &world.machines[0];
    struct appended *one, *two;

    world.lease = "3s";
    world.upload_interval = "1h";
    world_open(test_seed());
    for (int i = 0; i < NODES; i++)
        ck_assert_int_eq(machine_start(&world.machines[i]), 0);
    ck_assert_int_eq(machine_call(&world.machines[2], machine_stop), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    one = machine_append_now(owner, 0, 1);
    ck_assert_int_eq(one->status, 0);
    owner_lapses(10 * SECOND);
    start_to_take_from_a_slow_disk();
    weir_sim_heal(owner->sim);
    two = machine_append_now(owner, 0, 2);
    ck_assert_int_eq(two->status, 0);
    ck_assert_int_eq(taken, 0);
    ck_assert_int_eq(taken_after(1300 * SECOND), WEIR_EAGAIN);
    /* It is fenced now, and what it has is all that there will be. */
    world_run(10 * SECOND);
    start_to_take_what_is_there();
    ck_assert_int_eq(taken_after(60 * SECOND), 0);
    ck_assert_uint_eq(taking.batches, 2);
    check_taken_with_two_batches();
    world_close();
}
END_TEST

/* What that node has acknowledged counts for as long as its own lease: also if
 * the taker's is shorter. */
START_TEST(a_lease_that_a_taker_ended_runs_for_as_long_as_it_was)
{
    struct machine *owner = &world.machines[0];
    struct machine *taker = &world.machines[1];
    struct appended *two;

    world.upload_interval = "1h";
    world_open(test_seed());
    world.lease = "3s";
    ck_assert_int_eq(machine_start(taker), 0);
    ck_assert_int_eq(machine_start(&world.machines[2]), 0);
    ck_assert_int_eq(machine_call(&world.machines[2], machine_stop), 0);
    world.lease = "1h";
    ck_assert_int_eq(machine_start(owner), 0);
    ck_assert_int_eq(machine_open_stream(owner, 0), 0);
    machine_append_now(owner, 0, 1);
    owner_lapses(7200 * SECOND);
    start_to_take_from_a_slow_disk();
    /* It renews its lease, and is cut off before it can know that it is fenced.
     */
    weir_sim_heal(owner->sim);
    world_run(60 * SECOND);
    weir_sim_cut(owner->sim, WEIR_SIM_CUT_REFUSES);
    ck_assert_int_eq(taken, 0);
    ck_assert_int_ne(taken_after(1300 * SECOND), 0);
    start_to_take_what_is_there();
    world_run(10 * SECOND);
    two = machine_append_now(owner, 0, 2);
    ck_assert_int_eq(two->over, 1);
    ck_assert_int_eq(two->status, 0);
    ck_assert_int_eq(taken, 1);
    ck_assert_int_eq(taker->status, WEIR_EBUSY);
    world_run(7200 * SECOND);
    start_to_take_what_is_there();
    ck_assert_int_eq(taken_after(60 * SECOND), 0);
    check_taken_with_two_batches();
    world_close();
}
END_TEST

int main(void)
{
    TCase *tc = test_case("sim lease");

    tcase_add_test(tc, a_close_keeps_the_lease_for_what_is_being_written);
    tcase_add_test(tc,
                   a_close_ends_when_a_write_ends_and_the_lease_has_run_out);
    tcase_add_test(tc,
                   what_waits_for_the_lease_stays_when_a_write_behind_it_fails);
    tcase_add_test(tc, a_close_ends_a_hand_over_that_waits_for_the_lease);
    tcase_add_test(tc, a_close_outlasts_a_takeover_that_waits_for_a_disk);
    tcase_add_test(tc, who_lives_on_while_its_log_is_read_loses_nothing);
    tcase_add_test(tc, a_lease_that_a_taker_ended_runs_for_as_long_as_it_was);
    return test_run();
}
